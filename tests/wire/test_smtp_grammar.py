"""Arguments of commands."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.model.message import Dsn, Notify, Recipient
from smtpeter.wire.smtp_grammar import (
    Chunk,
    CommandError,
    MailCommand,
    decode_xtext,
    encode_xtext,
    parse_bdat,
    parse_helo,
    parse_mail,
    parse_rcpt,
)
from tests.cpu import assert_cpu_below

MAIL = MailCommand("a@example.com")
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)


def test_mail_with_everything() -> None:
    assert parse_mail("FROM:<A.b@Example.COM> SIZE=10 BODY=8bitmime RET=full ENVID=x+2By AUTH=a+40b") == MailCommand(
        "A.b@example.com", 10, is_8bit=True, ret="FULL", envid="x+y"
    )


def test_null_path_is_for_mail_only() -> None:
    assert parse_mail("from:<>") == MailCommand("")
    with pytest.raises(CommandError, match=r"^501 5.1.3"):
        parse_rcpt("TO:<>", MAIL)


def test_recipient_carries_what_was_asked_of_notifications() -> None:
    mail = MailCommand("a@example.com", ret="HDRS", envid="id")
    recipient = parse_rcpt("TO:<B@Example.NET> NOTIFY=delay,FAILURE ORCPT=rfc822;c+2B@example.org", mail)
    notify = frozenset({Notify.DELAY, Notify.FAILURE})
    dsn = Dsn(notify, "HDRS", "id", "rfc822;c+@example.org")
    assert recipient == Recipient("B@example.net", "example.net", "B@Example.NET", dsn)


def test_source_route_is_taken_off_or_refused() -> None:
    assert parse_rcpt("TO:<@x.example,@y.example:b@example.net>", MAIL).address == "b@example.net"
    with pytest.raises(CommandError, match=r"^550 5.7.1"):
        parse_rcpt("TO:<@x.example:b@example.net>", MAIL, allows_route=False)


def test_postmaster_needs_no_domain_where_it_is_taken() -> None:
    assert parse_rcpt("TO:<PostMaster>", MAIL, postmaster_at="mx.example").address == "PostMaster@mx.example"
    with pytest.raises(CommandError, match=r"^501 5.1.3"):
        parse_rcpt("TO:<postmaster>", MAIL)


def test_quoted_local_part_may_hold_what_ends_a_path() -> None:
    assert parse_rcpt('TO:<"a> b\\"@c"@example.net>', MAIL).address == '"a> b\\"@c"@example.net'


@pytest.mark.parametrize(
    "argument",
    [
        "FROM:a@example.com",
        "FROM:<a@example.com",
        "FROM:<a@example.com>>",
        "FROM:<a@example.com>SIZE=1",
        "FROM:<<a@example.com>>",
        "FROM <a@example.com>",
        "FROM:Name <a@example.com>",
        "TO:<a@example.com>",
        "FROM:<a@example.com> SIZE=٣",
        "FROM:<a@example.com> BODY=",
        "FROM:<a@example.com> AUTH=+0",
        'FROM:<"a@example.com>',
    ],
)
def test_malformed_mail_is_501(argument: str) -> None:
    with pytest.raises(CommandError, match=r"^501 "):
        parse_mail(argument)


def test_auth_parameter_is_unknown_where_nobody_logs_in() -> None:
    with pytest.raises(CommandError, match=r"^555 "):
        parse_mail("FROM:<a@example.com> AUTH=<>", allows_auth=False)


def test_envid_and_orcpt_have_limits() -> None:
    assert parse_mail(f"FROM:<> ENVID={'x' * 100}").envid == "x" * 100
    with pytest.raises(CommandError, match=r"^501 "):
        parse_mail(f"FROM:<> ENVID={'x' * 101}")
    with pytest.raises(CommandError, match=r"^501 "):
        parse_rcpt(f"TO:<b@example.net> ORCPT=rfc822;{'x' * 500}", MAIL)


def test_addresses_in_utf8_need_the_parameter() -> None:
    mail = parse_mail("FROM:<jürgen@Bücher.example> SMTPUTF8")
    assert mail == MailCommand("jürgen@xn--bcher-kva.example", is_utf8=True)
    recipient = parse_rcpt("TO:<用户@例子.example>", mail)
    assert (recipient.address, recipient.domain) == ("用户@xn--fsqu00a.example", "xn--fsqu00a.example")
    assert recipient.given == "用户@例子.example"
    for parse in (parse_mail, lambda argument: parse_rcpt(argument.replace("FROM", "TO"), MAIL)):
        with pytest.raises(CommandError, match=r"^553 5\.6\.7"):
            parse("FROM:<j@bücher.example>")


@pytest.mark.parametrize(
    ("encoded", "address"),
    [
        ("jürgen@bücher.example", "jürgen@bücher.example"),
        (r"j\x{FC}rgen@b\x{FC}cher.example", "jürgen@bücher.example"),
        (r"a\x{2B}b\x{3D}c\x{5C}d@x.example", r"a+b=c\d@x.example"),
        (r"\x{1F600}@x.example", "\U0001f600@x.example"),
    ],
)
def test_original_recipient_in_utf8_is_decoded(encoded: str, address: str) -> None:
    mail = MailCommand("", is_utf8=True)
    assert parse_rcpt(f"TO:<b@example.net> ORCPT=utf-8;{encoded}", mail).dsn.orcpt == f"utf-8;{address}"


@pytest.mark.parametrize(
    "encoded", [r"\x{0A}", r"\x{D800}", r"\x{110000}", r"\x{a0}", r"\x{}", r"\y", "a+2Bb", r"\x{2028}"]
)
def test_malformed_original_recipient_in_utf8_is_501(encoded: str) -> None:
    with pytest.raises(CommandError, match=r"^501 "):
        parse_rcpt(f"TO:<b@example.net> ORCPT=utf-8;{encoded}", MAIL)


def test_chunk_sizes_are_plain_digits() -> None:
    assert [parse_bdat("10"), parse_bdat("0 last")] == [Chunk(10, is_last=False), Chunk(0, is_last=True)]
    for argument in ("", "+1", "-1", " 1", "1_0", "0x1", "1 LAST x", "9" * 19, "٣"):
        with pytest.raises(CommandError):
            parse_bdat(argument)


def test_hello_wants_one_word() -> None:
    assert parse_helo("[192.0.2.1]") == "[192.0.2.1]"
    for argument in ("", "a b", "<a>", "x" * 256):
        with pytest.raises(CommandError, match=r"^501 "):
            parse_helo(argument)


@given(printable)
@settings(max_examples=300)
def test_xtext_comes_back(text: str) -> None:
    coded = encode_xtext(text)
    assert decode_xtext(coded) == text
    assert " " not in coded and "=" not in coded


@pytest.mark.parametrize("text", ["a+", "a+2", "a+2b", "a=b", "a b", "+0A", "+7F", "+E9", "é"])
def test_bad_xtext_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode_xtext(text)


@given(printable, st.sampled_from(["", "FROM:<a@b.example> ", "TO:<a@b.example> ", 'TO:<"', "FROM:<@x:"]))
@settings(max_examples=500)
def test_any_text_gives_a_value_or_a_refusal_of_one_line(text: str, start: str) -> None:
    for parse in (parse_mail, lambda argument: parse_rcpt(argument, MAIL), parse_helo, parse_bdat):
        try:
            parse(start + text)
        except CommandError as trouble:
            assert trouble.reply.code in (500, 501, 555)
            assert trouble.reply.encode().count(b"\r\n") == 1


@pytest.mark.parametrize("part", ["@a,", '"', '\\"', "a.", "<", "((", " "])
def test_hostile_paths_cost_linear_time(part: str) -> None:
    def refuse() -> None:
        for start in ("TO:<", 'TO:<"', "TO:<@", "TO:<a@b.example> "):
            with pytest.raises(CommandError):
                parse_rcpt(start + part * (12000 // len(part)) + "\x7f", MAIL)

    assert_cpu_below(0.5, refuse)
