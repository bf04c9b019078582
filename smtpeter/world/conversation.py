"""Drives the SMTP conversations of wire/smtp_client.py over a stream, each stage within its time limit.

The protocol is in the conversation, the bytes are in the stream; what is here is time. A limit is the total for its
stage, from the reply before it to the last octet of its own, so that a server which sends an octet now and then gains
nothing (T1). All that a remote host or the net may do is told to the conversation as `Break`.

Sources: RFC 5321 4.5.3.2; reliability-security section 3.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from functools import lru_cache
from typing import Final, TypeVar

from smtpeter.model.outcome import Kind, State, TlsFacts
from smtpeter.model.reply import Reply
from smtpeter.wire.smtp_reply import InvalidReply, ReplyParser
from smtpeter.wire.smtp_steps import Answer, Block, Break, Confirm, Conversation, Read, StartTls, Step, TlsPolicy, Write
from smtpeter.world.alarm import Alarm
from smtpeter.world.seams import Clock, Stream
from smtpeter.world.tls import ClientContexts

T = TypeVar("T")


class _NotYet(Enum):
    NOT_YET = auto()


_NOT_YET: Final = _NotYet.NOT_YET


@dataclass(frozen=True, slots=True)
class ClientTimeouts:
    """How long each stage may take in all; RFC 5321 4.5.3.2 where it says something, else the product's own figure."""

    connect: timedelta = timedelta(seconds=30)  # per address
    intro: timedelta = timedelta(minutes=5)  # RFC 5321 4.5.3.2.1
    ehlo: timedelta = timedelta(minutes=5)  # HELO too
    starttls: timedelta = timedelta(minutes=1)
    handshake: timedelta = timedelta(minutes=1)
    auth: timedelta = timedelta(minutes=2)  # each of its steps
    mailfrom: timedelta = timedelta(minutes=5)  # RFC 5321 4.5.3.2.2
    rcptto: timedelta = timedelta(minutes=5)  # RFC 5321 4.5.3.2.3
    data: timedelta = timedelta(minutes=2)  # RFC 5321 4.5.3.2.4
    block: timedelta = timedelta(minutes=3)  # RFC 5321 4.5.3.2.5
    message: timedelta = timedelta(minutes=10)  # RFC 5321 4.5.3.2.6: end of data to its reply
    reset: timedelta = timedelta(seconds=20)  # RSET and QUIT
    whole: timedelta = timedelta(hours=1)  # a message with all its stages, beside the time for its octets
    min_octets_per_second: int = 500  # of content, on average


@lru_cache(maxsize=64)
def _stage_seconds(timeouts: ClientTimeouts) -> Mapping[State, float]:
    return {
        state: limit.total_seconds()
        for state, limit in {
            State.INTRO: timeouts.intro,
            State.EHLO: timeouts.ehlo,
            State.HELO: timeouts.ehlo,
            State.STARTTLS: timeouts.starttls,
            State.AUTH: timeouts.auth,
            State.MAILFROM: timeouts.mailfrom,
            State.RCPTTO: timeouts.rcptto,
            State.DATA: timeouts.data,
            State.MESSAGE: timeouts.message,
            State.IDLE: timeouts.reset,
        }.items()
    }


def always() -> bool:
    """Gives True: nobody else may have the message."""
    return True


