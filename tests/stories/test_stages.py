"""A host that refuses, vanishes, says nothing or talks nonsense, at each stage: what is told, and that it ends well."""

import ssl
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from smtpeter.config import SmartHost
from smtpeter.config.values import TlsMode
from smtpeter.model.event import Deferral, Delivery, Dialogue, Failure
from smtpeter.store.events import EventRecord
from smtpeter.testing.house import Gateway, Story
from smtpeter.testing.network import Tls
from smtpeter.testing.remote_host import RemoteHost
from smtpeter.testing.script_host import ScriptHost
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.world.conversation import ClientTimeouts

LIMITS = ClientTimeouts()
MINUTE = timedelta(minutes=1)
JITTER = 0.2
FIRST_DELAY = MINUTE  # of the shipped schedule
TO_RECIPIENT = ("mailfrom", "rcptto", "data", "message")


@dataclass(frozen=True)
class Told:
    """What the first event after acceptance has to say."""

    name: str
    state: str
    type: str
    code: int = 0
    status: str = ""
    uncertain: bool = False


def told(record: EventRecord) -> Told:
    event = record.event
    assert isinstance(event, Dialogue)
    name = type(event).name  # type: ignore[attr-defined]
    return Told(name, event.state, event.type, event.code, event.status, event.uncertain)


def deferral(state: str, type: str, code: int = 0, status: str = "", *, uncertain: bool = False) -> Told:
    return Told("deferral", state, type, code, status, uncertain)


def failure(state: str, code: int, status: str) -> Told:
    return Told("failure", state, "error", code, status)


async def told_first(story: Story, gateway: Gateway) -> EventRecord:
    """Sends a message without envelope, so that nobody is notified, and gives what is told of its first attempt."""
    (id,) = await gateway.send("ann@example.com", envelope=None)
    first = await gateway.has_event(id, 1)
    await ends_well(gateway, first)
    assert set(story.network.open.values()) <= {0, 1}
    return first


async def ends_well(gateway: Gateway, first: EventRecord) -> None:
    """After a deferral the message is due again in its time, and delivered then; after a failure it is final."""
    record = await gateway.record(first.message)
    if isinstance(first.event, Failure):
        assert record.due is None
    if isinstance(first.event, Deferral):
        assert record.due is not None
        assert abs((record.due - first.at) / FIRST_DELAY - 1) <= JITTER
        await gateway.settled(first.message)
        last = (await gateway.events(first.message))[-1]
        assert isinstance(last.event, Delivery)
        assert last.event.attempt == 1
        assert record.due <= last.at <= record.due + timedelta(seconds=2)
    names = [entry.event.name for entry in await gateway.events(first.message)]
    assert len(names) == (3 if first.event.name == "deferral" else 2), "one event for each attempt, one terminal event"


REFUSALS = [
    ("intro", "421 4.3.2 not now", deferral("intro", "error", 421, "4.3.2")),
    ("intro", "554 5.7.1 go away", deferral("intro", "error", 554, "5.7.1")),
    ("ehlo", "421 4.3.2 not now", deferral("ehlo", "error", 421, "4.3.2")),
    ("ehlo", "450 too busy", deferral("ehlo", "error", 450)),
    ("mailfrom", "451 4.7.1 later", deferral("mailfrom", "error", 451, "4.7.1")),
    ("mailfrom", "421 4.7.0 too much of you", deferral("mailfrom", "error", 421, "4.7.0")),
    ("mailfrom", "550 5.7.1 we do not like you", deferral("mailfrom", "error", 550, "5.7.1")),
    ("mailfrom", "550 5.1.8 no such sender", failure("mailfrom", 550, "5.1.8")),
    ("mailfrom", "552 5.3.4 too large", failure("mailfrom", 552, "5.3.4")),
    ("rcptto", "450 4.2.0 greylisted", deferral("rcptto", "error", 450, "4.2.0")),
    ("rcptto", "421 4.3.2 going down", deferral("rcptto", "error", 421, "4.3.2")),
    ("rcptto", "550 5.1.1 no such user", failure("rcptto", 550, "5.1.1")),
    ("rcptto", "550 no such user", failure("rcptto", 550, "")),
    ("data", "451 4.3.0 later", deferral("data", "error", 451, "4.3.0")),
    ("data", "554 5.5.1 no", failure("data", 554, "5.5.1")),
    ("message", "451 4.3.0 disk", deferral("message", "error", 451, "4.3.0")),
    ("message", "421 4.3.2 going down", deferral("message", "error", 421, "4.3.2")),
    ("message", "554 5.7.1 spam", failure("message", 554, "5.7.1")),
    ("message", "554-5.7.1 spam\n554-5.7.1 really\n554 5.7.1 see our page", failure("message", 554, "5.7.1")),
]


