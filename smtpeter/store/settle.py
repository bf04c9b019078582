"""SETTLE: records what became of an attempt, with its events in the same commit (D7).

On condition that the claim is still the one under which the attempt was made: a late result changes nothing.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from smtpeter.model.event import Event
from smtpeter.model.message import MessageId, MessageState, Transfer
from smtpeter.store import events
from smtpeter.store.accept import AcceptItem, accept, keep_large
from smtpeter.store.blocks import pack
from smtpeter.store.columns import to_json, to_ms
from smtpeter.store.operation import Blobs, Operation
from smtpeter.store.stages import FINAL_STATES, WAITING
from smtpeter.store.statement import BYTES, INT, TEXT, Plan, Statement


class Sent(Struct, frozen=True):
    """The form in which a message went over the wire, and the block of trace and signature before its content."""

    transfer: Transfer
    block: bytes


class Settlement(Struct, frozen=True):
    """The result of a claim. `due` is when to try again, None when the state is final; `at` is the time of the events.

    `attempt` is the number of connections begun so far. `sent` is what is needed to show the message as it was sent.
    `notice` tells the submitter; word of a delay is stored only if it was not told meanwhile.
    """

    id: MessageId
    claim: int
    state: MessageState
    at: datetime
    attempt: int
    due: datetime | None = None
    events: tuple[Event, ...] = ()
    sent: Sent | None = None
    is_doubtful: bool = False  # the message may have been delivered although that is not the result
    notice: AcceptItem | None = None


_SETTLE = Statement(
    "update messages set state = :state, stage = :stage, due = :due, attempt = :attempt, unsettled = 0, strikes = 0, worker = null, "
    "doubtful = case when :doubtful = 1 then 1 else doubtful end, "
    "settled = :settled {rows} "
    "where id = :id and claim = :claim and worker is not null returning id",
    state=TEXT,
    stage=INT,
    due=INT,
    attempt=INT,
    doubtful=INT,
    settled=INT,
    id=TEXT,
    claim=INT,
)

_TELL = Statement(
    "update messages set tell_at = null where id in (select id from messages where id in :ids[] and tell_at is not null "
    "and stage is not null and (stage <> 0 or worker is null) {skip_locked}) returning id",
    ids=TEXT,
)

_INSERT_BLOCK = Statement(
    "insert into sent_blocks (message, transfer, block) select :message, :transfer, :block {rows} where true "
    "on conflict (message) do update set transfer = excluded.transfer, block = excluded.block",
    message=TEXT,
    transfer=TEXT,
    block=BYTES,
)


async def _keep_large_notice(item: Settlement, blobs: Blobs) -> Settlement:
    if item.notice is None:
        return item
    return replace(item, notice=await keep_large(item.notice, blobs))


def _settle(items: list[Settlement]) -> Plan[list[bool]]:
    """Records results; gives for each whether its claim still held. When not, nothing of it is written."""
    first = {item.id: item for item in reversed(items)}  # of two results of one claim the first counts
    updated = yield _SETTLE.many([_settle_row(item) for item in first.values()])
    held = {row[0] for row in updated}
    taken = [item for item in items if item.id in held and first[item.id] is item]
    facts = [events.row_of(item.id, to_ms(item.at), event) for item in taken for event in item.events]
    if facts:
        yield events.INSERT.many(facts)
    blocks = [(item.id, item.sent.transfer, pack(item.sent.block)) for item in taken if item.sent is not None]
    if blocks:
        yield _INSERT_BLOCK.many(blocks)
    notices = yield from _notices_of(taken)
    if notices:
        yield from accept(notices)
    return [item.id in held and first[item.id] is item for item in items]


def _notices_of(taken: list[Settlement]) -> Plan[list[AcceptItem]]:
    """Gives the notifications that go out with results; word of a delay that was told meanwhile does not."""
    deferred = [item.id for item in taken if item.notice is not None and item.state is MessageState.DEFERRED]
    told = (yield from tell_of_delay(deferred)) if deferred else frozenset()
    return [
        item.notice
        for item in taken
        if item.notice is not None and (item.state is not MessageState.DEFERRED or item.id in told)
    ]


def tell_of_delay(ids: Sequence[MessageId]) -> Plan[frozenset[MessageId]]:
    """Notes that the delay of messages is told; gives those of which it was to be told, was not yet, and nobody holds."""
    return frozenset(row[0] for row in (yield _TELL.one(to_json(ids))))


def _settle_row(item: Settlement) -> tuple[object, ...]:
    is_final = item.state in FINAL_STATES
    if is_final is not (item.due is None):
        raise ValueError(f"{item.id}: {item.state} with due={item.due}")
    return (
        item.state,
        None if item.due is None else WAITING,
        None if item.due is None else to_ms(item.due),
        item.attempt,
        1 if item.is_doubtful else 0,
        to_ms(item.at) if is_final else None,
        item.id,
        item.claim,
    )


settle = Operation(_settle, prepare=_keep_large_notice, is_patient=True)
