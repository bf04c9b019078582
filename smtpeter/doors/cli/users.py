"""`smtpeter user`: people, who log in with their e-mail address, and their roles in accounts."""

from datetime import UTC, datetime
from pathlib import Path

from cyclopts import App

from smtpeter.config import Config
from smtpeter.doors.cli.shared import COMMON, Common, account_named, fail, read_secret, show, table, with_store
from smtpeter.intake.identify import hash_password, new_password
from smtpeter.model.account import Role
from smtpeter.model.address import AddressError, parse_address
from smtpeter.store.store import Store
from smtpeter.store.users import (
    MembershipName,
    NewMembership,
    NewUser,
    UserRecord,
    drop_membership,
    drop_user,
    find_user,
    put_membership,
    put_user,
)
from smtpeter.store.users import users as all_users

MIN_PASSWORD_LENGTH = 12

user = App(name="user", help="People: their e-mail address and password, and their role in each account.")


@user.command(name="create")
def user_create(
    email: str,
    *,
    account: str = "",
    role: str = Role.OWNER.value,
    password_file: Path | None = None,
    common: Common = COMMON,
) -> None:
    """Makes a user of an account and shows the password, once.

    Example: smtpeter user create jane@example.com

    Parameters
    ----------
    role
        What the user may do there: owner, admin, developer or viewer.
    password_file
        Take the password from this file ("-": standard input) instead of making one.
    """
    address, wanted = _address(email), _role(role)
    password = read_secret(password_file) if password_file is not None else new_password()
    if len(password) < MIN_PASSWORD_LENGTH:
        fail(f"The password of a user has at least {MIN_PASSWORD_LENGTH} characters.", 2)

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        if await store.read(find_user, address) is not None:
            fail(f"There is a user {address} already; `smtpeter user grant` gives a role in a further account.")
        made = await store.write(put_user, NewUser(address, hash_password(password), datetime.now(UTC)))
        await store.write(put_membership, NewMembership(made.id, owner.id, wanted))
        shown = "" if password_file is not None else f"\npassword  {password}\n\nKeep it: it is not shown again."
        value = {"id": made.id, "email": made.email, "account": owner.name, "role": wanted, "password": password}
        show(common, value, f"user      {made.email}, {wanted} of {owner.name}{shown}")

    with_store(common, work)


@user.command(name="grant")
def user_grant(email: str, *, account: str = "", role: str = Role.VIEWER.value, common: Common = COMMON) -> None:
    """Gives a user a role in an account, instead of the one there before.

    Example: smtpeter user grant jane@example.com --account acme --role admin

    Parameters
    ----------
    role
        What the user may do there: owner, admin, developer, viewer, or none to take the user out of the account.
    """
    address, wanted = _address(email), None if role == "none" else _role(role)

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        found = await _known(store, address)
        if wanted is not None:
            await store.write(put_membership, NewMembership(found.user.id, owner.id, wanted))
        elif not await store.write(drop_membership, MembershipName(found.user.id, owner.id)):
            fail(f"{address} has no role in {owner.name}.")
        show(common, {"email": address, "account": owner.name, "role": wanted}, f"{address}: {role} in {owner.name}.")

    with_store(common, work)


@user.command(name="list")
def user_list(common: Common = COMMON) -> None:
    """Lists the users with their roles."""

    async def work(store: Store, config: Config) -> None:
        found = await store.read(all_users, None)
        rows = [
            (one.user.id, one.user.email, ", ".join(f"{role} of {account.name}" for account, role in one.memberships))
            for one in found
        ]
        values = [
            {
                "id": one.user.id,
                "email": one.user.email,
                "roles": {account.name: role.value for account, role in one.memberships},
            }
            for one in found
        ]
        show(common, values, table(("id", "user", "roles"), rows))

    with_store(common, work)


@user.command(name="delete")
def user_delete(email: str, common: Common = COMMON) -> None:
    """Deletes a user, who is then in no account any more."""
    address = _address(email)

    async def work(store: Store, config: Config) -> None:
        await _known(store, address)
        await store.write(drop_user, address)
        show(common, {"email": address}, f"The user {address} is deleted.")

    with_store(common, work)


async def _known(store: Store, address: str) -> UserRecord:
    found = await store.read(find_user, address)
    if found is None:
        fail(f"There is no user {address}; `smtpeter user list` shows those there are.")
    return found


def _address(email: str) -> str:
    try:
        return str(parse_address(email)).lower()
    except AddressError as error:
        fail(str(error), 2)


def _role(name: str) -> Role:
    if name not in list(Role):
        fail(f"The roles are {', '.join(Role)}.", 2)
    return Role(name)
