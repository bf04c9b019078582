"""A client that the door let in: who it is by now, the body that it hands in, and its questions to the door.

A visitor changes while it is here: it encrypts, it logs in, and a handshake makes its login void (RFC 3207 4.2). The
door counts visitors and logins, so it hears of each that goes. Raises nothing: trouble of the door or of the disk is
logged and answered as "try again later".
"""

import asyncio
import logging

from smtpeter.model.account import Identity
from smtpeter.model.outcome import TlsFacts
from smtpeter.model.refusal import Refused
from smtpeter.model.reply import Reply, reply
from smtpeter.wire.smtp_facts import (
    CredentialsGiven,
    MessageReceived,
    Question,
    RecipientGiven,
    SenderGiven,
    SmtpEnvelope,
)
from smtpeter.wire.smtp_server import Session
from smtpeter.world.smtp_door import Admission, Peer, Settings
from smtpeter.world.smtp_spool import Spool

_log = logging.getLogger(__name__)

_STORE_TROUBLE = Refused("store_unavailable").reply
_DISK_TROUBLE = Refused("insufficient_storage").reply
_WELCOME = reply(235, "2.7.0", "Welcome back")


class Visitor:
    """One admitted client. `tls` is None while the connection is not encrypted."""

    def __init__(self, settings: Settings, admission: Admission, ip: str, local_port: int) -> None:
        self.tls: TlsFacts | None = None
        self._door = settings.door
        self._ip = ip
        self._local_port = local_port
        self._is_trusted = admission.is_trusted
        self._identity = self._network_identity = admission.identity
        self._logins: list[Identity] = []  # all that the door let in, also those that a handshake made void
        self._failed_logins = 0
        self._login_delay_seconds = (admission.patience or settings.patience).login_delay_seconds
        self._spool_folder = settings.spool_folder
        self._spool: Spool | None = None
        self._has_left = False

    def forget_login(self) -> None:
        """Makes the visitor again who its network says it is; called after a handshake."""
        self._identity = self._network_identity  # RFC 3207 4.2

    def leave(self) -> None:
        """Tells the door that the connection is gone. To be called once."""
        self._has_left = True
        self.drop_body()
        self._door.released(self._ip)
        for identity in self._logins:
            self._door.logged_out(identity)

    # --- the body

    def begin_body(self) -> None:
        """Makes room for a body."""
        self._spool = Spool(self._spool_folder)

    def add_to_body(self, data: bytes) -> None:
        """Keeps the next octets. When the disk does not take them, the message is refused at its end."""
        if self._spool is None:
            return
        try:
            self._spool.add(data)
        except OSError:
            _log.exception("smtp.spool_failed")
            self.drop_body()

    def drop_body(self) -> None:
        """Forgets the body, if there is one."""
        if self._spool is not None:
            self._spool.drop()
            self._spool = None

    # --- questions to the door

    async def ask(self, question: Question, session: Session) -> Reply:
        """Gives the door's decision about what was said in this session."""
        try:
            return await self._decide(question, self._peer(session))
        except Exception:
            _log.exception("smtp.question_failed")
            return _STORE_TROUBLE

    async def _decide(self, question: Question, peer: Peer) -> Reply:
        match question:
            case MessageReceived(envelope):
                return await self._hand_over(peer, envelope)
            case RecipientGiven():
                return await self._door.recipient(peer, question)
            case SenderGiven():
                return await self._door.sender(peer, question)
            case CredentialsGiven():
                return await self._authenticate(peer, question)

    async def _hand_over(self, peer: Peer, envelope: SmtpEnvelope) -> Reply:
        spool, self._spool = self._spool, None
        if spool is None:
            return _DISK_TROUBLE
        body = await asyncio.to_thread(spool.take) if spool.is_on_disk else spool.take()
        return await self._door.message(peer, envelope, body)

    async def _authenticate(self, peer: Peer, given: CredentialsGiven) -> Reply:
        verdict = await self._door.authenticate(peer, given)
        if not isinstance(verdict, Reply):
            if self._has_left:
                self._door.logged_out(verdict)
            self._logins.append(verdict)
            self._identity = verdict
            return _WELCOME
        if verdict.is_permanent:
            self._failed_logins += 1
            await asyncio.sleep(self._login_delay_seconds * self._failed_logins)
        return verdict

    def _peer(self, session: Session) -> Peer:
        return Peer(
            self._ip,
            self._local_port,
            session.helo,
            session.is_esmtp,
            self.tls,
            self._identity,
            self._is_trusted,
        )
