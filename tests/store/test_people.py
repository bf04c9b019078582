"""Accounts, logins, tokens, domains and keys on both stores."""

import pytest

from smtpeter.model.account import Account, AccountId, Features
from smtpeter.store import people
from smtpeter.store.operation import Conflict
from smtpeter.store.people import Named, NewAccount, NewDomain, NewKey, NewLogin, NewToken, token_digest
from smtpeter.store.store import Store
from tests.store.mail import T0, after


async def make(store: Store, name: str = "acme") -> Account:
    return await store.write(people.put_account, NewAccount(name, T0, features=Features(trackopens=True)))


async def test_account_is_found_by_name_and_number(store: Store) -> None:
    account = await make(store)
    assert account.features == Features(trackopens=True)
    assert await store.read(people.account_named, "acme") == account
    assert await store.read(people.account_by_id, account.id) == account
    assert await store.read(people.accounts, None) == [account]
    assert await store.read(people.account_named, "nobody") is None


async def test_account_put_twice_is_changed_and_keeps_its_number(store: Store) -> None:
    account = await make(store)
    changed = await store.write(people.put_account, NewAccount("acme", after(9), suspended="unpaid"))
    assert (changed.id, changed.suspended) == (account.id, "unpaid")


async def test_login_is_found_with_its_account_and_can_be_changed_and_dropped(store: Store) -> None:
    account = await make(store)
    new = NewLogin(account.id, "joe", "$argon2id$x", T0, Features(images="hosted"), ("10.0.0.0/8",), ("a.example",))
    login = await store.write(people.put_login, new)
    assert (login.networks, login.sender_domains, login.features.images) == (("10.0.0.0/8",), ("a.example",), "hosted")
    assert await store.read(people.find_login, "joe") == (account, login)
    changed = await store.write(people.put_login, NewLogin(account.id, "joe", "$argon2id$y", T0))
    assert (changed.id, changed.password_hash, changed.networks) == (login.id, "$argon2id$y", ())
    assert await store.read(people.logins_of, account.id) == [changed]
    assert not await store.write(people.drop_login, Named(AccountId(account.id + 1), "joe"))
    assert await store.write(people.drop_login, Named(account.id, "joe"))
    assert await store.read(people.find_login, "joe") is None


async def test_login_of_another_account_is_not_taken_over(store: Store) -> None:
    one, two = await make(store, "one"), await make(store, "two")
    await store.write(people.put_login, NewLogin(one.id, "joe", "hash one", T0))
    with pytest.raises(Conflict):
        await store.write(people.put_login, NewLogin(two.id, "joe", "hash two", T0))
    found = await store.read(people.find_login, "joe")
    assert found is not None
    assert found[1].password_hash == "hash one"


async def test_token_is_found_by_what_the_client_shows(store: Store) -> None:
    account = await make(store)
    new = NewToken(account.id, "web", "sp_abc", token_digest("sp_abcdef"), frozenset({"send", "read"}), T0)
    token = await store.write(people.put_token, new)
    assert token.scopes == {"send", "read"}
    assert await store.read(people.find_token, "sp_abcdef") == (account, token)
    assert await store.read(people.find_token, "sp_abcdeg") is None
    assert await store.read(people.find_token, "\ud800") is None
    assert await store.read(people.tokens_of, account.id) == [token]
    assert await store.write(people.drop_token, Named(account.id, "web"))
    assert await store.read(people.find_token, "sp_abcdef") is None


async def test_domain_is_approved_later_and_dropped_with_its_keys(store: Store) -> None:
    account = await make(store)
    domain = await store.write(people.put_domain, NewDomain(account.id, "a.example", T0))
    assert domain.approved is None
    approved = await store.write(people.put_domain, NewDomain(account.id, "a.example", T0, approved=after(5)))
    assert (approved.id, approved.approved) == (domain.id, after(5))
    key = await store.write(people.put_key, NewKey(domain.id, "a.example", "s1", "rsa-sha256", b"\0sealed", T0))
    assert (key.sealed, key.created) == (b"\0sealed", T0)
    assert await store.read(people.keys_of, domain.id) == [key]
    assert await store.read(people.domains_of, account.id) == [approved]
    assert await store.write(people.drop_domain, Named(account.id, "a.example"))
    assert await store.read(people.keys_of, domain.id) == []


async def test_key_of_another_domain_is_not_replaced(store: Store) -> None:
    one, two = await make(store, "one"), await make(store, "two")
    first = await store.write(people.put_domain, NewDomain(one.id, "a.example", T0))
    second = await store.write(people.put_domain, NewDomain(two.id, "a.example", T0))
    key = await store.write(people.put_key, NewKey(first.id, "a.example", "s1", "rsa-sha256", b"one", T0))
    with pytest.raises(Conflict):
        await store.write(people.put_key, NewKey(second.id, "a.example", "s1", "rsa-sha256", b"two", T0))
    assert await store.write(people.drop_key, key.id)
    assert not await store.write(people.drop_key, key.id)


async def test_login_of_an_unknown_account_is_a_conflict(store: Store) -> None:
    with pytest.raises(Conflict):
        await store.write(people.put_login, NewLogin(AccountId(99), "joe", "hash", T0))


def test_secrets_are_not_in_the_repr() -> None:
    new = [
        NewLogin(AccountId(1), "joe", "hash-x", T0),
        NewToken(AccountId(1), "web", "sp_", b"digest-x", frozenset(), T0),
        NewKey(1, "a.example", "s1", "rsa-sha256", b"sealed-x", T0),
    ]
    assert "-x" not in repr(new)
