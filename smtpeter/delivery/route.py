"""Where a message goes: by MX, to a smart host, into the capture sink, or nowhere.

The routing table is a list in the configuration; the first entry whose pattern fits the recipient decides, and what
fits none goes by MX. A route names its lane: the key under which pace and connections are shared.
"""

from dataclasses import dataclass
from typing import assert_never

from smtpeter.config import matches
from smtpeter.model.message import DISCARD_LANE
from smtpeter.world.seams import MxHost


@dataclass(frozen=True, slots=True)
class Mx:
    """To the mail hosts of the recipient's domain (RFC 5321 5.1)."""


@dataclass(frozen=True, slots=True)
class SmartHost:
    """To one host, whoever the recipient is. `tls` is none, opportunistic, required or verified."""

    host: str
    port: int
    tls: str = "opportunistic"
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"SmartHost(host={self.host!r}, port={self.port})"


@dataclass(frozen=True, slots=True)
class Capture:
    """To the built-in sink, over real SMTP."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Discard:
    """Nowhere: delivered at once, for load tests and sandboxes."""


Route = Mx | SmartHost | Capture | Discard


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of the table: a recipient pattern (`example.com`, `*.example.com`, `name@example.com`, `*`) and a route."""

    pattern: str
    route: Route


def choose(rules: tuple[Rule, ...], recipient: str) -> Route:
    """Gives the route of the first rule that fits the recipient's address, else MX."""
    local, _, domain = recipient.rpartition("@")
    for rule in rules:
        if rule.pattern == "*" or matches(rule.pattern, local, domain):
            return rule.route
    return Mx()


def fixed_lane(route: Route) -> str | None:
    """Gives the lane of a route, or None when only DNS can tell it."""
    match route:
        case Mx():
            return None
        case SmartHost(host, port):
            return f"smarthost:{host}:{port}"
        case Capture(host, port):
            return f"capture:{host}:{port}"
        case Discard():
            return DISCARD_LANE
        case _:
            assert_never(route)


def site_lane(hosts: tuple[MxHost, ...]) -> str:
    """Gives the lane of a destination site: domains with the same best mail hosts share it."""
    best = min(host.preference for host in hosts)
    return "mx:" + ",".join(sorted({host.name for host in hosts if host.preference == best}))
