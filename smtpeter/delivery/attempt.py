"""ATTEMPT: one try to deliver one message, from the route to the verdict on the reply.

The hosts of the destination are tried in order: the next one when a host cannot be reached or does not want to talk to
us (scope host), until one took the message or spoke about the message itself. A connection that a courier kept is used
first; when the remote closed it in the meantime a fresh one is made, and that is not counted as trouble.

Raises `Misrouted` when the message belongs into another lane by now.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from typing import assert_never

from smtpeter.content.render import Rendered
from smtpeter.delivery.lane import Courier
from smtpeter.delivery.route import Capture, Discard, Mx, Rule, SmartHost, choose, fixed_lane, site_lane
from smtpeter.delivery.verdict import Rule as VerdictRule
from smtpeter.delivery.verdict import Verdict, judge
from smtpeter.model.message import Message, Transfer
from smtpeter.model.outcome import Deferred, Failed, Kind, Result, Scope, State
from smtpeter.store.events import EventRecord
from smtpeter.store.settle import Sent
from smtpeter.wire.headers import split
from smtpeter.wire.mime import CannotConvert
from smtpeter.wire.smtp_client import Introduction, RelayLogin
from smtpeter.wire.smtp_commands import Envelope
from smtpeter.wire.smtp_steps import TlsPolicy
from smtpeter.world.connection import Connection, Remote, Trouble
from smtpeter.world.conversation import ClientTimeouts
from smtpeter.world.networks import Destinations
from smtpeter.world.seams import DnsTrouble, World
from smtpeter.world.tls import ClientContexts

SMTP_PORT = 25
MAX_HOSTS = 5  # mail hosts tried in one attempt (RFC 5321 5.1 asks for at least two)
MAX_ADDRESSES = 8  # addresses tried in one attempt, over all hosts
EXPIRY = "time is over"  # the name under which the verdict on an expired message goes
SECOND_LOOK = timedelta(minutes=15)  # before a name that does not exist is believed


class KeyUnavailable(Exception):
    """A signing key of the sender domain cannot be used now; the mail must wait, not leave unsigned."""


class Misrouted(Exception):
    """The message belongs into another lane: its mail hosts, or the routing table, have changed."""

    def __init__(self, lane: str) -> None:
        super().__init__(lane)
        self.lane = lane


Render = Callable[[Message, Transfer], Rendered]
MayFinish = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Ways:
    """What every attempt of this process needs, fixed at start.

    `receives_bounces`: what comes back is received here, so a message with trackbounces has a reverse path of ours. While
    nobody receives it, the given envelope is used and trackbounces counts as off (processing.md).
    """

    world: World
    rules: tuple[Rule, ...]
    verdicts: tuple[VerdictRule, ...]
    contexts: ClientContexts
    timeouts: ClientTimeouts
    hello: str
    tls: TlsPolicy  # towards hosts found by MX
    destinations: Destinations
    messages_per_connection: int
    receives_bounces: bool = False


class Handover(Enum):
    """Into whose hands a delivered message went, which decides who tells of it (RFC 3461 5.2)."""

    FINAL = auto()  # its way ends here: captured, or discarded
    TELLING = auto()  # a host that knows notifications and was told which are asked for
    SILENT = auto()  # a host that does not


@dataclass(frozen=True, slots=True)
class Attempted:
    """The verdict, in which form the message was on the wire, if it was, and into whose hands it went, if it did.

    `earlier` is the last attempt before, for a message whose time is over.
    """

    verdict: Verdict
    sent: Sent | None = None
    handover: Handover = Handover.FINAL
    earlier: EventRecord | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """One host to try. `tls` and `login` as the route has them; `is_found`: its address comes from somebody's DNS."""

    name: str
    port: int
    tls: TlsPolicy
    login: RelayLogin | None
    is_found: bool


async def attempt(ways: Ways, courier: Courier, message: Message, render: Render, may_finish: MayFinish) -> Attempted:
    """Tries once. `may_finish` is asked right before the end of data (D6)."""
    if ways.world.clock.now() >= message.expires:
        return Attempted(Verdict(Failed(_expired(message), Scope.MESSAGE), EXPIRY))
    is_sandbox = message.options.is_sandbox  # then the routing table has no say, and nothing is looked up or dialled
    route = Discard() if is_sandbox else choose(ways.rules, message.recipient.address)
    lane = fixed_lane(route)
    if lane is not None and lane != message.lane:
        raise Misrouted(lane)
    if isinstance(route, Discard):
        description = "sandbox" if is_sandbox else "discarded by the route"
        return Attempted(judge(ways.verdicts, Result(State.MESSAGE, Kind.ACCEPTED, 250, "2.0.0", description)))
    attempted = await _by_route(ways, courier, route, message, render, may_finish)
    # our sink says that it knows notifications, but there is nobody behind it who would write one
    return replace(attempted, handover=Handover.FINAL) if isinstance(route, Capture) else attempted


