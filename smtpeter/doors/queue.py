"""The queue for an operator, as every door shows and moves it: lanes with how they go, flushing and dropping in steps.

A lane may be named in short: by a whole lane, a recipient domain that has mail waiting (its lanes are meant), a provider,
a mail host or `*.example.com`.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from smtpeter.delivery.limits import target_fits
from smtpeter.delivery.site import split_lane
from smtpeter.model.address import AddressError, parse_domain
from smtpeter.model.message import MessageId
from smtpeter.model.steering import LaneReport, Pause, Stored
from smtpeter.store.flush import Flush, flush
from smtpeter.store.lane_reports import lane_reports
from smtpeter.store.steering import steering
from smtpeter.store.store import Store
from smtpeter.store.waiting import MAX_IDS, IdsQuery, LaneQueue, LanesQuery, Selection, WaitingState, lanes, waiting_ids
from smtpeter.store.withdraw import Drop, drop

STEP = 1000  # messages that change in one commit
MAX_LANES = 100_000  # that one look at the queue goes through

_CAN_BE_FLUSHED = frozenset({WaitingState.DEFERRED})
_CAN_BE_DROPPED = frozenset(WaitingState) - {WaitingState.DELIVERING}


class LaneState(StrEnum):
    """How a lane goes, the first that holds."""

    PAUSED = "paused"  # an operator holds all of it back
    RESTING = "resting"  # it waits by itself, after trouble
    SLOWED = "slowed"  # it goes more slowly than it may
    OK = "ok"


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane over all processes. Rates are messages a minute; `rate` is the one in force, None without a limit.

    What workers said in the last minute; zeros when none of them has the lane at present.
    """

    queue: LaneQueue
    state: LaneState
    connections: int
    max_connections: int
    rate: float | None
    sent: float
    resting_until: datetime | None
    reason: str
    last_reply: str
    pause: int | None

    @property
    def says(self) -> str:
        """The state in a few words."""
        match self.state:
            case LaneState.RESTING:
                return f"resting until {self.resting_until:%H:%M:%S}"
            case LaneState.SLOWED:
                return "slowed" if self.rate is None else f"slowed to {self.rate:.3g}/min"
            case LaneState.PAUSED:
                return f"paused ({self.pause})"
            case LaneState.OK:
                return "ok"


@dataclass(frozen=True, slots=True)
class Moved:
    """How many messages were flushed or dropped; `is_all`: there were no more to look at."""

    count: int
    is_all: bool


async def lane_views(store: Store, chosen: Selection, now: datetime, limit: int) -> list[LaneView]:
    """Gives the lanes where something of the selection waits, the largest first."""
    reports = await store.read(lane_reports, now)
    entries = (await store.read(steering, now)).entries
    found = await store.read(lanes, LanesQuery(chosen, now, limit))
    return [_view(queue, reports.get(queue.lane, ()), pause_of_lane(entries, queue.lane), now) for queue in found]


def pause_of_lane(entries: Iterable[Stored], lane: str) -> Stored | None:
    """Gives the pause that holds back all mail of a lane."""
    for stored in entries:
        pause = stored.entry
        if (
            isinstance(pause, Pause)
            and not (pause.domain or pause.address or pause.account is not None or pause.stream or pause.tag)
            and (not pause.lane or target_fits(pause.lane, lane))
            and (not pause.pool or split_lane(lane)[1] == pause.pool)
        ):
            return stored
    return None


def _view(queue: LaneQueue, reports: Iterable[LaneReport], pause: Stored | None, now: datetime) -> LaneView:
    told = list(reports)
    rates = [one.rate_per_minute for one in told if one.rate_per_minute is not None and one.max_connections]
    resting = max((one.resting_until for one in told if one.resting_until is not None), default=None)
    resting = resting if resting is not None and resting > now else None
    reason = next((one.reason for one in told if one.reason), "")
    if pause is not None:
        state = LaneState.PAUSED
    elif resting is not None:
        state = LaneState.RESTING
    else:
        state = LaneState.SLOWED if reason else LaneState.OK
    return LaneView(
        queue=queue,
        state=state,
        connections=sum(one.connections for one in told),
        max_connections=sum(one.max_connections for one in told),
        rate=sum(rates) if rates else None,
        sent=sum(one.sent_per_minute for one in told),
        resting_until=resting,
        reason=reason,
        last_reply=next((one.last_reply for one in told if one.last_reply), ""),
        pause=None if pause is None else pause.id,
    )


