"""Accounts on both stores."""

from smtpeter.model.account import Features
from smtpeter.store.accounts import NewAccount, account_by_id, account_named, accounts, put_account
from smtpeter.store.store import Store
from tests.store.mail import after, make_account


async def test_account_is_found_by_name_and_number(store: Store) -> None:
    account = await make_account(store)
    assert account.features == Features(trackopens=True)
    assert await store.read(account_named, "acme") == account
    assert await store.read(account_by_id, account.id) == account
    assert await store.read(accounts, None) == [account]
    assert await store.read(account_named, "nobody") is None


async def test_account_put_twice_is_changed_and_keeps_its_number(store: Store) -> None:
    account = await make_account(store)
    changed = await store.write(put_account, NewAccount("acme", after(9), suspended="unpaid"))
    assert (changed.id, changed.suspended) == (account.id, "unpaid")
