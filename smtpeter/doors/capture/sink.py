"""The sink's SMTP side: takes everything for everybody, on loopback only."""

from smtpeter.doors.capture.mailbox import Mailbox
from smtpeter.model.account import Identity
from smtpeter.model.reply import Reply, reply
from smtpeter.wire.smtp_facts import CredentialsGiven, RecipientGiven, SenderGiven, ServerPolicy, SmtpEnvelope
from smtpeter.world.seams import Clock
from smtpeter.world.smtp_listener import Admission, Peer


class SinkDoor:
    """Keeps what it is given. No TLS, no login: it is reached over loopback by our own delivery."""

    def __init__(self, mailbox: Mailbox, clock: Clock, hostname: str) -> None:
        self._mailbox = mailbox
        self._clock = clock
        self._policy = ServerPolicy(
            hostname=hostname, requires_tls=False, requires_auth=False, allows_auth=False, accepts_postmaster=True
        )

    def admit(self, peer_ip: str, local_port: int) -> Admission | Reply:
        """Lets everybody in; the listener is bound to loopback."""
        return Admission(self._policy, is_trusted=True)

    def is_crowded(self) -> bool:
        """Nothing is counted."""
        return False

    def released(self, peer_ip: str) -> None:
        """Nothing is counted."""

    def logged_out(self, identity: Identity) -> None:
        """Nobody logs in."""

    async def authenticate(self, peer: Peer, given: CredentialsGiven) -> Reply:
        """Knows nobody; AUTH is not offered."""
        return reply(535, "5.7.8", "There is no login here")

    async def sender(self, peer: Peer, given: SenderGiven) -> Reply:
        """Takes every sender."""
        return reply(250, "2.1.0", "Sender OK")

    async def recipient(self, peer: Peer, given: RecipientGiven) -> Reply:
        """Takes every recipient."""
        return reply(250, "2.1.5", "Recipient OK")

    async def message(self, peer: Peer, envelope: SmtpEnvelope, body: bytes) -> Reply:
        """Keeps the message."""
        received = f"{self._clock.now():%Y-%m-%d %H:%M:%S}"
        number = self._mailbox.add(received, envelope.sender, [r.address for r in envelope.recipients], body)
        return reply(250, "2.0.0", f"Ok, captured as {number}")
