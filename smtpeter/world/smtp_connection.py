"""One SMTP client: moves bytes between a socket and the session, and questions between the session and the door.

Nothing is judged here. What this file knows is the socket's side of reliability: what was pipelined is answered in one
write; a client that does not read is not read from; while a decision is awaited at most 64 KiB wait behind it; the
time limits are totals (L13) that the listener lets us check every few seconds, so that no command costs a timer; and a
session that we end is closed such that the client can still read why.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, assert_never, cast

from smtpeter.model.account import Identity
from smtpeter.model.outcome import TlsFacts
from smtpeter.model.refusal import Refused
from smtpeter.model.reply import Reply, reply
from smtpeter.wire.smtp_server import (
    BodyBegun,
    BodyPart,
    CredentialsGiven,
    Ended,
    Fact,
    MessageReceived,
    MessageRefused,
    Question,
    RecipientGiven,
    SenderGiven,
    ServerPolicy,
    Session,
    SmtpEnvelope,
    State,
    TlsRequested,
)
from smtpeter.world.smtp_spool import Spool

_log = logging.getLogger(__name__)

MAX_WAITING_OCTETS = 65536
LINGER_SECONDS = 10.0

SHUTTING_DOWN = Refused("shutting_down").reply
_OUT_OF_TIME = reply(421, "4.4.2", "Waited too long, closing")
_STORE_TROUBLE = Refused("store_unavailable").reply
_DISK_TROUBLE = Refused("insufficient_storage").reply
_WELCOME = reply(235, "2.7.0", "Welcome back")


@dataclass(frozen=True, slots=True)
class Patience:
    """The time limits of a connection, as totals."""

    command_seconds: float = 300.0
    session_seconds: float = 7200.0  # without an accepted message
    window_seconds: float = 60.0  # over which the pace of a body is looked at
    octets_per_second: float = 500.0
    handshake_seconds: float = 60.0
    login_delay_seconds: float = 1.0  # after the first failed login, growing by as much with each


@dataclass(frozen=True, slots=True)
class Admission:
    """The door lets a client in. `identity` is who a trusted network counts as."""

    policy: ServerPolicy
    is_trusted: bool = False
    identity: Identity | None = None
    patience: Patience | None = None  # None: that of the listener


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as known at the moment of a question."""

    ip: str
    local_port: int
    helo: str
    is_esmtp: bool
    tls: TlsFacts | None
    identity: Identity | None
    is_trusted: bool

    @property
    def is_tls(self) -> bool:
        """True when the connection is encrypted."""
        return self.tls is not None


class SmtpDoor(Protocol):
    """Who decides. What a question raises is logged and answered 451."""

    def admit(self, peer_ip: str, local_port: int) -> Admission | Reply:
        """Judges a new connection before any work; a Reply is sent and the connection closed."""

    def released(self, peer_ip: str) -> None:
        """Hears that a connection which was admitted is gone."""

    def logged_out(self, identity: Identity) -> None:
        """Hears that a connection which had logged in is gone; once for each login that `authenticate` let in."""

    async def authenticate(self, peer: Peer, given: CredentialsGiven) -> Identity | Reply:
        """Checks credentials."""

    async def sender(self, peer: Peer, given: SenderGiven) -> Reply:
        """Judges a reverse path; asked only when the policy says so."""

    async def recipient(self, peer: Peer, given: RecipientGiven) -> Reply:
        """Judges a forward path; asked only when the policy says so."""

    async def message(self, peer: Peer, envelope: SmtpEnvelope, body: bytes) -> Reply:
        """Takes a message over, or not. The client hears the answer."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What all connections of a listener share."""

    door: SmtpDoor
    spool_folder: Path
    patience: Patience
    tls: Callable[[], ssl.SSLContext] | None
    is_implicit_tls: bool


