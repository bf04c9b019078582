"""`smtpeter suppression`: the addresses and domains that get no mail of an account."""

import asyncio
import re
from datetime import UTC, datetime

import msgspec
from cyclopts import App

from smtpeter.config import Config
from smtpeter.doors.cli.shared import COMMON, Common, account_named, fail, show, table, with_store
from smtpeter.doors.entries import MANUAL, read_entry
from smtpeter.model.account import AccountId
from smtpeter.model.address import AddressError
from smtpeter.store.store import Store
from smtpeter.store.suppressions import (
    NewSuppression,
    SuppressionName,
    SuppressionQuery,
    SuppressionRecord,
    drop_suppression,
    put_suppression,
)
from smtpeter.store.suppressions import suppressions as entries_of

PAGE = 1000

_STREAM = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")

suppression = App(name="suppression", help="Addresses and domains that get no mail of an account.")


@suppression.command(name="list")
def suppression_list(*, account: str = "", common: Common = COMMON) -> None:
    """Lists the entries of an account, why and since when they are there."""

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        found = await _all_entries(store, owner.id)
        rows = [(r.entry, r.stream or "all", r.cause, r.since.strftime("%Y-%m-%d %H:%M:%S")) for r in found]
        text = table(("entry", "stream", "cause", "since"), rows) if rows else "Nothing is suppressed."
        show(common, [_shown(record) for record in found], text)

    with_store(common, work)


@suppression.command(name="add")
def suppression_add(
    entries: list[str], /, *, account: str = "", stream: str = "", cause: str = MANUAL, common: Common = COMMON
) -> None:
    """Keeps the mail of an account from addresses and domains.

    Example: smtpeter suppression add jane@example.org example.net

    Parameters
    ----------
    entries
        Addresses, and domains, which do not cover the names below them.
    stream
        Only mail of this stream; of all streams when it is left out.
    cause
        Why, in a few words.
    """
    names = _read(entries)
    if stream and not _STREAM.match(stream):
        fail("A stream has at most 32 lower-case letters, digits and hyphens.", 2)

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        now = datetime.now(UTC)
        items = [NewSuppression(owner.id, name, cause, now, stream) for name in names]
        records = await asyncio.gather(*[store.write(put_suppression, item) for item in items])
        told = "\n".join(f"{record.entry} gets no mail of {owner.name} ({record.cause})." for record in records)
        show(common, [_shown(record) for record in records], told)

    with_store(common, work)


@suppression.command(name="remove")
def suppression_remove(entries: list[str], /, *, account: str = "", stream: str = "", common: Common = COMMON) -> None:
    """Lets the mail of an account go to addresses and domains again.

    Example: smtpeter suppression remove jane@example.org

    Parameters
    ----------
    stream
        The entry for this stream, not that for all streams.
    """
    names = _read(entries)

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        wanted = [SuppressionName(owner.id, name, stream) for name in names]
        were_there = await asyncio.gather(*[store.write(drop_suppression, one) for one in wanted])
        removed = [name for name, was_there in zip(names, were_there, strict=True) if was_there]
        if not removed:
            fail(f"{owner.name} has no such entry; `smtpeter suppression list` shows those there are.")
        show(common, removed, "\n".join(f"{name} gets mail of {owner.name} again." for name in removed))

    with_store(common, work)


async def _all_entries(store: Store, account: AccountId) -> list[SuppressionRecord]:
    found: list[SuppressionRecord] = []
    after = ("", "")
    while page := await store.read(entries_of, SuppressionQuery(account, PAGE, after)):
        found += page
        after = (page[-1].entry, page[-1].stream)
    return found


def _read(entries: list[str]) -> list[str]:
    if not entries:
        fail("Say which addresses or domains.", 2)
    try:
        return list(dict.fromkeys(map(read_entry, entries)))
    except AddressError as error:
        fail(str(error), 2)


def _shown(record: SuppressionRecord) -> dict[str, object]:
    since = msgspec.to_builtins(record.since)
    return {
        "entry": record.entry,
        "stream": record.stream,
        "cause": record.cause,
        "since": since,
        "message": record.message,
    }
