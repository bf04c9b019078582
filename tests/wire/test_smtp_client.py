"""The client's conversations against scripted replies: no stream, no clock."""

import base64
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.model.message import Dsn, Notify
from smtpeter.model.outcome import Kind, State, TlsFacts
from smtpeter.model.reply import Reply
from smtpeter.wire.smtp_client import Acquaintance, Introduction, RelayLogin, introduce, leave, transact
from smtpeter.wire.smtp_commands import BLOCK_OCTETS, Envelope, Extensions, content_blocks, read_extensions, xtext
from smtpeter.wire.smtp_reply import ReplyParser
from smtpeter.wire.smtp_steps import (
    MAX_TRANSCRIPT_LINES,
    Block,
    Break,
    Confirm,
    Conversation,
    Ending,
    Read,
    StartTls,
    TlsPolicy,
    Write,
)

T = TypeVar("T")
Scripted = str | TlsFacts | Break

TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", True)
LOST = Break(Kind.LOST, "gone")
LATE = Break(Kind.TIMEOUT, "late")
ENVELOPE = Envelope("a@example.com", "b@example.net")
CONTENT = [b"Subject: x\r\n\r\n", b"Hello\r\n"]
PLAIN = Extensions()
PIPELINING = Extensions(has_pipelining=True)
OFFER = "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"
STAGES: list[tuple[list[str], State]] = [
    ([], State.MAILFROM),
    (["250 ok"], State.RCPTTO),
    (["250 ok", "250 ok"], State.DATA),
    (["250 ok", "250 ok", "354 go"], State.MESSAGE),
]
BODY = "Subject: x\r\n\r\nHello\r\n.\r\n"


def reply_of(text: str) -> Reply:
    parser = ReplyParser()
    parser.receive(text.replace("\n", "\r\n").encode() + b"\r\n")
    reply = parser.next(is_whole=True)
    assert reply is not None
    return reply


@dataclass
class Told:
    """What a conversation said to a server that answered from a script."""

    written: list[str]
    states: list[State]


def converse(conversation: Conversation[T], *script: Scripted) -> tuple[T, Told]:
    """Runs a conversation; each Read and StartTls takes the next line of the script, all of which must be used up."""
    told = Told([], [])
    answers = list(script)
    try:
        step = next(conversation)
        while True:
            match step:
                case Write(data) | Block(data):
                    told.written.append(data.decode())
                    step = conversation.send(None)
                case Confirm():
                    step = conversation.send(None)
                case Read(state):
                    told.states.append(state)
                    step = give(conversation, answers.pop(0))
                case StartTls():
                    told.written.append("<tls>")
                    step = give(conversation, answers.pop(0))
    except StopIteration as end:
        assert answers == []
        return end.value, told


def give(conversation: Conversation[T], answer: Scripted) -> object:
    match answer:
        case Break():
            return conversation.throw(answer)
        case str():
            return conversation.send(reply_of(answer))
        case _:
            return conversation.send(answer)


def handed(
    *script: Scripted,
    peer: Extensions = PIPELINING,
    envelope: Envelope = ENVELOPE,
    content: Sequence[bytes] = CONTENT,
    is_used: bool = False,
    must_reset: bool = False,
) -> tuple[Ending, Told]:
    return converse(transact(peer, envelope, content, is_used=is_used, must_reset=must_reset), *script)


# --- one message


def test_pipelining_takes_one_write_for_the_envelope_and_one_for_the_content() -> None:
    ending, told = handed("250 2.1.0 ok", "250 2.1.5 ok", "354 go", "250 2.0.0 queued as 7")
    assert told.written == [OFFER, BODY]
    assert told.states == [State.MAILFROM, State.RCPTTO, State.DATA, State.MESSAGE]
    assert (ending.state, ending.kind, ending.status, ending.description) == (
        State.MESSAGE,
        Kind.ACCEPTED,
        "2.0.0",
        "queued as 7",
    )
    assert ending.is_reusable
    assert not ending.is_uncertain
    assert not ending.must_reset


def test_without_pipelining_each_command_waits_for_its_reply() -> None:
    ending, told = handed("250 ok", "250 ok", "354 go", "250 ok", peer=PLAIN)
    assert told.written == [*OFFER.splitlines(keepends=True), BODY]
    assert ending.kind is Kind.ACCEPTED


