"""What this process says about its lanes: for operators, every few seconds, in one write.

Told are lanes that do or have learned something, the busiest first. When there is nothing to tell nothing is written.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from heapq import nlargest

from smtpeter.delivery.lanes.lane import Lane
from smtpeter.model.steering import LaneReport
from smtpeter.store.lane_reports import LaneReports, put_reports
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.store import Store
from smtpeter.world.seams import Clock

REPORT_EVERY_SECONDS = 5.0
MAX_REPORTED = 500
LONGEST_REPLY = 200


async def report_for_ever(store: Store, clock: Clock, worker: int, lanes: Callable[[], Iterable[Lane]]) -> None:
    """Tells how the lanes go until cancelled."""
    told = True  # what a former process of this number said is to go
    while True:
        await asyncio.sleep(REPORT_EVERY_SECONDS)
        busiest = nlargest(MAX_REPORTED, lanes(), key=lambda lane: (lane.courier_count, lane.waiting_count))
        if not busiest and not told:
            continue
        reports = tuple(_report(lane, clock) for lane in busiest)
        try:
            await store.write(put_reports, LaneReports(worker, clock.now(), reports))
        except StoreUnavailable:
            continue  # the next one says it all anew
        told = bool(reports)


def _report(lane: Lane, clock: Clock) -> LaneReport:
    now = clock.monotonic()
    rest = lane.health.rests_until - now
    return LaneReport(
        lane=lane.key,
        connections=lane.courier_count,
        max_connections=lane.connections,
        waiting=lane.waiting_count,
        rate_per_minute=lane.pace.rate_per_minute(now),
        sent_per_minute=lane.pace.sent_per_minute(now),
        resting_until=clock.now() + timedelta(seconds=rest) if rest > 0 else None,
        reason=_reason(lane, now),
        last_reply=lane.last_reply[:LONGEST_REPLY],
    )


def _reason(lane: Lane, now: float) -> str:
    """Says why a lane does not go as it could; "" when it does."""
    if lane.is_paused:
        return "paused"
    if lane.health.rests(now):
        return "none of its hosts could be used"
    return "the receiver asked for less" if lane.pace.is_slowed(now) else ""
