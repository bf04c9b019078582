"""The pixel, pictures through our cache, and hosted images."""

import asyncio
import zlib
from hashlib import sha256
from pathlib import Path

import pytest

from smtpeter.content.rewrite.ours import image_addresses
from smtpeter.doors.track import images
from smtpeter.doors.track.contents import Contents
from smtpeter.doors.track.images import MAX_BYTES, TROUBLE_SECONDS, Named
from smtpeter.doors.track.memory import Memory
from smtpeter.doors.track.pictures import PIXEL, kind_of
from smtpeter.model.account import AccountId
from smtpeter.model.event import Open
from smtpeter.store.contents import Digest, keep_content
from smtpeter.store.resources import DownloadQuery, HostedImage, Preparation, host_images, known_download
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.testing.web import Reply
from smtpeter.wire.token import Kind
from tests.doors.track.track_house import BASE, RING, SHOP, TrackHouse, open_track

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 300_000
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def is_safe(answer):
    return (
        answer.headers["x-content-type-options"] == "nosniff"
        and answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        and answer.headers["content-type"].startswith("image/")
        and "set-cookie" not in answer.headers
    )


@in_virtual_time
async def test_pixel_is_a_gif_of_43_octets_that_nobody_keeps_and_an_open(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        for method in ("GET", "HEAD"):
            answer = await house.ask(house.pixel(), method)
            assert (answer.status_code, answer.headers["content-length"]) == (200, "43")
            assert answer.content == (PIXEL if method == "GET" else b"")
            assert answer.headers["content-type"] == "image/gif"
            assert answer.headers["cache-control"] == "no-store"
            assert is_safe(answer)
        assert [e.machine for e in await house.events() if isinstance(e, Open)] == [False, True]


def test_pixel_says_of_itself_that_it_is_one_by_one_and_transparent() -> None:
    assert PIXEL[:10] == b"GIF89a\x01\0\x01\0" and PIXEL[19:23] == b"!\xf9\x04\x01" and PIXEL[-1:] == b";"


@in_virtual_time
async def test_picture_is_fetched_once_and_each_request_is_an_open(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        house.web.page(f"{SHOP}/a.png", PNG, type="text/html")
        link = await house.link(f"{SHOP}/a.png?v=1", Kind.IMAGE)
        answers = await asyncio.gather(*[house.ask(link) for _ in range(5)])
        answers.append(await house.ask(link))
        assert {answer.content for answer in answers} == {PNG}
        assert {answer.headers["content-type"] for answer in answers} == {"image/png"}
        assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
        assert all(map(is_safe, answers))
        assert [call.url for call in house.web.calls] == [f"{SHOP}/a.png?v=1"]
        assert [type(event) for event in await house.events()] == [Open] * 6


@in_virtual_time
async def test_picture_is_kept_as_long_as_its_server_says(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        said = {"a": "max-age=120", "b": "no-store", "c": "private, max-age=100", "d": "max-age=999999999"}
        links = {}
        for name, control in said.items():
            house.web.page(f"{SHOP}/{name}", PNG, cache_control=control)
            links[name] = await house.link(f"{SHOP}/{name}", Kind.IMAGE)
        for pause in (0, 100, 100, 86_000, 1000):
            await asyncio.sleep(pause)
            for link in links.values():
                assert (await house.ask(link)).content == PNG
        fetched = [call.url[-1] for call in house.web.calls]
        assert {name: fetched.count(name) for name in said} == {"a": 4, "b": 5, "c": 5, "d": 2}


@in_virtual_time
async def test_picture_that_another_process_has_fetched_is_not_fetched_again(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        house.web.page(f"{SHOP}/a", PNG)
        link = await house.link(f"{SHOP}/a", Kind.IMAGE)
        await house.ask(link)
        found = await house.store.read(known_download, DownloadQuery(house.account, f"{SHOP}/a", house.clock.now()))
        assert found is not None and found.digest == sha256(PNG).digest()
        fresh = images.Images(house.store, house.clock, house.web.client, Contents(house.store, house.clock))
        picture = await fresh.get(Named(house.account, f"{SHOP}/a"), f"{SHOP}/a")
        assert picture is not None and picture.content == PNG
        assert await fresh.get(Named(AccountId(2), f"{SHOP}/a"), f"{SHOP}/a")  # of another account: its own
        assert len(house.web.calls) == 2


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (SVG, 200),
        (b"<html><script>alert(1)</script>", 200),
        (b"", 200),
        (PNG, 404),
        (PNG, 500),
        (b"\x89PNG\r\n\x1a\n" + b"x" * MAX_BYTES, 200),
    ],
    ids=["svg", "html", "nothing", "not found", "error", "too large"],
)
def test_what_is_no_picture_for_us_is_to_be_had_at_its_own_place(tmp_path: Path, content: bytes, status: int) -> None:
    @in_virtual_time
    async def story() -> None:
        async with open_track(tmp_path) as house:
            house.web.page(f"{SHOP}/a", content, type="image/png", status=status)
            link = await house.link(f"{SHOP}/a", Kind.IMAGE)
            for _ in range(3):
                answer = await house.ask(link)
                assert (answer.status_code, answer.headers["location"]) == (302, f"{SHOP}/a")
            assert len(house.web.calls) == 1
            house.web.page(f"{SHOP}/a", PNG)
            await asyncio.sleep(TROUBLE_SECONDS + 1)
            assert (await house.ask(link)).content == PNG
            assert len(await house.events()) == 4

    story()


@in_virtual_time
async def test_picture_in_our_own_network_is_not_fetched(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        for url in ("http://127.0.0.1/a.png", "http://10.0.0.1/a.png", "http://user:pass@shop.example/a.png"):
            answer = await house.ask(await house.link(url, Kind.IMAGE))
            assert (answer.status_code, answer.headers["location"]) == (302, url)
        assert house.web.calls == []


@in_virtual_time
async def test_slow_server_of_pictures_holds_nobody_up_for_long(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        house.web.page(f"{SHOP}/other", PNG)
        house.network.silence(house.zone["shop.example"]["a"][0], port=443)
        link = await house.link(f"{SHOP}/a", Kind.IMAGE)
        began = house.clock.monotonic()
        assert (await house.ask(link)).status_code == 302
        assert house.clock.monotonic() - began < 9
        began = house.clock.monotonic()
        assert (await house.ask(link)).status_code == 302
        assert house.clock.monotonic() - began < 0.1


@in_virtual_time
async def test_picture_comes_though_the_store_cannot_keep_it(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        house.web.page(f"{SHOP}/a", PNG)
        link = await house.link(f"{SHOP}/a", Kind.IMAGE)
        house.disk.is_broken = True
        assert (await house.ask(link)).content == PNG


@in_virtual_time
async def test_address_too_long_for_a_key_of_the_store_is_kept_by_its_hash(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        house.web.page(f"{SHOP}/a", PNG)
        link = await house.link(f"{SHOP}/a?{'x' * 5000}", Kind.IMAGE)
        for _ in range(2):
            assert (await house.ask(link)).content == PNG
        assert len(house.web.calls) == 1


@in_virtual_time
async def test_spellings_of_one_address_are_one_picture(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        house.web.handle(f"{SHOP}/a", lambda call: Reply(200, PNG))
        link = await house.link(f"{SHOP}/a?x=~b", Kind.IMAGE)
        await house.ask(link)
        assert (await house.ask(link.replace("~", "%7E"))).content == PNG
        assert len(house.web.calls) == 1


# ---- hosted


async def hosted(house: TrackHouse, content: bytes, kind: str) -> str:
    """Keeps an image as a mail's and gives its address."""
    digest = await keep_content(house.store, content, house.clock.now())
    image = HostedImage(house.account, digest, kind)
    await house.store.write(host_images, Preparation("s", house.clock.now(), images=(image,)))
    return image_addresses(BASE, RING, house.account)(digest, kind)


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp", "image/bmp"])
def test_hosted_image_may_be_kept_for_good_and_is_no_open(tmp_path: Path, kind: str) -> None:
    @in_virtual_time
    async def story() -> None:
        async with open_track(tmp_path) as house:
            address = await hosted(house, PNG, kind)
            answer = await house.ask(address)
            assert (answer.status_code, answer.content) == (200, PNG)
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["content-type"] == kind and is_safe(answer)
            again = await house.ask(address, If_None_Match=f'"x", W/{answer.headers["etag"]}')
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
            head = await house.ask(address, "HEAD")
            assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(PNG)), b"")
            assert await house.events() == []

    story()


@in_virtual_time
async def test_hosted_image_is_there_only_under_its_own_address(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        address = await hosted(house, PNG, "image/png")
        token = address[len(f"{BASE}/i/") :].partition(".")[0]
        foreign = image_addresses(BASE, RING, AccountId(2))(sha256(PNG).digest(), "image/png")
        wrong = [f"{BASE}/i/{token}.{ending}" for ending in ("gif", "svg", "html", "x")]
        flipped = [
            f"{BASE}/i/{token[:at]}{'A' if token[at] != 'A' else 'B'}{token[at + 1 :]}.png" for at in range(len(token))
        ]
        for url in (foreign, *wrong, *flipped, f"{BASE}/i/../i/{token}.png/x"):
            assert (await house.ask(url)).status_code == 404, url
        assert (await house.ask(address, "POST")).status_code == 405


@in_virtual_time
async def test_hosted_page_or_drawing_is_never_served(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        for kind in ("image/svg+xml", "text/html"):
            assert (await house.ask(await hosted(house, SVG, kind))).status_code == 404


# ---- memory


@in_virtual_time
async def test_large_content_is_read_once_for_all_who_are_being_served(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        large = zlib.crc32(b"x").to_bytes(4, "big") * 2**20
        digest = await keep_content(house.store, large, house.clock.now())
        contents = Contents(house.store, house.clock)
        first, *others = await asyncio.gather(*[contents.get(digest) for _ in range(5)])
        assert first is not None and first.content == large
        assert all(other is first for other in others)
        assert await contents.get(Digest(b"x" * 32)) is None


def test_memory_forgets_what_nobody_asks_for_and_what_is_over() -> None:
    memory: Memory[str, int] = Memory(3)
    for number, name in enumerate("abc"):
        memory.put(name, number, until=10)
    assert memory.get("a", 5) == 0
    memory.put("d", 3)
    assert [memory.get(name, 5) for name in "abcd"] == [0, None, 2, 3]
    assert [memory.get(name, 10) for name in "acd"] == [None, None, 3]
    memory.put("e", 4, weight=4)
    memory.put("f", 5, weight=3)
    assert [memory.get(name, 10) for name in "def"] == [None, None, 5]
    memory.put("f", 6)
    assert (len(memory), memory.get("f", 10)) == (1, 6)


@pytest.mark.parametrize(
    "content", [b"", b"G", SVG, b"<!DOCTYPE html>", b"%PDF-1.7", b"\0\0\0\x20ftypmp42", b"RIFFxxxxWAVE"]
)
def test_what_is_no_picture_has_no_kind(content: bytes) -> None:
    assert kind_of(content) == ""
