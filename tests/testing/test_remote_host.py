"""Remote hosts take mail, and refuse it at whatever stage a test wants; an independent client is the judge."""

import asyncio
from datetime import timedelta

import pytest

from smtpeter.model.outcome import State
from smtpeter.testing.network import MemoryStream, Network, Tls
from smtpeter.testing.remote_host import RemoteHost
from smtpeter.testing.virtual_time import VirtualClock, in_virtual_time
from smtpeter.wire.smtp_client import Introduction
from smtpeter.wire.smtp_commands import Envelope
from smtpeter.wire.smtp_steps import TlsPolicy
from smtpeter.world.connection import Connection, Remote
from smtpeter.world.conversation import ClientTimeouts
from smtpeter.world.tls import ClientContexts

IP = "203.0.113.1"
STEPS = [
    ("intro", ""),
    ("ehlo", "EHLO client.example\r\n"),
    ("mailfrom", "MAIL FROM:<a@example.org>\r\n"),
    ("rcptto", "RCPT TO:<b@example.com>\r\n"),
    ("data", "DATA\r\n"),
    ("message", "Subject: hi\r\n\r\n..dot\r\n.\r\n"),
    ("quit", "QUIT\r\n"),
]


class Client:
    """Says lines and reads whole replies, nothing more."""

    def __init__(self, stream: MemoryStream) -> None:
        self.stream = stream
        self.rest = b""

    async def say(self, text: str) -> str:
        """Sends the text and gives the reply; "" when there is none any more."""
        self.stream.write(text.encode())
        return await self.reply()

    async def reply(self) -> str:
        lines = []
        while not lines or lines[-1][3:4] == "-":
            while b"\r\n" not in self.rest:
                data = await self.stream.read()
                if not data:
                    return ""
                self.rest += data
            line, _, self.rest = self.rest.partition(b"\r\n")
            lines.append(line.decode())
        return "\n".join(lines)

    async def until(self, stage: str) -> str:
        """Goes on to a stage and gives its reply."""
        for step, text in STEPS:
            reply = await self.say(text)
            if step == stage:
                return reply
        raise AssertionError(stage)


async def dial(network: Network) -> Client:
    return Client(await network.dial(IP, 25))


