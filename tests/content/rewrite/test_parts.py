import binascii
import email
import email.policy
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.content.rewrite.parts import compile_message
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.wire.headers import has_long_line
from smtpeter.wire.mime import wrap_base64
from smtpeter.wire.newlines import has_bare
from tests.content.rewrite.letters import ACCOUNT, BASE, LETTERS, SEALER
from tests.content.rewrite.letters import rewrite as rewrite_html

CLICKS = Rewriting(BASE, clicks=True)
LINK = b'<a href="https://a.example/x?y=1">x</a>'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))


def rewrite(content, settings=CLICKS):
    message = compile_message(content, settings)
    return message.numbered(ACCOUNT, {origin: n for n, origin in enumerate(message.origins, 1)}).fill(SEALER)


def part(body, kind=b"text/html; charset=utf-8", encoding=b"", more=b""):
    encode = {b"quoted-printable": quoted, b"base64": wrap_base64}.get(encoding, bytes)
    field = b"Content-Transfer-Encoding: %b\r\n" % encoding if encoding else b""
    return b"Content-Type: %b\r\n%b%b\r\n%b" % (kind, field, more, encode(body))


def quoted(body):
    return binascii.b2a_qp(body + b"\r\n", istext=True).removesuffix(b"\r\n")


def multi(kind, *parts, boundary=b"b1"):
    head = b'Content-Type: multipart/%b; boundary="%b"\r\n\r\npreamble\r\n' % (kind, boundary)
    return head + b"".join(b"--%b\r\n%b\r\n" % (boundary, one) for one in parts) + b"--%b--\r\nepilogue" % boundary


def message(entity):
    return b"From: a@b.example\r\nSubject: x\r\nMIME-Version: 1.0\r\n" + entity


def html_of(content):
    read = email.message_from_bytes(content, policy=email.policy.compat32)
    found = next(one for one in read.walk() if one.get_content_type() == "text/html")
    return found.get_payload(decode=True).decode(found.get_content_charset() or "ascii")


@pytest.mark.parametrize("name", LETTERS)
@pytest.mark.parametrize("encoding", [b"8bit", b"quoted-printable", b"base64"])
def test_a_letter_is_rewritten_in_the_encoding_that_it_has(name, encoding):
    html = LETTERS[name].replace("\n", "\r\n")
    text = part("Grüße https://a.example/".encode(), b"text/plain; charset=utf-8", b"8bit")
    content = message(multi(b"alternative", text, part(html.encode(), encoding=encoding)))
    out = rewrite(content, Rewriting(BASE, clicks=True, opens=True))
    assert html_of(out) == rewrite_html(html, clicks=True, opens=True)
    # all before the body of the part and all behind it is as it was
    before = content.index(b"text/html")
    assert out[:before] == content[:before]
    assert out.endswith(content[content.rindex(b"\r\n--b1--") :])
    if encoding != b"8bit":
        assert max(map(len, out.split(b"\r\n"))) <= 76


@given(st.binary(max_size=400), st.sampled_from(sorted(LETTERS)))
def test_with_all_features_off_every_octet_stays(noise, name):
    for content in (noise, message(multi(b"mixed", part(LETTERS[name].encode()), noise))):
        assert rewrite(content, Rewriting(BASE)) == content
        assert not compile_message(content, Rewriting(BASE)).is_changed


pieces = st.sampled_from(
    [
        b"Content-Type: text/html\r\n",
        b"Content-Type: multipart/mixed; boundary=b1\r\n",
        b"\r\n",
        b"--b1\r\n",
        b"--b1--",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        LINK,
        b"=\r\n",
        b"=3D",
        b"text",
        b"\xff\xfe",
        b"PGEgaHJlZj0iaHR0cHM6Ly9hLmV4YW1wbGUvIj54PC9hPg==",
        b"Content-ID: <a>\r\n",
        b"Content-Type: image/png\r\n",
        b'<img src="cid:a">',
        b"Content-Type: message/rfc822\r\n",
    ]
)


@given(st.lists(pieces, max_size=40).map(b"".join))
@settings(max_examples=300)
def test_any_message_is_rewritten_without_error(content):
    # invariant: total, and what has no link to be tracked stays as it is
    everything = Rewriting(
        BASE, clicks=True, opens=True, images=True, inlines_css=True, plain_text=True, image_address=address
    )
    rewrite(content, everything)
    if LINK not in content and b"PGEg" not in content:
        assert rewrite(content) == content