@pytest.mark.parametrize("hide", [(), ("PIPELINING",)], ids=["pipelining", "in turn"])
@pytest.mark.parametrize(("stage", "reply", "expected"), REFUSALS)
@in_virtual_time
async def test_a_refusal_is_told_with_its_stage_code_and_status(
    tmp_path: Path, stage: str, reply: str, expected: Told, hide: tuple[str, ...]
) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", hide=hide)
        host.on(stage, reply, times=1)
        first = await told_first(story, await story.start())
        assert told(first) == expected
        assert len(host.messages) == (expected.name == "deferral")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [("421 4.3.2 not now", deferral("helo", "error", 421, "4.3.2")), ("554 no", deferral("helo", "error", 554))],
)
@in_virtual_time
async def test_a_host_that_knows_neither_ehlo_nor_helo_is_tried_again(
    tmp_path: Path, reply: str, expected: Told
) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.on("ehlo", "502 5.5.1 what?", times=1)
        host.on("helo", reply, times=1)
        assert told(await told_first(story, await story.start())) == expected


@in_virtual_time
async def test_a_host_that_knows_only_helo_gets_its_mail_at_once(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.on("ehlo", "502 5.5.1 what?")
        assert isinstance((await told_first(story, await story.start())).event, Delivery)
        assert host.sessions[0][1].startswith("HELO ")
        assert host.sessions[0][2] == "MAIL FROM:<>", "no parameter that was not offered"


LOST = [
    ("intro", deferral("intro", "lost")),
    ("ehlo", deferral("ehlo", "lost")),
    ("starttls", deferral("starttls", "lost")),
    ("mailfrom", deferral("mailfrom", "lost")),
    ("rcptto", deferral("rcptto", "lost")),
    ("data", deferral("data", "lost")),
    ("message", deferral("message", "lost", uncertain=True)),
]


@pytest.mark.parametrize("way", ["drop", "hang_up"])
@pytest.mark.parametrize(("stage", "expected"), LOST)
@in_virtual_time
async def test_a_lost_connection_is_told_with_its_stage(tmp_path: Path, stage: str, expected: Told, way: str) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", tls=Tls() if stage == "starttls" else None)
        getattr(host, way)(stage, times=1)
        assert told(await told_first(story, await story.start())) == expected
        assert len(host.unanswered) == (stage == "message")


SILENT = [
    ("intro", LIMITS.intro),
    ("ehlo", LIMITS.ehlo),
    ("starttls", LIMITS.starttls),
    ("mailfrom", LIMITS.mailfrom),
    ("rcptto", LIMITS.rcptto),
    ("data", LIMITS.data),
    ("message", LIMITS.message),
]


@pytest.mark.parametrize(("stage", "limit"), SILENT)
@in_virtual_time
async def test_t1_silence_at_a_stage_ends_after_its_time(tmp_path: Path, stage: str, limit: timedelta) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", tls=Tls() if stage == "starttls" else None)
        host.silence(stage, times=1)
        begun = story.clock.now()
        first = await told_first(story, await story.start())
        assert told(first) == deferral(stage, "timeout", uncertain=stage == "message")
        assert abs(first.at - begun - limit) < timedelta(seconds=1)


@in_virtual_time
async def test_t1_an_address_that_does_not_answer_is_given_up_after_its_time(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", ip="20.0.0.9")
        story.network.silence("20.0.0.9")
        gateway = await story.start()
        begun = story.clock.now()
        (id,) = await gateway.send("ann@example.com", envelope=None)
        first = await gateway.has_event(id, 1)
        story.join(host, "20.0.0.9")
        assert told(first) == deferral("connect", "timeout")
        assert abs(first.at - begun - LIMITS.connect) < timedelta(seconds=1)
        await ends_well(gateway, first)


@in_virtual_time
async def test_a_port_where_nobody_listens_is_told_as_a_lost_connection(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", ip="20.0.0.9")
        story.network.refuse("20.0.0.9")
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", envelope=None)
        first = await gateway.has_event(id, 1)
        story.join(host, "20.0.0.9")
        assert told(first) == deferral("connect", "lost")
        await ends_well(gateway, first)


@in_virtual_time
async def test_replies_just_within_their_time_are_waited_for(tmp_path: Path) -> None:
    replies = {"intro": "220 here", "mailfrom": "250 ok", "rcptto": "250 ok", "message": "250 2.0.0 taken"}
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        for stage, reply in replies.items():
            limit: timedelta = getattr(LIMITS, stage)
            host.on(stage, reply, after=limit - timedelta(seconds=1))
        begun = story.clock.now()
        first = await told_first(story, await story.start())
        assert told(first) == Told("delivery", "message", "accepted", 250, "2.0.0")
        assert first.at - begun > timedelta(minutes=24)


@in_virtual_time
async def test_t1_an_octet_now_and_then_does_not_extend_the_time(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        drip = "\n".join("S> 2\nwait 50" for _ in range(20))
        ip = story.new_address()
        story.point("example.com", "mx.example.com", ip)
        story.network.listen(ip, ScriptHost(drip).serve)
        gateway = await story.start()
        begun = story.clock.now()
        (id,) = await gateway.send("ann@example.com", envelope=None)
        first = await gateway.has_event(id, 1)
        assert told(first) == deferral("intro", "timeout")
        assert abs(first.at - begun - LIMITS.intro) < timedelta(seconds=1)


NONSENSE = {
    "no code": b"hello there\r\n",
    "no such code": b"099 what\r\n",
    "two codes": b"250-one\r\n550 two\r\n",
    "too many lines": b"250-x\r\n" * 101,
    "too long a line": b"250 " + b"x" * 5000 + b"\r\n",
    "no line end": b"250 " + b"x" * 70_000,
}


@pytest.mark.parametrize("stage", ["intro", "ehlo", *TO_RECIPIENT])
@pytest.mark.parametrize("reply", NONSENSE.values(), ids=NONSENSE.keys())
@in_virtual_time
async def test_t1_a_reply_that_is_none_is_told_as_invalid(tmp_path: Path, stage: str, reply: bytes) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.on(stage, reply, times=1)
        first = await told_first(story, await story.start())
        assert told(first) == deferral(stage, "invalid", uncertain=stage == "message")
        assert len(host.sessions) == 2, "T2: that connection is not used again"


@pytest.mark.parametrize(
    ("stage", "reply"),
    [("data", "250 ok"), ("intro", "250 ok"), *((s, "354 go on") for s in ("ehlo", "mailfrom", "rcptto", "message"))],
)
@in_virtual_time
async def test_t2_a_reply_out_of_place_is_told_as_invalid(tmp_path: Path, stage: str, reply: str) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", hide=["PIPELINING"])
        host.on(stage, reply, times=1)
        first = await told_first(story, await story.start())
        assert told(first) == deferral(stage, "invalid", int(reply[:3]), uncertain=stage == "message")
        assert len(host.sessions) == 2


@pytest.mark.parametrize("stage", ["intro", "ehlo", *TO_RECIPIENT])
@in_virtual_time
async def test_a_reply_of_many_lines_is_one_reply(tmp_path: Path, stage: str) -> None:
    code = {"intro": 220, "data": 354}.get(stage, 250)
    lines = "\n".join(f"{code}-{n}" for n in range(99)) + f"\n{code} the end"
    async with Story(tmp_path) as story:
        story.host("example.com").on(stage, lines)
        assert told(await told_first(story, await story.start())).name == "delivery"


@in_virtual_time
async def test_t3_what_a_host_says_is_kept_as_clean_text(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com").on("rcptto", b"550 5.1.1 \xff\x1b[31m" + b"no " * 1000 + b"\r\n")
        event = (await told_first(story, await story.start())).event
        assert isinstance(event, Failure)
        assert len(event.description.encode()) <= 1024
        assert event.description.isprintable()


# --- TLS ------------------------------------------------------------------------------------------------------------

TROUBLES = {
    "refused": Tls(failure=ssl.SSLError("wrong version number")),
    "lost": Tls(failure=ConnectionResetError("reset")),
    "silent": Tls(is_silent=True),
}


@pytest.mark.parametrize("tls", TROUBLES.values(), ids=TROUBLES.keys())
@in_virtual_time
async def test_a_failed_handshake_leads_to_a_second_try_in_plain_text(tmp_path: Path, tls: Tls) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", tls=tls)
        first = await told_first(story, await story.start())
        assert told(first) == Told("delivery", "message", "accepted", 250, "2.0.0")
        assert not host.messages[0].is_tls
        assert len(story.network.dials) == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("refused", deferral("starttls", "error", 0, "4.7.5")),
        ("lost", deferral("starttls", "lost")),
        ("silent", deferral("starttls", "timeout")),
    ],
)
@in_virtual_time
async def test_a_failed_handshake_puts_mail_off_that_needs_tls(tmp_path: Path, name: str, expected: Told) -> None:
    async with Story(tmp_path, tls=TlsMode.REQUIRED) as story:
        host = story.host("example.com", tls=TROUBLES[name], ip="20.0.0.9")
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", envelope=None)
        first = await gateway.has_event(id, 1)
        assert told(first) == expected
        assert len(story.network.dials) == 1
        host.tls = Tls()
        story.join(host, "20.0.0.9")
        await ends_well(gateway, first)
        assert host.messages[0].is_tls


@pytest.mark.parametrize("offers", [True, False], ids=["refused", "not offered"])
@in_virtual_time
async def test_starttls_refused_or_not_offered_puts_off_only_mail_that_needs_it(tmp_path: Path, offers: bool) -> None:
    for number, (mode, name) in enumerate([(TlsMode.OPPORTUNISTIC, "delivery"), (TlsMode.REQUIRED, "deferral")]):
        async with Story(tmp_path / str(number), tls=mode) as story:
            (tmp_path / str(number)).mkdir()
            host = story.host("example.com", tls=Tls() if offers else None)
            host.on("starttls", "454 4.7.0 not now")
            gateway = await story.start()
            (id,) = await gateway.send("ann@example.com", envelope=None)
            first = told(await gateway.has_event(id, 1))
            assert first.name == name
            if name == "deferral":
                code, status = (454, "4.7.0") if offers else (0, "4.7.4")
                assert first == deferral("starttls", "error", code, status)


@in_virtual_time
async def test_the_encryption_stands_in_the_event(tmp_path: Path) -> None:
    async with Story(tmp_path, tls=TlsMode.VERIFIED) as story:
        story.host("example.com", tls=Tls(names=frozenset({"mx.example.com"})))
        event = (await told_first(story, await story.start())).event
        assert isinstance(event, Delivery)
        assert (event.tls_version, event.tls_cipher, event.tls_verified) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384", True)


# --- smart host -----------------------------------------------------------------------------------------------------

LOGIN = SmartHost("20.0.0.9", 587, TlsMode.REQUIRED, "user", "secret")


def smart_host(story: Story, password: str = "secret") -> RemoteHost:
    host = RemoteHost("relay.example.net", tls=Tls(), users={"user": password})
    story.join(host, LOGIN.host, port=LOGIN.port)
    return host


AUTH = [
    ("454 4.7.0 later", deferral("auth", "error", 454, "4.7.0")),
    ("535 5.7.8 wrong", deferral("auth", "error", 535, "5.7.8")),
    ("hello", deferral("auth", "invalid")),
    ("drop", deferral("auth", "lost")),
    ("silence", deferral("auth", "timeout")),
]


@pytest.mark.parametrize(("reply", "expected"), AUTH, ids=[reply for reply, _ in AUTH])
@in_virtual_time
async def test_a_smart_host_that_does_not_let_us_in_is_tried_again(tmp_path: Path, reply: str, expected: Told) -> None:
    async with Story(tmp_path, smart_host=LOGIN) as story:
        host = smart_host(story)
        if reply in ("drop", "silence"):
            getattr(host, reply)("auth", times=1)
        else:
            host.on("auth", reply, times=1)
        first = await told_first(story, await story.start())
        assert told(first) == expected
        assert isinstance(first.event, Dialogue)
        assert "secret" not in first.event.transcript
        assert "c2VjcmV0" not in first.event.transcript
        assert host.messages[0].user == "user"
        assert not story.zone.asked or all(kind == "addresses" for kind, _ in story.zone.asked)


@in_virtual_time
async def test_a_password_is_not_said_in_the_open(tmp_path: Path) -> None:
    async with Story(tmp_path, smart_host=replace(LOGIN, tls=TlsMode.OPPORTUNISTIC)) as story:
        host = smart_host(story)
        host.tls = None
        host.policy = replace(host.policy, has_tls=False)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", envelope=None)
        assert told(await gateway.has_event(id, 1)) == deferral("auth", "error", 0, "4.7.11")
        assert not [line for line in host.sessions[0] if line.startswith("AUTH")]
