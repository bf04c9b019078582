"""Line ends of content."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.wire.newlines import has_bare, has_line_over, longest_line, normalize

content = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bcd", b"."]), max_size=30).map(b"".join)


def test_each_form_of_line_end_becomes_crlf() -> None:
    assert normalize(b"a\nb\rc\r\nd\r\r\ne\n\n") == b"a\r\nb\r\nc\r\nd\r\n\r\ne\r\n\r\n"


def test_content_in_order_is_given_back_as_it_is() -> None:
    whole = b"a\r\nb\r\n"
    assert normalize(whole) is whole


@given(content)
@settings(max_examples=300)
def test_normalize_agrees_with_its_definition(octets: bytes) -> None:
    assert normalize(octets) == re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    assert has_bare(octets) == (normalize(octets) != octets)
    assert not has_bare(normalize(octets))


@given(content)
@settings(max_examples=300)
def test_lines_are_measured_without_their_ends(octets: bytes) -> None:
    longest = max(len(line) for line in octets.split(b"\r\n"))
    assert longest_line(octets) == longest
    for limit in range(8):
        assert has_line_over(octets, limit) == (longest > limit)


def test_lines_are_measured_across_windows() -> None:
    for size in (65533, 65534, 65535, 65536, 65537, 200_000):
        assert longest_line(b"a\r\n" + b"x" * size + b"\r\nb\r\n") == size
        assert longest_line(b"x" * size) == size
        assert has_line_over(b"a\r\n" + b"x" * size + b"\r\nb", size - 1)
        assert not has_line_over(b"a\r\n" + b"x" * size + b"\r\nb", size)