def address(digest, kind):
    return f"{BASE}/i/{digest.hex()[:8]}.{kind.rpartition('/')[2]}"


@pytest.mark.parametrize("kind", [b"signed", b"encrypted"])
def test_what_is_signed_or_encrypted_is_never_touched(kind):
    signed = multi(kind, part(LINK), b"Content-Type: application/pgp-signature\r\n\r\nx", boundary=b"b2")
    assert rewrite(message(signed)) == message(signed)
    mixed = message(multi(b"mixed", signed, part(LINK)))
    out = rewrite(mixed)
    assert signed in out
    assert out.count(b"clicks.example.com") == 1


def test_attachments_and_messages_within_stay():
    attached = part(LINK, more=b"Content-Disposition: attachment; filename=page.html\r\n")
    within = b"Content-Type: message/rfc822\r\n\r\n" + message(part(LINK))
    content = message(multi(b"mixed", attached, within, part(LINK, b"text/calendar")))
    assert rewrite(content) == content


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("iso-8859-1", "Grüße für Zoë"),
        ("windows-1252", "“Grüße” – 5 €"),
        ("iso-8859-2", "Příliš žluťoučký"),
        ("windows-1255", "שלום"),
        ("koi8-r", "Привет"),
        ("gb2312", "你好"),
        ("big5", "你好"),
        ("shift_jis", "検索 ソ 表"),
        ("iso-2022-jp", "こんにちは"),
        ("euc-kr", "안녕"),
    ],
)
@pytest.mark.parametrize("encoding", [b"8bit", b"quoted-printable", b"base64"])
def test_the_character_set_is_kept(charset, text, encoding):
    html = f'{text}<a href="https://a.example/&#8364;&#26085;">{text}</a>{text}'
    kind = f"text/html; charset={charset}".encode()
    out = rewrite(message(part(html.encode(charset), kind, encoding)))
    assert kind in out
    result = html_of(out)
    assert result.startswith(f'{text}<a href="https://clicks.example.com/&#8364;&#26085;?p=')
    assert result.endswith(f'">{text}</a>{text}')


def test_octets_that_are_none_in_the_character_set_stay():
    body = b"caf\xe9 \xff " + LINK + b" \xc3"
    out = rewrite(message(part(body, encoding=b"8bit")))
    assert b'\r\n\r\ncaf\xe9 \xff <a href="https://clicks' in out
    assert out.endswith(b"x</a> \xc3")


@pytest.mark.parametrize(
    "kind", [b"text/html; charset=utf-7", b"text/html; charset=utf-16", b"text/html; charset=rot13"]
)
def test_a_part_in_an_unknown_character_set_stays(kind):
    content = message(part(LINK, kind))
    assert rewrite(content) == content


def test_a_part_in_an_unknown_transfer_encoding_stays():
    content = message(part(LINK, encoding=b"x-uuencode"))
    assert rewrite(content) == content


def test_links_of_text_parts_are_tracked_only_on_request():
    text = b"See https://a.example/x, or (https://a.example/y_(z)). <https://a.example/>\r\n"
    content = message(part(text, b"text/plain"))
    assert rewrite(content) == content
    out = rewrite(content, Rewriting(BASE, clicks=True, plain_text=True))
    assert out.count(b"https://clicks.example.com/") == 3
    assert out.partition(b"\r\n\r\n")[2].count(b", or (") == 1
    assert b"y_(z)?p=" in out


IMAGES = Rewriting(BASE, image_address=address)


def image(cid, data=PNG, kind=b"image/png", encoding=b"base64"):
    return part(data, kind, encoding, b"Content-ID: <%b>\r\nContent-Disposition: inline\r\n" % cid)


def test_referenced_images_are_taken_out_and_the_others_stay():
    html = part(b'<img src="cid:a@x"><img src="cid:c@x"><img src="cid:gone">')
    unused, gif = image(b"b@x"), image(b"c@x", b"GIF89a", b"image/gif")
    content = message(multi(b"related", html, image(b"a@x"), unused, gif))
    compiled = compile_message(content, IMAGES)
    assert [(one.type, one.data) for one in compiled.images] == [("image/png", PNG), ("image/gif", b"GIF89a")]
    assert compiled.images[0].digest == hashlib.sha256(PNG).digest()
    first, second = (address(one.digest, one.type).encode() for one in compiled.images)
    changed = b'<img src="%b"><img src="%b"><img src="cid:gone">' % (first, second)
    assert rewrite(content, IMAGES) == message(multi(b"related", part(changed), unused))


