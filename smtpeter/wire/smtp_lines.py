"""Splits what a client sends into command lines, and sees what is no SMTP at all.

One line is one command (RFC 5321 2.3.8): it ends at CRLF and nowhere else, and an over-long one is skipped up to its
end, never executed in parts. The reader keeps at most one line that is not complete; what has come in behind it stays
until it is asked for.

Raises nothing.
"""

from enum import Enum, auto

# what a browser or a web robot says first; the last one begins HTTP/2 (RFC 9113 3.4)
FOREIGN_VERBS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"})

_LOGIN_COMMAND = b"AUTH "
_TAB, _LF, _CR, _BLANK, _DEL = b"\t\n\r \x7f"


class Odd(Enum):
    """What stands in the place of a line."""

    LONG = auto()  # a line over the limit was skipped
    FOREIGN = auto()  # this is another protocol
    SKIPPED = auto()  # the octets of `LineReader.skip` have gone by


class LineReader:
    """A buffer of received octets, read as lines."""

    __slots__ = ("_at", "_buffer", "_is_skipping_line", "_max_auth_octets", "_max_octets", "_to_skip")

    def __init__(self, max_octets: int, max_auth_octets: int) -> None:
        """The limits count the CRLF; the second is that of AUTH and of the lines of its exchange."""
        self._max_octets = max_octets
        self._max_auth_octets = max_auth_octets
        self._buffer = b""
        self._at = 0
        self._is_skipping_line = False
        self._to_skip: int | None = None

    def __len__(self) -> int:
        return len(self._buffer) - self._at

    def feed(self, data: bytes) -> None:
        """Adds octets."""
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0

    def take_all(self) -> bytes:
        """Gives everything that was not read as lines and forgets it."""
        data = self._buffer[self._at :] if self._at else self._buffer
        self._buffer, self._at = b"", 0
        return data

    def take(self, octets: int) -> bytes:
        """Gives at most so many of the octets that were not read as lines, and forgets them."""
        start = self._at
        if len(self._buffer) - start <= octets:
            return self.take_all()
        self._at = start + octets
        return self._buffer[start : self._at]

    @property
    def is_skipping(self) -> bool:
        """True while octets of `skip` are to come."""
        return self._to_skip is not None

    def skip(self, octets: int) -> None:
        """Makes the next `octets` go by unread; `next` tells when they have."""
        self._to_skip = octets

    def next(self, *, is_login: bool = False) -> bytes | Odd | None:
        """Gives the next line without its CRLF; None when it is not complete. `is_login`: within an AUTH exchange."""
        if self._to_skip is not None:
            return self._skip_octets(self._to_skip)
        buffer, start = self._buffer, self._at
        if start >= len(buffer):
            return None
        if self._is_skipping_line:
            return self._skip_line()
        if not is_login and _is_noise(buffer[start]):
            return Odd.FOREIGN
        end = buffer.find(b"\r\n", start)
        # a CR at the very end may be half of the line's end
        size = end - start if end >= 0 else len(buffer) - start - (buffer[-1] == _CR)
        if size + 2 > self._max_octets and size + 2 > self._limit(is_login):
            return self._begin_skipping()
        if end < 0:
            return None
        self._at = end + 2
        return buffer[start:end]

    def _limit(self, is_login: bool) -> int:
        start = self._at
        if is_login or self._buffer[start : start + len(_LOGIN_COMMAND)].upper() == _LOGIN_COMMAND:
            return self._max_auth_octets
        return self._max_octets

    def _begin_skipping(self) -> Odd | None:
        verb = self._buffer[self._at : self._at + 8].partition(b" ")[0]
        if verb.decode("ascii", "replace").upper() in FOREIGN_VERBS:
            return Odd.FOREIGN
        self._is_skipping_line = True
        return self._skip_line()

    def _skip_line(self) -> Odd | None:
        end = self._buffer.find(b"\r\n", self._at)
        if end < 0:
            self._buffer, self._at = (b"\r" if self._buffer.endswith(b"\r") else b""), 0
            return None
        self._at = end + 2
        self._is_skipping_line = False
        return Odd.LONG

    def _skip_octets(self, octets: int) -> Odd | None:
        here = min(octets, len(self))
        self._at += here
        self._to_skip = octets - here if here < octets else None
        return Odd.SKIPPED if self._to_skip is None else None


def _is_noise(first: int) -> bool:
    # a control, as in the first octet 22 of a TLS record (RFC 8446 5.1), or no ASCII
    return (first < _BLANK and first not in (_TAB, _LF, _CR)) or first >= _DEL
