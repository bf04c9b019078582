"""Numbers of origins: the same everywhere, and asked of the store no more often than needed."""

from pathlib import Path

from smtpeter.prepare import origins
from smtpeter.prepare.origins import OriginNumbers
from smtpeter.testing.virtual_time import in_virtual_time
from tests.prepare.rooms import open_rooms

A, B, C = "https://a.example", "https://b.example", "http://c.example:8080"


@in_virtual_time
async def test_origin_has_one_number_in_all_processes(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        here, there = OriginNumbers(rooms.store), OriginNumbers(rooms.store)
        first = await here.of(rooms.mine, [A, B])
        second = await there.of(rooms.mine, [B, C, A])
        assert {A: second[A], B: second[B]} == first
        assert len(set(second.values())) == 3
        assert (await here.of(rooms.others, [A]))[A] not in second.values()


@in_virtual_time
async def test_known_origins_ask_no_store(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        numbers = OriginNumbers(rooms.store)
        first = await numbers.of(rooms.mine, [A, B])
        commits = rooms.store.commits
        await OriginNumbers(rooms.store).of(rooms.mine, [A, B])
        assert rooms.store.commits == commits, "what has a number is only looked up"
        await rooms.store.close()
        assert await numbers.of(rooms.mine, [B, A]) == first


@in_virtual_time
async def test_what_is_forgotten_is_looked_up_again(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        numbers = OriginNumbers(rooms.store)
        first = await numbers.of(rooms.mine, [A])
        many = [f"https://{number}.example" for number in range(origins.MAX_KNOWN + 1)]
        for at in range(0, len(many), origins.MAX_ORIGINS):
            await numbers.of(rooms.mine, many[at : at + origins.MAX_ORIGINS])
        assert len(numbers._known) == origins.MAX_KNOWN
        assert await numbers.of(rooms.mine, [A]) == first


@in_virtual_time
async def test_of_very_many_origins_the_first_have_numbers_each_time_the_same(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        many = [f"https://{number}.example" for number in range(origins.MAX_ORIGINS + 10)]
        first = await OriginNumbers(rooms.store).of(rooms.mine, many)
        assert set(first) == set(many[: origins.MAX_ORIGINS])
        assert await OriginNumbers(rooms.store).of(rooms.mine, many) == first
