"""Messages that were handed in whole: their tags, and everything that must stay as it was."""

import base64
import binascii
import email
from email.header import Header

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.content.render import CannotRender, compose
from smtpeter.model.message import Received
from smtpeter.wire.headers import has_long_line, read_fields, split
from smtpeter.wire.newlines import has_bare
from tests.content.rendering import BASE, HEAD, content, message, mime, options, read, text, tools

SMTP = Received("ESMTPSA")
HOSTILE = "a\r\nBcc: evil@example.org\r\n\r\nbody\0\x85\u2028\n.\n"


def part(octets: bytes, kind: bytes, encoding: bytes = b"") -> bytes:
    label = b"Content-Transfer-Encoding: " + encoding + b"\r\n" if encoding else b""
    return b"Content-Type: " + kind + b"\r\n" + label + b"\r\n" + octets


def mixed(*leaves: bytes) -> bytes:
    inside = b"".join(b"--b\r\n" + leaf + b"\r\n" for leaf in leaves)
    return HEAD + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\npreamble\r\n' + inside + b"--b--\r\nepilogue\r\n"


def encoded(words: str, charset: str, encoding: str) -> bytes:
    octets = words.encode(charset)
    if encoding == "base64":
        return base64.encodebytes(octets).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    if encoding == "quoted-printable":
        return binascii.b2a_qp(octets, istext=False).replace(b"=\n", b"=\r\n")
    return octets


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "quoted-printable", "base64"])
@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("utf-8", "Žofie 🚲"),
        ("iso-8859-1", "Zoë"),
        ("windows-1252", "Zoë €"),
        ("iso-8859-2", "Žofie"),
        ("koi8-r", "Зоя"),
        ("shift_jis", "ゾエ"),
        ("iso-2022-jp", "ゾエ"),
        ("gb18030", "佐伊"),
        ("big5", "佐伊"),
        ("us-ascii", "Zoe"),
    ],
)
def test_a_part_is_written_again_as_it_was(charset: str, name: str, encoding: str) -> None:
    before = "Dear {$name},\r\nline = two"
    leaf = part(encoded(before, charset, encoding), f"text/plain; charset={charset}".encode(), encoding.encode())
    sent = content(message(mime(mixed(leaf), {}), data={"name": name}))
    found = next(one for one in email.message_from_bytes(sent).walk() if one.get_content_type() == "text/plain")
    octets = found.get_payload(decode=True)
    assert isinstance(octets, bytes)
    assert octets.decode(charset) == f"Dear {name},\r\nline = two"
    assert str(found.get_content_charset()) == charset
    if encoding != "7bit" or name.isascii() or charset == "iso-2022-jp":
        assert found["content-transfer-encoding"] == encoding
    assert not has_bare(sent)


@pytest.mark.parametrize("charset", ["utf-16", "utf-16le", "utf-16be"])
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_wide_characters_keep_their_byte_order(charset: str, encoding: str) -> None:
    leaf = part(
        encoded("Hi {$name}\r\n", charset, encoding), f"text/plain; charset={charset}".encode(), encoding.encode()
    )
    sent = content(message(mime(mixed(leaf), {}), data={"name": "Žofie\n🚲"}))
    found = next(one for one in email.message_from_bytes(sent).walk() if one.get_content_type() == "text/plain")
    octets = found.get_payload(decode=True)
    assert isinstance(octets, bytes)
    assert octets.decode(charset) == "Hi Žofie\r\n🚲\r\n"
    assert octets.startswith(("Hi".encode(charset))[:4])


def test_a_character_that_the_set_has_not_makes_the_part_utf8_and_says_so() -> None:
    leaf = part(b"Hi {$name}", b'text/plain; format=flowed; CHARSET="us-ascii"; delsp=yes', b"7bit")
    sent = content(message(mime(mixed(leaf), {}), data={"name": "Zoë"}))
    assert b"text/plain; format=flowed; CHARSET=utf-8; delsp=yes\r\nContent-Transfer-Encoding: base64\r\n" in sent
    assert text(sent) == "Hi Zoë"
    bare = content(message(mime(HEAD + b"\r\nHi {$name}\r\n", {}), data={"name": "Zoë"}))
    assert text(bare).rstrip() == "Hi Zoë" and read(bare).get_content_charset() == "utf-8"
    assert content(message(mime(HEAD + b"\r\nHi {$name}\r\n", {}), data={"name": "Zoe"})) == HEAD + b"\r\nHi Zoe\r\n"


