import email
import email.policy
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtpeter.content.attachments import MAX_ATTACHMENTS, check_attachments, complete
from smtpeter.content.compose import check_parts, compose
from smtpeter.content.views import PartView, attachments_of, embeds_of, html_of, part_bytes, text_of
from smtpeter.model import parts as model
from smtpeter.model.parts import Attachment, Mailbox, Parts, Unsubscribe
from smtpeter.model.refusal import Refused
from smtpeter.wire.headers import has_long_line
from smtpeter.wire.mime import walk

SENDER = Mailbox("john@example.com", "John Doe")
DATE = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
PDF = Attachment(b"%PDF", "a.pdf", "application/pdf")
LOGO = Attachment(b"\x89PNG", "logo.png", "image/png", "logo")
MAIL = b"From: a@example.com\r\nSubject: inner\r\n\r\ninner text\r\n"
NAMES = [
    "report.pdf",
    "Prüfungsergebnis.pdf",
    "отчёт за ноябрь.xlsx",
    "請求書 2026年11月.pdf",
    "تقرير.docx",
    "דוח.txt",
    "รายงาน.csv",
    "😀 party 🎉.png",
    "e\u0301 decomposed.txt",
    "quote \" and % and ; and = and ' and *.txt",
    "=?utf-8?q?not_a_word?=.txt",
    "x" * 250 + ".txt",
    "日" * 250 + ".txt",
    "CON",
    "..hidden",
]


def mail(**properties):
    return Parts(sender=SENDER, subject="s", **{"text": "text", **properties})


def make(parts):
    content = compose(parts, recipient="jane@example.org", message_id="0123456789abcdefghij-7", date=DATE)
    assert content.isascii() and not has_long_line(content) and b"\0" not in content
    assert content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n")
    return content


def completed(*attachments):
    return tuple(complete(attachment, number) for number, attachment in enumerate(attachments))


def shape(message):
    if message.is_multipart():
        return (message.get_content_subtype(), *map(shape, message.get_payload()))
    return message.get_content_type()


TEXT, HTML, IMAGE, FILE = "text/plain", "text/html", "image/png", "application/pdf"


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, TEXT),
        ({"text": None, "html": "<p>"}, HTML),
        ({"html": "<p>"}, ("alternative", TEXT, HTML)),
        ({"attachments": (PDF,)}, ("mixed", TEXT, FILE)),
        ({"attachments": (LOGO,)}, ("related", TEXT, IMAGE)),
        ({"text": None, "html": "<p>", "attachments": (LOGO,)}, ("related", HTML, IMAGE)),
        ({"text": None, "html": "<p>", "attachments": (PDF,)}, ("mixed", HTML, FILE)),
        ({"html": "<p>", "attachments": (LOGO,)}, ("related", ("alternative", TEXT, HTML), IMAGE)),
        ({"html": "<p>", "attachments": (PDF,)}, ("mixed", ("alternative", TEXT, HTML), FILE)),
        (
            {"html": "<p>", "attachments": (PDF, LOGO, PDF)},
            ("mixed", ("related", ("alternative", TEXT, HTML), IMAGE), FILE, FILE),
        ),
    ],
)
def test_only_the_levels_that_are_needed_are_there(properties, expected):
    message = email.message_from_bytes(make(mail(**properties)), policy=email.policy.default)
    assert shape(message) == expected
    assert not any(part.defects for part in message.walk())
    related = next((part for part in message.walk() if part.get_content_subtype() == "related"), None)
    if related:
        assert related.get_param("type") == related.get_payload(0).get_content_type()


