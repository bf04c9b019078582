"""An intake over a real store on a temporary file, with virtual-free, settable time: what the tests of the room share."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from smtpeter.intake.accept import Intake
from smtpeter.intake.identify import Identify
from smtpeter.intake.options import IntakeSettings
from smtpeter.intake.senders import Senders
from smtpeter.intake.space import Space
from smtpeter.model.account import Account, Features, Identity
from smtpeter.model.message import Draft, Message, Options, Received, Recipient, Source, SourceKind, Submission
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.booking import Booking
from smtpeter.store.sender_domains import NewDomain, put_domain
from smtpeter.store.store import Store, open_store
from smtpeter.testing.zone import Zone
from smtpeter.world.networks import Destinations
from smtpeter.world.seams import World
from smtpeter.world.stream import TcpDialer

T0 = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed


@dataclass
class Onward:
    """Records what intake hands on; books as long as `has_room`."""

    has_room: bool = True
    lane_of: dict[str, str] = field(default_factory=dict)
    taken: list[Message] = field(default_factory=list)
    nudges: int = 0

    def lane(self, submission: Submission, recipient: Recipient) -> str | None:
        return self.lane_of.get(recipient.domain)

    def book(self, lanes: tuple[str | None, ...], size: int) -> Booking | None:
        if not self.has_room or None in lanes:
            return None
        return Booking(1, T0 + timedelta(seconds=45))

    def hand_over(self, messages: list[Message]) -> None:
        self.taken += messages

    def nudge(self) -> None:
        self.nudges += 1


@dataclass
class House:
    store: Store
    clock: HandClock
    intake: Intake
    identify: Identify
    onward: Onward
    account: Account

    def identity(self, **changes: object) -> Identity:
        return replace(Identity(self.account, "token:1", Features()), **changes)  # type: ignore[arg-type]


SETTINGS = IntakeSettings(
    max_message_bytes=100_000, max_recipients=5, expire_after=timedelta(days=1), destinations=Destinations()
)


async def open_intake(folder: Path) -> House:
    clock = HandClock()
    store = await open_store(f"sqlite:{folder / 'mail.db'}")
    account = await store.write(put_account, NewAccount("acme", T0))
    await store.write(put_domain, NewDomain(account.id, "example.com", T0, approved=T0))
    counter = iter(range(1 << 60, 1 << 61))
    world = World(clock, Zone({}), TcpDialer(), lambda bits: next(counter))
    onward = Onward(lane_of={"example.org": "smarthost:h:25"})
    space = Space(folder, clock)
    intake = Intake(store, world, Senders(store, clock), space, SETTINGS, onward)
    return House(store, clock, intake, Identify(store, clock), onward, account)


def recipient(address: str = "jane@example.org") -> Recipient:
    return Recipient(address, address.rpartition("@")[2], address)


MAIL = b"From: Joe <joe@example.com>\r\nSubject: Hello\r\n\r\nHello Jane.\r\n"


def draft(content: bytes = MAIL, *recipients: Recipient, options: Options | None = None) -> Draft:
    return Draft(
        envelope="joe@example.com",
        recipients=recipients or (recipient(),),
        source=Source(SourceKind.MIME, content),
        options=options or Options(),
        received=Received("ESMTPSA", "client", "192.0.2.1"),
    )
