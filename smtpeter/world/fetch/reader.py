"""Where an answer begins and ends: octets in, head and content out. No socket, no clock.

The mirror image of `world/http_framing.py`: llhttp splits the fields and is strict about their octets, what ends an
answer is decided here, and what is not exactly as RFC 9112 writes it ends the connection. Everything is bounded: the
head, interim answers, and what a chunked body spends on framing.

RFC 9112 (HTTP/1.1), RFC 9110 (semantics). Raises FetchTrouble.
"""

import re
from typing import NamedTuple

import httptools

from smtpeter.world.fetch.trouble import FetchTrouble, Slug
from smtpeter.world.http_chunks import Chunks
from smtpeter.world.http_limits import HttpRefusal

MAX_HEAD_BYTES = 32 * 2**10  # as L14, interim answers included
MAX_INTERIM = 8
MAX_FRAMING_BYTES = 16 * 2**10  # of chunks, besides a quarter of their content

Fields = tuple[tuple[bytes, bytes], ...]

_HEAD_END = b"\r\n\r\n"
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9]{2}(?: [\t -~\x80-\xff]*+)?\r\n")
_LENGTH = re.compile(rb"[0-9]{1,18}\Z")
_NO_LIMIT = 1 << 62  # the client counts the content itself


class Head(NamedTuple):
    """An answer up to its body; names of fields in lower case."""

    status: int
    fields: Fields

    def values(self, name: bytes) -> list[bytes]:
        """Gives the values of a field."""
        return [value for known, value in self.fields if known == name]

    def value(self, name: bytes) -> bytes | None:
        """Gives the first value of a field, None when it is not there."""
        return next(iter(self.values(name)), None)


class _Told:
    """What llhttp tells."""

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.strip(b" \t")))


class AnswerReader:
    """One answer, the only one of its connection. `head` is None until it is complete; `length` None: not announced."""

    __slots__ = ("_chunks", "_content", "_framing", "_head_bytes", "_held", "_interim", "_left", "head", "is_complete")

    def __init__(self) -> None:
        self.head: Head | None = None
        self.is_complete = False
        self._held = bytearray()  # of a head that is not complete
        self._head_bytes = 0  # of interim answers before it
        self._interim = 0
        self._chunks: Chunks | None = None
        self._left: int | None = None  # of a body whose length was announced
        self._framing = 0
        self._content = 0

    @property
    def length(self) -> int | None:
        """What is still to come of a body whose length was announced."""
        return self._left

    def feed(self, data: bytes) -> bytes:
        """Takes what has arrived, gives the content that was in it. What follows the end of the answer is dropped."""
        if self.head is None:
            data = self._read_head(data)
        return self._read_body(data) if data and self.head is not None and not self.is_complete else b""

    def end(self) -> None:
        """Takes the end of the connection, which ends a body without an announced length (RFC 9112 6.3)."""
        is_open = self.head is not None and self._chunks is None and self._left is None
        if not (self.is_complete or is_open):
            raise FetchTrouble(Slug.LOST)
        self.is_complete = True

    # ---- the head

    def _read_head(self, data: bytes) -> bytes:
        """Gives what follows the head of the final answer."""
        held = self._held
        start = max(0, len(held) - len(_HEAD_END) + 1)  # what is before was searched
        held += data
        while self.head is None:
            end = held.find(_HEAD_END, start)
            size = len(held) if end < 0 else end + len(_HEAD_END)
            if self._head_bytes + size > MAX_HEAD_BYTES:
                raise FetchTrouble(Slug.HEAD)
            if _BARE_LINE_FEED.search(held, start, size):
                raise FetchTrouble(Slug.MALFORMED)
            if end < 0:
                return b""
            self._head_bytes += size
            self._take(_parse(bytes(held[:size])))
            del held[:size]
            start = 0
        rest = bytes(held)
        held.clear()
        return rest

    def _take(self, head: Head) -> None:
        if head.status == 101:
            raise FetchTrouble(Slug.MALFORMED)  # RFC 9110 15.2.2: nobody asked for another protocol
        if head.status < 200:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise FetchTrouble(Slug.MALFORMED)
            return
        self.head = head
        self._frame(head)

    def _frame(self, head: Head) -> None:
        """Decides how the body ends (RFC 9112 6.3)."""
        codings = head.values(b"transfer-encoding")
        lengths = head.values(b"content-length")
        if head.status in (204, 304):
            self.is_complete = True
        elif codings:
            # RFC 9112 6.1: chunked alone was agreed on, and a length beside it is an attack or an error
            if lengths or [coding.lower() for coding in codings] != [b"chunked"]:
                raise FetchTrouble(Slug.MALFORMED)
            self._chunks = Chunks(_NO_LIMIT)
        elif lengths:
            if len(lengths) > 1 or not _LENGTH.match(lengths[0]):
                raise FetchTrouble(Slug.MALFORMED)
            self._left = int(lengths[0])
            self.is_complete = self._left == 0

    # ---- the body

    def _read_body(self, data: bytes) -> bytes:
        if self._chunks is not None:
            return self._read_chunks(self._chunks, data)
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
            self.is_complete = self._left == 0
        return data

    def _read_chunks(self, chunks: Chunks, data: bytes) -> bytes:
        try:
            content, framed, _ = chunks.read(data)
        except HttpRefusal:
            raise FetchTrouble(Slug.MALFORMED) from None
        self._content += len(content)
        self._framing += len(framed) - len(content)
        # each chunk costs as much as many octets, so a body in crumbs is refused
        if self._framing > MAX_FRAMING_BYTES + self._content // 4:
            raise FetchTrouble(Slug.MALFORMED)
        self.is_complete = chunks.is_complete
        return content


def _parse(data: bytes) -> Head:
    if not _STATUS_LINE.match(data):
        raise FetchTrouble(Slug.MALFORMED)
    told = _Told()
    parser = httptools.HttpResponseParser(told)
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        raise FetchTrouble(Slug.MALFORMED) from None
    return Head(parser.get_status_code(), tuple(told.fields))
