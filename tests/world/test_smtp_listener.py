"""The socket pump: real sockets on loopback, on both event loops."""

import asyncio
import inspect
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from smtpeter.model.account import Account, AccountId, Features, Identity
from smtpeter.model.reply import Reply, reply
from smtpeter.wire.smtp_server import CredentialsGiven, RecipientGiven, SenderGiven, ServerPolicy, SmtpEnvelope
from smtpeter.world.smtp_listener import Admission, Listener, Patience, Peer, start
from smtpeter.world.smtp_spool import MAX_MEMORY_OCTETS, Spool
from tests import dialogues
from tests.dialogues import (
    Dialogue,
    Expect,
    ExpectEnd,
    ExpectMessage,
    ExpectOffers,
    Send,
    SendEof,
    StartTls,
    client_context,
    server_context,
)

IDENTITY = Identity(Account(AccountId(1), "one"), "login:1", Features())
OPEN = ServerPolicy("mail.example.com", requires_tls=False, requires_auth=False, has_tls=True, allows_plain_auth=True)
TRANSACTION = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"


class Door:
    """Keeps what it gets; `hold` makes it wait with the answer to a message."""

    def __init__(self, policy: ServerPolicy = OPEN, *, is_trusted: bool = False) -> None:
        self.policy = policy
        self.is_trusted = is_trusted
        self.messages: list[tuple[Peer, SmtpEnvelope, bytes]] = []
        self.released_ips: list[str] = []
        self.logged_out_as: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.asked = asyncio.Event()
        self.refusal: Reply | None = None
        self.crowded = False
        self.trouble: Exception | None = None

    def admit(self, peer_ip: str, local_port: int) -> Admission | Reply:
        return self.refusal or Admission(self.policy, self.is_trusted)

    def is_crowded(self) -> bool:
        return self.crowded

    def released(self, peer_ip: str) -> None:
        self.released_ips.append(peer_ip)

    def logged_out(self, identity: Identity) -> None:
        self.logged_out_as.append(identity.credential)

    async def authenticate(self, peer: Peer, given: CredentialsGiven) -> Identity | Reply:
        if (given.user, given.password) == ("user", "secret"):
            return IDENTITY
        return reply(535, "5.7.8", "User name or password is wrong")

    async def sender(self, peer: Peer, given: SenderGiven) -> Reply:
        return reply(250, "2.1.0", "Sender OK")

    async def recipient(self, peer: Peer, given: RecipientGiven) -> Reply:
        if given.recipient.address == "ours@example.net":
            return reply(250, "2.1.5", "Recipient OK")
        return reply(550, "5.1.1", "No such address here")

    async def message(self, peer: Peer, envelope: SmtpEnvelope, body: bytes) -> Reply:
        self.asked.set()
        await self.hold.wait()
        if self.trouble:
            raise self.trouble
        self.messages.append((peer, envelope, body))
        return reply(250, "2.0.0", "Ok, queued as 1")


