"""The section of the way out, with its tables: smart hosts, routes, pools of local addresses, limits, providers, rules.

What can be checked without the others is checked by the kinds of the fields; whether names lead somewhere is checked in
`together`. The rows of `rules` are read by the room that judges replies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from smtpeter.config.setting import BIG, DAY, MOMENT, minutes, nothing, seconds, setting
from smtpeter.config.values import DomainPattern, HelloName, HostPattern, Ip, Name, Pattern, Target, TlsMode


@dataclass(frozen=True, slots=True)
class SmartHost:
    """A mail server to hand mail to. The one of [delivery.smart_host], if it has a host, takes all that no route takes."""

    host: str = setting("", "Name or address.")
    port: int = setting(25, "Port.", 1, 65535)
    tls: TlsMode = setting(TlsMode.OPPORTUNISTIC, "none, opportunistic, required (any certificate) or verified.")
    user: str = setting("", "Login there; empty: none.")
    password: str = setting("", "Password of that login.", is_secret=True)


@dataclass(frozen=True, slots=True)
class RouteLine:
    """A line of the routing table. What is not given fits everything."""

    recipient: Pattern = setting("", "Pattern of the recipient: example.com, *.example.com or name@example.com.")
    sender: DomainPattern = setting("", "Pattern of the From domain: example.com or *.example.com.")
    stream: str = setting("", "Stream of the message, as transactional.")
    account: str = setting("", "Name of the account.")
    via: tuple[str, ...] = setting(
        (), "Names of smart hosts, each tried when those before fail; or mx, discard, capture, smart_host."
    )
    pool: str = setting("", "Name of the pool of local addresses.")


@dataclass(frozen=True, slots=True)
class PoolAddress:
    """A local address of a pool."""

    address: Ip = setting("", "An address of this machine.", is_needed=True)
    hello: HelloName = setting("", "The name in our EHLO from there; empty: hello_name.")
    weight: int = setting(1, "Its part of the connections, in proportion to the others of the pool.", 1, 10_000)


@dataclass(frozen=True, slots=True)
class LimitLine:
    """Limits of some lanes, over all processes. What is not given is left to later lines, and to what is shipped."""

    target: Target = setting("", "A provider's name, a mail host, *.example.com, a whole lane, or *.", is_needed=True)
    pool: str = setting("", "Only from this pool of local addresses; empty: from all.")
    connections: int | None = setting(None, "Most connections at once.", 1, 100_000)
    messages_per_connection: int | None = setting(None, "Messages after which a connection is closed.", 1, 1_000_000)
    per_second: int | None = setting(None, "Most messages in a second; 0: no limit.", 0, BIG)
    per_minute: int | None = setting(None, "Most messages in a minute; 0: no limit.", 0, BIG)
    per_hour: int | None = setting(None, "Most messages in an hour; 0: no limit.", 0, BIG)
    recovery: timedelta | None = setting(None, "How long a rate that was halved takes to be whole.", MOMENT, DAY * 7)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The way out."""

    hello_name: str = setting("", "The name in our EHLO; empty: hostname.")
    tls: TlsMode = setting(TlsMode.OPPORTUNISTIC, "Encryption towards MX hosts.")
    allow_private_destinations: bool = setting(False, "Deliver to private and loopback addresses found by DNS.")
    dns_servers: tuple[str, ...] = setting((), "Name servers, as address or address:port; empty: the system's.")
    concurrency: int = setting(500, "Most connections at once, over all destinations.", 1, 100_000)
    concurrency_per_lane: int = setting(20, "Most connections at once to one destination site.", 1, 10_000)
    messages_per_connection: int = setting(100, "Messages after which a connection is closed.", 1, 1_000_000)
    idle_time: timedelta = setting(seconds(5), "How long an idle connection is kept.", seconds(0), minutes(5))
    claim_batch: int = setting(100, "Most messages taken from the queue at once.", 1, 10_000)
    max_held: int = setting(2000, "Most messages that a process works on at once.", 1, 1_000_000)
    max_held_bytes: int = setting(128 * 2**20, "Most content that a process keeps in memory for them.", 2**20, BIG)
    retry_delays: tuple[timedelta, ...] = setting(
        tuple(map(minutes, (1, 2, 5, 10, 20, 30, 60))),
        "Waits before each further attempt; the last one repeats.",
        MOMENT,
        DAY * 7,
    )
    retry_divisor: int = setting(1, "Divides every wait; for development.", 1, 3600)
    expire_after: timedelta = setting(DAY, "When a message fails that names no time itself.", minutes(1), DAY * 30)
    smart_host: SmartHost = setting(SmartHost, "A mail server to hand everything else to.")
    smart_hosts: Mapping[Name, SmartHost] = setting(nothing, "Mail servers that routes can name.")
    routes: tuple[RouteLine, ...] = setting(
        (),
        "Where mail goes, and from which pool. The first line that fits and has a via decides where, the first that "
        "fits and has a pool decides the pool; what no line fits goes to the MX, from whichever address.",
    )
    pools: Mapping[Name, tuple[PoolAddress, ...]] = setting(
        nothing, "Pools of local addresses to send from, each address with the name in our EHLO and its weight."
    )
    limits: tuple[LimitLine, ...] = setting(
        (), "Limits of destinations. Earlier lines go before later ones, all of them before what is shipped."
    )
    providers: Mapping[Name, tuple[HostPattern, ...]] = setting(
        nothing,
        "Mail hosts that count as one destination, beside those shipped; an empty list takes a shipped one away.",
    )
    rules: tuple[Mapping[str, Any], ...] = setting(
        (), "How replies are judged, before what is shipped; the keys are those of delivery/verdicts.toml."
    )
