"""The body of a request in chunks: where it ends, and what is in it (RFC 9112 7.1).

Extensions and trailers mean nothing to us, so they are few (W3). Raises HttpRefusal, for the first octet at fault.
"""

import re

from smtpeter.world.http_limits import HttpRefusal

MAX_EXTENSION_BYTES = 1024  # of all chunks of a body together
MAX_TRAILER_BYTES = 1024
MAX_TRAILERS = 16

# chunk-size [ chunk-ext ] CRLF (RFC 9112 7.1); a size of 15 digits is larger than any limit
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15}+)(;[^\x00-\x08\x0a-\x1f\x7f]*+)?\r\n")
_TRAILER_LINE = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[^\x00-\x08\x0a-\x1f\x7f]*+)?\r\n")
_LONGEST_CHUNK_LINE = 15 + MAX_EXTENSION_BYTES + 2


class Chunks:
    """One body. Lines are held back until they are complete, content passes at once."""

    __slots__ = (
        "_extensions",
        "_held",
        "_left",
        "_limit",
        "_room",
        "_step",
        "_trailer_bytes",
        "_trailers",
        "is_complete",
    )

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._room = limit  # content that may still be announced
        self._left = 0  # of the chunk at hand
        self._held = b""
        self._step = self._size
        self._extensions = 0
        self._trailers = 0
        self._trailer_bytes = 0
        self.is_complete = False

    def read(self, data: bytes) -> tuple[bytes, bytes, bytes]:
        """Gives the content, the octets of the body (a line that is not complete comes later), and what follows it."""
        data = self._held + data
        content = bytearray()
        at = 0
        while not self.is_complete:
            after = self._step(data, at, content)
            if after < 0:
                break
            at = after
        framed, behind = data[:at], data[at:]
        if self.is_complete:
            return bytes(content), framed, behind
        self._held = behind
        return bytes(content), framed, b""

    # each step gives the index behind what it took, -1 when more must come

    def _size(self, data: bytes, at: int, content: bytearray) -> int:
        line = _CHUNK_LINE.match(data, at)
        if line is None:
            return self._unfinished(data, at, _LONGEST_CHUNK_LINE, "a chunk has no proper size")
        self._extensions += len(line[2] or b"")
        if self._extensions > MAX_EXTENSION_BYTES:
            raise HttpRefusal("bad_request", reason="there are too many chunk extensions")
        self._left = int(line[1], 16)
        self._room -= self._left
        if self._room < 0:
            raise HttpRefusal("body_too_large", limit=self._limit)
        self._step = self._content if self._left else self._trailer
        return line.end()

    def _content(self, data: bytes, at: int, content: bytearray) -> int:
        piece = data[at : at + self._left]
        content += piece
        self._left -= len(piece)
        if not self._left:
            self._step = self._end_of_chunk
        return at + len(piece) if piece else -1

    def _end_of_chunk(self, data: bytes, at: int, content: bytearray) -> int:
        if data.startswith(b"\r\n", at):
            self._step = self._size
            return at + 2
        return self._unfinished(data, at, 2, "a chunk is not as long as it says")

    def _trailer(self, data: bytes, at: int, content: bytearray) -> int:
        line = _TRAILER_LINE.match(data, at)
        if line is None:
            return self._unfinished(data, at, MAX_TRAILER_BYTES, "its trailer section is malformed or too large")
        size = line.end() - at
        if size == 2:
            self.is_complete = True
            return line.end()
        self._trailers += 1
        self._trailer_bytes += size
        if self._trailers > MAX_TRAILERS or self._trailer_bytes > MAX_TRAILER_BYTES:
            raise HttpRefusal("bad_request", reason="its trailer section is too large")
        return line.end()

    @staticmethod
    def _unfinished(data: bytes, at: int, max_bytes: int, reason: str) -> int:
        """Gives -1 while what begins at `at` may still become a line of `max_bytes`."""
        if len(data) - at >= max_bytes or data.find(b"\n", at) >= 0:
            raise HttpRefusal("bad_request", reason=reason)
        return -1
