import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpeter.model.address import AddressError
from smtpeter.model.parts import Mailbox
from smtpeter.wire.headers import checked, has_control, has_long_line, read_fields
from smtpeter.wire.mailboxes import (
    _SIMPLE,
    _read_list,
    _tokenize,
    parse_field,
    parse_mailbox,
    parse_mailboxes,
    write_list,
)
from tests.cpu import assert_cpu_below


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        ("a@example.com", [("a@example.com", "")]),
        (" <a@Example.COM> ", [("a@example.com", "")]),
        ("John Doe <j@example.com>", [("j@example.com", "John Doe")]),
        ("John Q. Doe<j@example.com>", [("j@example.com", "John Q. Doe")]),
        ('"Doe, John" <j@example.com>', [("j@example.com", "Doe, John")]),
        ('"a \\"b\\" \\\\" <j@example.com>', [("j@example.com", 'a "b" \\')]),
        ("John (the (real) one, he) <j@example.com> (x)", [("j@example.com", "John")]),
        ("a@example.com, B <b@example.org>", [("a@example.com", ""), ("b@example.org", "B")]),
        ("=?utf-8?q?Zo=C3=AB?= =?utf-8?q?_B?= <z@example.com>", [("z@example.com", "Zoë B")]),
        ('"=?utf-8?q?x?=" <z@example.com>', [("z@example.com", "=?utf-8?q?x?=")]),
        ("Zoë <zoë@exämple.com>", [("zoë@xn--exmple-cua.com", "Zoë")]),
        ('"john doe"@example.com', [('"john doe"@example.com', "")]),
        ('"<evil@example.org>" <good@example.com>', [("good@example.com", "<evil@example.org>")]),
        ("a@[192.0.2.1]", [("a@[192.0.2.1]", "")]),
    ],
)
def test_lists_have_one_reading(text, boxes):
    assert parse_mailboxes(text) == tuple(Mailbox(*box) for box in boxes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "john",
        "<>",
        "<john>",
        "a@example.com b@example.com",
        "a@example.com <b@example.org>",
        "John a@example.com",
        '"John" a@example.com',
        '"John"a@example.com',
        "<a@example.com> John",
        "<a@example.com><b@example.org>",
        "< a@example.com>",
        "<a@example.com",
        "a @example.com",
        "a@ example.com",
        "a(x)@example.com",
        "<@r.example:a@example.com>",
        "a@example.com,",
        ",a@example.com",
        "a@example.com,,b@example.com",
        "a@example.com; b@example.com",
        "Friends: a@example.com;",
        '"John <a@example.com>',
        "John (x <a@example.com>",
        "John) <a@example.com>",
        "a@b@example.com",
        "a\0@example.com",
        "a@example.com\r\nBcc: x@example.com",
        ".a@example.com",
        "a@-.com",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(text):
    with pytest.raises(AddressError):
        parse_mailboxes(text)


def test_groups_are_read_only_where_they_are_allowed():
    text = "Friends: a@example.com, B <b@example.com>;, c@example.com, None:;"
    assert [box.address[0] for box in parse_mailboxes(text, allows_groups=True)] == ["a", "b", "c"]
    for bad in ("A: B: a@example.com;;", "A: a@example.com", ":;", "A: a@example.com;;"):
        with pytest.raises(AddressError):
            parse_mailboxes(bad, allows_groups=True)


def test_one_mailbox_means_one():
    assert parse_mailbox("A <a@example.com>") == Mailbox("a@example.com", "A")
    with pytest.raises(AddressError, match="2 addresses"):
        parse_mailbox("a@example.com, b@example.com")


def test_names_in_old_character_sets_are_still_shown():
    assert parse_field(b"Jos\xe9 <j@example.com>") == (Mailbox("j@example.com", "José"),)


@given(st.text(max_size=80) | st.text('a@b.c<>"\\(), :;[]=?\t', max_size=40))
def test_any_text_gives_mailboxes_or_a_refusal(text):
    try:
        boxes = parse_mailboxes(text, allows_groups=True)
    except AddressError:
        return
    assert all("@" in box.address and not has_control(box.name) for box in boxes)


@given(st.from_regex(_SIMPLE))
def test_the_quick_answer_is_that_of_the_rules(text):
    def answer(parse):
        try:
            return parse(text)
        except AddressError:
            return None

    assert answer(parse_mailboxes) == answer(lambda t: _read_list(_tokenize(t), False))


names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=60).map(
    lambda s: " ".join(s.split())
)


@given(
    st.lists(
        st.builds(Mailbox, st.sampled_from(["a@example.com", "long.local.part@sub.example.org"]), names),
        min_size=1,
        max_size=6,
    )
)
def test_written_lists_are_read_back(boxes):
    field = checked(write_list("To", boxes), 1)
    assert parse_field(read_fields(field)[0].value) == tuple(boxes)
    text = read_fields(field)[0].value.decode()
    assert [address for _, address in email.utils.getaddresses([text])] == [box.address for box in boxes]


@pytest.mark.parametrize("name", ["x" * 5000, '"' * 5000, "é" * 3000, "a  b  " * 300 + "c"])
def test_very_long_names_stay_within_lines(name):
    field = checked(write_list("From", [Mailbox("a@example.com", name)]), 1)
    assert not has_long_line(field)
    assert parse_field(read_fields(field)[0].value)[0].name == name


@pytest.mark.parametrize(
    "bait", ['"' + "\\a" * 200_000, "(" * 400_000, "a," * 200_000, " " * 400_000, '"a' * 200_000, "<" * 400_000]
)
def test_hostile_lists_take_linear_time(bait):
    def refuse():
        with pytest.raises(AddressError):
            parse_mailboxes(bait)

    assert_cpu_below(1.5, refuse)