def test_images_before_the_text_are_taken_out_too():
    html = part(b'<img src="cid:a"><img src="cid:b">')
    content = message(multi(b"related", image(b"a"), image(b"b", PNG + b"2"), html, image(b"a")))
    out = rewrite(content, IMAGES)
    assert out.count(b"Content-ID") == 1  # a second image of the same name is nobody's
    assert out.startswith(b"From: a@b.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related;")
    assert b"preamble\r\n--b1\r\nContent-Type: text/html" in out


@pytest.mark.parametrize("kind", [b"image/svg+xml", b"text/html", b"application/pdf"])
def test_what_could_run_in_our_name_is_not_hosted(kind):
    content = message(multi(b"related", part(b'<img src="cid:a">'), image(b"a", b"<svg/>", kind)))
    assert compile_message(content, IMAGES).images == ()
    assert rewrite(content, IMAGES) == content


def test_one_feature_changes_only_the_parts_that_it_concerns():
    html, other = part(LINK, encoding=b"base64"), part(b"<p>no link, caf=C3=A9 =\r\n.</p>", encoding=b"")
    content = message(multi(b"mixed", html, other, image(b"a")))
    out = rewrite(content)
    assert other in out
    assert image(b"a") in out
    assert rewrite(content, Rewriting(BASE, inlines_css=True)) == content


def test_a_tree_beyond_the_limits_stays_and_says_so():
    content = message(multi(b"mixed", *[part(LINK)] * 1100))
    compiled = compile_message(content, CLICKS)
    assert not compiled.is_changed
    assert "1000 parts" in compiled.warnings[0]


def test_what_is_quoted_has_no_long_line_and_each_recipient_differs_in_tokens_only():
    html = (LINK * 300).replace(b"x?", b"x" * 300 + b"?")
    content = message(part(html, encoding=b"quoted-printable"))
    out = rewrite(content)
    assert not has_long_line(out)
    assert html_of(out) == rewrite_html(html.decode(), clicks=True)


@pytest.mark.parametrize("inlines_css", [False, True])
def test_a_value_of_two_lines_in_an_attribute_brings_no_bare_line_end(inlines_css):
    style = b"<style>p{color:{} .x{top:1px}\r\n}</style><style>p{color:{} .x{top:1px}</style>"
    html = style + b'<p style="top:0;\r\nleft:url(cid:a)">x</p><p>y</p>'
    content = message(multi(b"related", part(html), image(b"a")))
    out = rewrite(content, Rewriting(BASE, inlines_css=inlines_css, image_address=address))
    assert html_of(out).count("/i/") == 1
    assert not has_bare(out)


MARKED = Rewriting(BASE)


def test_a_part_with_a_mark_is_given_in_an_encoding_that_takes_every_letter():
    kind, seven = b"text/plain; charset=utf-8", b"Content-Transfer-Encoding: 7bit\r\n"
    plain = part(b"x MARK y\r\n", kind, more=seven)
    other = part(b"no mark\r\n", kind, more=seven)
    content = message(multi(b"mixed", plain, other, part(b"<p>MARK", encoding=b"base64")))
    compiled = compile_message(content, MARKED, "MARK")
    out = compiled.numbered(ACCOUNT, {}).fill(SEALER)
    assert [edit.encoding for edit in compiled.edits if edit.text] == ["quoted-printable", "base64"]
    assert out == content.replace(plain, plain.replace(b"7bit", b"quoted-printable"))


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        (b"text/html; charset=iso-8859-1", b"quoted-printable"),
        (b"text/html", b"base64"),
        (b"text/html; charset=utf-8", b"8bit"),
        (b"text/html; charset=utf-8", b""),
    ],
)
def test_a_part_with_a_mark_that_takes_only_some_letters_is_not_given(kind, encoding):
    content = message(multi(b"mixed", part(b'MARK <a href="https://a.example/">x</a>', kind, encoding)))
    assert compile_message(content, CLICKS, "MARK").edits == ()
