"""Who knocks: logins, tokens, trusted networks, and what guessing costs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from smtpeter.intake import identify as module
from smtpeter.intake.identify import (
    FailureCount,
    LoginLimits,
    TooManyFailures,
    hash_password,
    is_password,
    new_token,
)
from smtpeter.model.account import Features, Identity, Role
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.credentials import NewLogin, NewToken, put_login, put_token, token_digest
from smtpeter.store.users import NewMembership, NewUser, drop_user, put_membership, put_user
from tests.intake.house import T0, HandClock, House, open_intake

IP = "192.0.2.1"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = await open_intake(tmp_path)
    password_hash = hash_password("right")
    await house.store.write(put_login, NewLogin(house.account.id, "joe", password_hash, T0, Features(trackopens=True)))
    yield house
    house.identify.close()
    await house.store.close()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were really checked, which takes long."""
    checked: list[str] = []

    def check(password_hash: str | None, password: str) -> bool:
        checked.append(password)
        return is_password(password_hash, password) if password_hash else False

    monkeypatch.setattr(module, "_check", check)
    return checked


async def test_the_right_password_gives_the_account_and_the_settings_of_the_login(house: House) -> None:
    identity = await house.identify.by_password("joe", "right", IP)
    assert isinstance(identity, Identity)
    assert identity.account == house.account
    assert identity.features.trackopens is True
    assert identity.login is not None


@pytest.mark.parametrize(("user", "password"), [("joe", "wrong"), ("joe", ""), ("nobody", "right"), ("", "")])
async def test_wrong_credentials_give_nothing(house: House, user: str, password: str) -> None:
    assert await house.identify.by_password(user, password, IP) is None


async def test_an_unknown_user_costs_as_much_as_a_wrong_password(house: House, checks: list[str]) -> None:
    await house.identify.by_password("joe", "wrong", IP)
    await house.identify.by_password("nobody", "wrong", IP)
    assert len(checks) == 2


async def test_a_verified_login_is_not_hashed_again_for_ten_minutes(house: House, checks: list[str]) -> None:
    for _ in range(5):
        assert await house.identify.by_password("joe", "right", IP)
    assert len(checks) == 1
    house.clock.passed += 601
    assert await house.identify.by_password("joe", "right", IP)
    assert len(checks) == 2


async def test_a_changed_password_is_believed_within_seconds(house: House) -> None:
    assert await house.identify.by_password("joe", "right", IP)
    await house.store.write(put_login, NewLogin(house.account.id, "joe", hash_password("newer"), T0))
    house.clock.passed += 1.5
    assert await house.identify.by_password("joe", "right", IP) is None
    assert await house.identify.by_password("joe", "newer", IP)


async def test_after_ten_failures_in_a_minute_nothing_is_checked(house: House, checks: list[str]) -> None:
    for _ in range(10):
        assert await house.identify.by_password("joe", "wrong", IP) is None
    assert isinstance(await house.identify.by_password("joe", "right", IP), TooManyFailures)
    assert len(checks) == 10
    house.clock.passed += 61
    assert isinstance(await house.identify.by_password("joe", "right", IP), Identity)


async def test_failures_from_one_address_do_not_lock_out_another(house: House) -> None:
    for _ in range(10):
        await house.identify.by_password("joe", "wrong", IP)
    assert isinstance(await house.identify.by_password("joe", "right", "192.0.2.99"), Identity)


async def test_a_login_may_be_limited_to_networks(house: House) -> None:
    item = NewLogin(house.account.id, "near", hash_password("right"), T0, networks=("10.0.0.0/8",))
    await house.store.write(put_login, item)
    assert await house.identify.by_password("near", "right", "192.0.2.1") is None
    assert await house.identify.by_password("near", "right", "10.1.2.3")


@pytest.mark.parametrize("user", ["token", "apikey"])
async def test_a_token_is_a_password_for_smtp(house: House, user: str) -> None:
    secret = new_token()
    item = NewToken(house.account.id, "t", secret[:12], token_digest(secret), frozenset({"send"}), T0)
    await house.store.write(put_token, item)
    identity = await house.identify.by_password(user, secret, IP)
    assert isinstance(identity, Identity)
    assert identity.scopes == {"send"}
    assert await house.identify.by_password(user, secret[:-1], IP) is None


async def test_a_trusted_network_acts_as_its_login(house: House) -> None:
    identity = await house.identify.by_network("127.0.0.0/8", "joe")
    assert identity is not None
    assert identity.login is not None
    assert await house.identify.by_network("127.0.0.0/8", "nobody") is None


