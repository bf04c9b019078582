"""The submission door: who is let in, and how a session becomes an identity and a draft."""

from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from msgspec import structs

from smtpeter.config import Smtp
from smtpeter.doors.submission import SubmissionDoor, Turnstile
from smtpeter.intake.identify import hash_password
from smtpeter.model.account import Identity
from smtpeter.model.message import MessageId, is_message_id
from smtpeter.model.outcome import TlsFacts
from smtpeter.model.reply import Reply
from smtpeter.store.credentials import NewLogin, put_login
from smtpeter.store.records import MessageQuery
from smtpeter.store.sources import stored_message
from smtpeter.wire.smtp_facts import CredentialsGiven, SmtpEnvelope
from smtpeter.world.smtp_listener import Admission, Peer
from tests.intake.house import MAIL, T0, HandClock, House, open_intake, recipient

FAR, NEAR = "192.0.2.1", "127.0.0.1"
SETTINGS = replace(Smtp(), max_connections=4, max_connections_per_address=2, max_new_connections_per_minute=5)
TLS = TlsFacts("TLSv1.3", "X", is_verified=False)


def peer(ip: str = FAR, identity: Identity | None = None, tls: TlsFacts | None = TLS, helo: str = "client") -> Peer:
    return Peer(ip, 587, helo, True, tls, identity, is_trusted=False)


def envelope(sender: str = "joe@example.com") -> SmtpEnvelope:
    return SmtpEnvelope(sender, (recipient(),))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = await open_intake(tmp_path)
    await house.store.write(put_login, NewLogin(house.account.id, "joe", hash_password("right"), T0))
    yield house
    house.identify.close()
    await house.store.close()


def door_of(house: House, settings: Smtp = SETTINGS, *, is_development: bool = False) -> SubmissionDoor:
    return SubmissionDoor(
        house.intake, house.identify, house.clock, settings, "mx.example.net", is_development=is_development
    )


async def joe(house: House) -> Identity:
    found = await house.identify.by_password("joe", "right", FAR)
    assert isinstance(found, Identity)
    return found


def test_only_so_many_connections_from_one_address() -> None:
    turnstile = Turnstile(HandClock(), SETTINGS)
    assert [turnstile.enter(FAR, is_exempt=False) for _ in range(3)] == [True, True, False]
    assert turnstile.enter("192.0.2.2", is_exempt=False)
    turnstile.leave(FAR)
    assert turnstile.enter(FAR, is_exempt=False)


def test_only_so_many_connections_in_all_even_from_trusted_addresses() -> None:
    turnstile = Turnstile(HandClock(), SETTINGS)
    assert [turnstile.enter(f"192.0.2.{n}", is_exempt=True) for n in range(5)] == [True] * 4 + [False]


def test_nine_of_ten_places_are_a_crowd() -> None:
    turnstile = Turnstile(HandClock(), replace(SETTINGS, max_connections=10))
    crowded = []
    for n in range(10):
        assert turnstile.enter(f"192.0.2.{n}", is_exempt=False)
        crowded.append(turnstile.is_crowded)
    assert crowded == [False] * 8 + [True] * 2
    turnstile.leave("192.0.2.0")
    turnstile.leave("192.0.2.1")
    assert not turnstile.is_crowded


def test_only_so_many_new_connections_in_a_minute() -> None:
    clock = HandClock()
    turnstile = Turnstile(clock, SETTINGS)
    for _ in range(5):
        assert turnstile.enter(FAR, is_exempt=False)
        turnstile.leave(FAR)
    assert not turnstile.enter(FAR, is_exempt=False)
    clock.passed += 61
    assert turnstile.enter(FAR, is_exempt=False)


def test_addresses_that_are_gone_are_forgotten() -> None:
    clock = HandClock()
    turnstile = Turnstile(clock, replace(SETTINGS, max_connections=10_000))
    for n in range(3000):
        ip = f"198.51.{n // 250}.{n % 250}"
        assert turnstile.enter(ip, is_exempt=False)
        turnstile.leave(ip)
        clock.passed += 1
    assert len(turnstile._visits) < 200


async def test_far_clients_need_tls_before_they_log_in(house: House) -> None:
    admission = door_of(house).admit(FAR, 587)
    assert isinstance(admission, Admission)
    assert admission.policy.requires_tls
    assert not admission.policy.allows_plain_auth
    assert not admission.is_trusted


