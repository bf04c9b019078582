"""Requests as octets: what is refused, what is taken, and that it does not depend on how the octets were split."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.world.http_framing import RequestReader
from smtpeter.world.http_limits import HttpLimits, HttpRefusal
from tests.cpu import assert_cpu_below

LIMITS = HttpLimits(max_request_line_bytes=300, max_header_bytes=1024, max_body_bytes=1000)

GET = b"GET /v1/x HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /v1/x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED = {
    "bare LF everywhere": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "bare LF after the request line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "bare LF after a field": (GET + b"X: a\nY: b\r\n\r\n", 400),
    "bare LF for the empty line": (GET + b"\n", 400),
    "bare CR in a field": (GET + b"X: a\rY: b\r\n\r\n", 400),
    "bare CR in the request line": (b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "white space before a colon": (GET + b"X : b\r\n\r\n", 400),
    "white space before the colon of the length": (POST + b"Content-Length : 3\r\n\r\nabc", 400),
    "folded field": (GET + b"X: a\r\n b\r\n\r\n", 400),
    "folded with a tab": (GET + b"X: a\r\n\tb\r\n\r\n", 400),
    "folded first field": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "NUL in a value": (GET + b"X: a\0b\r\n\r\n", 400),
    "control in a value": (GET + b"X: a\x01b\r\n\r\n", 400),
    "DEL in a value": (GET + b"X: a\x7fb\r\n\r\n", 400),
    "control in a name": (GET + b"X\x01: a\r\n\r\n", 400),
    "8 bit in a name": (GET + b"X\xe9: a\r\n\r\n", 400),
    "no name": (GET + b": a\r\n\r\n", 400),
    "no colon": (GET + b"X\r\n\r\n", 400),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (GET + b"Host: b\r\n\r\n", 400),
    "the same Host twice": (GET + b"host: a\r\n\r\n", 400),
    "two Hosts in HTTP/1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "Host that is none": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "Host with a path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "lengths that differ": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "the same length twice": (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    "list of lengths": (POST + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    "signed length": (POST + b"Content-Length: +3\r\n\r\nabc", 400),
    "negative length": (POST + b"Content-Length: -3\r\n\r\nabc", 400),
    "hexadecimal length": (POST + b"Content-Length: 0x3\r\n\r\nabc", 400),
    "empty length": (POST + b"Content-Length:\r\n\r\nabc", 400),
    "length with a space": (POST + b"Content-Length: 3 3\r\n\r\nabc", 400),
    "length with an underscore": (POST + b"Content-Length: 1_0\r\n\r\n0123456789", 400),
    "endless length": (POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n", 400),
    "too large a length": (POST + b"Content-Length: 1001\r\n\r\n", 413),
    "much too large a length": (POST + b"Content-Length: 1000000000000000000\r\n\r\n", 413),
    "length, then coding": (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "coding, then length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    "unknown coding": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "unknown coding, then chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked, then unknown": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    "identity": (POST + b"Transfer-Encoding: identity\r\n\r\n", 400),
    "nearly chunked": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "quoted chunked": (POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', 400),
    "chunked with a vertical tab": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "chunked twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked, chunked": (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "empty coding": (POST + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n", 400),
    "chunked in HTTP/1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/0.9 said": (b"GET / HTTP/0.9\r\n\r\n", 400),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400),
    "HTTP/2": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400),
    "preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "other protocol": (b"DESCRIBE / RTSP/1.0\r\nHost: a\r\n\r\n", 400),
    "unknown method": (b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "method in small letters": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "tab": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space in the address": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "8 bit in the address": (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "fragment": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "address that is no path": (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "asterisk of another method": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "tunnel": (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 400),
    "two empty lines before": (b"\r\n\r\n" + GET + b"\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01", 400),
    "SMTP": (b"ehlo a\r\n", 400),
    "line feed first": (b"\n" + GET + b"\r\n", 400),
    "other expectation": (GET + b"Expect: miracle\r\n\r\n", 417),
    "two expectations": (POST + b"Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", 400),
    "long request line": (b"GET /" + b"a" * 300 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "endless request line": (b"GET /" + b"a" * 3000, 414),
    "large headers": (GET + b"X: " + b"a" * 1024 + b"\r\n\r\n", 431),
    "many headers": (GET + b"X: a\r\n" * 400 + b"\r\n", 431),
    "endless headers": (GET + b"X: " + b"a" * 4000, 431),
    "bare LF before too much": (GET + b"X: a\n" + b"a" * 4000, 400),
    "too much before a bare LF": (GET + b"X: a" + b"a" * 4000 + b"\n", 431),
    "chunk without a size": (CHUNKED + b"\r\nabc\r\n0\r\n\r\n", 400),
    "chunk with bare LF": (CHUNKED + b"3\nabc\r\n0\r\n\r\n", 400),
    "chunk ended by bare LF": (CHUNKED + b"3\r\nabc\n0\r\n\r\n", 400),
    "chunk size with white space": (CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", 400),
    "white space before an extension": (CHUNKED + b"3 ;a\r\nabc\r\n0\r\n\r\n", 400),
    "chunk size with a sign": (CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n", 400),
    "chunk size with 0x": (CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n", 400),
    "chunk size without end": (CHUNKED + b"0" * 2000, 400),
    "chunk size that overflows": (CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n", 400),
    "huge chunk": (CHUNKED + b"FFFFFFFFFFFFFFF\r\nabc", 413),
    "chunk longer than said": (CHUNKED + b"2\r\nabc\r\n0\r\n\r\n", 400),
    "chunk shorter than said": (CHUNKED + b"4\r\nabc\r\n0\r\n\r\n", 400),
    "chunks too large together": (CHUNKED + b"100\r\n" + b"a" * 256 + b"\r\n" + b"2f0\r\n", 413),
    "extension with bare LF": (CHUNKED + b"3;a\nabc\r\n0\r\n\r\n", 400),
    "malformed extension": (CHUNKED + b"3;a=b c\r\nabc\r\n0\r\n\r\n", 400),
    "large extension": (CHUNKED + b"3;a=" + b"b" * 1030 + b"\r\nabc\r\n0\r\n\r\n", 400),
    "many extensions": (CHUNKED + (b"1;a=" + b"b" * 200 + b"\r\nx\r\n") * 6 + b"0\r\n\r\n", 400),
    "endless extension": (CHUNKED + b"3;a=" + b"b" * 3000, 400),
    "many trailers": (CHUNKED + b"0\r\n" + b"X: a\r\n" * 17 + b"\r\n", 400),
    "large trailer": (CHUNKED + b"0\r\nX: " + b"a" * 1100 + b"\r\n\r\n", 400),
    "endless trailer": (CHUNKED + b"0\r\nX: " + b"a" * 3000, 400),
    "trailer with bare LF": (CHUNKED + b"0\r\nX: a\n\r\n", 400),
    "trailer with white space": (CHUNKED + b"0\r\nX : a\r\n\r\n", 400),
    "folded trailer": (CHUNKED + b"0\r\nX: a\r\n b\r\n\r\n", 400),
    "control in a trailer": (CHUNKED + b"0\r\nX: a\x00b\r\n\r\n", 400),
}

TAKEN = {
    "GET": (GET + b"\r\n", ["GET /v1/x "]),
    "no Host in HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", ["GET / "]),
    "empty Host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", ["GET / "]),
    "Host with white space behind": (b"GET / HTTP/1.1\r\nHost: a:80 \t\r\n\r\n", ["GET / "]),
    "IPv6 Host": (b"GET / HTTP/1.1\r\nHost: [::1]:8025\r\n\r\n", ["GET / "]),
    "empty line before": (b"\r\n" + GET + b"\r\n", ["GET /v1/x "]),
    "8 bit in a value": (GET + b"X: \xc3\xa9\r\n\r\n", ["GET /v1/x "]),
    "no body": (POST + b"Content-Length: 0\r\n\r\n" + GET + b"\r\n", ["POST /v1/x ", "GET /v1/x "]),
    "body": (POST + b"Content-Length: 3\r\n\r\nabc", ["POST /v1/x abc"]),
    "length with white space behind": (POST + b"Content-Length: 3 \r\n\r\nabc", ["POST /v1/x abc"]),
    "body of the largest size": (POST + b"Content-Length: 1000\r\n\r\n" + b"a" * 1000, ["POST /v1/x " + "a" * 1000]),
    "chunks": (CHUNKED + b"3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n", ["POST /v1/x abc0123456789"]),
    "no chunks": (CHUNKED + b"0\r\n\r\n", ["POST /v1/x "]),
    "coding in capitals": (POST + b"transfer-encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", ["POST /v1/x a"]),
    "extensions": (CHUNKED + b'1;a;b=c;d="e f"\r\na\r\n0;z\r\n\r\n', ["POST /v1/x a"]),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\n" + b"X: a\r\n" * 16 + b"\r\n", ["POST /v1/x a"]),
    "one after another": (
        POST + b"Content-Length: 3\r\n\r\nabc" + CHUNKED + b"1\r\nx\r\n0\r\n\r\n" + GET + b"\r\n",
        ["POST /v1/x abc", "POST /v1/x x", "GET /v1/x "],
    ),
    "absolute form": (b"GET http://b.example:80/p?q HTTP/1.1\r\nHost: a\r\n\r\n", ["GET /p "]),
    "absolute form without a path": (b"GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n", ["GET / "]),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", ["OPTIONS * "]),
    "wish for HTTP/2, with a body that looks like a request": (
        POST
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAA\r\n"
        + b"Content-Length: 29\r\n\r\n"
        + b"GET / HTTP/1.1\r\nHost: evil\r\n\r\n"[:29]
        + GET
        + b"\r\n",
        ["POST /v1/x GET / HTTP/1.1\r\nHost: evil\r\n\r", "GET /v1/x "],
    ),
    "Connection: close leaves the rest to the connection": (GET + b"Connection: close\r\n\r\n", ["GET /v1/x "]),
}


def read(pieces: list[bytes], limits: HttpLimits = LIMITS) -> tuple[list[str], int]:
    """Gives the requests that came in full, and the status of a refusal or 0."""
    reader = RequestReader(limits)
    requests: list[str] = []
    content = bytearray()
    head = None
    try:
        for piece in pieces:
            while piece:
                if head is None:
                    head = reader.head(piece)
                    piece, content = reader.rest if head else b"", bytearray()
                else:
                    content += reader.body(piece)
                    piece = reader.rest
                if head is not None and reader.is_complete:
                    requests.append(f"{head.method} {head.path.decode()} {content.decode('latin-1')}")
                    head = None
    except HttpRefusal as refusal:
        return requests, refusal.status
    return requests, 0


@pytest.mark.parametrize("octets,status", REFUSED.values(), ids=REFUSED)
def test_a_request_that_others_may_read_otherwise_is_refused(octets: bytes, status: int) -> None:
    assert read([octets + GET + b"\r\n"]) == ([], status)


@pytest.mark.parametrize("octets,requests", TAKEN.values(), ids=TAKEN)
def test_what_the_rfc_allows_is_taken(octets: bytes, requests: list[str]) -> None:
    assert read([octets]) == (requests, 0)


@pytest.mark.parametrize("octets", [row[0] for row in (*REFUSED.values(), *TAKEN.values())], ids=[*REFUSED, *TAKEN])
def test_how_octets_are_split_changes_nothing(octets: bytes) -> None:
    whole = read([octets])
    assert read([octets[at : at + 1] for at in range(len(octets))]) == whole
    for at in range(1, len(octets), max(1, len(octets) // 150)):
        assert read([octets[:at], octets[at:]]) == whole, at


_PARTS = st.sampled_from(
    [
        *(b"GET / HTTP/1.1\r\n", b"POST /x?y HTTP/1.0\r\n", b"PUT http://h/ HTTP/1.1\r\n", b"Host: a\r\n", b"X: y\r\n"),
        *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"\r\n", b"\n", b"\r"),
        *(
            b"Upgrade: x\r\nConnection: upgrade\r\n",
            b"Expect: 100-continue\r\n",
            b"5\r\nabcde\r\n",
            b"0\r\n\r\n",
            b"3;x\r\n",
        ),
        *(b"abcde", b" ", b"\t", b":", b"\0", b"a" * 200, b"0\r\nT: v\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n"),
    ]
)
_OCTETS = st.lists(_PARTS | st.binary(max_size=6), min_size=1, max_size=14).map(b"".join)


@settings(max_examples=250, deadline=None)
@given(octets=_OCTETS, cuts=st.lists(st.integers(0, 400), max_size=6))
def test_any_octets_are_read_alike_however_they_are_split(octets: bytes, cuts: list[int]) -> None:
    """Invariant: requests and refusal are a function of the octets; nothing but HttpRefusal is raised."""
    places = sorted({min(cut, len(octets)) for cut in cuts} | {0, len(octets)})
    pieces = [octets[a:b] for a, b in itertools.pairwise(places)]
    assert read(pieces) == read([octets]) == read([octets[at : at + 1] for at in range(len(octets))])


def test_limits_hold_to_the_octet() -> None:
    line = b"GET /" + b"a" * (300 - 14) + b" HTTP/1.1"
    assert len(line) == 300
    assert read([line + b"\r\nHost: a\r\n\r\n"])[1] == 0
    assert read([line.replace(b"/", b"/a") + b"\r\nHost: a\r\n\r\n"])[1] == 414
    fields = b"Host: a\r\nX: " + b"a" * (1024 - 14) + b"\r\n"
    assert len(fields) == 1024
    assert read([b"GET / HTTP/1.1\r\n" + fields + b"\r\n"])[1] == 0
    assert read([b"GET / HTTP/1.1\r\n" + fields.replace(b"X", b"XX") + b"\r\n"])[1] == 431


def test_trailers_do_not_become_fields() -> None:
    reader = RequestReader(LIMITS)
    head = reader.head(CHUNKED)
    assert head is not None
    reader.body(b"0\r\nAuthorization: Bearer x\r\nX-Forwarded-Proto: https\r\n\r\n")
    assert [name for name, _ in head.fields] == [b"host", b"transfer-encoding"]


def test_white_space_around_a_value_is_not_part_of_it() -> None:
    head = RequestReader(LIMITS).head(GET + b"Authorization: \t Bearer x \t\r\nX: \r\n\r\n")
    assert head is not None
    assert head.fields[1:] == [(b"authorization", b"Bearer x"), (b"x", b"")]


@pytest.mark.parametrize(
    "version,connection,is_kept",
    [
        ("1.1", "", True),
        ("1.1", "Connection: close\r\n", False),
        ("1.1", "Connection: X\r\nConnection: Close\r\n", False),
        ("1.1", "Connection: keep-alive\r\n", True),
        ("1.1", "Connection: keep-alive, close\r\n", False),
        ("1.0", "", False),
        ("1.0", "Connection: Keep-Alive\r\n", True),
        ("1.0", "Connection: keep-alive, close\r\n", False),
    ],
)
def test_a_connection_is_kept_as_its_client_says(version: str, connection: str, is_kept: bool) -> None:
    head = RequestReader(LIMITS).head(f"GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n".encode())
    assert head is not None
    assert head.is_kept is is_kept


def test_a_repeated_line_is_read_as_what_it_is() -> None:
    first = b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n"
    second = b"GET /a?bc HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
    reader = RequestReader(LIMITS)
    heads = [reader.head(octets) for octets in (first, first, second, first)]
    assert [(head.query, head.version) for head in heads if head] == [
        *[(b"b", "1.1")] * 2,
        (b"bc", "1.0"),
        (b"b", "1.1"),
    ]


@pytest.mark.parametrize(
    "octets",
    [
        GET + b"a:\r\n" * 8000,
        GET + b"X: " + b" \t" * 16000,
        CHUNKED + b"1\r\na\r\n" * 8000,
        CHUNKED + b"0\r\n" + b"a" * 1000,
        b"GET /" + b"%" * 16000,
    ],
    ids=["fields", "white space", "chunks", "trailer", "address"],
)
def test_octets_that_come_one_by_one_cost_linear_time(octets: bytes) -> None:
    parts = [octets[at : at + 1] for at in range(len(octets))]
    assert_cpu_below(1.5, lambda: read(parts, HttpLimits()))  # quadratic work would take far longer
