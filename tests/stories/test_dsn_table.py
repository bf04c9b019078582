"""The table of notifications: for every envelope, trackbounces, NOTIFY and outcome exactly what is promised, and no more.

All combinations of one outcome go through one gateway. Each has a recipient of its own, and the ones with an envelope
an envelope of their own, so that a notification which comes to the wrong address is seen. The gateway counts a minute
where it would count an hour, as in development mode.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import product
from pathlib import Path
from typing import cast

import pytest
from flufl.bounce import all_failures

from smtpeter.config import RouteLine
from smtpeter.config.values import Pattern
from smtpeter.model.account import Features, Identity
from smtpeter.model.address import parse_address
from smtpeter.model.message import (
    Draft,
    Dsn,
    MessageId,
    MessageState,
    Notify,
    Options,
    Received,
    Recipient,
    Source,
    SourceKind,
)
from smtpeter.store.queue import queue_counts
from smtpeter.store.stages import FINAL_STATES
from smtpeter.testing.house import CONTENT, Gateway, Story
from smtpeter.testing.remote_host import Message
from smtpeter.testing.virtual_time import in_virtual_time

SHORTENED = 60
HOUR = timedelta(hours=1) / SHORTENED
HOME = "example.org"
WORDS = {"S": Notify.SUCCESS, "F": Notify.FAILURE, "D": Notify.DELAY}
ASKED = {
    "-": frozenset[Notify](),
    "NEVER": frozenset({Notify.NEVER}),
    **{letters: frozenset(WORDS[letter] for letter in letters) for letters in ("S", "F", "D", "SF", "SD", "FD", "SFD")},
}
ACTIONS = {"f": "failed", "d": "delayed", "r": "relayed", "v": "delivered"}

# what is told, for each NOTIFY: failed, delayed, relayed, delivered, or nothing
TABLE = """
outcome                             -     NEVER S     F     D     SF    SD    FD    SFD
taken by a host that tells          .     .     .     .     .     .     .     .     .
taken by a host that does not       .     .     r     .     .     r     r     .     r
captured                            .     .     v     .     .     v     v     .     v
discarded                           .     .     v     .     .     v     v     .     v
refused at its recipient            f     .     .     f     .     f     .     f     f
refused after its content           f     .     .     f     .     f     .     f     f
not convertible                     f     .     .     f     .     f     .     f     f
to a domain that is not there       f     .     .     f     .     f     .     f     f
to a domain that takes no mail      f     .     .     f     .     f     .     f     f
over its time before it is late     f     .     .     f     .     f     .     f     f
late, then over its time            f     .     .     f     d     f     d     df    df
late, then refused                  f     .     .     f     d     f     d     df    df
late, then taken by one that tells  .     .     .     .     d     .     d     d     d
late, then taken by one that does not .   .     r     .     d     r     dr    d     dr
set aside                           f     .     .     f     .     f     .     f     f
"""


def rows(table: str) -> dict[str, dict[str, str]]:
    """Reads the table: by outcome and NOTIFY."""
    head, *lines = (line.rsplit(None, len(ASKED)) for line in table.strip().splitlines())
    assert head[1:] == list(ASKED)
    return {name: dict(zip(ASKED, told, strict=True)) for name, *told in lines}


EXPECTED = rows(TABLE)


@dataclass(frozen=True)
class Case:
    """One row: whose envelope is given, null or none at all, whether bounces are tracked, and what is asked."""

    envelope: str
    is_tracked: bool
    asked: str

    @property
    def name(self) -> str:
        return (
            f"{self.envelope}-{'tracked' if self.is_tracked else 'plain'}-{self.asked.replace('-', 'nothing')}".lower()
        )

    @property
    def path(self) -> str | None:
        return {"given": f"{self.name}@{HOME}", "null": "", "none": None}[self.envelope]

    @property
    def dsn(self) -> Dsn:
        return Dsn(ASKED[self.asked], "FULL", f"id={self.name}", f"rfc822;{self.name}+x@old.example")


CASES = [Case(*each) for each in product(("given", "null", "none"), (True, False), ASKED)]


async def send(gateway: Gateway, case: Case, domain: str, content: bytes, life: timedelta) -> MessageId:
    dsn = case.dsn
    address = parse_address(f"{case.name}@{domain}")
    draft = Draft(
        envelope=case.path,
        recipients=(Recipient(str(address), address.domain, str(address), dsn),),
        source=Source(SourceKind.MIME, content),
        options=Options(max_deliver_time=gateway.house.clock.now() + life, ret=dsn.ret, envid=dsn.envid),
        received=Received("ESMTPSA"),
    )
    identity = Identity(gateway.account, "login:1", Features(trackbounces=case.is_tracked))
    with gateway.process.running():
        (id,) = await gateway.house.intake.accept(identity, draft)
    return id


# --- the outcomes ---------------------------------------------------------------------------------------------------


async def send_all(
    story: Story, domain: str = "example.com", *, content: bytes = CONTENT, life: timedelta = timedelta(days=1)
) -> tuple[Gateway, list[MessageId]]:
    gateway = await story.start()
    return gateway, [await send(gateway, case, domain, content, life) for case in CASES]


async def taken(story: Story) -> Gateway:
    return (await send_all(story))[0]


async def taken_by_a_telling_host(story: Story) -> Gateway:
    host = story.host("example.com")
    gateway = await taken(story)
    await quiet(gateway)
    assert_passed_on(host.messages)
    return gateway


async def taken_by_a_silent_host(story: Story) -> Gateway:
    story.host("example.com", hide=["DSN"])
    return await taken(story)


async def captured(story: Story) -> Gateway:
    story.join(story.host("sink.example"), "127.0.0.1", port=2527)
    return await taken(story)


async def refused(story: Story) -> Gateway:
    story.host("example.com").on("rcptto", "550 5.1.1 no such user")
    return await taken(story)


async def refused_after_content(story: Story) -> Gateway:
    story.host("example.com").on("message", "554 5.7.1 no")
    return await taken(story)


async def not_convertible(story: Story) -> Gateway:
    story.host("example.com", hide=["8BITMIME"])
    signed = CONTENT.replace(
        b"\r\n\r\nGood morning.\r\n",
        b'\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
        b"--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n",
    )
    return (await send_all(story, content=signed))[0]


async def unknown_domain(story: Story) -> Gateway:
    return (await send_all(story, "nowhere.example"))[0]


async def null_mx(story: Story) -> Gateway:
    story.zone["silent.example"] = {"mx": [(0, "")]}
    return (await send_all(story, "silent.example"))[0]


async def expired(story: Story) -> Gateway:
    story.host("example.com").on("rcptto", "450 4.2.0 not yet")
    return (await send_all(story, life=3 * HOUR))[0]


async def late_and_expired(story: Story) -> Gateway:
    story.host("example.com").on("rcptto", "450 4.2.0 not yet")
    return (await send_all(story, life=6 * HOUR))[0]


def late(then: str, *hide: str) -> Callable[[Story], Awaitable[Gateway]]:
    async def play(story: Story) -> Gateway:
        host = story.host("example.com", hide=hide)
        host.on("rcptto", "450 4.2.0 not yet")
        gateway = await taken(story)
        await story.idle(6 * HOUR)
        host.forget_rules()
        if then:
            host.on("rcptto", then)
        return gateway

    return play


async def set_aside(story: Story) -> Gateway:
    host = story.host("example.com")
    host.silence("rcptto")
    gateway, ids = await send_all(story)
    # after two deaths each is carried alone, and dies thrice
    while not all([(await gateway.record(id)).state is MessageState.QUARANTINED for id in ids]):
        await story.idle(timedelta(seconds=10))
        gateway.process.power_off()
        await gateway.process.clear_away()
        gateway = await story.start()
    return gateway


OUTCOMES: dict[str, Callable[[Story], Awaitable[Gateway]]] = {
    "taken by a host that tells": taken_by_a_telling_host,
    "taken by a host that does not": taken_by_a_silent_host,
    "captured": captured,
    "discarded": taken,
    "refused at its recipient": refused,
    "refused after its content": refused_after_content,
    "not convertible": not_convertible,
    "to a domain that is not there": unknown_domain,
    "to a domain that takes no mail": null_mx,
    "over its time before it is late": expired,
    "late, then over its time": late_and_expired,
    "late, then refused": late("550 5.1.1 no such user"),
    "late, then taken by one that tells": late(""),
    "late, then taken by one that does not": late("", "DSN"),
    "set aside": set_aside,
}
ROUTES = {"captured": "capture", "discarded": "discard"}
WHOLE_TIME = {"to a domain that is not there", "set aside"}  # their waits are not shortened, so nothing else may be


def assert_passed_on(messages: list[Message]) -> None:
    """Says that a host that knows notifications was told what each submitter asked, unchanged."""
    asked = {message.recipients[0].partition("@")[0]: message.envelope for message in messages}
    assert asked.keys() == {case.name for case in CASES}
    for case in CASES:
        envelope = asked[case.name]
        assert envelope.sender == (case.path or "")
        assert envelope.recipients[0].dsn == case.dsn
        assert (envelope.ret, envelope.envid) == (case.dsn.ret, case.dsn.envid)


async def quiet(gateway: Gateway) -> None:
    """Lets time pass until every message is final, notifications too."""
    while any(count.state not in FINAL_STATES for count in await gateway.house.store.read(queue_counts, None)):
        await asyncio.sleep(30)


# --- what arrives ---------------------------------------------------------------------------------------------------


def read(message: Message) -> tuple[str, str]:
    """Gives whose notification this is and its action, after a look at all that each of them must have."""
    assert message.sender == ""
    report = cast(EmailMessage, message_from_bytes(message.content, policy=policy.default))
    assert not report.defects
    assert (report.get_content_type(), report.get_param("report-type")) == ("multipart/report", "delivery-status")
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["To"] == message.recipients[0]
    _, status, *returned = cast(list[EmailMessage], list(report.iter_parts()))
    about, recipient = cast(list[EmailMessage], status.get_payload())
    name = message.recipients[0].partition("@")[0]
    address = str(recipient["Final-Recipient"]).removeprefix("rfc822; ")
    assert address.partition("@")[0] == name, "it came to the envelope of another message"
    assert about["Original-Envelope-Id"] == f"id={name}"
    assert recipient["Original-Recipient"] == f"rfc822; {name}+x@old.example"
    action = str(recipient["Action"])
    assert str(recipient["Status"])[0] in {"failed": "45", "delayed": "4"}.get(action, "2")
    assert_understood(message.content, name, action)
    for part in returned:
        kind = "message/rfc822" if action == "failed" else "text/rfc822-headers"
        assert part.get_content_type() == kind
        assert b"Subject: Hello" in part.as_bytes()
    return name, action


def assert_understood(content: bytes, name: str, action: str) -> None:
    """Says that a parser of bounces that knows nothing of us comes to the same result."""
    passing, final = all_failures(message_from_bytes(content))
    found = {"failed": final, "delayed": passing}.get(action, frozenset())
    assert (passing | final) == found
    assert found == ({f"{name}+x@old.example".encode()} if action in ("failed", "delayed") else set())


@pytest.mark.parametrize("outcome", EXPECTED)
@in_virtual_time
async def test_each_sender_is_told_what_was_asked_for_and_nothing_else(tmp_path: Path, outcome: str) -> None:
    routes = (RouteLine(Pattern("example.com"), via=(ROUTES[outcome],)),) if outcome in ROUTES else ()
    divisor = 1.0 if outcome in WHOLE_TIME else SHORTENED
    async with Story(tmp_path, routes=routes, retry_divisor=divisor, concurrency_per_lane=100) as story:
        home = story.host(HOME)
        gateway = await OUTCOMES[outcome](story)
        await quiet(gateway)
        told: dict[str, list[str]] = {case.name: [] for case in CASES}
        for message in home.messages:
            name, action = read(message)
            told[name].append(action)
    promised = {
        case.name: [ACTIONS[letter] for letter in EXPECTED[outcome][case.asked] if letter != "."]
        if case.envelope == "given"
        else []
        for case in CASES
    }
    assert told == promised


def test_the_table_has_a_row_for_each_outcome() -> None:
    assert EXPECTED.keys() == OUTCOMES.keys()
