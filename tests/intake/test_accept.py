"""What is accepted, what is refused, and that nothing is told before it is on disk."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from smtpeter.model.account import Features, Login
from smtpeter.model.message import Message, MessageState, Options, is_message_id
from smtpeter.model.refusal import Refused
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.events import EventQuery, events_of
from smtpeter.store.records import MessageQuery, MessageRecord, message_record
from smtpeter.store.sender_domains import NewDomain, put_domain
from smtpeter.store.sources import stored_message
from tests.intake.house import MAIL, SETTINGS, T0, House, draft, open_intake, recipient


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = await open_intake(tmp_path)
    yield house
    house.identify.close()
    await house.store.close()


async def record_of(house: House, id: str) -> MessageRecord:
    record = await house.store.read(message_record, MessageQuery(house.account.id, id))  # type: ignore[arg-type]
    assert record is not None
    return record


async def refusal_of(house: House, mail: bytes, **changes: object) -> Refused:
    with pytest.raises(Refused) as caught:
        await house.intake.accept(house.identity(**changes), draft(mail))
    return caught.value


async def test_an_accepted_message_is_in_the_store_with_its_event(house: House) -> None:
    ids = await house.intake.accept(house.identity(), draft())
    assert len(ids) == 1
    assert is_message_id(ids[0])
    record = await record_of(house, ids[0])
    assert (record.recipient, record.subject, record.envelope) == ("jane@example.org", "Hello", "joe@example.com")
    assert record.expires == T0 + timedelta(days=1)
    events = await house.store.read(events_of, EventQuery(house.account.id, ids[0]))
    assert [event.event.name for event in events] == ["attempt"]
    stored = await house.store.read(stored_message, MessageQuery(house.account.id, ids[0]))
    assert stored is not None
    assert stored.source.content == MAIL


async def test_each_recipient_gets_an_id_of_one_submission_in_order(house: House) -> None:
    given = [recipient(f"{name}@example.org") for name in ("a", "b", "c")]
    first, second, third = await house.intake.accept(house.identity(), draft(MAIL, *given))
    assert (second, third) == (f"{first}-1", f"{first}-2")
    assert (await record_of(house, third)).recipient == "c@example.org"


async def test_a_recipient_that_is_named_twice_gets_one_message(house: House) -> None:
    ids = await house.intake.accept(house.identity(), draft(MAIL, recipient(), recipient("b@example.org"), recipient()))
    assert len(ids) == 2


async def test_messages_with_known_lanes_go_onward_as_a_claim_would_give_them(house: House) -> None:
    (id,) = await house.intake.accept(house.identity(), draft())
    (message,) = house.onward.taken
    assert isinstance(message, Message)
    stored = await house.store.read(stored_message, MessageQuery(house.account.id, id))
    assert stored is not None
    assert message == replace(stored, unsettled=0)
    assert (await record_of(house, id)).is_held
    assert house.onward.nudges == 0


async def test_without_room_a_message_waits_in_the_store_and_delivery_is_nudged(house: House) -> None:
    house.onward.has_room = False
    (id,) = await house.intake.accept(house.identity(), draft())
    record = await record_of(house, id)
    assert (record.is_held, record.state) == (False, MessageState.QUEUED)
    assert (house.onward.taken, house.onward.nudges) == ([], 1)


@pytest.mark.parametrize(
    ("mail", "slug"),
    [
        (b"Subject: no sender\r\n\r\nx\r\n", "invalid_sender"),
        (b"From: a@example.com\r\nFrom: b@example.com\r\n\r\nx\r\n", "invalid_sender"),
        (b"From: nobody\r\n\r\nx\r\n", "invalid_sender"),
        (b"From: joe@elsewhere.example\r\n\r\nx\r\n", "sender_domain_not_approved"),
        (b"From: joe@example.com, jim@elsewhere.example\r\n\r\nx\r\n", "sender_domain_not_approved"),
        (b"From: joe@example.com\r\nx-smtpeter-trackclicks: perhaps\r\n\r\nx\r\n", "invalid_header"),
        (b"From: joe@example.com\r\nx-smtpeter-template: 7\r\n\r\nx\r\n", "unknown_template"),
        (b"From: joe@example.com\r\n" + b"Received: x\r\n" * 60 + b"\r\nx\r\n", "mail_loop"),
        (b"From: joe@example.com\r\n\r\n" + b"x" * 100_000, "message_too_large"),
        (b"From: joe@example.com\r\n\r\nx\0y\r\n", "invalid_message"),
    ],
)
async def test_what_must_not_come_in_is_refused_and_nothing_is_stored(house: House, mail: bytes, slug: str) -> None:
    commits = house.store.commits
    assert (await refusal_of(house, mail)).refusal.slug == slug
    assert house.store.commits == commits
    assert house.onward.taken == []


async def test_a_refused_domain_is_named_and_the_mending_too(house: House) -> None:
    refused = await refusal_of(house, b"From: joe@elsewhere.example\r\n\r\nx\r\n")
    assert "elsewhere.example" in str(refused)
    assert "smtpeter domain add" in str(refused)
    assert str(refused.reply).startswith("550 5.7.1 ")


async def test_a_name_below_an_approved_domain_is_covered_by_it(house: House) -> None:
    await house.intake.accept(house.identity(), draft(b"From: joe@news.example.com\r\n\r\nx\r\n"))


async def test_a_domain_without_subdomains_covers_only_itself(house: House) -> None:
    await house.store.write(put_domain, NewDomain(house.account.id, "example.com", T0, approved=T0, subdomains=False))
    house.clock.passed += 2
    refused = await refusal_of(house, b"From: joe@news.example.com\r\n\r\nx\r\n")
    assert refused.refusal.slug == "sender_domain_not_approved"


async def test_a_domain_of_another_account_is_no_use(house: House) -> None:
    other = await house.store.write(put_account, NewAccount("other", T0))
    await house.store.write(put_domain, NewDomain(other.id, "other.example", T0, approved=T0))
    assert (await refusal_of(house, b"From: x@other.example\r\n\r\nx\r\n")).refusal.slug == "sender_domain_not_approved"


async def test_a_domain_that_is_approved_meanwhile_counts_within_seconds(house: House) -> None:
    mail = b"From: joe@new.example\r\n\r\nx\r\n"
    await refusal_of(house, mail)
    await house.store.write(put_domain, NewDomain(house.account.id, "new.example", T0, approved=T0))
    house.clock.passed += 1.5
    await house.intake.accept(house.identity(), draft(mail))


async def test_a_login_may_be_limited_to_some_of_the_domains(house: House) -> None:
    login = Login(1, house.account.id, "u", "", Features(), sender_domains=("shop.example.com",))
    assert (await refusal_of(house, MAIL, login=login)).refusal.slug == "sender_not_allowed"
    allowed = draft(b"From: joe@shop.example.com\r\n\r\nx\r\n")
    assert await house.intake.accept(house.identity(login=login), allowed)


async def test_too_many_recipients_are_refused_as_a_whole(house: House) -> None:
    many = [recipient(f"r{n}@example.org") for n in range(SETTINGS.max_recipients + 1)]
    with pytest.raises(Refused) as caught:
        await house.intake.accept(house.identity(), draft(MAIL, *many))
    assert caught.value.refusal.slug == "too_many_recipients"


async def test_a_suspended_account_is_told_why(house: House) -> None:
    account = replace(house.account, suspended="unpaid since May")
    refused = await refusal_of(house, MAIL, account=account)
    assert "unpaid since May" in str(refused)


async def test_after_closing_nothing_comes_in(house: House) -> None:
    house.intake.close()
    assert (await refusal_of(house, MAIL)).reply.code == 421


async def test_a_full_disk_puts_mail_off(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smtpeter.intake.space.free_disk_is_low", lambda folder: True)
    house.clock.passed += 2
    assert (await refusal_of(house, MAIL)).reply.code == 452


async def test_settings_of_the_login_yield_to_the_call_and_both_to_the_headers(house: House) -> None:
    mail = MAIL.replace(b"Subject", b"x-smtpeter-trackopens: false\r\nSubject")
    identity = house.identity(features=Features(trackclicks=True, trackopens=True, trackbounces=True))
    said = Options(features=Features(trackbounces=False))
    (id,) = await house.intake.accept(identity, draft(mail, options=said))
    features = (await record_of(house, id)).options.features
    assert (features.trackclicks, features.trackopens, features.trackbounces) == (True, False, False)


async def test_a_store_that_cannot_write_is_told_as_put_off(house: House) -> None:
    await house.store.close()
    assert (await refusal_of(house, MAIL)).reply.code == 451
