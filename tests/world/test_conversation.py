"""Connections to a scripted host: time limits, lost connections, broken replies and reuse, in virtual time."""

import asyncio
import ssl
from collections import deque
from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.model.outcome import Kind, State, TlsFacts
from smtpeter.testing.virtual_time import Deadlock, VirtualClock, in_virtual_time, run
from smtpeter.wire.smtp_client import Introduction
from smtpeter.wire.smtp_commands import BLOCK_OCTETS, Envelope
from smtpeter.wire.smtp_steps import TlsPolicy
from smtpeter.world.connection import Connection, Exchange, Remote, Trouble
from smtpeter.world.conversation import ClientTimeouts
from smtpeter.world.stream import BindError
from smtpeter.world.tls import ClientContexts

HANG = object()
Item = bytes | float | Exception  # what a read gives, a wait before it in seconds, or what it raises

FACTS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", False)
ENVELOPE = Envelope("a@example.com", "b@example.net")
CONTENT = [b"Subject: x\r\n\r\n", b"Hello\r\n"]
BANNER: list[Item] = [b"220 mx.example.net\r\n"]
EHLO: list[Item] = [b"250-mx.example.net\r\n250 PIPELINING\r\n"]
EHLO_TLS: list[Item] = [b"250-mx.example.net\r\n250 STARTTLS\r\n"]
TAKEN: list[Item] = [b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n"]
QUEUED: list[Item] = [b"250 2.0.0 queued as 7\r\n"]
REMOTE = Remote("192.0.2.1", 25, "mx.example.net", "198.51.100.1")
LIMITS = ClientTimeouts()
PLAIN_TEXT = Introduction("me.example.com", TlsPolicy.NONE)


class MemoryStream:
    """A host that says the first part of its script at once, and one further part after each write."""

    local_ip = "198.51.100.1"
    remote_ip = "192.0.2.1"

    def __init__(self, *parts: list[Item], handshake: object = FACTS, drain_seconds: float = 0.0) -> None:
        self.parts = deque(parts)
        self.items: deque[Item] = deque(self.parts.popleft() if parts else [])
        self.arrived = asyncio.Event()
        self.written: list[bytes] = []
        self.handshake = handshake
        self.handshakes: list[tuple[ssl.SSLContext, str]] = []
        self.drain_seconds = drain_seconds
        self.is_closed = self.is_aborted = False

    async def read(self) -> bytes:
        while True:
            while not self.items:
                self.arrived.clear()
                await self.arrived.wait()
            match self.items.popleft():
                case bytes(data):
                    return data
                case Exception() as error:
                    raise error
                case float(seconds):
                    await asyncio.sleep(seconds)

    def write(self, data: bytes) -> None:
        assert not (self.is_closed or self.is_aborted)
        self.written.append(data)
        if self.parts:
            self.items.extend(self.parts.popleft())
            self.arrived.set()

    async def drain(self) -> None:
        await asyncio.sleep(self.drain_seconds)

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> TlsFacts:
        self.handshakes.append((context, server_name))
        if isinstance(self.handshake, Exception):
            raise self.handshake
        if self.handshake is HANG:
            await asyncio.Event().wait()
        assert isinstance(self.handshake, TlsFacts)
        return self.handshake

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True


class MemoryDialer:
    def __init__(self, outcome: object) -> None:
        self.outcome = outcome
        self.dialled: list[tuple[str, int, str]] = []

    async def dial(self, ip: str, port: int, local_ip: str = "") -> MemoryStream:
        self.dialled.append((ip, port, local_ip))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if self.outcome is HANG:
            await asyncio.Event().wait()
        assert isinstance(self.outcome, MemoryStream)
        return self.outcome


async def opened(
    outcome: object, introduction: Introduction = PLAIN_TEXT, timeouts: ClientTimeouts = LIMITS
) -> Connection | Trouble:
    return await Connection.open(
        MemoryDialer(outcome), VirtualClock(), REMOTE, introduction, ClientContexts(), timeouts
    )


async def connected(*parts: list[Item], timeouts: ClientTimeouts = LIMITS) -> tuple[Connection, MemoryStream]:
    """Gives a connection after its introduction; `parts` are the answers to the writes of the transactions."""
    stream = MemoryStream(BANNER, EHLO, *parts)
    connection = await opened(stream, timeouts=timeouts)
    assert isinstance(connection, Connection)
    stream.written.clear()
    return connection, stream


def now() -> float:
    return asyncio.get_running_loop().time()


async def trouble_with(outcome: object, introduction: Introduction = PLAIN_TEXT) -> Trouble:
    trouble = await opened(outcome, introduction)
    assert isinstance(trouble, Trouble)
    return trouble


# --- opening


@in_virtual_time
async def test_connection_knows_whom_it_has_met() -> None:
    dialer = MemoryDialer(MemoryStream(BANNER, [b"250-mx.example.net\r\n250-PIPELINING\r\n250 LIMITS MAILMAX=9\r\n"]))
    connection = await Connection.open(dialer, VirtualClock(), REMOTE, PLAIN_TEXT, ClientContexts(), LIMITS)
    assert isinstance(connection, Connection)
    assert dialer.dialled == [("192.0.2.1", 25, "198.51.100.1")]
    assert connection.extensions.has_pipelining
    assert connection.extensions.max_mails == 9
    assert (connection.local_ip, connection.remote_ip) == ("198.51.100.1", "192.0.2.1")
    assert connection.transcript[0] == "S: 220 mx.example.net"
    assert set(connection.durations) == {"connect", "intro", "ehlo"}
    assert connection.is_reusable
    assert connection.messages_sent == 0
    await connection.quit()


@pytest.mark.parametrize(
    ("outcome", "state", "kind"),
    [
        (ConnectionRefusedError(111, "Connection refused"), State.CONNECT, Kind.LOST),
        (OSError(113, "No route to host"), State.CONNECT, Kind.LOST),
        (TimeoutError(), State.CONNECT, Kind.TIMEOUT),
        (BindError(99, "cannot send from 198.51.100.1"), State.BIND, Kind.ERROR),
    ],
)
@in_virtual_time
async def test_failed_dial_is_told(outcome: Exception, state: State, kind: Kind) -> None:
    result = (await trouble_with(outcome)).result
    assert (result.state, result.kind, result.code) == (state, kind, 0)
    assert (result.local_ip, result.remote_ip, result.mta) == ("198.51.100.1", "192.0.2.1", "mx.example.net")
    assert result.description


@in_virtual_time
async def test_dial_is_given_up_after_30_seconds() -> None:
    begun = now()
    result = (await trouble_with(HANG)).result
    assert (result.state, result.kind) == (State.CONNECT, Kind.TIMEOUT)
    assert now() - begun == pytest.approx(30)
    assert result.durations == {"connect": pytest.approx(30)}


@pytest.mark.parametrize(
    ("parts", "state", "kind", "code"),
    [
        ([[b"554 5.7.1 go away\r\n"]], State.INTRO, Kind.ERROR, 554),
        ([[b""]], State.INTRO, Kind.LOST, 0),
        ([[ConnectionResetError("reset")]], State.INTRO, Kind.LOST, 0),
        ([[TimeoutError("below")]], State.INTRO, Kind.TIMEOUT, 0),
        ([[b"SSH-2.0-x\r\n"]], State.INTRO, Kind.INVALID, 0),
        ([[b"220 a\r\n220 b\r\n"]], State.EHLO, Kind.INVALID, 0),
        ([BANNER, [b""]], State.EHLO, Kind.LOST, 0),
        ([BANNER, [b"250-a\r\n251 b\r\n"]], State.EHLO, Kind.INVALID, 0),
        ([BANNER, [b"450 4.3.2 later\r\n"]], State.EHLO, Kind.ERROR, 450),
        ([BANNER, [b"500 what\r\n"], [b"550 no\r\n"]], State.HELO, Kind.ERROR, 550),
    ],
)
@in_virtual_time
async def test_failed_introduction_is_told_and_the_connection_is_gone(
    parts: list[list[Item]], state: State, kind: Kind, code: int
) -> None:
    stream = MemoryStream(*parts)
    trouble = await trouble_with(stream)
    assert (trouble.result.state, trouble.result.kind, trouble.result.code) == (state, kind, code)
    assert not trouble.may_redial_plain
    # a server that has refused us politely is told that we go
    assert (stream.written[-1:] == [b"QUIT\r\n"]) == (kind is Kind.ERROR)
    assert stream.is_closed == (kind is Kind.ERROR)
    assert stream.is_aborted == (kind is not Kind.ERROR)


@pytest.mark.parametrize(
    ("parts", "state", "seconds"),
    [
        ([[]], State.INTRO, 300),
        ([BANNER], State.EHLO, 300),
        ([BANNER, [b"500 what\r\n"]], State.HELO, 300),
        ([BANNER, EHLO_TLS], State.STARTTLS, 60),
    ],
)
@in_virtual_time
async def test_silent_server_is_left_when_the_time_of_its_stage_is_up(
    parts: list[list[Item]], state: State, seconds: float
) -> None:
    begun = now()
    stream = MemoryStream(*parts)
    result = (await trouble_with(stream, Introduction("me.example.com"))).result
    assert (result.state, result.kind) == (state, Kind.TIMEOUT)
    assert now() - begun == pytest.approx(seconds)
    assert result.durations[state.value] == pytest.approx(seconds)
    assert stream.is_aborted


@in_virtual_time
async def test_octet_now_and_then_does_not_extend_a_limit() -> None:
    begun = now()
    drip: list[Item] = [item for _ in range(1000) for item in (20.0, b"2")]
    result = (await trouble_with(MemoryStream(drip))).result
    assert (result.state, result.kind) == (State.INTRO, Kind.TIMEOUT)
    assert now() - begun == pytest.approx(300)


# --- TLS


@pytest.mark.parametrize(
    ("policy", "is_verified"),
    [(TlsPolicy.OPPORTUNISTIC, False), (TlsPolicy.REQUIRED, False), (TlsPolicy.VERIFIED, True)],
)
@in_virtual_time
async def test_policy_chooses_the_context_and_the_host_gives_the_name(policy: TlsPolicy, is_verified: bool) -> None:
    stream = MemoryStream(BANNER, EHLO_TLS, [b"220 go\r\n"], EHLO, TAKEN, QUEUED)
    connection = await opened(stream, Introduction("me.example.com", policy))
    assert isinstance(connection, Connection)
    ((context, name),) = stream.handshakes
    assert (context.verify_mode is ssl.CERT_REQUIRED) == is_verified
    assert name == "mx.example.net"
    assert connection.tls == FACTS
    assert connection.extensions.has_pipelining
    assert (await connection.transact(ENVELOPE, CONTENT)).result.tls == FACTS


@pytest.mark.parametrize("policy", [TlsPolicy.OPPORTUNISTIC, TlsPolicy.REQUIRED, TlsPolicy.VERIFIED])
@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (ssl.SSLCertVerificationError("wrong name"), Kind.ERROR),
        (ssl.SSLError("no shared cipher"), Kind.ERROR),
        (ConnectionResetError("reset"), Kind.LOST),
        (TimeoutError(), Kind.TIMEOUT),
        (HANG, Kind.TIMEOUT),
    ],
)
@in_virtual_time
async def test_failed_handshake_lets_only_the_opportunistic_dial_again(
    policy: TlsPolicy, failure: object, kind: Kind
) -> None:
    begun = now()
    stream = MemoryStream(BANNER, EHLO_TLS, [b"220 go\r\n"], handshake=failure)
    trouble = await trouble_with(stream, Introduction("me.example.com", policy))
    assert (trouble.result.state, trouble.result.kind) == (State.STARTTLS, kind)
    assert trouble.may_redial_plain == (policy is TlsPolicy.OPPORTUNISTIC)
    assert stream.is_aborted
    if failure is HANG:
        assert now() - begun == pytest.approx(60)