def test_the_day_counts_too() -> None:
    clock = HandClock()
    failures = FailureCount(clock, LoginLimits(per_minute=10, per_day=20))
    for _ in range(20):
        failures.add(IP, "joe")
        clock.passed += 100
    assert failures.is_too_many(IP, "joe")
    clock.passed += 86_400
    assert not failures.is_too_many(IP, "joe")


def test_tokens_are_long_random_and_recognizable() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.startswith("smtpeter_") and len(token) == 9 + 32 for token in tokens)


def test_a_password_hash_says_how_it_was_made() -> None:
    assert hash_password("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")  # K2


async def add_user(house: House, *roles: Role, email: str = "ann@example.com") -> int:
    """Makes a user with these roles, each in an account of its own; the first is the account of the house."""
    user = await house.store.write(put_user, NewUser(email, hash_password("right"), T0))
    for number, role in enumerate(roles):
        account = house.account if number == 0 else await house.store.write(put_account, NewAccount(f"n{number}", T0))
        await house.store.write(put_membership, NewMembership(user.id, account.id, role))
    return user.id


async def test_a_user_sends_for_its_account_with_all_settings_off(house: House) -> None:
    number = await add_user(house, Role.DEVELOPER)
    identity = await house.identify.by_password("Ann@example.com", "right", IP)
    assert isinstance(identity, Identity)
    assert (identity.account, identity.credential) == (house.account, f"user:{number}")
    assert identity.features == Features(False, False, False, False, False, "default")
    assert identity.scopes == {"send"}
    assert await house.identify.by_password("ann@example.com", "wrong", IP) is None


@pytest.mark.parametrize("roles", [(), (Role.VIEWER,), (Role.OWNER, Role.ADMIN), (Role.OWNER, Role.ADMIN, Role.VIEWER)])
async def test_a_user_of_no_or_several_accounts_cannot_send(house: House, roles: tuple[Role, ...]) -> None:
    await add_user(house, *roles)
    assert await house.identify.by_password("ann@example.com", "right", IP) is None


async def test_a_user_who_only_looks_at_other_accounts_sends_for_its_own(house: House) -> None:
    await add_user(house, Role.ADMIN, Role.VIEWER)
    assert isinstance(await house.identify.by_password("ann@example.com", "right", IP), Identity)


async def test_a_login_of_that_name_goes_before_the_user(house: House) -> None:
    await add_user(house, Role.ADMIN)
    await house.store.write(put_login, NewLogin(house.account.id, "ann@example.com", hash_password("other"), T0))
    assert await house.identify.by_password("ann@example.com", "right", IP) is None
    identity = await house.identify.by_password("ann@example.com", "other", IP)
    assert isinstance(identity, Identity)
    assert identity.login is not None


async def test_a_user_costs_as_much_as_a_login_and_is_remembered_too(house: House, checks: list[str]) -> None:
    await add_user(house, Role.ADMIN)
    for _ in range(3):
        assert await house.identify.by_password("ann@example.com", "right", IP)
    await house.identify.by_password("nobody@example.com", "x", IP)
    await house.identify.by_password("ann@example.com", "y", IP)
    assert checks == ["right", "x", "y"]


async def test_a_user_who_is_removed_cannot_send_within_seconds(house: House) -> None:
    await add_user(house, Role.ADMIN)
    assert await house.identify.by_password("ann@example.com", "right", IP)
    await house.store.write(drop_user, "ann@example.com")
    house.clock.passed += 1.5
    assert await house.identify.by_password("ann@example.com", "right", IP) is None


@pytest.mark.parametrize("is_sandbox", [True, False])
async def test_a_token_says_whether_it_is_for_a_sandbox(house: House, is_sandbox: bool) -> None:
    secret = new_token()
    new = NewToken(house.account.id, "t", secret[:12], token_digest(secret), frozenset({"send"}), T0, is_sandbox)
    await house.store.write(put_token, new)
    for identity in (await house.identify.by_token(secret), await house.identify.by_password("token", secret, IP)):
        assert isinstance(identity, Identity)
        assert identity.is_sandbox is is_sandbox


async def test_what_is_forgotten_is_asked_of_the_store_again(house: House) -> None:
    assert await house.identify.by_password("joe", "right", IP)
    await house.store.write(put_login, NewLogin(house.account.id, "joe", hash_password("newer"), T0))
    house.identify.forget()
    assert await house.identify.by_password("joe", "right", IP) is None
    assert await house.identify.by_password("joe", "newer", IP)
