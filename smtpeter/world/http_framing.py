"""Where a request begins and ends: octets in, request heads and pieces of bodies out. No socket, no clock.

Two parties that disagree about the end of a request execute different requests (request smuggling), so nothing is
guessed here: what is not exactly as RFC 9112 writes it ends the connection. llhttp splits the fields and is strict about
their octets (bare CR or LF, white space before a colon, folded lines, controls, malformed or conflicting lengths); what
it lets pass or leaves unbounded is refused by us. It is fed one request at a time, cut where *we* see the end, and must
see the end at the same octet.

Sources: RFC 9112 (HTTP/1.1), RFC 9110 (semantics), RFC 1945 (HTTP/1.0). Raises HttpRefusal, nothing else.

What is decided depends on the octets alone, never on how they were split on their way: limits and bare line feeds are
noticed at a fixed octet, everything else in a head when the head is complete.
"""

import re
from typing import NamedTuple

import httptools

from smtpeter.world.http_chunks import Chunks
from smtpeter.world.http_limits import HttpLimits, HttpRefusal

Fields = list[tuple[bytes, bytes]]

_HEAD_END = b"\r\n\r\n"
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
# method SP request-target SP HTTP-version CRLF (RFC 9112 3); a target has no fragment
_REQUEST_LINE = re.compile(rb"([A-Z][A-Z-]*+) (/[!\"$->@-~]*+)(?:\?([!\"$-~]*+))? HTTP/1\.([01])\r\n")
# the same with the other forms of a target, absolute and asterisk (RFC 9112 3.2.2, 3.2.4)
_RARE_REQUEST_LINE = re.compile(
    rb"([A-Z][A-Z-]*+) (?:[Hh][Tt][Tt][Pp][Ss]?://[!\"$-.0->@-~]++(/[!\"$->@-~]*+)?(?:\?([!\"$-~]*+))?|\*)"
    rb" HTTP/1\.([01])\r\n"
)
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*+", re.IGNORECASE)
# uri-host [ ":" port ] (RFC 9110 7.2), as characters only: nothing here believes it (W8)
_HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*+")
_MAX_LENGTH_DIGITS = 18
_SINGLE = (b"host", b"content-length", b"transfer-encoding", b"expect")


class Head(NamedTuple):
    """A request up to its body. `is_kept`: the connection may be used again; `expects`: a 100 is waited for."""

    method: str
    path: bytes  # as sent, percent-encoded
    query: bytes
    version: str  # "1.0" or "1.1"
    fields: Fields  # names in lower case
    is_kept: bool
    expects: bool


class _Told:
    """What llhttp tells."""

    __slots__ = ("fields", "is_complete")

    def __init__(self) -> None:
        self.fields: Fields = []
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value))

    def on_message_complete(self) -> None:
        self.is_complete = True


