"""Dialogues as text files, run against the pure core and over a real socket.

A file says what the client sends and what it must hear:

    @ role=mx max_message_bytes=1000   how the server is set up; see `Setting`
    # a comment
    C: EHLO client                     a line, sent with CRLF
    C= a\\n.\\r\\n{x*3000}                octets with Python escapes and repetitions, sent as they are
    C-TLS                              the client makes the handshake
    C-EOF                              the client sends nothing more (plain text only)
    S: 250 2.0.0 Ok                    the next line of the server; "…" at the end: anything may follow
    S: /^250 .* queued/                or a regular expression
    S-EHLO                             all lines of a positive answer to EHLO, whatever it offers
    S-END                              the server closes
    M: Subject: x\\r\\n                  the message that the door got last, with escapes
    M-NONE                             the door got no message so far

Client lines that follow each other are sent together. Every line that the server says must be expected.
"""

import datetime
import ipaddress
import re
import ssl
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from smtpeter.model.reply import Reply, reply
from smtpeter.wire.smtp_server import ServerPolicy

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Send:
    octets: bytes


@dataclass(frozen=True)
class StartTls:
    pass


@dataclass(frozen=True)
class SendEof:
    pass


@dataclass(frozen=True)
class Expect:
    pattern: str

    def matches(self, line: str) -> bool:
        if len(self.pattern) > 1 and self.pattern[0] == self.pattern[-1] == "/":
            return re.search(self.pattern[1:-1], line) is not None
        if self.pattern.endswith("…"):
            return line.startswith(self.pattern[:-1])
        return line == self.pattern


@dataclass(frozen=True)
class ExpectOffers:
    pass


@dataclass(frozen=True)
class ExpectEnd:
    pass


@dataclass(frozen=True)
class ExpectMessage:
    body: bytes | None


Step = Send | StartTls | SendEof | Expect | ExpectOffers | ExpectEnd | ExpectMessage


@dataclass(frozen=True)
class Dialogue:
    name: str
    policy: ServerPolicy
    is_tls: bool
    is_trusted: bool
    steps: tuple[Step, ...]


_ROLES = {
    "submission": {"has_tls": True},
    "mx": {
        "has_tls": True,
        "requires_tls": False,
        "requires_auth": False,
        "allows_auth": False,
        "rejects_bare_newlines": True,
        "allows_source_routes": False,
        "accepts_postmaster": True,
        "asks_recipient": True,
    },
}


def load(path: Path) -> Dialogue:
    """Reads a dialogue. Raises ValueError on a line that it does not understand."""
    options: dict[str, str] = {}
    steps: list[Step] = []
    for line in path.read_text("utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        match kind:
            case "" | "#":
                pass
            case "@":
                options |= dict(item.split("=") for item in rest.split())
            case "C:":
                steps.append(Send(rest.encode() + b"\r\n"))
            case "C=":
                steps.append(Send(_octets(rest)))
            case "C-TLS":
                steps.append(StartTls())
            case "C-EOF":
                steps.append(SendEof())
            case "S:":
                steps.append(Expect(rest))
            case "S-EHLO":
                steps.append(ExpectOffers())
            case "S-END":
                steps.append(ExpectEnd())
            case "M:":
                steps.append(ExpectMessage(_octets(rest)))
            case "M-NONE":
                steps.append(ExpectMessage(None))
            case _:
                raise ValueError(f"{path.name}: {line!r}")
    role = options.pop("role", "submission")
    is_tls = options.pop("tls", "no") == "yes"
    is_trusted = options.pop("trusted", "no") == "yes"
    values = {name: int(value) if value.isdigit() else value == "yes" for name, value in options.items()}
    policy = ServerPolicy("mail.example.com", **(_ROLES[role] | values))  # type: ignore[arg-type]
    return Dialogue(path.stem, policy, is_tls, is_trusted, tuple(steps))


def all_dialogues() -> list[Dialogue]:
    """Gives every dialogue of the folder."""
    return [load(path) for path in sorted(FOLDER.glob("*.txt"))]


def _octets(text: str) -> bytes:
    repeated = re.sub(r"\{([^{}*]+)\*(\d+)\}", lambda found: found[1] * int(found[2]), text)
    return repeated.encode("latin-1").decode("unicode_escape").encode("latin-1")


# --- what the door of a dialogue answers


def judge_login(user: str, password: str) -> Reply:
    """One login is right; one finds the look-up out of order."""
    if user == "broken":
        return reply(454, "4.7.0", "Try again later")
    if (user, password) == ("user", "secret"):
        return reply(235, "2.7.0", "Welcome back")
    return reply(535, "5.7.8", "User name or password is wrong")


def judge_sender(sender: str) -> Reply:
    if sender == "bad@example.com":
        return reply(550, "5.7.1", "Not you")
    return reply(250, "2.1.0", "Sender OK")


def judge_recipient(address: str) -> Reply:
    if address.lower() in ("ours@example.com", "postmaster@mail.example.com"):
        return reply(250, "2.1.5", "Recipient OK")
    return reply(550, "5.1.1", "No such address here")


def judge_message(sender: str) -> Reply:
    match sender:
        case "unapproved@example.com":
            return reply(550, "5.7.1", "example.com is not an approved sender domain")
        case "full@example.com":
            return reply(452, "4.3.1", "The quota of the account is used up")
        case "unstored@example.com":
            return reply(451, "4.3.0", "The message could not be stored, nothing was queued; try again later.")
        case "shutdown@example.com":
            return reply(421, "4.3.2", "The server is shutting down; try again in a moment.")
    return reply(250, "2.0.0", "Ok, queued as 0123456789abcdefghij")


# --- a certificate of our own making


@cache
def _certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), private


@cache
def server_context() -> ssl.SSLContext:
    """Gives a context with a self-made certificate for localhost, made once per process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(_certificate()))
        file.flush()
        context.load_cert_chain(file.name)
    return context


@cache
def client_context() -> ssl.SSLContext:
    """Gives a context that trusts only that certificate."""
    return ssl.create_default_context(cadata=_certificate()[0].decode())