class Connection(asyncio.Protocol):
    """The protocol object of one connection. `gone` is called once when it is over."""

    def __init__(self, settings: Settings, gone: Callable[["Connection"], None], *, is_draining: bool) -> None:
        self._settings = settings
        self._gone = gone
        self._is_draining = is_draining
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._spool: Spool | None = None
        self._identity: Identity | None = None
        self._network_identity: Identity | None = None
        self._logins: list[Identity] = []
        self._tls: TlsFacts | None = None
        self._failed_logins = 0
        self._is_reading_paused = self._is_writing_paused = self._is_admitted = self._is_gone = False
        self._is_shaking_hands = False
        self._early = b""
        self._ending_since: float | None = None
        now = self._loop.time()
        self._progress_at = self._accepted_at = self._window_at = now
        self._lines_seen = self._octets_in = self._window_octets = 0

    # --- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # that of uvloop is no subclass of asyncio.Transport, but does the same
        self._transport = transport = cast(asyncio.Transport, transport)
        if self._session is None:
            peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
            refusal = self.admit(peer, local) if peer else SHUTTING_DOWN  # no peer: gone before we looked
            if refusal is not None:
                self._ending_since = self._loop.time()
                transport.write(refusal.encode())
                transport.close()
                return
        self._is_shaking_hands = False
        self._note_tls(transport)
        session = self._session
        assert session is not None
        session.greet()
        self._advance()

    def data_received(self, data: bytes) -> None:
        session = self._session
        if session is None or self._ending_since is not None:
            return
        self._octets_in += len(data)
        if self._is_shaking_hands:
            # Reading was paused before the handshake, so this came through TLS, in one piece with its last message:
            # the event loop hands it over before `_shake_hands` goes on.
            self._early += data
            return
        session.receive(data)
        self._advance()

    def eof_received(self) -> bool:
        session = self._session
        if session is None or self._ending_since is not None:
            return False
        session.receive_eof()
        self._advance()
        # S11: what is owed is still told. A TLS transport closes in any case
        return self._tls is None and self._ending_since is None

    def pause_writing(self) -> None:
        self._is_writing_paused = True
        self._mind_reading()

    def resume_writing(self) -> None:
        self._is_writing_paused = False
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_gone:
            return
        self._is_gone = True
        self._drop_spool()
        if self._is_admitted:
            self._settings.door.released(self._ip)
        for identity in self._logins:
            self._settings.door.logged_out(identity)
        self._gone(self)

    # --- called by the listener

    def admit(self, peer: tuple[object, ...], local: tuple[object, ...]) -> Reply | None:
        """Asks the door about the client at these socket addresses; gives the refusal, if it is one.

        With TLS from the first byte this comes before the handshake, else `connection_made` sees to it.
        """
        self._ip, self._local_port = str(peer[0]).removeprefix("::ffff:"), int(str(local[1]))
        verdict = SHUTTING_DOWN if self._is_draining else self._settings.door.admit(self._ip, self._local_port)
        if isinstance(verdict, Reply):
            return verdict
        self._is_admitted = True
        self._is_trusted = verdict.is_trusted
        self._identity = self._network_identity = verdict.identity
        self._patience = verdict.patience or self._settings.patience
        policy = verdict.policy
        if policy.has_tls and self._settings.tls is None:
            policy = replace(policy, has_tls=False)
        self._is_shaking_hands = implicit = self._settings.is_implicit_tls
        self._session = Session(policy, is_tls=implicit, is_trusted=verdict.is_trusted)
        return None

    @property
    def handshake_seconds(self) -> float:
        """How long the handshake of an admitted client may take."""
        return self._patience.handshake_seconds

    def drain(self) -> None:
        """Ends the session as soon as no message is on its way."""
        if self._session is not None:
            self._session.drain(SHUTTING_DOWN)
            if not self._is_shaking_hands:
                self._advance()

    def abort(self) -> None:
        """Closes at once."""
        if self._transport is not None:
            self._transport.abort()

    def check(self, now: float) -> None:
        """Ends what has used up its time; `now` on the clock of the event loop."""
        session = self._session
        if self._ending_since is not None:
            if now - self._ending_since > LINGER_SECONDS:
                self.abort()
        elif session is not None and not session.is_owed and self._is_late(session, now):
            session.shut(_OUT_OF_TIME)
            self._is_writing_paused = False
            self._advance()

    def _is_late(self, session: Session, now: float) -> bool:
        patience = self._patience
        if self._is_shaking_hands:
            return False  # has its own limit
        if now - self._accepted_at > patience.session_seconds:
            return True
        if session.state is not State.BODY:
            return now - self._progress_at > patience.command_seconds
        elapsed = now - self._window_at
        if elapsed < patience.window_seconds:
            return False
        octets = self._octets_in - self._window_octets
        self._window_at, self._window_octets = now, self._octets_in
        return octets < patience.octets_per_second * elapsed

    # --- the pump

    def _advance(self) -> None:
        session = self._session
        assert session is not None
        while not self._is_writing_paused and (fact := session.next_fact()) is not None:
            self._serve(fact)
        if session.lines_read != self._lines_seen:
            self._lines_seen = session.lines_read
            self._progress_at = self._loop.time()
        if self._ending_since is None:
            self._flush()
            self._mind_reading()

    def _serve(self, fact: Fact) -> None:
        match fact:
            case BodyPart(data):
                self._keep(data)
            case BodyBegun():
                self._spool = Spool(self._settings.spool_folder)
                self._window_at, self._window_octets = self._loop.time(), self._octets_in
            case MessageRefused():
                self._drop_spool()
            case TlsRequested():
                self._flush()
                self._begin_handshake()
            case Ended(is_wished):
                self._end(is_wished)
            case CredentialsGiven() | SenderGiven() | RecipientGiven() | MessageReceived():
                self._task = self._loop.create_task(self._ask(fact))
            case _:
                assert_never(fact)

    def _flush(self) -> None:
        if self._session is not None and self._transport is not None and (output := self._session.take_output()):
            self._transport.write(output)

    def _mind_reading(self) -> None:
        session, transport = self._session, self._transport
        if session is None or transport is None or self._is_shaking_hands or transport.is_closing():
            return
        is_full = self._is_writing_paused or (session.is_owed and session.waiting_octets > MAX_WAITING_OCTETS)
        if is_full != self._is_reading_paused:
            self._is_reading_paused = is_full
            if is_full:
                transport.pause_reading()
            else:
                transport.resume_reading()

    def _end(self, is_wished: bool) -> None:
        transport = self._transport
        assert transport is not None
        self._flush()
        self._drop_spool()
        self._ending_since = self._loop.time()
        if is_wished or not transport.can_write_eof():
            transport.close()
            return
        # Closing with octets unread would reset the connection, and the client might lose our last reply: say that
        # we are done and let it finish; `check` closes when it does not.
        transport.write_eof()
        if self._is_reading_paused:
            transport.resume_reading()

    # --- TLS

    def _begin_handshake(self) -> None:
        assert self._transport is not None
        self._is_shaking_hands = True
        self._transport.pause_reading()
        self._task = self._loop.create_task(self._shake_hands(self._transport))

    async def _shake_hands(self, plain: asyncio.Transport) -> None:
        session, context = self._session, self._settings.tls
        assert session is not None and context is not None
        try:
            transport = await self._loop.start_tls(
                plain, self, context(), server_side=True, ssl_handshake_timeout=self._patience.handshake_seconds
            )
        except OSError:  # of the connection, of TLS, or out of time
            transport = None
        if transport is None or self._is_gone:
            plain.abort()
            self.connection_lost(None)
            return
        self._transport = transport
        self._is_reading_paused = self._is_shaking_hands = False
        self._note_tls(transport)
        self._identity = self._network_identity  # RFC 3207 4.2
        session.tls_started()
        session.receive(self._early)
        self._early = b""
        self._advance()

    def _note_tls(self, transport: asyncio.Transport) -> None:
        self._progress_at = self._loop.time()
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            cipher = tls.cipher()
            self._tls = TlsFacts(tls.version() or "", cipher[0] if cipher else "", is_verified=False)

    # --- the body

    def _keep(self, data: bytes) -> None:
        if self._spool is None:
            return
        try:
            self._spool.add(data)
        except OSError:
            _log.exception("smtp.spool_failed")
            self._drop_spool()

    def _drop_spool(self) -> None:
        if self._spool is not None:
            self._spool.drop()
            self._spool = None

    # --- questions to the door

    async def _ask(self, question: Question) -> None:
        try:
            answer = await self._decide(question)
        except Exception:
            _log.exception("smtp.question_failed")
            answer = _STORE_TROUBLE
        session = self._session
        if session is None or self._is_gone or self._ending_since is not None:
            return
        now = self._loop.time()
        self._progress_at = now
        if answer.is_positive and isinstance(question, MessageReceived):
            self._accepted_at = now
        session.answer(answer)
        self._advance()

    async def _decide(self, question: Question) -> Reply:
        door, peer = self._settings.door, self._peer()
        match question:
            case MessageReceived(envelope):
                return await self._hand_over(peer, envelope)
            case RecipientGiven():
                return await door.recipient(peer, question)
            case SenderGiven():
                return await door.sender(peer, question)
            case CredentialsGiven():
                return await self._authenticate(peer, question)

    async def _hand_over(self, peer: Peer, envelope: SmtpEnvelope) -> Reply:
        spool, self._spool = self._spool, None
        if spool is None:
            return _DISK_TROUBLE
        body = await asyncio.to_thread(spool.take) if spool.is_on_disk else spool.take()
        return await self._settings.door.message(peer, envelope, body)

    async def _authenticate(self, peer: Peer, given: CredentialsGiven) -> Reply:
        verdict = await self._settings.door.authenticate(peer, given)
        if not isinstance(verdict, Reply):
            if self._is_gone:
                self._settings.door.logged_out(verdict)
            self._logins.append(verdict)
            self._identity = verdict
            return _WELCOME
        if verdict.is_permanent:
            self._failed_logins += 1
            await asyncio.sleep(self._patience.login_delay_seconds * self._failed_logins)
        return verdict

    def _peer(self) -> Peer:
        session = self._session
        assert session is not None
        return Peer(
            self._ip,
            self._local_port,
            session.helo,
            session.is_esmtp,
            self._tls,
            self._identity,
            self._is_trusted,
        )
