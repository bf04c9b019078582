"""The real `Gateway`: what the REST door asks, answered by intake, the store and the renderer."""

from smtpeter.content.render import content_of, source_of
from smtpeter.doors.rest.gateway import EventView, MessageView, Version
from smtpeter.intake.accept import Intake
from smtpeter.intake.identify import Identify
from smtpeter.model.account import AccountId, Identity
from smtpeter.model.message import Draft, MessageId
from smtpeter.store.events import EventQuery, events_of
from smtpeter.store.records import MessageQuery, message_record, sent
from smtpeter.store.sources import stored_message
from smtpeter.store.store import Store


class Rooms:
    """Answers by account: what another account owns is not there (W1)."""

    def __init__(self, store: Store, intake: Intake, identify: Identify, hostname: str) -> None:
        self._store = store
        self._intake = intake
        self._identify = identify
        self._hostname = hostname

    async def identify(self, token: str) -> Identity | None:
        """Gives who the token belongs to."""
        return await self._identify.by_token(token)

    async def accept(self, identity: Identity, draft: Draft) -> list[MessageId]:
        """Stores the draft. Raises Refused."""
        return await self._intake.accept(identity, draft)

    async def message(self, account: AccountId, id: MessageId) -> MessageView | None:
        """Gives the message."""
        record = await self._store.read(message_record, MessageQuery(account, id))
        if record is None:
            return None
        return MessageView(
            id=record.id,
            state=record.state,
            envelope=record.envelope or "",
            recipient=record.recipient,
            tags=record.options.tags,
            subject=record.subject,
            size=record.size_bytes,
            accepted=record.accepted,
            expires=record.expires,
            next_attempt=record.due,
            settled=record.settled,
        )

    async def events(self, account: AccountId, id: MessageId) -> list[EventView] | None:
        """Gives all facts about the message; None when the account has no such message."""
        found = await self._store.read(events_of, EventQuery(account, id))
        return [EventView(record.seq, record.at, record.event) for record in found] or None

    async def content(self, account: AccountId, id: MessageId, version: Version) -> bytes | None:
        """Gives the message as it was composed, or with the block that was put before it when it was sent."""
        query = MessageQuery(account, id)
        message = await self._store.read(stored_message, query)
        if message is None:
            return None
        if version is Version.COMPOSED:
            return source_of(message)
        as_sent = await self._store.read(sent, query)
        if as_sent is None:
            return content_of(message, hostname=self._hostname)
        return as_sent.block + content_of(message, hostname=self._hostname, transfer=as_sent.transfer)
