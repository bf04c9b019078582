import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpeter.model.message import Dsn, Notify
from smtpeter.model.reply import reply
from smtpeter.wire import dsn
from smtpeter.wire.dsn import Action
from smtpeter.wire.headers import has_control, has_long_line, split
from smtpeter.wire.smtp_commands import Envelope, Extensions, commands_for

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
ORIGINAL = b"From: john@example.com\r\nSubject: hi\r\nMessage-ID: <1@example.com>\r\n\r\nthe text\r\n.\r\n"
REPORT = dsn.Report(
    action=Action.FAILED,
    reporting_mta="mail.example.net",
    notice_id="0123456789abcdefghij",
    to="john@example.com",
    date=NOW,
    arrived=NOW,
    recipient="jane@example.org",
    status="5.1.1",
    reply=reply(550, "5.1.1", "no such user here"),
    remote_mta="mx.example.org",
    envid="QQ-314",
    orcpt="rfc822;jane+x@example.org",
    last_attempt=NOW,
    original=ORIGINAL,
)


def read(content):
    whole = email.message_from_bytes(content, policy=email.policy.compat32)
    words, status, returned = whole.get_payload()
    return whole, words, status, returned


def test_another_reader_finds_all_three_parts():
    whole, words, status, returned = read(dsn.write(REPORT))
    assert whole.get_content_type() == "multipart/report"
    assert whole.get_param("report-type") == "delivery-status"
    assert whole["auto-submitted"] == "auto-replied"
    assert whole["to"] == "<john@example.com>"
    assert whole["in-reply-to"] == "<1@example.com>"
    assert "jane@example.org could not be delivered" in words.get_payload()
    assert status.get_content_type() == "message/delivery-status"
    message, recipient = status.get_payload()
    assert dict(message) == {
        "Original-Envelope-Id": "QQ-314",
        "Reporting-MTA": "dns; mail.example.net",
        "Arrival-Date": "Sun, 22 Nov 2026 10:00:00 +0000",
    }
    assert dict(recipient) == {
        "Original-Recipient": "rfc822; jane+x@example.org",
        "Final-Recipient": "rfc822; jane@example.org",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.example.org",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user here",
        "Last-Attempt-Date": "Sun, 22 Nov 2026 10:00:00 +0000",
    }
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_payload() == ORIGINAL.partition(b"\r\n\r\n")[0].decode() + "\r\n"


def test_the_whole_message_comes_back_when_it_was_asked_for():
    *_, returned = read(dsn.write(replace(REPORT, is_full=True)))
    assert returned.get_content_type() == "message/rfc822"
    assert returned.get_payload(0).get_payload() == "the text\r\n.\r\n"


def test_eight_bit_messages_come_back_as_they_were():
    original = "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nné\r\n".encode()
    content = dsn.write(replace(REPORT, is_full=True, original=original))
    assert original.rstrip() in content and b"Content-Transfer-Encoding: 8bit" in content


@pytest.mark.parametrize("action", list(Action))
def test_each_action_has_its_words(action):
    whole, words, status, _ = read(dsn.write(replace(REPORT, action=action, retry_until=NOW)))
    assert status.get_payload(1)["action"] == action.value
    assert ("will-retry-until" in status.get_payload(1)) == (action is Action.DELAYED)
    assert whole["subject"] == dsn.subject(replace(REPORT, action=action))
    assert "Your message to jane@example.org" in words.get_payload()


def test_what_came_with_smtputf8_is_told_in_the_international_form():
    said = reply(550, "5.1.1", "né")
    report = replace(REPORT, recipient="zoë@example.org", orcpt="utf-8;zoë@example.org", reply=said, is_utf8=True)
    content = dsn.write(report)
    assert b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n" in content
    assert "Final-Recipient: utf-8; zoë@example.org\r\n".encode() in content
    assert "Diagnostic-Code: smtp; 550 5.1.1 né\r\n".encode() in content
    assert b"jane" not in content


