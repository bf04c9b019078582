"""Answers of web servers, without a socket: how they are framed, decoded and described."""

import gzip
import itertools
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtpeter.world.fetch.coding import Gzip
from smtpeter.world.fetch.describe import cache_seconds, content_type, file_name
from smtpeter.world.fetch.reader import AnswerReader, Head
from smtpeter.world.fetch.target import Target, join, parse_target
from smtpeter.world.fetch.trouble import FetchTrouble, Slug

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 09:49:37 GMT"

PIECES = [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Go\r\n", b"HTTP/1.0 404 No\r\n", b"Content-Length: 5\r\n", b"\r\n"]
PIECES += [
    b"Transfer-Encoding: chunked\r\n",
    b"X: y\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"hello",
    b"\n",
    b"\x00",
    b" ",
]


def head(**fields: str) -> Head:
    return Head(200, tuple((name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()))


def read(parts: list[bytes]) -> tuple[object, bytes]:
    """Gives what a reader makes of an answer in parts: head or trouble, and the content."""
    reader, content = AnswerReader(), b""
    try:
        for part in parts:
            content += reader.feed(part)
        reader.end()
    except FetchTrouble as trouble:
        return trouble.slug, b""
    return reader.head, content


@given(
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=12), st.lists(st.integers(0, 120), max_size=6)
)
@example(
    [b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n"], [40, 60]
)
@example([b"HTTP/1.1 100 Go\r\n", b"\r\n", b"HTTP/1.1 200 OK\r\n", b"\r\n", b"hello"], [17, 19, 30])
def test_how_an_answer_is_read_does_not_depend_on_how_it_was_split(pieces: list[bytes], cuts: list[int]) -> None:
    # invariant: octets alone decide; and nothing but FetchTrouble is raised
    data = b"".join(pieces)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[start:end] for start, end in itertools.pairwise(edges)]
    assert read(parts) == read([data])


@given(st.binary(max_size=2000), st.integers(1, 100))
def test_gzip_is_decoded_whatever_the_pieces(content: bytes, step: int) -> None:
    data = gzip.compress(content)
    decoder = Gzip(2000)
    decoded = b"".join(decoder.feed(data[start : start + step]) for start in range(0, len(data), step))
    decoder.end()
    assert decoded == content


@given(st.binary(max_size=200))
def test_octets_that_are_no_gzip_raise_nothing_but_trouble(data: bytes) -> None:
    decoder = Gzip(10**6)
    try:
        decoder.feed(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + data)
        decoder.end()
    except FetchTrouble as trouble:
        assert trouble.slug in (Slug.CODING, Slug.RATIO)


def test_bomb_never_unfolds_in_memory() -> None:
    bomb = gzip.compress(bytes(64 * 2**20))
    decoder = Gzip(2**20)
    tracemalloc.start()
    try:
        with pytest.raises(FetchTrouble) as caught:
            decoder.feed(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.slug is Slug.SIZE
    assert peak < 4 * 2**20


@settings(max_examples=200)
@given(st.text(max_size=60) | st.from_regex(r"(https?:)?(//[a-z@:\[\]0-9.%\\]{0,20})?[/?#a-z]{0,9}", fullmatch=True))
def test_url_that_was_read_is_read_the_same_again(text: str) -> None:
    # invariant: a target is its own URL, in ASCII without blanks and controls; nothing but FetchTrouble is raised
    try:
        target = parse_target("http://a.example/" + text if len(text) % 2 else text, allow_high_ports=True)
    except FetchTrouble:
        return
    assert parse_target(str(target), allow_high_ports=True) == target
    assert str(target).isascii()
    assert str(target).isprintable()
    assert " " not in str(target)


@given(st.binary(max_size=60))
def test_location_of_any_octets_gives_a_text_or_trouble(location: bytes) -> None:
    base = parse_target("https://a.example/b/c?d")
    try:
        target = parse_target(join(base, location))
    except FetchTrouble:
        return
    assert isinstance(target, Target)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("image/PNG", ("image/png", "")),
        ('text/html; charset="UTF-8"', ("text/html", "utf-8")),
        ("nonsense", ("", "")),
        (";", ("", "")),
        ("text/plain; charset", ("text/plain", "")),
    ],
)
def test_type_is_what_the_server_says_if_it_can_be_read(value: str, expected: tuple[str, str]) -> None:
    assert content_type(head(content_type=value)) == expected
    assert content_type(head()) == ("", "")


@pytest.mark.parametrize(
    ("disposition", "url", "name"),
    [
        ('attachment; filename="a b.pdf"', "/x.bin", "a b.pdf"),
        ("attachment; filename=a.pdf", "/x.bin", "a.pdf"),
        ("inline; filename*=UTF-8''%e2%82%ac.pdf; filename=euro.pdf", "/", "€.pdf"),
        ('attachment; filename="../../etc/passwd"', "/", "passwd"),
        ('attachment; filename="C:\\\\temp\\\\a.doc"', "/", "a.doc"),
        ('attachment; filename=".."', "/files/x.bin?y=z/w", "x.bin"),
        ("attachment; filename*=UTF-8''a%0d%0aX:%20b", "/", "a  X: b"),
        ("attachment", "/files/Pr%C3%A9is%2Flist.pdf", "list.pdf"),
        ("", "/files/Pr%C3%A9is.pdf", "Préis.pdf"),
        ("", "/files/", ""),
        ("", "/", ""),
        ("", "/%2e%2e", ""),
        ("", "/" + "n" * 300 + ".pdf", "n" * 251 + ".pdf"),
    ],
)
def test_name_comes_from_the_disposition_else_from_the_path(disposition: str, url: str, name: str) -> None:
    said = head(content_disposition=disposition) if disposition else head()
    assert file_name(said, parse_target("http://a.example" + url)) == name


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({}, None),
        ({"cache_control": "public"}, None),
        ({"cache_control": "max-age=60"}, 60),
        ({"cache_control": 'MAX-AGE="60" , s-maxage=30'}, 30),
        ({"cache_control": "max-age=60", "age": "20"}, 40),
        ({"cache_control": "max-age=60", "age": "90"}, 0),
        ({"cache_control": "max-age=99999999999999"}, 0),
        ({"cache_control": "max-age=9999999999"}, 365 * 24 * 3600),
        ({"cache_control": "max-age=x"}, 0),
        ({"cache_control": "max-age=60, no-store"}, 0),
        ({"cache_control": 'no-cache="Set-Cookie"'}, 0),
        ({"cache_control": "private, max-age=60"}, 0),
        ({"date": DATE, "expires": LATER}, 3600),
        ({"date": LATER, "expires": DATE}, 0),
        ({"date": DATE, "expires": "0"}, 0),
        ({"expires": LATER}, 0),
        ({"cache_control": "max-age=5", "date": DATE, "expires": LATER}, 5),
    ],
)
def test_freshness_is_that_of_a_shared_cache(fields: dict[str, str], seconds: int | None) -> None:
    assert cache_seconds(head(**fields)) == seconds


@given(st.text(max_size=40))
def test_fields_that_make_no_sense_raise_nothing(value: str) -> None:
    said = head(
        cache_control=value, expires=value, date=value, age=value, content_type=value, content_disposition=value
    )
    assert (cache_seconds(said) or 0) >= 0
    assert content_type(said)
    assert len(file_name(said, parse_target("http://a.example/x"))) <= 255
