"""The limits of a lane: entries laid over each other, and which lanes an entry is about.

Entries come in the order in which they count: what an operator stored, then the configuration, then what is known of
providers (providers.toml), then the general limits. Each says only what it wants to say; the first that says a limit
decides that limit.

Raises ValueError for a table of limits that cannot be read.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from functools import cache
from typing import Any

from smtpeter.config.values import read_duration
from smtpeter.delivery.site import hosts_of, provider_of, shipped_text, split_lane
from smtpeter.model.steering import LimitEntry, Limits

_COUNTS = tuple(limit.name for limit in fields(Limits) if limit.name != "recovery")


def limits_of(lane: str, entries: Sequence[LimitEntry]) -> Limits:
    """Gives the limits of a lane over all processes; what no entry says is None."""
    fits, pool = _Site(lane), split_lane(lane)[1]
    limits = Limits()
    for entry in entries:
        if entry.pool in ("", pool) and fits.target(entry.target):
            limits = limits.over(entry.limits)
    return limits


def target_fits(target: str, lane: str) -> bool:
    """True when a lane is meant by `*`, its provider, one of its hosts, `*.example.com`, its site or its whole name.

    A provider's lane names no hosts: only the provider's name or the lane's own reaches it.
    """
    return _Site(lane).target(target)


class _Site:
    """What targets are compared with."""

    def __init__(self, lane: str) -> None:
        site, _ = split_lane(lane)
        hosts = hosts_of(site)
        self._names = {"*", lane, site, provider_of(site) or site, *hosts}
        self._hosts = hosts

    def target(self, target: str) -> bool:
        if target.startswith("*."):
            return any(host.endswith(target[1:].lower()) for host in self._hosts)
        return target in self._names or target.lower() in self._names


def read_limits(text: str) -> tuple[LimitEntry, ...]:
    """Reads the limits of each table of a TOML document as providers.toml. Raises ValueError naming the table."""
    tables = tomllib.loads(text)
    return tuple(LimitEntry(name, _limits(name, table)) for name, table in tables.items() if set(table) != {"hosts"})


def _limits(name: str, table: Mapping[str, Any]) -> Limits:
    said = {key: value for key, value in table.items() if key != "hosts"}
    recovery: timedelta | None = read_duration(said.pop("recovery")) if "recovery" in said else None
    for key, value in said.items():
        if key not in _COUNTS or type(value) is not int or value < 0:
            raise ValueError(f"provider {name!r}: {key} = {value!r} is not a limit")
    return Limits(**said, recovery=recovery)


@cache
def shipped_limits() -> tuple[LimitEntry, ...]:
    """Gives the limits of providers that come with the program; their targets are the providers' names."""
    return read_limits(shipped_text())
