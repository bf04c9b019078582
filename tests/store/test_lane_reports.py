"""What workers say about their lanes, on both stores."""

from dataclasses import replace

from smtpeter.model.steering import LaneReport
from smtpeter.store.lane_reports import LaneReports, lane_reports, put_reports
from smtpeter.store.store import Store
from tests.store.mail import T0, after

A = LaneReport("a", 2, 5, 10, 30.0, 29.5, after(60), "slowed by push-back", "421 4.7.0 slower, please")
B = LaneReport("b", 1, 1, 0)


async def test_reports_of_all_workers_are_read_by_lane(store: Store) -> None:
    await store.write(put_reports, LaneReports(1, T0, (A, B)))
    await store.write(put_reports, LaneReports(2, T0, (replace(B, connections=0),)))
    assert await store.read(lane_reports, after(1)) == {"a": [A], "b": [B, replace(B, connections=0)]}


async def test_worker_replaces_all_its_reports_and_those_of_no_other(store: Store) -> None:
    await store.write(put_reports, LaneReports(1, T0, (A, B)))
    await store.write(put_reports, LaneReports(2, T0, (B,)))
    await store.write(put_reports, LaneReports(1, after(5), (A,)))
    assert await store.read(lane_reports, after(5)) == {"a": [A], "b": [B]}
    await store.write(put_reports, LaneReports(1, after(6), ()))
    assert await store.read(lane_reports, after(6)) == {"b": [B]}


async def test_reports_of_a_worker_that_is_silent_for_a_minute_do_not_count(store: Store) -> None:
    await store.write(put_reports, LaneReports(1, T0, (A,)))
    assert await store.read(lane_reports, after(60)) == {"a": [A]}
    assert await store.read(lane_reports, after(61)) == {}
    await store.write(put_reports, LaneReports(2, after(61), (B,)))
    assert await store.read(lane_reports, T0) == {"b": [B]}
