import email
import email.policy
from datetime import UTC, datetime

import dkim as other
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from smtpeter.content.render import compose, content_of, render, source_of
from smtpeter.content.views import headers_of, html_of, text_of
from smtpeter.model.account import AccountId
from smtpeter.model.message import Message, MessageId, Options, Received, Recipient, Source, SourceKind, Transfer
from smtpeter.model.parts import Mailbox, Parts, encode
from smtpeter.wire import dkim
from smtpeter.wire.headers import has_long_line, read_fields, split
from smtpeter.wire.mime import CannotConvert
from tests.content.rendering import tools

NOW = datetime.now(UTC).replace(microsecond=0)
ACCEPTED = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
KEY = dkim.load_private_key(dkim.generate("rsa-sha256"))
SIGNERS = (dkim.Signer("example.com", "zero", KEY),)
HEAD = (
    b"From: john@example.com\r\nTO:  jane@example.org \r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain;\r\n\tcharset=utf-8\r\n"
)
MAIL = HEAD + b"\r\nthe text  \r\n.\r\n\r\n"
BARE = b"From: john@example.com\r\n\r\ntext\r\n"


def message(content, kind=SourceKind.MIME, **changes):
    return replace(
        Message(
            id=MessageId("0123456789abcdefghij-2"),
            account=AccountId(1),
            submission="0123456789abcdefghij",
            ordinal=2,
            recipient=Recipient("jane@example.org", "example.org"),
            envelope="john@example.com",
            options=Options(),
            received=Received("ESMTPSA", "laptop.example.com", "192.0.2.7"),
            from_domain="example.com",
            accepted=ACCEPTED,
            expires=ACCEPTED,
            lane="example.org",
            claim=1,
            attempt=0,
            unsettled=1,
            source=Source(kind, content),
        ),
        **changes,
    )


def leave(content, *, shows_client=False, **how):
    return leave_message(message(content), tools(hostname="mail.example.net", shows_client=shows_client), **how)


def leave_message(one, kit=None, **how):
    kit = kit or tools(hostname="h.example")
    return render(compose(one, kit), kit, {}, **{"signers": (), "now": NOW, **how})


def verifies(octets):
    return other.DKIM(octets).verify(dnsfunc=lambda name, timeout=5: dkim.public_record(KEY).encode())


def test_a_complete_message_leaves_byte_for_byte():
    assert leave(MAIL).content == MAIL
    assert leave(MAIL, signers=SIGNERS).content == MAIL


@settings(deadline=None, max_examples=60)
@given(st.text("ab é.:;<>\t", max_size=60), st.lists(st.text("ab é.\t=", max_size=40), max_size=8).map("\r\n".join))
def test_what_leaves_is_the_same_each_time_and_its_signature_is_right(subject, body):
    content = b"Subject: x" + subject.encode() + b"\r\n" + HEAD + b"\r\n" + body.encode() + b"\r\n"
    sent = leave(content, signers=SIGNERS)
    assert sent == leave(content, signers=SIGNERS)
    assert sent.content == content
    assert verifies(sent.block + sent.content)


def test_the_trace_tells_how_it_came_but_not_from_whom():
    assert leave(MAIL).block == (
        b"Received: by mail.example.net with ESMTPSA id 0123456789abcdefghij-2;\r\n Sun, 22 Nov 2026 10:00:00 +0000\r\n"
    )


def test_the_client_is_named_only_when_that_is_wanted():
    assert leave(MAIL, shows_client=True).block.startswith(
        b"Received: from laptop.example.com ([192.0.2.7])\r\n by mail.example.net with ESMTPSA id "
    )
    hostile = message(MAIL, received=Received("ESMTPS", "x) (evil\r\nBcc: y", "2001:db8::1"))
    block = leave_message(hostile, tools(hostname="h.example", shows_client=True)).block
    assert block.startswith(b"Received: from unknown ([IPv6:2001:db8::1])\r\n by h.example")


def test_fields_for_us_or_for_nobody_are_removed_and_the_rest_stays():
    extra = (
        b"Bcc: secret@example.org,\r\n other@example.org\r\nX-SMTPeter-Tags: a\r\nx-smtpeter-unknown: b\r\n"
        b"Return-Path: <x@example.com>\r\nAuthentication-Results: (c) Mail.Example.NET 1; dkim=pass\r\nResent-Bcc: z@example.org\r\n"
    )
    kept = b"Authentication-Results: mx.example.org; dkim=pass\r\nX-Other:  odd \r\n"
    assert leave(extra + kept + MAIL).content == kept + MAIL


def test_missing_fields_are_added_behind_the_others():
    assert leave(BARE).content == (
        b"From: john@example.com\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
        b"Message-ID: <0123456789abcdefghij-2@example.com>\r\n\r\ntext\r\n"
    )
    assert b"MIME-Version: 1.0\r\n\r\n" in leave(b"Content-Type: text/html\r\n" + BARE).content