@in_virtual_time
async def test_a_message_is_kept_as_it_was_sent() -> None:
    async with Network() as network:
        host = RemoteHost()
        host.join(network, IP)
        client = await dial(network)
        assert (await client.until("message")).startswith("250 2.0.0")
        (message,) = host.messages
        assert (message.sender, message.recipients) == ("a@example.org", ("b@example.com",))
        assert message.content == b"Subject: hi\r\n\r\n.dot\r\n"
        assert (message.helo, message.is_tls, message.client_ip) == ("client.example", False, "198.51.100.1")
        assert host.sessions == [
            ["EHLO client.example", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.com>", "DATA"]
        ]
        assert (await client.say("QUIT\r\n")).startswith("221")
        assert await client.reply() == ""


@pytest.mark.parametrize("stage", [stage for stage, _ in STEPS])
@in_virtual_time
async def test_any_stage_can_be_refused_in_any_words(stage: str) -> None:
    async with Network() as network:
        host = RemoteHost()
        host.on(stage, "451-4.7.1 greylisted\n451 4.7.1 come back", times=1)
        host.join(network, IP)
        assert await (await dial(network)).until(stage) == "451-4.7.1 greylisted\n451 4.7.1 come back"
        assert host.messages == ([] if stage != "quit" else host.messages)
        assert (await (await dial(network)).until("message")).startswith("250")
        assert len(host.messages) == (2 if stage == "quit" else 1)


@pytest.mark.parametrize("stage", [stage for stage, _ in STEPS if stage not in ("intro", "data")])
@in_virtual_time
async def test_a_positive_reply_in_other_words_changes_nothing_else(stage: str) -> None:
    async with Network() as network:
        host = RemoteHost()
        host.on(stage, "250 2.9.9 as you like")
        host.join(network, IP)
        client = await dial(network)
        assert await client.until(stage) == "250 2.9.9 as you like"
    async with Network() as network:
        host.join(network, IP)
        client = await dial(network)
        await client.until("quit")
        assert host.messages


@in_virtual_time
async def test_a_refused_recipient_leaves_the_others_alone() -> None:
    async with Network() as network:
        host = RemoteHost()
        host.on("rcptto", "550 5.1.1 no such user", match="nobody@")
        host.join(network, IP)
        client = await dial(network)
        await client.until("mailfrom")
        assert await client.say("RCPT TO:<Nobody@example.com>\r\n") == "550 5.1.1 no such user"
        assert (await client.say("RCPT TO:<b@example.com>\r\n")).startswith("250")
        await client.say("DATA\r\n")
        assert (await client.say("x\r\n.\r\n")).startswith("250")
        assert host.messages[0].recipients == ("b@example.com",)


@pytest.mark.parametrize("stage", [stage for stage, _ in STEPS])
@in_virtual_time
async def test_a_connection_can_be_lost_at_any_stage(stage: str) -> None:
    async with Network() as network:
        host = RemoteHost()
        host.drop(stage, times=1)
        host.hang_up(stage, times=1)
        host.join(network, IP)
        with pytest.raises(ConnectionResetError):
            await (await dial(network)).until(stage)
        assert await (await dial(network)).until(stage) == ""
        assert len(host.unanswered) == (2 if stage == "message" else 0)


@pytest.mark.parametrize("stage", [stage for stage, _ in STEPS])
@in_virtual_time
async def test_a_host_can_fall_silent_at_any_stage(stage: str) -> None:
    async with Network() as network:
        host = RemoteHost()
        host.silence(stage)
        host.join(network, IP)
        client = await dial(network)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(300):
                await client.until(stage)
        client.stream.abort()


@in_virtual_time
async def test_a_reply_can_be_late() -> None:
    async with Network() as network:
        host = RemoteHost()
        host.on("mailfrom", "250 ok", after=timedelta(minutes=4))
        host.join(network, IP, latency=timedelta(seconds=1))
        begin = asyncio.get_running_loop().time()
        await (await dial(network)).until("mailfrom")
        assert asyncio.get_running_loop().time() - begin == pytest.approx(2 + 1 + 2 + 2 + 240)


@in_virtual_time
async def test_after_421_the_host_hangs_up() -> None:
    async with Network() as network:
        host = RemoteHost()
        host.on("mailfrom", "421 4.3.2 shutting down")
        host.join(network, IP)
        client = await dial(network)
        assert await client.until("mailfrom") == "421 4.3.2 shutting down"
        assert await client.reply() == ""


@in_virtual_time
async def test_pipelined_commands_are_answered_one_by_one() -> None:
    async with Network() as network:
        host = RemoteHost()
        host.on("mailfrom", "452 4.3.1 full", match="second@")
        host.join(network, IP)
        client = await dial(network)
        await client.until("ehlo")
        await client.say("MAIL FROM:<first@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n")
        await client.reply()
        assert (await client.reply()).startswith("354")
        assert (await client.say("x\r\n.\r\nMAIL FROM:<second@example.org>\r\n")).startswith("250")
        assert await client.reply() == "452 4.3.1 full"


@in_virtual_time
async def test_starttls_is_offered_taken_and_refused() -> None:
    async with Network() as network:
        host = RemoteHost(tls=Tls())
        host.on("starttls", "454 4.7.0 not now", times=1)
        host.join(network, IP)
        client = await dial(network)
        assert "STARTTLS" in await client.until("ehlo")
        assert await client.say("STARTTLS\r\n") == "454 4.7.0 not now"
        assert (await client.say("STARTTLS\r\n")).startswith("220")
        assert "STARTTLS" not in await client.say("EHLO client.example\r\n")
        for _, text in STEPS[2:6]:
            await client.say(text)
        assert host.messages[0].is_tls


@in_virtual_time
async def test_keywords_can_be_hidden() -> None:
    async with Network() as network:
        host = RemoteHost(hide=frozenset({"PIPELINING", "SIZE", "DSN", "SMTPUTF8", "CHUNKING", "LIMITS"}))
        host.join(network, IP)
        offered = [line[4:] for line in (await (await dial(network)).until("ehlo")).split("\n")]
        assert offered == ["mx.example.com", "8BITMIME", "ENHANCEDSTATUSCODES"]


@in_virtual_time
async def test_a_host_that_knows_users_lets_them_in() -> None:
    async with Network() as network:
        host = RemoteHost(users={"user": "secret"})
        host.join(network, IP)
        client = await dial(network)
        assert "AUTH PLAIN LOGIN" in await client.until("ehlo")
        assert (await client.say("AUTH PLAIN AHVzZXIAd3Jvbmc=\r\n")).startswith("535")
        assert (await client.say("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n")).startswith("235")
        for _, text in STEPS[2:6]:
            await client.say(text)
        assert host.messages[0].user == "user"


@in_virtual_time
async def test_octets_are_sent_as_they_are() -> None:
    async with Network() as network:
        host = RemoteHost()
        host.on("ehlo", b"\xff\x00 what\n")
        host.join(network, IP)
        client = await dial(network)
        await client.reply()
        client.stream.write(b"EHLO x\r\n")
        assert await client.stream.read() == b"\xff\x00 what\n"


@in_virtual_time
async def test_our_own_client_gets_along_with_it() -> None:
    remote = Remote(IP, 25, "mx.example.com", "198.51.100.1")
    async with Network() as network:
        host = RemoteHost(tls=Tls(names=frozenset({"mx.example.com"})))
        host.drop("rcptto", match="lost@", times=1)
        host.join(network, IP, latency=timedelta(seconds=1))
        introduction = Introduction("me.example.org", TlsPolicy.VERIFIED)
        for recipient, state in (("b@example.com", State.MESSAGE), ("lost@example.com", State.RCPTTO)):
            connection = await Connection.open(
                network, VirtualClock(), remote, introduction, ClientContexts(), ClientTimeouts()
            )
            assert isinstance(connection, Connection)
            assert connection.tls is not None and connection.tls.is_verified
            exchange = await connection.transact(Envelope("a@example.org", recipient), [b"Subject: x\r\n\r\n.\r\n"])
            assert exchange.result.state is state
            await connection.quit()
        assert [(m.content, m.is_tls) for m in host.messages] == [(b"Subject: x\r\n\r\n.\r\n", True)]
        assert network.open == {IP: 0}


def test_a_stage_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="rcpt"):
        RemoteHost().on("rcpt", "550 no")


@in_virtual_time
async def test_rules_can_be_forgotten() -> None:
    async with Network() as network:
        host = RemoteHost()
        host.on("mailfrom", "450 4.2.0 no")
        host.join(network, IP)
        client = await dial(network)
        assert (await client.until("mailfrom")).startswith("450")
        host.forget_rules()
        assert (await client.say("MAIL FROM:<a@example.org>\r\n")).startswith("250")
