"""The real `Gateway`: what the REST door asks, answered by intake, the store and the renderer."""

import asyncio
from collections.abc import Sequence

from smtpeter.content.render import CannotRender
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.gateway import (
    Cancelling,
    EventView,
    LoginWish,
    MessageFilter,
    MessagePage,
    MessageView,
    SuppressionView,
    SuppressionWish,
    TokenWish,
    Version,
)
from smtpeter.doors.rest.operating import Operating
from smtpeter.doors.rest.templating import Templates
from smtpeter.doors.steering import NOT_CONFIGURED, WayOut
from smtpeter.intake.accept import Intake, Outcome, Resent
from smtpeter.intake.identify import USER_FEATURES, Identify, hash_password, new_password, new_token
from smtpeter.intake.repeats import HEADER, Idempotency, first_answer
from smtpeter.model.account import Account, AccountId, Features, Identity, Login, Token
from smtpeter.model.message import Draft, MessageId, MessageState, Received, Transfer
from smtpeter.model.refusal import Refused
from smtpeter.prepare.collect import NotYet
from smtpeter.prepare.gather import FetchFor
from smtpeter.prepare.renderer import Renderer
from smtpeter.store.accounts import Named
from smtpeter.store.answers import Answer, KeyMismatch, Repeated, keep_answer
from smtpeter.store.credentials import (
    NewLogin,
    NewToken,
    drop_login,
    drop_token,
    find_login,
    logins_of,
    put_login,
    put_token,
    token_digest,
    tokens_of,
)
from smtpeter.store.events import EventQuery, events_of
from smtpeter.store.operation import Conflict
from smtpeter.store.records import MessageQuery, MessageRecord, message_record, sent
from smtpeter.store.search import MessageSearch, search_messages
from smtpeter.store.sources import stored_message
from smtpeter.store.store import Store
from smtpeter.store.suppressions import (
    NewSuppression,
    SuppressionCheck,
    SuppressionName,
    SuppressionQuery,
    SuppressionRecord,
    find_suppressions,
    suppressions,
)
from smtpeter.store.withdraw import Withdrawal, Withdrawn, withdraw
from smtpeter.world.seams import Clock

TOKEN_PREFIX_LENGTH = 12
_CANCELLED_BY = "cancelled by a call of the API"