class RequestReader:
    """The requests of one connection, one at a time: `head` until it gives one, `body` until `is_complete`, again.

    `rest` is what came behind the head, and when the request is complete, behind the request; it is the caller's to
    hand to `body` or `head`.
    """

    __slots__ = (
        "_chunks",
        "_host",
        "_left",
        "_limits",
        "_line",
        "_line_octets",
        "_llhttp",
        "_partial",
        "_short_bytes",
        "_told",
        "is_complete",
        "rest",
    )

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._told = _Told()
        self._llhttp = httptools.HttpRequestParser(self._told)
        self._partial: _PartialHead | None = None
        self._host: bytes | None = None  # the last one, found to be well-formed
        self._line_octets = b"\n"  # the last request line; most clients make the same call again
        self._line = _Line("", b"", b"", False)
        self._left = 0  # of a body whose length was said
        self._chunks: Chunks | None = None
        # a head up to this size exceeds no limit, however it is made up
        self._short_bytes = min(limits.max_request_line_bytes, limits.max_header_bytes)
        self.is_complete = True
        self.rest = b""

    @property
    def has_part_of_head(self) -> bool:
        """True when octets of a request have come, but not its whole head."""
        return self._partial is not None and not self._partial.is_empty

    def head(self, data: bytes) -> Head | None:
        """Takes octets; gives the head when they complete it, and keeps what follows it in `rest`."""
        partial = self._partial
        if partial is None:
            end = data.find(_HEAD_END) + 4
            if end < 4 or end > self._short_bytes or data[0] in b"\r\n":
                partial = self._partial = _PartialHead(self._limits)
        if partial is not None:
            end = partial.add(data)
            if end < 0:
                return None
            data, self._partial = bytes(partial.octets), None
        if end == len(data):
            self.rest = b""
            return self._understand(data)
        self.rest = data[end:]
        return self._understand(data[:end])

    def body(self, data: bytes) -> bytes:
        """Takes octets of a body; gives its content in them, and keeps what follows the request in `rest`."""
        chunks = self._chunks
        if chunks is None:
            if len(data) > self._left:
                data, self.rest = data[: self._left], data[self._left :]
            else:
                self.rest = b""
            self._left -= len(data)
            content = framed = data
            self.is_complete = not self._left
        else:
            content, framed, self.rest = chunks.read(data)
            self.is_complete = chunks.is_complete
        self._feed(framed)
        if self._told.is_complete is not self.is_complete:
            raise HttpRefusal("bad_request", reason="its body does not end where it says")
        return content

    def _understand(self, octets: bytes) -> Head:
        """Gives what a complete head says, and readies itself for the body."""
        fields: Fields = []
        told = self._told
        told.is_complete, told.fields = False, fields
        self._feed(octets)
        if b" \r\n" in octets or b"\t\r\n" in octets:
            fields[:] = [(name, value.rstrip(b" \t")) for name, value in fields]  # RFC 9112 5.1
        told.fields = []  # trailers must not come among the fields (RFC 9110 6.5.1)
        if not octets.startswith(self._line_octets):
            self._line = _understand_line(octets)
            self._line_octets = octets[: octets.index(b"\n") + 1]
        method, path, query, is_old = self._line
        named = dict(fields)
        if len(named) != len(fields):
            _join(named, fields)
        host = named.get(b"host")
        if host is None or host != self._host:
            self._check_host(host, is_old=is_old)
        if b"content-length" in named or b"transfer-encoding" in named:
            self._expect_body(named, is_old=is_old)
        else:
            self.is_complete = True
        if told.is_complete is not self.is_complete:
            raise HttpRefusal("bad_request", reason="its body does not begin where it says")
        # RFC 9110 10.1.1: ignored in HTTP/1.0, and where there is no content
        expects = b"expect" in named and not is_old and _expects(named[b"expect"]) and not self.is_complete
        is_kept = _is_kept(named[b"connection"], is_old=is_old) if b"connection" in named else not is_old
        return Head(method, path, query, "1.0" if is_old else "1.1", fields, is_kept, expects)

    def _check_host(self, host: bytes | None, *, is_old: bool) -> None:
        """Sees to it that there is a well-formed Host (RFC 9112 3.2)."""
        if host is None:
            if not is_old:
                raise HttpRefusal("bad_request", reason="there is no Host header")
        elif not _HOST.fullmatch(host):
            raise HttpRefusal("bad_request", reason="the Host header is not a host name")
        self._host = host

    def _expect_body(self, named: dict[bytes, bytes], *, is_old: bool) -> None:
        """Finds how the body ends (RFC 9112 6.3)."""
        coding, length = named.get(b"transfer-encoding"), named.get(b"content-length", b"")
        if coding is not None:
            if is_old:  # RFC 9112 6.1
                raise HttpRefusal("bad_request", reason="HTTP/1.0 has no Transfer-Encoding")
            if coding.lower() != b"chunked":
                raise HttpRefusal("bad_request", reason="the only transfer coding that is understood is chunked")
            if length:
                raise HttpRefusal("bad_request", reason="Content-Length and Transfer-Encoding exclude each other")
            self._chunks, self.is_complete = Chunks(self._limits.max_body_bytes), False
            return
        if not length.isdigit():
            raise HttpRefusal("bad_request", reason="Content-Length is not a number")
        if len(length) > _MAX_LENGTH_DIGITS or int(length) > self._limits.max_body_bytes:
            raise HttpRefusal("body_too_large", limit=self._limits.max_body_bytes)
        self._chunks, self._left = None, int(length)
        self.is_complete = not self._left

    def _feed(self, octets: bytes) -> None:
        try:
            self._llhttp.feed_data(octets)
        except httptools.HttpParserUpgrade:
            self._stay(octets)
        except httptools.HttpParserError as error:
            raise HttpRefusal("bad_request", reason=error) from None

    def _stay(self, octets: bytes) -> None:
        """Ignores a wish for another protocol (RFC 9110 7.8), where llhttp would not read the body any more."""
        without = _UPGRADE.sub(b"", octets)
        if without == octets:  # CONNECT
            raise HttpRefusal("bad_request", reason="no other protocol is spoken here")
        self._told.is_complete = False
        self._told.fields.clear()
        self._llhttp = httptools.HttpRequestParser(self._told)
        self._feed(without)


