"""Where a gateway is and how to come in: read from a URL once, strictly, before the first socket."""

import re
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from smtpeter.client.conversation import Request
from smtpeter.client.errors import Unreachable

_TOKEN = re.compile(r"[\x21-\x7e]+\Z")
_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway. `prefix` is the path before /v1; `wait` is the longest one for a connection or an answer."""

    host: str
    port: int
    prefix: str
    token: str = field(repr=False)
    context: ssl.SSLContext | None = field(repr=False)  # None: plain HTTP
    wait: timedelta

    @property
    def seconds(self) -> float:
        return self.wait.total_seconds()

    @property
    def authority(self) -> str:
        """The value of the Host field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.context else 80) else f"{host}:{self.port}"

    def target(self, request: Request) -> str:
        """Gives the path and query as they go over the wire."""
        # the address of a following page is the gateway's own and whole already
        known = self.prefix and request.target.startswith(f"{self.prefix}/v1/")
        return request.target if known else self.prefix + request.target

    def headers(self, request: Request) -> dict[str, str]:
        """Gives the header fields that go with a request, without Host and Content-Length."""
        return {
            "Accept": "application/json, */*;q=0.5",
            "Authorization": f"Bearer {self.token}",
            "User-Agent": "smtpeter-client",
            **request.headers,
        }


def read_place(url: str, token: str, wait: timedelta, ca_file: str | Path | None) -> Place:
    """Gives the place that a URL names, with or without /v1 at its end. Raises ValueError, and OSError for the file."""
    if not _TOKEN.match(token):
        raise ValueError("The token is empty or has a character that no token has; copy it once more.")
    if wait <= timedelta():
        raise ValueError("The timeout must be longer than nothing, as timedelta(seconds=30).")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url!r} is not the address of a gateway; write it as https://mail.example.com/v1.")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError(f"The token would travel unencrypted to {parts.hostname}; use https://.")
    prefix = parts.path.rstrip("/").removesuffix("/v1")
    context = None
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
    return Place(parts.hostname, parts.port or (443 if context else 80), prefix, token, context, wait)


def check_key(key: str) -> str:
    """Gives an Idempotency-Key that can be sent. Raises ValueError."""
    if not _KEY.match(key):
        raise ValueError("An Idempotency-Key is 1 to 255 printable ASCII characters without blanks.")
    return key


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def unreachable(place: Place, wrong: BaseException, *, is_uncertain: bool) -> Unreachable:
    """Gives the error for a socket's or a framing error."""
    is_timeout = isinstance(wrong, TimeoutError)
    what = f"no answer within {place.seconds:g} s" if is_timeout else str(wrong) or type(wrong).__name__
    where = f"{place.host}:{place.port}"
    if is_uncertain:
        return Unreachable(f"The connection to {where} broke: {what}.", is_uncertain=True, is_timeout=is_timeout)
    return Unreachable(f"There is no connection to {where}: {what}.", is_uncertain=False, is_timeout=is_timeout)


def untrusted(place: Place, wrong: ssl.SSLCertVerificationError) -> Unreachable:
    """Gives the error for a certificate that does not hold, which no further try mends."""
    return Unreachable(
        f"The certificate of {place.host}:{place.port} is not trusted: {wrong.verify_message}. "
        "Where the gateway has an authority of its own, name its file in `ca_file`.",
        is_uncertain=False,
    )