async def test_loopback_may_log_in_without_tls_when_that_is_allowed(house: House) -> None:
    settings = replace(SETTINGS, allow_insecure_auth=True)
    near, far = door_of(house, settings).admit(NEAR, 587), door_of(house, settings).admit(FAR, 587)
    assert isinstance(near, Admission)
    assert isinstance(far, Admission)
    assert near.policy.allows_plain_auth
    assert not far.policy.allows_plain_auth


async def test_too_many_connections_are_told_421(house: House) -> None:
    door = door_of(house)
    verdicts = [door.admit(FAR, 587) for _ in range(3)]
    assert isinstance(verdicts[2], Reply)
    assert verdicts[2].code == 421


async def test_development_does_not_count_loopback(house: House) -> None:
    door = door_of(house, is_development=True)
    assert all(isinstance(door.admit(NEAR, 587), Admission) for _ in range(4))


async def test_a_login_gives_its_identity_and_a_wrong_password_535(house: House) -> None:
    door = door_of(house)
    found = await door.authenticate(peer(), CredentialsGiven("PLAIN", "joe", "right"))
    assert isinstance(found, Identity)
    refused = await door.authenticate(peer(), CredentialsGiven("PLAIN", "joe", "wrong"))
    assert isinstance(refused, Reply)
    assert str(refused).startswith("535 5.7.8 ")


async def test_guessing_is_slowed_down_with_454(house: House) -> None:
    door = door_of(house)
    for _ in range(10):
        await door.authenticate(peer(), CredentialsGiven("PLAIN", "joe", "wrong"))
    slowed = await door.authenticate(peer(), CredentialsGiven("PLAIN", "joe", "right"))
    assert isinstance(slowed, Reply)
    assert slowed.code == 454


async def test_one_login_has_only_so_many_connections(house: House) -> None:
    door = door_of(house, replace(SETTINGS, max_connections_per_login=2))
    given = CredentialsGiven("PLAIN", "joe", "right")
    first, second, third = [await door.authenticate(peer(), given) for _ in range(3)]
    assert isinstance(first, Identity)
    assert isinstance(second, Identity)
    assert isinstance(third, Reply)
    assert third.code == 421
    door.logged_out(first)
    assert isinstance(await door.authenticate(peer(), given), Identity)


async def test_a_message_is_stored_and_its_id_told(house: House) -> None:
    answer = await door_of(house).message(peer(identity=await joe(house)), envelope(), MAIL)
    assert (answer.code, answer.status) == (250, "2.0.0")
    words = answer.text.split()
    assert words[:3] == ["Ok,", "queued", "as"]
    assert is_message_id(words[3])


@pytest.mark.parametrize(
    ("tls", "has_login", "is_utf8", "protocol"),
    [
        (None, True, False, "ESMTPA"),
        (TLS, True, False, "ESMTPSA"),
        (None, False, False, "ESMTP"),
        (TLS, False, False, "ESMTPS"),
        (None, True, True, "UTF8SMTPA"),
        (TLS, True, True, "UTF8SMTPSA"),
        (None, False, True, "UTF8SMTP"),
        (TLS, False, True, "UTF8SMTPS"),
    ],
)
async def test_the_trace_says_how_a_message_came(
    house: House, tls: TlsFacts | None, has_login: bool, is_utf8: bool, protocol: str
) -> None:
    settings = replace(SETTINGS, trusted_networks={ip_network("192.0.2.0/24"): "joe"})
    identity = await joe(house) if has_login else None
    said = structs.replace(envelope(), is_utf8=is_utf8)
    answer = await door_of(house, settings).message(peer(identity=identity, tls=tls), said, MAIL)
    query = MessageQuery(house.account.id, MessageId(answer.text.split()[3]))
    stored = await house.store.read(stored_message, query)
    assert stored is not None
    assert (stored.received.protocol, stored.received.client_ip) == (protocol, FAR)


async def test_a_refusal_is_told_with_its_own_reply(house: House) -> None:
    answer = await door_of(house).message(peer(identity=await joe(house)), envelope(), b"Subject: x\r\n\r\nx\r\n")
    assert str(answer).startswith("550 5.7.1 ")


async def test_a_trusted_network_tied_to_nobody_is_told_so(house: House) -> None:
    settings = replace(SETTINGS, trusted_networks={ip_network("192.0.2.0/24"): "nobody"})
    door = door_of(house, settings)
    admission = door.admit(FAR, 25)
    assert isinstance(admission, Admission)
    assert admission.is_trusted
    answer = await door.message(peer(), envelope(), MAIL)
    assert answer.code == 550
    assert "does not exist" in answer.text