def test_a_file_and_an_embed_say_what_they_are():
    content = make(
        mail(html="<img src='cid:logo'>", attachments=(LOGO, Attachment("é".encode(), "é.txt", "text/plain")))
    )
    assert (
        b'Content-Type: image/png;\r\n name="logo.png"\r\nContent-Transfer-Encoding: base64\r\n'
        b'Content-Disposition: inline;\r\n filename="logo.png"\r\nContent-ID: <logo>\r\n\r\niVBORw==\r\n'
    ) in content
    # no character set is invented, and no plain filename= hides the real name from readers that take the first
    assert (
        b'Content-Type: text/plain;\r\n name="e.txt"\r\nContent-Transfer-Encoding: base64\r\n'
        b"Content-Disposition: attachment;\r\n filename*=utf-8''%C3%A9.txt\r\n\r\nw6k=\r\n"
    ) in content


def read_by_python(content):
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    return [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for part in message.walk()
        if part.get_content_disposition() in ("attachment", "inline")
    ]


def read_by_python_today(content):
    message = email.message_from_bytes(content, policy=email.policy.default)
    return [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for part in message.walk()
        if part.get_content_disposition() in ("attachment", "inline")
    ]


def read_by_fast_mail_parser(content):
    other = pytest.importorskip("fast_mail_parser")
    found = other.parse_email(content)
    assert "text" in found.text_plain[0]
    return [(part.filename, part.mimetype.partition(";")[0], bytes(part.content)) for part in found.attachments]


def read_by_us(content):
    return [
        (view.name, view.type, part_bytes(content, kind, view.number)[1])
        for kind, views in (("embed", embeds_of(content)), ("attachment", attachments_of(content)))
        for view in views
    ]


@pytest.mark.parametrize("reader", [read_by_python, read_by_python_today, read_by_fast_mail_parser, read_by_us])
def test_names_types_and_octets_are_read_back_equal(reader):
    data = [bytes(range(256)), b"", b"--=_x\r\n.\r\n", b"\r\n", b"x" * 5000, "日本".encode()]
    files = completed(*[Attachment(data[n % len(data)], name) for n, name in enumerate(NAMES)])
    content = make(mail(html="<p>text</p>" + "wide " * 500, attachments=files))
    assert reader(content) == [(a.name, a.type, a.data) for a in files]
    assert [a.name for a in files] == NAMES


