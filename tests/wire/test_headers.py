import email
import email.policy
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtpeter.model.refusal import Refused
from smtpeter.wire import headers
from smtpeter.wire.encoded_words import clean, decode_base64, decode_charset, decode_text, decode_value, encode_words

HEAD = b"From: a@example.com\r\nSubject: one\r\n\ttwo\r\nX-Odd : kept  as is \r\nsubject:three\r\n"


def test_head_and_body_are_cut_at_the_first_blank_line():
    assert headers.split(HEAD + b"\r\nbody\r\n\r\nmore") == (HEAD, b"body\r\n\r\nmore")
    assert headers.split(b"\r\nbody") == (b"", b"body")
    assert headers.split(b"A: b") == (b"A: b\r\n", b"")
    assert headers.split(b"") == (b"", b"")


def test_fields_know_their_name_and_unfolded_value_and_keep_their_octets():
    fields = headers.read_fields(HEAD)
    assert [field.name for field in fields] == [b"from", b"subject", b"x-odd", b"subject"]
    assert [field.value for field in fields] == [b"a@example.com", b"one\ttwo", b"kept  as is", b"three"]
    assert headers.join(fields) == HEAD


def test_removing_a_field_leaves_the_other_octets_alone():
    assert headers.join(headers.without(headers.read_fields(HEAD), {b"subject"})) == (
        b"From: a@example.com\r\nX-Odd : kept  as is \r\n"
    )
    assert headers.find(headers.read_fields(HEAD), b"subject") == b"one\ttwo"
    assert headers.find(headers.read_fields(HEAD), b"cc") is None


@given(st.binary(max_size=300) | st.text("ab: \r\n\t", max_size=60).map(str.encode))
def test_any_octets_can_be_read_as_fields_and_joined_again(head):
    fields = headers.read_fields(head)
    joined = headers.join(fields)
    assert joined == (head if head.endswith(b"\r\n") or not head else head + b"\r\n")
    assert headers.read_fields(joined) == fields


@pytest.mark.parametrize(
    "head",
    [b"A: b\r\n" * 1001, b"A: " + b"b" * 65536 + b"\r\n", b"A: bb\r\n" * 900 + (b"B: " + b"c" * 65000 + b"\r\n") * 5],
)
def test_a_header_beyond_the_limits_is_refused(head):
    with pytest.raises(Refused) as refused:
        headers.check_limits(head, headers.read_fields(head))
    assert refused.value.refusal.slug == "headers_too_large"


@pytest.mark.parametrize("line", [b"no colon", b" begins with a blank: x", b": no name", b"a b: x", b"n\xc3\xa4: x"])
def test_a_line_that_is_no_field_is_refused(line):
    with pytest.raises(Refused) as refused:
        headers.check_limits(line + b"\r\n", headers.read_fields(line + b"\r\n"))
    assert refused.value.refusal.slug == "invalid_message"


def test_the_limits_themselves_are_still_taken():
    head = b"A: b\r\n" * 1000
    headers.check_limits(head, headers.read_fields(head))
    headers.check_hops(headers.read_fields(b"Received: x\r\n" * 50), 50)


def test_a_message_that_went_in_circles_is_refused():
    with pytest.raises(Refused) as refused:
        headers.check_hops(headers.read_fields(b"Received: x\r\nreceived : y\r\n" * 26), 50)
    assert refused.value.reply.status == "5.4.6"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
@example("Zoë wins")
@example("=?utf-8?q?fake?=")
@example("x" * 2000)
@example("日本語" * 100)
@example("a" + " " * 1200 + "b")
def test_what_is_written_is_read_back_and_cannot_break_out(text):
    text = " ".join(text.split(" ")).strip()
    if headers.has_control(text):
        text = "".join(c for c in text if not headers.has_control(c)).strip()
    field = headers.checked(headers.write_field("Subject", text), 1)
    assert decode_value(headers.read_fields(field)[0].value) == text
    assert field.isascii()
    other = email.message_from_bytes(field, policy=email.policy.compat32)
    shown = email.header.make_header(email.header.decode_header(other["subject"]))
    assert str(shown).split() == text.split() or "  " in text


