import contextlib
import email
import email.policy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtpeter.wire import mime
from smtpeter.wire.headers import has_long_line, read_fields, split
from smtpeter.wire.mend import mend
from tests.cpu import assert_cpu_below

PLAIN = b"Content-Type: text/plain; charset=utf-8\r\n"
EIGHT = PLAIN + b"Content-Transfer-Encoding: 8bit\r\n"
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=80)
many_lines = st.lists(texts, max_size=12).map("\r\n".join)


def mixed(*parts, boundary=b"b1", head=b"MIME-Version: 1.0\r\n", kind=b"mixed", preamble=b"", epilogue=b""):
    inner = b"".join(b"\r\n--" + boundary + b"\r\n" + part for part in parts)
    return (
        head
        + b"Content-Type: multipart/"
        + kind
        + b'; boundary="'
        + boundary
        + b'"\r\n\r\n'
        + preamble
        + inner
        + b"\r\n--"
        + boundary
        + b"--"
        + epilogue
        + b"\r\n"
    )


def read(content):
    return email.message_from_bytes(content, policy=email.policy.compat32)


def payloads(content):
    return [(p.get_content_type(), p.get_payload(decode=True)) for p in read(content).walk() if not p.is_multipart()]


@settings(deadline=None)
@given(many_lines)
@example("")
@example(".")
@example("a \r\n b\t\r\n")
@example("x" * 3000)
@example("日" * 1500)
@example("a\0b")
def test_another_reader_sees_the_text_that_was_written(text):
    part = mime.text_part("plain", text)
    assert part.isascii() and b"\0" not in part and not has_long_line(part)
    shown = read(part).get_payload(decode=True).decode()
    assert shown in (text, text + "\r\n")
    assert mime.first_text(part, "plain") == shown


def test_all_kinds_of_line_ends_become_crlf():
    assert split(mime.text_part("html", "a\rb\nc\r\nd"))[1] == b"a\r\nb\r\nc\r\nd\r\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain", b"7bit"),
        ("café au lait " * 9, b"quoted-printable"),
        ("日本語" * 30, b"base64"),
        ("x" * 999, b"quoted-printable"),
    ],
)
def test_the_smaller_encoding_is_taken(text, encoding):
    assert b"Content-Transfer-Encoding: " + encoding + b"\r\n" in mime.text_part("plain", text)


@given(st.lists(many_lines, min_size=1, max_size=4))
@example(["--=_seed_0", "x --=_seed_1"])
@example(["--=_seed_0\r\n"])
def test_a_boundary_is_in_no_part_and_always_the_same(bodies):
    parts = [mime.text_part("plain", text) for text in bodies]
    whole = mime.multipart("mixed", parts, "seed")
    assert whole == mime.multipart("mixed", parts, "seed")
    assert [p for _, p in payloads(whole)] == [p for part in parts for _, p in payloads(part)]
    boundary = b"--" + read(whole).get_boundary().encode()
    assert all(boundary not in part for part in parts)


def test_a_boundary_cannot_be_ended_by_its_seed():
    for seed in ("", 'a"b', "a\r\nb", "a" * 60):
        with pytest.raises(ValueError):
            mime.multipart("mixed", [], seed)


@pytest.mark.parametrize(
    ("value", "name", "parameters"),
    [
        (b"text/HTML; Charset=UTF-8", "text/html", {"charset": "UTF-8"}),
        (b'multipart/mixed; a="x;y\\"z"; boundary=b', "multipart/mixed", {"a": 'x;y"z', "boundary": "b"}),
        (b"text/plain; charset = utf-8 ;; x", "text/plain", {"charset": "utf-8"}),
        (b"nonsense", "text/plain", {}),
        (b"", "text/plain", {}),
        (b'multipart/mixed; boundary="a"; boundary="b"', "multipart/mixed", {"boundary": "a"}),
    ],
)
def test_content_types_are_read(value, name, parameters):
    assert mime.parse_content_type(value) == mime.ContentType(name, parameters)


