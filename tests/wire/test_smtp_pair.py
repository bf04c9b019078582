"""Our client against our server, both without a socket."""

from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.model.message import Dsn, Notify
from smtpeter.model.outcome import Kind, State, TlsFacts
from smtpeter.model.reply import Reply, reply
from smtpeter.wire.smtp_client import Acquaintance, Introduction, RelayLogin, introduce, leave, transact
from smtpeter.wire.smtp_commands import Envelope
from smtpeter.wire.smtp_facts import (
    BodyBegun,
    BodyPart,
    CredentialsGiven,
    MessageReceived,
    RecipientGiven,
    SenderGiven,
    ServerPolicy,
    SmtpEnvelope,
    TlsRequested,
)
from smtpeter.wire.smtp_reply import ReplyParser
from smtpeter.wire.smtp_server import Session
from smtpeter.wire.smtp_steps import Answer, Block, Conversation, Ending, Read, StartTls, TlsPolicy, Write

T = TypeVar("T")
TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", True)
OPEN = ServerPolicy("mx.example.net", requires_tls=False, requires_auth=False, asks_sender=True, asks_recipient=True)
SUBMISSION = ServerPolicy("mx.example.net", has_tls=True)
PLAIN_TEXT = Introduction("me.example.com", TlsPolicy.NONE)
LOGIN = RelayLogin("user", "sécret")


@dataclass
class Host:
    """A server session with an owner that answers from tables; whom they do not name is welcome."""

    session: Session
    width: int = 65536  # octets that go over the wire at a time
    senders: dict[str, Reply] = field(default_factory=dict)
    recipients: dict[str, Reply] = field(default_factory=dict)
    verdict: Reply = field(default_factory=lambda: reply(250, "2.0.0", "Ok, queued"))
    messages: list[tuple[SmtpEnvelope, bytes]] = field(default_factory=list)
    body: list[bytes] = field(default_factory=list)

    def take(self, data: bytes) -> None:
        for start in range(0, len(data), self.width):
            self.session.receive(data[start : start + self.width])
            self.work()

    def work(self) -> None:
        while (fact := self.session.next_fact()) is not None:
            match fact:
                case CredentialsGiven(_, user, password):
                    is_right = (user, password) == (LOGIN.user, LOGIN.password)
                    self.session.answer(reply(235, "2.7.0", "Hello") if is_right else reply(535, "5.7.8", "No"))
                case SenderGiven(sender):
                    self.session.answer(self.senders.get(sender, reply(250, "2.1.0", "Sender OK")))
                case RecipientGiven(_, recipient):
                    self.session.answer(self.recipients.get(recipient.address, reply(250, "2.1.5", "Recipient OK")))
                case BodyBegun():
                    self.body = []
                case BodyPart(data):
                    self.body.append(data)
                case MessageReceived(envelope):
                    self.messages.append((envelope, b"".join(self.body)))
                    self.session.answer(self.verdict)
                case TlsRequested():
                    return
                case _:
                    pass


class Wire:
    """The way between a client and a host: conversations run over it one after the other."""

    def __init__(self, policy: ServerPolicy = OPEN, *, width: int = 65536, is_trusted: bool = False) -> None:
        self.host = Host(Session(policy, is_tls=False, is_trusted=is_trusted), width)
        self.host.session.greet()
        self.parser = ReplyParser()
        self.coming = b""

    def run(self, conversation: Conversation[T]) -> T:
        answer: Answer = None
        try:
            while True:
                match conversation.send(answer):
                    case Write(data) | Block(data):
                        assert self.parser.is_empty
                        self.host.take(data)
                        answer = None
                    case StartTls():
                        self.host.session.tls_started()
                        answer = TLS
                    case Read(_, is_whole):
                        answer = self.next_reply(is_whole=is_whole)
        except StopIteration as end:
            ended: T = end.value
            return ended

    def next_reply(self, *, is_whole: bool) -> Reply:
        self.coming += self.host.session.take_output()
        while (answer := self.parser.next(is_whole=is_whole)) is None:
            assert self.coming, "the server owes a reply"
            self.parser.receive(self.coming[: self.host.width])
            self.coming = self.coming[self.host.width :]
        return answer

    def introduced(self, introduction: Introduction = PLAIN_TEXT) -> Acquaintance:
        met = self.run(introduce(introduction))
        assert isinstance(met, Acquaintance)
        return met

    @property
    def is_quiet(self) -> bool:
        """True when every octet that the server sent was asked for and read."""
        return self.parser.is_empty and not self.coming and not self.host.session.take_output()


def test_introduction_learns_what_the_server_offers() -> None:
    met = Wire().introduced()
    assert met.extensions.has_pipelining
    assert met.extensions.has_8bitmime
    assert met.extensions.has_dsn
    assert met.extensions.max_octets == OPEN.max_message_bytes
    assert not met.extensions.has_starttls


def test_submission_goes_through_tls_and_login() -> None:
    wire = Wire(SUBMISSION)
    met = wire.introduced(Introduction("me.example.com", TlsPolicy.REQUIRED, LOGIN))
    assert met.tls == TLS
    assert {"PLAIN", "LOGIN"} <= met.extensions.mechanisms
    ending = wire.run(transact(met.extensions, Envelope("a@example.com", "b@example.net"), [b"x: y\r\n\r\nz\r\n"]))
    assert ending.kind is Kind.ACCEPTED
    assert wire.is_quiet


def test_wrong_password_is_refused() -> None:
    wire = Wire(SUBMISSION)
    ending = wire.run(introduce(Introduction("me.example.com", login=RelayLogin("user", "guess"))))
    assert isinstance(ending, Ending)
    assert (ending.state, ending.kind, ending.status) == (State.AUTH, Kind.ERROR, "5.7.8")


