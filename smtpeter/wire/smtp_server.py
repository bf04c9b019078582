"""The server side of an SMTP session: bytes in, facts and bytes out.

The session knows no socket and decides nothing: it reads lines and bodies, has the commands run (smtp_verbs) and tells
facts (smtp_facts). A fact that asks stops it until `answer`; commands that were pipelined behind it (RFC 2920) wait.
Every split of the same octets gives the same facts and the same output.

RFC 5321, 1870 (SIZE), 2034 and 3463 (enhanced codes), 2920 (pipelining), 3030 (CHUNKING), 3207 (STARTTLS), 3461 (DSN),
4954 (AUTH), 6152 (8BITMIME), 6409 (submission), 6531 (SMTPUTF8), 9422 (LIMITS). Raises nothing on any input; `RuntimeError` when an answer comes that nobody asked
for.
"""

from smtpeter.model.reply import Reply, reply
from smtpeter.wire import smtp_replies as replies
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
from smtpeter.wire.smtp_lines import Odd
from smtpeter.wire.smtp_login import end_login, go_on_with_login
from smtpeter.wire.smtp_talk import State, Talk
from smtpeter.wire.smtp_transaction import end_mail, end_message, end_recipient, take_body, take_chunk
from smtpeter.wire.smtp_verbs import execute, execute_utf8

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


# looked at many times for each message; CPython 3.11 finds a member of an enumeration by way of Python code
_BODY, _CHUNK, _CHUNKS = State.BODY, State.CHUNK, State.CHUNKS
_LOGIN, _HANDSHAKE, _OVER = State.LOGIN, State.HANDSHAKE, State.OVER