def test_the_first_text_that_is_no_attachment_is_found():
    forwarded = b"Content-Type: message/rfc822\r\n\r\nFrom: x\r\n\r\nforwarded"
    attached = PLAIN + b"Content-Disposition: ATTACHMENT; filename=a.txt\r\n\r\nattached"
    latin = b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9"
    html = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+w6k8L2I+"
    inner = mixed(latin, html, boundary=b"b1-inner", head=b"", kind=b"alternative")
    content = mixed(forwarded, attached, inner, PLAIN + b"\r\nlast")
    assert mime.first_text(content, "plain") == "café"
    assert mime.first_text(content, "html") == "<b>é</b>"
    assert mime.first_text(mixed(forwarded), "plain") is None
    assert mime.first_text(b"From: x\r\n\r\nbare", "plain") == "bare"


def test_the_text_beside_a_message_with_very_many_parts_is_found():
    many = b"Content-Type: message/rfc822\r\n\r\n" + mixed(*[PLAIN + b"\r\nx"] * 1001, boundary=b"b2")
    content = mixed(many, PLAIN + b"\r\nthe text")
    assert mime.first_text(content, "plain") == "the text"
    assert [part.type.name for part in mime.walk(content, enters_messages=False)] == [
        "multipart/mixed",
        "message/rfc822",
        "text/plain",
    ]
    with pytest.raises(mime.CannotConvert):
        mime.walk(content)


def test_a_related_entity_names_the_type_of_its_root():
    part = mime.multipart("related", [mime.text_part("html", "x")], "seed", root_type="text/html")
    assert part.startswith(b'Content-Type: multipart/related;\r\n type="text/html";\r\n boundary="=_seed_0"\r\n\r\n')


def test_eight_bit_parts_are_encoded_and_the_rest_stays_byte_for_byte():
    text = "Zoë naïve café \r\n.\r\nlast line".encode()
    image = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo="
    odd = b"content-type:  text/html ;x\r\nX-Keep:   as is \r\n\r\n<p>ascii  </p>"
    content = mixed(EIGHT + b"\r\n" + text, image, odd, preamble=b"for old readers", epilogue=b"\r\nthe end")
    mended = mend(content, needs_7bit=True)
    assert mended.isascii()
    assert payloads(mended) == payloads(content)
    before, after = content.split(b"\r\n--b1"), mended.split(b"\r\n--b1")
    assert before[:1] + before[2:] == after[:1] + after[2:]
    assert mend(mended, needs_7bit=True) == mended
    assert mend(content) == content


def test_long_lines_are_encoded_and_short_ones_beside_them_are_not():
    long = b"Content-Type: text/html\r\n\r\n" + b"<p>x</p>" * 300
    wide = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 400
    quoted = PLAIN + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=C3=A9" * 300
    content = mixed(long, EIGHT + "\r\nshort é".encode(), wide, quoted)
    mended = mend(content)
    assert not has_long_line(mended)
    assert payloads(mended) == payloads(content)
    assert EIGHT + "\r\nshort é".encode() in mended


def test_a_message_within_a_message_is_encoded_inside():
    inner = b"From: a@example.com\r\nSubject: s\r\n" + EIGHT + "\r\nné".encode()
    content = mixed(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + inner)
    mended = mend(content, needs_7bit=True)
    assert mended.isascii() and b"message/rfc822\r\nContent-Transfer-Encoding: 7bit" in mended
    assert payloads(mended) == payloads(content)


def test_a_bare_text_gets_the_fields_that_name_its_encoding():
    for body, charset in [("né\r\n".encode(), "utf-8"), (b"n\xe9\r\n", "unknown-8bit")]:
        mended = mend(b"Subject: x\r\n\r\n" + body, needs_7bit=True)
        assert mended.isascii() and read(mended).get_content_charset() == charset
        assert read(mended).get_payload(decode=True) == body


