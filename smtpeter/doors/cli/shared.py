"""What the commands share: where the configuration is, an open store, and how results and mistakes are printed.

Exit codes: 0 done, 1 it could not be done (the text says why), 2 the command itself was wrong.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
from cyclopts import Parameter

from smtpeter.config import Config, ConfigError, load
from smtpeter.model.account import Account
from smtpeter.store.accounts import account_named as find_account
from smtpeter.store.accounts import accounts
from smtpeter.store.operation import StoreRefused, StoreUnavailable
from smtpeter.store.store import Store, open_store

T = TypeVar("T")

USUAL_FILES = (Path("smtpeter.toml"), Path("/etc/smtpeter/smtpeter.toml"))


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Options of every command.

    Parameters
    ----------
    config
        The configuration file. Else $SMTPETER_CONFIG, ./smtpeter.toml or /etc/smtpeter/smtpeter.toml, else the defaults.
    data_dir
        The folder of the installation's data, instead of the configured one.
    json
        Print JSON instead of text.
    """

    config: Path | None = None
    data_dir: Path | None = None
    json: Annotated[bool, Parameter(negative="")] = False


COMMON = Common()


def fail(text: str, code: int = 1) -> NoReturn:
    """Ends the program with a sentence on standard error."""
    print(text, file=sys.stderr)
    raise SystemExit(code)


def config_file(common: Common) -> Path | None:
    """Gives the file to read, None when there is none."""
    named = common.config or (Path(os.environ["SMTPETER_CONFIG"]) if os.environ.get("SMTPETER_CONFIG") else None)
    return named or next((path for path in USUAL_FILES if path.exists()), None)


def read_config(common: Common, base: Config | None = None) -> Config:
    """Reads the configuration; all mistakes are printed at once."""
    try:
        config = load(config_file(common), os.environ, base)
    except ConfigError as error:
        fail(str(error), 2)
    if common.data_dir is not None:
        config = replace(config, server=replace(config.server, data_dir=common.data_dir))
    return config


def with_store(common: Common, work: Callable[[Store, Config], Awaitable[T]]) -> T:
    """Runs `work` with the open store of the installation."""
    config = read_config(common)

    async def run() -> T:
        store = await open_store(store_url(config), unsafe_fast_storage=config.store.unsafe_fast_storage)
        try:
            return await work(store, config)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except (StoreRefused, StoreUnavailable, OSError) as error:
        fail(str(error))


def store_url(config: Config) -> str:
    """Gives the address of the store; an SQLite file is relative to the data folder."""
    scheme, _, rest = config.store.url.partition(":")
    return f"sqlite:{config.server.data_dir / rest}" if scheme == "sqlite" else config.store.url


async def account_named(store: Store, name: str) -> Account:
    """Gives the account of that name, or the only one when no name is given."""
    if name:
        account = await store.read(find_account, name)
        if account is None:
            fail(f"There is no account {name!r}; `smtpeter account list` shows those there are.")
        return account
    found = await store.read(accounts, None)
    if not found:
        fail("There is no account yet; make one with `smtpeter account create NAME`.")
    if len(found) > 1:
        names = ", ".join(account.name for account in found)
        fail(f"Say which account with --account: {names}.", 2)
    return found[0]


def show(common: Common, value: Any, text: str) -> None:
    """Prints a result: the value as JSON when asked for, else the text."""
    if common.json:
        print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    elif text:
        print(text)


def table(headings: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    """Gives rows in columns."""
    cells = [headings, *[tuple(str(cell) for cell in row) for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def read_secret(path: Path) -> str:
    """Reads a secret from a file, or from standard input for `-`, without its line end."""
    text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
    return text.rstrip("\r\n")