@in_virtual_time
async def test_words_ahead_of_the_handshake_are_not_believed() -> None:
    stream = MemoryStream(BANNER, EHLO_TLS, [b"220 go\r\n250 forged\r\n"])
    trouble = await trouble_with(stream, Introduction("me.example.com"))
    assert (trouble.result.state, trouble.result.kind) == (State.STARTTLS, Kind.INVALID)
    assert stream.handshakes == []
    assert not trouble.may_redial_plain


# --- one transaction


@in_virtual_time
async def test_message_is_taken() -> None:
    connection, stream = await connected(TAKEN, [2.0, *QUEUED])
    exchange = await connection.transact(ENVELOPE, CONTENT)
    result = exchange.result
    assert (result.state, result.kind, result.code, result.status) == (State.MESSAGE, Kind.ACCEPTED, 250, "2.0.0")
    assert result.description == "queued as 7"
    assert (result.local_ip, result.remote_ip, result.mta) == ("198.51.100.1", "192.0.2.1", "mx.example.net")
    assert list(result.durations) == ["mailfrom", "rcptto", "data", "message"]
    assert result.durations["message"] == pytest.approx(2)
    assert result.transcript[0] == "C: MAIL FROM:<a@example.com>"
    assert exchange.is_reusable
    assert connection.is_reusable
    assert connection.messages_sent == 1
    assert stream.written[1] == b"Subject: x\r\n\r\nHello\r\n.\r\n"


