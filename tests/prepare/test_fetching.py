"""What accounts fetch: asked for once within the hour, each account for itself."""

import asyncio
from pathlib import Path

import pytest

from smtpeter.content.template.reading import Resource
from smtpeter.store.resources import DownloadQuery, known_download
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.testing.web import Call, Reply
from smtpeter.world.fetch.trouble import FetchTrouble, Slug
from tests.prepare.rooms import Rooms, open_rooms

URL = "https://www.example.com/prices.csv"
LIMIT = 2**20


async def get(rooms: Rooms, url: str = URL, max_bytes: int = LIMIT) -> Resource:
    return await rooms.fetching.get(rooms.mine, url, max_bytes, 10)


async def trouble_of(rooms: Rooms, url: str = URL, max_bytes: int = LIMIT) -> FetchTrouble:
    with pytest.raises(FetchTrouble) as caught:
        await get(rooms, url, max_bytes)
    return caught.value


@in_virtual_time
async def test_what_was_fetched_within_the_hour_is_not_asked_for_again(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        rooms.web.page(URL, b"1;2", type="text/csv; charset=UTF-8", content_disposition='attachment; filename="p.csv"')
        first = await get(rooms)
        assert first == Resource(b"1;2", "text/csv; charset=utf-8", "p.csv")
        rooms.web.page(URL, b"3;4")
        await asyncio.sleep(3500)
        assert await get(rooms) == first
        assert len(rooms.web.calls) == 1
        await asyncio.sleep(200)
        assert (await get(rooms)).content == b"3;4"


@pytest.mark.parametrize(
    ("said", "seconds", "is_kept"),
    [("max-age=60", 50, True), ("max-age=60", 70, False), ("max-age=86400", 3700, False), ("private", 1, False)],
)
@in_virtual_time
async def test_server_may_shorten_the_hour_and_not_lengthen_it(
    tmp_path: Path, said: str, seconds: int, is_kept: bool
) -> None:
    async with open_rooms(tmp_path) as rooms:
        rooms.web.page(URL, b"1", cache_control=said)
        await get(rooms)
        await asyncio.sleep(seconds)
        await get(rooms)
        assert len(rooms.web.calls) == (1 if is_kept else 2)


@in_virtual_time
async def test_another_account_asks_for_itself(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        rooms.web.page(URL, b"1")
        await get(rooms)
        await rooms.fetching.get(rooms.others, URL, LIMIT, 10)
        assert len(rooms.web.calls) == 2


@in_virtual_time
async def test_many_who_ask_at_once_are_one_request(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        rooms.web.page(URL, b"1", cache_control="no-store")
        found = await asyncio.gather(*[get(rooms) for _ in range(20)])
        assert {one.content for one in found} == {b"1"}
        assert len(rooms.web.calls) == 1


@in_virtual_time
async def test_one_who_gives_up_ends_it_for_nobody_else(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        rooms.web.page(URL, b"1")
        impatient, patient = asyncio.create_task(get(rooms)), asyncio.create_task(get(rooms))
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).content == b"1"
        assert len(rooms.web.calls) == 1


@in_virtual_time
async def test_what_is_kept_may_still_be_too_large_for_another_purpose(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        rooms.web.page(URL, bytes(1000))
        await get(rooms)
        assert (await trouble_of(rooms, max_bytes=999)).slug is Slug.SIZE


@in_virtual_time
async def test_trouble_says_whether_it_may_pass(tmp_path: Path) -> None:
    def broken(call: Call) -> Reply:
        return Reply(503)

    async with open_rooms(tmp_path) as rooms:
        web = rooms.web
        web.page(URL, b"", status=404)
        web.handle("https://www.example.com/down", broken)
        web.page("https://www.example.com/large", bytes(LIMIT + 1))
        rooms.zone["inside.example.com"] = {"a": ["10.0.0.1"]}
        rooms.zone["shaky.example.com"] = {"trouble": "SERVFAIL"}
        rooms.zone["silent.example.com"] = {"a": ["198.51.100.9"]}
        rooms.network.silence("198.51.100.9", port=443)
        urls = [
            "https://www.example.com/down",
            "https://shaky.example.com/",
            "https://silent.example.com/",
            URL,
            "https://www.example.com/large",
            "ftp://www.example.com/",
            "https://inside.example.com/",
        ]
        assert [(await trouble_of(rooms, url)).is_final for url in urls] == [False] * 3 + [True] * 4


@in_virtual_time
async def test_trouble_is_not_remembered(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        await trouble_of(rooms, "http://www.example.com/")
        rooms.web.page("http://www.example.com/", b"1")
        assert (await get(rooms, "http://www.example.com/")).content == b"1"


@in_virtual_time
async def test_fetch_of_an_account_says_nothing_of_trouble(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        assert await rooms.fetching.of(rooms.mine)(URL, LIMIT, 10) is None


@in_virtual_time
async def test_without_a_store_the_web_is_asked_each_time(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        rooms.web.page(URL, b"1")
        await rooms.store.close()
        assert (await get(rooms)).content == (await get(rooms)).content == b"1"


@in_virtual_time
async def test_what_must_not_be_kept_leaves_nothing_behind(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        rooms.web.page(URL, b"1", cache_control="no-store")
        await get(rooms)
        assert await rooms.store.read(known_download, DownloadQuery(rooms.mine, URL, rooms.clock.now())) is None
