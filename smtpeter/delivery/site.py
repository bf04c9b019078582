"""Destination sites: which mail hosts belong together, and the names of lanes.

A receiver counts what we send to all of its hosts, whatever the recipient's domain, so connections and pace are counted
in the same way: by provider where the hosts are known to be one provider's, else by the best hosts of the domain. Which
hosts are whose is data: providers.toml, and what an operator adds.

The grammar of a lane:

    lane  = site [ "@" pool ]
    site  = "mx:" provider / "mx:" hosts / kind ":" place *( "," place )    ; kind as smarthost, capture; place host ":" port
    hosts = host *( "," host )                                              ; sorted, lower case

The name of a provider has no dot; a host without one is written with its final dot, so that nobody's DNS can name a
provider's lane. Raises ValueError for providers that cannot be read, with a sentence that tells why.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from smtpeter.world.seams import MxHost

_MX = "mx:"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_PATTERN = re.compile(r"(?=.{1,253}\Z)(?:\*\.)?(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\Z")


@dataclass(frozen=True, slots=True)
class Providers:
    """Providers by name, each with its mail hosts as `mx.example.com` or `*.example.com`.

    Of two patterns that cover a host the longer one counts; of the same pattern twice the later.
    """

    patterns: Mapping[str, tuple[str, ...]]
    _names: Mapping[str, str] = field(init=False, repr=False, compare=False)  # by host, and by ".example.com"

    def __post_init__(self) -> None:
        names = {pattern.removeprefix("*"): name for name, held in self.patterns.items() for pattern in held}
        object.__setattr__(self, "_names", names)

    def name_of(self, host: str) -> str | None:
        """Gives the provider that a mail host (lower case, no final dot) belongs to, or None."""
        names = self._names
        name = names.get(host)
        dot = host.find(".")
        while name is None and dot >= 0:
            name = names.get(host[dot:])
            dot = host.find(".", dot + 1)
        return name


def read_providers(text: str) -> Providers:
    """Reads the `hosts` of each table of a TOML document as providers.toml. Raises ValueError."""
    found = {}
    for name, table in tomllib.loads(text).items():
        hosts = table.get("hosts") if isinstance(table, dict) else None
        if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
            raise ValueError(f"provider {name!r}: hosts must be a list of mail hosts")
        found[name] = tuple(hosts)
    return with_more(Providers({}), found)


def with_more(providers: Providers, more: Mapping[str, tuple[str, ...]]) -> Providers:
    """Gives providers with some added, or with other hosts where the name is there already. Raises ValueError.

    What is added goes before what was there when both claim the same pattern; no hosts: the provider is no more.
    """
    read = {name: _patterns(name, patterns) for name, patterns in more.items()}
    kept = {name: patterns for name, patterns in providers.patterns.items() if name not in read}
    return Providers(kept | {name: patterns for name, patterns in read.items() if patterns})


def _patterns(name: str, patterns: tuple[str, ...]) -> tuple[str, ...]:
    if not _NAME.match(name):
        raise ValueError(f"provider {name!r}: a name is made of a-z, 0-9, - and _, without a dot")
    lowered = tuple(pattern.lower() for pattern in patterns)
    for pattern in lowered:
        if not _PATTERN.match(pattern):
            raise ValueError(f'provider {name!r}: {pattern!r} is not a host as "mx.example.com" or "*.example.com"')
    return lowered


@cache
def shipped_text() -> str:
    """Gives providers.toml, the providers and limits that come with the program."""
    return resources.files("smtpeter.delivery").joinpath("providers.toml").read_text("utf-8")


@cache
def shipped_providers() -> Providers:
    """Gives the providers that come with the program."""
    return read_providers(shipped_text())


def site_lane(hosts: tuple[MxHost, ...], providers: Providers | None = None) -> str:
    """Gives the site of a domain by its mail hosts, at least one: those of the best preference decide.

    `providers` None: those that come with the program.
    """
    known = providers or shipped_providers()
    best = min([host.preference for host in hosts])
    names = {host.name for host in hosts if host.preference == best}
    owners = {known.name_of(name) for name in names}
    owner = owners.pop()
    if owner is not None and not owners:
        return _MX + owner
    return _MX + ",".join(sorted([name if "." in name else f"{name}." for name in names]))


def provider_of(site: str) -> str:
    """Gives the name of the provider whose site it is, or ""."""
    name = site.removeprefix(_MX)
    return "" if name == site or "." in name else name


def hosts_of(site: str) -> tuple[str, ...]:
    """Gives the hosts that a site names, without ports: none for a provider's and for those that have no hosts."""
    kind, _, places = site.partition(":")
    if kind == "mx":
        return () if "." not in places else tuple([place.removesuffix(".") for place in places.split(",")])
    return tuple([host for host, colon, _ in (place.rpartition(":") for place in places.split(",")) if colon])


def join_lane(site: str, pool: str) -> str:
    """Gives the lane of a site by way of a pool of local addresses; "" is the pool without a name."""
    return f"{site}@{pool}" if pool else site


def split_lane(lane: str) -> tuple[str, str]:
    """Gives the site and the pool of a lane."""
    site, _, pool = lane.partition("@")
    return site, pool
