"""Content codings of answers: gzip is offered, nothing else is taken, and both sides of it are counted (L16).

One layer, at most 100 members (RFC 1952 2.2 lets files follow each other), output capped by size and by its ratio to
the input. "deflate" is not offered: servers disagree about what it is, and all of them have gzip.

RFC 9110 8.4, RFC 1952. Raises FetchTrouble.
"""

import zlib
from typing import Protocol

from smtpeter.world.fetch.reader import Head
from smtpeter.world.fetch.trouble import FetchTrouble, Slug

OFFERED = "gzip"
MAX_RATIO = 200  # L16
FREE_BYTES = 64 * 2**10  # of output, before the ratio counts: little input can be very regular
MAX_MEMBERS = 100

_GZIP = 16 + zlib.MAX_WBITS  # the gzip wrapper and no other


class Decoder(Protocol):
    """Turns the body of an answer into content."""

    def feed(self, data: bytes) -> bytes:
        """Gives the content that is in the next octets."""

    def end(self) -> None:
        """Takes the end of the body."""


class Identity:
    """A body that is its content, of `max_bytes` at most."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._total = 0

    def feed(self, data: bytes) -> bytes:
        """Gives the octets as they are."""
        self._total += len(data)
        if self._total > self._max_bytes:
            raise FetchTrouble(Slug.SIZE, limit=self._max_bytes)
        return data

    def end(self) -> None:
        """Is always at a good end."""


class Gzip:
    """A body in gzip, of `max_bytes` at most, before and after."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._inflate = zlib.decompressobj(_GZIP)
        self._members = 1
        self._wire = 0
        self._total = 0

    def feed(self, data: bytes) -> bytes:
        """Gives what the octets decompress to."""
        self._wire += len(data)
        if self._wire > self._max_bytes:
            raise FetchTrouble(Slug.SIZE, limit=self._max_bytes)
        parts = []
        while data:
            if self._inflate.eof:
                self._members += 1
                if self._members > MAX_MEMBERS:
                    raise FetchTrouble(Slug.CODING)
                self._inflate = zlib.decompressobj(_GZIP)
            parts.append(self._step(data))
            data = self._inflate.unused_data
        return b"".join(parts)

    def _step(self, data: bytes) -> bytes:
        allowed = min(self._max_bytes, FREE_BYTES + MAX_RATIO * self._wire)
        try:
            # one octet more than is allowed shows that there is more, and nothing beyond it is made
            content = self._inflate.decompress(data, allowed - self._total + 1)
        except zlib.error:
            raise FetchTrouble(Slug.CODING) from None
        self._total += len(content)
        if self._total > self._max_bytes:
            raise FetchTrouble(Slug.SIZE, limit=self._max_bytes)
        if self._total > allowed:
            raise FetchTrouble(Slug.RATIO, limit=MAX_RATIO)
        return content

    def end(self) -> None:
        """Raises when the last member is not complete, checksum included."""
        if self._wire and not self._inflate.eof:
            raise FetchTrouble(Slug.CODING)


def decoder_of(head: Head, max_bytes: int) -> Decoder:
    """Gives what decodes the body that follows a head. Raises for a coding that was not offered."""
    codings = [coding.strip().lower() for value in head.values(b"content-encoding") for coding in value.split(b",")]
    match [coding for coding in codings if coding not in (b"", b"identity")]:
        case []:
            return Identity(max_bytes)
        case [b"gzip" | b"x-gzip"]:  # RFC 9110 8.4.1.3
            return Gzip(max_bytes)
        case _:
            raise FetchTrouble(Slug.CODING)