@pytest.mark.parametrize(
    ("parts", "state", "kind", "code"),
    [
        ([[b"450 4.1.8 no\r\n503 x\r\n503 x\r\n"]], State.MAILFROM, Kind.ERROR, 450),
        ([[b"250 ok\r\n550 5.1.1 who\r\n503 x\r\n"]], State.RCPTTO, Kind.ERROR, 550),
        ([[b"250 ok\r\n550 5.1.1 who\r\n354 go\r\n"], [b"554 none\r\n"]], State.RCPTTO, Kind.ERROR, 550),
        ([[b"250 ok\r\n250 ok\r\n451 4.3.0 no\r\n"]], State.DATA, Kind.ERROR, 451),
        ([TAKEN, [b"554 5.6.0 no\r\n"]], State.MESSAGE, Kind.ERROR, 554),
    ],
)
@in_virtual_time
async def test_refusal_leaves_the_connection_for_the_next_message(
    parts: list[list[Item]], state: State, kind: Kind, code: int
) -> None:
    connection, stream = await connected(*parts, [], QUEUED)
    result = (await connection.transact(ENVELOPE, CONTENT)).result
    assert (result.state, result.kind, result.code, result.is_uncertain) == (state, kind, code, False)
    assert connection.is_reusable
    said = len(stream.written)
    needs_reset = state is State.DATA or (state is State.RCPTTO and len(parts) == 1)
    stream.items.extend([b"250 reset\r\n"] if needs_reset else [])
    stream.items.extend(TAKEN)
    stream.arrived.set()
    stream.parts = deque([[], QUEUED])
    assert (await connection.transact(ENVELOPE, CONTENT)).result.kind is Kind.ACCEPTED
    assert stream.written[said].startswith(b"RSET\r\nMAIL" if needs_reset else b"MAIL")