class Rooms:
    """Answers by account: what another account owns is not there (W1).

    `way_out` is what the configuration says of it; without `fetch_for` nothing that a template names by URL can be had.
    """

    def __init__(
        self,
        store: Store,
        intake: Intake,
        identify: Identify,
        clock: Clock,
        hostname: str,
        renderer: Renderer,
        way_out: WayOut = NOT_CONFIGURED,
        fetch_for: FetchFor | None = None,
    ) -> None:
        self.operating = Operating(store, clock, way_out)
        self.templates = Templates(store, clock, hostname, fetch_for, workshop=intake.workshop, letters=intake.letters)
        self._store = store
        self._intake = intake
        self._identify = identify
        self._clock = clock
        self._renderer = renderer
        # a name is looked up before its row is made, and one password is hashed at a time (K2)
        self._credentials = asyncio.Lock()

    async def identify(self, token: str) -> Identity | None:
        """Gives who the token belongs to."""
        return await self._identify.by_token(token)

    async def accept(
        self, identity: Identity, draft: Draft, idempotency: Idempotency[list[MessageId]] | None = None
    ) -> list[MessageId] | Answer:
        """Stores the draft. Raises Refused."""
        return await self._intake.accept(identity, draft, idempotency)

    async def accept_batch(
        self, identity: Identity, drafts: Sequence[Draft | Refused], idempotency: Idempotency[list[Outcome]] | None
    ) -> list[Outcome] | Answer:
        """Stores the drafts together. Raises Refused."""
        return await self._intake.accept_batch(identity, drafts, idempotency)

    async def message(self, account: AccountId, id: MessageId) -> MessageView | None:
        """Gives the message."""
        record = await self._store.read(message_record, MessageQuery(account, id))
        return None if record is None else self._view(record)

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
        try:
            if version is Version.COMPOSED:
                return await self._renderer.source(message)
            as_sent = await self._store.read(sent, query)
            if as_sent is None:
                return await self._renderer.content(message, Transfer.EIGHT_BIT)
            return as_sent.block + await self._renderer.content(message, as_sent.transfer)
        except (CannotRender, NotYet) as reason:
            raise Problem("not_found", hint=f"the message could not be made: {str(reason).rstrip('.')}") from None

    async def resend(
        self, identity: Identity, id: MessageId, received: Received, idempotency: Idempotency[Resent] | None
    ) -> Resent | Answer | None:
        """Accepts the message anew. Raises Refused."""
        return await self._intake.resend(identity, id, received, idempotency)

    async def search(self, account: AccountId, wanted: MessageFilter) -> MessagePage:
        """Gives a page of the messages that fit."""
        query = MessageSearch(
            account,
            self._clock.now(),
            wanted.limit,
            wanted.recipient,
            wanted.subject,
            wanted.tag,
            wanted.state,
            wanted.sender,
            wanted.since,
            wanted.until,
            wanted.before,
        )
        page = await self._store.read(search_messages, query)
        return MessagePage(tuple([self._view(record) for record in page.messages]), page.before)

    async def cancel(self, account: AccountId, id: MessageId) -> Cancelling | None:
        """Takes the message out of the queue, unless it is too late."""
        match await self._store.write(withdraw, Withdrawal(account, id, self._clock.now(), _CANCELLED_BY)):
            case Withdrawn.CANCELLED:
                return Cancelling.DONE
            case Withdrawn.UNDER_WAY:
                return Cancelling.UNDER_WAY
            case Withdrawn.UNKNOWN:
                return None
        record = await self._store.read(message_record, MessageQuery(account, id))
        is_cancelled = record is not None and record.state is MessageState.CANCELLED
        return Cancelling.DONE if is_cancelled else Cancelling.FINAL

    def _view(self, record: MessageRecord) -> MessageView:
        return MessageView(
            id=record.id,
            state=record.shown_state(self._clock.now()),
            envelope=record.envelope or "",
            recipient=record.recipient,
            tags=record.options.tags,
            subject=record.subject,
            size=record.size_bytes,
            accepted=record.accepted,
            expires=record.expires,
            next_attempt=record.due,
            settled=record.settled,
            template=record.options.template or 0,
        )

    # --- suppressions ---

    async def suppressions(self, account: AccountId, limit: int, after: tuple[str, str]) -> list[SuppressionView]:
        """Gives entries in their order, behind the one with this name and stream."""
        found = await self._store.read(suppressions, SuppressionQuery(account, limit, after))
        return [_suppression(record) for record in found]

    async def suppression_of(self, account: AccountId, address: str, stream: str) -> SuppressionView | None:
        """Gives the entry that keeps mail of the stream from the address."""
        found = await self._store.read(find_suppressions, SuppressionCheck(account, stream, (address,)))
        return _suppression(found[address]) if address in found else None

    async def add_suppressions(
        self, account: AccountId, wish: SuppressionWish, idempotency: Idempotency[list[SuppressionView]] | None
    ) -> list[SuppressionView] | Answer:
        """Adds entries, in one commit when there is room in it, and gives them as they are then. Raises Refused."""
        now = self._clock.now()
        if idempotency is not None:
            known = await first_answer(self._store, account, idempotency, now)
            if known is not None:
                return known
        items = [NewSuppression(account, entry, wish.cause, now, wish.stream) for entry in wish.entries]
        records = await asyncio.gather(*[self._intake.suppressions.put(item) for item in items])
        made = [_suppression(record) for record in records]
        if idempotency is not None:
            # behind the entries: what is made twice is the same, so that nothing hangs on one commit
            try:
                await self._store.write(keep_answer, idempotency.with_answer(account, made, now))
            except Repeated as repeated:
                return repeated.answer
            except KeyMismatch:
                raise Refused("idempotency_mismatch", field=HEADER) from None
        return made

    async def remove_suppressions(self, account: AccountId, entries: tuple[str, ...], stream: str) -> list[str]:
        """Removes entries, and gives those that there were."""
        names = [SuppressionName(account, entry, stream) for entry in entries]
        removed = await asyncio.gather(*[self._intake.suppressions.drop(name) for name in names])
        return [entry for entry, was_there in zip(entries, removed, strict=True) if was_there]

    # --- credentials ---

    async def tokens(self, account: AccountId) -> list[Token]:
        """Gives the tokens of the account."""
        return await self._store.read(tokens_of, account)

    async def create_token(self, account: AccountId, wish: TokenWish) -> tuple[Token, str] | None:
        """Makes a token and gives it with its secret."""
        async with self._credentials:
            if any(token.name == wish.name for token in await self.tokens(account)):
                return None
            secret = new_token()
            prefix, digest = secret[:TOKEN_PREFIX_LENGTH], token_digest(secret)
            item = NewToken(account, wish.name, prefix, digest, wish.scopes, self._clock.now(), wish.is_sandbox)
            return await self._store.write(put_token, item), secret

    async def delete_token(self, account: AccountId, token: Token) -> bool:
        """Deletes the token. Other processes that have just seen it believe it for a second more."""
        is_gone = await self._store.write(drop_token, Named(account, token.name))
        self._identify.forget()
        return is_gone

    async def logins(self, account: AccountId) -> list[Login]:
        """Gives the SMTP logins of the account."""
        return await self._store.read(logins_of, account)

    async def create_login(self, account: Account, wish: LoginWish) -> tuple[Login, str] | None:
        """Makes a login, all settings off but those wished, and gives it with its password."""
        async with self._credentials:
            user = wish.user or f"{account.name}-{new_password()[:8].lower()}"
            if await self._store.read(find_login, user) is not None:
                return None
            password = wish.password or new_password()
            hashed = await asyncio.to_thread(hash_password, password)
            try:
                return await self._put(account.id, user, hashed, wish, wish.features.over(USER_FEATURES)), password
            except Conflict:
                return None

    async def change_login(self, login: Login, wish: LoginWish) -> Login | None:
        """Makes the login what is wished."""
        async with self._credentials:
            if all(known.id != login.id for known in await self.logins(login.account)):
                return None
            hashed = await asyncio.to_thread(hash_password, wish.password) if wish.password else login.password_hash
            return await self._put(login.account, login.user, hashed, wish, wish.features)

    async def _put(
        self, account: AccountId, user: str, password_hash: str, wish: LoginWish, features: Features
    ) -> Login:
        now = self._clock.now()
        item = NewLogin(account, user, password_hash, now, features, wish.networks, wish.sender_domains)
        changed = await self._store.write(put_login, item)
        self._identify.forget()
        return changed

    async def delete_login(self, account: AccountId, login: Login) -> bool:
        """Deletes the login. Other processes that have just seen it believe it for a second more."""
        is_gone = await self._store.write(drop_login, Named(account, login.user))
        self._identify.forget()
        return is_gone


def _suppression(record: SuppressionRecord) -> SuppressionView:
    return SuppressionView(record.entry, record.stream, record.cause, record.since, record.message)
