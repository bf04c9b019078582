"""Who asked for it is told that mail is late, also when nobody tries it: once, and nothing else happens to the mail."""

from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import cast

import pytest

from smtpeter.model.account import Features, Identity
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
from smtpeter.model.steering import Pause, Steer
from smtpeter.store.late import LateQuery, late_messages
from smtpeter.store.steering import EntryKey, NewEntry, put_entry, remove_entry
from smtpeter.testing.house import CONTENT, SENDER, Gateway, Story
from smtpeter.testing.remote_host import Message
from smtpeter.testing.virtual_time import in_virtual_time

SHORTENED = 60
MINUTE = timedelta(minutes=1) / SHORTENED
HOUR = timedelta(hours=1) / SHORTENED
MOMENT = timedelta(seconds=5)
DELAY = Dsn(frozenset({Notify.DELAY}))


async def pause(story: Story, gateway: Gateway, entry: Pause | None = None) -> int:
    """Pauses some lanes, the one to example.com by default; gives the number of the pause."""
    entry = entry or Pause(lane="mx.example.com")
    stored = await gateway.house.store.write(put_entry, NewEntry(entry, gateway.house.clock.now()))
    await story.idle(MOMENT)
    return stored.id


async def resume(gateway: Gateway, number: int) -> None:
    assert await gateway.house.store.write(remove_entry, EntryKey(Steer.PAUSE, number)) is not None


async def untold(gateway: Gateway) -> int:
    """Counts the messages that a look finds now."""
    query = LateQuery(gateway.house.clock.now(), 1000, 2**30)
    found = await gateway.house.store.read(late_messages, query)
    return len(found)


async def send(gateway: Gateway, source: Source, options: Options) -> MessageId:
    recipient = Recipient("ann@example.com", "example.com", "ann@example.com", DELAY)
    draft = Draft(SENDER, (recipient,), source, options, Received("ESMTPSA"))
    with gateway.process.running():
        (id,) = await gateway.house.intake.accept(Identity(gateway.account, "login:1", Features()), draft)
    return id


def parts_of(notice: Message) -> tuple[str, EmailMessage, list[EmailMessage]]:
    """Gives the words of a notification, its fields for the recipient, and what it returns."""
    report = cast(EmailMessage, message_from_bytes(notice.content, policy=policy.default))
    words, status, *returned = cast(list[EmailMessage], list(report.iter_parts()))
    _, recipient = cast(list[EmailMessage], status.get_payload())
    return words.get_content(), recipient, returned


def came(notice: Message) -> datetime:
    report = message_from_bytes(notice.content, policy=policy.default)
    return parsedate_to_datetime(str(report["Date"]))


@in_virtual_time
async def test_delay_of_a_paused_lane_is_told_once_by_one_of_two_workers(tmp_path: Path) -> None:
    async with Story(tmp_path, retry_divisor=SHORTENED) as story:
        host, home = story.host("example.com"), story.host("example.org")
        first, _ = [await story.start(node=node) for node in ("a", "b")]
        number = await pause(story, first)
        begun = story.clock.now()
        (id,) = await first.send("ann@example.com", dsn=DELAY)
        await story.idle(4 * HOUR - MOMENT)
        assert home.messages == []
        await story.idle(6 * HOUR)
        (notice,) = home.messages
        assert (notice.sender, notice.recipients) == ("", (SENDER,))
        assert 4 * HOUR <= came(notice) - begun + MOMENT <= 4 * HOUR + 2 * MOMENT
        words, recipient, (returned,) = parts_of(notice)
        assert "could not be delivered yet" in words
        assert "It has not been tried yet" in words
        assert (recipient["Action"], recipient["Status"]) == ("delayed", "4.0.0")
        assert {"Remote-MTA", "Last-Attempt-Date"}.isdisjoint(recipient.keys())
        assert abs(parsedate_to_datetime(str(recipient["Will-Retry-Until"])) - begun - timedelta(days=1)) < MOMENT
        assert returned.get_content_type() == "text/rfc822-headers"
        assert b"Subject: Hello" in returned.as_bytes()
        record = await first.record(id)
        assert (record.state, record.attempt) == (MessageState.QUEUED, 0)
        await resume(first, number)
        await first.settled(id, within=4 * MOMENT)
        assert [record.event.name for record in await first.events(id)] == ["attempt", "delivery"]
        await story.idle(HOUR)
        assert (len(host.messages), len(home.messages)) == (1, 1)


