"""`smtpeter queue limits`: how fast and by how many connections mail goes to a destination."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from smtpeter.config import Config
from smtpeter.config.values import read_duration
from smtpeter.delivery.limits import limits_of, shipped_limits
from smtpeter.doors.cli.queue.chosen import keep_entry, remove, way_out, who
from smtpeter.doors.cli.shared import COMMON, Common, fail, show, table, with_store
from smtpeter.doors.queue import lanes_meant
from smtpeter.doors.steering import WayOut, all_limits, log_removed, log_stored, shown, shown_limits, stored_of
from smtpeter.model.steering import LimitEntry, Limits, Steer, Stored
from smtpeter.store.store import Store

_HEADINGS = ("connections", "per connection", "/s", "/min", "/h", "recovery")


def limits_list(name: str = "", /, *, common: Common = COMMON) -> None:
    """Lists all limits in the order in which they count; or, of a lane, those that hold for it.

    What is stored by `limits set` goes before the configuration, and that before what is shipped. Of each limit the first
    line that fits the lane and says it counts.

    Example: smtpeter queue limits

    Example: smtpeter queue limits example.com

    Parameters
    ----------
    name
        A lane, or a domain, provider or mail host that mail waits for.
    """

    async def work(store: Store, config: Config) -> None:
        now = datetime.now(UTC)
        said = way_out(config)
        stored = await stored_of(store, LimitEntry, now)
        if name:
            entries = all_limits(tuple(entry for _, entry in stored), said)
            lanes = await lanes_meant(store, name, now)
            if not lanes:
                fail(f"No mail waits in a lane {name}; write the lane as `smtpeter queue list` shows it, as mx:google.")
            found = {lane: limits_of(lane, entries) for lane in lanes}
            values = [{"lane": lane, **shown_limits(limits)} for lane, limits in found.items()]
            rows: list[tuple[object, ...]] = [(lane, *_cells(limits)) for lane, limits in found.items()]
            show(common, values, table(("lane", *_HEADINGS), rows))
            return
        lines = _lines([one for one, _ in stored], said)
        rows = [
            (source, id or "", entry.target, entry.pool or "any", *_cells(entry.limits)) for source, id, entry in lines
        ]
        show(common, [_shown(*line) for line in lines], table(("from", "id", "target", "pool", *_HEADINGS), rows))

    with_store(common, work)


def limits_set(
    target: str,
    /,
    *,
    pool: str = "",
    connections: int | None = None,
    messages_per_connection: int | None = None,
    per_second: int | None = None,
    per_minute: int | None = None,
    per_hour: int | None = None,
    recovery: str = "",
    common: Common = COMMON,
) -> None:
    """Sets limits over all processes; it holds within a second. What is not given is left to the lines behind it.

    It replaces what was set for the same target and pool before.

    Example: smtpeter queue limits set google --connections 10 --per-minute 600

    Example: smtpeter queue limits set "*.example.com" --per-second 1

    Parameters
    ----------
    target
        A provider's name, a mail host, *.example.com, a whole lane, or *.
    pool
        Only what leaves from this pool of local addresses.
    connections
        Most connections at once.
    messages_per_connection
        Messages after which a connection is closed.
    per_second
        Most messages in a second; 0: no limit.
    per_minute
        Most messages in a minute; 0: no limit.
    per_hour
        Most messages in an hour; 0: no limit.
    recovery
        How long a rate that was halved after push-back takes to be whole, as 10m.
    """
    counts = (connections, messages_per_connection, per_second, per_minute, per_hour)
    entry = LimitEntry(target, Limits(*counts, _recovery(recovery)), pool)

    async def work(store: Store, config: Config) -> None:
        stored = await keep_entry(store, config, entry)
        log_stored(stored, {}, who())
        value = shown(stored, {})
        show(common, value, f"Set for {_of(stored)}: {_said(value)}.")

    with_store(common, work)


def limits_unset(target: str, /, *, pool: str = "", common: Common = COMMON) -> None:
    """Takes back what was set for a target; the configuration and what is shipped hold again.

    Example: smtpeter queue limits unset google

    Parameters
    ----------
    pool
        What was set for this pool of local addresses.
    """

    async def work(store: Store, config: Config) -> None:
        names = (target, target.lower())
        stored = await stored_of(store, LimitEntry, datetime.now(UTC))
        found = next((one for one, entry in stored if entry.target in names and entry.pool == pool), None)
        if found is None:
            fail(f"Nothing is set for {target}; `smtpeter queue limits` shows what is.")
        removed = await remove(store, Steer.LIMIT, found.id)
        log_removed(removed, {}, who())
        value = shown(removed, {})
        show(common, value, f"No longer set for {_of(found)}: {_said(value)}.")

    with_store(common, work)


def _recovery(text: str) -> timedelta | None:
    try:
        return read_duration(text) if text else None
    except ValueError:
        fail("--recovery is a duration, as 90s, 10m or 1h.", 2)


def _lines(stored: Sequence[Stored], said: WayOut) -> list[tuple[str, int | None, LimitEntry]]:
    """Gives all entries with where they come from, in the order in which they count."""
    lines: list[tuple[str, int | None, LimitEntry]] = []
    for one in stored:
        if isinstance(one.entry, LimitEntry):
            lines.append(("stored", one.id, one.entry))
    lines += [("configured", None, entry) for entry in said.limits]
    lines += [("shipped", None, entry) for entry in shipped_limits()]
    return [*lines, ("general", None, LimitEntry("*", said.generic))]


def _shown(source: str, id: int | None, entry: LimitEntry) -> dict[str, Any]:
    return {"from": source, "id": id, "target": entry.target, "pool": entry.pool, **shown_limits(entry.limits)}


def _cells(limits: Limits) -> tuple[object, ...]:
    return tuple("-" if value is None else value for value in shown_limits(limits).values())


def _of(stored: Stored) -> str:
    entry = stored.entry
    if not isinstance(entry, LimitEntry):
        return ""
    return f"{entry.target} from pool {entry.pool}" if entry.pool else entry.target


def _said(value: dict[str, Any]) -> str:
    limits = [f"{name.replace('_', ' ')} {value[name]}" for name in shown_limits(Limits()) if value[name] is not None]
    return ", ".join(limits)
