"""What the gateway tells, as frozen values. Times are aware, in UTC; what is not known is None or empty."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sent:
    """One message that was accepted."""

    id: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a send call was answered: the messages in the order of their recipients.

    `unknown` names what the gateway knew nothing about or could not do, as a misspelt property.
    """

    messages: tuple[Sent, ...]
    unknown: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The id of the only message. Raises ValueError when there are several."""
        (only,) = self.messages
        return only.id


@dataclass(frozen=True, slots=True)
class Tls:
    """How a connection was encrypted."""

    version: str
    cipher: str
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver. `durations` are seconds by stage; `is_uncertain`: it may have arrived without our knowing."""

    attempt: int
    time: datetime
    outcome: str  # "delivery", "deferral" or "failure"
    local_ip: str
    remote_ip: str
    mta: str
    state: str
    type: str
    code: int
    status: str
    description: str
    is_uncertain: bool
    tls: Tls | None
    durations: Mapping[str, float | None]
    transcript: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """A fact about a message: `data` are all fields of the record, some of which stand here by name."""

    name: str
    id: str
    time: datetime
    recipient: str
    tags: tuple[str, ...]
    data: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Summary:
    """A message in a list of found ones."""

    id: str
    state: str
    envelope: str
    recipient: str
    tags: tuple[str, ...]
    subject: str
    size: int
    accepted: datetime
    expires: datetime | None
    next_attempt: datetime | None
    settled: datetime | None


@dataclass(frozen=True, slots=True)
class Message(Summary):
    """All that is known of a message."""

    attempts: tuple[Attempt, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A file in a message, without its content."""

    number: int
    name: str
    type: str
    size: int
    cid: str


@dataclass(frozen=True, slots=True)
class Download:
    """The content of a file."""

    content: bytes = field(repr=False)
    type: str


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of many; `following` is the address of what comes next, "" at the end."""

    items: tuple[T, ...]
    following: str