@in_virtual_time
async def test_delay_counts_from_the_time_at_which_mail_was_to_be_sent(tmp_path: Path) -> None:
    async with Story(tmp_path, retry_divisor=SHORTENED) as story:
        story.host("example.com")
        home = story.host("example.org")
        gateway = await story.start()
        await pause(story, gateway)
        send_at = story.clock.now() + 10 * HOUR
        await send(gateway, Source(SourceKind.MIME, CONTENT), Options(send_at=send_at))
        await story.idle(14 * HOUR - MOMENT)
        assert home.messages == []
        await story.idle(3 * MOMENT)
        (notice,) = home.messages
        assert send_at + 4 * HOUR - MOMENT <= came(notice) <= send_at + 4 * HOUR + MOMENT


@pytest.mark.parametrize(
    "dsn", [Dsn(), Dsn(frozenset({Notify.FAILURE, Notify.SUCCESS})), Dsn(frozenset({Notify.NEVER}))]
)
@in_virtual_time
async def test_nobody_is_told_of_a_delay_without_asking(tmp_path: Path, dsn: Dsn) -> None:
    async with Story(tmp_path, retry_divisor=SHORTENED) as story:
        story.host("example.com")
        home = story.host("example.org")
        gateway = await story.start()
        await pause(story, gateway)
        await gateway.send("ann@example.com", dsn=dsn)
        await gateway.send("ann@example.com", dsn=DELAY, envelope="")
        await story.idle(20 * HOUR)
        assert home.messages == []


@in_virtual_time
async def test_mail_behind_a_site_that_does_not_answer_is_told_of_though_never_tried(tmp_path: Path) -> None:
    async with Story(tmp_path, retry_divisor=SHORTENED) as story:
        story.host("example.com", ip="20.0.0.9")
        story.network.refuse("20.0.0.9")
        home = story.host("example.org")
        gateway = await story.start()
        ids = await gateway.send(*(f"u{n}@example.com" for n in range(300)), dsn=DELAY)
        await story.idle(4 * HOUR + 30 * MINUTE)
        untried = [id for id in ids if (await gateway.record(id)).attempt == 0]
        assert untried
        told = [str(parts_of(notice)[1]["Final-Recipient"]) for notice in home.messages]
        assert sorted(told) == sorted(f"rfc822; u{n}@example.com" for n in range(300))
        assert await untold(gateway) == 0


@in_virtual_time
async def test_last_reply_is_told_of_mail_that_was_paused_after_it(tmp_path: Path) -> None:
    async with Story(tmp_path, retry_divisor=SHORTENED) as story:
        host, home = story.host("example.com"), story.host("example.org")
        host.on("rcptto", "450 4.2.0 not yet")
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", dsn=DELAY)
        last = (await gateway.has_event(id, 3)).at
        await pause(story, gateway)
        await story.idle(5 * HOUR)
        words, recipient, _ = parts_of(home.messages[0])
        assert "The mail server mx.example.com said:" in words
        assert (recipient["Status"], recipient["Diagnostic-Code"]) == ("4.2.0", "smtp; 450 4.2.0 not yet")
        assert recipient["Remote-MTA"] == "dns; mx.example.com"
        assert parsedate_to_datetime(str(recipient["Last-Attempt-Date"])) == last.replace(microsecond=0)