def test_envelope_arrives_as_it_was_given() -> None:
    wire = Wire()
    dsn = Dsn(frozenset({Notify.FAILURE, Notify.DELAY}), "HDRS", "id+7=x y", "rfc822;b+c@example.net")
    met = wire.introduced()
    content = [b"x: y\r\n\r\n", b"caf\xc3\xa9\r\n"]
    envelope = Envelope("a@example.com", '"b c"@example.net', dsn, is_8bit=True)
    ending = wire.run(transact(met.extensions, envelope, content))
    assert ending.kind is Kind.ACCEPTED
    ((received, body),) = wire.host.messages
    assert (received.sender, received.is_8bit, received.ret, received.envid) == (
        "a@example.com",
        True,
        "HDRS",
        dsn.envid,
    )
    (recipient,) = received.recipients
    assert (recipient.address, recipient.dsn.notify, recipient.dsn.orcpt) == (envelope.recipient, dsn.notify, dsn.orcpt)
    assert received.declared_bytes == len(body)
    assert body == b"".join(content)


def test_envelope_in_utf8_arrives_as_it_was_given() -> None:
    wire = Wire()
    met = wire.introduced()
    dsn = Dsn(frozenset({Notify.FAILURE}), orcpt="utf-8;jürgen+\\x@bücher.example")
    envelope = Envelope("jürgen@xn--bcher-kva.example", "用户@example.net", dsn, is_8bit=True)
    ending = wire.run(transact(met.extensions, envelope, ["Subject: ü\r\n\r\n".encode()]))
    assert ending.kind is Kind.ACCEPTED
    ((received, _),) = wire.host.messages
    assert (received.sender, received.is_utf8) == (envelope.sender, True)
    (recipient,) = received.recipients
    assert (recipient.address, recipient.dsn.orcpt) == (envelope.recipient, dsn.orcpt)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from([b"\r\n", b".", b"x", b"\r\n.\r\n", b"..", b"\r\n.x\r\n"]), max_size=20).map(b"".join),
    st.lists(st.integers(0, 60), max_size=4),
    st.sampled_from([1, 2, 3, 65536]),
)
def test_any_content_arrives_whole(text: bytes, cuts: list[int], width: int) -> None:
    """Dots, line ends, pieces and packets make no difference; only a missing last line end is added."""
    wire = Wire(width=width)
    met = wire.introduced()
    ends = sorted(min(cut, len(text)) for cut in cuts)
    content = [b"x: y\r\n\r\n", *(text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True))]
    assert wire.run(transact(met.extensions, Envelope("", "b@example.net"), content)).kind is Kind.ACCEPTED
    ((_, body),) = wire.host.messages
    whole = b"".join(content)
    assert body == (whole if whole.endswith(b"\r\n") else whole + b"\r\n")
    assert wire.is_quiet


STEPS = st.sampled_from(["good", "bad sender", "late sender", "bad recipient", "bad content", "too large"])


@settings(max_examples=80, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=8), st.booleans(), st.sampled_from([1, 7, 65536]))
def test_refused_message_leaves_the_others_alone(steps: list[str], has_pipelining: bool, width: int) -> None:
    """On one connection, any order of good and refused messages: each gets its own result, the good ones arrive."""
    wire = Wire(width=width)
    wire.host.senders = {
        "bad@example.com": reply(550, "5.7.1", "Not you"),
        "late@example.com": reply(450, "4.7.1", "Not yet"),
    }
    wire.host.recipients = {"bad@example.net": reply(550, "5.1.1", "Not here")}
    met = wire.introduced()
    peer = replace(met.extensions, has_pipelining=has_pipelining, max_octets=50)
    wanted = {
        "good": (State.MESSAGE, "2.0.0"),
        "bad sender": (State.MAILFROM, "5.7.1"),
        "late sender": (State.MAILFROM, "4.7.1"),
        "bad recipient": (State.RCPTTO, "5.1.1"),
        "bad content": (State.MESSAGE, "5.6.0"),
        "too large": (State.MAILFROM, "5.3.4"),
    }
    must_reset = False
    for number, step in enumerate(steps):
        sender = {"bad sender": "bad@example.com", "late sender": "late@example.com"}.get(step, "a@example.com")
        recipient = "bad@example.net" if step == "bad recipient" else "b@example.net"
        wire.host.verdict = reply(554, "5.6.0", "Bad") if step == "bad content" else reply(250, "2.0.0", "Ok")
        content = [b"n: %d\r\n\r\n" % number, b"x" * 50 if step == "too large" else b"x\r\n"]
        talk = transact(peer, Envelope(sender, recipient), content, is_used=number > 0, must_reset=must_reset)
        ending = wire.run(talk)
        assert (ending.state, ending.status) == wanted[step]
        assert ending.is_reusable
        assert not ending.is_uncertain
        assert wire.is_quiet
        must_reset = ending.must_reset
    arrived = [body for _, body in wire.host.messages if b"n: " in body]
    goods = [n for n, step in enumerate(steps) if step in ("good", "bad content")]
    assert arrived == [b"n: %d\r\n\r\nx\r\n" % n for n in goods]
    assert wire.run(leave()).reply is not None


@pytest.mark.parametrize("has_pipelining", [True, False])
def test_server_that_leaves_with_421_is_not_used_again(has_pipelining: bool) -> None:
    wire = Wire()
    wire.host.recipients = {"b@example.net": reply(421, "4.3.2", "Going down")}
    peer = replace(wire.introduced().extensions, has_pipelining=has_pipelining)
    ending = wire.run(transact(peer, Envelope("a@example.com", "b@example.net"), [b"x\r\n"]))
    assert (ending.state, ending.kind, ending.is_reusable) == (State.RCPTTO, Kind.ERROR, False)