@pytest.mark.parametrize(
    ("before", "state", "code"),
    [
        (before, state, code)
        for before, state in STAGES
        for code in ("450 4.2.1", "550 5.7.1", "421 4.7.0", "250", "354", "220")
        if code[0] != ("3" if state is State.DATA else "2")
    ],
)
def test_unwanted_reply_ends_in_its_state(before: list[str], state: State, code: str) -> None:
    ending, told = handed(*before, f"{code} because", peer=PLAIN)
    is_error = code[0] in "45"
    assert (ending.state, ending.kind) == (state, Kind.ERROR if is_error else Kind.INVALID)
    assert ending.reply == reply_of(f"{code} because")
    assert "because" in ending.description
    # what the server has decided is certain; a reply that makes no sense after the dot is not
    assert ending.is_uncertain == (state is State.MESSAGE and not is_error)
    assert ending.is_reusable == (is_error and code[:3] != "421")
    assert ending.must_reset == (ending.is_reusable and state in (State.RCPTTO, State.DATA))
    assert len(told.written) == len(before) + 1


@pytest.mark.parametrize("peer", [PLAIN, PIPELINING])
@pytest.mark.parametrize("end", [LOST, LATE, Break(Kind.INVALID, "noise")])
@pytest.mark.parametrize(("before", "state"), STAGES)
def test_break_ends_in_its_state_and_is_uncertain_only_after_the_dot(
    before: list[str], state: State, end: Break, peer: Extensions
) -> None:
    ending, _ = handed(*before, end, peer=peer)
    assert (ending.state, ending.kind, ending.description, ending.reply) == (state, end.kind, str(end), None)
    assert ending.is_uncertain == (state is State.MESSAGE)
    assert not ending.is_reusable


def test_break_in_a_large_content_is_certain_until_the_last_block_goes() -> None:
    conversation = transact(PIPELINING, ENVELOPE, [b"x\r\n" * BLOCK_OCTETS])
    step = next(conversation)
    for answer in (None, "250 ok", "250 ok", "354 go"):
        step = conversation.send(reply_of(answer) if answer else None)
    assert isinstance(step, Block)
    step = conversation.send(None)
    assert isinstance(step, Block)
    with pytest.raises(StopIteration) as end:
        conversation.throw(LATE)
    assert (end.value.value.state, end.value.value.is_uncertain) == (State.MESSAGE, False)


# --- replies that are owed (RFC 2920)


def test_refused_recipient_is_the_result_when_data_is_refused_behind_it() -> None:
    ending, told = handed("250 ok", "550 5.1.1 who?", "503 no recipients")
    assert (ending.state, ending.kind, ending.status) == (State.RCPTTO, Kind.ERROR, "5.1.1")
    assert told.written == [OFFER]
    assert ending.is_reusable
    assert ending.must_reset


def test_server_that_is_ready_for_data_after_refusing_the_recipient_gets_a_lone_dot() -> None:
    ending, told = handed("250 ok", "550 5.1.1 who?", "354 go", "554 no valid recipients")
    assert (ending.state, ending.status) == (State.RCPTTO, "5.1.1")
    assert told.written == [OFFER, ".\r\n"]
    assert ending.is_reusable
    assert not ending.must_reset
    assert not ending.is_uncertain
    assert ending.transcript[-1] == "S: 554 no valid recipients"


def test_server_that_takes_the_lone_dot_has_lost_count() -> None:
    ending, _ = handed("250 ok", "450 4.2.0 later", "354 go", "250 queued")
    assert (ending.state, ending.kind, ending.status) == (State.RCPTTO, Kind.ERROR, "4.2.0")
    assert not ending.is_reusable


def test_refused_sender_is_the_result_and_needs_no_reset() -> None:
    ending, told = handed("553 5.1.8 no", "503 MAIL first", "503 RCPT first")
    assert (ending.state, ending.status) == (State.MAILFROM, "5.1.8")
    assert told.written == [OFFER]
    assert ending.is_reusable
    assert not ending.must_reset


def test_no_dot_goes_to_a_server_that_has_a_recipient_without_a_sender() -> None:
    """It would take the dot for an empty message."""
    ending, told = handed("451 4.3.0 later", "250 ok")
    assert (ending.state, ending.kind) == (State.MAILFROM, Kind.ERROR)
    assert told.written == [OFFER]
    assert not ending.is_reusable


def test_refused_data_needs_a_reset() -> None:
    ending, told = handed("250 ok", "250 ok", "451 4.3.0 later")
    assert (ending.state, ending.status) == (State.DATA, "4.3.0")
    assert told.written == [OFFER]
    assert ending.is_reusable
    assert ending.must_reset