@in_virtual_time
async def test_attempt_that_is_under_way_at_that_moment_tells_with_its_result(tmp_path: Path) -> None:
    async with Story(tmp_path, retry_divisor=SHORTENED) as story:
        host, home = story.host("example.com"), story.host("example.org")
        host.on("rcptto", "451 4.3.0 at last", after=4 * HOUR + 4 * MOMENT)
        gateway = await story.start()
        await gateway.send("ann@example.com", dsn=DELAY)
        await story.idle(4 * HOUR + 3 * MOMENT)
        assert home.messages == []
        await story.idle(HOUR)
        assert [parts_of(notice)[1]["Diagnostic-Code"] for notice in home.messages] == ["smtp; 451 4.3.0 at last"]


@in_virtual_time
async def test_submitter_that_cannot_be_written_to_is_given_up_and_others_are_told(tmp_path: Path) -> None:
    async with Story(tmp_path, retry_divisor=SHORTENED) as story:
        story.host("example.com")
        home = story.host("example.org")
        gateway = await story.start()
        await pause(story, gateway)
        await gateway.send("ann@example.com", dsn=DELAY, envelope=f"{'a' * 70}@example.org")
        await gateway.send("bob@example.com", dsn=DELAY)
        await story.idle(4 * HOUR + MINUTE)
        assert [notice.recipients for notice in home.messages] == [(SENDER,)]
        assert await untold(gateway) == 0


@in_virtual_time
async def test_mail_with_tags_that_was_never_made_is_told_of_without_it(tmp_path: Path) -> None:
    async with Story(tmp_path, retry_divisor=SHORTENED) as story:
        story.host("example.com")
        home = story.host("example.org")
        gateway = await story.start()
        await pause(story, gateway)
        await send(gateway, Source(SourceKind.MIME, CONTENT, data='{"name":"Ann"}'), Options())
        await story.idle(4 * HOUR + MINUTE)
        (notice,) = home.messages
        assert parts_of(notice)[2] == []


@in_virtual_time
async def test_mail_that_a_dead_worker_may_have_tried_is_not_said_to_be_untried(tmp_path: Path) -> None:
    async with Story(tmp_path, retry_divisor=SHORTENED) as story:
        story.host("example.com").silence("rcptto")
        home = story.host("example.org")
        gateway = await story.start()
        await gateway.send("ann@example.com", dsn=DELAY)
        await story.idle(MOMENT)
        await pause(story, gateway, Pause(domain="example.com"))
        gateway.process.power_off()
        await gateway.process.clear_away()
        await story.start()
        await story.idle(5 * HOUR)
        _, recipient, returned = parts_of(home.messages[0])
        assert recipient["Diagnostic-Code"] == "x-smtpeter; It waits to be tried again."
        assert returned == []


@in_virtual_time
async def test_delay_that_came_while_nothing_ran_is_told_at_the_next_start(tmp_path: Path) -> None:
    async with Story(tmp_path, retry_divisor=SHORTENED) as story:
        story.host("example.com")
        home = story.host("example.org")
        gateway = await story.start()
        await pause(story, gateway)
        await gateway.send("ann@example.com", dsn=DELAY)
        await gateway.close()
        await story.idle(5 * HOUR)
        await story.start()
        await story.idle(MOMENT)
        assert len(home.messages) == 1


@in_virtual_time
async def test_mail_whose_time_is_over_is_told_as_failed_and_not_as_late(tmp_path: Path) -> None:
    both = Dsn(frozenset({Notify.DELAY, Notify.FAILURE}))
    async with Story(tmp_path, retry_divisor=SHORTENED, claim_batch=1) as story:
        story.host("example.com")
        home = story.host("example.org")
        gateway = await story.start()
        await pause(story, gateway)
        await gateway.send(*(f"u{n}@example.com" for n in range(30)), dsn=both, expire_after=3 * HOUR)
        await gateway.close()
        await story.idle(5 * HOUR)
        gateway = await story.start()
        await gateway.quiet()
        assert [parts_of(notice)[1]["Action"] for notice in home.messages] == ["failed"] * 30
