"""Images that mail refers to at our host: kept before the mail leaves, noted as used once a day."""

import asyncio
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from smtpeter.content.rewrite.parts import HostedImage as Taken
from smtpeter.prepare.images import Images
from smtpeter.store.contents import Digest, content_of
from smtpeter.store.resources import HostedImage, forget_images, hosted_image
from smtpeter.testing.virtual_time import in_virtual_time
from tests.prepare.rooms import Rooms, open_rooms

LOGO = Taken(sha256(b"\x89PNG").digest(), "image/png", b"\x89PNG")


def of_account(rooms: Rooms) -> HostedImage:
    return HostedImage(rooms.mine, Digest(LOGO.digest), LOGO.type)


@in_virtual_time
async def test_image_is_there_once_it_was_kept(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        images = Images(rooms.store, rooms.clock)
        await images.keep(rooms.mine, [LOGO])
        found = await rooms.store.read(hosted_image, of_account(rooms).key)
        assert found == of_account(rooms)
        assert await rooms.store.read(content_of, found.digest) == LOGO.data


@in_virtual_time
async def test_next_message_with_an_image_asks_no_store(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        images = Images(rooms.store, rooms.clock)
        await images.keep(rooms.mine, [LOGO])
        commits = rooms.store.commits
        await images.keep(rooms.mine, [LOGO])
        assert rooms.store.commits == commits
        await images.keep(rooms.others, [LOGO])
        assert rooms.store.commits > commits, "what another account keeps is not ours"


@in_virtual_time
async def test_image_that_is_used_for_long_is_not_forgotten(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        images = Images(rooms.store, rooms.clock)
        begin = rooms.clock.now()
        await images.keep(rooms.mine, [LOGO])
        await asyncio.sleep(timedelta(days=2).total_seconds())
        await images.keep(rooms.mine, [LOGO])
        assert await rooms.store.write(forget_images, begin + timedelta(days=1)) == 0
        assert await rooms.store.write(forget_images, begin + timedelta(days=3)) == 1
