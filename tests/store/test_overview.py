"""How the installation stands, on both stores."""

from datetime import timedelta
from pathlib import Path

from smtpeter.model.steering import LaneReport, Pause
from smtpeter.store.accept import accept
from smtpeter.store.booking import HoldBack, hold_back
from smtpeter.store.lane_reports import LaneReports, put_reports
from smtpeter.store.overview import _DEPTHS, LaneDepth, overview
from smtpeter.store.settle import settle
from smtpeter.store.steering import NewEntry, put_entry
from smtpeter.store.store import Store
from smtpeter.store.workers import Newcomer, leave, register
from tests.store.mail import T0, after, claim, deferred, delivered, fill, held, item, sqlite_steps, submission


async def test_empty_installation_is_all_zeros(store: Store) -> None:
    seen = await store.read(overview, T0)
    assert seen.states == {"queued": 0, "delivering": 0, "waiting": 0, "held": 0}
    assert (seen.due_since, seen.largest, seen.overdue, seen.pauses) == (None, (), (), 0)
    assert (seen.slowed, seen.resting, seen.workers, seen.mta_seen) == (0, 0, {}, None)


async def test_what_waits_is_counted_by_what_it_waits_for(store: Store) -> None:
    await fill(store, 5, lane="a")
    first, second, third, _ = await claim(store, 4)
    await store.write(settle, deferred(first, 60))
    await store.write(settle, delivered(second))
    await store.write(hold_back, HoldBack((held(third),), 1))
    seen = await store.read(overview, after(2))
    assert seen.states == {"queued": 1, "delivering": 1, "waiting": 1, "held": 1}
    assert seen.due_since == T0
    assert seen.largest == (LaneDepth("a", 4, 1, T0),)


async def test_largest_lanes_come_first_and_there_are_fifty_of_them(store: Store) -> None:
    for number in range(52):
        await fill(store, 3 if number == 40 else 1, lane=f"lane{number:02}")
    seen = await store.read(overview, after(1))
    assert len(seen.largest) == 50
    assert seen.largest[0].lane == "lane40"
    assert seen.states["queued"] == 54


async def test_lane_with_old_mail_is_overdue_only_when_nobody_is_at_work_on_it(store: Store) -> None:
    await fill(store, 2, lane="busy")
    await claim(store, 1, at=290)  # until 335
    for lane in ("stuck", "reported"):
        await fill(store, 1, lane=lane)
    await store.write(accept, item(submission(), lane=None))
    await store.write(put_reports, LaneReports(1, after(290), (LaneReport("reported", 0, 1, 0),)))
    assert (await store.read(overview, after(299))).overdue == ()
    seen = await store.read(overview, after(301))
    assert [depth.lane for depth in seen.overdue] == ["", "stuck"]
    # bookings that have run out are nobody's, and reports are forgotten
    assert len((await store.read(overview, after(400))).overdue) == 4


async def test_lanes_in_trouble_and_pauses_are_counted(store: Store) -> None:
    slow = LaneReport("a", 1, 1, 0, 5.0, 5.0, None, "slowed by push-back")
    resting = LaneReport("b", 0, 1, 0, None, 0.0, after(60), "resting")
    for worker in (1, 2):
        await store.write(put_reports, LaneReports(worker, T0, (slow, resting, LaneReport("c", 1, 1, 0))))
    await store.write(put_entry, NewEntry(Pause(domain="example.net"), T0))
    await store.write(put_entry, NewEntry(Pause(domain="example.org", until=after(10)), T0))
    seen = await store.read(overview, after(1))
    assert (seen.slowed, seen.resting, seen.pauses) == (1, 1, 2)
    assert (await store.read(overview, after(11))).pauses == 1


async def test_workers_are_counted_by_role_and_the_last_that_delivers_is_remembered(store: Store) -> None:
    await store.write(register, Newcomer("here", 1, T0, frozenset({"mta", "smtp"})))
    other = await store.write(register, Newcomer("here", 2, after(20), frozenset({"smtp"})))
    seen = await store.read(overview, after(20))
    assert (seen.workers, seen.mta_seen) == ({"mta": 1, "smtp": 2}, T0)
    await store.write(leave, other)
    assert (await store.read(overview, T0 + timedelta(minutes=2))).workers == {}
    assert (await store.read(overview, T0 + timedelta(minutes=2))).mta_seen == T0


async def test_looking_costs_nothing_for_final_messages(sqlite_store: Store, tmp_path: Path) -> None:
    async def cost(count: int) -> int:
        await fill(sqlite_store, count)
        for message in await claim(sqlite_store, count):
            await sqlite_store.write(settle, delivered(message))
        return sqlite_steps(tmp_path / "mail.sqlite", _DEPTHS, (0, 0))

    assert await cost(1) == await cost(500)
