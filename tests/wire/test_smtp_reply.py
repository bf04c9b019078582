"""The reply parser: what it takes, what it refuses, and that it does not matter how the bytes come."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.model.reply import Reply
from smtpeter.wire.smtp_reply import MAX_TEXT_OCTETS, InvalidReply, ReplyParser


def parse(data: bytes, *, is_whole: bool = False) -> list[Reply]:
    parser = ReplyParser()
    parser.receive(data)
    return list(iter(lambda: parser.next(is_whole=is_whole), None))


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"250 2.1.0 Sender OK\r\n", Reply(250, "2.1.0", ("Sender OK",))),
        (b"250 Sender OK\r\n", Reply(250, "", ("Sender OK",))),
        (b"250\r\n", Reply(250, "", ("",))),
        (b"250 \r\n", Reply(250, "", ("",))),
        (b"250 2.1.0\r\n", Reply(250, "2.1.0", ("",))),
        (b"250 2.1.0 \r\n", Reply(250, "2.1.0", ("",))),
        (b"354 3.0.0 no such class\r\n", Reply(354, "", ("3.0.0 no such class",))),
        (b"250 5.1.0 another class\r\n", Reply(250, "", ("5.1.0 another class",))),
        (b"550 5.1.1234 too long\r\n", Reply(550, "", ("5.1.1234 too long",))),
        (b"550 5.01.1 leading zero\r\n", Reply(550, "", ("5.01.1 leading zero",))),
        (b"550 5.1.10: no blank\r\n", Reply(550, "", ("5.1.10: no blank",))),
        (b"250-one\r\n250-two\r\n250 three\r\n", Reply(250, "", ("one", "two", "three"))),
        (b"550-5.7.1 one\r\n550 5.7.1 two\r\n", Reply(550, "5.7.1", ("one", "two"))),
        (b"550-5.7.1 one\r\n550 two\r\n", Reply(550, "5.7.1", ("one", "two"))),
        (b"550-5.7.1 one\r\n550 5.7.2 two\r\n", Reply(550, "5.7.1", ("one", "5.7.2 two"))),
        (b"250-\r\n250\r\n", Reply(250, "", ("", ""))),
    ],
)
def test_reply_is_read(data: bytes, reply: Reply) -> None:
    assert parse(data) == [reply]


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"hello\r\n",
        b"25 ok\r\n",
        b"150 too early\r\n",
        b"650 too late\r\n",
        b"250ok\r\n",
        b"250\tok\r\n",
        b" 250 ok\r\n",
        b"2\xb2\xb30 ok\r\n",
        b"\xef\xbb\xbf250 ok\r\n",
        b"250-one\r\n251 two\r\n",
        b"250-one\r\n550 two\r\n",
        b"250-one\r\ntwo\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46\n",
    ],
)
def test_what_is_no_reply_is_invalid(data: bytes) -> None:
    with pytest.raises(InvalidReply):
        parse(data)


def test_incomplete_reply_is_waited_for() -> None:
    parser = ReplyParser()
    for data in (b"2", b"50-o", b"k\r", b"\n250 ", b"done\r"):
        parser.receive(data)
        assert parser.next() is None
        assert not parser.is_empty
    parser.receive(b"\n")
    assert parser.next() == Reply(250, "", ("ok", "done"))
    assert parser.is_empty


def test_pipelined_replies_come_one_by_one() -> None:
    parser = ReplyParser()
    parser.receive(b"250 a\r\n550 b\r\n")
    assert parser.next() == Reply(250, "", ("a",))
    assert not parser.is_empty
    assert parser.next() == Reply(550, "", ("b",))
    assert parser.is_empty
    assert parser.next() is None


def test_lone_line_feed_ends_a_line_of_a_reply() -> None:
    assert parse(b"250-a\n250 2.0.0 b\n221 c\r\n") == [Reply(250, "", ("a", "2.0.0 b")), Reply(221, "", ("c",))]


def test_line_may_have_4_kib_and_not_more() -> None:
    assert len(parse(b"250-" + b"x" * 4091 + b"\r\n250 y\r\n", is_whole=True)[0].lines[0]) == 4091
    with pytest.raises(InvalidReply):
        parse(b"250 " + b"x" * 4092 + b"\r\n")


def test_endless_line_is_invalid_before_it_ends() -> None:
    parser = ReplyParser()
    with pytest.raises(InvalidReply):
        for _ in range(100):
            parser.receive(b"250 " + b"x" * 100)
            parser.next()


def test_reply_may_have_100_lines_and_not_more() -> None:
    assert len(parse(b"250-x\r\n" * 99 + b"250 x\r\n")[0].lines) == 100
    with pytest.raises(InvalidReply):
        parse(b"250-x\r\n" * 101)


def test_reply_may_have_64_kib_and_not_more() -> None:
    line = b"250-" + b"x" * 4000 + b"\r\n"
    assert parse(line * 16 + b"250 x\r\n", is_whole=True)
    with pytest.raises(InvalidReply):
        parse(line * 17)


@pytest.mark.parametrize("line", [b"250 2.1.0" + b" " * 500_000, b"250 " + b"x" * 500_000, b"250 2.1.0 " * 50_000])
def test_long_line_is_refused_in_linear_time(line: bytes) -> None:
    """Going back over half a million blanks would take hours."""
    with pytest.raises(InvalidReply):
        parse(line)


def test_limits_are_for_each_reply_anew() -> None:
    assert len(parse((b"250-" + b"x" * 3000 + b"\r\n250 y\r\n") * 60)) == 60


def test_text_is_cut_to_1_kib_between_characters() -> None:
    (reply,) = parse(b"550-" + "é".encode() * 500 + b"\r\n550 x" + "é".encode() * 100 + b"\r\n")
    assert reply.lines == ("é" * 500, "x" + "é" * 11)
    (reply,) = parse(b"250 " + b"x" * 2000 + b"\r\n")
    assert reply.text == "x" * MAX_TEXT_OCTETS


def test_whole_text_is_for_positive_replies_only() -> None:
    assert len(parse(b"250 " + b"x" * 2000 + b"\r\n", is_whole=True)[0].text) == 2000
    assert len(parse(b"550 " + b"x" * 2000 + b"\r\n", is_whole=True)[0].text) == MAX_TEXT_OCTETS


def test_controls_and_malformed_octets_are_replaced() -> None:
    (reply,) = parse(b"550 a\x00b\x1b[2Jc\rd\x7f\xff\xc2\x85\xe2\x80\xa8\xe2\x80\xae\r\n")
    assert reply.text == "a�b�[2Jc�d" + "�" * 5


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"250", b"550", b"354", b"-", b" ", b"2.1.0", b"5.7.1 ", b"x", b"\xc3", b"\xa9", b"\r", b"\n"])
        | st.just(b"\r\n")
        | st.binary(max_size=8)
    ).map(b"".join),
    st.data(),
)
def test_any_split_gives_the_same(data: bytes, draw: st.DataObject) -> None:
    """However the bytes are split: same replies, same verdict, and InvalidReply is the only exception."""

    def run(pieces: list[bytes]) -> list[object]:
        parser, seen = ReplyParser(), []
        try:
            for piece in pieces:
                parser.receive(piece)
                while (reply := parser.next()) is not None:
                    seen.append(reply)
        except InvalidReply:
            seen.append("invalid")
        return seen

    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=6)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    whole = run([data])
    assert run(pieces) == whole
    assert run([data[i : i + 1] for i in range(len(data))]) == whole
    for reply in whole:
        if isinstance(reply, Reply):
            assert 200 <= reply.code < 600
            assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in reply.text)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(200, 599),
    st.sampled_from(["", "2.1.0", "4.7.25", "5.999.999"]),
    st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20), min_size=1),
)
def test_what_our_server_encodes_is_read_back(code: int, status: str, words: list[str]) -> None:
    reply = Reply(code, status if status[:1] == str(code)[0] else "", tuple(f"<{word}" for word in words[:50]))
    if sum(map(len, reply.lines)) <= MAX_TEXT_OCTETS:
        assert parse(reply.encode()) == [reply]