class Session:
    """One connection's conversation. Feed it with `receive`, then take facts until there is none, then the output."""

    __slots__ = ("_is_eof", "_last_word", "_long_lines", "_talk", "progress")

    def __init__(self, policy: ServerPolicy, *, is_tls: bool, is_trusted: bool) -> None:
        """`is_tls`: encrypted from the first byte; `is_trusted`: neither TLS nor AUTH is needed."""
        self.progress = 0  # complete lines, bodies and chunks so far; a change means that the client got on
        self._talk = Talk(policy, is_tls=is_tls, is_trusted=is_trusted)
        self._long_lines = 0
        self._is_eof = False
        self._last_word = b""

    # --- what is known

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._talk.state

    @property
    def helo(self) -> str:
        """The name under which the client presents itself, "" before it did."""
        return self._talk.helo

    @property
    def is_esmtp(self) -> bool:
        """True when it did so with EHLO."""
        return self._talk.is_esmtp

    @property
    def is_tls(self) -> bool:
        """True when the connection is encrypted."""
        return self._talk.is_tls

    @property
    def is_trusted(self) -> bool:
        """True when neither TLS nor AUTH is needed."""
        return self._talk.is_trusted

    @property
    def is_authenticated(self) -> bool:
        """True after a login."""
        return self._talk.is_authenticated

    @property
    def is_in_body(self) -> bool:
        """True while octets come that are no commands: those of a message, or of a chunk that was refused."""
        talk = self._talk
        return talk.state is _BODY or talk.state is _CHUNK or talk.lines.is_skipping

    @property
    def is_owed(self) -> bool:
        """True while an answer is awaited."""
        return self._talk.owed is not None

    @property
    def waiting_octets(self) -> int:
        """Octets received and not yet looked at."""
        return len(self._talk.lines)

    # --- what the owner does

    def greet(self) -> None:
        """Queues the first reply."""
        self._talk.say(reply(220, "", f"{self._talk.policy.hostname} ESMTP").encode())

    def receive(self, data: bytes) -> None:
        """Takes octets from the client. Those that come between STARTTLS and the handshake are dropped."""
        if self._talk.state not in (_HANDSHAKE, _OVER):
            self._talk.lines.feed(data)

    def receive_eof(self) -> None:
        """The client sends nothing more. What it sent is still worked off and answered."""
        self._is_eof = True

    def tls_started(self) -> None:
        """The handshake is done; everything that the client said before is forgotten."""
        talk = self._talk
        talk.is_tls = True
        talk.is_authenticated = False  # RFC 3207 4.2
        talk.helo = ""
        talk.is_esmtp = False
        talk.reset(State.NEW)

    def answer(self, answer: Reply) -> None:
        """Takes the decision about the fact that asked. A 421 ends the session; late answers to an ended one are lost."""
        talk = self._talk
        owed, talk.owed = talk.owed, None
        if talk.state is _OVER:
            return
        match owed:
            case MessageReceived():
                end_message(talk, answer)
            case RecipientGiven(_, recipient):
                end_recipient(talk, recipient, answer)
            case SenderGiven():
                end_mail(talk, answer)
            case CredentialsGiven():
                end_login(talk, answer)
            case None:
                raise RuntimeError("an answer to a question that was not asked")
        if answer.code == 421:
            talk.close()

    def hurry(self, *, is_hurried: bool) -> None:
        """Says whether others wait for the place of this client; then the policy bears with fewer mistakes."""
        self._talk.is_hurried = is_hurried

    def drain(self, last_word: Reply) -> None:
        """Ends the session with this reply, as soon as no message is on its way and no answer is owed."""
        self._last_word = last_word.encode()

    def shut(self, last_word: Reply) -> None:
        """Ends the session with this reply at once; a message on its way is lost."""
        talk = self._talk
        if talk.state is not _OVER:
            if talk.state is not _HANDSHAKE:
                talk.say(last_word.encode())
            talk.close()

    def take_output(self) -> bytes:
        """Gives what is to be sent and forgets it."""
        waiting = self._talk.output
        if not waiting:
            return b""
        output = b"".join(waiting)
        waiting.clear()
        return output

    def next_fact(self) -> Fact | None:
        """Goes on until there is something to tell. None: waits for octets, an answer or the handshake."""
        talk = self._talk
        while True:
            if talk.facts:
                return talk.facts.pop(0)
            state = talk.state
            if talk.owed is not None or state is _OVER or state is _HANDSHAKE:
                return None
            if state is _BODY or state is _CHUNK:
                if not self._read_body(talk):
                    return None
            elif self._last_word and state is not _CHUNKS:
                talk.finish(self._last_word)
            elif not self._read_line(talk):
                return None

    # --- reading; each gives whether it got on

    def _read_body(self, talk: Talk) -> bool:
        is_chunk = talk.state is _CHUNK
        if is_chunk:
            assert talk.transaction is not None
            data = talk.lines.take(talk.transaction.octets_to_come)
        else:
            data = talk.lines.take_all()
        if not data:
            return self._rest(talk)
        (take_chunk if is_chunk else take_body)(talk, data)
        if talk.state is not _BODY and talk.state is not _CHUNK:
            self.progress += 1
        return True

    def _read_line(self, talk: Talk) -> bool:
        is_login = talk.state is _LOGIN
        line = talk.lines.next(is_login=is_login)
        if line is None:
            return self._rest(talk)
        self.progress += 1
        match line:
            case bytes():
                _take_line(talk, line, is_login)
            case Odd.FOREIGN:
                talk.finish(replies.NOT_SMTP)
            case Odd.LONG:
                self._take_long_line(talk, is_login)
            case Odd.SKIPPED:
                talk.say(talk.skipped)
        return True

    def _rest(self, talk: Talk) -> bool:
        if self._is_eof:
            talk.close(is_wished=True)
        return self._is_eof

    def _take_long_line(self, talk: Talk, is_login: bool) -> None:
        self._long_lines += 1
        if is_login:
            talk.state = State.READY
        if self._long_lines > talk.policy.max_long_lines:
            talk.finish(replies.TOO_MANY_LONG_LINES)
        else:
            talk.refuse(replies.LONG_LOGIN_LINE if is_login else replies.LONG_LINE)


def _take_line(talk: Talk, line: bytes, is_login: bool) -> None:
    is_ascii = line.isascii()
    text = line.decode("ascii" if is_ascii else "utf-8", "replace")
    is_text = is_ascii and text.isprintable()
    if is_login:
        talk.state = State.READY
        if is_text:
            go_on_with_login(talk, text)
        else:
            talk.refuse(replies.LOGIN_CONTROLS)
    elif is_text:
        execute(talk, text)
    elif not is_ascii and text.isprintable() and "\ufffd" not in text:  # which stands for what is not UTF-8
        execute_utf8(talk, text)
    else:
        talk.refuse(replies.NOT_PRINTABLE)
