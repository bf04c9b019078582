"""The hosts that a route leads to, in the order in which they are tried, and whom an open connection may serve.

Domains of one site share its connections. What shares a lane need not have all hosts in common, though: a provider's hosts
serve different domains each, and a domain's second choice is its own. So a kept connection carries a message only when its
host is known to serve the domain.
"""

from typing import assert_never

from msgspec import Struct

from smtpeter.delivery.errand import Errand, Misrouted
from smtpeter.delivery.pools import LocalAddress
from smtpeter.delivery.route import Capture, Discard, Mx, Route, SmartHost, SmartHosts, lane_of
from smtpeter.delivery.site import hosts_of, split_lane
from smtpeter.wire.smtp_client import RelayLogin
from smtpeter.wire.smtp_steps import TlsPolicy
from smtpeter.world.connection import Connection
from smtpeter.world.seams import MxHost

SMTP_PORT = 25


class Place(Struct, frozen=True):
    """One host to try. `tls` and `login` as the route has them; `is_found`: its address comes from somebody's DNS."""

    name: str
    port: int
    tls: TlsPolicy
    login: RelayLogin | None
    is_found: bool


class PlaceConnection(Connection):
    """A connection with what is known about it here: its place, our address, and whom its host serves.

    Use `know` before anything else; `open` of the class above knows nothing of all this.
    """

    __slots__ = ("domains", "local", "place", "route")

    place: Place
    local: LocalAddress
    route: Route  # of the last message
    domains: set[str]  # of recipients, by MX

    def know(self, place: Place, local: LocalAddress, errand: Errand) -> None:
        """Takes down for whom the connection was made."""
        self.place = place
        self.local = local
        self.route = errand.way.route
        self.domains = {errand.message.recipient.domain}


async def places(errand: Errand) -> list[Place]:
    """Gives the hosts to try, in order. Raises DnsTrouble and Misrouted."""
    route = errand.way.route
    if not isinstance(route, Mx):
        return _fixed_places(route)
    world = errand.ways.world
    # RFC 5321 5.1: hosts of one preference in random order, to spread the load
    ordered = sorted(await _mail_hosts(errand), key=lambda host: (host.preference, world.random()))
    return [Place(host.name, SMTP_PORT, errand.ways.tls, None, is_found=True) for host in ordered]


async def may_carry(errand: Errand, kept: PlaceConnection) -> bool:
    """True when a kept connection leads to where the message goes. Raises DnsTrouble and Misrouted."""
    route = errand.way.route
    if not isinstance(route, Mx):
        if kept.route is not route:  # the routing table was read anew, or names it twice
            if kept.place not in _fixed_places(route):
                return False
            kept.route = route
        return True
    domain = errand.message.recipient.domain
    if domain in kept.domains:
        return True
    site, _ = split_lane(errand.message.lane)
    if kept.place.name not in hosts_of(site):
        hosts = await _mail_hosts(errand)
        best = min(host.preference for host in hosts)
        if not any(host.name == kept.place.name and host.preference == best for host in hosts):
            return False
    kept.domains.add(domain)
    return True


async def _mail_hosts(errand: Errand) -> tuple[MxHost, ...]:
    """Gives the mail hosts of the recipient's domain. Raises DnsTrouble, and Misrouted when their lane is another."""
    hosts = await errand.ways.world.resolver.mail_hosts(errand.message.recipient.domain)
    lane = lane_of(errand.way, hosts, errand.ways.steered.providers)
    if lane != errand.message.lane:
        raise Misrouted(lane)
    return hosts


def _fixed_places(route: SmartHosts | Capture | Discard) -> list[Place]:
    match route:
        case SmartHosts(hosts):
            return [_smart_place(host) for host in hosts]
        case Capture(host, port):
            return [Place(host, port, TlsPolicy.NONE, None, is_found=False)]
        case Discard():
            return []
        case _:
            assert_never(route)


def _smart_place(host: SmartHost) -> Place:
    login = RelayLogin(host.user, host.password, allow_plain=host.tls == "none") if host.user else None
    return Place(host.host, host.port, TlsPolicy(host.tls), login, is_found=False)
