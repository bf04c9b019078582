"""Users and their memberships, on both stores."""

import pytest

from smtpeter.model.account import AccountId, Role
from smtpeter.store.operation import Conflict
from smtpeter.store.store import Store
from smtpeter.store.users import (
    MembershipName,
    NewMembership,
    NewUser,
    drop_membership,
    drop_user,
    find_user,
    put_membership,
    put_user,
    users,
)
from tests.store.mail import T0, make_account


async def test_user_is_found_in_any_case_with_the_role_in_each_account(store: Store) -> None:
    one, two = await make_account(store, "one"), await make_account(store, "two")
    user = await store.write(put_user, NewUser("Jane@Example.com", "hash", T0))
    await store.write(put_membership, NewMembership(user.id, two.id, Role.VIEWER))
    await store.write(put_membership, NewMembership(user.id, one.id, Role.DEVELOPER))
    await store.write(put_membership, NewMembership(user.id, one.id, Role.ADMIN))
    found = await store.read(find_user, "JANE@example.com")
    assert found is not None
    assert found.user == user
    assert user.email == "jane@example.com"
    assert found.memberships == ((one, Role.ADMIN), (two, Role.VIEWER))
    assert await store.read(find_user, "joe@example.com") is None


async def test_user_gets_another_password_and_stays_the_same(store: Store) -> None:
    first = await store.write(put_user, NewUser("jane@example.com", "hash one", T0))
    second = await store.write(put_user, NewUser("JANE@example.com", "hash two", T0))
    assert (second.id, second.password_hash) == (first.id, "hash two")
    assert [(one.user, one.memberships) for one in await store.read(users, None)] == [(second, ())]


async def test_user_leaves_an_account_and_goes(store: Store) -> None:
    account = await make_account(store)
    user = await store.write(put_user, NewUser("jane@example.com", "hash", T0))
    await store.write(put_membership, NewMembership(user.id, account.id, Role.OWNER))
    assert await store.write(drop_membership, MembershipName(user.id, account.id))
    assert not await store.write(drop_membership, MembershipName(user.id, account.id))
    await store.write(put_membership, NewMembership(user.id, account.id, Role.OWNER))
    assert await store.write(drop_user, "Jane@example.com")
    assert not await store.write(drop_user, "jane@example.com")
    assert await store.read(users, None) == []


async def test_membership_of_nobody_or_in_nothing_is_a_conflict(store: Store) -> None:
    account = await make_account(store)
    user = await store.write(put_user, NewUser("jane@example.com", "hash", T0))
    for wrong in (
        NewMembership(user.id + 1, account.id, Role.OWNER),
        NewMembership(user.id, AccountId(99), Role.OWNER),
    ):
        with pytest.raises(Conflict):
            await store.write(put_membership, wrong)


def test_password_hash_is_not_in_the_repr() -> None:
    assert "secret" not in repr(NewUser("jane@example.com", "secret", T0))
