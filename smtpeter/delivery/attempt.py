"""ATTEMPT: one try to deliver one message, from the route to the verdict on the reply.

The hosts of the destination are tried in order: the next one when a host cannot be reached or does not want to talk to
us (scope host), until one took the message or spoke about the message itself. A connection that a courier kept is used
first; when the remote closed it in the meantime a fresh one is made, and that is not counted as trouble. A local address
that a host wants nothing from is set aside, and the host asked again from another.

What has to be fetched for the message is there before anything is dialled, so no connection waits for it.

Raises `Misrouted` when the message belongs into another lane by now, `Withheld` when pauses leave no local address, and
`UnderWay` when the message is still being prepared.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from msgspec.structs import replace

from smtpeter.content.render import CannotRender
from smtpeter.delivery.departure import Departure
from smtpeter.delivery.errand import (
    Attempted,
    Errand,
    Handover,
    KeyUnavailable,
    MayFinish,
    Misrouted,
    Prepare,
    Steered,
    Ways,
    Withheld,
)
from smtpeter.delivery.handing import hand_over
from smtpeter.delivery.lanes.lane import Courier
from smtpeter.delivery.places import Place, PlaceConnection, may_carry, places
from smtpeter.delivery.pools import LocalAddress
from smtpeter.delivery.route import Capture, Discard, Way, choose, facts_of, fixed_lane
from smtpeter.delivery.verdict import Verdict, judge
from smtpeter.model.message import Message
from smtpeter.model.outcome import Deferred, Failed, Kind, Result, Scope, State
from smtpeter.prepare.collect import NotYet
from smtpeter.store.operation import StoreUnavailable
from smtpeter.wire.smtp_client import Introduction
from smtpeter.wire.smtp_steps import TlsPolicy
from smtpeter.world.connection import Remote, Trouble
from smtpeter.world.seams import DnsTrouble

__all__ = [
    "Attempted",
    "Handover",
    "KeyUnavailable",
    "Misrouted",
    "Steered",
    "Ways",
    "Withheld",
    "attempt",
    "is_expiry",
    "unsigned",
]

MAX_HOSTS = 5  # mail hosts tried in one attempt (RFC 5321 5.1 asks for at least two)
MAX_ADDRESSES = 8  # addresses tried in one attempt, over all hosts
EXPIRY = "time is over"  # the name under which the verdict on an expired message goes
SECOND_LOOK = timedelta(minutes=15)  # before a name that does not exist is believed


async def attempt(ways: Ways, courier: Courier, message: Message, prepare: Prepare, may_finish: MayFinish) -> Attempted:
    """Tries once. `may_finish` is asked right before the end of data (D6)."""
    if ways.world.clock.now() >= message.expires:
        return Attempted(Verdict(Failed(_expired(message), Scope.MESSAGE), EXPIRY))
    is_sandbox = message.options.is_sandbox  # then the routing table has no say, and nothing is looked up or dialled
    way = Way(Discard()) if is_sandbox else choose(ways.steered.rules, facts_of(message))
    lane = fixed_lane(way)
    if lane is not None and lane != message.lane:
        raise Misrouted(lane)
    if isinstance(way.route, Discard):
        description = "sandbox" if is_sandbox else "discarded by the route"
        return Attempted(judge(ways.steered.verdicts, Result(State.MESSAGE, Kind.ACCEPTED, 250, "2.0.0", description)))
    try:
        render = await prepare(message)
    except CannotRender as refusal:
        return _unmade(refusal.state, "5.6.0", str(refusal), "content cannot be made")
    except NotYet as trouble:
        return _unmade(State.PROCESS, "4.3.0", str(trouble), "file not to be had yet")
    except StoreUnavailable:
        return _unmade(State.STORAGE, "4.3.0", "What the message is made of cannot be read now.", "store unavailable")
    errand = Errand(ways, courier, message, render, may_finish, way)
    attempted = await _Walk(errand, Departure(errand)).go()
    # our sink says that it knows notifications, but there is nobody behind it who would write one
    return replace(attempted, handover=Handover.FINAL) if isinstance(way.route, Capture) else attempted


@dataclass(slots=True)
class _Walk:
    """The way of one attempt from host to host. `last` is the trouble so far that weighs most."""

    errand: Errand
    departure: Departure
    last: Attempted | None = None
    addresses_left: int = field(default=MAX_ADDRESSES)

    async def go(self) -> Attempted:
        """Tries the hosts of the route, first over the connection that the courier kept."""
        try:
            spoken, put_off_by = await self._over_kept()
            if spoken is not None:
                return spoken
            hosts = await places(self.errand)
        except DnsTrouble as trouble:
            return self.last or Attempted(_dns_verdict(trouble, self.errand.message))
        for place in [place for place in hosts if place != put_off_by][:MAX_HOSTS]:
            spoken = await self._at(place)
            if spoken is not None:
                return spoken
        return self._nothing_spoken()

    async def _over_kept(self) -> tuple[Attempted | None, Place | None]:
        """Uses the kept connection where it may be used: what was spoken, else the place that put us off."""
        kept = self.errand.courier.connection
        if not isinstance(kept, PlaceConnection):
            return None, None
        if not self.departure.may_keep(kept.local) or not await may_carry(self.errand, kept):
            await self.errand.courier.leave()
            return None, None
        carried = await hand_over(self.errand, kept)
        if carried is None:
            return None, None
        if self.departure.should_change(kept.local, carried):
            self.last = carried
            return None, None
        if not _may_go_on(carried.verdict):
            return carried, None
        self.last = carried
        return None, kept.place

    async def _at(self, place: Place) -> Attempted | None:
        """Tries the addresses of a host; None when the next host may be tried."""
        ways = self.errand.ways
        try:
            addresses = await ways.world.resolver.addresses(place.name)
        except DnsTrouble as trouble:
            result = Result(State.DNS, Kind.ERROR, 0, trouble.status, str(trouble), mta=place.name)
            self.last = _weightier(Attempted(Verdict(Deferred(result, Scope.HOST), "")), self.last)
            return None
        for address in addresses:
            if self.addresses_left == 0:
                return None
            if place.is_found and not ways.destinations.allows(address):
                text = f"{place.name} has the address {address}, to which no mail is sent: it is private or our own."
                result = Result(State.DNS, Kind.ERROR, 0, "5.4.4", text, mta=place.name)
                self.last = _weightier(self.last, Attempted(Verdict(Failed(result, Scope.HOST), "")))
                self.addresses_left -= 1
                continue
            spoken = await self._at_address(place, address)
            if spoken is not None:
                return spoken
        return None

    async def _at_address(self, place: Place, address: str) -> Attempted | None:
        """Tries one remote address, from one local address after the other where that may help."""
        tried: Attempted | None = None
        while (local := self.departure.pick(address)) is not None:
            if tried is None:
                self.addresses_left -= 1
            tried = await self._from(local, place, address)
            if not self.departure.should_change(local, tried):
                break
        if tried is None or _may_go_on(tried.verdict):
            self.last = _weightier(self.last, tried)
            return None
        return tried

    async def _from(self, local: LocalAddress, place: Place, address: str) -> Attempted:
        errand = self.errand
        await errand.courier.leave()  # a host that put us off on a connection which it did not close
        await errand.courier.reserve()
        opened = await _open(errand, local, place, address)
        if isinstance(opened, Trouble):
            return Attempted(judge(errand.ways.steered.verdicts, opened.result))
        opened.know(place, local, errand)
        errand.courier.connection = opened
        carried = await hand_over(errand, opened)
        assert carried is not None  # a fresh connection is never found closed while idle
        return carried

    def _nothing_spoken(self) -> Attempted:
        """Gives what weighs most when no host has spoken about the message. Raises Withheld."""
        if self.departure.is_short and (self.last is None or isinstance(self.last.verdict.outcome, Failed)):
            pause = self.departure.pause()
            if pause is not None:
                raise Withheld(pause)
            return Attempted(_no_local_address(self.errand))
        if self.last is not None:
            return self.last
        domain = self.errand.message.recipient.domain
        result = Result(State.DNS, Kind.ERROR, 0, "5.4.4", f"No mail host of {domain} has an address.")
        return Attempted(Verdict(Deferred(result, Scope.LANE), "no address"))


async def _open(errand: Errand, local: LocalAddress, place: Place, address: str) -> PlaceConnection | Trouble:
    """Opens a connection; when TLS cannot be agreed upon and the policy permits, once more without it."""
    opened = await _dial(errand, local, place, address, place.tls)
    if isinstance(opened, Trouble) and opened.may_redial_plain:
        return await _dial(errand, local, place, address, TlsPolicy.NONE)
    return opened


async def _dial(
    errand: Errand, local: LocalAddress, place: Place, address: str, tls: TlsPolicy
) -> PlaceConnection | Trouble:
    ways = errand.ways
    remote = Remote(address, place.port, place.name, local.ip)
    introduction = Introduction(local.hello, tls, place.login)
    opened = await PlaceConnection.open(
        ways.world.dialer, ways.world.clock, remote, introduction, ways.contexts, ways.timeouts
    )
    assert isinstance(opened, PlaceConnection | Trouble)  # a connection opens as what it is called by
    return opened


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


def _no_local_address(errand: Errand) -> Verdict:
    pool = errand.way.pool
    text = f"No address of the pool {pool} can be used now: the receiver blocks them, or none is of its family."
    return Verdict(Deferred(Result(State.BIND, Kind.ERROR, 0, "4.4.0", text), Scope.LANE), "no local address")


def _dns_verdict(trouble: DnsTrouble, message: Message) -> Verdict:
    result = Result(State.DNS, Kind.ERROR, 0, trouble.status, str(trouble))
    if not trouble.is_final:
        return Verdict(Deferred(result, Scope.LANE), "dns trouble")
    if trouble.status == "5.1.2" and message.attempt == 0:
        # a lame server may deny a name that exists: ask once more, later. Nothing is dialled, so the lane need not rest
        return Verdict(Deferred(result, Scope.RECIPIENT, SECOND_LOOK), "unknown domain, first time")
    return Verdict(Failed(result, Scope.RECIPIENT), "unknown domain")


def unsigned(trouble: KeyUnavailable) -> Attempted:
    """Gives the attempt that was not made because its signature could not be."""
    return _unmade(State.PROCESS, "4.3.5", f"The message cannot be signed: {trouble}.", "key unavailable")


def _unmade(state: State, status: str, sentence: str, rule: str) -> Attempted:
    """Gives the attempt that was not made because there was nothing to hand over; the class of the status judges it."""
    result = Result(state, Kind.ERROR, 0, status, sentence)
    is_final = status.startswith("5.")  # RFC 3463 3.1
    return Attempted(Verdict(Failed(result, Scope.MESSAGE) if is_final else Deferred(result, Scope.MESSAGE), rule))


def is_expiry(verdict: Verdict) -> bool:
    """True when nothing was tried because the time of the message is over."""
    return verdict.rule == EXPIRY


def _expired(message: Message) -> Result:
    text = f"The message could not be delivered before {message.expires:%Y-%m-%d %H:%M:%S} UTC."
    return Result(State.PROCESS, Kind.TIMEOUT, 0, "4.4.7", text)