@pytest.mark.parametrize(
    ("item", "kind"),
    [(b"", Kind.LOST), (ConnectionResetError("reset"), Kind.LOST), (b"%&!\r\n", Kind.INVALID)],
)
@pytest.mark.parametrize(
    ("before", "state"),
    [
        (b"", State.MAILFROM),
        (b"250 ok\r\n", State.RCPTTO),
        (b"250 ok\r\n250 ok\r\n", State.DATA),
        (b"250 ok\r\n250 ok\r\n354 go\r\n", State.MESSAGE),
    ],
)
@in_virtual_time
async def test_broken_connection_is_never_used_again(before: bytes, state: State, item: Item, kind: Kind) -> None:
    start: list[Item] = [before] if before else []
    parts = [start, [item]] if state is State.MESSAGE else [[*start, item]]
    connection, stream = await connected(*parts)
    exchange = await connection.transact(ENVELOPE, CONTENT)
    assert (exchange.result.state, exchange.result.kind) == (state, kind)
    assert exchange.result.is_uncertain == (state is State.MESSAGE)
    assert not exchange.is_reusable
    assert stream.is_aborted
    with pytest.raises(RuntimeError):
        await connection.transact(ENVELOPE, CONTENT)
    await connection.quit()  # nothing more is said
    assert not stream.written[-1].startswith(b"QUIT")


