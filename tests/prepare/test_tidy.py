"""What was fetched is forgotten when nobody can use it any more, and not before."""

import asyncio
from pathlib import Path

from smtpeter.prepare.tidy import tidy
from smtpeter.store.contents import content_of
from smtpeter.store.resources import Found, resources_of
from smtpeter.testing.virtual_time import in_virtual_time
from tests.prepare.rooms import call, message, open_rooms

KEPT, LEFT = "https://files.example.com/kept.pdf", "https://files.example.com/left.pdf"
HOUR = 3600


@in_virtual_time
async def test_file_of_a_mail_stays_and_a_download_goes(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        rooms.web.page(KEPT, b"kept")
        rooms.web.page(LEFT, b"left")
        made = message(call(KEPT))
        await rooms.renderer().source(made)
        await rooms.fetching.get(rooms.mine, LEFT, 100, 10)
        settled = await rooms.store.read(resources_of, made.submission)
        assert settled is not None
        found = settled[KEPT]
        assert isinstance(found, Found)
        await tidy(rooms.store, rooms.clock)
        await rooms.fetching.get(rooms.mine, LEFT, 100, 10)
        assert len(rooms.web.calls) == 2, "within the hour it is still of use"
        await asyncio.sleep(3 * HOUR)
        await tidy(rooms.store, rooms.clock)
        await rooms.fetching.get(rooms.mine, LEFT, 100, 10)
        assert len(rooms.web.calls) == 3
        assert await rooms.store.read(content_of, found.digest) == b"kept"