class _Line(NamedTuple):
    """A request line."""

    method: str
    path: bytes
    query: bytes
    is_old: bool


def _understand_line(octets: bytes) -> _Line:
    line = _REQUEST_LINE.match(octets) or _RARE_REQUEST_LINE.match(octets)
    if line is None:
        raise HttpRefusal("bad_request", reason="the request line is not METHOD /path HTTP/1.1")
    method, path, query, minor = line.groups()
    if path is None:
        is_whole_server = method == b"OPTIONS"  # RFC 9112 3.2.4
        if not is_whole_server and octets.startswith(method + b" * "):
            raise HttpRefusal("bad_request", reason="only OPTIONS asks about *")
        path = b"*" if is_whole_server else b"/"
    return _Line(method.decode("ascii"), path, query or b"", minor == b"0")


def _join(named: dict[bytes, bytes], fields: Fields) -> None:
    """Deals with fields that came several times: one that may not is refused, Connection is a list (RFC 9110 5.3)."""
    names = [name for name, _ in fields]
    for name in _SINGLE:
        if names.count(name) > 1:
            raise HttpRefusal("bad_request", reason=f"{name.decode()} is given twice")
    if b"connection" in named:
        named[b"connection"] = b",".join(value for name, value in fields if name == b"connection")


def _is_kept(connection: bytes, *, is_old: bool) -> bool:
    """Says whether the client wants to use the connection again (RFC 9112 9.3)."""
    options = {option.strip(b" \t") for option in connection.lower().split(b",")}
    return b"close" not in options and (not is_old or b"keep-alive" in options)


def _expects(expectation: bytes) -> bool:
    """Gives True for the one expectation that there is (RFC 9110 10.1.1)."""
    if expectation.lower() != b"100-continue":
        raise HttpRefusal("expectation_failed")
    return True


class _PartialHead:
    """A head that has not come in one piece, or is large. `octets` holds all that came."""

    __slots__ = ("_has_skipped", "_limits", "_line_end", "octets")

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._line_end = -1
        self._has_skipped = False
        self.octets = bytearray()

    @property
    def is_empty(self) -> bool:
        return not self.octets

    def add(self, data: bytes) -> int:
        """Gives the index behind the head, -1 while it is not complete. Each octet is looked at once.

        Several things may be wrong with what came; the one that shows at the earliest octet is told.
        """
        octets, known = self.octets, len(self.octets)
        octets += data
        if known < 3:
            if not self._begins_well():
                raise HttpRefusal("bad_request", reason="it does not begin with a method")
            known = 0
        end, too_late, code, limit = self._look(known)
        bare = _BARE_LINE_FEED.search(octets, known, max(known, too_late if end < 0 else end))
        if bare is not None:
            # RFC 9112 2.2 lets a server take a bare LF for a line end; others do not, so it is refused (W3)
            raise HttpRefusal("bad_request", reason="a line ends with LF alone, not with CR LF")
        if end < 0 and len(octets) >= too_late:
            raise HttpRefusal(code, limit=limit)
        return end

    def _look(self, known: int) -> tuple[int, int, str, int]:
        """Gives the index behind the head or -1, the size at which it is too large, and what that is called."""
        limit = self._limits.max_request_line_bytes
        if self._line_end < 0:
            self._line_end = self.octets.find(b"\r\n", max(known - 1, 0), limit + 2)
            if self._line_end < 0:
                return -1, limit + 2, "request_line_too_long", limit
        limit = self._limits.max_header_bytes
        too_late = self._line_end + limit + len(_HEAD_END)
        found = self.octets.find(_HEAD_END, max(known - 3, self._line_end), too_late)
        return found + len(_HEAD_END) if found >= 0 else -1, too_late, "headers_too_large", limit

    def _begins_well(self) -> bool:
        """Skips one empty line (RFC 9112 2.2); true when what follows, if anything, can be a method."""
        octets = self.octets
        if not self._has_skipped and octets.startswith(b"\r\n"):
            del octets[:2]
            self._has_skipped = True
        first = bytes(octets[:1])
        return first == b"" or first.isupper() or (first == b"\r" == octets and not self._has_skipped)
