"""The body of DATA: finds its end, takes off stuffed dots, mends or reports line ends.

The end of data is CRLF "." CRLF and nothing else (RFC 5321 4.1.1.4), however the octets arrive: programs that
disagree about it let a sender smuggle a second message into the first. So a scan never looks at less than a whole
terminator: what could be the beginning of one is held back until the next octets are there. Each octet is looked at a
fixed number of times, and nothing but those few held octets is kept.

Raises nothing; what is wrong with a body is told by `BodyScanner.fault` once its end was seen.
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


class BodyScanner:
    """Takes the octets after `354` and gives the content. One scanner serves one body."""

    __slots__ = ("_faults", "_held", "_is_first", "_line_octets", "_max_octets", "_normalizes", "octets")

    def __init__(self, max_octets: int, *, normalizes: bool) -> None:
        self._max_octets = max_octets
        self._normalizes = normalizes
        # the CRLF of the DATA line counts as the first of the terminator (RFC 5321 4.1.1.4)
        self._held = b"\r\n"
        self._is_first = True
        self._line_octets = 0
        self._faults: set[BodyFault] = set()
        self.octets = 0  # of content so far, after unstuffing, as RFC 1870 counts

    @property
    def fault(self) -> BodyFault | None:
        """The gravest fault seen so far."""
        return next((fault for fault in BodyFault if fault in self._faults), None)

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Gives the content that is now certain, and what follows the end of data; None while the end is to come.

        After a fault the content is empty, but the end is still found.
        """
        data = self._held + data
        end = data.find(END_OF_DATA)
        if end >= 0:
            return self._content(data[: end + 2]), data[end + len(END_OF_DATA) :]
        self._held = next(filter(data.endswith, _BEGINNINGS), b"")
        return self._content(data[: len(data) - len(self._held)] if self._held else data), None

    def _content(self, raw: bytes) -> bytes:
        if not raw:
            return raw
        # RFC 5321 4.5.2: a leading dot goes. `raw` begins where a held CRLF begins, so that none is overlooked
        content = raw.replace(b"\r\n.", b"\r\n") if b"\r\n." in raw else raw
        if self._is_first:
            self._is_first = False
            content = content[2:]
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