def test_without_smtputf8_everything_is_told_in_ascii():
    said = reply(550, "5.1.1", "né")
    for orcpt in ("utf-8;zoë@example.org", "utf-8;zo\\x{EB}@example.org", "rfc822;zoë@example.org"):
        content = dsn.write(replace(REPORT, recipient="zoë@example.org", orcpt=orcpt, reply=said))
        _, _, status, _ = read(content)
        assert status.get_content_type() == "message/delivery-status"
        assert status.get_payload(1)["final-recipient"] == "utf-8; zo\\x{EB}@example.org"
        assert status.get_payload(1)["original-recipient"] == "utf-8; zo\\x{EB}@example.org"
        assert status.get_payload(1)["diagnostic-code"] == "smtp; 550 5.1.1 n?"
        assert content.isascii()


def test_smtputf8_alone_changes_nothing_about_a_report_in_ascii():
    assert dsn.write(replace(REPORT, is_utf8=True)) == dsn.write(REPORT)


@pytest.mark.parametrize(
    ("action", "given", "told"),
    [
        (Action.FAILED, "5.1.1", "5.1.1"),
        (Action.FAILED, "4.4.7", "4.4.7"),
        (Action.FAILED, "2.0.0", "5.0.0"),
        (Action.FAILED, "5.1", "5.0.0"),
        (Action.DELAYED, "4.2.2", "4.2.2"),
        (Action.DELAYED, "5.2.2", "4.2.2"),
        (Action.DELAYED, "", "4.0.0"),
        (Action.DELIVERED, "2.1.5", "2.1.5"),
        (Action.RELAYED, "", "2.0.0"),
    ],
)
def test_the_status_is_of_a_class_that_fits_the_action(action, given, told):
    _, _, status, _ = read(dsn.write(replace(REPORT, action=action, status=given)))
    assert status.get_payload(1)["status"] == told


def test_a_header_outside_ascii_is_labelled_so():
    content = dsn.write(replace(REPORT, original="Subject: né\r\n\r\n".encode()))
    assert b"Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: n" in content


def test_an_empty_report_has_only_the_fields_that_must_be_there():
    bare = dsn.Report(Action.FAILED, "h.example", "id", "a@example.com", NOW, NOW, "b@example.org", "", b"")
    _, _, status, _ = read(dsn.write(bare))
    assert status.get_payload(1)["status"] == "5.0.0"
    assert status.get_payload(1).keys() == ["Final-Recipient", "Action", "Status"]


@given(
    st.text(max_size=200)
    | st.sampled_from(["x" * 1024, "a\r\n\r\nBcc: x", "\r\n--=_0123456789abcdefghij_0--\r\n", "é" * 600])
)
def test_no_remote_text_can_add_a_field_or_a_part(text):
    said = reply(550, "5.1.1", text)
    report = replace(REPORT, reply=said, reason=text, envid=text, orcpt=f"rfc822;{text}", remote_mta=text)
    content = dsn.write(report)
    assert not has_long_line(content) and b"\0" not in content
    assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
    whole, _, status, _ = read(content)
    assert "bcc" not in whole
    fields = {name.lower() for group in status.get_payload() for name in dict(group)}
    assert fields <= {
        "original-envelope-id",
        "reporting-mta",
        "arrival-date",
        "original-recipient",
        "final-recipient",
        "action",
        "status",
        "remote-mta",
        "diagnostic-code",
        "last-attempt-date",
    }
    assert not has_control(split(content)[0].decode().replace("\r\n", ""))


def test_a_hostile_original_cannot_end_the_report_or_enter_its_header():
    original = b"Message-ID: <a@b>\r\n x\r\n\r\n--=_0123456789abcdefghij_0--\r\n"
    whole, _, _, returned = read(dsn.write(replace(REPORT, is_full=True, original=original)))
    assert whole["in-reply-to"] is None
    assert b"--=_0123456789abcdefghij_0--" in returned.get_payload(0).get_payload(decode=True)


def test_a_message_that_cannot_travel_inside_another_is_cut_to_its_header():
    original = b"Subject: s\r\nX: " + b"y" * 1200 + b"\r\n\r\ntext"
    *_, returned = read(dsn.write(replace(REPORT, is_full=True, original=original)))
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_payload() == "Subject: s\r\n"


