"""What each worker says about its lanes: connections, pace, and why a lane is slow or rests. For people only.

A worker replaces all its reports at once. A report counts for a minute; when a worker reports, those that nobody has
renewed for so long go with the same commit, so that no rows of dead workers stay.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from smtpeter.model.steering import LaneReport
from smtpeter.store.columns import clean, to_json, to_ms
from smtpeter.store.operation import single
from smtpeter.store.statement import INT, TEXT, Plan, Statement

COUNTS_FOR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LaneReports:
    """All that a worker has to say about its lanes at this moment, each lane once."""

    worker: int
    now: datetime
    reports: tuple[LaneReport, ...]


_decode = msgspec.json.Decoder(LaneReport).decode

_CLEAR = Statement("delete from lane_reports where worker = :worker or at < :before", worker=INT, before=INT)
_INSERT = Statement(
    "insert into lane_reports (worker, lane, at, body) select :worker, :lane, :at, :body {rows}",
    worker=INT,
    lane=TEXT,
    at=INT,
    body=TEXT,
)
_RECENT = Statement("select worker, body from lane_reports where at >= :since order by lane, worker", since=INT)


@single
def put_reports(item: LaneReports) -> Plan[None]:
    """Replaces the reports of a worker; clears those of workers that have said nothing for a minute."""
    at_ms = to_ms(item.now)
    yield _CLEAR.one(item.worker, to_ms(item.now - COUNTS_FOR))
    if item.reports:
        yield _INSERT.many([(item.worker, clean(one.lane), at_ms, to_json(one)) for one in item.reports])


@single
def lane_reports(now: datetime) -> Plan[dict[str, list[LaneReport]]]:
    """Gives the reports of the last minute by lane, one for each worker that has the lane."""
    rows = yield _RECENT.one(to_ms(now - COUNTS_FOR))
    found: dict[str, list[LaneReport]] = {}
    for _, body in rows:
        report = _decode(body)
        found.setdefault(report.lane, []).append(report)
    return found