@pytest.mark.parametrize(
    ("before", "state", "seconds"),
    [
        (b"", State.MAILFROM, 300),
        (b"250 ok\r\n", State.RCPTTO, 300),
        (b"250 ok\r\n250 ok\r\n", State.DATA, 120),
        (b"250 ok\r\n250 ok\r\n354 go\r\n", State.MESSAGE, 600),
    ],
)
@in_virtual_time
async def test_each_stage_of_a_message_has_its_own_limit(before: bytes, state: State, seconds: float) -> None:
    connection, stream = await connected([100.0, before] if before else [])
    waited = 100 if before else 0
    begun = now()
    result = (await connection.transact(ENVELOPE, CONTENT)).result
    assert (result.state, result.kind, result.is_uncertain) == (state, Kind.TIMEOUT, state is State.MESSAGE)
    assert now() - begun == pytest.approx(waited + seconds)
    assert result.durations[state.value] == pytest.approx(seconds if before else 300)
    assert stream.is_aborted


@in_virtual_time
async def test_early_timer_of_a_short_stage_does_not_cut_a_longer_one() -> None:
    """DATA may take 2 minutes and the reply to the content 10: the timer of the first must not end the second."""
    connection, _ = await connected([b"250 ok\r\n250 ok\r\n", 100.0, b"354 go\r\n"], [500.0, *QUEUED])
    assert (await connection.transact(ENVELOPE, CONTENT)).result.kind is Kind.ACCEPTED


@in_virtual_time
async def test_replies_may_come_in_any_pieces() -> None:
    octets: list[Item] = [bytes([octet]) for octet in b"250-2.1.0 a\r\n250 2.1.0 b\r\n250 ok\r\n354-go\r\n354 on\r\n"]
    connection, _ = await connected(octets, [b"250 2.0", b".0 queued\r", b"\n"])
    result = (await connection.transact(ENVELOPE, CONTENT)).result
    assert (result.kind, result.status, result.description) == (Kind.ACCEPTED, "2.0.0", "queued")
    assert connection.is_reusable


@in_virtual_time
async def test_reply_ahead_of_the_content_is_not_taken_for_its_verdict() -> None:
    connection, stream = await connected([b"250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 queued\r\n"])
    result = (await connection.transact(ENVELOPE, CONTENT)).result
    assert result.kind is Kind.INVALID
    assert len(stream.written) == 1
    assert stream.is_aborted


@in_virtual_time
async def test_reply_too_many_ends_the_connection_but_not_the_result() -> None:
    connection, _ = await connected(TAKEN, [b"250 2.0.0 queued\r\n250 again\r\n"])
    exchange = await connection.transact(ENVELOPE, CONTENT)
    assert exchange.result.kind is Kind.ACCEPTED
    assert not exchange.is_reusable


@in_virtual_time
async def test_421_ends_the_connection() -> None:
    connection, stream = await connected([b"421 4.7.0 too many\r\n"])
    exchange = await connection.transact(ENVELOPE, CONTENT)
    assert (exchange.result.state, exchange.result.code) == (State.MAILFROM, 421)
    assert not exchange.is_reusable
    assert stream.is_aborted


@in_virtual_time
async def test_server_that_left_in_the_meantime_gives_the_state_idle() -> None:
    connection, _ = await connected(TAKEN, [*QUEUED, b""])
    assert (await connection.transact(ENVELOPE, CONTENT)).is_reusable
    exchange = await connection.transact(ENVELOPE, CONTENT)
    assert (exchange.result.state, exchange.result.kind) == (State.IDLE, Kind.LOST)
    assert not exchange.result.is_uncertain


