"""`smtpeter token | login | domain`: who may send, and as whom. Accounts are in accounts.py, users in users.py."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from smtpeter.config import Config
from smtpeter.domains.keys import new_key, public_text
from smtpeter.domains.seal import installation_key
from smtpeter.doors.cli.shared import COMMON, Common, account_named, fail, read_secret, show, table, with_store
from smtpeter.intake.identify import USER_FEATURES, hash_password, new_password, new_token
from smtpeter.model.address import AddressError, parse_domain
from smtpeter.store.accounts import Named
from smtpeter.store.credentials import (
    NewLogin,
    NewToken,
    drop_login,
    drop_token,
    find_login,
    logins_of,
    put_login,
    put_token,
    token_digest,
    tokens_of,
)
from smtpeter.store.operation import Conflict
from smtpeter.store.sender_domains import NewDomain, domains_of, keys_of, put_domain, put_key
from smtpeter.store.store import Store
from smtpeter.wire.dkim import KeyRefused

SCOPES = ("send", "read", "manage", "operator")

token = App(name="token", help="Tokens for the REST API.")
login = App(name="login", help="SMTP logins.")
domain = App(name="domain", help="Sender domains and the keys that sign for them.")


@token.command(name="create")
def token_create(
    name: str = "default",
    *,
    account: str = "",
    scopes: str = "send,read,manage",
    sandbox: Annotated[bool, Parameter(negative="")] = False,
    secret_file: Path | None = None,
    common: Common = COMMON,
) -> None:
    """Makes a token and shows it, once.

    Parameters
    ----------
    scopes
        Any of send, read, manage and operator, comma separated. With operator it sees and steers the queue of all accounts.
    sandbox
        What is sent with it is accepted and told like any other, but never delivered.
    secret_file
        Take over the token in this file ("-": standard input) instead of making one.
    """
    wanted = frozenset(scope.strip() for scope in scopes.split(","))
    if not wanted or wanted - set(SCOPES):
        fail(f"The scopes are {', '.join(SCOPES)}.", 2)
    secret = read_secret(secret_file) if secret_file is not None else new_token()
    if len(secret) < 32:
        fail("A token has at least 32 characters.", 2)

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        if any(one.name == name for one in await store.read(tokens_of, owner.id)):
            fail(f"There is a token {name!r} already; give this one another name.")
        prefix, digest = secret[:12], token_digest(secret)
        await store.write(put_token, NewToken(owner.id, name, prefix, digest, wanted, datetime.now(UTC), sandbox))
        value = {"token": secret, "scopes": sorted(wanted), "sandbox": sandbox}
        show(common, value, f"{secret}\n\nKeep it: it is not shown again.")

    with_store(common, work)


@token.command(name="list")
def token_list(*, account: str = "", common: Common = COMMON) -> None:
    """Lists the tokens of an account by their first characters."""

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        found = await store.read(tokens_of, owner.id)
        kinds = {True: "sandbox", False: "live"}
        rows = [(t.id, t.prefix + "…", t.name, ",".join(sorted(t.scopes)), kinds[t.is_sandbox]) for t in found]
        values = [
            {"id": t.id, "prefix": t.prefix, "name": t.name, "scopes": sorted(t.scopes), "sandbox": t.is_sandbox}
            for t in found
        ]
        show(common, values, table(("id", "token", "name", "scopes", "kind"), rows))

    with_store(common, work)


@token.command(name="delete")
def token_delete(name: str, *, account: str = "", common: Common = COMMON) -> None:
    """Deletes a token, by its name; calls with it are refused within a second.

    Example: smtpeter token delete default
    """

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        if not await store.write(drop_token, Named(owner.id, name)):
            fail(f"{owner.name} has no token {name!r}; `smtpeter token list` shows those there are.")
        show(common, {"name": name}, f"The token {name} is deleted.")

    with_store(common, work)


@login.command(name="create")
def login_create(
    *,
    user: str = "",
    account: str = "",
    password_file: Path | None = None,
    common: Common = COMMON,
) -> None:
    """Makes an SMTP login and shows its password, once.

    Parameters
    ----------
    user
        The user name; without it one is made.
    password_file
        Take the password from this file ("-": standard input) instead of making one.
    """
    password = read_secret(password_file) if password_file is not None else new_password()
    if len(password) < 8:
        fail("A password has at least 8 characters.", 2)

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        name = user or f"{owner.name}-{new_password()[:8].lower()}"
        if await store.read(find_login, name) is not None:
            fail(f"There is a login {name!r} already.")
        item = NewLogin(owner.id, name, hash_password(password), datetime.now(UTC), USER_FEATURES)
        await store.write(put_login, item)
        shown = "" if password_file is not None else f"\npassword  {password}\n\nKeep it: it is not shown again."
        show(common, {"user": name, "password": password}, f"user      {name}{shown}")

    with_store(common, work)


@login.command(name="list")
def login_list(*, account: str = "", common: Common = COMMON) -> None:
    """Lists the SMTP logins of an account."""

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        found = await store.read(logins_of, owner.id)
        values = [
            {"id": one.id, "user": one.user, "networks": one.networks, "domains": one.sender_domains} for one in found
        ]
        show(common, values, table(("id", "user"), [(one.id, one.user) for one in found]))

    with_store(common, work)


@login.command(name="delete")
def login_delete(user: str, *, account: str = "", common: Common = COMMON) -> None:
    """Deletes an SMTP login; it is refused within a second. Sessions that are open stay.

    Example: smtpeter login delete app@example.com
    """

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        if not await store.write(drop_login, Named(owner.id, user)):
            fail(f"{owner.name} has no login {user!r}; `smtpeter login list` shows those there are.")
        show(common, {"user": user}, f"The login {user} is deleted.")

    with_store(common, work)


@domain.command(name="add")
def domain_add(
    name: str,
    *,
    account: str = "",
    approved: Annotated[bool, Parameter(negative="")] = False,
    dkim_key: Path | None = None,
    selector: str = "smtpeter",
    unsigned: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> None:
    """Adds a sender domain, with a DKIM key, and prints the record to publish.

    Example: smtpeter domain add example.com --approved

    Parameters
    ----------
    approved
        The operator vouches for the domain; mail from it is accepted at once.
    dkim_key
        Sign with the private key in this file (PEM) instead of making one.
    selector
        The selector under which the key is published.
    unsigned
        Add no key.
    """
    try:
        normal = parse_domain(name)
        parse_domain(selector)
    except AddressError as error:
        fail(str(error), 2)
    try:
        pem = dkim_key.read_bytes() if dkim_key is not None else None
    except OSError as error:
        fail(f"{dkim_key}: {error.strerror}", 2)

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        now = datetime.now(UTC)
        added = await store.write(put_domain, NewDomain(owner.id, normal, now, now if approved else None))
        record: dict[str, str] = {}
        if not unsigned:
            master = installation_key(config.server)
            try:
                key = await store.write(put_key, new_key(master, added.id, normal, selector, pem, now))
            except KeyRefused as error:
                fail(str(error), 2)
            except Conflict as error:
                fail(str(error))
            record = {"name": f"{selector}._domainkey.{normal}", "type": "TXT", "value": public_text(master, key)}
        state = "approved" if added.approved else "not approved yet (add --approved to vouch for it)"
        text = f"{normal} is a sender domain of {owner.name}: {state}."
        if record:
            text += f'\n\nPublish this record:\n\n{record["name"]}.  TXT  "{record["value"]}"'
        show(common, {"name": normal, "approved": added.approved is not None, "record": record or None}, text)

    with_store(common, work)


@domain.command(name="list")
def domain_list(*, account: str = "", common: Common = COMMON) -> None:
    """Lists the sender domains of an account with their keys."""

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        found = await store.read(domains_of, owner.id)
        keys = {one.id: await store.read(keys_of, one.id) for one in found}
        rows = [
            (
                one.name,
                "approved" if one.approved else "not approved",
                ", ".join(k.selector for k in keys[one.id]) or "unsigned",
            )
            for one in found
        ]
        values = [
            {"name": one.name, "approved": one.approved is not None, "selectors": [k.selector for k in keys[one.id]]}
            for one in found
        ]
        show(common, values, table(("domain", "state", "selectors"), rows))

    with_store(common, work)
