"""The visitor: who it is by now, and that the door hears of everyone who goes."""

import asyncio
from pathlib import Path

import pytest

from smtpeter.model.account import Account, AccountId, Features, Identity
from smtpeter.model.outcome import TlsFacts
from smtpeter.model.reply import Reply, reply
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.wire.smtp_facts import (
    CredentialsGiven,
    MessageReceived,
    RecipientGiven,
    SenderGiven,
    ServerPolicy,
    SmtpEnvelope,
)
from smtpeter.wire.smtp_server import Session
from smtpeter.world.smtp_door import Admission, Peer, Settings
from smtpeter.world.smtp_patience import Patience
from smtpeter.world.smtp_visitor import Visitor

ACCOUNT = Account(AccountId(1), "one")
BY_LOGIN = Identity(ACCOUNT, "login:1", Features())
BY_NETWORK = Identity(ACCOUNT, "network:192.0.2.0/24", Features())
POLICY = ServerPolicy("mail.example.com")
RIGHT = CredentialsGiven("PLAIN", "user", "secret")
SENDER = SenderGiven("a@example.com", None)
MESSAGE = MessageReceived(SmtpEnvelope("a@example.com", ()))


class Door:
    """Lets one password in, and keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.peers: list[Peer] = []
        self.bodies: list[bytes] = []
        self.asked = asyncio.Event()
        self.hold = asyncio.Event()
        self.hold.set()

    def admit(self, peer_ip: str, local_port: int) -> Admission | Reply:
        return Admission(POLICY)

    def is_crowded(self) -> bool:
        return False

    def released(self, peer_ip: str) -> None:
        self.heard.append(f"released {peer_ip}")

    def logged_out(self, identity: Identity) -> None:
        self.heard.append(f"logged out {identity.credential}")

    async def authenticate(self, peer: Peer, given: CredentialsGiven) -> Identity | Reply:
        self.asked.set()
        await self.hold.wait()
        return BY_LOGIN if given.password == "secret" else reply(535, "5.7.8", "User name or password is wrong")

    async def sender(self, peer: Peer, given: SenderGiven) -> Reply:
        self.peers.append(peer)
        return reply(250, "2.1.0", "Sender OK")

    async def recipient(self, peer: Peer, given: RecipientGiven) -> Reply:
        raise AssertionError("not asked here")

    async def message(self, peer: Peer, envelope: SmtpEnvelope, body: bytes) -> Reply:
        if body == b"trouble":
            raise RuntimeError("the door cannot say")
        self.bodies.append(body)
        return reply(250, "2.0.0", "Ok")


def visit(door: Door, folder: Path, identity: Identity | None = None) -> tuple[Visitor, Session]:
    settings = Settings(door, folder, Patience(login_delay_seconds=0), None, is_implicit_tls=False)
    visitor = Visitor(settings, Admission(POLICY, identity=identity), "192.0.2.7", 587)
    return visitor, Session(POLICY, is_tls=False, is_trusted=False)


async def test_door_hears_once_of_the_visitor_and_of_each_login(tmp_path: Path) -> None:
    door = Door()
    visitor, session = visit(door, tmp_path)
    for _ in range(2):
        assert (await visitor.ask(RIGHT, session)).code == 235
    assert (await visitor.ask(CredentialsGiven("PLAIN", "user", "wrong"), session)).code == 535
    visitor.leave()
    assert door.heard == ["released 192.0.2.7", "logged out login:1", "logged out login:1"]


@in_virtual_time
async def test_l12_each_failed_login_of_a_connection_is_answered_a_second_later(tmp_path: Path) -> None:
    settings = Settings(Door(), tmp_path, Patience(), None, is_implicit_tls=False)
    visitor = Visitor(settings, Admission(POLICY), "192.0.2.7", 587)
    session = Session(POLICY, is_tls=False, is_trusted=False)
    loop = asyncio.get_running_loop()
    waits = []
    for _ in range(3):
        asked = loop.time()
        await visitor.ask(CredentialsGiven("PLAIN", "user", "wrong"), session)
        waits.append(loop.time() - asked)
    assert waits == [1.0, 2.0, 3.0]
    asked = loop.time()
    assert (await visitor.ask(RIGHT, session)).code == 235
    assert loop.time() == asked


async def test_login_that_comes_through_after_the_visitor_left_is_logged_out(tmp_path: Path) -> None:
    door = Door()
    door.hold.clear()
    visitor, session = visit(door, tmp_path)
    asking = asyncio.create_task(visitor.ask(RIGHT, session))
    await door.asked.wait()
    visitor.leave()
    assert door.heard == ["released 192.0.2.7"]
    door.hold.set()
    await asking
    assert door.heard == ["released 192.0.2.7", "logged out login:1"]


async def test_handshake_leaves_only_what_the_network_says(tmp_path: Path) -> None:
    door = Door()
    visitor, session = visit(door, tmp_path, BY_NETWORK)
    await visitor.ask(SENDER, session)
    await visitor.ask(RIGHT, session)
    await visitor.ask(SENDER, session)
    visitor.tls = TlsFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256", is_verified=False)
    visitor.forget_login()
    await visitor.ask(SENDER, session)
    assert [(peer.identity, peer.is_tls) for peer in door.peers] == [
        (BY_NETWORK, False),
        (BY_LOGIN, False),
        (BY_NETWORK, True),
    ]


async def test_body_is_handed_over_once(tmp_path: Path) -> None:
    door = Door()
    visitor, session = visit(door, tmp_path)
    visitor.begin_body()
    visitor.add_to_body(b"one ")
    visitor.add_to_body(b"two")
    assert (await visitor.ask(MESSAGE, session)).code == 250
    assert (await visitor.ask(MESSAGE, session)).code == 452
    assert door.bodies == [b"one two"]


async def test_body_of_a_visitor_that_left_is_gone(tmp_path: Path) -> None:
    door = Door()
    visitor, session = visit(door, tmp_path)
    visitor.begin_body()
    visitor.add_to_body(b"one")
    visitor.leave()
    assert (await visitor.ask(MESSAGE, session)).code == 452
    assert door.bodies == []


async def test_body_that_the_disk_does_not_take_is_refused_for_now(tmp_path: Path) -> None:
    door = Door()
    visitor, session = visit(door, tmp_path / "missing")
    visitor.begin_body()
    visitor.add_to_body(b"x" * 1_000_000)
    visitor.add_to_body(b"x")
    answer = await visitor.ask(MESSAGE, session)
    assert (answer.code, answer.status) == (452, "4.3.1")


async def test_trouble_of_the_door_means_try_again_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    visitor, session = visit(Door(), tmp_path)
    visitor.begin_body()
    visitor.add_to_body(b"trouble")
    answer = await visitor.ask(MESSAGE, session)
    assert (answer.code, answer.status) == (451, "4.3.0")
    assert "the door cannot say" in caplog.text
