"""Who decides about SMTP clients, as the connections see it: the protocol of a door and the values that pass by it.

A door (doors.submission and its like) translates between a client and the rooms that judge; connections know no more
of these rooms than is written here.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from smtpeter.model.account import Identity
from smtpeter.model.outcome import TlsFacts
from smtpeter.model.reply import Reply
from smtpeter.wire.smtp_facts import CredentialsGiven, RecipientGiven, SenderGiven, ServerPolicy, SmtpEnvelope
from smtpeter.world.smtp_patience import Patience


@dataclass(frozen=True, slots=True)
class Admission:
    """The door lets a client in. `identity` is who a trusted network counts as."""

    policy: ServerPolicy
    is_trusted: bool = False
    identity: Identity | None = None
    patience: Patience | None = None  # None: that of the listener


class Peer(Struct, frozen=True):
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

    def is_crowded(self) -> bool:
        """True while nearly all places are taken: who is slow or errs has to go then."""

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
    """What all connections of a listener share. `tls` gives the context for each handshake; None: no TLS."""

    door: SmtpDoor
    spool_folder: Path
    patience: Patience
    tls: Callable[[], ssl.SSLContext] | None
    is_implicit_tls: bool
