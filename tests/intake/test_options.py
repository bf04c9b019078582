"""Later sending, streams, suppressed recipients and sandboxes, as acceptance treats them."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from smtpeter.intake.suppressions import KEEP_SECONDS
from smtpeter.model.event import Accepted, Failure
from smtpeter.model.message import DISCARD_LANE, MessageState, Options, Source, SourceKind
from smtpeter.model.parts import Mailbox, Parts, encode
from smtpeter.model.refusal import Refused
from smtpeter.store.events import EventQuery, events_of
from smtpeter.store.records import MessageQuery, MessageRecord, message_record
from smtpeter.store.suppressions import NewSuppression, SuppressionName, drop_suppression, put_suppression
from tests.intake.house import MAIL, T0, House, draft, open_intake, recipient

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = await open_intake(tmp_path)
    yield house
    house.identify.close()
    await house.store.close()


async def accepted(house: House, options: Options, mail: bytes = MAIL, **identity: object) -> MessageRecord:
    """Accepts a message and gives its record."""
    (id,) = await house.intake.accept(house.identity(**identity), draft(mail, options=options))
    record = await house.store.read(message_record, MessageQuery(house.account.id, id))
    assert record is not None
    return record


async def refused(house: House, options: Options, mail: bytes = MAIL) -> Refused:
    with pytest.raises(Refused) as caught:
        await house.intake.accept(house.identity(), draft(mail, options=options))
    return caught.value


async def suppress(house: House, entry: str, stream: str = "") -> None:
    await house.intake.suppressions.put(NewSuppression(house.account.id, entry, "by hand", T0, stream))


async def test_a_message_for_later_waits_in_the_store_and_lives_a_day_from_then(house: House) -> None:
    record = await accepted(house, Options(send_at=T0 + HOUR))
    assert (record.due, record.is_held, record.expires) == (T0 + HOUR, False, T0 + HOUR + DAY)
    assert record.shown_state(T0) == "scheduled"
    assert (house.onward.taken, house.onward.nudges) == ([], 0)


async def test_a_time_that_is_over_sends_at_once(house: House) -> None:
    record = await accepted(house, Options(send_at=T0))
    assert (record.is_held, record.options.send_at, record.expires) == (True, None, T0 + DAY)


async def test_a_message_waits_ninety_days_and_not_longer(house: House) -> None:
    record = await accepted(house, Options(send_at=T0 + 90 * DAY))
    assert record.expires == T0 + 91 * DAY
    no = await refused(house, Options(send_at=T0 + 90 * DAY + timedelta(seconds=1)))
    assert (no.refusal.slug, no.field) == ("invalid_request", "sendat")
    assert "90 days" in str(no)


async def test_a_message_that_would_expire_before_its_time_is_refused(house: House) -> None:
    no = await refused(house, Options(send_at=T0 + HOUR, max_deliver_time=T0 + HOUR))
    assert (no.refusal.slug, no.field) == ("invalid_request", "maxdelivertime")
    record = await accepted(house, Options(send_at=T0 + HOUR, max_deliver_time=T0 + 2 * HOUR))
    assert record.expires == T0 + 2 * HOUR


@pytest.mark.parametrize(
    ("asked", "expires"),
    [(T0 + 2 * HOUR, T0 + 2 * HOUR), (T0 + 200 * DAY, T0 + 90 * DAY), (T0 - HOUR, T0 - HOUR), (None, T0 + DAY)],
)
async def test_a_message_expires_as_asked_within_ninety_days(
    house: House, asked: datetime | None, expires: datetime
) -> None:
    assert (await accepted(house, Options(max_deliver_time=asked))).expires == expires


async def test_stream_and_metadata_are_kept_and_the_header_names_the_stream(house: House) -> None:
    record = await accepted(house, Options(stream="bulk", metadata='{"order":7}'))
    assert (record.options.stream, record.options.metadata) == ("bulk", '{"order":7}')
    mail = MAIL.replace(b"Subject", b"x-smtpeter-stream: news-2\r\nSubject")
    assert (await accepted(house, Options(stream="bulk"), mail)).options.stream == "news-2"


@pytest.mark.parametrize("stream", ["Bulk", "a b", "x" * 33, "a_b", "bulk\n"])
async def test_a_stream_with_another_name_is_refused(house: House, stream: str) -> None:
    no = await refused(house, Options(stream=stream))
    assert (no.refusal.slug, no.field) == ("invalid_request", "stream")


async def test_a_suppressed_recipient_gets_an_id_and_a_failure_and_the_others_get_their_mail(house: House) -> None:
    await suppress(house, "jane@example.org")
    jane, joe = recipient("Jane@example.org"), recipient("joe@example.org")
    ids = await house.intake.accept(house.identity(), draft(MAIL, jane, joe))
    assert [message.id for message in house.onward.taken] == [ids[1]]
    first, second = await house.store.read(events_of, EventQuery(house.account.id, ids[0]))
    assert isinstance(first.event, Accepted)
    assert isinstance(second.event, Failure)
    assert (second.event.state, second.event.status) == ("suppression", "5.7.1")


async def test_a_message_for_later_to_a_suppressed_recipient_fails_at_once(house: House) -> None:
    await suppress(house, "example.org")
    record = await accepted(house, Options(send_at=T0 + HOUR))
    assert (record.state, record.due) == (MessageState.FAILED, None)


async def test_an_entry_made_here_counts_at_once_and_one_of_another_process_within_a_second(house: House) -> None:
    assert (await accepted(house, Options())).state is MessageState.QUEUED
    await suppress(house, "other@example.org")
    assert (await accepted(house, Options())).state is MessageState.QUEUED
    name = SuppressionName(house.account.id, "other@example.org")
    assert await house.intake.suppressions.drop(name)
    assert not await house.intake.suppressions.drop(name)
    house.clock.passed += KEEP_SECONDS
    assert (await accepted(house, Options())).state is MessageState.QUEUED
    await house.store.write(put_suppression, NewSuppression(house.account.id, "jane@example.org", "x", T0))
    house.clock.passed += KEEP_SECONDS
    assert (await accepted(house, Options())).state is MessageState.FAILED
    await house.store.write(drop_suppression, SuppressionName(house.account.id, "jane@example.org"))
    assert (await accepted(house, Options())).state is MessageState.QUEUED


async def test_an_entry_for_one_stream_leaves_the_others_alone(house: House) -> None:
    await suppress(house, "jane@example.org", "bulk")
    assert (await accepted(house, Options())).state is MessageState.QUEUED
    assert (await accepted(house, Options(stream="bulk"))).state is MessageState.FAILED


async def test_mail_of_a_sandbox_has_the_lane_that_leads_nowhere(house: House) -> None:
    record = await accepted(house, Options(), is_sandbox=True)
    assert (record.lane, record.options.is_sandbox) == (DISCARD_LANE, True)
    (message,) = house.onward.taken
    assert (message.lane, message.options.is_sandbox) == (DISCARD_LANE, True)
    later = await accepted(house, Options(send_at=T0 + HOUR), is_sandbox=True)
    assert later.lane == DISCARD_LANE


async def test_only_a_sandbox_is_one(house: House) -> None:
    record = await accepted(house, Options())
    assert (record.lane, record.options.is_sandbox) == ("smarthost:h:25", False)


async def test_data_in_a_header_of_a_call_makes_braces_code(house: House) -> None:
    parts = Parts(
        Mailbox("joe@example.com"), subject="Hi {$name}", text="x", headers=(("X-SMTPeter-Data", '{"name":"Jo"}'),)
    )
    given = structs.replace(draft(b""), source=Source(SourceKind.PARTS, encode(parts), '{"name":"Al","n":1}'))
    (id,) = await house.intake.accept(house.identity(), given)
    record = await house.store.read(message_record, MessageQuery(house.account.id, id))
    assert record is not None
    assert record.subject == "Hi Jo"
