"""What the REST door asks of the rooms below it, and the views that it shows.

The door knows only this protocol. Every question but the operator's names the account of the caller; an id of another
account gets the same None as one that does not exist (W1). Ids have been checked for their form before they come here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from smtpeter.doors.rest.operating import Operating
from smtpeter.doors.rest.templating import Templates
from smtpeter.intake.accept import Outcome, Resent
from smtpeter.intake.repeats import Idempotency
from smtpeter.model.account import Account, AccountId, Features, Identity, Login, Token
from smtpeter.model.event import Event
from smtpeter.model.message import Draft, MessageId, Received
from smtpeter.model.refusal import Refused
from smtpeter.store.answers import Answer

OPERATOR = "operator"  # sees and steers the mail of all accounts; only the command line gives it to a token
SCOPES = ("send", "read", "manage", OPERATOR)


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message as its owner may see it. `envelope` "" when it was handed in without one; times are aware UTC.

    `state` as people know it: those at rest, "scheduled" and "delivering". `size` is in octets, of the source as it was handed in. `next_attempt` is None in a final state, `settled` before.
    `template` is the number of the template that it was made from, 0 for none.
    """

    id: MessageId
    state: str
    envelope: str
    recipient: str
    tags: tuple[str, ...]
    subject: str
    size: int
    accepted: datetime
    expires: datetime
    next_attempt: datetime | None
    settled: datetime | None
    template: int = 0


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


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """What to look for; "" and None look for anything. `recipient` a whole address or a part of one, `sender` the From
    domain or the address of the envelope; `since` is included, `until` is not; `before` as the last page gave it.
    """

    limit: int
    recipient: str = ""
    subject: str = ""
    tag: str = ""
    state: str = ""
    sender: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: MessageId | None = None


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Messages, newest first; `before` is where the next page begins, None behind the last one."""

    messages: tuple[MessageView, ...]
    before: MessageId | None


@dataclass(frozen=True, slots=True)
class SuppressionView:
    """An address or domain that gets no mail; `stream` "": of all streams. `message`: the one that caused it."""

    entry: str
    stream: str
    cause: str
    since: datetime
    message: MessageId | None


@dataclass(frozen=True, slots=True)
class SuppressionWish:
    """Entries to make, in their normal form."""

    entries: tuple[str, ...]
    stream: str
    cause: str


class Cancelling(StrEnum):
    """What became of the wish to cancel a message."""

    DONE = "done"  # also when it was cancelled before
    FINAL = "final"  # delivered, or failed: too late
    UNDER_WAY = "under way"  # being delivered at this moment


@dataclass(frozen=True, slots=True)
class TokenWish:
    """A token to make."""

    name: str
    scopes: frozenset[str]
    is_sandbox: bool = False


@dataclass(frozen=True, slots=True)
class LoginWish:
    """What a login is to be. An empty `user` or `password`: one is made, or the one that there is stays."""

    user: str = ""
    password: str = field(default="", repr=False)
    features: Features = Features()
    networks: tuple[str, ...] = ()
    sender_domains: tuple[str, ...] = ()


class Gateway(Protocol):
    """The rooms below, as the door sees them. `operating` is for calls with the scope of the operator alone."""

    operating: Operating
    templates: Templates

    async def identify(self, token: str) -> Identity | None:
        """Gives who the token belongs to, None when it is not known. `token` is any text that a client sent."""

    async def accept(
        self, identity: Identity, draft: Draft, idempotency: Idempotency[list[MessageId]] | None = None
    ) -> list[MessageId] | Answer:
        """Stores the draft and gives one id for each of its recipients, in their order, or what the same call was
        answered before. Raises Refused.
        """

    async def accept_batch(
        self, identity: Identity, drafts: Sequence[Draft | Refused], idempotency: Idempotency[list[Outcome]] | None
    ) -> list[Outcome] | Answer:
        """Stores what is no refusal already and gives for each its ids or why not. Raises Refused for all of them."""

    async def message(self, account: AccountId, id: MessageId) -> MessageView | None:
        """Gives the message."""

    async def events(self, account: AccountId, id: MessageId) -> list[EventView] | None:
        """Gives all facts about the message, by ascending number."""

    async def content(self, account: AccountId, id: MessageId, version: Version) -> bytes | None:
        """Gives the whole message (header section and body, CRLF line ends); None also when it is no longer kept."""

    async def cancel(self, account: AccountId, id: MessageId) -> Cancelling | None:
        """Takes the message out of the queue, unless it is too late; None when there is no such message."""

    async def resend(
        self, identity: Identity, id: MessageId, received: Received, idempotency: Idempotency[Resent] | None
    ) -> Resent | Answer | None:
        """Accepts the message anew; None when there is no such message or its content is no longer kept.

        Raises Refused.
        """

    async def search(self, account: AccountId, wanted: MessageFilter) -> MessagePage:
        """Gives a page of the messages that fit; it may be short and not the last."""

    async def suppressions(self, account: AccountId, limit: int, after: tuple[str, str]) -> list[SuppressionView]:
        """Gives entries in their order, behind the one with this name and stream."""

    async def suppression_of(self, account: AccountId, address: str, stream: str) -> SuppressionView | None:
        """Gives the entry that keeps mail of the stream from the address."""

    async def add_suppressions(
        self, account: AccountId, wish: SuppressionWish, idempotency: Idempotency[list[SuppressionView]] | None
    ) -> list[SuppressionView] | Answer:
        """Adds entries, and gives them as they are then, in the order given. Raises Refused."""

    async def remove_suppressions(self, account: AccountId, entries: tuple[str, ...], stream: str) -> list[str]:
        """Removes entries, and gives those that there were."""

    async def tokens(self, account: AccountId) -> list[Token]:
        """Gives the tokens of the account, by name."""

    async def create_token(self, account: AccountId, wish: TokenWish) -> tuple[Token, str] | None:
        """Makes a token and gives it with its secret; None when the account has one of that name."""

    async def delete_token(self, account: AccountId, token: Token) -> bool:
        """Deletes the token; False when it is gone already."""

    async def logins(self, account: AccountId) -> list[Login]:
        """Gives the SMTP logins of the account, by user."""

    async def create_login(self, account: Account, wish: LoginWish) -> tuple[Login, str] | None:
        """Makes a login and gives it with its password; None when somebody has a login of that user."""

    async def change_login(self, login: Login, wish: LoginWish) -> Login | None:
        """Makes the login what is wished and gives it as it is then; None when it is gone."""

    async def delete_login(self, account: AccountId, login: Login) -> bool:
        """Deletes the login; False when it is gone already."""