@pytest.mark.parametrize("reader", [read_by_python, read_by_fast_mail_parser, read_by_us])
def test_a_file_of_10_mib_is_read_back_equal(reader):
    data = b"".join([n.to_bytes(4, "big") * 16 for n in range(10 * 2**20 // 64)])
    content = make(mail(attachments=(Attachment(data, "big.bin", "application/octet-stream"),)))
    assert reader(content) == [("big.bin", "application/octet-stream", data)]


def test_a_message_is_attached_as_a_message_when_it_may_be():
    short, lf = Attachment(MAIL, "fwd.eml"), Attachment(MAIL.replace(b"\r\n", b"\n"), "", "message/rfc822")
    wide, eight = Attachment(MAIL + b"x" * 999, "wide.eml"), Attachment(MAIL + b"\xe9", "eight.eml")
    files = completed(short, lf, wide, eight, Attachment(b"", "empty.eml"), Attachment(b"no field\r\n", "not.eml"))
    assert [a.type for a in files] == ["message/rfc822"] * 2 + ["application/octet-stream"] * 4
    assert [a.name for a in files][:2] == ["fwd.eml", "attachment-2.eml"]
    assert files[1].data == MAIL and files[3].data == MAIL + b"\xe9"
    content = make(mail(attachments=files))
    message = email.message_from_bytes(content, policy=email.policy.default)
    inner = [part.get_payload(0) for part in message.walk() if part.get_content_type() == "message/rfc822"]
    assert [part["subject"] for part in inner] == ["inner", "inner"]
    assert [part_bytes(content, "attachment", n)[1] for n in range(6)] == [a.data for a in files]
    assert text_of(content) == "text\r\n"


def test_what_was_left_out_is_filled_in():
    files = completed(
        Attachment(b""),
        Attachment(b"", "C:\\Users\\me\\a b.PDF "),
        Attachment(b"", "../../etc/passwd"),
        Attachment(b"", "folder/", "image/png"),
        Attachment(b"", "..", 'Text/CSV; Charset="UTF-8" ;'),
        Attachment(b"", "x.unheard-of", cid="<logo@example.com>"),
        Attachment(b"", "x", "multipart/mixed", "cid:a"),
    )
    assert [(a.name, a.type, a.cid) for a in files] == [
        ("attachment-1.bin", "application/octet-stream", ""),
        ("a b.PDF", "application/pdf", ""),
        ("passwd", "application/octet-stream", ""),
        ("attachment-4.png", "image/png", ""),
        ("attachment-5.csv", "text/csv; charset=utf-8", ""),
        ("x.unheard-of", "application/octet-stream", "logo@example.com"),
        ("x", "application/octet-stream", "a"),
    ]
    check_attachments(files)
    assert completed(*files) == files


@pytest.mark.parametrize(
    ("attachment", "field"),
    [
        *[(Attachment(b"", f"a{c}b"), "name") for c in "\r\n\0\x1b\x85\u2028\u2029\ud800"],
        (Attachment(b"", "x" * 256), "name"),
        *[
            (Attachment(b"", "", kind), "type")
            for kind in (
                "pdf",
                "a/b/c",
                "text/plain\r\nX: y",
                "text/plain; name=x",
                "/x",
                "x/",
                "té/x",
                "a b/c",
                "a/b;c",
            )
        ],
        (Attachment(b"", "", "text/plain; charset=a\r\nb"), "type"),
        *[
            (Attachment(b"", cid=cid), "cid")
            for cid in ("a b", "a\r\nb", "<a", "a>b", "a@b@c", "@", "é", "x" * 251, 'a"b')
        ],
    ],
)
def test_what_cannot_be_written_is_refused_and_named(attachment, field):
    with pytest.raises(Refused) as refused:
        complete(attachment, 3)
    assert refused.value.field == f"attachments[3].{field}"
    assert refused.value.refusal.slug == "invalid_request"
    with pytest.raises(Refused):
        check_parts(mail(attachments=(attachment,)))


def test_what_is_not_in_its_stored_form_is_refused():
    for attachment in (Attachment(b""), Attachment(b"", "a/b", "x/y"), Attachment(b"", "a", "X/Y")):
        with pytest.raises(Refused) as refused:
            check_parts(mail(attachments=(PDF, attachment)))
        assert refused.value.field == "attachments[1]"
    with pytest.raises(Refused) as refused:
        check_parts(mail(attachments=(LOGO, PDF, LOGO)))
    assert refused.value.field == "attachments[2].cid"
    with pytest.raises(Refused):
        check_attachments([PDF] * (MAX_ATTACHMENTS + 1))
    check_parts(mail(attachments=(PDF,) * MAX_ATTACHMENTS))


anything = st.text(max_size=40) | st.sampled_from(
    ["a\r\nBcc: x", "a\n--b", '"', "\\", "=?", "é", "a.txt", "text/plain"]
)
octets = st.binary(max_size=80) | st.sampled_from([MAIL, b"\r\n--=_0_0--\r\n", b"a\nb", b"A: b\n\n\r\0"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.builds(Attachment, octets, anything, anything, anything), max_size=3), anything, anything)
@example([Attachment(b"", "a\r\n\r\n--=_x")], "", "")
@example([Attachment(b"", "a", "text/plain\r\nX: y", "a>\r\nX: y")], "", "")
@example([], "a@example.com>\r\nBcc: x", "https://example.com/>\r\nX: y")
def test_no_property_adds_a_field_a_part_or_a_boundary_checked_or_not(files, address, url):
    parts = mail(html="<p>", attachments=tuple(files), unsubscribe=Unsubscribe(address, url, True))
    try:
        content = compose(parts, recipient="jane@example.org", message_id="1", date=DATE)
    except ValueError:
        with pytest.raises(Refused):
            check_parts(parts)
        return
    head, found = content.partition(b"\r\n\r\n")[0], walk(content, enters_messages=False)
    assert b"\nbcc" not in head.lower() and b"\nx:" not in head.lower()
    assert len([part for part in found if not part.children]) == 2 + len(files)
    allowed = {b"content-type", b"content-transfer-encoding", b"content-disposition", b"content-id"}
    assert all({field.name for field in part.fields} <= allowed for part in found[1:])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.builds(Attachment, octets, anything, anything), min_size=1, max_size=4))
def test_what_is_accepted_is_read_back_as_it_was_stored(files):
    try:
        stored = completed(*files)
    except Refused:
        return
    check_attachments(stored)
    content = make(mail(attachments=stored))
    views = attachments_of(content)
    # a name is data: what a reader cannot tell apart from an encoded word, or blanks, is not compared
    assert [(v.type, v.size) for v in views] == [(a.type.partition(";")[0], len(a.data)) for a in stored]
    assert [v.name for v in views] == [a.name for a in stored]
    assert [part_bytes(content, "attachment", v.number)[1] for v in views] == [a.data for a in stored]


@pytest.mark.parametrize("control", [*"\r\n\0\t\x1b\x7f\x85\u2028\u2029", "\r\nBcc: x@example.com"])
def test_no_control_gets_into_the_header_of_a_part_even_unchecked(control):
    bad = f"a{control}b"
    for attachment in (
        Attachment(b"", bad, "text/plain"),
        Attachment(b"", "é" + bad, "text/plain", "cid"),
        Attachment(b"", "a", f"text/{bad}"),
        Attachment(b"", "a", "text/plain", bad),
    ):
        with pytest.raises(ValueError, match="control"):
            make(mail(attachments=(attachment,)))


def test_a_boundary_differs_when_a_file_does():
    boundaries = {
        email.message_from_bytes(make(mail(attachments=(Attachment(data, "a.pdf", "application/pdf"),)))).get_boundary()
        for data in (b"a", b"b", b"c")
    }
    assert len(boundaries) == 3


def test_a_boundary_depends_on_the_content_alone():
    parts = mail(html="<p>", attachments=(PDF, LOGO))
    one, two = (
        compose(parts, recipient=to, message_id=id, date=DATE)
        for to, id in (("a@example.org", "1"), ("b@example.org", "2"))
    )
    assert one.split(b"MIME-Version")[1] == two.split(b"MIME-Version")[1]
    other = make(mail(html="<p>", attachments=(PDF,)))
    boundary = email.message_from_bytes(one).get_boundary()
    assert boundary != email.message_from_bytes(other).get_boundary()
    # content that holds the boundaries of an earlier one gets others
    assert len(list(email.message_from_bytes(make(mail(text=one.decode(), attachments=(PDF,)))).walk())) == 3
    boundaries = [part.get_boundary() for part in email.message_from_bytes(one).walk() if part.is_multipart()]
    assert len(set(boundaries)) == 3


def test_properties_that_an_earlier_version_stored_stay_readable():
    old = b'{"sender":["a@example.com","A"],"subject":"s","text":"t","headers":[["X-A","b"]]}'
    assert model.decode(old) == Parts(
        sender=Mailbox("a@example.com", "A"), subject="s", text="t", headers=(("X-A", "b"),)
    )
    new = mail(attachments=(PDF, LOGO), unsubscribe=Unsubscribe("a@example.com", "https://example.com/", True))
    assert model.decode(model.encode(new)) == new
    assert msgspec.json.decode(model.encode(new))["attachments"][0] == ["JVBERg==", "a.pdf", "application/pdf", "", ""]
    assert "PDF" not in repr(PDF)


def test_the_views_tell_number_name_type_size_and_cid():
    content = make(mail(html="<p>", attachments=(PDF, LOGO, Attachment(b"12345", "b.txt", "text/plain"))))
    assert attachments_of(content) == [
        PartView(0, "a.pdf", "application/pdf", 4, ""),
        PartView(1, "b.txt", "text/plain", 5, ""),
    ]
    assert embeds_of(content) == [PartView(0, "logo.png", "image/png", 4, "logo")]
    assert (text_of(content), html_of(content)) == ("text\r\n", "<p>\r\n")
