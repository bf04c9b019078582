"""The kinds of value that a setting can have, and how each is read from TOML and written back.

TOML has no durations, networks or listening addresses, so these are strings in it. Each kind is one line of
`KINDS`: the Python type, the function that reads it and the one that shows it. A reader raises `ValueError` with
a sentence that tells how to write the value.
"""

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, NewType

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Pattern = NewType("Pattern", str)  # of recipients
DomainPattern = NewType("DomainPattern", str)
HostPattern = NewType("HostPattern", str)
Ip = NewType("Ip", str)
HelloName = NewType("HelloName", str)
Name = NewType("Name", str)  # of a smart host, pool or provider
Target = NewType("Target", str)
Origin = NewType("Origin", str)  # scheme and host of web addresses


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen. `host` "" is every address of the machine; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class TlsMode(StrEnum):
    """How a route is encrypted."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    VERIFIED = "verified"


class Via(StrEnum):
    """What a route can name beside the smart hosts; SMART_HOST is the one of `[delivery.smart_host]`."""

    MX = "mx"
    SMART_HOST = "smart_host"
    DISCARD = "discard"
    CAPTURE = "capture"


def matches(pattern: str, local: str, domain: str) -> bool:
    """True when a recipient pattern covers an address: `*`, `domain`, `*.domain`, or one of these after `local@`."""
    wanted, at, rest = pattern.rpartition("@")
    if at and wanted not in ("*", local):
        return False
    if rest.startswith("*."):
        return domain.endswith(rest[1:])
    return rest in ("*", domain)


def nearest(name: str, names: Iterable[str]) -> str:
    """Gives `; did you mean "x"?` when a known name is close, else nothing."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d)\Z")
_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]*)):(\d{1,5})\Z")
_PATTERN = re.compile(r"(?:(?:\*|[^@\s*]+)@)?(?:\*|(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\Z")


# no "@" and no dot: names stand in the names of lanes (delivery/site.py)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_HOST = r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*"
_HOST_PATTERN = re.compile(rf"(?:\*\.)?{_HOST}\Z")
_HELLO = re.compile(rf"(?:{_HOST}|\[[0-9A-Za-z:.]+\])?\Z")  # RFC 5321 4.1.1.1: a name, or an address literal
_TARGET = re.compile(r"[!-~]{1,1000}\Z")
_ORIGIN = re.compile(rf"(https?)://({_HOST})(?::([0-9]{{1,5}}))?/?\Z", re.IGNORECASE)


def read_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("must be true or false")


