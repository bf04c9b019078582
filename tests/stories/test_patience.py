"""How long and how often is tried, what a sender is told at the end, and what nobody is told."""

from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

import pytest

from smtpeter.model.event import Deferral, Failure
from smtpeter.model.message import Dsn, Notify
from smtpeter.testing.house import CONTENT, SENDER, Story
from smtpeter.testing.virtual_time import in_virtual_time

MINUTE = timedelta(minutes=1)
MOMENT = timedelta(seconds=2)
DELAYS = [1, 2, 5, 10, 20, 30, 60, 60]  # minutes, delivery.md


@in_virtual_time
async def test_the_waits_between_attempts_grow_as_promised(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com").on("rcptto", "450 4.2.0 not yet")
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", envelope=None)
        last = await gateway.has_event(id, len(DELAYS) + 1, look_every=10 * MINUTE)
        records = (await gateway.events(id))[1:]
        for number, delay in enumerate(DELAYS):
            wait = records[number + 1].at - records[number].at
            assert 0.8 * delay * MINUTE <= wait <= 1.2 * delay * MINUTE + MOMENT, number
        assert [cast(Deferral, record.event).attempt for record in records] == list(range(len(records)))
        assert records[-1].seq >= last.seq


@in_virtual_time
async def test_messages_that_failed_together_do_not_come_back_together(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com").on("rcptto", "450 4.2.0 not yet")
        gateway = await story.start()
        ids = await gateway.send(*(f"u{n}@example.com" for n in range(50)), envelope=None)
        await story.idle(timedelta(seconds=30))
        dues = sorted([(await gateway.record(id)).due for id in ids], key=str)
        assert dues[0] and dues[-1] and dues[-1] - dues[0] > timedelta(seconds=15)
        assert len(set(dues)) > 40


@pytest.mark.parametrize("trouble", ["450 4.2.0 not yet", "refused"])
@in_virtual_time
async def test_a_message_expires_when_its_time_is_over(tmp_path: Path, trouble: str) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", ip="20.0.0.9")
        if trouble == "refused":
            story.network.refuse("20.0.0.9")
        else:
            host.on("rcptto", trouble)
        gateway = await story.start()
        begun = story.clock.now()
        (id,) = await gateway.send("ann@example.com", envelope=None, expire_after=45 * MINUTE)
        await gateway.settled(id)
        *tries, end = (await gateway.events(id))[1:]
        assert all(isinstance(record.event, Deferral) for record in tries)
        assert isinstance(end.event, Failure)
        assert (end.event.state, end.event.type, end.event.status) == ("process", "timeout", "4.4.7")
        assert begun + 45 * MINUTE <= end.at <= begun + 45 * MINUTE + MOMENT


@in_virtual_time
async def test_a_mailbox_that_is_full_is_left_in_peace_for_half_an_hour(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com").on("rcptto", "552 5.2.2 over quota", times=1)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        await gateway.settled(id, look_every=MINUTE)
        _, first, second = await gateway.events(id)
        assert isinstance(first.event, Deferral)
        assert first.event.rule == "mailbox is full"
        assert second.at - first.at >= 30 * MINUTE


@pytest.mark.parametrize("hours", [3, -3])
@in_virtual_time
async def test_d13_a_step_of_the_wall_clock_makes_no_booking_run_out(tmp_path: Path, hours: int) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.on("message", "250 2.0.0 taken", after=5 * MINUTE)
        here, there = await story.start(node="here"), await story.start(node="there")
        (id,) = await here.send("ann@example.com")
        (other,) = await there.send("bob@example.com")
        await story.idle(MINUTE)
        story.clock.step(timedelta(hours=hours))
        await story.idle(10 * MINUTE)
        assert len(host.messages) == 2
        for message in (id, other):
            assert [record.event.name for record in await here.events(message)] == ["attempt", "delivery"]


# --- notifications --------------------------------------------------------------------------------------------------

FAILURE = frozenset({Notify.FAILURE})


async def notices(folder: Path, dsn: Dsn, envelope: str | None = SENDER, reply: str = "550 5.1.1 no") -> list[bytes]:
    """Gives what the sender receives about a message that fails."""
    async with Story(folder) as story:
        story.host("example.com").on("rcptto", reply)
        home = story.host("example.org")
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com", dsn=dsn, envelope=envelope))
        await gateway.quiet()
        assert all((message.sender, message.recipients) == ("", (SENDER,)) for message in home.messages)
        return [message.content for message in home.messages]


@pytest.mark.parametrize(
    "notify",
    [frozenset(), FAILURE, FAILURE | {Notify.SUCCESS}, FAILURE | {Notify.DELAY}],
    ids=lambda n: "+".join(sorted(n)),
)
@in_virtual_time
async def test_the_sender_is_told_of_a_failure(tmp_path: Path, notify: frozenset[Notify]) -> None:
    dsn = Dsn(notify, envid="job 7", orcpt="rfc822;Ann@example.com")
    (notice,) = await notices(tmp_path, dsn)
    report = cast(EmailMessage, message_from_bytes(notice, policy=policy.default))
    assert report.get_content_type() == "multipart/report"
    assert report["Auto-Submitted"] == "auto-replied"
    _, status, returned = cast(list[EmailMessage], list(report.iter_parts()))
    about, recipient = cast(list[EmailMessage], status.get_payload())
    assert about["Original-Envelope-Id"] == "job 7"
    assert recipient["Original-Recipient"] == "rfc822; Ann@example.com"
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.1")
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 no"
    assert returned.get_content_type() == "text/rfc822-headers"


@pytest.mark.parametrize(("ret", "kind"), [("FULL", "message/rfc822"), ("HDRS", "text/rfc822-headers")])
@in_virtual_time
async def test_as_much_of_the_message_comes_back_as_was_asked_for(tmp_path: Path, ret: str, kind: str) -> None:
    (notice,) = await notices(tmp_path, Dsn(ret=ret))
    *_, returned = cast(list[EmailMessage], list(message_from_bytes(notice, policy=policy.default).iter_parts()))  # type: ignore[attr-defined]
    assert returned.get_content_type() == kind
    assert (b"Good morning." in notice) is (ret == "FULL")
    assert b"Subject: Hello" in notice


@pytest.mark.parametrize(
    ("notify", "envelope"),
    [({Notify.NEVER}, SENDER), ({Notify.SUCCESS}, SENDER), ({Notify.DELAY}, SENDER), ((), ""), ((), None)],
    ids=["never", "success only", "delay only", "null envelope", "no envelope"],
)
@in_virtual_time
async def test_nobody_is_told_of_a_failure_who_did_not_ask(
    tmp_path: Path, notify: frozenset[Notify], envelope: str | None
) -> None:
    assert not await notices(tmp_path, Dsn(frozenset(notify)), envelope)


@in_virtual_time
async def test_a_notification_that_fails_is_the_end_of_it(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com").on("rcptto", "550 5.1.1 no such user")
        home = story.host("example.org")
        home.on("rcptto", "550 5.1.1 no such user either")
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com"))
        await gateway.quiet()
        await story.idle(10 * MINUTE)
        assert sum(line.startswith("RCPT") for session in home.sessions for line in session) == 1


@in_virtual_time
async def test_the_sender_is_told_of_a_message_that_expired(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com").on("rcptto", "450 4.2.0 not yet")
        home = story.host("example.org")
        gateway = await story.start()
        await gateway.send("ann@example.com", content=CONTENT, expire_after=10 * MINUTE)
        await gateway.quiet()
        (message,) = home.messages
        assert b"\r\nStatus: 5.4.7\r\n" in message.content or b"\r\nStatus: 4.4.7\r\n" in message.content
        assert b"\r\nAction: failed\r\n" in message.content