@in_virtual_time
async def test_many_messages_go_over_one_connection() -> None:
    connection, stream = await connected(*[part for _ in range(50) for part in (TAKEN, QUEUED)])
    for _ in range(50):
        assert (await connection.transact(ENVELOPE, CONTENT)).is_reusable
    assert connection.messages_sent == 50
    assert len(stream.written) == 100


@in_virtual_time
async def test_message_too_large_for_the_server_is_not_begun() -> None:
    stream = MemoryStream(BANNER, [b"250-mx\r\n250 SIZE 10\r\n"])
    connection = await opened(stream)
    assert isinstance(connection, Connection)
    exchange = await connection.transact(ENVELOPE, CONTENT)
    assert (exchange.result.status, exchange.result.code, exchange.reply) == ("5.3.4", 0, None)
    assert exchange.is_reusable
    assert len(stream.written) == 1


@in_virtual_time
async def test_envelope_that_breaks_out_of_its_command_leaves_nothing_behind() -> None:
    connection, stream = await connected()
    with pytest.raises(ValueError, match="address"):
        await connection.transact(Envelope("a@example.com", "b@example.net>\r\nRSET"), CONTENT)
    assert stream.written == []
    assert not connection.is_reusable


# --- large content


@in_virtual_time
async def test_block_that_does_not_go_in_3_minutes_ends_the_connection() -> None:
    connection, stream = await connected(TAKEN)
    stream.drain_seconds = 200.0
    begun = now()
    result = (await connection.transact(ENVELOPE, [b"x\r\n" * BLOCK_OCTETS])).result
    assert (result.state, result.kind) == (State.MESSAGE, Kind.TIMEOUT)
    assert not result.is_uncertain  # the dot was not sent
    assert now() - begun == pytest.approx(180)
    assert result.durations["message"] == pytest.approx(180)


@in_virtual_time
async def test_content_that_trickles_below_500_octets_a_second_ends_the_connection() -> None:
    connection, stream = await connected(TAKEN)
    stream.drain_seconds = 170.0  # within the limit of a block, and 385 octets a second
    begun = now()
    result = (await connection.transact(ENVELOPE, [b"x\r\n" * (10 * BLOCK_OCTETS)])).result
    assert (result.state, result.kind, result.is_uncertain) == (State.MESSAGE, Kind.TIMEOUT, False)
    sent = sum(map(len, stream.written[1:]))
    assert now() - begun == pytest.approx(180 + sent / 500)


@in_virtual_time
async def test_whole_message_has_a_limit_beside_those_of_its_stages() -> None:
    slow: list[Item] = [290.0, b"250 ok\r\n", 290.0, b"250 ok\r\n", 110.0, b"354 go\r\n"]
    connection, _ = await connected(slow, timeouts=ClientTimeouts(whole=timedelta(minutes=10)))
    begun = now()
    result = (await connection.transact(ENVELOPE, CONTENT)).result
    assert (result.state, result.kind) == (State.DATA, Kind.TIMEOUT)
    assert now() - begun == pytest.approx(600, abs=1)