def read_int(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("must be a whole number, without quotes")


def read_str(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text in quotes")
    if any(c < " " or c == "\x7f" for c in value):
        raise ValueError("must not hold control characters or line breaks")
    return value


def read_duration(value: object) -> timedelta:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        return timedelta(seconds=value)
    if isinstance(value, str) and (found := _DURATION.match(value)):
        return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
    raise ValueError('must be a duration such as "90s", "5m", "1h", "2d", or a number of seconds')


def read_listen(value: object) -> Listen:
    found = _HOST_PORT.match(value) if isinstance(value, str) else None
    if not found or int(found[3]) > 65535:
        raise ValueError('must be "address:port", such as "127.0.0.1:2525", "[::1]:25" or ":587" for every address')
    host = found[1] or found[2] or ""
    return Listen("" if host == "*" else host, int(found[3]))


def read_network(value: object) -> Network:
    if isinstance(value, str):
        try:
            return ipaddress.ip_network(value)
        except ValueError as trouble:
            raise ValueError(f'must be a network such as "10.0.0.0/8": {trouble}') from None
    raise ValueError('must be a network such as "10.0.0.0/8"')


def read_path(value: object) -> Path:
    try:
        return Path(read_str(value)).expanduser()
    except RuntimeError:
        raise ValueError("must be a path; there is no such user whose home it could begin with") from None


def read_pattern(value: object) -> Pattern:
    if isinstance(value, str) and _PATTERN.match(value):
        local, at, domain = value.rpartition("@")
        return Pattern(local + at + domain.lower())  # a local part keeps its case, RFC 5321 2.4
    raise ValueError('must be a recipient pattern: "example.com", "*.example.com", "name@example.com" or "*"')


def read_domain_pattern(value: object) -> DomainPattern:
    if isinstance(value, str) and (value == "*" or _HOST_PATTERN.match(value)):
        return DomainPattern(value.lower())
    raise ValueError('must be a domain pattern: "example.com", "*.example.com" or "*"')


def read_host_pattern(value: object) -> HostPattern:
    if isinstance(value, str) and _HOST_PATTERN.match(value):
        return HostPattern(value.lower())
    raise ValueError('must be the name of a mail host: "mx.example.com" or "*.example.com"')


def read_ip(value: object) -> Ip:
    if isinstance(value, str):
        try:
            return Ip(str(ipaddress.ip_address(value)))
        except ValueError:
            pass
    raise ValueError('must be an address such as "192.0.2.7" or "2001:db8::7"')


def read_hello(value: object) -> HelloName:
    if isinstance(value, str) and _HELLO.match(value):
        return HelloName(value)
    raise ValueError('must be a host name such as "mail.example.com"')


def read_name(value: object) -> Name:
    if isinstance(value, str) and _NAME.match(value):
        return Name(value)
    raise ValueError("must be a name of at most 63 characters a-z, 0-9, - and _, without a dot")


def read_target(value: object) -> Target:
    if isinstance(value, str) and _TARGET.match(value):
        return Target(value if ":" in value else value.lower())  # a lane stays as it is written
    raise ValueError('must be a provider, a mail host, "*.example.com", a lane or "*"')


def read_origin(value: object) -> Origin:
    if value == "":
        return Origin("")
    if isinstance(value, str) and (found := _ORIGIN.match(value)) and 0 < int(found[3] or 1) < 65536:
        return Origin(value.rstrip("/").lower())
    raise ValueError('must be scheme and host alone, such as "https://clicks.example.com"')


def show_duration(value: timedelta) -> str:
    """Gives the shortest exact form: `"1h"`, not `"3600s"`."""
    milliseconds = round(value.total_seconds() * 1000)
    for unit, seconds in reversed(_UNITS.items()):
        if milliseconds % round(seconds * 1000) == 0:
            return f'"{milliseconds // round(seconds * 1000)}{unit}"'
    raise AssertionError("every duration is a number of milliseconds")


def show_str(value: object) -> str:
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type of value is read from what TOML gave and written as TOML."""

    read: Callable[[object], Any]
    show: Callable[[Any], str]


KINDS: dict[Any, Kind] = {
    bool: Kind(read_bool, lambda value: "true" if value else "false"),
    int: Kind(read_int, str),
    str: Kind(read_str, show_str),
    timedelta: Kind(read_duration, show_duration),
    Listen: Kind(read_listen, show_str),
    Network: Kind(read_network, show_str),
    Path: Kind(read_path, show_str),
    Pattern: Kind(read_pattern, show_str),
    DomainPattern: Kind(read_domain_pattern, show_str),
    HostPattern: Kind(read_host_pattern, show_str),
    Ip: Kind(read_ip, show_str),
    HelloName: Kind(read_hello, show_str),
    Name: Kind(read_name, show_str),
    Target: Kind(read_target, show_str),
    Origin: Kind(read_origin, show_str),
}


def read_choice(choices: type[StrEnum], value: object) -> StrEnum:
    """Gives the member with this value. Raises ValueError naming all of them."""
    names = [str(choice) for choice in choices]
    if isinstance(value, str) and value in names:
        return choices(value)
    raise ValueError(f"must be one of {', '.join(names)}{nearest(str(value), names)}")


def from_text(kind: Any, text: str) -> object:
    """Gives what TOML would give for a value that stands in the environment, where all is text."""
    if kind is bool:
        return _WORDS.get(text.strip().lower(), text)
    if kind is int and re.fullmatch(r"-?\d{1,18}", text.strip()):
        return int(text)
    if kind is timedelta and re.fullmatch(r"\d{1,9}", text.strip()):
        return int(text)
    return text
