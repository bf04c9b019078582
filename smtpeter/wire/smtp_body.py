"""The body of DATA or BDAT: finds its end, takes off stuffed dots, mends or reports line ends.

The end of data is CRLF "." CRLF and nothing else (RFC 5321 4.1.1.4), however the octets arrive: programs that
disagree about it let a sender smuggle a second message into the first. So a scan never looks at less than a whole
terminator: what could be the beginning of one is held back until the next octets are there. Each octet is looked at a
fixed number of times, and nothing but those few held octets is kept. Chunks (RFC 3030 2) have no terminator and no
stuffed dots; for the rest their content obeys the same rules.

Raises nothing; what is wrong with a body is told by `fault` once its end was seen.
"""

from enum import Enum

from smtpeter.wire.newlines import has_bare, has_line_over, normalize

END_OF_DATA = b"\r\n.\r\n"
MAX_LINE_OCTETS = 65536  # beyond RFC 5321 4.5.3.1.6, whose 998 many programs do not keep

# the longest first: a body that ends in one of these may be about to end
_BEGINNINGS = tuple(END_OF_DATA[:size] for size in range(len(END_OF_DATA) - 1, 0, -1))


class BodyFault(Enum):
    """Why a body cannot be taken. The order is that of telling when there are several."""

    TOO_LARGE = "too large"
    NUL = "NUL"
    BARE_NEWLINE = "bare CR or LF"
    LONG_LINE = "over-long line"


class _Scanner:
    """What the content of DATA and that of chunks have in common: it is counted, mended and examined as it grows."""

    __slots__ = ("_faults", "_line_octets", "_max_octets", "_normalizes", "octets")

    def __init__(self, max_octets: int, *, normalizes: bool) -> None:
        self._max_octets = max_octets
        self._normalizes = normalizes
        self._line_octets = 0  # of the line that has no end yet
        self._faults: set[BodyFault] = set()
        self.octets = 0  # of content so far, after unstuffing, as RFC 1870 counts

    @property
    def fault(self) -> BodyFault | None:
        """The gravest fault seen so far."""
        return next(fault for fault in BodyFault if fault in self._faults) if self._faults else None

    def _take(self, content: bytes) -> bytes:
        """Gives the next content as it is kept; b"" after a fault. No CRLF is cut by the ends of what comes in."""
        if self._normalizes:
            content = normalize(content)
        self.octets += len(content)
        if self.octets > self._max_octets:
            self._faults.add(BodyFault.TOO_LARGE)
            return b""
        self._examine(content)
        return b"" if self._faults else content

    def _examine(self, content: bytes) -> None:
        if b"\0" in content:
            self._faults.add(BodyFault.NUL)
        if not self._normalizes and has_bare(content):
            self._faults.add(BodyFault.BARE_NEWLINE)
        if self._line_octets + len(content) > MAX_LINE_OCTETS and self._has_long_line(content):
            self._faults.add(BodyFault.LONG_LINE)
        end = content.rfind(b"\r\n")
        self._line_octets = len(content) - end - 2 if end >= 0 else self._line_octets + len(content)

    def _has_long_line(self, content: bytes) -> bool:
        end = content.find(b"\r\n")
        first = self._line_octets + (len(content) if end < 0 else end)
        return first > MAX_LINE_OCTETS or (end >= 0 and has_line_over(content[end + 2 :], MAX_LINE_OCTETS))


class BodyScanner(_Scanner):
    """Takes the octets after `354` and gives the content. One scanner serves one body."""

    __slots__ = ("_held", "_is_first")

    def __init__(self, max_octets: int, *, normalizes: bool) -> None:
        super().__init__(max_octets, normalizes=normalizes)
        # the CRLF of the DATA line counts as the first of the terminator (RFC 5321 4.1.1.4)
        self._held = b"\r\n"
        self._is_first = True

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Gives the content that is now certain, and what follows the end of data; None while the end is to come.

        After a fault the content is empty, but the end is still found.
        """
        data = self._held + data
        end = data.find(END_OF_DATA)
        if end >= 0:
            return self._unstuffed(data[: end + 2]), data[end + len(END_OF_DATA) :]
        self._held = next(filter(data.endswith, _BEGINNINGS), b"")
        return self._unstuffed(data[: len(data) - len(self._held)] if self._held else data), None

    def _unstuffed(self, raw: bytes) -> bytes:
        if not raw:
            return raw
        # RFC 5321 4.5.2: a leading dot goes. `raw` begins where a held CRLF begins, so that none is overlooked
        content = raw.replace(b"\r\n.", b"\r\n") if b"\r\n." in raw else raw
        if self._is_first:
            self._is_first = False
            content = content[2:]
        return self._take(content)


class ChunkScanner(_Scanner):
    """Takes the octets of chunks (RFC 3030) and gives the content. One scanner serves all chunks of a message."""

    __slots__ = ("_held",)

    def __init__(self, max_octets: int, *, normalizes: bool) -> None:
        super().__init__(max_octets, normalizes=normalizes)
        self._held = b""

    def announce(self, octets: int) -> None:
        """Notes that so many more are to come, which may be too many already."""
        if self.octets + octets > self._max_octets:
            self._faults.add(BodyFault.TOO_LARGE)

    def feed(self, data: bytes) -> bytes:
        """Gives the content that is now certain, b"" after a fault."""
        data = self._held + data
        # a line end may be cut by the end of a chunk
        self._held = b"\r" if data.endswith(b"\r") else b""
        return self._take(data[:-1] if self._held else data)

    def end(self) -> bytes:
        """Gives what was held, and the last line end when there is none, which a body of DATA always has."""
        rest, self._held = self._take(self._held), b""
        return rest + self._take(b"\r\n") if self._line_octets else rest
