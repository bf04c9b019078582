"""Sender domains and their keys on both stores."""

import pytest

from smtpeter.store.accounts import Named
from smtpeter.store.operation import Conflict
from smtpeter.store.sender_domains import (
    NewDomain,
    NewKey,
    domains_of,
    drop_domain,
    drop_key,
    keys_of,
    put_domain,
    put_key,
)
from smtpeter.store.store import Store
from tests.store.mail import T0, after, make_account


async def test_domain_is_approved_later_and_dropped_with_its_keys(store: Store) -> None:
    account = await make_account(store)
    domain = await store.write(put_domain, NewDomain(account.id, "a.example", T0))
    assert domain.approved is None
    approved = await store.write(put_domain, NewDomain(account.id, "a.example", T0, approved=after(5)))
    assert (approved.id, approved.approved) == (domain.id, after(5))
    key = await store.write(put_key, NewKey(domain.id, "a.example", "s1", "rsa-sha256", b"\0sealed", T0))
    assert (key.sealed, key.created) == (b"\0sealed", T0)
    assert await store.read(keys_of, domain.id) == [key]
    assert await store.read(domains_of, account.id) == [approved]
    assert await store.write(drop_domain, Named(account.id, "a.example"))
    assert await store.read(keys_of, domain.id) == []


async def test_key_of_another_domain_is_not_replaced(store: Store) -> None:
    one, two = await make_account(store, "one"), await make_account(store, "two")
    first = await store.write(put_domain, NewDomain(one.id, "a.example", T0))
    second = await store.write(put_domain, NewDomain(two.id, "a.example", T0))
    key = await store.write(put_key, NewKey(first.id, "a.example", "s1", "rsa-sha256", b"one", T0))
    with pytest.raises(Conflict):
        await store.write(put_key, NewKey(second.id, "a.example", "s1", "rsa-sha256", b"two", T0))
    assert await store.write(drop_key, key.id)
    assert not await store.write(drop_key, key.id)
