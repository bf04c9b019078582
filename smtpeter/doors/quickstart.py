"""Development mode's first contact: credentials that survive a restart, the ready file, and commands that work as printed."""

import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec

from smtpeter.intake.identify import USER_FEATURES, hash_password, new_password, new_token
from smtpeter.store.accounts import NewAccount, account_named, put_account
from smtpeter.store.credentials import NewLogin, NewToken, find_login, find_token, put_login, put_token, token_digest
from smtpeter.store.store import Store

ACCOUNT_NAME = "development"
USER = "development"
ALL_SCOPES = frozenset({"send", "read", "manage"})


class DevelopmentAccess(msgspec.Struct, frozen=True):
    """The credentials of development mode, kept in a file of mode 0600 beside the data."""

    token: str
    user: str
    password: str

    def __repr__(self) -> str:
        return f"DevelopmentAccess(user={self.user!r})"


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything listens, as it turned out."""

    rest: str
    https: str | None  # the same calls by TLS
    smtp: tuple[str, int]
    smtps: tuple[str, int]
    sink: tuple[str, int] | None
    smart_host: str  # HOST:PORT that everything goes to instead, or ""
    ca_file: Path
    why: str  # the command that tells what became of a message, without its id
    access: DevelopmentAccess = field(repr=False)


async def development_access(store: Store, path: Path, *, approve_all: bool, now: datetime) -> DevelopmentAccess:
    """Gives the credentials of the development account, making what is missing."""
    before = await store.read(account_named, ACCOUNT_NAME)
    item = NewAccount(ACCOUNT_NAME, now, approve_all=approve_all)
    if before is not None:
        item = replace(item, features=before.features, settings=before.settings)
    account = await store.write(put_account, item)
    known = _read(path)
    if known is not None and await _works(store, known):
        return known
    access = DevelopmentAccess(new_token(), USER, new_password())
    digest = token_digest(access.token)
    await store.write(put_token, NewToken(account.id, "development", access.token[:12], digest, ALL_SCOPES, now))
    # as every new login: what it hands in stays as it is until a header or its settings say otherwise (smtp-api.md)
    login = NewLogin(account.id, access.user, hash_password(access.password), now, USER_FEATURES)
    await store.write(put_login, login)
    _write(path, msgspec.json.encode(access))
    return access


def _read(path: Path) -> DevelopmentAccess | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=DevelopmentAccess)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


async def _works(store: Store, access: DevelopmentAccess) -> bool:
    return (
        await store.read(find_token, access.token) is not None and await store.read(find_login, access.user) is not None
    )


def write_ready_file(path: Path, places: Places, pid: int) -> None:
    """Writes the ready file; it appears whole, when all listeners accept. `pid` is the process to send signals to."""
    host, port = places.smtp
    login = {"user": places.access.user, "password": places.access.password}
    content = {
        "rest": places.rest,
        "https": places.https,
        "token": places.access.token,
        "smtp": {"host": host, "port": port, **login},
        "smtps": {"host": places.smtps[0], "port": places.smtps[1], **login},
        "sink": {"host": places.sink[0], "port": places.sink[1]} if places.sink else None,
        "ca": str(places.ca_file),
        "pid": pid,
    }
    _write(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def quick_start(places: Places) -> str:
    """Gives the text that is printed at start: commands to paste."""
    host, port = places.smtp
    access = places.access
    site = places.rest.removesuffix("/v1")
    if places.smart_host:
        where, delivery = f"mail goes to {places.smart_host}", f"It goes to:         {places.smart_host}"
    else:
        where, delivery = "nothing leaves this machine", f"Look at it:         {site}/captured"
    return f"""
smtpeter is ready, in development mode: it listens on loopback only, {where}.

Send a mail by REST:

  curl '{places.rest}/send?access_token={access.token}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"recipient": "jane@example.org", "from": "Joe <joe@example.com>",
         "subject": "Hello", "text": "My first mail.", "html": "<h1>My first mail</h1>"}}'

Or by SMTP, with STARTTLS and a login:

  swaks --server {host}:{port} --tls --auth LOGIN --auth-user {access.user} --auth-password {access.password} \\
    --from joe@example.com --to jane@example.org --header 'Subject: Hello'

{delivery}
What became of it:  {places.why} ID
What else it can:   {site}/docs

SMTP with TLS from the first byte: {places.smtps[0]}:{places.smtps[1]}; the certificate's authority: {places.ca_file}
"""


def _write(path: Path, content: bytes) -> None:
    """Writes a file that only its owner reads, so that it is never seen half written."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
    temporary.replace(path)