def test_fields_are_filled_in_decoded_and_written_again() -> None:
    subject = Header("Grüße, {$name}", "utf-8").encode().encode()
    head = b"Subject: " + subject + b"\r\nX-Line:  {$line|upper}  \r\nX-Plain: stays {  as it is \r\n" + HEAD
    sent = content(message(mime(head + b"\r\ntext\r\n", {"line": "b2"}), data={"name": "Žofie"}))
    found = read(sent)
    assert (found["subject"], found["x-line"]) == ("Grüße, Žofie", "B2")
    assert b"X-Plain: stays {  as it is \r\n" in sent and b"TO:  jane@example.org \r\n" in sent


def test_values_fill_addresses_and_never_add_one() -> None:
    head = (
        b'From: "{$from}, desk" <desk@example.com>\r\nTo: {$name|default:"a, b"} <{$recipient}>, {$other}\r\n'
        b"Reply-To: =?utf-8?q?=7B=24name=7D_ab?= <desk@example.com>\r\nMIME-Version: 1.0\r\n"
    )
    data = {"from": 'A" <x@evil.example>, "', "name": "Zoë <y@evil.example>", "other": "Bo <bo@example.org>"}
    found = read(content(message(mime(head + b"\r\ntext\r\n", {}), data=data)))
    assert [one.addr_spec for one in found["from"].addresses] == ["desk@example.com"]
    assert found["from"].addresses[0].display_name == 'A" <x@evil.example>, ", desk'
    assert [one.addr_spec for one in found["to"].addresses] == ["jane@example.org", "bo@example.org"]
    assert found["reply-to"].addresses[0].display_name == "Zoë <y@evil.example> ab"
    with pytest.raises(CannotRender, match="valid address"):
        content(message(mime(head + b"\r\ntext\r\n", {}), data={**data, "other": "a@b.example, c@d.example"}))


@pytest.mark.parametrize("field", ["Subject", "From", "To", "X-Any", "Message-ID", "References", "List-Unsubscribe"])
@settings(deadline=None, max_examples=25)
@given(value=st.one_of(st.just(HOSTILE), st.text('ab\r\n\0\x85\u2028\u2029<>@,:;"\\(){}[] =?', max_size=60)))
def test_no_value_makes_a_field_or_ends_one(field: str, value: str) -> None:
    names = [name for name in (b"From", b"To", b"Subject") if name != field.encode()]
    head = b"".join(name + b": a@example.com\r\n" for name in names) + field.encode() + b": {$v} <a@example.com>\r\n"
    one = message(mime(head + b"Date: x\r\nMessage-Id: <1@example.com>\r\n\r\ntext\r\n", {}), data={"v": value})
    try:
        sent = content(one)
    except CannotRender:
        return
    before = [name for name, _ in read_fields(split(one.source.content)[0])]
    assert [name for name, _ in read_fields(split(sent)[0])] == before
    assert split(sent)[1] == b"text\r\n"


def test_control_characters_in_a_text_stay_in_it() -> None:
    leaf = part(b"v={$v}", b"text/plain; charset=utf-8", b"7bit")
    sent = content(message(mime(mixed(leaf, part(b"x", b"text/x-other")), {}), data={"v": HOSTILE}))
    assert [one.get_content_type() for one in email.message_from_bytes(sent).walk()][1:] == [
        "text/plain",
        "text/x-other",
    ]
    octets = next(one for one in email.message_from_bytes(sent).walk() if one.get_content_type() == "text/plain")
    expected = ("v=" + HOSTILE).replace("\r\n", "\n").replace("\n", "\r\n").encode()
    assert octets.get_payload(decode=True) == expected


def test_a_value_that_is_the_boundary_divides_nothing() -> None:
    leaf = part(b"v={$v}", b"text/plain; charset=utf-8", b"7bit")
    sent = content(message(mime(mixed(leaf), {}), data={"v": "x\r\n--b\r\n\r\nevil\r\n--b--\r\n"}))
    leaves = [one for one in email.message_from_bytes(sent).walk() if not one.is_multipart()]
    assert [one.get_payload(decode=True) for one in leaves] == [b"v=x\r\n--b\r\n\r\nevil\r\n--b--\r\n"]


