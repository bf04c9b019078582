"""Connections to remote mail servers: opened, introduced, used for one message after the other, left.

`Connection.open` and `Connection.transact` give values for all that a remote host or the net may do. They raise
ValueError for an envelope that would break out of its command (B1), RuntimeError for a connection that must not be
used again (T2), and CancelledError; the connection is gone after each of them.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import Struct

from smtpeter.model.outcome import Kind, Result, State, TlsFacts
from smtpeter.model.reply import Reply
from smtpeter.wire.smtp_client import Acquaintance, Introduction, introduce, leave, transact
from smtpeter.wire.smtp_commands import Envelope, Extensions
from smtpeter.wire.smtp_steps import Break, Ending, TlsPolicy
from smtpeter.world.alarm import Alarm
from smtpeter.world.conversation import ClientTimeouts, Driver, always
from smtpeter.world.seams import Clock, Dialer, Stream
from smtpeter.world.stream import BindError
from smtpeter.world.tls import ClientContexts


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a connection goes: an address, and `mta`, the host's name, which its certificate has to bear."""

    ip: str
    port: int = 25
    mta: str = ""
    local_ip: str = ""  # "": whichever the machine chooses


class Exchange(Struct, frozen=True):
    """What became of one transaction. `reply` is the one that decided; None: there was none, or we did not ask."""

    result: Result
    reply: Reply | None
    is_reusable: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no connection. `may_redial_plain`: TLS failed, and the policy allows another try without it."""

    result: Result
    reply: Reply | None = None
    may_redial_plain: bool = False


class Connection:
    """One connection that is open and introduced, for one transaction after the other. Not for two tasks at a time."""

    __slots__ = (
        "_driver",
        "_must_reset",
        "durations",
        "extensions",
        "is_reusable",
        "messages_sent",
        "remote",
        "tls",
        "transcript",
    )

    def __init__(self, driver: Driver, remote: Remote, met: Acquaintance, durations: dict[str, float]) -> None:
        """Is for `open`."""
        self._driver = driver
        self._must_reset = False
        self.remote = remote
        self.extensions: Extensions = met.extensions
        self.tls: TlsFacts | None = met.tls
        self.transcript = met.transcript  # of the introduction
        self.durations = durations  # of the introduction
        self.messages_sent = 0  # transactions begun
        self.is_reusable = True

    @classmethod
    async def open(
        cls,
        dialer: Dialer,
        clock: Clock,
        remote: Remote,
        introduction: Introduction,
        contexts: ClientContexts,
        timeouts: ClientTimeouts,
    ) -> "Connection | Trouble":
        """Connects and introduces us; gives the trouble when that did not succeed."""
        durations: dict[str, float] = {}
        alarm = Alarm()
        stream: Stream | None = None
        try:
            stream = await _dial(dialer, clock, remote, alarm, timeouts, durations)
            driver = Driver(stream, clock, alarm, timeouts, contexts, remote.mta)
            met = await driver.run(introduce(introduction), durations, timeouts.whole.total_seconds())
        except Break as end:
            alarm.close()
            return Trouble(_unconnected(end, remote, durations))
        except BaseException:
            alarm.close()
            if stream is not None:
                stream.abort()
            raise
        if isinstance(met, Acquaintance):
            return cls(driver, remote, met, durations)
        _part(driver, met)
        may_redial = met.is_handshake and introduction.tls is TlsPolicy.OPPORTUNISTIC and not introduction.is_tls_first
        return Trouble(_result(met, driver, remote, durations), met.reply, may_redial)

    @property
    def local_ip(self) -> str:
        """The address that we send from."""
        return self._driver.stream.local_ip

    @property
    def remote_ip(self) -> str:
        """The address of the remote host."""
        return self._driver.stream.remote_ip

    async def transact(
        self, envelope: Envelope, content: Sequence[bytes], may_finish: Callable[[], bool] = always
    ) -> Exchange:
        """Hands over one message: `content` in pieces, final, not dot-stuffed.

        `may_finish` is asked right before the end of data; when it says no, the message is not finished (D6).
        """
        if not self.is_reusable:
            raise RuntimeError("the connection must not be used again")
        self.is_reusable = False  # until its end has been seen
        durations: dict[str, float] = {}
        octets = sum(map(len, content))
        seconds = self._driver.timeouts.whole.total_seconds() + octets / self._driver.timeouts.min_octets_per_second
        conversation = transact(
            self.extensions, envelope, content, is_used=self.messages_sent > 0, must_reset=self._must_reset
        )
        self.messages_sent += 1
        self._driver.may_finish = may_finish
        try:
            ending = await self._driver.run(conversation, durations, seconds)
        except BaseException:
            self.abort()
            raise
        self._must_reset = ending.must_reset
        self.is_reusable = ending.is_reusable and self._driver.is_in_step
        if not self.is_reusable:
            self.abort()
        return Exchange(_result(ending, self._driver, self.remote, durations), ending.reply, self.is_reusable)

    async def quit(self) -> None:
        """Says goodbye and closes; what the server answers does not matter. No effect when closed."""
        if not self.is_reusable:
            return
        self.is_reusable = False
        try:
            await self._driver.run(leave(), {}, self._driver.timeouts.reset.total_seconds())
        finally:
            self._driver.close()

    def abort(self) -> None:
        """Closes at once."""
        self.is_reusable = False
        self._driver.abort()


async def _dial(
    dialer: Dialer, clock: Clock, remote: Remote, alarm: Alarm, timeouts: ClientTimeouts, durations: dict[str, float]
) -> Stream:
    """Gives a connected stream, or raises Break."""
    seconds = timeouts.connect.total_seconds()
    begun = clock.monotonic()
    alarm.begin(seconds)
    alarm.set(seconds)
    try:
        return await dialer.dial(remote.ip, remote.port, remote.local_ip)
    except BindError as error:
        raise Break(Kind.ERROR, str(error)) from None
    except TimeoutError:
        raise Break(Kind.TIMEOUT, "The connection could not be made in time.") from None
    except OSError as error:
        raise Break(Kind.LOST, f"The connection could not be made: {error.strerror or error}") from None
    except asyncio.CancelledError:
        if not alarm.is_ours():
            raise
        raise Break(Kind.TIMEOUT, "The connection could not be made in time.") from None
    finally:
        alarm.end()
        durations[State.CONNECT.value] = clock.monotonic() - begun


def _unconnected(end: Break, remote: Remote, durations: dict[str, float]) -> Result:
    return Result(
        state=State.BIND if end.kind is Kind.ERROR else State.CONNECT,
        kind=end.kind,
        description=str(end),
        local_ip=remote.local_ip,
        remote_ip=remote.ip,
        mta=remote.mta,
        durations=durations,
    )


def _part(driver: Driver, ending: Ending) -> None:
    """Leaves a server with which the introduction did not succeed."""
    if ending.kind is Kind.ERROR and not ending.is_handshake:
        with contextlib.suppress(ConnectionError):
            driver.stream.write(b"QUIT\r\n")  # RFC 5321 3.1; its reply is not worth waiting for
        driver.close()
    else:
        driver.abort()


def _result(ending: Ending, driver: Driver, remote: Remote, durations: dict[str, float]) -> Result:
    return Result(
        state=ending.state,
        kind=ending.kind,
        code=ending.reply.code if ending.reply is not None else 0,
        status=ending.status,
        description=ending.description,
        local_ip=driver.stream.local_ip,
        remote_ip=driver.stream.remote_ip,
        mta=remote.mta,
        tls=driver.tls,
        durations=durations,
        transcript=ending.transcript,
        is_uncertain=ending.is_uncertain,
    )
