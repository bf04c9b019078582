"""`smtpeter queue routes`: where mail goes, and from which pool of local addresses."""

from datetime import UTC, datetime

from smtpeter.config import Config
from smtpeter.doors.cli.queue.chosen import keep_entry, remove, way_out, who
from smtpeter.doors.cli.shared import COMMON, Common, show, table, with_store
from smtpeter.doors.steering import log_removed, log_stored, shown, stored_of
from smtpeter.model.steering import RouteEntry, Steer
from smtpeter.store.store import Store

_HEADINGS = ("from", "id", "position", "recipient", "sender", "stream", "account", "via", "pool")


def routes_list(*, common: Common = COMMON) -> None:
    """Lists the routing table: what is stored, then the configuration. The first line that fits and says it decides.

    Example: smtpeter queue routes list
    """

    async def work(store: Store, config: Config) -> None:
        stored = await stored_of(store, RouteEntry, datetime.now(UTC))
        configured = way_out(config).routes
        rows: list[tuple[object, ...]] = [("stored", one.id, one.position, *_cells(entry)) for one, entry in stored]
        rows += [("configured", "", "", *_cells(entry)) for entry in configured]
        values = [{"from": "stored", **shown(one, {})} for one, _ in stored]
        values += [{"from": "configured", "id": None, "entry": entry} for entry in configured]
        show(common, values, table(_HEADINGS, rows) if rows else "There are no routes: all mail goes to the MX.")

    with_store(common, work)


def routes_add(
    *,
    via: str = "",
    recipient: str = "",
    sender: str = "",
    stream: str = "",
    account: str = "",
    pool: str = "",
    position: int | None = None,
    common: Common = COMMON,
) -> None:
    """Adds a line to the routing table; it holds within a second. What is not given fits everything.

    Example: smtpeter queue routes add --recipient "*.example.com" --via backup

    Example: smtpeter queue routes add --stream bulk --pool bulk

    Parameters
    ----------
    via
        Names of smart hosts, comma separated, each tried when those before fail; or mx, discard, capture.
    recipient
        example.com, *.example.com or name@example.com.
    sender
        The From domain, example.com or *.example.com.
    stream
        The stream of the message.
    account
        The name of the account.
    pool
        The pool of local addresses that it leaves from.
    position
        Its place among the stored ones; behind all of them when absent.
    """
    names = tuple(name.strip() for name in via.split(",") if name.strip())
    entry = RouteEntry(recipient, sender, stream, account, names, pool)

    async def work(store: Store, config: Config) -> None:
        stored = await keep_entry(store, config, entry, position)
        log_stored(stored, {}, who())
        show(common, shown(stored, {}), f"Route {stored.id} is at position {stored.position}.")

    with_store(common, work)


def routes_remove(id: int, /, *, common: Common = COMMON) -> None:
    """Removes a line from the routing table, by the number that the list shows.

    Example: smtpeter queue routes remove 4
    """

    async def work(store: Store, config: Config) -> None:
        removed = await remove(store, Steer.ROUTE, id)
        log_removed(removed, {}, who())
        show(common, shown(removed, {}), f"Route {id} is removed.")

    with_store(common, work)


def _cells(entry: RouteEntry) -> tuple[str, ...]:
    words = (entry.recipient, entry.sender, entry.stream, entry.account)
    return (*[word or "*" for word in words], ", ".join(entry.via) or "-", entry.pool or "-")
