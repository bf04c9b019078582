"""What an operator may store: pauses, limits, routes and rules, checked the same way by every door.

Raises Unusable, which names the property at fault and says how to mend it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar, assert_never

from smtpeter.config import Delivery, LimitLine, RouteLine, Via
from smtpeter.config.values import KINDS, nearest, read_domain_pattern, read_ip, read_pattern, read_target
from smtpeter.delivery.limits import shipped_limits
from smtpeter.delivery.verdict import Rule, read_rows, read_rules, shipped_rules
from smtpeter.doors.queue import in_ascii, lanes_of_domain
from smtpeter.model.account import AccountId
from smtpeter.model.steering import Entry, LimitEntry, Limits, Pause, RouteEntry, RuleEntry, Steer, Stored, kind_of
from smtpeter.store.accounts import account_named
from smtpeter.store.steering import EntryKey, NewEntry, put_entry, remove_entry, steering
from smtpeter.store.store import Store
from smtpeter.world.log import log

MAX_TEXT = 200  # of a reason or tag
MAX_RULE = 10_000
_TOPIC = "steering"  # of nudges

E = TypeVar("E", Pause, LimitEntry, RouteEntry, RuleEntry)


class Unusable(ValueError):
    """An entry that cannot be stored; `field` is the property at fault, the text a sentence."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True, slots=True)
class WayOut:
    """What the configuration says of the way out. `destinations` and `pools` None: not known here, so not checked.

    `destinations` are the names of smart hosts; `limits`, `routes` and `rules` go behind what is stored.
    """

    limits: tuple[LimitEntry, ...] = ()
    routes: tuple[RouteEntry, ...] = ()
    rules: tuple[Rule, ...] = ()
    generic: Limits = Limits()
    destinations: frozenset[str] | None = None
    pools: frozenset[str] | None = None


NOT_CONFIGURED = WayOut()


def way_out_of(delivery: Delivery) -> WayOut:
    """Gives what the configuration says. Raises ValueError for rules that cannot be read."""
    return WayOut(
        limits=tuple(map(_limit_of, delivery.limits)),
        routes=tuple(map(_route_of, delivery.routes)),
        rules=read_rows(delivery.rules),
        generic=Limits(delivery.concurrency_per_lane, delivery.messages_per_connection),
        destinations=frozenset(delivery.smart_hosts),
        pools=frozenset(delivery.pools),
    )


def all_limits(stored: tuple[LimitEntry, ...], way_out: WayOut) -> tuple[LimitEntry, ...]:
    """Gives all limits in the order in which they count."""
    return (*stored, *way_out.limits, *shipped_limits(), LimitEntry("*", way_out.generic))


def all_rules(stored: tuple[RuleEntry, ...], way_out: WayOut) -> tuple[Rule, ...]:
    """Gives all rules in the order in which they count."""
    own = [rule for entry in stored for rule in rules_in(entry)]
    return (*own, *way_out.rules, *shipped_rules())


def rules_in(entry: RuleEntry) -> tuple[Rule, ...]:
    """Reads a stored rule; none when it was written for another release, which workers say in their log."""
    try:
        return read_rules(entry.text)
    except ValueError:
        return ()


def _limit_of(line: LimitLine) -> LimitEntry:
    return LimitEntry(line.target, Limits(**{f.name: getattr(line, f.name) for f in fields(Limits)}), line.pool)


def _route_of(line: RouteLine) -> RouteEntry:
    return RouteEntry(line.recipient, line.sender, line.stream, line.account, line.via, line.pool)


async def keep(store: Store, entry: Entry, way_out: WayOut, now: datetime, position: int | None = None) -> Stored:
    """Stores an entry, and tells the other processes. Raises Unusable."""
    if isinstance(entry, Pause) and entry.until is not None and entry.until <= now:
        raise Unusable("until", "The end of a pause must be a time to come.")
    stored = await store.write(put_entry, NewEntry(await checked(store, entry, way_out), now, position))
    store.announce(_TOPIC)
    return stored


