"""Flush: what was deferred is due now, because the operator says so. What a worker has, or a pause holds back, stays."""

from dataclasses import dataclass
from datetime import datetime

from smtpeter.model.message import MessageId
from smtpeter.store.columns import to_json, to_ms
from smtpeter.store.operation import single
from smtpeter.store.statement import INT, TEXT, Plan, Statement


@dataclass(frozen=True, slots=True)
class Flush:
    """Makes messages due at `now`; at most 1,000 at once."""

    ids: tuple[MessageId, ...]
    now: datetime


_FLUSH = Statement(
    "update messages set due = :now, stage = case when lane is null then 2 else 1 end where id in "
    "(select id from messages where id in :ids[] and stage = 0 and state = 'deferred' and worker is null {skip_locked}) "
    "returning id",
    now=INT,
    ids=TEXT,
)


@single
def flush(item: Flush) -> Plan[int]:
    """Makes those of the messages that are deferred ready, due now; gives how many."""
    return len((yield _FLUSH.one(to_ms(item.now), to_json(item.ids))))
