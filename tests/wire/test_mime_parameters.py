import base64
import email
import email.policy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtpeter.wire.headers import read_fields
from smtpeter.wire.mime import Part, wrap_base64
from smtpeter.wire.mime_parameters import (
    ascii_name,
    parse_content_type,
    parse_disposition,
    read_parameter,
    write_filename,
)
from smtpeter.wire.mime_types import extension_of, type_of
from tests.cpu import assert_cpu_below

names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=255)


def named(name):
    return b"; ".join([b"attachment", *[p.encode() for p in write_filename(name)]])


def read(value):
    return read_parameter(parse_disposition(value).parameters, "filename")


@settings(max_examples=150, deadline=None)
@given(names)
@example("a.pdf")
@example('say "hi" \\ there.txt')
@example("=?utf-8?q?no?=")
@example("100%.txt")
@example("it's*.txt")
@example("日" * 255)
@example(" x ")
def test_a_file_name_is_read_back_by_us_and_by_another_reader(name):
    assert read(named(name)) == name
    head = b"Content-Disposition: " + named(name).replace(b"; ", b";\r\n ") + b"\r\n\r\n"
    assert head.isascii() and max(map(len, head.split(b"\r\n"))) <= 998
    other = email.message_from_bytes(head, policy=email.policy.compat32)
    assert other.get_filename().strip() == name.strip()


def test_a_plain_name_is_written_plainly_and_any_other_in_pieces_of_whole_characters():
    assert write_filename("a b.pdf") == ('filename="a b.pdf"',)
    assert write_filename("é.pdf") == ("filename*=utf-8''%C3%A9.pdf",)
    assert write_filename("") == ()
    pieces = write_filename("日本語のとても長い名前.pdf")
    assert [p.partition("=")[0] for p in pieces] == ["filename*0*", "filename*1*"]
    assert all(len(p) <= 76 and p.count("%") % 3 == 0 for p in pieces)


@pytest.mark.parametrize(
    ("name", "ascii"),
    [
        ("a.pdf", "a.pdf"),
        ("Prüfung.pdf", "Prufung.pdf"),
        ("文書.pdf", "attachment.pdf"),
        ("文書 2.pdf", "__ 2.pdf"),
        ("日本", "attachment"),
        ('a"b\\c', "a_b_c"),
        ("=?x?=", "__x?="),
    ],
)
def test_old_readers_get_a_name_in_ascii(name, ascii):
    assert ascii_name(name) == ascii


@given(names)
def test_an_ascii_name_can_stand_in_quotes(name):
    text = ascii_name(name)
    assert text.isascii() and text.isprintable() and not set(text) & {'"', "\\"} and "=?" not in text


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"attachment; filename=a.pdf", "a.pdf"),
        (b"attachment; filename=my report 1.pdf; size=3", "my report 1.pdf"),
        (b'attachment; filename="a;b.pdf"', "a;b.pdf"),
        (b'ATTACHMENT; FILENAME="=?iso-8859-1?Q?caf=E9?="', "café"),
        (b"attachment; filename==?utf-8?b?w6k=?=", "é"),
        (b'attachment; filename="=?utf-8?q?a?= =?utf-8?q?b?="', "ab"),
        (b"attachment; filename*=UTF-8''caf%C3%A9", "café"),
        (b"attachment; filename*=iso-8859-1'fr'caf%E9", "café"),
        (b"attachment; filename*=iso-2022-jp''%1B%24B%46%7C%1B%28B.txt", "日.txt"),
        (b"attachment; filename=caf_; filename*=utf-8''caf%C3%A9", "café"),
        (b"attachment; filename*=caf%C3%A9", "café"),
        (b'attachment; filename*0="a "; filename*1="b"', "a b"),
        (b"attachment; filename*1*=%A9.txt; filename*0*=utf-8''%C3; filename*2=x", "é.txtx"),
        (b"attachment; filename*0*=utf-8''a; filename*2*=c", "a"),
        (b'attachment; filename*0="=?utf-8?q?a"; filename*1="b?="', "ab"),
        (b'attachment; filename="caf\xc3\xa9"', "café"),
        (b'attachment; filename="caf\xe9"', "café"),
        (b"attachment; filename*=utf-8''a%0D%0Ab%00%E2%80%A8c", "a  b  c"),
        (b"attachment; filename*=\"utf-8''%zz%\"", "%zz%"),
        (b"attachment; filename=", ""),
        (b"attachment", ""),
        (b"", ""),
        (None, ""),
    ],
)
def test_names_are_read_in_all_the_forms_that_are_sent(value, name):
    assert read(value) == name


def test_dispositions_are_read():
    assert parse_disposition(b" Inline ; x=1").name == "inline"
    assert parse_disposition(b"attachment filename=x").name == "attachment"
    assert parse_disposition(b'"x"').name == ""
    assert parse_content_type(b"text/plain; charset=utf-8 (a comment)").parameters == {"charset": "utf-8"}


@pytest.mark.parametrize(
    ("head", "is_attachment"),
    [
        (b"", False),
        (b"inline", False),
        (b"Attachment", True),
        (b"unheard-of", True),
        (b"inline; filename=a.txt", True),
        (b"inline; filename*0*=utf-8''a", True),
        (b"inline; size=3", False),
    ],
)
def test_a_text_that_is_a_file_is_an_attachment(head, is_attachment):
    fields = tuple(read_fields(b"Content-Disposition: " + head + b"\r\n"))
    assert Part(0, 0, 0, fields, parse_content_type(b""), "", False).is_attachment is is_attachment


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([b";", b"=", b'"', b"\\", b"filename", b"*", b"0", b"'", b"%C3", b"\xff", b"=?", b"a"]))
)
def test_any_octets_give_a_name_without_controls(pieces):
    value = b"".join([b"attachment;", *pieces])
    name = read(value)
    assert "\r" not in name and "\n" not in name and "\0" not in name


@pytest.mark.parametrize(
    "value",
    [
        b'; a="' * 200_000,
        b'; a="\\' * 200_000,
        b"; a= " * 200_000,
        b"a; filename*0*=utf-8''" + b"%C3" * 300_000,
        b"a" + b"".join(b"; filename*%d=a" % n for n in range(60_000)),
        b'a; filename="' + b"=?utf-8?q?a?= " * 60_000 + b'"',
    ],
)
def test_hostile_parameters_take_linear_time(value):
    assert_cpu_below(1.5, lambda: read(value))


def test_types_and_extensions_belong_together():
    assert type_of("a.PDF") == "application/pdf" and type_of("x.tar.gz") == "application/gzip"
    assert type_of("README") == type_of(".pdf") == type_of("a.nothing") == type_of("") == "application/octet-stream"
    assert extension_of("image/jpeg") == ".jpg" and extension_of("image/jpg") == ".jpg"
    assert extension_of("application/x-unheard-of") == ".bin"
    for name in ("a.eml", "a.csv", "a.docx", "a.png", "a.ics", "a.bin"):
        assert "a" + extension_of(type_of(name)) == name


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 57 * 256 - 1, 57 * 256, 57 * 256 + 1, 57 * 512, 57 * 600 + 5])
def test_base64_has_lines_of_76_characters(size):
    data = bytes(n * 7 % 256 for n in range(size))
    lines = wrap_base64(data)
    assert lines == base64.encodebytes(data).replace(b"\n", b"\r\n")
