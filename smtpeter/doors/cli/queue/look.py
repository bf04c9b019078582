"""`smtpeter queue list | show`: what waits, by lane and message by message."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from smtpeter.config import Config
from smtpeter.delivery.limits import limits_of
from smtpeter.doors.cli.queue.chosen import NOTHING, TIME, Chosen, selection, way_out
from smtpeter.doors.cli.shared import COMMON, Common, fail, show, table, with_store
from smtpeter.doors.queue import LaneView, lane_views, lanes_around, meant, shown_lane
from smtpeter.doors.steering import all_limits, shown_limits, stored_of
from smtpeter.model.message import MessageId, is_message_id
from smtpeter.model.steering import LimitEntry, Limits
from smtpeter.store.queue import QueueCount, message_counts
from smtpeter.store.store import Store
from smtpeter.store.waiting import Selection, WaitingMessage, WaitingQuery, waiting_messages

MAX_LANES = 100  # that one name stands for
MAX_REPLY = 60  # characters of a reply in a table
_NO_LANE = "(no lane yet)"
_LANES = ("lane", "queued", "scheduled", "deferred", "delivering", "held", "oldest", "connections", "rate/min", "state")
_MESSAGES = ("message", "recipient", "state", "next due", "attempt", "last reply")


def queue_list(
    *,
    chosen: Chosen = NOTHING,
    limit: int = 100,
    all: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> None:
    """Lists what waits or is under way, by lane, the largest first: how much, since when, and how the lane goes.

    Connections stand as "now/at most"; rate as "sent/at most" in messages a minute.

    Example: smtpeter queue list --lane google

    Example: smtpeter queue list --all

    Parameters
    ----------
    limit
        How many lanes are shown at most.
    all
        Count all messages by lane and state instead, also those in final states.
    """
    if limit < 1:
        fail("--limit is at least 1.", 2)

    async def work(store: Store, config: Config) -> None:
        if all:
            counts = await store.read(message_counts, None)
            show(common, counts, _counted(counts) if counts else "There are no messages.")
            return
        views = await lane_views(store, await selection(store, chosen), datetime.now(UTC), limit)
        rows = [_row(view) for view in views]
        text = table((*_LANES, "last reply"), rows) if rows else "Nothing is queued."
        show(common, [shown_lane(view) for view in views], text)

    with_store(common, work)


def _counted(counts: list[QueueCount]) -> str:
    rows = [(c.lane or _NO_LANE, c.state.value, c.count, _time(c.oldest_due)) for c in counts]
    return table(("lane", "state", "messages", "next due"), rows)


def show_one(name: str, /, *, limit: int = 20, common: Common = COMMON) -> None:
    """Shows a lane, the lanes of a domain, or a message that waits: how it goes, its limits, and what is due next.

    Example: smtpeter queue show example.com

    Example: smtpeter queue show mx:google

    Example: smtpeter queue show 01KAbcdefghij0123456

    Parameters
    ----------
    name
        A lane, a recipient domain, a provider, a mail host, or the id of a message.
    limit
        How many messages are shown at most.
    """
    if not 0 < limit <= 10_000:
        fail("--limit is from 1 to 10000.", 2)

    async def work(store: Store, config: Config) -> None:
        now = datetime.now(UTC)
        chosen = Selection(ids=(MessageId(name),)) if is_message_id(name) else await meant(store, name, now)
        if chosen is None:
            fail(f"Nothing waits for {name}; `smtpeter queue list` shows what does.")
        messages = await store.read(waiting_messages, WaitingQuery(chosen, now, limit))
        if chosen.ids and not messages:
            fail(f"{name} does not wait; `smtpeter message {name}` tells what became of it.")
        limits = [entry for _, entry in await stored_of(store, LimitEntry, now)]
        entries = all_limits(tuple(limits), way_out(config))
        views = await lanes_around(store, chosen, now, MAX_LANES)
        value = {
            "lanes": [{**shown_lane(v), "limits": shown_limits(limits_of(v.queue.lane, entries))} for v in views],
            "messages": messages,
        }
        parts = [_lane_text(view, limits_of(view.queue.lane, entries)) for view in views]
        parts.append(table(_MESSAGES, [_message_row(one, now) for one in messages]))
        show(common, value, "\n\n".join(parts))

    with_store(common, work)


def _row(view: LaneView) -> tuple[object, ...]:
    queue = view.queue
    return (
        queue.lane or _NO_LANE,
        queue.queued,
        queue.scheduled,
        queue.deferred,
        queue.delivering,
        queue.held,
        _time(queue.oldest_accepted),
        f"{view.connections}/{view.max_connections}",
        f"{view.sent:.3g}/{'-' if view.rate is None else f'{view.rate:.3g}'}",
        view.says,
        _short(view.last_reply),
    )


def _lane_text(view: LaneView, limits: Limits) -> str:
    said = [f"{name} {value}" for name, value in shown_limits(limits).items() if value is not None]
    lines = [
        f"lane        {view.queue.lane or _NO_LANE}",
        f"state       {view.says}{f': {view.reason}' if view.reason else ''}",
        f"messages    {view.queue.total} of {view.queue.accounts} accounts, the oldest of {_time(view.queue.oldest_accepted)}",
        f"next due    {_time(view.queue.next_due) or '-'}",
        f"limits      {', '.join(said)}",
    ]
    return "\n".join([*lines, f"last reply  {view.last_reply}"] if view.last_reply else lines)


def _message_row(one: WaitingMessage, now: datetime) -> tuple[object, ...]:
    due = "now" if one.due <= now else _time(one.due)
    state = one.state.value if one.pause is None else f"{one.state} by pause {one.pause}"
    return (one.id, one.recipient, state, due, one.attempt, _short(one.last_reply))


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:{TIME}}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_REPLY else line[: MAX_REPLY - 1] + "…"
