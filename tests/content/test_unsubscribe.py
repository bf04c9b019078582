import email
from datetime import UTC, datetime

import pytest

from smtpeter.content.compose import check_parts, compose
from smtpeter.content.unsubscribe import has_oneclick
from smtpeter.model.parts import Mailbox, Parts, Unsubscribe
from smtpeter.model.refusal import Refused

URL = "https://example.com/leave?id=1,2&x=(y)"


def fields(unsubscribe):
    parts = Parts(sender=Mailbox("john@example.com"), text="", unsubscribe=unsubscribe)
    check_parts(parts)
    date = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
    found = email.message_from_bytes(compose(parts, recipient="jane@example.org", message_id="1", date=date))
    return found["list-unsubscribe"], found["list-unsubscribe-post"]


@pytest.mark.parametrize(
    ("given", "line", "post"),
    [
        (Unsubscribe(url=URL), f"<{URL}>", None),
        (Unsubscribe(url=URL, oneclick=True), f"<{URL}>", "List-Unsubscribe=One-Click"),
        (Unsubscribe(url="HTTPS://example.com", oneclick=True), "<HTTPS://example.com>", "List-Unsubscribe=One-Click"),
        (Unsubscribe(url="http://example.com/", oneclick=True), "<http://example.com/>", None),
        (Unsubscribe("leave@example.com", oneclick=True), "<mailto:leave@example.com>", None),
        (Unsubscribe("a?&b%+c@example.com"), "<mailto:a%3F%26b%25+c@example.com>", None),
        (Unsubscribe("jösé@example.com"), "<mailto:j%C3%B6s%C3%A9@example.com>", None),
        (Unsubscribe('"a b"@example.com'), "<mailto:%22a%20b%22@example.com>", None),
        (Unsubscribe("a@[192.0.2.1]"), "<mailto:a@%5B192.0.2.1%5D>", None),
    ],
)
def test_the_fields_say_where_to_leave(given, line, post):
    assert fields(given) == (line, post)
    assert has_oneclick(given) is (post is not None)


def test_the_web_address_comes_before_the_mail_address_and_neither_is_folded():
    line, post = fields(Unsubscribe("leave@example.com", URL + "x" * 800, True))
    assert line.replace("\r\n", "") == f"<{URL}{'x' * 800}>, <mailto:leave@example.com>"
    assert post


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (Unsubscribe(), "unsubscribe"),
        (Unsubscribe(oneclick=True), "unsubscribe"),
        (Unsubscribe("nobody"), "unsubscribe.email"),
        (Unsubscribe("a@EXAMPLE.com"), "unsubscribe.email"),
        (Unsubscribe("a@example.com\r\nBcc: x@example.org"), "unsubscribe.email"),
        *[
            (Unsubscribe(url=url), "unsubscribe.url")
            for url in (
                "example.com",
                "ftp://example.com/",
                "javascript:alert(1)",
                "https://",
                "https:///x",
                "https://example.com/a b",
                "https://example.com/>, <http://x",
                "https://example.com/\r\nX: y",
                "https://example.com/\r\n",
                "https://example.com/é",
                "https://example.com/\0",
                "https://example.com/" + "x" * 900,
            )
        ],
    ],
)
def test_what_cannot_become_the_fields_is_refused_and_named(given, field):
    with pytest.raises(Refused) as refused:
        fields(given)
    assert refused.value.field == field
