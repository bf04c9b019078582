"""The server side of an SMTP session as a state table: bytes in, facts and bytes out.

The session knows no socket and decides nothing: it reads commands, keeps their order (RFC 5321 4.1.4), and tells facts
(smtp_facts). A fact that asks stops it until `answer`; commands that were pipelined behind it (RFC 2920) wait. Every
split of the same octets gives the same facts and the same output. Nothing is offered that does not work: CHUNKING,
SMTPUTF8 and LIMITS are not.

RFC 5321, 1870 (SIZE), 2034 and 3463 (enhanced codes), 2920 (pipelining), 3207 (STARTTLS), 3461 (DSN), 4954 (AUTH),
6152 (8BITMIME), 6409 (submission). Raises nothing on any input; `RuntimeError` when an answer comes that nobody asked
for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from smtpeter.model.message import Recipient
from smtpeter.model.reply import Reply, reply
from smtpeter.wire import sasl, smtp_grammar
from smtpeter.wire import smtp_replies as replies
from smtpeter.wire.smtp_body import BodyScanner
from smtpeter.wire.smtp_facts import (
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
    SmtpEnvelope,
    TlsRequested,
)
from smtpeter.wire.smtp_lines import FOREIGN_VERBS, LineReader, Odd

__all__ = [
    "BodyBegun",
    "BodyPart",
    "CredentialsGiven",
    "Ended",
    "Fact",
    "MessageReceived",
    "MessageRefused",
    "Question",
    "RecipientGiven",
    "SenderGiven",
    "ServerPolicy",
    "Session",
    "SmtpEnvelope",
    "State",
    "TlsRequested",
]


class State(Enum):
    """Where a session stands."""

    NEW = auto()  # no EHLO or HELO yet
    READY = auto()
    SENDER = auto()  # MAIL was taken
    RECIPIENT = auto()  # and at least one RCPT
    BODY = auto()
    LOGIN = auto()  # within an AUTH exchange
    HANDSHAKE = auto()  # STARTTLS was answered
    OVER = auto()


class Session:
    """One connection's conversation. Feed it with `receive`, then take facts until there is none, then the output."""

    __slots__ = (
        "_envelope_octets",
        "_errors",
        "_exchange",
        "_failed_logins",
        "_idle",
        "_is_eof",
        "_last_word",
        "_lines",
        "_long_lines",
        "_mail",
        "_mechanism",
        "_output",
        "_owed",
        "_policy",
        "_queued",
        "_recipients",
        "_scanner",
        "_state",
        "helo",
        "is_authenticated",
        "is_esmtp",
        "is_tls",
        "is_trusted",
        "lines_read",
    )

    def __init__(self, policy: ServerPolicy, *, is_tls: bool, is_trusted: bool) -> None:
        """`is_tls`: encrypted from the first byte; `is_trusted`: neither TLS nor AUTH is needed."""
        self._policy = policy
        self.is_tls = is_tls
        self.is_trusted = is_trusted
        self.is_authenticated = False
        self.helo = ""
        self.is_esmtp = False
        self.lines_read = 0  # complete lines so far; a change means that the client got on
        self._state = State.NEW
        self._lines = LineReader(policy.max_line_octets, policy.max_auth_line_octets)
        self._output: list[bytes] = []
        self._queued: list[Fact] = []  # two at most
        self._owed: Question | None = None
        self._scanner: BodyScanner | None = None
        self._exchange: sasl.Exchange | None = None
        self._mechanism = ""
        self._mail: smtp_grammar.MailCommand | None = None
        self._recipients: list[Recipient] = []
        self._envelope_octets = 0
        self._errors = self._idle = self._failed_logins = self._long_lines = 0
        self._is_eof = False
        self._last_word = b""

    # --- what the owner calls

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._state

    @property
    def is_owed(self) -> bool:
        """True while an answer is awaited."""
        return self._owed is not None

    @property
    def waiting_octets(self) -> int:
        """Octets received and not yet looked at."""
        return len(self._lines)

    def greet(self) -> None:
        """Queues the first reply."""
        self._say(reply(220, "", f"{self._policy.hostname} ESMTP").encode())

    def receive(self, data: bytes) -> None:
        """Takes octets from the client. Those that come between STARTTLS and the handshake are dropped."""
        if self._state not in (State.HANDSHAKE, State.OVER):
            self._lines.feed(data)

    def receive_eof(self) -> None:
        """The client sends nothing more. What it sent is still worked off and answered."""
        self._is_eof = True

    def tls_started(self) -> None:
        """The handshake is done; everything that the client said before is forgotten."""
        self.is_tls = True
        self.is_authenticated = False  # RFC 3207 4.2
        self.helo = ""
        self.is_esmtp = False
        self._reset(State.NEW)

    def answer(self, answer: Reply) -> None:
        """Takes the decision about the fact that asked. A 421 ends the session; late answers to an ended one are lost."""
        owed, self._owed = self._owed, None
        if self._state is State.OVER:
            return
        match owed:
            case CredentialsGiven():
                self._end_login(answer)
            case SenderGiven():
                self._end_mail(answer)
            case RecipientGiven():
                self._end_rcpt(owed, answer)
            case MessageReceived():
                self._end_message(answer)
            case None:
                raise RuntimeError("an answer to a question that was not asked")
        if answer.code == 421:
            self._close()

    def drain(self, last_word: Reply) -> None:
        """Ends the session with this reply, as soon as no message is on its way and no answer is owed."""
        self._last_word = last_word.encode()

    def shut(self, last_word: Reply) -> None:
        """Ends the session with this reply at once; a message on its way is lost."""
        if self._state is not State.OVER:
            if self._state is not State.HANDSHAKE:
                self._say(last_word.encode())
            self._close()

    def take_output(self) -> bytes:
        """Gives what is to be sent and forgets it."""
        if not self._output:
            return b""
        output = b"".join(self._output)
        self._output.clear()
        return output

    def next_fact(self) -> Fact | None:
        """Goes on until there is something to tell. None: waits for octets, an answer or the handshake."""
        while True:
            if self._queued:
                return self._queued.pop(0)
            if self._owed is not None or self._state is State.OVER or self._state is State.HANDSHAKE:
                return None
            if self._last_word and self._state is not State.BODY:
                self._finish(self._last_word)
            elif self._state is State.BODY:
                if not self._read_body():
                    return None
            elif not self._read_line():
                return None

    # --- reading

    def _read_body(self) -> bool:
        data = self._lines.take_all()
        if not data:
            return self._rest()
        assert self._scanner is not None
        part, rest = self._scanner.feed(data)
        if part:
            self._queued.append(BodyPart(part))
        if rest is not None:
            self._lines.feed(rest)
            self._end_body(self._scanner)
        return True

    def _read_line(self) -> bool:
        is_login = self._state is State.LOGIN
        line = self._lines.next(is_login=is_login)
        if line is None:
            return self._rest()
        self.lines_read += 1
        match line:
            case Odd.FOREIGN:
                self._finish(replies.NOT_SMTP)
            case Odd.LONG:
                self._take_long_line(is_login)
            case Odd.SKIPPED:
                self._refuse(replies.NO_CHUNKING)
            case bytes():
                self._take_line(line, is_login)
        return True

    def _rest(self) -> bool:
        if self._is_eof:
            self._close(is_wished=True)
        return self._is_eof

    def _take_long_line(self, is_login: bool) -> None:
        self._long_lines += 1
        if is_login:
            self._state = State.READY
        if self._long_lines > self._policy.max_long_lines:
            self._finish(replies.TOO_MANY_LONG_LINES)
        else:
            self._refuse(replies.LONG_LOGIN_LINE if is_login else replies.LONG_LINE)

    def _take_line(self, line: bytes, is_login: bool) -> None:
        text = line.decode("ascii", "replace")
        # U+FFFD, which stands for what is not ASCII, would be printable
        is_text = line.isascii() and text.isprintable()
        if is_login:
            self._state = State.READY
            if is_text:
                self._go_on_with_login(text)
            else:
                self._refuse(replies.LOGIN_CONTROLS)
        elif is_text:
            self._execute(text)
        else:
            self._refuse(replies.NOT_PRINTABLE)

    def _execute(self, text: str) -> None:
        # RFC 5321 4.1.1: blanks before the CRLF are tolerated
        verb, _, argument = text.rstrip(" ").partition(" ")
        verb = verb.upper()
        command = _COMMANDS.get(verb)
        if command is None:
            if verb in FOREIGN_VERBS:
                self._finish(replies.NOT_SMTP)
            else:
                self._refuse(replies.UNKNOWN)
            return
        refusal = command.refused_in.get(self._state)
        if refusal or command.is_idle:
            self._idle += 1
            if self._idle > self._policy.max_idle_commands:
                self._finish(replies.TOO_MANY_IDLE)
                return
        if refusal:
            self._say(refusal)
        else:
            command.run(self, argument)

    # --- the session

    def _ehlo(self, argument: str) -> None:
        if self._hello(argument):
            self.is_esmtp = True
            self._say(reply(250, "", self._policy.hostname, *self._extensions()).encode())

    def _helo(self, argument: str) -> None:
        if self._hello(argument):
            self.is_esmtp = False
            self._say(reply(250, "", self._policy.hostname).encode())

    def _hello(self, argument: str) -> bool:
        try:
            self.helo = smtp_grammar.parse_helo(argument)
        except smtp_grammar.CommandError as trouble:
            self._refuse(trouble.reply.encode())
            return False
        self._reset(State.READY)  # RFC 5321 4.1.4
        return True

    def _extensions(self) -> list[str]:
        policy = self._policy
        offered = ["PIPELINING", "8BITMIME", f"SIZE {policy.max_message_bytes}", "DSN", "ENHANCEDSTATUSCODES"]
        if policy.has_tls and not self.is_tls:
            offered.append("STARTTLS")
        if policy.allows_auth and (self.is_tls or policy.allows_plain_auth):
            offered.append("AUTH PLAIN LOGIN")
        return offered

    def _starttls(self, argument: str) -> None:
        if self.is_tls:
            self._refuse(replies.TLS_ALREADY)
        elif not self._policy.has_tls:
            self._refuse(replies.NOT_OFFERED)
        elif argument:
            self._refuse(replies.NO_ARGUMENT)  # RFC 3207 4
        else:
            self._lines.take_all()  # whoever put it there was not protected by TLS
            self._say(replies.TLS_READY)
            self._state = State.HANDSHAKE
            self._queued.append(TlsRequested())

    def _rset(self, argument: str) -> None:
        if argument:
            self._refuse(replies.NO_ARGUMENT)
            return
        if self._state is not State.NEW:
            self._reset(State.READY)
        self._say(replies.FINE)

    def _noop(self, argument: str) -> None:
        self._say(replies.FINE)  # RFC 5321 4.1.1.9: whatever the argument says

    def _help(self, argument: str) -> None:
        self._say(replies.HELP)

    def _vrfy(self, argument: str) -> None:
        if argument:
            self._say(replies.CANNOT_VERIFY)  # RFC 5321 3.5.3
        else:
            self._refuse(replies.NEEDS_ARGUMENT)

    def _expn(self, argument: str) -> None:
        self._refuse(replies.NOT_OFFERED)

    def _quit(self, argument: str) -> None:
        if argument:
            self._refuse(replies.NO_ARGUMENT)
        else:
            self._say(replies.GOODBYE)
            self._close(is_wished=True)

    # --- logging in

    def _auth(self, argument: str) -> None:
        name, _, initial = argument.partition(" ")
        mechanism = sasl.MECHANISMS.get(name.upper())
        if not self._policy.allows_auth:
            self._refuse(replies.NOT_OFFERED)
        elif not (self.is_tls or self._policy.allows_plain_auth):
            self._refuse(replies.TLS_FOR_LOGIN)
        elif self.is_authenticated:
            self._refuse(replies.LOGIN_ALREADY)
        elif mechanism is None:
            self._refuse(replies.UNKNOWN_MECHANISM)
        else:
            self._mechanism = name.upper()
            self._exchange = exchange = mechanism()
            self._take_login_step(lambda: exchange.begin(initial or None))

    def _go_on_with_login(self, text: str) -> None:
        exchange = self._exchange
        assert exchange is not None
        self._take_login_step(lambda: exchange.step(text))

    def _take_login_step(self, step: Callable[[], sasl.Step]) -> None:
        try:
            taken = step()
        except sasl.Cancelled:
            self._refuse(replies.LOGIN_CANCELLED)
        except sasl.ForeignIdentity:
            self._fail_login(replies.BAD_LOGIN)
        except sasl.SaslError as trouble:
            self._refuse(reply(501, "5.5.2", str(trouble)).encode())
        else:
            match taken:
                case sasl.Challenge(text):
                    self._state = State.LOGIN
                    self._say(replies.challenge(text))
                case sasl.Credentials(user, password):
                    self._ask(CredentialsGiven(self._mechanism, user, password))

    def _end_login(self, answer: Reply) -> None:
        if answer.is_positive:
            self.is_authenticated = True
            self._say(answer.encode())
        elif answer.is_permanent:
            self._fail_login(answer.encode())
        else:
            self._say(answer.encode())

    def _fail_login(self, refusal: bytes) -> None:
        self._failed_logins += 1
        if self._failed_logins < self._policy.max_failed_logins:
            self._refuse(refusal)
        else:
            self._say(refusal)
            self._finish(replies.TOO_MANY_LOGINS)

    # --- the transaction

    def _mail_from(self, argument: str) -> None:
        policy = self._policy
        if not self.is_trusted:
            if policy.requires_tls and not self.is_tls:
                self._refuse(replies.TLS_FIRST)
                return
            if policy.requires_auth and not self.is_authenticated:
                self._refuse(replies.LOGIN_FIRST)
                return
        try:
            mail = smtp_grammar.parse_mail(argument, allows_auth=policy.allows_auth)
        except smtp_grammar.CommandError as trouble:
            self._refuse(trouble.reply.encode())
            return
        if mail.declared_bytes is not None and mail.declared_bytes > policy.max_message_bytes:
            self._refuse(replies.too_large(policy.max_message_bytes))  # RFC 1870 6.1
            return
        self._mail = mail
        self._envelope_octets = len(argument)
        if policy.asks_sender:
            self._ask(SenderGiven(mail.sender, mail.declared_bytes))
        else:
            self._state = State.SENDER
            self._say(replies.SENDER_OK)

    def _end_mail(self, answer: Reply) -> None:
        if answer.is_positive:
            self._state = State.SENDER
        self._pass_on(answer)

    def _rcpt_to(self, argument: str) -> None:
        policy, mail = self._policy, self._mail
        assert mail is not None
        self._envelope_octets += len(argument)
        if len(self._recipients) >= policy.max_recipients or self._envelope_octets > policy.max_envelope_octets:
            self._say(replies.too_many_recipients(policy.max_recipients))  # RFC 5321 4.5.3.1.10
            return
        try:
            recipient = smtp_grammar.parse_rcpt(
                argument,
                mail,
                postmaster_at=policy.hostname if policy.accepts_postmaster else "",
                allows_route=policy.allows_source_routes,
            )
        except smtp_grammar.CommandError as trouble:
            self._refuse(trouble.reply.encode())
            return
        if policy.asks_recipient:
            self._ask(RecipientGiven(mail.sender, recipient))
        else:
            self._add_recipient(recipient)
            self._say(replies.RECIPIENT_OK)

    def _end_rcpt(self, question: RecipientGiven, answer: Reply) -> None:
        if answer.is_positive:
            self._add_recipient(question.recipient)
        self._pass_on(answer)

    def _add_recipient(self, recipient: Recipient) -> None:
        self._recipients.append(recipient)
        self._state = State.RECIPIENT

    def _data(self, argument: str) -> None:
        if argument:
            self._refuse(replies.NO_ARGUMENT)
            return
        policy = self._policy
        self._scanner = BodyScanner(policy.max_message_bytes, normalizes=not policy.rejects_bare_newlines)
        self._state = State.BODY
        self._queued.append(BodyBegun())
        self._say(replies.SEND_BODY)

    def _bdat(self, argument: str) -> None:
        try:
            # RFC 3030 2: the octets follow at once; they are no commands, also when they are not wanted
            self._lines.skip(smtp_grammar.parse_bdat(argument))
        except smtp_grammar.CommandError as trouble:
            self._refuse(trouble.reply.encode())

    def _end_body(self, scanner: BodyScanner) -> None:
        mail, recipients, fault = self._mail, tuple(self._recipients), scanner.fault
        assert mail is not None
        self._reset(State.READY)
        if fault is not None:
            self._queued.append(MessageRefused())
            self._refuse(replies.broken_body(fault, self._policy.max_message_bytes))
        else:
            self._ask(
                MessageReceived(
                    SmtpEnvelope(mail.sender, recipients, mail.declared_bytes, mail.is_8bit, mail.ret, mail.envid)
                )
            )

    def _end_message(self, answer: Reply) -> None:
        if answer.is_positive:
            # who sends mail may err now and then in a long session
            self._errors = self._idle = 0
        self._say(answer.encode())

    # --- common steps

    def _say(self, line: bytes) -> None:
        self._output.append(line)

    def _pass_on(self, answer: Reply) -> None:
        if answer.is_permanent:
            self._refuse(answer.encode())
        else:
            self._say(answer.encode())

    def _refuse(self, line: bytes) -> None:
        self._errors += 1
        if self._errors > self._policy.max_errors:
            self._finish(replies.TOO_MANY_ERRORS)
        else:
            self._say(line)

    def _ask(self, question: Question) -> None:
        self._owed = question
        self._queued.append(question)

    def _finish(self, line: bytes) -> None:
        self._say(line)
        self._close()

    def _close(self, *, is_wished: bool = False) -> None:
        if self._state is not State.OVER:
            self._state = State.OVER
            self._owed = None
            self._lines.take_all()
            self._queued.append(Ended(is_wished))

    def _reset(self, state: State) -> None:
        self._state = state
        self._mail = None
        self._recipients = []
        self._scanner = None
        self._exchange = None


