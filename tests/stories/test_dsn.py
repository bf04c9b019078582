"""What a notification says, when it comes, and that it never does harm."""

from base64 import b64decode
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import cast

import pytest

from smtpeter.config import RouteLine
from smtpeter.config.values import Pattern
from smtpeter.model.account import Features, Identity
from smtpeter.model.message import Draft, Dsn, MessageState, Notify, Options, Received, Recipient, Source, SourceKind
from smtpeter.testing.house import CONTENT, SENDER, Arrivals, Gateway, Story
from smtpeter.testing.remote_host import Message
from smtpeter.testing.virtual_time import in_virtual_time

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MOMENT = timedelta(seconds=5)
EVERYTHING = Dsn(frozenset({Notify.SUCCESS, Notify.FAILURE, Notify.DELAY}))
DELAY = Dsn(frozenset({Notify.DELAY}))


def parts_of(message: Message) -> tuple[EmailMessage, list[EmailMessage]]:
    report = cast(EmailMessage, message_from_bytes(message.content, policy=policy.default))
    return report, cast(list[EmailMessage], list(report.iter_parts()))


def about_recipient(message: Message) -> EmailMessage:
    """Gives the fields that a notification has for its recipient."""
    _, (_, status, *_) = parts_of(message)
    return cast(list[EmailMessage], status.get_payload())[1]


def moment(fields: EmailMessage, name: str) -> datetime:
    return parsedate_to_datetime(str(fields[name]))