def test_data_answered_2yz_is_out_of_place() -> None:
    ending, told = handed("250 ok", "250 ok", "250 ok")
    assert (ending.state, ending.kind) == (State.DATA, Kind.INVALID)
    assert told.written == [OFFER]
    assert not ending.is_reusable


def test_nothing_is_waited_for_after_421() -> None:
    ending, _ = handed("421 4.7.0 too many")
    assert (ending.state, ending.kind) == (State.MAILFROM, Kind.ERROR)
    assert not ending.is_reusable
    ending, _ = handed("250 ok", "550 5.1.1 who?", "421 bye")
    assert (ending.state, ending.status, ending.is_reusable) == (State.RCPTTO, "5.1.1", False)


@pytest.mark.parametrize("script", [("250 ok", "550 5.1.1 who?", LOST), ("250 ok", "550 5.1.1 who?", "354 go", LATE)])
def test_break_behind_a_refusal_does_not_change_the_result(script: tuple[Scripted, ...]) -> None:
    ending, _ = handed(*script)
    assert (ending.state, ending.kind, ending.status) == (State.RCPTTO, Kind.ERROR, "5.1.1")
    assert not ending.is_uncertain
    assert not ending.is_reusable


def test_reset_goes_in_the_same_write_as_the_next_message() -> None:
    ending, told = handed("250 ok", "250 ok", "250 ok", "354 go", "250 ok", must_reset=True, is_used=True)
    assert told.written == ["RSET\r\n" + OFFER, BODY]
    assert told.states[0] is State.IDLE
    assert ending.kind is Kind.ACCEPTED


def test_reset_goes_first_without_pipelining() -> None:
    ending, told = handed("250 ok", "250 ok", "250 ok", "354 go", "250 ok", must_reset=True, peer=PLAIN)
    assert told.written == ["RSET\r\n", *OFFER.splitlines(keepends=True), BODY]
    assert ending.kind is Kind.ACCEPTED


@pytest.mark.parametrize("peer", [PLAIN, PIPELINING])
def test_refused_reset_ends_the_connection(peer: Extensions) -> None:
    ending, _ = handed("500 what?", must_reset=True, is_used=True, peer=peer)
    assert (ending.state, ending.kind, ending.is_reusable) == (State.IDLE, Kind.ERROR, False)


@pytest.mark.parametrize("peer", [PLAIN, PIPELINING])
@pytest.mark.parametrize("answer", [LOST, "421 4.4.2 idle too long"])
def test_server_that_left_between_two_messages_says_nothing_about_the_second(
    peer: Extensions, answer: Scripted
) -> None:
    assert handed(answer, peer=peer, is_used=True)[0].state is State.IDLE
    assert handed(answer, peer=peer, is_used=False)[0].state is State.MAILFROM


# --- parameters


def test_parameters_are_given_when_they_are_offered() -> None:
    peer = Extensions(
        has_pipelining=True,
        has_8bitmime=True,
        has_smtputf8=True,
        has_dsn=True,
        has_size=True,
        has_requiretls=True,
        max_octets=1000,
    )
    dsn = Dsn(frozenset({Notify.FAILURE, Notify.SUCCESS}), "HDRS", "id+1=x", "rfc822;b c@example.net")
    envelope = Envelope("", "bé@example.net", dsn, is_8bit=True, is_utf8=True, requires_tls=True)
    _, told = handed("250 ok", "250 ok", "354 go", "250 ok", peer=peer, envelope=envelope)
    assert told.written[0] == (
        "MAIL FROM:<> SIZE=21 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=id+2B1+3Dx\r\n"
        "RCPT TO:<bé@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+20c@example.net\r\n"
        "DATA\r\n"
    )


def test_dsn_parameters_are_left_out_when_they_are_not_offered() -> None:
    envelope = Envelope("a@example.com", "b@example.net", Dsn(frozenset({Notify.NEVER}), "FULL", "x", "rfc822;b@c"))
    _, told = handed("250 ok", "250 ok", "354 go", "250 ok", envelope=envelope)
    assert told.written[0] == OFFER


def test_size_is_told_even_when_the_server_names_no_limit() -> None:
    _, told = handed("250 ok", "250 ok", "354 go", "250 ok", peer=Extensions(has_size=True, has_pipelining=True))
    assert " SIZE=21\r\n" in told.written[0]