class Driver:
    """Carries out the steps of conversations on one stream."""

    __slots__ = (
        "_alarm",
        "_contexts",
        "_last",
        "_name",
        "_parser",
        "_seconds",
        "_sent",
        "clock",
        "may_finish",
        "stream",
        "timeouts",
        "tls",
    )

    def __init__(
        self, stream: Stream, clock: Clock, alarm: Alarm, timeouts: ClientTimeouts, contexts: ClientContexts, name: str
    ) -> None:
        self.stream = stream
        self.tls: TlsFacts | None = None
        self.clock = clock
        self._alarm = alarm
        self.timeouts = timeouts
        self._seconds = _stage_seconds(timeouts)
        self._contexts = contexts
        self._name = name
        self._parser = ReplyParser()
        self._last = 0.0  # when the last reply came, on the clock
        self._sent = (0, 0.0)  # octets of the content so far, and when it was begun
        self.may_finish: Callable[[], bool] = always  # asked right before the end of data (D6)

    @property
    def is_in_step(self) -> bool:
        """True when the remote host has said nothing beyond what was asked (T2)."""
        return self._parser.is_empty

    def close(self) -> None:
        """Closes the stream after what was written is sent."""
        self._alarm.close()
        self.stream.close()

    def abort(self) -> None:
        """Closes the stream at once."""
        self._alarm.close()
        self.stream.abort()

    async def run(self, conversation: Conversation[T], durations: dict[str, float], seconds: float) -> T:
        """Drives a conversation to its end, within so many seconds in all, and notes how long each stage took."""
        self._last = self.clock.monotonic()
        self._sent = (0, 0.0)
        self._alarm.begin(seconds)
        try:
            step = next(conversation)
            while True:
                try:
                    # most steps wait for nothing: replies to commands that were said at once come together
                    answer = self._at_hand(step, durations)
                    if answer is _NOT_YET:
                        answer = await self._carry_out(step, durations)
                except (Break, InvalidReply, TimeoutError, ConnectionError, asyncio.CancelledError) as error:
                    end = self._as_break(error)
                    self._note_break(step, durations)
                    step = conversation.throw(end)
                else:
                    step = conversation.send(answer)
        except StopIteration as end:
            ended: T = end.value
            return ended
        finally:
            self._alarm.end()

    def _at_hand(self, step: Step, durations: dict[str, float]) -> Answer | _NotYet:
        """Carries out a step that waits for nothing; _NOT_YET for one that has to."""
        match step:
            case Read():
                reply = self._parser.next(is_whole=step.is_whole)
                if reply is None:
                    return _NOT_YET
                self._note(step.state, durations)
                return reply
            case Write():
                self._write(step.data)
            case Confirm():
                if not self.may_finish():
                    raise Break(Kind.ERROR, "The message was not finished: another worker may have it by now.")
            case Block() | StartTls():
                return _NOT_YET
        return None

    async def _carry_out(self, step: Step, durations: dict[str, float]) -> Answer:
        """Carries out a step that has to wait."""
        match step:
            case Read(state, is_whole):
                return await self._read(state, durations, is_whole=is_whole)
            case Block(data):
                await self._send_block(data)
            case StartTls(policy):
                return await self._start_tls(policy, durations)
            case Write() | Confirm():
                pass  # is always at hand
        return None

    def _as_break(self, error: BaseException) -> Break:
        """Gives what a conversation is told of an error. Raises a cancellation that is somebody else's."""
        match error:
            case Break():
                return error
            case InvalidReply():
                return Break(Kind.INVALID, str(error))
            case TimeoutError():
                return Break(Kind.TIMEOUT, f"The connection has timed out: {error}")
            case ConnectionError():
                return Break(Kind.LOST, f"The connection was lost: {error}")
        if not self._alarm.is_ours():
            raise error
        return Break(Kind.TIMEOUT, "The server has not answered in time.")

    async def _read(self, state: State, durations: dict[str, float], *, is_whole: bool) -> Reply:
        """Waits for a reply that is not at hand."""
        self._alarm.set(self._seconds[state])
        parser = self._parser
        reply = None
        while reply is None:
            data = await self.stream.read()
            if not data:
                raise Break(Kind.LOST, "The server has closed the connection.")
            parser.receive(data)
            reply = parser.next(is_whole=is_whole)
        self._note(state, durations)
        return reply

    def _note(self, state: State, durations: dict[str, float]) -> None:
        now = self.clock.monotonic()
        durations[state.value] = durations.get(state.value, 0.0) + now - self._last
        self._last = now

    def _note_break(self, step: Step, durations: dict[str, float]) -> None:
        match step:
            case Read(state):
                self._note(state, durations)
            case Block():
                self._note(State.MESSAGE, durations)
            case StartTls():
                self._note(State.STARTTLS, durations)
            case Write():
                pass  # takes no time

    def _write(self, data: bytes) -> None:
        if not self._parser.is_empty:
            # an answer before its question: from here on it would be taken for that of another command (T2)
            raise Break(Kind.INVALID, "The server has sent a reply that nothing was asked for.")
        self.stream.write(data)

    async def _send_block(self, data: bytes) -> None:
        limit = self.timeouts.block.total_seconds()
        octets, begun = self._sent
        now = self.clock.monotonic()
        if octets == 0:
            begun = now
        octets += len(data)
        self._sent = (octets, begun)
        # the first limit is for this block, the second for the average since the content was begun
        self._alarm.set(min(limit, begun + limit + octets / self.timeouts.min_octets_per_second - now))
        self._write(data)
        await self.stream.drain()

    async def _start_tls(self, policy: TlsPolicy, durations: dict[str, float]) -> TlsFacts:
        if not self._parser.is_empty:
            # said in plain text, to be taken as said inside TLS: somebody between us and the server (RFC 3207 6)
            raise Break(Kind.INVALID, "The server has sent data ahead of the TLS handshake.")
        is_verified = policy is TlsPolicy.VERIFIED
        context = self._contexts.verified if is_verified else self._contexts.opportunistic
        self._alarm.set(self.timeouts.handshake.total_seconds())
        try:
            facts = await self.stream.start_tls(context, self._name)
        except ssl.SSLError as error:
            # RFC 3463 3.8: X.7.5 cryptographic failure
            raise Break(Kind.ERROR, f"TLS failed: {error}", status="4.7.5", is_handshake=True) from None
        except TimeoutError:
            raise Break(Kind.TIMEOUT, "The TLS handshake has timed out.", is_handshake=True) from None
        except ConnectionError as error:
            raise Break(Kind.LOST, f"TLS failed: {error}", is_handshake=True) from None
        except asyncio.CancelledError:
            if not self._alarm.is_ours():
                raise
            raise Break(Kind.TIMEOUT, "The TLS handshake has timed out.", is_handshake=True) from None
        self._note(State.STARTTLS, durations)
        self.tls = facts
        return facts