@pytest.mark.parametrize(
    "content", [b"From: a@example.com", b"From: a@example.com\r\n", b"From: a@example.com\r\n\r\n"]
)
def test_a_message_without_body_is_completed_too(content):
    sent = leave(content, signers=SIGNERS)
    assert sent.content.endswith(b"\r\n\r\n")
    assert verifies(sent.block + sent.content)


def test_eight_bit_text_is_encoded_and_signed_anew_for_a_host_that_needs_it():
    content = HEAD + "\r\nné  \r\n.\r\n".encode()
    sent, narrow = leave(content, signers=SIGNERS), leave(content, signers=SIGNERS, transfer=Transfer.SEVEN_BIT)
    assert sent.is_8bit and sent.content == content
    assert not narrow.is_8bit and narrow.content.isascii()
    assert verifies(sent.block + sent.content) and verifies(narrow.block + narrow.content)
    assert email.message_from_bytes(narrow.content).get_payload(decode=True) == "né  \r\n.\r\n".encode()


def test_a_bare_eight_bit_text_can_be_encoded():
    narrow = leave("From: a@example.com\r\n\r\nné\r\n".encode(), transfer=Transfer.SEVEN_BIT).content
    mail = email.message_from_bytes(narrow)
    assert mail["mime-version"] == "1.0" and len(mail.get_all("mime-version")) == 1
    assert mail.get_content_charset() == "utf-8" and mail.get_payload(decode=True) == "né\r\n".encode()


def test_over_long_lines_are_mended_in_body_and_header():
    content = b"References: " + b"<a@example.com> " * 80 + b"\r\n" + HEAD + b"\r\n" + b"x" * 5000 + b"\r\n"
    sent = leave(content, signers=SIGNERS)
    assert not has_long_line(sent.content) and verifies(sent.block + sent.content)
    assert email.message_from_bytes(sent.content).get_payload(decode=True) == b"x" * 5000 + b"\r\n"


def test_a_protected_message_is_left_alone_or_not_sent():
    signed = (
        b"From: a@example.com\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nn\xc3\xa9\r\n--b--\r\n"
    )
    assert split(leave(signed).content)[1] == split(signed)[1]
    with pytest.raises(CannotConvert):
        leave(signed, transfer=Transfer.SEVEN_BIT)


@pytest.mark.parametrize("bad", [b"a\nb", b"a\rb", b"a\0b"])
def test_nothing_leaves_with_bare_line_ends_or_nul(bad):
    with pytest.raises(CannotConvert):
        leave(MAIL + bad)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_octets_leave_within_the_rules_or_not_at_all(content):
    try:
        sent = leave(content, transfer=Transfer.SEVEN_BIT)
    except CannotConvert:
        return
    octets = sent.block + sent.content
    assert octets.count(b"\r\n") == octets.count(b"\r") == octets.count(b"\n")
    assert not has_long_line(octets) and b"\0" not in octets and not sent.is_8bit
    names = [field.name for field in read_fields(split(sent.content)[0])]
    assert names.count(b"date") >= 1 and names.count(b"message-id") >= 1


PARTS = Parts(
    sender=Mailbox("john@example.com", "Jöhn"), subject="hé", text="téxt", html="<p>é</p>", headers=(("X-A", "b"),)
)


def test_properties_are_composed_and_signed():
    sent = leave_message(message(encode(PARTS), SourceKind.PARTS), signers=SIGNERS)
    assert verifies(sent.block + sent.content)
    mail = email.message_from_bytes(sent.content)
    assert mail["to"] == "jane@example.org" and mail["message-id"] == "<0123456789abcdefghij-2@example.com>"
    assert not sent.is_8bit


def test_what_was_handed_in_can_be_shown():
    composed = message(encode(PARTS), SourceKind.PARTS)
    kit = tools(hostname="h.example")
    content = source_of(compose(composed, kit))
    assert (text_of(content), html_of(content)) == ("téxt\r\n", "<p>é</p>\r\n")
    assert "Subject: =?utf-8?" in headers_of(content)
    assert content == leave_message(composed).content
    wide = message(MAIL + b"x" * 999)
    made = compose(wide, kit)
    assert content_of(made, kit, {}) == leave(wide.source.content).content != source_of(made)
    assert source_of(compose(message(MAIL), kit)) is MAIL and html_of(MAIL) is None
    assert b"secret" not in source_of(compose(message(b"Bcc: secret@example.org\r\n" + MAIL), kit))


def test_the_moment_of_signing_changes_the_signature_alone():
    sent, again = leave(MAIL, signers=SIGNERS), leave(MAIL, signers=SIGNERS, now=ACCEPTED)
    assert sent.content == again.content and sent.block != again.block
    assert sent.block.split(b"DKIM")[0] == again.block.split(b"DKIM")[0]