@pytest.mark.parametrize(
    ("peer", "envelope", "status"),
    [
        (Extensions(has_size=True, max_octets=20), ENVELOPE, "5.3.4"),
        (PLAIN, Envelope("a@example.com", "bé@example.net"), "5.6.7"),
        (PLAIN, Envelope("é@example.com", "b@example.net"), "5.6.7"),
        (PLAIN, Envelope("a@example.com", "b@example.net", is_utf8=True), "5.6.7"),
        (PLAIN, Envelope("a@example.com", "b@example.net", is_8bit=True), "5.6.3"),
        (PLAIN, Envelope("a@example.com", "b@example.net", requires_tls=True), "5.7.30"),
    ],
)
def test_what_the_server_cannot_take_is_not_begun(peer: Extensions, envelope: Envelope, status: str) -> None:
    ending, told = handed(peer=peer, envelope=envelope, is_used=True, must_reset=True)
    assert told.written == []
    assert (ending.state, ending.kind, ending.status, ending.reply) == (State.MAILFROM, Kind.ERROR, status, None)
    assert ending.is_reusable
    assert ending.must_reset


def test_message_of_exactly_the_limit_is_sent() -> None:
    peer = Extensions(has_pipelining=True, has_size=True, max_octets=21)
    assert handed("250 ok", "250 ok", "354 go", "250 ok", peer=peer)[0].kind is Kind.ACCEPTED


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope("a@example.com>\r\nRCPT TO:<c@example.com", "b@example.net"),
        Envelope("a@example.com", "b@example.net\r\nDATA"),
        Envelope("a@example.com", "b@example.net> NOTIFY=NEVER"),
        Envelope("a@example.com> BODY=8BITMIME <x@y", "b@example.net"),
        Envelope("a@example.com", "b\0@example.net"),
        Envelope("a@example.com", "b\x85@example.net"),
        Envelope("a@example.com", "b\u2028@example.net"),
        Envelope("a@example.com", '"b\r\n"@example.net'),
        Envelope("a@example.com", '"b"c"@example.net'),
        Envelope("a@example.com", ""),
        Envelope("a@example.com", "b@"),
        Envelope("a@example.com", "b@example.net", Dsn(ret="FULL SIZE=1")),
        Envelope("a@example.com", "b@example.net", Dsn(ret="FULL\r\nRSET")),
    ],
)
@pytest.mark.parametrize("has_pipelining", [True, False])
def test_value_that_breaks_out_of_its_command_is_an_error_before_a_word_is_said(
    envelope: Envelope, has_pipelining: bool
) -> None:
    peer = Extensions(has_pipelining=has_pipelining, has_smtputf8=True, has_dsn=True)
    with pytest.raises(ValueError, match=r"address|control|RET"):
        next(transact(peer, envelope, CONTENT))


@pytest.mark.parametrize("address", ['"a b"@example.net', '"a>b"@example.net', r'"a\"b"@example.net', "b@[192.0.2.1]"])
def test_quoted_addresses_and_literals_pass(address: str) -> None:
    _, told = handed("250 ok", "250 ok", "354 go", "250 ok", envelope=Envelope("", address))
    assert told.written[0] == f"MAIL FROM:<>\r\nRCPT TO:<{address}>\r\nDATA\r\n"


@settings(max_examples=200, deadline=None)
@given(st.text(), st.text(), st.text(), st.text(), st.sampled_from([PLAIN, PIPELINING]))
def test_no_value_adds_a_command(sender: str, recipient: str, envid: str, orcpt: str, base: Extensions) -> None:
    """Whatever the values are: a ValueError, or exactly the commands that are meant."""
    peer = Extensions(has_pipelining=base.has_pipelining, has_smtputf8=True, has_dsn=True)
    envelope = Envelope(f"{sender}@example.com", f"{recipient}@example.com", Dsn(envid=envid, orcpt=f"utf-8;{orcpt}"))
    try:
        _, told = handed("250 ok", "250 ok", "354 go", "250 ok", peer=peer, envelope=envelope)
    except (ValueError, UnicodeEncodeError):
        return
    said = "".join(told.written[:-1])
    assert [line[:4] for line in said.split("\r\n")] == ["MAIL", "RCPT", "DATA", ""]
    assert said.count("\r") == said.count("\n") == 3