@given(st.lists(st.text("abcé", min_size=1, max_size=60), min_size=3, max_size=20).map(" ".join))
def test_lines_that_can_be_kept_short_are(text):
    assert all(len(line) <= 78 for line in headers.write_field("Subject", text).split(b"\r\n"))


@pytest.mark.parametrize(
    "bad", ["\r", "\n", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\r\nBcc: x@example.com"]
)
def test_a_control_character_is_seen_before_and_after_writing(bad):
    assert headers.has_control(f"a{bad}b")
    with pytest.raises(ValueError, match="header value"):
        headers.checked(f"Subject: a{bad}b\r\n".encode(), 1)


@pytest.mark.parametrize(
    "head", [b"A: b\r\nC: d\r\n", b"A: b", b"A: b\r\n\r\n", b" A: b\r\n", b"A: " + b"x" * 999 + b"\r\n"]
)
def test_a_final_form_that_is_not_the_one_field_is_refused(head):
    with pytest.raises(ValueError, match="header value"):
        headers.checked(head, 1)


def test_moments_are_written_in_utc_and_english():
    moment = datetime(2026, 11, 2, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    assert headers.write_date(moment) == "Sun, 1 Nov 2026 23:02:03 +0000"
    assert headers.write_date(datetime(2026, 1, 5, tzinfo=UTC)) == "Mon, 5 Jan 2026 00:00:00 +0000"


@given(st.lists(st.integers(0, 1010), max_size=6), st.booleans())
@example([998], True)
@example([999], True)
@example([998], False)
@example([999], False)
def test_long_lines_are_found(lengths, is_ended):
    content = b"\r\n".join(b"x" * n for n in lengths) + (b"\r\n" if is_ended else b"")
    assert headers.has_long_line(content) == any(n > 998 for n in lengths)


def test_long_header_lines_are_folded_at_blanks_or_given_up():
    head = b"References: " + b"<abc@example.com> " * 100 + b"<z@example.com>\r\nA: b\r\n"
    short = headers.shorten_lines(head)
    assert short is not None and not headers.has_long_line(short)
    assert headers.read_fields(short)[0].value == headers.read_fields(head)[0].value
    assert headers.shorten_lines(b"A: " + b"x" * 1000 + b"\r\n") is None
    assert headers.shorten_lines(b"A: b\r\n" + b" " * 1100 + b"\r\n") is None


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("=?utf-8?q?Zo=C3=AB?= wins", "Zoë wins"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        ("=?UTF-8?B?w6k=?= =?utf-8*fr?b?w6k=?=", "éé"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=AB?=", "ë"),
        ("=?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x"),
        ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
        ("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        ("=?rot13?q?uryyb?=", "uryyb"),
        ("=?utf-8?b?!!!?= x", " x"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
    ],
)
def test_encoded_words_are_read_for_display(written, shown):
    assert decode_text(written) == shown


@given(st.text(max_size=60) | st.text("=?qQbB utf-8_", max_size=80))
def test_decoding_is_total_and_gives_no_controls(text):
    assert not headers.has_control(decode_text(text))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_encoded_words_are_short_and_whole(text):
    text = clean(text)
    words = encode_words(text, 40)
    assert all(len(word) <= 75 for word in words) and len(words[0]) <= 40
    assert decode_text(" ".join(words)) == text


@given(st.binary(max_size=50))
def test_broken_base64_gives_octets(data):
    assert isinstance(decode_base64(data), bytes)


def test_no_codec_is_reached_by_its_name_in_a_message():
    assert decode_charset(b"uryyb", "rot13") == "uryyb"
    assert decode_charset(b"\\u0041", "unicode_escape") == "\\u0041"