async def forget(store: Store, kind: Steer, id: int) -> Stored | None:
    """Removes an entry, tells the other processes, and gives it; None when there is none."""
    removed = await store.write(remove_entry, EntryKey(kind, id))
    store.announce(_TOPIC)
    return removed


def log_stored(stored: Stored, accounts: Mapping[AccountId, str], who: str) -> None:
    """Logs that an entry was stored, and by whom."""
    log(_STORED[kind_of(stored.entry)], who=who, **shown(stored, accounts))


def log_removed(stored: Stored, accounts: Mapping[AccountId, str], who: str) -> None:
    """Logs that an entry was removed, and by whom."""
    log(_REMOVED[kind_of(stored.entry)], who=who, **shown(stored, accounts))


_STORED = {
    Steer.PAUSE: "queue.paused",
    Steer.LIMIT: "queue.limit_set",
    Steer.ROUTE: "queue.route_added",
    Steer.RULE: "queue.rule_added",
}
_REMOVED = {
    Steer.PAUSE: "queue.resumed",
    Steer.LIMIT: "queue.limit_unset",
    Steer.ROUTE: "queue.route_removed",
    Steer.RULE: "queue.rule_removed",
}


async def stored_of(store: Store, kind: type[E], now: datetime) -> list[tuple[Stored, E]]:
    """Gives the entries of a kind, in their order."""
    found = (await store.read(steering, now)).entries
    return [(stored, stored.entry) for stored in found if isinstance(stored.entry, kind)]


async def pauses_of_lane(store: Store, pause: Pause, now: datetime) -> list[Pause]:
    """Gives the pauses that a wish comes to: where its lane is a domain that has mail waiting, one for each of its lanes."""
    if not pause.lane or ":" in pause.lane:
        return [pause]
    found = await lanes_of_domain(store, pause.lane, now)
    return [replace(pause, lane=lane) for lane in found] or [pause]


def shown(stored: Stored, accounts: Mapping[AccountId, str]) -> dict[str, Any]:
    """Gives an entry as the doors show it; `accounts` are names by number. Times are datetimes."""
    match stored.entry:
        case Pause() as pause:
            name = "" if pause.account is None else accounts.get(pause.account, str(pause.account))
            about = {**_members(pause), "account": name, "created": stored.created}
        case LimitEntry() as entry:
            about = {"target": entry.target, "pool": entry.pool, **shown_limits(entry.limits)}
        case RouteEntry() as route:
            about = {"position": stored.position, **_members(route)}
        case RuleEntry() as rule:
            about = {"position": stored.position, **_members(rule)}
        case _:
            assert_never(stored.entry)
    return {"id": stored.id, **about}


def shown_limits(limits: Limits) -> dict[str, Any]:
    """Gives limits as the doors show them, spans as `10m`."""
    recovery = None if limits.recovery is None else span(limits.recovery)
    return {**_members(limits), "recovery": recovery}


def _members(value: Any) -> dict[str, Any]:
    return {member.name: getattr(value, member.name) for member in fields(value)}


async def checked(store: Store, entry: Entry, way_out: WayOut) -> Entry:
    """Gives an entry in its normal form. Raises Unusable."""
    match entry:
        case Pause():
            return _pause(entry, way_out)
        case LimitEntry():
            return _limit(entry, way_out)
        case RouteEntry():
            if entry.account and await store.read(account_named, entry.account) is None:
                raise Unusable("account", f"There is no account {entry.account!r}.")
            return _route(entry, way_out)
        case RuleEntry():
            return _rule(entry)
        case _:
            assert_never(entry)