def test_xtext_holds_printable_ascii_without_plus_and_equals() -> None:
    assert xtext("a+b=c d~!é") == "a+2Bb+3Dc+20d~!+C3+A9"


def test_international_original_recipient_is_ascii() -> None:
    envelope = Envelope("", "b@example.net", Dsn(orcpt="utf-8;é\\+b@example.net"))
    _, told = handed("250 ok", "250 ok", "354 go", "250 ok", peer=Extensions(has_dsn=True), envelope=envelope)
    assert told.written[1] == "RCPT TO:<b@example.net> ORCPT=utf-8;\\x{E9}\\x{5C}\\x{2B}b@example.net\r\n"


# --- content


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        ([], b".\r\n"),
        ([b""], b".\r\n"),
        ([b"a\r\n"], b"a\r\n.\r\n"),
        ([b"a"], b"a\r\n.\r\n"),
        ([b"."], b"..\r\n.\r\n"),
        ([b".\r\n"], b"..\r\n.\r\n"),
        ([b"..\r\n"], b"...\r\n.\r\n"),
        ([b"a\r\n.\r\n"], b"a\r\n..\r\n.\r\n"),
        ([b"a\r\n", b".b\r\n"], b"a\r\n..b\r\n.\r\n"),
        ([b"a\r", b"\n", b".b\r\n"], b"a\r\n..b\r\n.\r\n"),
        ([b"a.b\r\n"], b"a.b\r\n.\r\n"),
        ([b"a\r\n.\r\n.\r\n"], b"a\r\n..\r\n..\r\n.\r\n"),
    ],
)
def test_dots_are_stuffed_and_the_end_stands_on_its_own_line(content: list[bytes], wire: bytes) -> None:
    assert b"".join(content_blocks(content)) == wire


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"x", b"\r\n.", b"y" * 30]), max_size=30).map(b"".join),
    st.sampled_from([1, 3, 7, BLOCK_OCTETS]),
    st.sampled_from([0, BLOCK_OCTETS - 10, 17 * BLOCK_OCTETS - 10]),
)
def test_unstuffed_blocks_are_the_content(seed: bytes, width: int, filling: int) -> None:
    """However it is cut and however large it is, taking off the end and the dots gives the content back."""
    content = b"z" * filling + seed
    head = filling - filling % BLOCK_OCTETS
    pieces = [content[i : i + BLOCK_OCTETS] for i in range(0, head, BLOCK_OCTETS)]
    pieces += [content[i : i + width] for i in range(head, len(content), max(width, filling // 500 + 1))]
    blocks = list(content_blocks(pieces if b"".join(pieces) == content else [content]))
    wire = b"".join(blocks)
    lines = wire.split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    assert b"." not in lines[:-2]
    back = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines[:-2])
    assert back == content.removesuffix(b"\r\n") or back + b"\r\n" == content
    assert b"\r\n.\r\n" not in b"\r\n" + b"".join(blocks[:-1])


def test_large_content_is_not_held_twice() -> None:
    content = [b"x" * 78 + b"\r\n"] * 100_000
    joined = [b"".join(content)]
    tracemalloc.start()
    for _ in content_blocks(joined):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * BLOCK_OCTETS


# --- transcript


def test_transcript_has_both_sides_and_no_content() -> None:
    ending, _ = handed("250 2.1.0 ok", "250-2.1.5 a\n250 2.1.5 b", "354 go", "250 2.0.0 queued")
    assert ending.transcript == (
        "C: MAIL FROM:<a@example.com>",
        "C: RCPT TO:<b@example.net>",
        "C: DATA",
        "S: 250 2.1.0 ok",
        "S: 250 2.1.5 a b",
        "S: 354 go",
        "S: 250 2.0.0 queued",
    )


def test_transcript_is_bounded() -> None:
    long = "x" * 900
    ending, _ = handed("250 " + long, "250 " + long, "354 " + long, "250 " + long)
    assert len(ending.transcript) <= MAX_TRANSCRIPT_LINES
    assert all(len(line) <= 512 for line in ending.transcript)
    assert ending.transcript[-1].endswith("…")


# --- introduction

EHLO = "250-mx.example.net\n250-PIPELINING\n250 SIZE 1000"
EHLO_TLS = "250-mx.example.net\n250-STARTTLS\n250 SIZE 1000"
EHLO_AUTH = "250-mx.example.net\n250 AUTH LOGIN PLAIN"
ALL_POLICIES = list(TlsPolicy)


def met(*script: Scripted, **how: object) -> tuple[Acquaintance, Told]:
    ending, told = converse(introduce(Introduction("me.example.com", **how)), *script)  # type: ignore[arg-type]
    assert isinstance(ending, Acquaintance)
    return ending, told


def turned_away(*script: Scripted, **how: object) -> tuple[Ending, Told]:
    ending, told = converse(introduce(Introduction("me.example.com", **how)), *script)  # type: ignore[arg-type]
    assert isinstance(ending, Ending)
    assert not ending.is_reusable
    return ending, told


def test_extensions_are_learned() -> None:
    acquaintance, told = met("220 hello", EHLO, tls=TlsPolicy.NONE)
    assert told.written == ["EHLO me.example.com\r\n"]
    assert acquaintance.extensions == Extensions(has_pipelining=True, has_size=True, max_octets=1000)
    assert acquaintance.banner == "hello"
    assert acquaintance.tls is None


def test_extension_list_is_read_as_servers_write_it() -> None:
    text = (
        "250-mx PIPELINING\n250-size 0\n250-8bitmime\n250-AUTH PLAIN xoauth2\n250-AUTH=LOGIN\n250-DSN\n"
        "250-SMTPUTF8\n250-REQUIRETLS\n250-LIMITS MAILMAX=25 RCPTMAX=1\n250-STARTTLS\n250-X-\u00e9\n250 SIZEX 7"
    )
    assert read_extensions(reply_of(text)) == Extensions(
        has_8bitmime=True,
        has_size=True,
        max_octets=None,
        has_dsn=True,
        has_smtputf8=True,
        has_requiretls=True,
        has_starttls=True,
        max_mails=25,
        mechanisms=frozenset({"PLAIN", "XOAUTH2", "LOGIN"}),
    )


@pytest.mark.parametrize("size", ["SIZE", "SIZE many", "SIZE -5", "SIZE 1e9", "SIZE ٣"])
def test_size_that_is_no_number_is_no_limit(size: str) -> None:
    assert read_extensions(reply_of(f"250-mx\n250 {size}")).max_octets is None


def test_server_that_does_not_know_ehlo_is_greeted_with_helo() -> None:
    acquaintance, told = met("220 hello", "502 what?", "250 mx", tls=TlsPolicy.NONE)
    assert told.written == ["EHLO me.example.com\r\n", "HELO me.example.com\r\n"]
    assert acquaintance.extensions == Extensions()


@pytest.mark.parametrize("answer", ["421 4.7.0 busy", "450 later"])
def test_helo_is_not_tried_when_ehlo_is_put_off(answer: str) -> None:
    ending, told = turned_away("220 hello", answer)
    assert (ending.state, ending.kind) == (State.EHLO, Kind.ERROR)
    assert told.written == ["EHLO me.example.com\r\n"]


@pytest.mark.parametrize(
    ("script", "state", "kind"),
    [
        (["554 5.7.1 no service"], State.INTRO, Kind.ERROR),
        (["421 4.3.2 busy"], State.INTRO, Kind.ERROR),
        (["250 hello"], State.INTRO, Kind.INVALID),
        ([LOST], State.INTRO, Kind.LOST),
        ([LATE], State.INTRO, Kind.TIMEOUT),
        (["220 hello", LOST], State.EHLO, Kind.LOST),
        (["220 hello", "354 what"], State.EHLO, Kind.INVALID),
        (["220 hello", "550 no", "550 no"], State.HELO, Kind.ERROR),
        (["220 hello", "550 no", LATE], State.HELO, Kind.TIMEOUT),
        (["220 hello", EHLO_TLS, LOST], State.STARTTLS, Kind.LOST),
        (["220 hello", EHLO_TLS, "421 bye"], State.STARTTLS, Kind.ERROR),
        (["220 hello", EHLO_TLS, "250 ok"], State.STARTTLS, Kind.INVALID),
        (["220 hello", EHLO_TLS, "220 go", TLS, "550 no", "550 no"], State.HELO, Kind.ERROR),
        (["220 hello", EHLO_TLS, "220 go", TLS, LOST], State.EHLO, Kind.LOST),
    ],
)
def test_introduction_ends_where_the_server_stops_it(script: list[Scripted], state: State, kind: Kind) -> None:
    ending, _ = turned_away(*script)
    assert (ending.state, ending.kind) == (state, kind)
    assert not ending.is_uncertain


@pytest.mark.parametrize("policy", [p for p in ALL_POLICIES if p is not TlsPolicy.NONE])
def test_offered_tls_is_used_and_the_offers_are_read_again(policy: TlsPolicy) -> None:
    acquaintance, told = met("220 hello", EHLO_TLS, "220 go", TLS, EHLO, tls=policy)
    assert told.written == ["EHLO me.example.com\r\n", "STARTTLS\r\n", "<tls>", "EHLO me.example.com\r\n"]
    assert acquaintance.tls == TLS
    assert acquaintance.extensions == Extensions(has_pipelining=True, has_size=True, max_octets=1000)


def test_policy_none_does_not_ask_for_tls() -> None:
    assert met("220 hello", EHLO_TLS, tls=TlsPolicy.NONE)[0].tls is None


@pytest.mark.parametrize("answer", ["454 4.7.0 later", "502 5.5.1 what?"])
def test_opportunistic_goes_on_in_plain_text_when_starttls_is_refused(answer: str) -> None:
    acquaintance, told = met("220 hello", EHLO_TLS, answer)
    assert acquaintance.tls is None
    assert told.written[-1] == "STARTTLS\r\n"
    assert acquaintance.extensions.max_octets == 1000


@pytest.mark.parametrize("policy", [TlsPolicy.REQUIRED, TlsPolicy.VERIFIED])
def test_required_tls_is_not_done_without(policy: TlsPolicy) -> None:
    ending, _ = turned_away("220 hello", EHLO, tls=policy)
    assert (ending.state, ending.kind, ending.status, ending.reply) == (State.STARTTLS, Kind.ERROR, "4.7.4", None)
    ending, _ = turned_away("220 hello", "502 what?", "250 mx", tls=policy)
    assert (ending.state, ending.status) == (State.STARTTLS, "4.7.4")
    ending, _ = turned_away("220 hello", EHLO_TLS, "454 4.7.0 later", tls=policy)
    assert (ending.state, ending.kind, ending.status) == (State.STARTTLS, Kind.ERROR, "4.7.0")


def test_failed_handshake_is_told_apart() -> None:
    failure = Break(Kind.ERROR, "bad certificate", status="4.7.5", is_handshake=True)
    ending, _ = turned_away("220 hello", EHLO_TLS, "220 go", failure)
    assert (ending.state, ending.kind, ending.status) == (State.STARTTLS, Kind.ERROR, "4.7.5")
    assert ending.is_handshake


def test_tls_may_come_before_the_banner() -> None:
    acquaintance, told = met(TLS, "220 hello", EHLO_TLS, tls=TlsPolicy.VERIFIED, is_tls_first=True)
    assert told.written == ["<tls>", "EHLO me.example.com\r\n"]
    assert acquaintance.tls == TLS


# --- login

LOGIN = RelayLogin("user", "sécret")


def test_plain_is_preferred_and_goes_in_one_step() -> None:
    secret = base64.b64encode("\0user\0sécret".encode()).decode()
    script = ("220 hello", EHLO_TLS, "220 go", TLS, EHLO_AUTH, "235 2.7.0 welcome")
    acquaintance, told = met(*script, login=LOGIN)
    assert told.written[-1] == f"AUTH PLAIN {secret}\r\n"
    assert secret not in "".join(acquaintance.transcript)
    assert acquaintance.transcript[-2:] == ("C: AUTH PLAIN …", "S: 235 2.7.0 welcome")


def test_login_is_used_when_there_is_no_plain() -> None:
    script = ("220 hello", EHLO_TLS, "220 go", TLS, "250-mx\n250 AUTH LOGIN", "334 a", "334 b", "235 ok")
    acquaintance, told = met(*script, login=LOGIN)
    user, password = (base64.b64encode(text.encode()).decode() for text in ("user", "sécret"))
    assert told.written[-3:] == ["AUTH LOGIN\r\n", f"{user}\r\n", f"{password}\r\n"]
    assert user not in "".join(acquaintance.transcript)
    assert password not in "".join(acquaintance.transcript)


def test_password_does_not_go_over_plain_text() -> None:
    ending, told = turned_away("220 hello", EHLO_AUTH, login=LOGIN)
    assert (ending.state, ending.kind, ending.status) == (State.AUTH, Kind.ERROR, "4.7.11")
    assert told.written == ["EHLO me.example.com\r\n"]


def test_route_may_allow_a_login_in_plain_text() -> None:
    login = RelayLogin("user", "secret", allow_plain=True)
    assert met("220 hello", EHLO_AUTH, "235 ok", login=login)[0].tls is None


def test_server_without_a_mechanism_of_ours_is_left() -> None:
    ending, _ = turned_away("220 hello", EHLO_TLS, "220 go", TLS, "250-mx\n250 AUTH GSSAPI", login=LOGIN)
    assert (ending.state, ending.status) == (State.AUTH, "4.7.4")


@pytest.mark.parametrize("answer", ["535 5.7.8 no", "454 4.7.0 later", "334 more?", LOST])
def test_failed_login_ends_the_introduction(answer: Scripted) -> None:
    ending, told = turned_away("220 hello", EHLO_TLS, "220 go", TLS, EHLO_AUTH, answer, login=LOGIN)
    assert ending.state is State.AUTH
    assert told.written[-1].startswith("AUTH PLAIN ")


def test_login_stops_at_the_first_refusal() -> None:
    script = ("220 hello", EHLO_TLS, "220 go", TLS, "250-mx\n250 AUTH LOGIN", "334 user?", "535 5.7.8 no")
    ending, told = turned_away(*script, login=LOGIN)
    assert (ending.state, ending.status) == (State.AUTH, "5.7.8")
    assert len(told.written) == 6


def test_password_is_in_no_repr() -> None:
    assert "sécret" not in repr(Introduction("me", login=LOGIN))


@pytest.mark.parametrize("hello", ["me\r\nRSET", "me\0", "me\x85"])
def test_name_that_breaks_out_of_ehlo_is_an_error(hello: str) -> None:
    with pytest.raises(ValueError, match="control"):
        converse(introduce(Introduction(hello)), "220 hello")


@pytest.mark.parametrize("user", ["a\0b"])
def test_credentials_with_a_separator_are_an_error(user: str) -> None:
    login = RelayLogin(user, "x", allow_plain=True)
    with pytest.raises(ValueError, match="NUL"):
        converse(introduce(Introduction("me", login=login)), "220 hello", EHLO_AUTH)


# --- goodbye


@pytest.mark.parametrize("answer", ["221 bye", "500 what?", LOST, LATE])
def test_goodbye_does_not_depend_on_the_answer(answer: Scripted) -> None:
    ending, told = converse(leave(), answer)
    assert told.written == ["QUIT\r\n"]
    assert ending.state is State.IDLE


# --- any server


_REPLIES = st.sampled_from(["250 ok", "354 go", "220 go", "421 bye", "450 no", "550 no", "334 x", "235 ok", LOST, LATE])


@settings(max_examples=300, deadline=None)
@given(st.lists(_REPLIES, min_size=6, max_size=6), st.booleans(), st.booleans(), st.booleans())
def test_any_server_gets_an_ending_that_is_true(
    answers: list[Scripted], has_pipelining: bool, is_used: bool, must_reset: bool
) -> None:
    """Accepted means a 2yz behind the dot; content goes only after 2yz, 2yz, 354; uncertain means a dot and no verdict."""
    peer = Extensions(has_pipelining=has_pipelining)
    conversation = transact(peer, ENVELOPE, CONTENT, is_used=is_used, must_reset=must_reset)
    heard: list[Scripted] = []
    written: list[bytes] = []
    script = iter(answers)
    try:
        step = next(conversation)
        while True:
            if isinstance(step, Read):
                heard.append(next(script))
                step = give(conversation, heard[-1])
            else:
                if not isinstance(step, Confirm):
                    assert isinstance(step, Write)
                    written.append(step.data)
                step = conversation.send(None)
    except StopIteration as end:
        ending: Ending = end.value
    codes = [a[:3] if isinstance(a, str) else "" for a in heard][1 if must_reset else 0 :]
    is_sent = BODY.encode() in written
    if is_sent:
        assert [c[:1] for c in codes[:3]] == ["2", "2", "3"]
        assert len(codes) == 4
    assert (ending.kind is Kind.ACCEPTED) == (is_sent and codes[3].startswith("2"))
    assert ending.is_uncertain == (is_sent and not codes[3].startswith(("2", "4", "5")))
    if ending.is_reusable:
        said = b"".join(w for w in written if w not in (b".\r\n", BODY.encode())).count(b"\r\n")
        assert len(heard) == said + sum(w in (b".\r\n", BODY.encode()) for w in written)
        assert all(isinstance(a, str) and a[:3] != "421" for a in heard)
