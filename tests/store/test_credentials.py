"""Logins and tokens on both stores."""

import pytest

from smtpeter.model.account import AccountId, Features
from smtpeter.store.accounts import Named
from smtpeter.store.credentials import (
    NewLogin,
    NewToken,
    drop_login,
    drop_token,
    find_login,
    find_token,
    logins_of,
    put_login,
    put_token,
    token_digest,
    tokens_of,
)
from smtpeter.store.operation import Conflict
from smtpeter.store.sender_domains import NewKey
from smtpeter.store.store import Store
from tests.store.mail import T0, make_account


async def test_login_is_found_with_its_account_and_can_be_changed_and_dropped(store: Store) -> None:
    account = await make_account(store)
    new = NewLogin(account.id, "joe", "$argon2id$x", T0, Features(images="hosted"), ("10.0.0.0/8",), ("a.example",))
    login = await store.write(put_login, new)
    assert (login.networks, login.sender_domains, login.features.images) == (("10.0.0.0/8",), ("a.example",), "hosted")
    assert await store.read(find_login, "joe") == (account, login)
    changed = await store.write(put_login, NewLogin(account.id, "joe", "$argon2id$y", T0))
    assert (changed.id, changed.password_hash, changed.networks) == (login.id, "$argon2id$y", ())
    assert await store.read(logins_of, account.id) == [changed]
    assert not await store.write(drop_login, Named(AccountId(account.id + 1), "joe"))
    assert await store.write(drop_login, Named(account.id, "joe"))
    assert await store.read(find_login, "joe") is None


async def test_login_of_another_account_is_not_taken_over(store: Store) -> None:
    one, two = await make_account(store, "one"), await make_account(store, "two")
    await store.write(put_login, NewLogin(one.id, "joe", "hash one", T0))
    with pytest.raises(Conflict):
        await store.write(put_login, NewLogin(two.id, "joe", "hash two", T0))
    found = await store.read(find_login, "joe")
    assert found is not None
    assert found[1].password_hash == "hash one"


async def test_token_is_found_by_what_the_client_shows(store: Store) -> None:
    account = await make_account(store)
    new = NewToken(account.id, "web", "sp_abc", token_digest("sp_abcdef"), frozenset({"send", "read"}), T0)
    token = await store.write(put_token, new)
    assert token.scopes == {"send", "read"}
    assert await store.read(find_token, "sp_abcdef") == (account, token)
    assert await store.read(find_token, "sp_abcdeg") is None
    assert await store.read(find_token, "\ud800") is None
    assert await store.read(tokens_of, account.id) == [token]
    assert await store.write(drop_token, Named(account.id, "web"))
    assert await store.read(find_token, "sp_abcdef") is None


async def test_login_of_an_unknown_account_is_a_conflict(store: Store) -> None:
    with pytest.raises(Conflict):
        await store.write(put_login, NewLogin(AccountId(99), "joe", "hash", T0))


def test_secrets_are_not_in_the_repr() -> None:
    new = [
        NewLogin(AccountId(1), "joe", "hash-x", T0),
        NewToken(AccountId(1), "web", "sp_", b"digest-x", frozenset(), T0),
        NewKey(1, "a.example", "s1", "rsa-sha256", b"sealed-x", T0),
    ]
    assert "-x" not in repr(new)