async def _by_route(
    ways: Ways,
    courier: Courier,
    route: Mx | SmartHost | Capture,
    message: Message,
    render: Render,
    may_finish: MayFinish,
) -> Attempted:
    """Tries the hosts of a route, first over the connection that the courier kept."""
    kept = courier.connection
    carried = await _over(ways, courier, kept, message, render, may_finish) if kept is not None else None
    if carried is not None and not _may_go_on(carried.verdict):
        return carried
    try:
        places = await _places(ways, route, message)
    except DnsTrouble as trouble:
        return carried or Attempted(_dns_verdict(trouble, message))
    if carried is not None:
        places = [place for place in places if place.name != carried.verdict.outcome.result.mta]
        if not places:
            return carried
    return await _try_places(ways, courier, places, message, render, may_finish)


async def _try_places(
    ways: Ways, courier: Courier, places: list[_Place], message: Message, render: Render, may_finish: MayFinish
) -> Attempted:
    """Tries hosts and their addresses in order until one has spoken about the message."""
    last: Attempted | None = None
    addresses_left = MAX_ADDRESSES
    for place in places[:MAX_HOSTS]:
        try:
            addresses = await ways.world.resolver.addresses(place.name)
        except DnsTrouble as trouble:
            result = Result(State.DNS, Kind.ERROR, 0, trouble.status, str(trouble), mta=place.name)
            last = _weightier(Attempted(Verdict(Deferred(result, Scope.HOST), "")), last)
            continue
        for address in addresses:
            if addresses_left == 0:
                break
            addresses_left -= 1
            tried = await _try_address(ways, courier, place, address, message, render, may_finish)
            if not _may_go_on(tried.verdict):
                return tried
            last = _weightier(last, tried)
    if last is None:
        result = Result(
            State.DNS, Kind.ERROR, 0, "5.4.4", f"No mail host of {message.recipient.domain} has an address."
        )
        return Attempted(Verdict(Deferred(result, Scope.LANE), "no address"))
    return last


async def _try_address(
    ways: Ways, courier: Courier, place: _Place, address: str, message: Message, render: Render, may_finish: MayFinish
) -> Attempted:
    if place.is_found and not ways.destinations.allows(address):
        text = f"{place.name} has the address {address}, to which no mail is sent: it is private or our own."
        return Attempted(
            Verdict(Failed(Result(State.DNS, Kind.ERROR, 0, "5.4.4", text, mta=place.name), Scope.HOST), "")
        )
    await courier.leave()  # a host that put us off on a connection which it did not close
    await courier.reserve()
    opened = await _open(ways, place, address)
    if isinstance(opened, Trouble):
        return Attempted(judge(ways.verdicts, opened.result))
    courier.connection = opened
    carried = await _over(ways, courier, opened, message, render, may_finish)
    assert carried is not None  # a fresh connection is never found closed while idle
    return carried


async def _open(ways: Ways, place: _Place, address: str) -> Connection | Trouble:
    """Opens a connection; when TLS cannot be agreed upon and the policy permits, once more without it."""
    opened = await _dial(ways, place, address, place.tls)
    if isinstance(opened, Trouble) and opened.may_redial_plain:
        return await _dial(ways, place, address, TlsPolicy.NONE)
    return opened


async def _dial(ways: Ways, place: _Place, address: str, tls: TlsPolicy) -> Connection | Trouble:
    world = ways.world
    remote = Remote(address, place.port, place.name)
    introduction = Introduction(ways.hello, tls, place.login)
    return await Connection.open(world.dialer, world.clock, remote, introduction, ways.contexts, ways.timeouts)


