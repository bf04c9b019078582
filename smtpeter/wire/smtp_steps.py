"""The words of a conversation with a remote server: what it asks of its driver, how it ends, what was said.

A conversation does no I/O. It is a generator that yields `Write`, `Block`, `Confirm`, `Read` and `StartTls`; who drives it
(world/conversation.py, or a test with a list of replies) carries each step out and sends back what came of it: a
`Reply` for a Read, the `TlsFacts` for a StartTls, None for the others. When no such answer will come, the driver throws
`Break` into the conversation. So a conversation always ends by returning, and it alone decides where it ended, how,
and whether the remote host may have taken the message (D5).

Sources: RFC 5321 3.8 and 4.2, reliability rules T2, T3 and D5.
"""

import re
from collections.abc import Generator
from enum import StrEnum
from typing import TypeVar

from msgspec import Struct

from smtpeter.model.outcome import Kind, State, TlsFacts
from smtpeter.model.reply import Reply

MAX_TRANSCRIPT_LINES = 64
MAX_TRANSCRIPT_LINE = 512  # characters

T = TypeVar("T")

# what could end, split or hide a command, wherever it stands in the final form (B1)
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class TlsPolicy(StrEnum):
    """How much encryption a route wants: `required` takes any certificate, `verified` only one that is right."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    VERIFIED = "verified"

    @property
    def needs_tls(self) -> bool:
        """True when nothing may be sent without TLS."""
        return self in (TlsPolicy.REQUIRED, TlsPolicy.VERIFIED)


class Write(Struct, frozen=True):
    """Hand these bytes over; a reply will be waited for."""

    data: bytes

    def __repr__(self) -> str:
        return f"Write({len(self.data)} octets)"


class Block(Struct, frozen=True):
    """Hand over this part of a large content and wait until the connection has taken it."""

    data: bytes

    def __repr__(self) -> str:
        return f"Block({len(self.data)} octets)"


class Read(Struct, frozen=True):
    """Wait for one reply. `is_whole`: with all its text, however long, when it is positive."""

    state: State
    is_whole: bool = False


class StartTls(Struct, frozen=True):
    """Make the TLS handshake as the policy wants it."""

    policy: TlsPolicy


class Confirm(Struct, frozen=True):
    """Make sure that the message is still ours: after what follows, the remote host has it (D6)."""


Step = Write | Block | Confirm | Read | StartTls
Answer = Reply | TlsFacts | None
Conversation = Generator[Step, Answer, T]


class Break(Exception):
    """Thrown into a conversation: what it waits for will not come. `status`: enhanced status when we know a fitting one.

    `is_handshake`: TLS itself could not be agreed upon, so that a connection without it may do better.
    """

    def __init__(self, kind: Kind, text: str, *, status: str = "", is_handshake: bool = False) -> None:
        super().__init__(text)
        self.kind = kind
        self.status = status
        self.is_handshake = is_handshake


class Ending(Struct, frozen=True):
    """How a conversation ended. `reply` is the one that decided, None when there was none or we refused ourselves.

    `must_reset`: the remote host still has our MAIL; the next transaction has to begin with RSET.
    """

    state: State
    kind: Kind
    reply: Reply | None
    status: str
    description: str
    transcript: tuple[str, ...]
    is_uncertain: bool = False
    is_reusable: bool = False
    must_reset: bool = False
    is_handshake: bool = False


_READ = {state: Read(state, is_whole=state is State.EHLO) for state in State}


class Record:
    """What was said so far, where we are, and what is decided: all that an ending is made of."""

    __slots__ = ("decided", "is_dot_sent", "is_reusable", "lines", "must_reset", "refusal", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.lines: list[str] = []
        self.refusal: Reply | None = None  # the reply that decided, while others may still be owed to us
        self.decided = state  # where that was
        self.is_reusable = False
        self.must_reset = False
        self.is_dot_sent = False

    def say(self, line: str) -> None:
        self._note(f"C: {line}")

    def _note(self, line: str) -> None:
        if len(self.lines) < MAX_TRANSCRIPT_LINES:
            self.lines.append(line if len(line) <= MAX_TRANSCRIPT_LINE else line[: MAX_TRANSCRIPT_LINE - 1] + "…")

    def ask(self, state: State) -> Conversation[Reply]:
        """Waits for the one reply that is owed for `state`."""
        self.state = state
        reply = yield _READ[state]
        if not isinstance(reply, Reply):
            raise TypeError("a Read is answered with a Reply")
        self._note(f"S: {reply}")
        return reply

    def command(self, line: str, state: State, shown: str = "") -> Conversation[Reply]:
        """Says one line and waits for its reply; `shown` stands in the transcript when the line is secret."""
        self.state = state
        self.say(shown or line)
        yield Write(encoded(line))
        return (yield from self.ask(state))

    def refuse(self, reply: Reply, *, is_reusable: bool, must_reset: bool = False) -> None:
        """Decides by a reply that is not the wanted one.

        A 4yz or 5yz is an error; any other code is out of place, so that the two sides no longer agree on where they
        are and the connection cannot be used again (T2). Nor can it after 421, by which the server leaves.
        """
        self.refusal = reply
        self.decided = self.state
        self.is_reusable = is_reusable and is_refusal(reply)
        self.must_reset = must_reset

    def refused(self, reply: Reply) -> Ending:
        """Gives the ending at a reply after which the connection is given up."""
        self.refuse(reply, is_reusable=False)
        return self.ending(reply)

    def ending(self, reply: Reply) -> Ending:
        """Gives the ending that the refusal has decided."""
        is_error = reply.code >= 400
        return Ending(
            state=self.decided,
            kind=Kind.ERROR if is_error else Kind.INVALID,
            reply=reply,
            status=reply.status,
            description=reply.text if is_error else f"The reply does not fit here: {reply}",
            transcript=tuple(self.lines),
            is_uncertain=self.is_dot_sent and not is_error,
            is_reusable=self.is_reusable,
            must_reset=self.is_reusable and self.must_reset,
        )

    def broken(self, end: Break) -> Ending:
        """Gives the ending when no reply came. What a reply has decided before stays decided."""
        if self.refusal is not None:
            self.is_reusable = False
            return self.ending(self.refusal)
        return Ending(
            state=self.state,
            kind=end.kind,
            reply=None,
            status=end.status,
            description=str(end),
            transcript=tuple(self.lines),
            is_uncertain=self.is_dot_sent,
            is_handshake=end.is_handshake,
        )

    def declined(self, state: State, status: str, description: str) -> Ending:
        """Gives the ending when it is us who do not go on."""
        return Ending(state, Kind.ERROR, None, status, description, tuple(self.lines))


def is_refusal(reply: Reply) -> bool:
    """True for a 4yz or 5yz after which the session goes on: not 421 (RFC 5321 3.8)."""
    return reply.code >= 400 and reply.code != 421


def encoded(*lines: str) -> bytes:
    """Gives the commands as they go over the wire. Raises ValueError when one of them is not one line."""
    for line in lines:
        # the first two are quick and true of nearly every command
        if not (line.isascii() and line.isprintable()) and _FORBIDDEN.search(line):
            raise ValueError("a command would hold a control character")
    return ("\r\n".join(lines) + "\r\n").encode()
