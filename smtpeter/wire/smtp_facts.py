"""What an SMTP server session is told (its policy) and what it tells (facts).

The session of smtp_server knows the protocol and nothing else. All that differs between the roles of a server is in
`ServerPolicy`; all that somebody else must do or decide is a fact. Facts marked *asks* wait for `Session.answer`.
"""

from dataclasses import dataclass, field

from msgspec import Struct

from smtpeter.model.message import Recipient


@dataclass(frozen=True, slots=True)
class ServerPolicy:
    """What a role may vary. The default is a submission server without certificate."""

    hostname: str
    max_message_bytes: int = 50 * 1024 * 1024
    max_recipients: int = 1000
    max_mails: int = 999_999  # transactions of one session; RFC 9422 has no room for more
    requires_tls: bool = True
    requires_auth: bool = True
    allows_auth: bool = True
    allows_plain_auth: bool = False  # AUTH without TLS: development on loopback only
    has_tls: bool = False  # there is a certificate
    rejects_bare_newlines: bool = False  # else they are made CRLF
    allows_source_routes: bool = True  # they are taken off
    accepts_postmaster: bool = False  # `<postmaster>` without domain is the one at `hostname`
    asks_sender: bool = False
    asks_recipient: bool = False
    max_errors: int = 10
    max_hurried_errors: int = 1  # while the owner of the session is in a hurry
    max_idle_commands: int = 100
    max_failed_logins: int = 3
    max_long_lines: int = 2  # one more closes the session
    max_line_octets: int = 2048  # with CRLF
    max_auth_line_octets: int = 12288  # with CRLF; RFC 4954 4

    @property
    def max_envelope_octets(self) -> int:
        """Of all MAIL and RCPT lines of one transaction; the longest addresses fit in as often as LIMITS promises."""
        return max(256 * 1024, self.max_line_octets + 260 * self.max_recipients)


class SmtpEnvelope(Struct, frozen=True):
    """One complete transaction without its body. `sender` "" is the null path; SIZE not given: None."""

    sender: str
    recipients: tuple[Recipient, ...]
    declared_bytes: int | None = None
    is_8bit: bool = False
    ret: str = ""
    envid: str = ""
    is_utf8: bool = False  # SMTPUTF8 was given


@dataclass(frozen=True, slots=True)
class CredentialsGiven:
    """*Asks.* The client logs in; a positive answer makes it authenticated."""

    mechanism: str
    user: str
    password: str = field(repr=False)


class TlsRequested(Struct, frozen=True):
    """The handshake begins once the output is sent; then `Session.tls_started`. What came in before it is dropped."""


class SenderGiven(Struct, frozen=True):
    """*Asks*, when the policy says so."""

    sender: str
    declared_bytes: int | None


class RecipientGiven(Struct, frozen=True):
    """*Asks*, when the policy says so."""

    sender: str
    recipient: Recipient


class BodyBegun(Struct, frozen=True):
    """The message begins: the client was told to send it, or sends its first chunk."""


class BodyPart(Struct, frozen=True):
    """The next octets of the message: dots unstuffed, line ends made CRLF when the policy does so."""

    data: bytes

    def __repr__(self) -> str:
        return f"BodyPart({len(self.data)} octets)"


class MessageReceived(Struct, frozen=True):
    """*Asks.* The body parts since `BodyBegun` are the whole message of this envelope."""

    envelope: SmtpEnvelope


class MessageRefused(Struct, frozen=True):
    """The parts of the body are worth nothing: it was broken or too large, or the client gave it up between chunks."""


class Ended(Struct, frozen=True):
    """The session is over: send the output and close. `is_wished`: the client has said QUIT or sends nothing more."""

    is_wished: bool = False


Question = CredentialsGiven | SenderGiven | RecipientGiven | MessageReceived
Fact = Question | TlsRequested | BodyBegun | BodyPart | MessageRefused | Ended