async def lanes_meant(store: Store, name: str, now: datetime) -> tuple[str, ...]:
    """Gives the lanes with waiting mail that a name stands for; one that is written as a lane stands for itself."""
    if ":" in name:
        return (name,)
    if of_domain := await lanes_of_domain(store, name, now):
        return of_domain
    found = await store.read(lanes, LanesQuery(Selection(), now, MAX_LANES))
    return tuple(one.lane for one in found if one.lane and target_fits(name, one.lane))


async def lanes_of_domain(store: Store, domain: str, now: datetime) -> tuple[str, ...]:
    """Gives the lanes that the waiting messages to a domain have, the largest first."""
    found = await store.read(lanes, LanesQuery(Selection(domain=in_ascii(domain)), now))
    return tuple(one.lane for one in found if one.lane)


async def meant(store: Store, name: str, now: datetime) -> Selection | None:
    """Gives the waiting mail that a name stands for: to a domain, or in lanes; None when there is none."""
    for_domain = Selection(domain=in_ascii(name))
    if await store.read(lanes, LanesQuery(for_domain, now, 1)):
        return for_domain
    in_lanes = Selection(await lanes_meant(store, name, now))
    found = await store.read(lanes, LanesQuery(in_lanes, now, 1)) if in_lanes.lanes else []
    return in_lanes if found else None


async def lanes_around(store: Store, chosen: Selection, now: datetime, limit: int) -> list[LaneView]:
    """Gives the whole lanes in which something of the selection waits, the largest first."""
    found = await store.read(lanes, LanesQuery(chosen, now, limit))
    names = tuple(one.lane for one in found if one.lane)
    return await lane_views(store, Selection(names), now, limit) if names else []


def shown_lane(view: LaneView) -> dict[str, Any]:
    """Gives a lane as the doors show it. Times are datetimes."""
    queue = view.queue
    return {
        "lane": queue.lane,
        **{state.value: getattr(queue, state.value) for state in WaitingState},
        "accounts": queue.accounts,
        "oldest_accepted": queue.oldest_accepted,
        "next_due": queue.next_due,
        "state": view.state.value,
        "connections": view.connections,
        "max_connections": view.max_connections,
        "rate_per_minute": view.rate,
        "sent_per_minute": view.sent,
        "resting_until": view.resting_until,
        "pause": view.pause,
        "reason": view.reason,
        "last_reply": view.last_reply,
    }


async def flush_all(store: Store, chosen: Selection, now: datetime, most: int | None = None) -> Moved:
    """Makes what is deferred in the selection due now, looking at `most` messages at most."""
    count = seen = 0
    async for ids in _steps(store, chosen, now, _CAN_BE_FLUSHED):
        if most is not None and seen >= most:
            return Moved(count, False)
        count += await store.write(flush, Flush(ids, now))
        store.announce("due")
        seen += len(ids)
    store.announce("wake")
    return Moved(count, True)


async def drop_all(store: Store, chosen: Selection, reason: str, now: datetime, most: int | None = None) -> Moved:
    """Cancels what stands still in the selection, looking at `most` messages at most."""
    count = seen = 0
    async for ids in _steps(store, chosen, now, _CAN_BE_DROPPED):
        if most is not None and seen >= most:
            return Moved(count, False)
        count += await store.write(drop, Drop(ids, now, reason))
        seen += len(ids)
    return Moved(count, True)


async def droppable(store: Store, chosen: Selection, now: datetime) -> int:
    """Gives how many messages `drop_all` would cancel at this moment."""
    found = await store.read(lanes, LanesQuery(chosen, now, MAX_LANES))
    return sum(one.total - one.delivering for one in found)


def in_ascii(pattern: str) -> str:
    """Gives a domain, or a pattern of domains, as it is on the wire (A-labels); what is neither stays as it is."""
    wild = "*." if pattern.startswith("*.") else ""
    try:
        return wild + parse_domain(pattern.removeprefix(wild))
    except AddressError:
        return pattern


async def _steps(
    store: Store, chosen: Selection, now: datetime, states: frozenset[WaitingState]
) -> AsyncIterator[tuple[MessageId, ...]]:
    """Gives the ids of a selection, each once, as many at a time as one commit takes."""
    after = ""
    while True:
        found = await store.read(waiting_ids, IdsQuery(chosen, now, states, after))
        for start in range(0, len(found), STEP):
            yield tuple(found[start : start + STEP])
        if len(found) < MAX_IDS:
            return
        after = found[-1]
