import email
import email.header
import email.policy
import email.utils
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtpeter.content.compose import check_parts, compose
from smtpeter.model.parts import Mailbox, Parts
from smtpeter.model.refusal import Refused
from smtpeter.wire.headers import has_long_line

SENDER = Mailbox("john@example.com", "John Doe")
PARTS = Parts(sender=SENDER, subject="hello", text="text")
DATE = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)


def make(parts):
    return compose(parts, recipient="jane@example.org", message_id="0123456789abcdefghij-7", date=DATE)


def read(parts):
    return email.message_from_bytes(make(parts), policy=email.policy.compat32)


def shown(text):
    return str(email.header.make_header(email.header.decode_header(text)))


def test_a_plain_text_has_the_fields_that_every_mail_has():
    mail = read(PARTS)
    assert dict(mail) == {
        "From": "John Doe <john@example.com>",
        "To": "jane@example.org",
        "Subject": "hello",
        "Date": "Sun, 22 Nov 2026 10:00:00 +0000",
        "Message-ID": "<0123456789abcdefghij-7@example.com>",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "7bit",
    }
    assert mail.get_payload() == "text\r\n"


def test_lists_and_extra_fields_are_shown_and_options_are_not():
    boxes = tuple(Mailbox(f"user{n}@example.org", f"User {n}") for n in range(30))
    extra = (("X-Campaign", "näme"), ("x-smtpeter-tags", "a"), ("X-Empty", ""))
    mail = read(Parts(sender=SENDER, to=boxes, cc=boxes[:2], replyto=boxes[:1], html="<p>", headers=extra))
    assert email.utils.getaddresses([mail["to"]]) == [(b.name, b.address) for b in boxes]
    assert mail["cc"] and mail["reply-to"] == "User 0 <user0@example.org>"
    assert shown(mail["x-campaign"]) == "näme" and "x-smtpeter-tags" not in mail and mail["x-empty"] == ""
    assert mail.get_content_type() == "text/html"


def test_a_blind_recipient_sees_neither_itself_nor_the_others_in_to():
    parts = Parts(sender=SENDER, text="text", blind=("boss@example.org", "archive@example.org"))
    tos = []
    for recipient in ("jane@example.org", "boss@example.org"):
        mail = compose(parts, recipient=recipient, message_id="0abc", date=DATE)
        tos.append(email.message_from_bytes(mail, policy=email.policy.default)["To"])
    assert [str(to) for to in tos] == ["jane@example.org", "undisclosed-recipients:;"]
    assert tos[1].groups[0].addresses == ()


def test_two_forms_of_the_text_make_an_alternative_with_the_richest_last():
    mail = read(Parts(sender=SENDER, text="é", html="<b>é</b>"))
    assert mail.get_content_type() == "multipart/alternative"
    assert [(p.get_content_type(), p.get_payload(decode=True).decode()) for p in mail.get_payload()] == [
        ("text/plain", "é\r\n"),
        ("text/html", "<b>é</b>\r\n"),
    ]


printable = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=120).map(
    lambda s: " ".join(s.split())
)
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=200)


@settings(deadline=None)
@given(printable, printable, texts, texts)
@example("Привет мир", "日本語の件名" * 20, "", "")
@example('"quoted" \\ <x>', "=?utf-8?q?no?=", "x" * 5000, None)
@example("a,b;c", "", None, "日" * 2000)
def test_another_reader_sees_what_was_given(name, subject, text, html):
    if text is None and html is None:
        text = ""
    parts = Parts(sender=Mailbox("john@example.com", name), subject=subject, text=text, html=html)
    check_parts(parts)
    content = make(parts)
    assert content.isascii() and b"\0" not in content and not has_long_line(content)
    assert content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n")
    assert content == make(parts)
    mail = email.message_from_bytes(content, policy=email.policy.compat32)
    # an empty quoted display name and none are one to the reader
    address = email.utils.parseaddr(mail["from"].replace("\r\n", ""))
    assert address[1] == "john@example.com"
    assert shown(address[0]).split() == name.split()
    assert shown(mail["subject"]).split() == subject.split()
    leaves = [p.get_payload(decode=True).decode() for p in mail.walk() if not p.is_multipart()]
    given_ = [t.replace("\n", "\r\n") for t in (text, html) if t is not None]
    assert [leaf.removesuffix("\r\n") for leaf in leaves] == [t.removesuffix("\r\n") for t in given_]


INJECTIONS = ["a\r\nBcc: x@example.com", "a\nb", "a\rb", "a\0b", "a\x85b", "a\u2028b", "a\u2029b", "a\x1bb", "a\ud800b"]


@pytest.mark.parametrize("bad", INJECTIONS)
def test_no_value_can_carry_a_line_break_into_the_header(bad):
    box = Mailbox("a@example.com", bad)
    for parts, field in [
        (Parts(sender=box, text=""), "from"),
        (Parts(sender=SENDER, to=(SENDER, box), text=""), "to[1]"),
        (Parts(sender=SENDER, cc=(box,), text=""), "cc[0]"),
        (Parts(sender=SENDER, replyto=(box,), text=""), "replyto[0]"),
        (Parts(sender=SENDER, subject=bad, text=""), "subject"),
        (Parts(sender=SENDER, headers=(("X-A", bad),), text=""), "extra"),
        (Parts(sender=SENDER, headers=((f"X-{bad}", "x"),), text=""), "extra"),
        (Parts(sender=Mailbox(f"a{bad}@example.com"), text=""), "from"),
    ]:
        with pytest.raises(Refused) as refused:
            check_parts(parts)
        assert refused.value.field == field
        with pytest.raises(ValueError):
            make(parts)


@pytest.mark.parametrize("name", ["Subject", "X", "x-", "X-A B", "X-A:", "", "X-" + "a" * 80, "x-é", "X-A\r\n"])
def test_only_x_headers_can_be_added(name):
    with pytest.raises(Refused) as refused:
        check_parts(Parts(sender=SENDER, text="", headers=((name, "x"),)))
    assert refused.value.refusal.slug == "invalid_header"
    assert "\r" not in str(refused.value)


@pytest.mark.parametrize(
    ("parts", "slug"),
    [
        (Parts(sender=SENDER), "invalid_request"),
        (Parts(sender=Mailbox("nobody"), text=""), "invalid_sender"),
        (Parts(sender=Mailbox("a@EXAMPLE.com"), text=""), "invalid_sender"),
        (Parts(sender=SENDER, to=(Mailbox("b"),), text=""), "invalid_request"),
        (Parts(sender=SENDER, subject="x" * 10_000, text=""), "headers_too_large"),
        (Parts(sender=SENDER, to=(SENDER,) * 2000, text=""), "headers_too_large"),
        (Parts(sender=SENDER, headers=(("X-A", ""),) * 501, text=""), "headers_too_large"),
    ],
)
def test_what_cannot_become_a_message_is_refused(parts, slug):
    with pytest.raises(Refused) as refused:
        check_parts(parts)
    assert refused.value.refusal.slug == slug
