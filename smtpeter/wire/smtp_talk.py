"""What a server session remembers of the talk with its client, and the few steps that all its commands share.

The commands (smtp_verbs, smtp_login, smtp_transaction) are functions of a `Talk`: they change where it stands, say
replies, ask questions and end it. They read nothing and send nothing; that is done by the session (smtp_server) to
which the talk belongs. Raises nothing.
"""

from dataclasses import dataclass, field
from enum import IntEnum, auto

from smtpeter.model.message import Recipient
from smtpeter.model.reply import Reply
from smtpeter.wire import smtp_replies as replies
from smtpeter.wire.sasl import Exchange
from smtpeter.wire.smtp_body import BodyScanner, ChunkScanner
from smtpeter.wire.smtp_facts import Ended, Fact, MessageRefused, Question, ServerPolicy
from smtpeter.wire.smtp_grammar import Chunk, MailCommand
from smtpeter.wire.smtp_lines import LineReader


class State(IntEnum):
    """Where a session stands."""

    NEW = auto()  # no EHLO or HELO yet
    READY = auto()
    SENDER = auto()  # MAIL was taken
    RECIPIENT = auto()  # and at least one RCPT
    BODY = auto()
    CHUNK = auto()  # within the octets of a BDAT
    CHUNKS = auto()  # between two of them
    LOGIN = auto()  # within an AUTH exchange
    HANDSHAKE = auto()  # STARTTLS was answered
    OVER = auto()


@dataclass(frozen=True, slots=True)
class Login:
    """An AUTH exchange on its way."""

    mechanism: str
    exchange: Exchange


@dataclass(slots=True)
class Transaction:
    """What came since MAIL. `octets` are those of its command lines; `scanner` is there from DATA on, `chunks` from BDAT."""

    mail: MailCommand
    octets: int
    recipients: list[Recipient] = field(default_factory=list)
    scanner: BodyScanner | None = None
    chunks: ChunkScanner | None = None
    chunk: Chunk | None = None  # the one that is coming
    octets_to_come: int = 0  # of it


class Talk:
    """The memory of one session. Commands read and change it as they need; its owner does so between them."""

    __slots__ = (
        "errors",
        "facts",
        "failed_logins",
        "helo",
        "idle_commands",
        "is_authenticated",
        "is_esmtp",
        "is_hurried",
        "is_tls",
        "is_trusted",
        "lines",
        "login",
        "mails",
        "output",
        "owed",
        "policy",
        "skipped",
        "state",
        "transaction",
    )

    def __init__(self, policy: ServerPolicy, *, is_tls: bool, is_trusted: bool) -> None:
        self.policy = policy
        self.is_tls = is_tls
        self.is_trusted = is_trusted
        self.is_authenticated = False
        self.is_esmtp = False
        self.is_hurried = False  # others wait for the place: mistakes are not borne with
        self.helo = ""
        self.state = State.NEW
        self.lines = LineReader(policy.max_line_octets, policy.max_auth_line_octets)
        self.output: list[bytes] = []
        self.facts: list[Fact] = []  # to be told; two at most
        self.owed: Question | None = None  # was asked and is not answered
        self.login: Login | None = None
        self.transaction: Transaction | None = None
        self.errors = self.idle_commands = self.failed_logins = self.mails = 0
        self.skipped = b""  # the reply once the octets that are skipped have gone by

    def say(self, encoded: bytes) -> None:
        """Queues a reply, given ready for the wire."""
        self.output.append(encoded)

    def refuse(self, encoded: bytes) -> None:
        """Queues a reply to a mistake of the client; one mistake too many ends the session instead."""
        self.errors += 1
        policy = self.policy
        if self.errors > policy.max_errors or (self.is_hurried and self.errors > policy.max_hurried_errors):
            self.finish(replies.TOO_MANY_ERRORS)
        else:
            self.output.append(encoded)

    def count_idle(self) -> bool:
        """Counts a command that does no work; False when it was one too many, and the session is over."""
        self.idle_commands += 1
        if self.idle_commands <= self.policy.max_idle_commands:
            return True
        self.finish(replies.TOO_MANY_IDLE)
        return False

    def skip(self, octets: int, encoded: bytes) -> None:
        """Lets so many octets go by that must not be taken for commands, then queues the reply."""
        self.lines.skip(octets)
        self.skipped = encoded

    def pass_on(self, answer: Reply) -> None:
        """Queues somebody else's decision; a permanent no counts as a mistake of the client."""
        if answer.is_permanent:
            self.refuse(answer.encode())
        else:
            self.output.append(answer.encode())

    def ask(self, question: Question) -> None:
        """Tells a fact that must be answered before anything else is read."""
        self.owed = question
        self.facts.append(question)

    def reset(self, state: State) -> None:
        """Forgets the transaction and goes to `state`."""
        self.state = state
        self.transaction = None
        self.login = None

    def give_up(self) -> None:
        """Forgets the transaction because the client wishes so, and the chunks that have come already."""
        if self.state is State.CHUNKS:
            self.facts.append(MessageRefused())
        self.reset(State.READY)

    def finish(self, encoded: bytes) -> None:
        """Ends the session with this reply."""
        self.output.append(encoded)
        self.close()

    def close(self, *, is_wished: bool = False) -> None:
        """Ends the session; what has come in and was not read is lost. No effect on one that is over."""
        if self.state is not State.OVER:
            self.state = State.OVER
            self.owed = None
            self.lines.take_all()
            self.facts.append(Ended(is_wished))