@dataclass(frozen=True, slots=True)
class _Command:
    """What to do for a verb. `refused_in`: the states in which it is out of order, with the reply."""

    run: Callable[[Session, str], None]
    is_idle: bool = False  # does no work by itself
    refused_in: dict[State, bytes] = field(default_factory=dict)


_NEEDS_HELLO = {State.NEW: replies.HELLO_FIRST}
_NEEDS_NO_TRANSACTION = _NEEDS_HELLO | {
    State.SENDER: replies.IN_TRANSACTION,
    State.RECIPIENT: replies.IN_TRANSACTION,
}
_NEEDS_MAIL = _NEEDS_HELLO | {State.READY: replies.MAIL_FIRST}
_NEEDS_RECIPIENT = _NEEDS_MAIL | {State.SENDER: replies.RECIPIENT_FIRST}

_COMMANDS: dict[str, _Command] = {
    "EHLO": _Command(Session._ehlo, is_idle=True),
    "HELO": _Command(Session._helo, is_idle=True),
    "STARTTLS": _Command(Session._starttls, refused_in=_NEEDS_NO_TRANSACTION),
    "AUTH": _Command(Session._auth, refused_in=_NEEDS_NO_TRANSACTION),
    "MAIL": _Command(Session._mail_from, refused_in=_NEEDS_NO_TRANSACTION),
    "RCPT": _Command(Session._rcpt_to, refused_in=_NEEDS_MAIL),
    "DATA": _Command(Session._data, refused_in=_NEEDS_RECIPIENT),
    "BDAT": _Command(Session._bdat),
    "RSET": _Command(Session._rset, is_idle=True),
    "NOOP": _Command(Session._noop, is_idle=True),
    "HELP": _Command(Session._help, is_idle=True),
    "VRFY": _Command(Session._vrfy, is_idle=True),
    "EXPN": _Command(Session._expn, is_idle=True),
    "QUIT": _Command(Session._quit),
}
