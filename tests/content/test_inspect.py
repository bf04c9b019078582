import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpeter.content.inspect import inspect
from smtpeter.model.account import Features
from smtpeter.model.parts import Mailbox
from smtpeter.model.refusal import Refused

MAIL = (
    b"Received: from x by y; z\r\nFrom: =?utf-8?q?Zo=C3=AB?= <z@Example.com>, b@ex\xc3\xa4mple.org, c@example.com\r\n"
    b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_dich?=\r\nX-SMTPeter-TrackOpens: on\r\n\r\ntext\r\n"
)


def slug(mail):
    with pytest.raises(Refused) as refused:
        inspect(mail)
    return refused.value.refusal.slug


def test_sender_subject_and_options_are_found():
    seen = inspect(MAIL)
    assert seen.senders[0] == Mailbox("z@example.com", "Zoë")
    assert seen.from_domains == ("example.com", "xn--exmple-cua.org")
    assert seen.from_domain == "example.com"
    assert seen.subject == "grüße dich"
    assert seen.options.features == Features(trackopens=True)
    assert not (seen.is_8bit or seen.has_long_lines or seen.is_protected)


def test_what_the_body_needs_is_seen():
    assert inspect(MAIL + b"\xff").is_8bit
    assert inspect(MAIL + b"x" * 999).has_long_lines
    assert inspect(MAIL.replace(b"Subject", b"Content-Type: multipart/signed; boundary=b\r\nSubject")).is_protected


@pytest.mark.parametrize(
    "change",
    [
        (b"From:", b"X-From:"),
        (b"\r\nSubject", b"\r\nfrom : other@example.net\r\nSubject"),
        (b"c@example.com", b"c@"),
        (b"c@example.com", b"Group: c@example.com;"),
        (b"c@example.com", b""),
        (b"c@example.com", b"c@example.net c@example.com"),
    ],
)
def test_a_sender_that_cannot_be_read_with_certainty_is_refused(change):
    assert slug(MAIL.replace(*change)) == "invalid_sender"


@pytest.mark.parametrize(
    ("mail", "expected"),
    [
        (b"no header at all\r\n\r\ntext", "invalid_message"),
        (b"", "invalid_sender"),
        (MAIL + b"a\0b", "invalid_message"),
        (b"Received: x\r\n" * 51 + MAIL, "mail_loop"),
        (b"A: b\r\n" * 1001 + MAIL, "headers_too_large"),
        (MAIL.replace(b": on", b": perhaps"), "invalid_header"),
        (MAIL.replace(b"TrackOpens: on", b"Data: 12"), "invalid_header"),
        (MAIL.replace(b"Subject: ", b"Subject: " + b"x" * 1200), "invalid_message"),
    ],
)
def test_what_could_never_be_delivered_is_refused(mail, expected):
    assert slug(mail) == expected


def test_lines_are_mended_up_to_their_limit_and_refused_beyond():
    assert inspect(MAIL + b"x" * 65536).has_long_lines
    assert slug(MAIL + b"x" * 65537) == "invalid_message"


def test_a_signed_message_with_over_long_lines_is_refused():
    mail = (
        b"From: a@example.com\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n"
        + b"x" * 999
        + b"\r\n--b--\r\n"
    )
    assert slug(mail) == "invalid_message"


def test_the_subject_is_cut_to_its_limit():
    assert len(inspect(MAIL.replace(b"Subject: ", b"Subject: " + b"x " * 700 + b"\r\n ")).subject) == 998


@given(st.binary(max_size=200) | st.text('From: a@b.c\r\n<>"(),x', max_size=80).map(str.encode))
def test_any_octets_are_understood_or_refused(mail):
    try:
        seen = inspect(mail)
    except Refused:
        return
    assert seen.senders and seen.from_domains


def test_option_headers_are_read_folded_encoded_and_in_utf8():
    mail = (
        "From: a@example.com\r\n"
        'X-SMTPeter-Metadata: {"order": 1234,\r\n "who": "jo\u00eb"}\r\n'
        "X-SMTPeter-Tags: =?utf-8?q?b=C3=BCcher?=, two\r\n"
        "X-SMTPeter-SendAt: 2026-11-23\r\n 01:02:03\r\n\r\nx\r\n"
    )
    options = inspect(mail.encode()).options
    assert options.metadata == '{"order":1234,"who":"jo\u00eb"}'
    assert options.tags == ("b\u00fccher", "two")
    assert options.send_at is not None