@in_virtual_time
async def test_a_delay_is_told_once_right_after_four_hours(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com").on("rcptto", "450 4.2.0 not yet")
        home = story.host("example.org")
        gateway = await story.start()
        begun = story.clock.now()
        at_first = story.clock.monotonic()
        (id,) = await gateway.send("ann@example.com", dsn=DELAY)
        await story.idle(5 * HOUR + 30 * MINUTE)
        (notice,) = home.messages
        (came,) = cast(Arrivals, home.messages).moments
        assert 4 * HOUR <= timedelta(seconds=came - at_first) <= 4 * HOUR + MOMENT
        recipient = about_recipient(notice)
        assert (recipient["Action"], recipient["Status"]) == ("delayed", "4.2.0")
        assert recipient["Diagnostic-Code"] == "smtp; 450 4.2.0 not yet"
        assert recipient["Remote-MTA"] == "dns; mx.example.com"
        assert abs(moment(recipient, "Will-Retry-Until") - begun - 24 * HOUR) < MOMENT
        assert (await gateway.record(id)).state is MessageState.DEFERRED


@in_virtual_time
async def test_a_delay_is_told_between_two_attempts_and_no_attempt_is_made_for_it(tmp_path: Path) -> None:
    async with Story(tmp_path, retry_delays=(3 * HOUR, 6 * HOUR)) as story:
        story.host("example.com").on("rcptto", "450 4.2.0 not yet")
        home = story.host("example.org")
        gateway = await story.start()
        begun = story.clock.now()
        (id,) = await gateway.send("ann@example.com", dsn=DELAY)
        await story.idle(4 * HOUR + 10 * MINUTE)
        tries = [record.at for record in (await gateway.events(id))[1:]]
        assert len(tries) == 2
        (notice,) = home.messages
        recipient = about_recipient(notice)
        assert 4 * HOUR <= moment(parts_of(notice)[0], "Date") - begun + MOMENT <= 4 * HOUR + 2 * MOMENT
        assert moment(recipient, "Last-Attempt-Date") == tries[1].replace(microsecond=0)
        assert recipient["Status"] == "4.2.0"


@in_virtual_time
async def test_a_host_that_does_not_answer_is_named_in_the_word_of_a_delay(tmp_path: Path) -> None:
    async with Story(tmp_path, retry_divisor=60) as story:
        story.host("example.com", ip="20.0.0.9")
        story.network.refuse("20.0.0.9")
        home = story.host("example.org")
        gateway = await story.start()
        await gateway.send("ann@example.com", dsn=DELAY)
        await story.idle(5 * MINUTE)
        recipient = about_recipient(home.messages[0])
        assert recipient["Status"] == "4.4.1"
        assert str(recipient["Diagnostic-Code"]).startswith("x-smtpeter; mx.example.com: ")
        assert "Remote-MTA" not in recipient


@in_virtual_time
async def test_a_message_whose_time_is_over_is_told_with_the_last_reply(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.on("rcptto", "450 4.2.0 come back later", times=3)
        host.drop("rcptto")
        home = story.host("example.org")
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", expire_after=30 * MINUTE)
        await gateway.settled(id)
        await gateway.quiet()
        recipient = about_recipient(home.messages[0])
        assert (recipient["Action"], recipient["Status"]) == ("failed", "4.4.7")
        assert recipient["Diagnostic-Code"] == "smtp; 450 4.2.0 come back later"
        assert recipient["Remote-MTA"] == "dns; mx.example.com"
        tries = [record.at for record in (await gateway.events(id)) if record.event.name == "deferral"]
        assert moment(recipient, "Last-Attempt-Date") in [at.replace(microsecond=0) for at in tries[:3]]
        _, (words, *_) = parts_of(home.messages[0])
        assert "could not be delivered before" in words.get_content()
        assert "The mail server mx.example.com said:" in words.get_content()


@in_virtual_time
async def test_a_relay_is_told_with_the_words_of_the_next_host(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com", hide=["DSN"]).on("message", "250 2.6.0 taken as 77")
        home = story.host("example.org")
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com", dsn=EVERYTHING))
        await gateway.quiet()
        (notice,) = home.messages
        recipient = about_recipient(notice)
        assert (recipient["Action"], recipient["Status"]) == ("relayed", "2.6.0")
        assert recipient["Diagnostic-Code"] == "smtp; 250 2.6.0 taken as 77"


@pytest.mark.parametrize(
    ("size", "ret", "outcome", "kind"),
    [
        (100 * 1024, "FULL", "failed", "message/rfc822"),
        (300 * 1024, "FULL", "failed", "text/rfc822-headers"),
        (100 * 1024, "HDRS", "failed", "text/rfc822-headers"),
        (100 * 1024, "", "failed", "text/rfc822-headers"),
        (100 * 1024, "FULL", "relayed", "text/rfc822-headers"),
    ],
)
@in_virtual_time
async def test_only_a_failure_brings_back_a_whole_message_that_is_not_too_large(
    tmp_path: Path, size: int, ret: str, outcome: str, kind: str
) -> None:
    content = CONTENT + (b"x" * 78 + b"\r\n") * (size // 80)
    async with Story(tmp_path) as story:
        host = story.host("example.com", hide=["DSN"])
        if outcome == "failed":
            host.on("rcptto", "550 5.1.1 no")
        home = story.host("example.org")
        gateway = await story.start()
        dsn = Dsn(EVERYTHING.notify, ret)
        await gateway.settled(*await gateway.send("ann@example.com", dsn=dsn, content=content))
        await gateway.quiet()
        (notice,) = home.messages
        assert about_recipient(notice)["Action"] == outcome
        _, (*_, returned) = parts_of(notice)
        assert returned.get_content_type() == kind
        assert (len(notice.content) > size) is (kind == "message/rfc822")


async def send(gateway: Gateway, recipient: Recipient, options: Options, envelope: str = SENDER) -> None:
    draft = Draft(envelope, (recipient,), Source(SourceKind.MIME, CONTENT), options, Received("ESMTPSA"))
    with gateway.process.running():
        ids = await gateway.house.intake.accept(Identity(gateway.account, "login:1", Features()), draft)
    await gateway.settled(*ids)
    await gateway.quiet()


@pytest.mark.parametrize("hide", [(), ("8BITMIME",)], ids=["8-bit home", "7-bit home"])
@pytest.mark.parametrize("is_utf8", [True, False])
@in_virtual_time
async def test_what_came_with_smtputf8_is_told_in_utf8_and_arrives_everywhere(
    tmp_path: Path, is_utf8: bool, hide: tuple[str, ...]
) -> None:
    recipient = Recipient("zoë@example.com", "example.com", "zoë@example.com")
    async with Story(tmp_path) as story:
        story.host("example.com", hide=["SMTPUTF8"])
        home = story.host("example.org", hide=hide)
        gateway = await story.start()
        await send(gateway, recipient, Options(is_utf8=is_utf8))
        (notice,) = home.messages
        _, (_, status, _) = parts_of(notice)
        kind = "message/global-delivery-status" if is_utf8 else "message/delivery-status"
        assert status.get_content_type() == kind
        fields = status.as_bytes(policy=policy.default.clone(cte_type="8bit"))
        if status["Content-Transfer-Encoding"] == "base64":
            fields = b64decode(fields.partition(b"\n\n")[2])
        shown = "utf-8; zoë@example.com" if is_utf8 else "utf-8; zo\\x{EB}@example.com"
        assert f"Final-Recipient: {shown}".encode() in fields
        assert not hide or notice.content.isascii()


@in_virtual_time
async def test_an_envelope_that_nobody_can_write_to_does_not_have_mail_sent_twice(tmp_path: Path) -> None:
    async with Story(tmp_path, routes=(RouteLine(Pattern("example.com"), via=("discard",)),)) as story:
        gateway = await story.start()
        envelope = f"{'a' * 70}@example.org"
        (id,) = await gateway.send("ann@example.com", dsn=EVERYTHING, envelope=envelope)
        await gateway.settled(id)
        assert [record.event.name for record in await gateway.events(id)] == ["attempt", "delivery"]


@in_virtual_time
async def test_a_sandbox_is_told_within_the_sandbox(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        home = story.host("example.org")
        gateway = await story.start()
        recipient = Recipient("ann@example.com", "example.com", "ann@example.com", EVERYTHING)
        await send(gateway, recipient, Options(is_sandbox=True))
        assert not home.sessions