def test_words_of_our_own_are_not_passed_off_as_those_of_a_server():
    _, words, status, _ = read(dsn.write(replace(REPORT, reply=None, status="", reason="The time is up.")))
    assert status.get_payload(1)["diagnostic-code"] == "x-smtpeter; The time is up."
    assert "The time is up." in words.get_payload() and "server mx.example.org said" not in words.get_payload()


def test_our_reason_stands_beside_the_last_words_of_the_server():
    _, words, status, _ = read(dsn.write(replace(REPORT, reason="The time is up.")))
    assert status.get_payload(1)["diagnostic-code"] == "smtp; 550 5.1.1 no such user here"
    text = words.get_payload()
    assert text.index("The time is up.") < text.index("The mail server mx.example.org said:") < text.index("550 5.1.1")


def test_a_report_without_the_message_has_two_parts_and_says_nothing_of_an_attachment():
    whole = email.message_from_bytes(dsn.write(replace(REPORT, original=None)), policy=email.policy.compat32)
    words, status = whole.get_payload()
    assert status.get_content_type() == "message/delivery-status"
    assert "attached" not in words.get_payload()


@pytest.mark.parametrize("evil", [b"\0", b"a\nb", b"a\rb"])
@pytest.mark.parametrize("is_full", [True, False])
def test_octets_that_may_not_travel_do_not_come_back(evil, is_full):
    original = b"Subject: s\r\nX-Evil: " + evil + b"\r\nX-Good: 1\r\n\r\ntext\r\n"
    content = dsn.write(replace(REPORT, is_full=is_full, original=original))
    *_, returned = read(content)
    assert returned.get_content_type() == "text/rfc822-headers"
    assert b"X-Good: 1\r\n" in content and b"\0" not in content
    assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")


# --- what the next host is asked for


def rcpt(asked, *, tracks_bounces, orcpt=""):
    envelope = Envelope(
        "a@example.com", "b@example.net", Dsn(frozenset(asked), orcpt=orcpt), tracks_bounces=tracks_bounces
    )
    return commands_for(Extensions(has_dsn=True), envelope, 1, must_reset=False)[1][1].removeprefix(
        "RCPT TO:<b@example.net>"
    )


@pytest.mark.parametrize(
    ("asked", "plain", "tracked"),
    [
        ((), "", " NOTIFY=FAILURE"),
        ((Notify.NEVER,), " NOTIFY=NEVER", " NOTIFY=FAILURE"),
        ((Notify.SUCCESS,), " NOTIFY=SUCCESS", " NOTIFY=SUCCESS,FAILURE"),
        ((Notify.DELAY,), " NOTIFY=DELAY", " NOTIFY=FAILURE,DELAY"),
        ((Notify.FAILURE, Notify.DELAY), " NOTIFY=FAILURE,DELAY", " NOTIFY=FAILURE,DELAY"),
    ],
)
def test_failures_must_come_back_when_bounces_are_tracked_and_else_what_was_asked(asked, plain, tracked):
    assert rcpt(asked, tracks_bounces=False) == plain
    assert rcpt(asked, tracks_bounces=True) == tracked


def test_tracked_bounces_ask_for_failures_though_nothing_was_said():
    envelope = Envelope("a@example.com", "b@example.net", tracks_bounces=True)
    assert commands_for(Extensions(has_dsn=True), envelope, 1, must_reset=False)[1][1].endswith("> NOTIFY=FAILURE")
    assert commands_for(Extensions(), envelope, 1, must_reset=False)[1][1].endswith("net>")


@pytest.mark.parametrize("orcpt", ["utf-8;zoë+x@example.org", "utf-8;zo\\x{EB}\\x{2B}x@example.org"])
def test_an_international_original_recipient_is_passed_on_in_one_form_however_it_came(orcpt):
    assert rcpt((), tracks_bounces=False, orcpt=orcpt) == " ORCPT=utf-8;zo\\x{EB}\\x{2B}x@example.org"