ATTACHED = (
    b'Content-Type: text/csv; name="a.csv"\r\nContent-Disposition: attachment; filename="a.csv"\r\n\r\n{$name},{oops\r\n',
    b"Content-Type: message/rfc822\r\n\r\nSubject: {$name}\r\n\r\n{$name}{oops\r\n",
    b"Content-Type: application/json\r\n\r\n{$name}{oops}",
    b"Content-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\n{$name}\r\n--c\r\n\r\nsig\r\n--c--\r\n",
    b"Content-Type: text/plain; charset=x-unknown\r\n\r\n{$name}",
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n{$name}",
)


@pytest.mark.parametrize("leaf", ATTACHED)
def test_what_is_not_shown_text_stays_as_it_is(leaf: bytes) -> None:
    whole = mixed(part(b"Hi {$name}", b"text/plain"), leaf)
    sent = content(message(mime(whole, {}), data={"name": "Bo"}))
    assert sent == whole.replace(b"Hi {$name}", b"Hi Bo")
    assert content(message(mime(mixed(leaf)), options=options())) == mixed(leaf)


def test_without_data_braces_are_text_and_automatic_tags_are_filled_in() -> None:
    body = b"{if} {$name} {$messageid} {$recipient} {$webversion} {literal}"
    whole = b"Subject: {$messageid}{\r\n" + HEAD + b"\r\n" + body + b"\r\n"
    sent = content(message(mime(whole), options=options()))
    assert f"{{if}} {{$name}} 0123456789abcdefghij jane@example.org {BASE}/webversion?p=".encode() in sent
    assert b"Subject: 0123456789abcdefghij{\r\n" in sent and sent.endswith(b" {literal}\r\n")


def test_the_envelope_is_told_to_mail_of_the_api_alone() -> None:
    whole = HEAD + b"\r\n{$recipient} {$envelope} {$messageid}\r\n"
    assert content(message(mime(whole))).endswith(b"\r\njane@example.org bounces@example.com 0123456789abcdefghij\r\n")
    assert content(message(mime(whole), received=SMTP)).endswith(
        b"\r\n{$recipient} {$envelope} 0123456789abcdefghij\r\n"
    )
    given = content(message(mime(whole, {}), received=SMTP))
    assert given.endswith(b"\r\njane@example.org bounces@example.com 0123456789abcdefghij\r\n")


def test_without_a_tracking_host_there_are_no_pages_of_ours() -> None:
    whole = HEAD + b"\r\n[{$webversion}] [{$unsubscribe}]\r\n"
    assert content(message(mime(whole))).endswith(b"\r\n[] []\r\n")


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
def test_automatic_tags_are_found_behind_an_encoding(encoding: str) -> None:
    octets = b"=7B=24messageid=7D" if encoding == "quoted-printable" else base64.b64encode(b"{$messageid}")
    leaf = part(octets, b"text/html; charset=utf-8", encoding.title().encode())
    assert text(content(message(mime(mixed(leaf)))), "html") == "0123456789abcdefghij"
    subject = b"Subject: =?utf-8?b?" + base64.b64encode(b"{$messageid}") + b"?=\r\n"
    assert read(content(message(mime(subject + HEAD + b"\r\nx\r\n"))))["subject"] == "0123456789abcdefghij"


def test_automatic_tags_in_addresses_never_make_another_list() -> None:
    whole = b'From: "For {$recipient}" <a@example.com>\r\nTo: {$recipient}\r\nCc: x <{$recipient}>, b@example.org\r\n\r\nx\r\n'
    found = read(content(message(mime(whole))))
    assert str(found["from"]) == '"For jane@example.org" <a@example.com>'
    assert (str(found["to"]), str(found["cc"])) == ("jane@example.org", "x <jane@example.org>, b@example.org")
    sly = content(message(mime(whole), to='" <evil@evil.example>, x <y@z.example> "@example.org'))
    assert b"evil@evil.example>,\r\n" not in sly
    assert b'From: "For {$recipient}" <a@example.com>\r\n' in sly


