"""What an attempt works with and what comes of it: the values that go between its parts. Nothing is done here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from msgspec import Struct

from smtpeter.content.render import Rendered
from smtpeter.delivery.lanes.lane import Courier
from smtpeter.delivery.pools import Pools
from smtpeter.delivery.route import Rule, Way
from smtpeter.delivery.site import Providers
from smtpeter.delivery.verdict import Rule as VerdictRule
from smtpeter.delivery.verdict import Verdict
from smtpeter.model.message import Message, Transfer
from smtpeter.model.steering import Limits, Stored
from smtpeter.prepare.renderer import Original
from smtpeter.store.events import EventRecord
from smtpeter.store.settle import Sent
from smtpeter.wire.smtp_steps import TlsPolicy
from smtpeter.world.conversation import ClientTimeouts
from smtpeter.world.networks import Destinations
from smtpeter.world.seams import World
from smtpeter.world.tls import ClientContexts


class KeyUnavailable(Exception):
    """A signing key of the sender domain cannot be used now; the mail must wait, not leave unsigned."""


class Misrouted(Exception):
    """The message belongs into another lane: its mail hosts, or the routing table, have changed."""

    def __init__(self, lane: str) -> None:
        super().__init__(lane)
        self.lane = lane


class Withheld(Exception):
    """A pause keeps the message from every local address that it could leave from; that is no attempt."""

    def __init__(self, pause: Stored) -> None:
        super().__init__(pause.id)
        self.pause = pause


Render = Callable[[Transfer], Awaitable[Rendered]]
# does what has to be waited for; raises CannotRender, NotYet, UnderWay, StoreUnavailable
Prepare = Callable[[Message], Awaitable[Render]]
MayFinish = Callable[[], bool]


class Steered(Protocol):
    """What steers attempts and may change at any time (delivery/steer.py)."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The routing table."""

    @property
    def verdicts(self) -> tuple[VerdictRule, ...]:
        """How replies are judged; the last rule fits everything."""

    @property
    def providers(self) -> Providers:
        """Which mail hosts count as one site."""

    def limits(self, lane: str) -> Limits:
        """Gives what this process may do in a lane."""

    def pause_of_address(self, message: Message, lane: str, ip: str) -> Stored | None:
        """Gives the pause that keeps a message from leaving from a local address."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What every attempt of this process needs, fixed at start but for what is `steered`.

    `receives_bounces`: what comes back is received here, so a message with trackbounces has a reverse path of ours. While
    nobody receives it, the given envelope is used and trackbounces counts as off (processing.md).
    """

    world: World
    steered: Steered
    pools: Pools
    contexts: ClientContexts
    timeouts: ClientTimeouts
    tls: TlsPolicy  # towards hosts found by MX
    destinations: Destinations
    receives_bounces: bool = False


class Errand(Struct, frozen=True):
    """One message on its way, ready to be rendered. `may_finish` is asked right before the end of data (D6)."""

    ways: Ways
    courier: Courier
    message: Message
    render: Render
    may_finish: MayFinish
    way: Way


class Handover(Enum):
    """Into whose hands a delivered message went, which decides who tells of it (RFC 3461 5.2)."""

    FINAL = auto()  # its way ends here: captured, or discarded
    TELLING = auto()  # a host that knows notifications and was told which are asked for
    SILENT = auto()  # a host that does not


class Attempted(Struct, frozen=True):
    """The verdict, in which form the message was on the wire, if it was, and into whose hands it went, if it did.

    `earlier` is the last attempt before, for a message whose time is over; `original` what a notification returns.
    """

    verdict: Verdict
    sent: Sent | None = None
    handover: Handover = Handover.FINAL
    earlier: EventRecord | None = None
    original: Original | None = None