async def _over(
    ways: Ways, courier: Courier, connection: Connection, message: Message, render: Render, may_finish: MayFinish
) -> Attempted | None:
    """Hands the message over on an open connection; None when the connection turned out to be closed before."""
    transfer = Transfer.EIGHT_BIT if connection.extensions.has_8bitmime else Transfer.SEVEN_BIT
    try:
        rendered = render(message, transfer)
    except CannotConvert as refusal:
        result = Result(State.MAILFROM, Kind.ERROR, 0, "5.6.3", str(refusal), mta=connection.remote.mta)
        return Attempted(Verdict(Failed(result, Scope.MESSAGE), "content cannot be converted"))
    envelope = Envelope(
        sender=message.envelope or "",
        recipient=message.recipient.address,
        dsn=message.recipient.dsn,
        is_8bit=rendered.is_8bit,
        is_utf8=message.options.is_utf8 and _has_utf8_header(rendered),
        tracks_bounces=ways.receives_bounces and message.options.features.trackbounces is True,
    )
    exchange = await connection.transact(envelope, (rendered.block, rendered.content), may_finish)
    if not exchange.is_reusable or connection.messages_sent >= ways.messages_per_connection:
        await courier.leave()
    result = exchange.result
    if result.state is State.IDLE:
        return None
    if connection.messages_sent == 1:
        result = _with_introduction(result, connection)
    handover = Handover.TELLING if connection.extensions.has_dsn else Handover.SILENT
    return Attempted(judge(ways.verdicts, result), Sent(transfer, rendered.block), handover)


def _has_utf8_header(rendered: Rendered) -> bool:
    """True when what was handed in with SMTPUTF8 needs it to be handed on; a mail that is all ASCII does not."""
    # RFC 6531 3.4; in the body 8BITMIME is enough
    return not split(rendered.content)[0].isascii()


def _with_introduction(result: Result, connection: Connection) -> Result:
    """Gives the result of the first transaction of a connection with how the connection came about before it."""
    return replace(
        result,
        durations={**connection.durations, **result.durations},
        transcript=(*connection.transcript, *result.transcript),
    )


async def _places(ways: Ways, route: Mx | SmartHost | Capture, message: Message) -> list[_Place]:
    """Gives the hosts to try, in order. Raises DnsTrouble and Misrouted."""
    match route:
        case SmartHost(host, port, tls, user, password):
            login = RelayLogin(user, password, allow_plain=tls == "none") if user else None
            return [_Place(host, port, TlsPolicy(tls), login, is_found=False)]
        case Capture(host, port):
            return [_Place(host, port, TlsPolicy.NONE, None, is_found=False)]
        case Mx():
            hosts = await ways.world.resolver.mail_hosts(message.recipient.domain)
            lane = site_lane(hosts)
            if lane != message.lane:
                raise Misrouted(lane)
            # RFC 5321 5.1: hosts of one preference in random order, to spread the load
            ordered = sorted(hosts, key=lambda host: (host.preference, ways.world.random()))
            return [_Place(host.name, SMTP_PORT, ways.tls, None, is_found=True) for host in ordered]
        case _:
            assert_never(route)


def _may_go_on(verdict: Verdict) -> bool:
    """True when another host may still take the message: nothing was said about it, and it cannot have been taken."""
    outcome = verdict.outcome
    return isinstance(outcome, Deferred | Failed) and outcome.scope is Scope.HOST and not outcome.result.is_uncertain


def _weightier(first: Attempted | None, second: Attempted | None) -> Attempted | None:
    """Gives which of two troubles counts: the second, but none that is final before one that may pass."""
    if first is None or second is None:
        return second or first
    is_second_final = isinstance(second.verdict.outcome, Failed)
    return first if is_second_final and not isinstance(first.verdict.outcome, Failed) else second


def _dns_verdict(trouble: DnsTrouble, message: Message) -> Verdict:
    result = Result(State.DNS, Kind.ERROR, 0, trouble.status, str(trouble))
    if not trouble.is_final:
        return Verdict(Deferred(result, Scope.LANE), "dns trouble")
    if trouble.status == "5.1.2" and message.attempt == 0:
        # a lame server may deny a name that exists: ask once more, later
        return Verdict(Deferred(result, Scope.LANE, SECOND_LOOK), "unknown domain, first time")
    return Verdict(Failed(result, Scope.RECIPIENT), "unknown domain")


def unsigned(trouble: KeyUnavailable) -> Attempted:
    """Gives the attempt that was not made because its signature could not be."""
    result = Result(State.PROCESS, Kind.ERROR, 0, "4.3.5", f"The message cannot be signed: {trouble}.")
    return Attempted(Verdict(Deferred(result, Scope.MESSAGE), "key unavailable"))


def is_expiry(verdict: Verdict) -> bool:
    """True when nothing was tried because the time of the message is over."""
    return verdict.rule == EXPIRY


def _expired(message: Message) -> Result:
    text = f"The message could not be delivered before {message.expires:%Y-%m-%d %H:%M:%S} UTC."
    return Result(State.PROCESS, Kind.TIMEOUT, 0, "4.4.7", text)
