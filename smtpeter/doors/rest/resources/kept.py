"""The kinds of entry that an operator stores, as calls write and lists show them: pauses, limits, routes and rules.

What is stored goes before what is configured and shipped, which the lists show too.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from smtpeter.config.values import read_duration
from smtpeter.delivery.limits import shipped_limits
from smtpeter.delivery.verdict import shipped_rules
from smtpeter.doors.rest.call import Call
from smtpeter.doors.rest.declare import (
    Kind,
    Property,
    Reading,
    Schema,
    Table,
    wrong,
)
from smtpeter.doors.rest.kinds import BOOLEAN, list_of, number, text
from smtpeter.doors.rest.resources.queue import ACCOUNT, DOMAIN, LIMIT_SCHEMAS, NAME, TIME, in_text
from smtpeter.doors.rest.resources.values import MOMENT, visible
from smtpeter.doors.steering import LIMIT_BOUNDS, MAX_RULE, shown, shown_limits
from smtpeter.model.account import AccountId
from smtpeter.model.steering import Entry, LimitEntry, Limits, Pause, RouteEntry, RuleEntry, Steer, Stored

Listing = Callable[[Call, dict[AccountId, str]], Awaitable[list[dict[str, Any]]]]


@dataclass(frozen=True, slots=True)
class Kept:
    """A kind of entry at the door: how it is read from a call and listed, and what the door says of it."""

    kind: Steer
    path: str
    read: Callable[[Call, dict[str, Any]], Awaitable[Entry]]
    listing: Listing
    wish: Table
    members: dict[str, Any]
    says: str
    example: dict[str, Any]


# --- what a call may say ---


async def _read_pause(call: Call, given: dict[str, Any]) -> Entry:
    named = {name: given[name] for name in _CRITERIA if name in given}
    if bool(named) == given.get("all", False):
        raise wrong("all", f"Say which mail with `{'`, `'.join(_CRITERIA)}`; or `all`: true, alone.")
    if "account" in named:
        named["account"] = await call.gateway.operating.account(given["account"])
        if named["account"] is None:
            raise wrong("account", f"There is no account {given['account'][:100]!r}.")
    if "for" in given and "until" in given:
        raise wrong("until", "Give `for` or `until`, not both.")
    until = given.get("until")
    if "for" in given:
        until = call.gateway.operating.now() + given["for"]
    return Pause(**named, reason=given.get("reason", ""), until=until)


async def _read_limit(call: Call, given: dict[str, Any]) -> Entry:
    limits = Limits(**{name: given[name] for name in LIMIT_BOUNDS if name in given})
    return LimitEntry(given["target"], limits, given.get("pool", ""))


async def _read_route(call: Call, given: dict[str, Any]) -> Entry:
    return RouteEntry(**{name: given[name] for name in _ROUTE if name in given})


async def _read_rule(call: Call, given: dict[str, Any]) -> Entry:
    return RuleEntry(given["text"])


# --- what the lists show ---


async def _list_pauses(call: Call, names: dict[AccountId, str]) -> list[dict[str, Any]]:
    return [show_entry(stored, names) for stored, _ in await call.gateway.operating.stored(Pause)]


async def _list_limits(call: Call, names: dict[AccountId, str]) -> list[dict[str, Any]]:
    way_out = call.gateway.operating.way_out
    found = [show_entry(stored, names) for stored, _ in await call.gateway.operating.stored(LimitEntry)]
    for origin, entries in (("configured", way_out.limits), ("shipped", shipped_limits())):
        found += [
            {"id": None, "from": origin, "target": one.target, "pool": one.pool, **shown_limits(one.limits)}
            for one in entries
        ]
    return found


async def _list_routes(call: Call, names: dict[AccountId, str]) -> list[dict[str, Any]]:
    found = [show_entry(stored, names) for stored, _ in await call.gateway.operating.stored(RouteEntry)]
    for route in call.gateway.operating.way_out.routes:
        found.append({"id": None, "from": "configured", "position": None, **{n: getattr(route, n) for n in _ROUTE}})
    return found


async def _list_rules(call: Call, names: dict[AccountId, str]) -> list[dict[str, Any]]:
    found = [show_entry(stored, names) for stored, _ in await call.gateway.operating.stored(RuleEntry)]
    for origin, rules in (("configured", call.gateway.operating.way_out.rules), ("shipped", shipped_rules())):
        found += [{"id": None, "from": origin, "position": None, "name": rule.name, "text": None} for rule in rules]
    return found


def show_entry(stored: Stored, names: dict[AccountId, str]) -> dict[str, Any]:
    value = in_text(shown(stored, names))
    return value if isinstance(stored.entry, Pause) else {"from": "stored", **value}


# --- declarations ---


def _read_span(value: Any, name: str, reading: Reading) -> timedelta:
    given = (
        int(value) if reading.is_form and isinstance(value, str) and value.isdecimal() and len(value) < 10 else value
    )
    try:
        span = read_duration(given)
    except (ValueError, OverflowError) as fault:
        raise wrong(name, f"`{name}` {fault}.") from None
    if span > _LONGEST:
        raise wrong(name, f"`{name}` must be at most {_LONGEST.days} days.")
    return span


_LONGEST = timedelta(days=3650)
_SPAN = Kind({"type": ["string", "integer"]}, _read_span)
_POOL = Property("pool", visible(1, 63, has_blanks=False), "The pool of local addresses that it leaves from.", "bulk")
_STREAM = Property("stream", visible(1, 200, has_blanks=False), "The stream of the message.", "bulk")
_TARGET = "A provider's name, a mail host, `*.example.com`, a whole lane, or `*`."
_POSITION = Property(
    "position", number(-(10**6), 10**6), "Its place among the stored ones; behind all of them when absent.", 1
)
_LIMIT_SAYS = {
    "connections": ("Most connections at once.", 10),
    "messages_per_connection": ("Messages after which a connection is closed.", 100),
    "per_second": ("Most messages in a second; 0: no limit.", 10),
    "per_minute": ("Most messages in a minute; 0: no limit.", 600),
    "per_hour": ("Most messages in an hour; 0: no limit.", 20_000),
}
_PAUSE_WISH = Table(
    Property(
        "lane", NAME, "A lane, a provider or a mail host; or a domain that has mail waiting: its lanes.", "google"
    ),
    DOMAIN,
    _POOL,
    Property("address", visible(1, 45, has_blanks=False), "The local address that it would leave from.", "192.0.2.7"),
    ACCOUNT,
    _STREAM,
    Property("tag", visible(1, 200), "A tag that the message has.", "october"),
    Property("all", BOOLEAN, "All mail of the installation.", True),
    Property("reason", visible(1, 200), "Why, in a few words.", "they are in trouble"),
    Property(
        "for", _SPAN, "How long, as `90s`, `30m`, `2h`, `1d` or in seconds; until it is removed when absent.", "2h"
    ),
    Property("until", MOMENT, "When it ends, instead of `for`.", "2027-01-31 18:30:00"),
    example={"lane": "google", "for": "2h", "reason": "they are in trouble"},
)
_CRITERIA = ("lane", "domain", "pool", "address", "account", "stream", "tag")
_LIMIT_WISH = Table(
    Property("target", NAME, _TARGET, "google", is_required=True),
    _POOL,
    *[Property(name, number(*LIMIT_BOUNDS[name]), *says) for name, says in _LIMIT_SAYS.items()],
    Property("recovery", _SPAN, "How long a rate that was halved after push-back takes to be whole.", "10m"),
    example={"target": "google", "connections": 10, "per_minute": 600},
)
_ROUTE = ("recipient", "sender", "stream", "account", "via", "pool")
_ROUTE_WISH = Table(
    Property("recipient", visible(1, 320), "`example.com`, `*.example.com` or `name@example.com`.", "*.example.org"),
    Property("sender", visible(1, 255), "The From domain, `example.com` or `*.example.com`.", "example.com"),
    _STREAM,
    ACCOUNT,
    Property(
        "via",
        list_of(visible(1, 63, has_blanks=False), most=20, fewest=1),
        "Smart hosts by name, each tried when those before fail; or `mx`, `discard`, `capture`.",
        ["backup"],
    ),
    _POOL,
    _POSITION,
    example={"recipient": "*.example.org", "via": ["backup"]},
)
_RULE = '[[rule]]\nname = "busy"\ncode = "4.."\ntext = "too busy"\nverdict = "retry"\nscope = "lane"\neffect = "slow"\n'
_RULE_WISH = Table(
    Property("text", text(most=MAX_RULE), "One `[[rule]]` table, as those that are shipped.", _RULE, is_required=True),
    _POSITION,
    example={"text": _RULE},
)
_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["string", "null"]}
_NUMBER_OR_NONE: Schema = {"type": ["integer", "null"], "description": "Null when it is not stored."}
_FROM: Schema = {"type": "string", "enum": ["stored", "configured", "shipped"]}
_PLACE = {"id": _NUMBER_OR_NONE, "from": _FROM}
KEPT = (
    Kept(
        Steer.PAUSE,
        "queue/pauses",
        _read_pause,
        _list_pauses,
        _PAUSE_WISH,
        {"id": {"type": "integer"}, **dict.fromkeys((*_CRITERIA, "reason"), _TEXT), "until": TIME, "created": TIME},
        "what holds mail back",
        {"id": 7, **dict.fromkeys(_CRITERIA, ""), "lane": "google", "reason": "", "until": None, "created": None},
    ),
    Kept(
        Steer.LIMIT,
        "queue/limits",
        _read_limit,
        _list_limits,
        _LIMIT_WISH,
        {**_PLACE, "target": _TEXT, "pool": _TEXT, **LIMIT_SCHEMAS},
        "how fast mail goes where",
        {"id": 7, "from": "stored", "target": "google", "pool": "", **shown_limits(Limits(10, per_minute=600))},
    ),
    Kept(
        Steer.ROUTE,
        "queue/routes",
        _read_route,
        _list_routes,
        _ROUTE_WISH,
        {
            **_PLACE,
            "position": _NUMBER_OR_NONE,
            **dict.fromkeys(_ROUTE, _TEXT),
            "via": {"type": "array", "items": _TEXT},
        },
        "where mail goes",
        {"id": 7, "from": "stored", "position": 1, **dict.fromkeys(_ROUTE, ""), "via": ["backup"]},
    ),
    Kept(
        Steer.RULE,
        "queue/rules",
        _read_rule,
        _list_rules,
        _RULE_WISH,
        {**_PLACE, "position": _NUMBER_OR_NONE, "text": _MAYBE},
        "how replies are judged",
        {"id": 7, "from": "stored", "position": 1, "text": _RULE},
    ),
)
