"""Who follows a link or loads a picture, as far as its event tells: address, header section, and whether it is a machine.

Cookies and credentials are left out of the header section; what is told of it is bounded (T3, K4). Raises nothing.
"""

import re
from dataclasses import dataclass, field

from starlette.types import Scope

from smtpeter.config import Network
from smtpeter.doors.rest.client import caller
from smtpeter.doors.track.machines import is_machine

MAX_HEADER_OCTETS = 4096
MAX_VALUE_OCTETS = 1024  # T3
_SECRET = frozenset({b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"})
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Visitor:
    """One request. `headers` has a field a line, each ended by CRLF, names in lower case."""

    ip: str
    headers: str = field(repr=False)
    protocol: str
    useragent: str
    referer: str
    machine: bool


def visitor_of(scope: Scope, proxies: tuple[Network, ...]) -> Visitor:
    """Gives who asks. A HEAD is a machine's: no mail program shows what has no content."""
    fields: list[tuple[bytes, bytes]] = scope["headers"]
    named = dict(fields)
    useragent = _text(named.get(b"user-agent", b""))
    return Visitor(
        ip=caller(scope, named, proxies)[0],
        headers=_section(fields),
        protocol=f"HTTP/{scope['http_version']}",
        useragent=useragent,
        referer=_text(named.get(b"referer", b"")),
        machine=scope["method"] == "HEAD" or is_machine(useragent, named),
    )


def _section(fields: list[tuple[bytes, bytes]]) -> str:
    lines: list[str] = []
    left = MAX_HEADER_OCTETS
    for name, value in fields:
        if name in _SECRET:
            continue
        left -= len(name) + min(len(value), MAX_VALUE_OCTETS) + 4
        if left < 0:
            break
        lines.append(f"{_text(name)}: {_text(value)}\r\n")
    return "".join(lines)


def _text(octets: bytes) -> str:
    text = octets[:MAX_VALUE_OCTETS].decode("utf-8", "replace")
    return text if text.isprintable() else _CONTROLS.sub("\ufffd", text)
