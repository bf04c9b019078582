"""What the REST door asks of the rooms below it, and the views that it shows.

The door knows only this protocol. Every question names the account of the caller; an id of another account gets the
same None as one that does not exist (W1). Ids have been checked for their form before they come here.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from smtpeter.model.account import AccountId, Identity
from smtpeter.model.event import Event
from smtpeter.model.message import Draft, MessageId, MessageState


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message as its owner may see it. `envelope` "" when it was handed in without one; times are aware UTC.

    `size` is in octets, of the source as it was handed in. `next_attempt` is None in a final state, `settled` before.
    """

    id: MessageId
    state: MessageState
    envelope: str
    recipient: str
    tags: tuple[str, ...]
    subject: str
    size: int
    accepted: datetime
    expires: datetime
    next_attempt: datetime | None
    settled: datetime | None


@dataclass(frozen=True, slots=True)
class EventView:
    """One fact about a message. `number` grows with the log and is unique in it."""

    number: int
    time: datetime
    event: Event


class Version(StrEnum):
    """Which form of the content is asked for."""

    COMPOSED = "composed"  # after composing, before anything was prepended for the way
    SENT = "sent"  # as it went over the wire; before the first attempt, as it would go


class Gateway(Protocol):
    """The rooms below, as the door sees them."""

    async def identify(self, token: str) -> Identity | None:
        """Gives who the token belongs to, None when it is not known. `token` is any text that a client sent."""

    async def accept(self, identity: Identity, draft: Draft) -> list[MessageId]:
        """Stores the draft and gives one id for each of its recipients, in their order. Raises Refused."""

    async def message(self, account: AccountId, id: MessageId) -> MessageView | None:
        """Gives the message."""

    async def events(self, account: AccountId, id: MessageId) -> list[EventView] | None:
        """Gives all facts about the message, by ascending number."""

    async def content(self, account: AccountId, id: MessageId, version: Version) -> bytes | None:
        """Gives the whole message (header section and body, CRLF line ends); None also when it is no longer kept."""
