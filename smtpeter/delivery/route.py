"""Where a message goes, and from which local addresses: the routing table, and the lanes that follow from it.

The table is a list. The first rule that fits a message and has a route decides where it goes: to the mail hosts of its
domain when there is none. The first that fits and has a pool decides from which local addresses: whichever the system
chooses when there is none. A route and a pool name a lane, the key under which pace and connections are shared.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from msgspec import Struct

from smtpeter.config import matches
from smtpeter.delivery.site import Providers, join_lane, site_lane
from smtpeter.model.account import AccountId
from smtpeter.model.message import DISCARD_LANE, Message
from smtpeter.model.steering import RouteEntry
from smtpeter.world.seams import MxHost


@dataclass(frozen=True, slots=True)
class Mx:
    """To the mail hosts of the recipient's domain (RFC 5321 5.1)."""


@dataclass(frozen=True, slots=True)
class SmartHost:
    """One host that takes whatever the recipient is. `tls` is none, opportunistic, required or verified."""

    host: str
    port: int
    tls: str = "opportunistic"
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SmartHosts:
    """To the first of these hosts that can be reached and wants us."""

    hosts: tuple[SmartHost, ...]
    site: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = ",".join([f"{host.host}:{host.port}" for host in self.hosts])
        object.__setattr__(self, "site", f"smarthost:{places}")


@dataclass(frozen=True, slots=True)
class Capture:
    """To the built-in sink, over real SMTP."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Discard:
    """Nowhere: delivered at once, for load tests and sandboxes."""


Route = Mx | SmartHosts | Capture | Discard


class Way(Struct, frozen=True):
    """Where a message goes, and from which pool of local addresses; "": whichever the system chooses."""

    route: Route
    pool: str = ""


class Facts(Struct, frozen=True):
    """What the routing table looks at. `recipient` is the address, `domain` its domain, `sender_domain` that of From."""

    recipient: str
    domain: str
    sender_domain: str
    account: AccountId
    stream: str


class Rule(Struct, frozen=True):
    """One line of the table: patterns ("" or None: any), and what it decides. `route` None: where is not decided here.

    `recipient` is a pattern as `example.com`, `*.example.com`, `name@example.com` or `*`, `sender` one of domains.
    """

    recipient: str = ""
    sender: str = ""
    stream: str = ""
    account: AccountId | None = None
    route: Route | None = None
    pool: str = ""

    def fits(self, facts: Facts) -> bool:
        """True when all that is given holds."""
        return (
            (not self.recipient or self.recipient == "*" or _covers(self.recipient, facts))
            and (not self.stream or self.stream == facts.stream)
            and (self.account is None or self.account == facts.account)
            and (not self.sender or matches(self.sender, "", facts.sender_domain))
        )


def facts_of(message: Message) -> Facts:
    """Gives what the routing table looks at of a message."""
    recipient = message.recipient
    return Facts(recipient.address, recipient.domain, message.from_domain, message.account, message.options.stream)


_BY_MX = Way(Mx())


def choose(rules: tuple[Rule, ...], facts: Facts) -> Way:
    """Gives where a message goes and from which pool."""
    route: Route | None = None
    pool = ""
    for rule in rules:
        # a rule that could decide nothing more need not be matched
        if ((route is None and rule.route is not None) or (not pool and rule.pool)) and rule.fits(facts):
            route = route or rule.route
            pool = pool or rule.pool
            if route is not None and pool:
                break
    return _BY_MX if route is None and not pool else Way(route or _BY_MX.route, pool)


def fixed_lane(way: Way) -> str | None:
    """Gives the lane of a way, or None when only DNS can tell it. The sink and nowhere have no pools."""
    match way.route:
        case Mx():
            return None
        case SmartHosts(site=site):
            return join_lane(site, way.pool)
        case Capture(host, port):
            return f"capture:{host}:{port}"
        case Discard():
            return DISCARD_LANE
        case _:
            assert_never(way.route)


def lane_of(way: Way, hosts: tuple[MxHost, ...], providers: Providers) -> str:
    """Gives the lane of a way by MX, for a domain with these mail hosts."""
    return join_lane(site_lane(hosts, providers), way.pool)


def rules_of(
    entries: Iterable[RouteEntry],
    routes: Mapping[str, Route],
    accounts: Mapping[str, AccountId],
    pools: Container[str] | None = None,
) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
    """Makes the table: the rules, and a sentence for each entry that is left out because it names something unknown.

    `routes` are those that an entry may name in `via`; several smart hosts become one route. `pools` None: any.
    """
    rules: list[Rule] = []
    complaints: list[str] = []
    for entry in entries:
        complaint = _complaint(entry, routes, accounts, pools)
        if complaint:
            complaints.append(f"{_shown(entry)} {complaint}")
            continue
        account = accounts[entry.account] if entry.account else None
        route = _joined([routes[via] for via in entry.via])
        rules.append(Rule(entry.recipient, entry.sender, entry.stream, account, route, entry.pool))
    return tuple(rules), tuple(complaints)


def _complaint(
    entry: RouteEntry, routes: Mapping[str, Route], accounts: Mapping[str, AccountId], pools: Container[str] | None
) -> str:
    """Tells why an entry cannot be a rule; "" when it can."""
    if entry.account and entry.account not in accounts:
        return f"names the account {entry.account}, which there is not"
    for via in entry.via:
        if via not in routes:
            return f"names {via}, which is neither a smart host nor a way of its own"
        if len(entry.via) > 1 and not isinstance(routes[via], SmartHosts):
            return f"names {via} beside others; only smart hosts can stand in for each other"
    if entry.pool and pools is not None and entry.pool not in pools:
        return f"names the pool {entry.pool}, which there is not"
    return ""


def _joined(routes: list[Route]) -> Route | None:
    if len(routes) > 1:
        return SmartHosts(tuple(host for route in routes if isinstance(route, SmartHosts) for host in route.hosts))
    return routes[0] if routes else None


def _shown(entry: RouteEntry) -> str:
    given = {"recipient": entry.recipient, "sender": entry.sender, "stream": entry.stream, "account": entry.account}
    return f"the route for {', '.join(f'{name} {value}' for name, value in given.items() if value) or 'everything'}"


def _covers(pattern: str, facts: Facts) -> bool:
    return matches(pattern, facts.recipient.rpartition("@")[0] if "@" in pattern else "", facts.domain)
