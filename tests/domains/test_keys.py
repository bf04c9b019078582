"""The key ring: who signs for which From domain, and what happens when a key cannot be used."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from smtpeter.delivery.attempt import KeyUnavailable
from smtpeter.domains.keys import DEVELOPMENT_SELECTOR, DevelopmentKey, KeyRing, new_key, public_text
from smtpeter.domains.seal import MasterKey
from smtpeter.intake.senders import Senders
from smtpeter.model.account import AccountId
from smtpeter.store.sender_domains import NewDomain, put_domain, put_key
from tests.intake.house import T0, House, open_intake

MASTER = MasterKey(0, bytes(range(32)))
OTHER = MasterKey(0, bytes(32))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = await open_intake(tmp_path)
    yield house
    house.identify.close()
    await house.store.close()


def ring(house: House, master: MasterKey = MASTER, fallback: DevelopmentKey | None = None) -> KeyRing:
    return KeyRing(house.store, house.clock, Senders(house.store, house.clock), master, fallback)


async def key_for(house: House, name: str, selector: str = "s1") -> None:
    domain = await house.store.write(put_domain, NewDomain(house.account.id, name, T0, approved=T0))
    await house.store.write(put_key, new_key(MASTER, domain.id, name, selector, None, T0))


async def test_the_key_of_the_from_domain_signs(house: House) -> None:
    await key_for(house, "example.com")
    (signer,) = await ring(house).signers(house.account.id, "example.com")
    assert (signer.domain, signer.selector) == ("example.com", "s1")


async def test_a_name_below_is_signed_with_the_key_of_its_parent(house: House) -> None:
    await key_for(house, "example.com")
    (signer,) = await ring(house).signers(house.account.id, "news.example.com")
    assert signer.domain == "example.com"


async def test_the_key_of_another_account_does_not_sign(house: House) -> None:
    await key_for(house, "example.com")
    assert await ring(house).signers(AccountId(99), "example.com") == ()


async def test_a_key_is_loaded_once(house: House) -> None:
    await key_for(house, "example.com")
    keys = ring(house)
    assert (await keys.signers(house.account.id, "example.com"))[0] is (
        await keys.signers(house.account.id, "example.com")
    )[0]


async def test_a_key_under_another_master_key_makes_the_mail_wait(house: House) -> None:
    await key_for(house, "example.com")
    with pytest.raises(KeyUnavailable, match="s1"):
        await ring(house, OTHER).signers(house.account.id, "example.com")


async def test_development_signs_for_domains_without_a_key(house: House, tmp_path: Path) -> None:
    fallback = DevelopmentKey(tmp_path / "development.dkim")
    (signer,) = await ring(house, fallback=fallback).signers(house.account.id, "anything.example")
    assert (signer.domain, signer.selector) == ("anything.example", DEVELOPMENT_SELECTOR)
    assert (tmp_path / "development.txt").read_text().startswith("v=DKIM1;k=rsa;p=")


async def test_the_public_text_is_that_of_the_sealed_key(house: House) -> None:
    domain = await house.store.write(put_domain, NewDomain(house.account.id, "example.com", T0, approved=T0))
    key = await house.store.write(put_key, new_key(MASTER, domain.id, "example.com", "s1", None, T0))
    assert public_text(MASTER, key).startswith("v=DKIM1;k=rsa;p=")
    assert b"PRIVATE" not in key.sealed