@in_virtual_time
async def test_large_content_arrives_whole() -> None:
    connection, stream = await connected(TAKEN)
    content = b"x" * 70 + b"\r\n" + b"." * 6 + b"\r\n"

    def parts() -> Iterable[list[Item]]:
        blocks = -(-len(content) * 20_000 // BLOCK_OCTETS)
        yield from ([[]] * (blocks - 1))
        yield QUEUED

    stream.parts.extend(parts())
    result = (await connection.transact(ENVELOPE, [content] * 20_000)).result
    assert result.kind is Kind.ACCEPTED
    wire = b"".join(stream.written[1:])
    assert wire == (b"x" * 70 + b"\r\n" + b"." * 7 + b"\r\n") * 20_000 + b".\r\n"


# --- the end


@in_virtual_time
async def test_goodbye_waits_20_seconds_at_most() -> None:
    connection, stream = await connected()
    begun = now()
    await connection.quit()
    assert now() - begun == pytest.approx(20)
    assert stream.written == [b"QUIT\r\n"]
    assert stream.is_closed
    assert not connection.is_reusable


@in_virtual_time
async def test_goodbye_is_said_once() -> None:
    connection, stream = await connected([b"221 bye\r\n"])
    await connection.quit()
    await connection.quit()
    assert stream.written == [b"QUIT\r\n"]


@in_virtual_time
async def test_cancelled_transaction_ends_the_connection_and_stays_cancelled() -> None:
    connection, stream = await connected()
    task = asyncio.create_task(connection.transact(ENVELOPE, CONTENT))
    await asyncio.sleep(10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stream.is_aborted
    assert not connection.is_reusable


@in_virtual_time
async def test_cancellation_at_the_moment_of_the_limit_is_not_lost() -> None:
    connection, stream = await connected()
    loop = asyncio.get_running_loop()
    task: asyncio.Task[Exchange] = asyncio.create_task(connection.transact(ENVELOPE, CONTENT))
    await asyncio.sleep(0)
    loop.call_at(loop.time() + 300, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stream.is_aborted


@in_virtual_time
async def test_task_that_met_a_limit_can_go_on() -> None:
    """The limit interrupts the conversation, and nothing of it is left in the task."""
    connection, _ = await connected()
    assert (await connection.transact(ENVELOPE, CONTENT)).result.kind is Kind.TIMEOUT
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    async with asyncio.timeout(5):
        await asyncio.sleep(1)


@pytest.mark.parametrize("how", ["quit", "abort", "lost", "turned away"])
def test_connection_that_is_gone_holds_no_timer(how: str) -> None:
    left: list[tuple[asyncio.AbstractEventLoop, float]] = []

    async def story() -> None:
        if how == "turned away":
            await trouble_with(MemoryStream([b"554 no\r\n"]))
        else:
            connection, _ = await connected(TAKEN, [b""] if how == "lost" else QUEUED, [b"221 bye\r\n"])
            await connection.transact(ENVELOPE, CONTENT)
            if how == "quit":
                await connection.quit()
            elif how == "abort":
                connection.abort()
        left.append((asyncio.get_running_loop(), now()))
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        run(story())
    ((loop, left_at),) = left
    assert loop.time() == left_at  # nothing was left for which time would have gone on


@pytest.mark.parametrize("is_dialling", [True, False])
@in_virtual_time
async def test_cancelled_opening_stays_cancelled(is_dialling: bool) -> None:
    stream = MemoryStream()
    task = asyncio.create_task(opened(HANG if is_dialling else stream))
    await asyncio.sleep(10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stream.is_aborted != is_dialling


@in_virtual_time
async def test_trouble_after_the_handshake_tells_of_the_encryption() -> None:
    stream = MemoryStream(BANNER, EHLO_TLS, [b"220 go\r\n"], [b"450 4.3.2 later\r\n"])
    trouble = await trouble_with(stream, Introduction("me.example.com"))
    assert (trouble.result.state, trouble.result.tls) == (State.EHLO, FACTS)


ANSWERS = st.lists(
    st.sampled_from(
        [b"220 hi\r\n", b"250 ok\r\n", b"250-ok\r\n", b"354 go\r\n", b"421 bye\r\n", b"550 no\r\n", b"25", b""]
    )
    | st.sampled_from([1.0, 400.0, ConnectionResetError("reset"), TimeoutError("below")])
    | st.binary(max_size=6),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ANSWERS, max_size=8), st.sampled_from(list(TlsPolicy)))
def test_whatever_a_server_says_there_is_a_result_in_time(answers: list[list[Item]], policy: TlsPolicy) -> None:
    """Open and transact never raise and never wait for ever; what is not reusable is closed."""

    async def story() -> None:
        stream = MemoryStream(BANNER, *answers)
        begun = now()
        met = await opened(stream, Introduction("me.example.com", policy))
        if isinstance(met, Trouble):
            assert met.result.kind is not Kind.ACCEPTED
        else:
            while met.is_reusable and met.messages_sent < 3:
                exchange = await met.transact(ENVELOPE, CONTENT)
                assert not (exchange.result.is_uncertain and exchange.is_reusable)
            await met.quit()
        assert stream.is_closed or stream.is_aborted
        assert now() - begun < 4 * 3600

    run(story())