class Client:
    """A few words of SMTP over a stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hear(self) -> str:
        """Gives the last line of the next reply."""
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 10)).decode()
            if line[3:4] != "-":
                return line.rstrip("\r\n")

    async def say(self, line: str) -> str:
        await self.send(line.encode() + b"\r\n")
        return await self.hear()

    async def ended(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(), 10) == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def listening(
    door: Door, *, implicit: bool = False, patience: Patience | None = None, folder: Path | None = None
) -> AsyncIterator[Listener]:
    listener = await start(
        door,
        "127.0.0.1",
        0,
        server_context,
        spool_folder=folder or Path(tempfile.gettempdir()),
        implicit=implicit,
        patience=patience or Patience(login_delay_seconds=0),
    )
    try:
        yield listener
    finally:
        await listener.close()


@asynccontextmanager
async def connected(listener: Listener, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    name = "localhost" if tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=tls, server_hostname=name)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


def on_both_loops(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Makes a test run on the event loop of the standard library and on uvloop."""

    def run(make_loop: Callable[[], asyncio.AbstractEventLoop], **given: object) -> None:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(test(**given))

    own = inspect.signature(test)
    first = inspect.Parameter("make_loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = own.replace(parameters=[first, *own.parameters.values()])  # type: ignore[attr-defined]
    run.__name__ = test.__name__
    loops = pytest.mark.parametrize(
        "make_loop", [asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
    )
    return loops(run)


@on_both_loops
async def test_message_reaches_the_door_with_what_is_known_of_the_peer() -> None:
    door = Door()
    async with listening(door) as listener, connected(listener) as client:
        assert (await client.hear()).startswith("220 mail.example.com ESMTP")
        await client.say("EHLO client.example")
        await client.send(TRANSACTION)
        assert [await client.hear() for _ in range(3)][-1].startswith("354")
        await client.send(b"Subject: x\r\n\r\n..dot\r\n.\r\n")
        assert await client.hear() == "250 2.0.0 Ok, queued as 1"
        assert await client.say("QUIT") == "221 2.0.0 Goodbye"
        assert await client.ended()
    peer, envelope, body = door.messages[0]
    assert (peer.ip, peer.helo, peer.is_esmtp, peer.is_tls) == ("127.0.0.1", "client.example", True, False)
    assert envelope.recipients[0].address == "b@example.net"
    assert body == b"Subject: x\r\n\r\n.dot\r\n"
    assert door.released_ips == ["127.0.0.1"]


@on_both_loops
async def test_starttls_then_login_then_message() -> None:
    door = Door(ServerPolicy("mail.example.com", has_tls=True))
    async with listening(door) as listener, connected(listener) as client:
        await client.hear()
        await client.say("EHLO c")
        assert await client.say("STARTTLS") == "220 Ready to start TLS"
        await client.writer.start_tls(client_context(), server_hostname="localhost")
        await client.say("EHLO c")
        assert await client.say("AUTH PLAIN AHVzZXIAc2VjcmV0") == "235 2.7.0 Welcome back"
        await client.send(TRANSACTION)
        [await client.hear() for _ in range(3)]
        await client.send(b"x\r\n.\r\n")
        assert (await client.hear()).startswith("250")
    peer = door.messages[0][0]
    assert peer.identity is IDENTITY
    assert peer.tls is not None and peer.tls.version == "TLSv1.3" and peer.tls.cipher


@on_both_loops
async def test_what_came_before_the_handshake_is_never_executed() -> None:
    door = Door()
    async with listening(door) as listener, connected(listener) as client:
        await client.hear()
        await client.say("EHLO c")
        await client.send(b"STARTTLS\r\nNOOP\r\nNOOP\r\n")
        assert await client.hear() == "220 Ready to start TLS"
        await client.writer.start_tls(client_context(), server_hostname="localhost")
        assert (await client.say("MAIL FROM:<a@example.com>")).startswith("503")


@on_both_loops
async def test_tls_from_the_first_byte() -> None:
    door = Door()
    async with listening(door, implicit=True) as listener, connected(listener, client_context()) as client:
        assert (await client.hear()).startswith("220")
        await client.send(b"EHLO c\r\n")
        lines = [await client.reader.readline()]
        while lines[-1].startswith(b"250-"):
            lines.append(await client.reader.readline())
        assert b"250 AUTH PLAIN LOGIN\r\n" in lines
        assert b"250-STARTTLS\r\n" not in lines


@on_both_loops
async def test_plain_text_on_a_tls_port_ends_without_harm() -> None:
    door = Door()
    async with listening(door, implicit=True) as listener:
        async with connected(listener) as client:
            await client.send(b"EHLO c\r\n" * 100)
            await client.reader.read()
        async with connected(listener, client_context()) as client:
            assert (await client.hear()).startswith("220")
    assert door.released_ips == ["127.0.0.1"] * 2


@on_both_loops
async def test_third_failed_login_closes() -> None:
    async with listening(Door()) as listener, connected(listener) as client:
        await client.hear()
        await client.say("EHLO c")
        for _ in range(3):
            assert (await client.say("AUTH PLAIN AHVzZXIAd3Jvbmc=")).startswith("535 5.7.8")
        assert (await client.hear()).startswith("421 4.7.0")
        assert await client.ended()


@on_both_loops
async def test_large_body_goes_to_disk_and_arrives_whole(tmp_path: Path) -> None:
    door = Door()
    body = (b"y" * 70 + b"\r\n") * 20_000
    async with listening(door, folder=tmp_path) as listener, connected(listener) as client:
        await client.hear()
        await client.say("EHLO c")
        await client.send(TRANSACTION)
        [await client.hear() for _ in range(3)]
        await client.send(body + b".\r\n")
        assert (await client.hear()).startswith("250")
    assert door.messages[0][2] == body
    assert list(tmp_path.iterdir()) == []


@on_both_loops
async def test_disk_that_takes_nothing_refuses_the_message_for_now(tmp_path: Path) -> None:
    door = Door()
    async with listening(door, folder=tmp_path / "missing") as listener, connected(listener) as client:
        await client.hear()
        await client.say("EHLO c")
        await client.send(TRANSACTION)
        [await client.hear() for _ in range(3)]
        await client.send(b"z" * 60000 + b"\r\n" + b"z\r\n" * 100_000 + b".\r\n")
        assert (await client.hear()).startswith("452 4.3.1")
    assert door.messages == []


def test_spool_gives_back_what_it_got(tmp_path: Path) -> None:
    for size in (0, 1000, MAX_MEMORY_OCTETS - 100, MAX_MEMORY_OCTETS + 100):
        spool = Spool(tmp_path)
        parts = [bytes([n % 256]) * 100 for n in range(size // 100)] + [b"end"]
        for part in parts:
            spool.add(part)
        assert spool.is_on_disk == (size > MAX_MEMORY_OCTETS)
        assert spool.take() == b"".join(parts)


@on_both_loops
async def test_half_closed_client_still_gets_its_answer() -> None:
    door = Door()
    door.hold.clear()
    async with listening(door) as listener, connected(listener) as client:
        await client.hear()
        await client.say("EHLO c")
        await client.send(TRANSACTION + b"x\r\n.\r\n")
        client.writer.write_eof()
        await door.asked.wait()
        door.hold.set()
        assert [await client.hear() for _ in range(4)][-1] == "250 2.0.0 Ok, queued as 1"
        assert await client.ended()


@on_both_loops
async def test_connection_that_breaks_in_the_body_leaves_nothing(tmp_path: Path) -> None:
    door = Door()
    async with listening(door, folder=tmp_path) as listener:
        async with connected(listener) as client:
            await client.hear()
            await client.say("EHLO c")
            await client.send(TRANSACTION)
            [await client.hear() for _ in range(3)]
            await client.send(b"x\r\n" * 200_000 + b".")
        await listener.drain(10)
    assert door.messages == []
    assert list(tmp_path.iterdir()) == []


@on_both_loops
async def test_replies_to_pipelined_commands_come_in_one_write() -> None:
    async with listening(Door()) as listener, connected(listener) as client:
        await client.hear()
        await client.say("EHLO c")
        await client.send(TRANSACTION)
        first = await client.reader.read(65536)
        assert first.count(b"\r\n") == 3


@on_both_loops
async def test_commands_behind_a_message_wait_for_its_answer() -> None:
    door = Door()
    door.hold.clear()
    async with listening(door) as listener, connected(listener) as client:
        await client.hear()
        await client.say("EHLO c")
        await client.send(TRANSACTION + b"x\r\n.\r\n" + b"MAIL FROM:<next@example.com>\r\n")
        [await client.hear() for _ in range(3)]
        await door.asked.wait()
        door.hold.set()
        assert [await client.hear(), await client.hear()] == ["250 2.0.0 Ok, queued as 1", "250 2.1.0 Sender OK"]


@on_both_loops
async def test_client_that_floods_behind_a_message_is_not_read_from() -> None:
    door = Door()
    door.hold.clear()
    async with listening(door) as listener, connected(listener) as client:
        await client.hear()
        await client.say("EHLO c")
        await client.send(TRANSACTION + b"x\r\n.\r\n")
        await door.asked.wait()
        flood = b"NOOP " + b"n" * 1000 + b"\r\n"
        client.writer.write(flood * 30_000)
        (connection,) = listener._connections
        await _until(lambda: connection._is_reading_paused)
        assert connection._session is not None
        assert connection._session.waiting_octets < 1_000_000  # of 30 MB
        door.hold.set()
        replies = [await client.hear() for _ in range(20)]
        assert replies[3] == "250 2.0.0 Ok, queued as 1"


@on_both_loops
async def test_refused_client_hears_why() -> None:
    door = Door()
    door.refusal = reply(421, "4.7.0", "Too many connections")
    async with listening(door) as listener, connected(listener) as client:
        assert await client.hear() == "421 4.7.0 Too many connections"
        assert await client.ended()
    assert door.released_ips == []


@on_both_loops
async def test_trouble_in_the_door_is_answered_451(caplog: pytest.LogCaptureFixture) -> None:
    door = Door()
    door.trouble = RuntimeError("lost")
    async with listening(door) as listener, connected(listener) as client:
        await client.hear()
        await client.say("EHLO c")
        await client.send(TRANSACTION + b"x\r\n.\r\n")
        assert [await client.hear() for _ in range(4)][-1].startswith("451 4.3.0")
        assert (await client.say("NOOP")).startswith("250")
    assert "smtp.question_failed" in caplog.text


@on_both_loops
async def test_drain_lets_a_message_finish_and_ends_the_others() -> None:
    door = Door()
    door.hold.clear()
    async with listening(door) as listener, connected(listener) as busy, connected(listener) as idle:
        for client in (busy, idle):
            await client.hear()
            await client.say("EHLO c")
        await busy.send(TRANSACTION + b"x\r\n.\r\n")
        await door.asked.wait()
        draining = asyncio.create_task(listener.drain(10))
        assert (await idle.hear()).startswith("421 4.3.2")
        async with connected(listener) as late:
            assert (await late.hear()).startswith("421 4.3.2")
        door.hold.set()
        assert [await busy.hear() for _ in range(4)][-1].startswith("250 2.0.0")
        assert (await busy.hear()).startswith("421 4.3.2")
        for client in (busy, idle):
            client.writer.close()
        await draining
        assert listener.open_connections == 0


@on_both_loops
async def test_idle_client_is_told_that_its_time_is_up() -> None:
    async with listening(Door()) as listener, connected(listener) as client:
        await client.hear()
        now = asyncio.get_running_loop().time()
        listener.check(now + 299)
        assert (await client.say("NOOP")).startswith("250")
        listener.check(asyncio.get_running_loop().time() + 301)
        assert (await client.hear()).startswith("421 4.4.2")
        assert await client.ended()


@on_both_loops
async def test_crowd_leaves_idle_clients_ten_seconds_and_one_error() -> None:
    door = Door()
    async with listening(door) as listener, connected(listener) as idle, connected(listener) as clumsy:
        for client in (idle, clumsy):
            await client.hear()
        door.crowded = True
        now = asyncio.get_running_loop().time()
        listener.check(now + 9)
        assert (await clumsy.say("WHAT")).startswith("500")
        assert (await clumsy.say("WHAT")).startswith("421 4.7.0")
        listener.check(now + 11)
        assert (await idle.hear()).startswith("421 4.4.2")
        async with connected(listener) as late:
            await late.hear()
            assert (await late.say("WHAT")).startswith("500")
            door.crowded = False
            listener.check(asyncio.get_running_loop().time() + 11)
            assert (await late.say("WHAT")).startswith("500")


@on_both_loops
async def test_crowd_looks_at_the_pace_of_a_body_every_ten_seconds() -> None:
    door = Door()
    async with listening(door) as listener, connected(listener) as slow, connected(listener) as steady:
        for client, octets in ((slow, 4_000), (steady, 6_000)):
            await client.hear()
            await client.say("EHLO c")
            await client.send(TRANSACTION)
            [await client.hear() for _ in range(3)]
            await client.send(b"x" * octets)
        await _until(lambda: all(c._octets_in > 4_000 for c in listener._connections))
        await _until(lambda: sum(c._octets_in > 6_000 for c in listener._connections) == 1)
        door.crowded = True
        listener.check(asyncio.get_running_loop().time() + 10.5)
        assert (await slow.hear()).startswith("421 4.4.2")
        await steady.send(b"\r\n.\r\n")
        assert (await steady.hear()).startswith("250")


@on_both_loops
async def test_chunks_are_one_message_and_time_counts_from_each() -> None:
    door = Door()
    async with listening(door) as listener, connected(listener) as client:
        await client.hear()
        await client.say("EHLO c")
        await client.send(TRANSACTION.replace(b"DATA", b"BDAT 5") + b"one\r\n")
        assert [await client.hear() for _ in range(3)][-1] == "250 2.0.0 Ok, 5 octets"
        (connection,) = listener._connections
        now = asyncio.get_running_loop().time()
        connection._progress_at = connection._pace._since = now - 200
        await client.send(b"BDAT 400000 LAST\r\n")
        await _until(lambda: connection._progress_at >= now)
        listener.check(now + 59)
        await client.send(b"y" * 60_000 + b"\r\n" + b"y" * 39_998)
        await client.send((b"\r\n" + b"z" * 78) * 3750)
        assert (await client.hear()).startswith("250 2.0.0 Ok, queued")
    assert len(door.messages[0][2]) == 5 + 400_000 + len(b"\r\n")


@on_both_loops
async def test_slow_chunk_is_cut_off_also_when_nobody_wants_it() -> None:
    async with listening(Door()) as listener, connected(listener) as client:
        await client.hear()
        await client.send(b"BDAT 1000000\r\n")
        (connection,) = listener._connections
        await _until(lambda: connection._octets_in > 0)
        now = asyncio.get_running_loop().time()
        listener.check(now + 59)
        listener.check(now + 61)
        assert (await client.hear()).startswith("421 4.4.2")


@on_both_loops
async def test_octets_of_an_unfinished_command_do_not_win_time() -> None:
    async with listening(Door()) as listener, connected(listener) as client:
        await client.hear()
        (connection,) = listener._connections
        before = connection._progress_at
        await client.send(b"NO")
        await _until(lambda: connection._octets_in == 2)
        assert connection._progress_at == before


@on_both_loops
async def test_slow_body_is_cut_off_and_a_steady_one_is_not() -> None:
    door = Door()
    async with listening(door) as listener, connected(listener) as client:
        await client.hear()
        await client.say("EHLO c")
        await client.send(TRANSACTION)
        [await client.hear() for _ in range(3)]
        (connection,) = listener._connections
        seen = connection._octets_in
        await client.send(b"x" * 31_000)
        await _until(lambda: connection._octets_in - seen == 31_000)
        now = asyncio.get_running_loop().time()
        listener.check(now + 61)
        await client.send(b"y" * 29_000)
        await _until(lambda: connection._octets_in - seen == 60_000)
        listener.check(now + 90)  # the window is not over
        listener.check(now + 122)
        assert (await client.hear()).startswith("421 4.4.2")
        assert await client.ended()
    assert door.messages == []


@on_both_loops
async def test_session_without_a_message_ends_after_two_hours() -> None:
    async with listening(Door()) as listener, connected(listener) as client:
        await client.hear()
        (connection,) = listener._connections
        now = asyncio.get_running_loop().time()
        connection._progress_at = now + 7190
        listener.check(now + 7199)
        assert (await client.say("NOOP")).startswith("250")
        listener.check(now + 7201)
        assert (await client.hear()).startswith("421 4.4.2")


@on_both_loops
async def test_client_that_keeps_talking_after_the_end_is_cut_off() -> None:
    async with listening(Door()) as listener, connected(listener) as client:
        await client.hear()
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.hear()).startswith("421 4.7.0")
        await client.send(b"EHLO c\r\n" * 1000)
        listener.check(asyncio.get_running_loop().time() + 11)
        assert await client.ended()


@on_both_loops
async def test_client_that_reads_nothing_does_not_fill_our_memory() -> None:
    policy = ServerPolicy("mail.example.com", requires_tls=False, requires_auth=False, max_idle_commands=10**9)
    async with listening(Door(policy)) as listener:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", listener.port))
        sending = loop.create_task(loop.sock_sendall(sock, b"HELP\r\n" * 2_000_000))
        await _until(lambda: any(c._is_writing_paused for c in listener._connections))
        (connection,) = listener._connections
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() < 10_000_000
        sending.cancel()
        await asyncio.wait({sending})
        sock.close()


@on_both_loops
async def test_new_certificate_is_used_by_the_next_handshake() -> None:
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        made.append(server_context())
        return made[-1]

    listener = await start(Door(), "127.0.0.1", 0, make, spool_folder=Path(tempfile.gettempdir()), implicit=True)
    try:
        for _ in range(2):
            async with connected(listener, client_context()) as client:
                await client.hear()
    finally:
        await listener.close()
    assert len(made) == 2


async def _until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_true():
            await asyncio.sleep(0)


class DialogueDoor(Door):
    """Answers as a dialogue file expects."""

    async def authenticate(self, peer: Peer, given: CredentialsGiven) -> Identity | Reply:
        answer = dialogues.judge_login(given.user, given.password)
        return IDENTITY if answer.is_positive else answer

    async def sender(self, peer: Peer, given: SenderGiven) -> Reply:
        return dialogues.judge_sender(given.sender)

    async def recipient(self, peer: Peer, given: RecipientGiven) -> Reply:
        return dialogues.judge_recipient(given.recipient.address)

    async def message(self, peer: Peer, envelope: SmtpEnvelope, body: bytes) -> Reply:
        answer = dialogues.judge_message(envelope.sender)
        if answer.is_positive:
            self.messages.append((peer, envelope, body))
        return answer


@pytest.mark.parametrize("dialogue", dialogues.all_dialogues(), ids=lambda dialogue: dialogue.name)
@on_both_loops
async def test_dialogue_over_a_socket(dialogue: Dialogue) -> None:
    door = DialogueDoor(dialogue.policy, is_trusted=dialogue.is_trusted)
    tls = client_context() if dialogue.is_tls else None
    async with listening(door, implicit=dialogue.is_tls) as listener, connected(listener, tls) as client:
        pending = b""
        for step in dialogue.steps:
            if isinstance(step, Send):
                pending += step.octets
                continue
            if pending:
                await client.send(pending)
                pending = b""
            match step:
                case SendEof():
                    client.writer.write_eof()
                case StartTls():
                    await client.writer.start_tls(client_context(), server_hostname="localhost")
                case Expect():
                    line = (await asyncio.wait_for(client.reader.readline(), 10)).decode().removesuffix("\r\n")
                    assert step.matches(line), f"{step.pattern!r} expected, heard {line!r}"
                case ExpectOffers():
                    assert (await client.hear()).startswith("250 ")
                case ExpectEnd():
                    assert await client.ended()
                case ExpectMessage(body):
                    assert (door.messages[-1][2] if door.messages else None) == body