def _pause(pause: Pause, way_out: WayOut) -> Pause:
    _check_pool(pause.pool, way_out)
    for name, text in (("reason", pause.reason), ("tag", pause.tag)):
        if len(text) > MAX_TEXT or not text.isprintable():
            raise Unusable(
                name, f"The {name} must have at most {MAX_TEXT} characters, none of them a control character."
            )
    _check_stream(pause.stream)
    return replace(
        pause,
        lane=_read("lane", pause.lane, read_target),
        domain=_read("domain", in_ascii(pause.domain), read_domain_pattern),
        address=_read("address", pause.address, read_ip),
    )


def _limit(entry: LimitEntry, way_out: WayOut) -> LimitEntry:
    if not entry.target:
        raise Unusable("target", "The target is missing: a provider, a mail host, *.example.com, a lane, or *.")
    _check_pool(entry.pool, way_out)
    if entry.limits == Limits():
        raise Unusable("", "Say at least one limit.")
    for name, (low, high) in LIMIT_BOUNDS.items():
        value = getattr(entry.limits, name)
        if value is not None and not low <= value <= high:
            raise Unusable(name, f"{name} must be from {span(low)} to {span(high)}.")
    return replace(entry, target=_read("target", entry.target, read_target))


def _route(entry: RouteEntry, way_out: WayOut) -> RouteEntry:
    if not entry.via and not entry.pool:
        raise Unusable("via", "Say where the mail goes (via), or the pool that it leaves from.")
    _check_pool(entry.pool, way_out)
    _check_stream(entry.stream)
    ways = tuple(map(str, Via))
    for name in entry.via:
        if name in ways and len(entry.via) > 1:
            raise Unusable("via", f"{name} must stand alone; only smart hosts can stand in for each other.")
        if way_out.destinations is not None and name not in (*ways, *way_out.destinations):
            known = [*ways, *sorted(way_out.destinations)]
            raise Unusable("via", f"There is no {name!r} among {', '.join(known)}{nearest(name, known) or '.'}")
    return replace(
        entry,
        recipient=_read("recipient", entry.recipient, read_pattern),
        sender=_read("sender", entry.sender, read_domain_pattern),
    )


def _rule(entry: RuleEntry) -> RuleEntry:
    if len(entry.text) > MAX_RULE:
        raise Unusable("text", f"A rule has at most {MAX_RULE} characters.")
    text = entry.text if "[[rule]]" in entry.text else f"[[rule]]\n{entry.text}"
    try:
        rules = read_rules(text)
        text.encode()
    except ValueError as wrong:
        raise Unusable("text", f"The rule cannot be read: {str(wrong).removesuffix('.')}.") from None
    if len(rules) != 1:
        raise Unusable("text", f"Give one [[rule]] table; there are {len(rules)}.")
    return RuleEntry(text)


def span(value: timedelta | int) -> str:
    """Gives a span of time as `10m`, as people write it; a number stays one."""
    return KINDS[type(value)].show(value).strip('"')


def _read(name: str, text: str, reader: Callable[[object], str]) -> str:
    """Gives a text in its normal form; "" stays, which is nothing said. Raises Unusable."""
    if not text:
        return ""
    try:
        return str(reader(text))
    except ValueError as wrong:
        raise Unusable(name, f"{name} {wrong}.") from None


def _check_pool(pool: str, way_out: WayOut) -> None:
    if pool and way_out.pools is not None and pool not in way_out.pools:
        raise Unusable("pool", f"There is no pool {pool!r} in the configuration{nearest(pool, way_out.pools) or '.'}")


def _check_stream(stream: str) -> None:
    if len(stream) > MAX_TEXT or not stream.isprintable():
        raise Unusable("stream", "The stream must be the name of one.")


def _bounds() -> dict[str, tuple[Any, Any]]:
    """Gives the bounds of each limit, as the configuration has them."""
    lines: Mapping[str, Any] = {line.name: line.metadata["about"] for line in fields(LimitLine)}
    return {limit.name: (lines[limit.name].low, lines[limit.name].high) for limit in fields(Limits)}


LIMIT_BOUNDS = _bounds()