def test_values_are_text_and_never_code() -> None:
    sent = content(message(mime(HEAD + b"\r\n{$a} {$b}\r\n", {"a": "{$b}", "b": "[ldelim]{if}"})))
    assert sent.endswith(b"\r\n{$b} [ldelim]{if}\r\n")


def test_data_of_the_recipient_go_over_those_of_the_call() -> None:
    source = mime(HEAD + b"\r\n{$a.x}{$a.y} {$b}\r\n", {"a": {"x": 1, "y": 2}, "b": 3})
    kit = tools()
    assert content(message(source, data={"a": {"x": 5}}), kit).endswith(b"\r\n5 3\r\n")
    assert content(message(source, ordinal=1), kit).endswith(b"\r\n12 3\r\n")


@pytest.mark.parametrize("bad", ["{$a", "{if $a}", "{name}", "{$a|}", "{1/0}"])
def test_a_fault_in_a_tag_says_where_it_is(bad: str) -> None:
    with pytest.raises(CannotRender, match=r"(Compile|Runtime) error at line 2, column [236]"):
        compose(message(mime(HEAD + b"\r\nx\r\n " + bad.encode() + b"\r\n", {})), tools())


@pytest.mark.parametrize("bad", ["[" * 100_000, '{"a":' * 100_000, "[]", "{", '"a"'])
def test_data_that_are_no_object_or_too_deep_are_refused_in_a_sentence(bad: str) -> None:
    one = message(mime(HEAD + b"\r\n{$a}\r\n", {}))
    deep = message(one.source)
    recipient = type(deep.recipient)("jane@example.org", "example.org", data=bad)
    with pytest.raises(CannotRender, match="not a JSON object, or nested too deep"):
        compose(message(one.source, recipient=recipient), tools())


def test_a_value_of_a_mebibyte_is_carried_in_a_text_and_in_no_header_line_over_998() -> None:
    long = "w" * 2**20
    leaf = part(b"{$v}", b"text/plain; charset=utf-8", b"7bit")
    sent = content(message(mime(mixed(leaf), {"v": long})))
    assert not has_long_line(sent) and text(sent) == long
    with_field = content(message(mime(b"X-Long: {$v}\r\n" + HEAD + b"\r\nx\r\n", {"v": long[:20_000]})))
    assert not has_long_line(with_field) and read(with_field)["x-long"] == long[:20_000]


@pytest.mark.parametrize(("size", "count"), [(2**20, 1), (2**16, 1), (2**12, 90)])
def test_values_that_make_a_header_too_large_stop_the_message(size: int, count: int) -> None:
    with pytest.raises(CannotRender, match="is larger than"):
        content(message(mime(b"X-Long: {$v}\r\n" * count + HEAD + b"\r\nx\r\n", {"v": "w" * size})))


def test_a_tree_beyond_the_limits_is_left_alone() -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(120))
    whole = HEAD + deep + b"\r\n{$messageid}\r\n"
    assert content(message(mime(whole))) == whole


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["text/plain", "text/html", "image/png", "application/pdf", "text/plain; charset=utf-16"]),
            st.sampled_from(["", "7bit", "8bit", "base64", "quoted-printable", "x-odd"]),
            st.text('abé{}$= <>"\t', max_size=40),
        ),
        max_size=4,
    ),
    st.sampled_from([None, {}]),
)
def test_what_has_no_tag_leaves_octet_for_octet(leaves: list[tuple[str, str, str]], data: object) -> None:
    whole = mixed(
        *[part(words.replace("{", "{ ").encode(), kind.encode(), encoding.encode()) for kind, encoding, words in leaves]
    )
    assert content(message(mime(whole, data))) == whole


@settings(deadline=None, max_examples=100)
@given(st.text('ab é{}$"|:\r\n[]', max_size=60), st.dictionaries(st.sampled_from("ab"), st.text(max_size=20)))
def test_any_text_with_tags_is_filled_in_the_same_way_each_time_or_refused(words: str, data: dict[str, str]) -> None:
    body = words.replace("\r", "").replace("\n", "\r\n").encode()
    one = message(mime(HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + body, data))
    try:
        sent = content(one)
    except CannotRender as fault:
        assert str(fault).startswith(("Compile error", "Runtime error"))
        return
    assert sent == content(one) and not has_bare(sent)
