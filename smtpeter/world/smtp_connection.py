"""One SMTP client: moves octets between its socket and its session, and facts from the session to the visitor.

Nothing is judged here. What this file knows is the socket's side of reliability: what was pipelined is answered in one
write; a client that does not read is not read from; while a decision is awaited at most 64 KiB wait behind it; the
time limits (smtp_patience) are checked by the listener every few seconds, so that no command costs a timer; and a
session that we end is closed such that the client can still read why.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from smtpeter.model.refusal import Refused
from smtpeter.model.reply import Reply, reply
from smtpeter.wire.smtp_facts import (
    BodyBegun,
    BodyPart,
    Ended,
    Fact,
    MessageReceived,
    MessageRefused,
    Question,
    TlsRequested,
)
from smtpeter.wire.smtp_server import Session
from smtpeter.world.smtp_door import Settings
from smtpeter.world.smtp_handshake import start_tls, tls_facts
from smtpeter.world.smtp_patience import Pace, hurried
from smtpeter.world.smtp_visitor import Visitor

MAX_WAITING_OCTETS = 65536
LINGER_SECONDS = 10.0

SHUTTING_DOWN = Refused("shutting_down").reply
_OUT_OF_TIME = reply(421, "4.4.2", "Waited too long, closing")


class Connection(asyncio.Protocol):
    """The protocol object of one connection. `gone` is called once when it is over."""

    def __init__(self, settings: Settings, gone: Callable[["Connection"], None], *, is_draining: bool) -> None:
        self._settings = settings
        self._gone = gone
        self._is_draining = is_draining
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        # both are there once the client is admitted
        self._session: Session | None = None
        self._visitor: Visitor | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_reading_paused = self._is_writing_paused = self._is_shaking_hands = self._is_gone = False
        self._early = b""
        self._ending_since: float | None = None
        self._usual_patience = self._patience = settings.patience
        self._progress_at = self._accepted_at = self._loop.time()
        self._pace = Pace()
        self._progress_seen = self._octets_in = 0

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
        return not session.is_tls and self._ending_since is None

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
        if self._visitor is not None:
            self._visitor.leave()
        self._gone(self)

    # --- called by the listener

    def admit(self, peer: tuple[object, ...], local: tuple[object, ...]) -> Reply | None:
        """Asks the door about the client at these socket addresses; gives the refusal, if it is one.

        With TLS from the first byte this comes before the handshake, else `connection_made` sees to it.
        """
        settings = self._settings
        ip, local_port = str(peer[0]).removeprefix("::ffff:"), int(str(local[1]))
        verdict = SHUTTING_DOWN if self._is_draining else settings.door.admit(ip, local_port)
        if isinstance(verdict, Reply):
            return verdict
        self._usual_patience = verdict.patience or settings.patience
        policy = verdict.policy
        if policy.has_tls and settings.tls is None:
            policy = replace(policy, has_tls=False)
        self._is_shaking_hands = implicit = settings.is_implicit_tls
        self._session = Session(policy, is_tls=implicit, is_trusted=verdict.is_trusted)
        self._visitor = Visitor(settings, verdict, ip, local_port)
        self.hurry(is_hurried=settings.door.is_crowded())
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

    def hurry(self, *, is_hurried: bool) -> None:
        """Says whether others wait for the place of this client."""
        self._patience = hurried(self._usual_patience) if is_hurried else self._usual_patience
        if self._session is not None:
            self._session.hurry(is_hurried=is_hurried)

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
        if session.is_in_body:
            return self._pace.is_too_slow(now, self._octets_in, patience)
        return now - self._progress_at > patience.command_seconds

    # --- the pump

    def _advance(self) -> None:
        session = self._session
        assert session is not None
        while not self._is_writing_paused and (fact := session.next_fact()) is not None:
            self._serve(fact)
        if session.progress != self._progress_seen:
            self._progress_seen = session.progress
            self._progress_at = now = self._loop.time()
            self._pace.begin(now, self._octets_in)  # what comes now may be a body
        if self._ending_since is None:
            self._flush()
            self._mind_reading()

    def _serve(self, fact: Fact) -> None:
        visitor = self._visitor
        assert visitor is not None
        match fact:
            case BodyPart(data):
                visitor.add_to_body(data)
            case BodyBegun():
                visitor.begin_body()
            case MessageRefused():
                visitor.drop_body()
            case TlsRequested():
                self._begin_handshake()
            case Ended(is_wished):
                visitor.drop_body()
                self._end(is_wished)
            case question:
                self._task = self._loop.create_task(self._ask(question))

    async def _ask(self, question: Question) -> None:
        session, visitor = self._session, self._visitor
        assert session is not None and visitor is not None
        answer = await visitor.ask(question, session)
        if self._is_gone or self._ending_since is not None:
            return
        self._progress_at = now = self._loop.time()
        if answer.is_positive and isinstance(question, MessageReceived):
            self._accepted_at = now
        session.answer(answer)
        self._advance()

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
        self._flush()
        self._is_shaking_hands = True
        self._transport.pause_reading()
        self._task = self._loop.create_task(self._shake_hands(self._transport))

    async def _shake_hands(self, plain: asyncio.Transport) -> None:
        session, visitor, tls = self._session, self._visitor, self._settings.tls
        assert session is not None and visitor is not None and tls is not None
        transport = await start_tls(plain, self, tls, max_seconds=self._patience.handshake_seconds)
        if transport is None or self._is_gone:
            plain.abort()
            self.connection_lost(None)
            return
        self._transport = transport
        self._is_reading_paused = self._is_shaking_hands = False
        self._note_tls(transport)
        visitor.forget_login()
        session.tls_started()
        session.receive(self._early)
        self._early = b""
        self._advance()

    def _note_tls(self, transport: asyncio.Transport) -> None:
        assert self._visitor is not None
        self._progress_at = self._loop.time()
        self._visitor.tls = tls_facts(transport)
