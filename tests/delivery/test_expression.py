"""Patterns that are read before they are compiled: what is refused, and what the words that are found are worth."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.delivery.expression import MAX_TEXT, read_expression
from tests.cpu import assert_cpu_below


@pytest.mark.parametrize(
    "source",
    [
        "(a+)+$",
        "(a*)*",
        "(a|aa)+",
        "(a?){30}",
        "(?:a{1,3}b){2,}",
        ".*.*",
        "(a|b|c|d|e).*x",
        ".{0,90}a.{0,90}",
        "a?" * 30,
        "(?P<n>a)",
        "(?<=a)b",
        "(?i)a",
        "(a)\\1",
        "a++",
        "a*+",
        "(?>a)",
        "(",
        ")",
        "a{3,1}",
        "a{9999}",
        "[a",
        "*a",
        "a\\",
        "\\q",
        "(" * 9 + "a" + ")" * 9,
        "a" * 601,
    ],
)
def test_pattern_that_cannot_be_read_or_bounded_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_expression(source)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("too many .{0,30}(connection|session)s?", "Too many concurrent SESSIONS"),
        (r"\[TSS?0[1-4]\]", "[TSS04] go away"),
        ("gr[ae]y[- ]?list", "Greylisted"),
        ("^IP=", "ip=192.0.2.1"),
        ("a{2}b{0,3}c", "xaac"),
        ("[]x]y", "]y"),
        ("(?!b)[a-z]c", "bc ac"),
        (".*end", "the end"),
    ],
)
def test_pattern_is_found_in_any_case(source: str, text: str) -> None:
    expression = read_expression(source)
    assert expression.is_found_in(text, text.lower())


def test_words_are_what_every_match_needs() -> None:
    assert read_expression("too many (spams|errors) from").words == ("too many ",)
    assert read_expression("Spamhaus|spamcop").words == ("spamhaus", "spamcop")
    assert read_expression("spamhaus|.a").words == ()
    assert read_expression("(optional)?x").words == ()
    assert read_expression("(?!never)abcd").words == ("abcd",)


_ATOMS = st.sampled_from(["a", "b", "C", ".", "[ab]", "\\d", "\\.", "ü", "abc", "^", "\\b"])
_REPEATS = st.sampled_from(["", "", "?", "*", "+", "{2}", "{0,2}", "{1,}?"])
_PIECES = st.tuples(_ATOMS, _REPEATS).map("".join)
_PATTERNS = st.recursive(
    st.lists(_PIECES, max_size=4).map("".join),
    lambda inner: st.tuples(
        inner, st.sampled_from(["(", "(?:", "(?!", "(?="]), st.lists(inner, max_size=3).map("|".join), _REPEATS
    ).map(lambda parts: f"{parts[0]}{parts[1]}{parts[2]}){parts[3]}"),
    max_leaves=5,
)


@given(_PATTERNS, st.lists(st.text("abcC.1üİſ ", max_size=6), max_size=20))
@settings(max_examples=300, deadline=None)
def test_words_never_hide_a_match(source: str, texts: list[str]) -> None:
    """What is read matches exactly where Python's own matcher does, whatever words were found."""
    try:
        expression = read_expression(source)
    except ValueError:
        return
    pattern = re.compile(source, re.IGNORECASE | re.ASCII)
    for text in texts:
        assert expression.is_found_in(text, text.lower()) is (pattern.search(text) is not None)


@given(st.text("ab()|*+?{},12[]^$.\\:=!<P>d", max_size=40))
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_or_refused_with_a_sentence(source: str) -> None:
    try:
        read_expression(source)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("source", [".*x", "(a|b).*(c|d)", "a{0,60}a{0,60}x", "(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)x"])
def test_slowest_patterns_that_are_allowed_end_soon(source: str) -> None:
    expression = read_expression(source)
    text = "a" * MAX_TEXT
    assert not expression.pattern.search(text)
    assert_cpu_below(1, lambda: expression.pattern.search(text))