@pytest.mark.parametrize("kind", [b"signed", b"encrypted"])
@pytest.mark.parametrize("body", ["né".encode(), b"x" * 999])
def test_signed_and_encrypted_parts_are_never_touched(kind, body):
    protected = mixed(EIGHT + b"\r\n" + body, kind=kind, boundary=b"inner", head=b"")
    for content in (protected, mixed(PLAIN + b"\r\nok", protected)):
        with pytest.raises(mime.CannotConvert) as refused:
            mend(content, needs_7bit=True)
        assert refused.value.status == "5.6.3"
    beside = mixed(EIGHT + b"\r\n" + body, mixed(PLAIN + b"\r\nok  ", kind=kind, boundary=b"inner", head=b""))
    assert mixed(PLAIN + b"\r\nok  ", kind=kind, boundary=b"inner", head=b"") in mend(beside, needs_7bit=True)


@pytest.mark.parametrize(
    "content",
    [
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\nn\xc3\xa9",
        mixed(b"Content-Type: message/delivery-status\r\n\r\nStatus: n\xc3\xa9"),
        PLAIN + b"Content-Transfer-Encoding: x-uuencode\r\n\r\nn\xc3\xa9",
        mixed(PLAIN + b"X: n\xc3\xa9\r\n\r\nok"),
        b"Subject: " + b"x" * 1200 + b"\r\n\r\nok",
    ],
)
def test_what_cannot_be_encoded_is_said_so(content):
    with pytest.raises(mime.CannotConvert):
        mend(content, needs_7bit=True)


def test_trees_beyond_the_limits_are_left_alone():
    deep = b"ok"
    for n in range(110):
        deep = b"Content-Type: multipart/mixed; boundary=n%d\r\n\r\n--n%d\r\n%b\r\n--n%d--\r\n" % (n, n, deep, n)
    for content in (deep, mixed(*[PLAIN + b"\r\nx"] * 1001)):
        assert mime.first_text(content, "html") is None
        assert mend(content, needs_7bit=True) == content
        with pytest.raises(mime.CannotConvert):
            mime.walk(content)


pieces = st.lists(
    st.sampled_from(
        [
            b"--a",
            b"--a--",
            b"--b",
            b"\r\n",
            b"\r\n\r\n",
            b"Content-Type: multipart/mixed; boundary=a",
            b"Content-Type: multipart/signed; boundary=b",
            b"Content-Type: message/rfc822",
            EIGHT,
            PLAIN,
            b"n\xc3\xa9",
            b" ",
            b"y" * 999,
            b"Content-Transfer-Encoding: base64",
            b"Content-Transfer-Encoding: quoted-printable",
        ]
    ),
    max_size=24,
).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(pieces)
def test_any_tree_is_mended_to_what_can_travel_or_given_up(content):
    try:
        mended = mend(content, needs_7bit=True)
    except mime.CannotConvert:
        return
    assert split(mended)[1].isascii() and not has_long_line(mended)
    mime.first_text(content, "plain")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["text/plain", "text/html", "application/x"]), many_lines), min_size=1, max_size=4
    )
)
def test_mended_leaves_decode_to_the_same_octets(leaves):
    content = mixed(
        *[
            f"Content-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}".encode()
            for kind, text in leaves
        ]
    )
    mended = mend(content, needs_7bit=True)
    parts = [part for part in mime.walk(mended) if not part.children]
    assert [mime.decode_body(mended, part) for part in parts] == [text.encode() for _, text in leaves]


@pytest.mark.parametrize(
    "content",
    [
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n" * 200_000,
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--ab\r\n" * 160_000,
        b"Content-Type: text/plain" + b'; a="\\' * 160_000 + b"\r\n\r\nx",
        b"Content-Type: message/rfc822\r\n\r\n" * 30_000,
        b"A: " + b" \t" * 500_000 + b"\r\n\r\nx",
    ],
)
def test_hostile_trees_take_linear_time(content):
    def look():
        mime.first_text(content, "plain")
        with contextlib.suppress(mime.CannotConvert):
            mend(content + b"\xff", needs_7bit=True)

    assert_cpu_below(1.5, look)


def test_a_walk_covers_every_octet_of_the_leaves():
    content = mixed(PLAIN + b"\r\none", PLAIN + b"\r\n", b"\r\nthree")
    leaves = [part for part in mime.walk(content) if not part.children]
    assert [content[p.body : p.end] for p in leaves] == [b"one", b"", b"three"]
    assert mime.is_protected(read_fields(b"Content-Type: multipart/signed; boundary=x\r\n"))
