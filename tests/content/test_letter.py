"""Letters: a document filled in for a reader, and written as MIME."""

import base64
import email
import json
from datetime import UTC, datetime
from email.policy import default
from typing import Any

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.content.letter import (
    Format,
    Letter,
    Letters,
    Mail,
    TagError,
    Values,
    check,
    convert,
    failed_attachments,
    write_message,
)
from smtpeter.content.template.compile import compile_document
from smtpeter.content.template.problem import TemplateError
from smtpeter.content.template.reading import Resource
from smtpeter.model.parts import Mailbox
from smtpeter.wire.dkim import generate, load_private_key, public_record

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FERRY = {
    "from": {"name": "Harbour Ferries", "address": "service@ferries.example"},
    "replyTo": "desk@ferries.example",
    "to": [{"name": "{$firstname}", "address": "{$recipient}"}],
    "bcc": "log@ferries.example",
    "subject": "Delay on line {$line|toupper}",
    "data": {"firstname": "passenger", "line": "b2"},
    "headers": {"X-Line": "{$line}"},
    "content": {
        "blocks": [
            {"type": "text", "content": "Dear {$firstname}"},
            {"type": "text", "content": "Web only", "visibility": {"output": "webonly"}},
            {"type": "link", "label": "Open", "link": "{$webversion}"},
        ]
    },
}


def letter(document: dict[str, Any] | None = None, **more: Any) -> Letter:
    return Letter(compile_document({**(FERRY if document is None else document), **more}))


def values(**data: Any) -> Values:
    return Values({"recipient": "ann@example.org", **data}, NOON)


def with_content(content: str, **more: Any) -> Letter:
    return letter({"content": {"blocks": [{"type": "html", "content": content}]}, **more})


def parsed(mail: Mail, embeds: dict[str, Resource] | None = None) -> Any:
    content = write_message(mail, embeds, date=NOON, message_id="id@gate.example.com")
    return email.message_from_bytes(content, policy=default)


def test_values_of_a_reader_go_into_every_part() -> None:
    mail = letter().mail(values(firstname="A<n>n", line="c3"))
    assert mail.subject == "Delay on line C3"
    assert mail.to == (Mailbox("ann@example.org", "A<n>n"),)
    assert mail.headers == (("X-Line", "c3"),)
    assert "Dear A&lt;n&gt;n" in mail.html
    assert "Dear A<n>n" in mail.text
    assert "Web only" not in mail.html
    assert mail.problems == ()


def test_data_of_the_call_goes_over_the_data_of_the_document() -> None:
    assert letter().mail(values(line="c3")).subject == "Delay on line C3"
    assert letter().mail(values()).subject == "Delay on line B2"
    assert "Dear passenger" in letter().text(values())


def test_without_values_tags_stay_as_they_were_written() -> None:
    mail = letter().mail(None)
    assert mail.subject == "Delay on line {$line|toupper}"
    assert mail.to == (Mailbox("{$recipient}", "{$firstname}"),)
    assert "Dear {$firstname}" in mail.html
    assert "Dear {$firstname}" in mail.text
    assert parsed(mail)["X-Line"] == "{$line}"


def test_web_version_has_its_own_blocks() -> None:
    assert "Web only" in letter().webversion(values())
    assert "Web only" in letter().webversion(None)


def test_web_version_stays_a_tag_in_a_preview_and_is_an_address_in_a_mail() -> None:
    assert 'href="{$webversion}"' in letter().html(values())
    sent = Values({}, NOON, {"webversion": "https://gate.example.com/w/1"})
    assert 'href="https://gate.example.com/w/1"' in letter().html(sent)


def test_letter_gives_each_reader_only_its_own_values() -> None:
    one = letter()
    assert [one.mail(values(line=line)).subject for line in ("a", "b", "a")] == [
        f"Delay on line {line}" for line in "ABA"
    ]


@pytest.mark.parametrize(
    ("address", "value"),
    [
        ("{$customer}", "a@b.example, c@d.example"),
        ("{$customer}", "nobody"),
        ("{$customer}", ""),
        ("{$customer}@example.org", "Evil <x@evil.example>, a"),
        ("{$customer}@example.org", "x@evil.example (c) "),
        ("Ann <{$customer}>", "a@b.example>, <c@d.example"),
        ("Ann <{$customer}>", "Evil <x@evil.example>"),
    ],
)
def test_value_never_makes_a_second_mailbox(address: str, value: str) -> None:
    mail = letter({"to": address, "cc": "kept@example.org"}).mail(values(customer=value))
    assert mail.to == ()
    assert mail.cc == (Mailbox("kept@example.org"),)
    assert [(one.code, one.path) for one in mail.problems] == [("bad-value", "/to")]


def test_tag_alone_may_give_a_mailbox_with_its_name() -> None:
    mail = letter({"from": "{$shop}"}).mail(values(shop='"Corner, The" <shop@example.org>'))
    assert mail.sender == Mailbox("shop@example.org", "Corner, The")


@pytest.mark.parametrize("evil", ["x\r\nBcc: evil@example.org", "x\u2028y", "x\n\ny", "\0", "x\x85y"])
def test_value_never_ends_a_header_field(evil: str) -> None:
    document = {
        "subject": "{$v}",
        "headers": {"X-V": "{$v}"},
        "to": "{$v} <a@example.org>",
        "from": "{$v} <b@c.example>",
    }
    message = parsed(letter(document).mail(values(v=evil)))
    names = ["from", "to", "subject", "x-v", "date", "message-id", "mime-version"]
    assert [name.lower() for name in message if not name.lower().startswith("content-")] == names
    assert message["bcc"] is None


def test_mime_has_the_header_of_the_document_and_both_texts() -> None:
    message = parsed(letter().mail(values()))
    assert message["From"] == "Harbour Ferries <service@ferries.example>"
    assert message["Reply-To"] == "desk@ferries.example"
    assert message["To"] == "passenger <ann@example.org>"
    assert message["Bcc"] == "log@ferries.example"
    assert message["Date"].datetime == NOON
    assert message["Message-ID"] == "<id@gate.example.com>"
    assert message.get_content_type() == "multipart/alternative"
    assert "Dear passenger" in message.get_body(("plain",)).get_content()
    assert message.get_body(("html",)).get_content().startswith("<!DOCTYPE")
    assert "passenger" not in message["Subject"]


def test_date_and_message_id_of_the_document_are_kept() -> None:
    headers = {"Date": "Sun, 01 Feb 2026 08:00:00 +0000", "message-id": "<own@example.org>"}
    message = parsed(letter({"headers": headers}).mail(None))
    assert message.get_all("date") == [headers["Date"]]
    assert message.get_all("message-id") == ["<own@example.org>"]


def test_empty_text_means_no_text_part() -> None:
    message = parsed(with_content("<p>x</p>", text="").mail(None))
    assert message.get_content_type() == "text/html"
    assert message["From"] is None


def test_attachments_are_files_with_their_types() -> None:
    files = [
        {"data": "JVBERg==", "name": "../a.pdf"},
        {"data": "eA==", "type": "no type at all", "name": "Übersicht.csv"},
        {"data": "eA=="},
    ]
    message = parsed(with_content("x", attachments=files).mail(None))
    assert message.get_content_type() == "multipart/mixed"
    found = [(part.get_filename(), part.get_content_type()) for part in message.iter_attachments()]
    assert found[0] == ("a.pdf", "application/pdf")
    assert found[1] == ("Übersicht.csv", "text/csv")
    assert found[2][1] == "application/octet-stream"


def test_attachment_that_failed_is_told_but_not_one_that_nobody_could_look_for() -> None:
    urls = ["https://a.example/1", "https://a.example/2", "https://a.example/{$x}"]
    files = [*({"url": url} for url in urls), {"data": "no base64!"}]
    resources = {urls[0]: Resource(b"x", "text/plain"), urls[1]: None}
    made = Letter(compile_document({"attachments": files}, resources=resources))
    problems = failed_attachments(made.mail(None).files, resources)
    assert [one.path for one in problems] == ["/attachments/1", "/attachments/3"]


def test_images_are_embedded_under_their_content_id() -> None:
    url = "https://img.example/a.png?x=1&y=2"
    made = letter({"content": {"blocks": [{"type": "image", "src": url, "width": "50%"}]}})
    assert made.compiled.images == (url,)
    mail = made.mail(values(), {url: "cid:one"})
    assert 'src="cid:one"' in mail.html
    message = parsed(mail, {"one": Resource(b"\x89PNG", "image/png; x=y")})
    related = next(part for part in message.walk() if part.get_content_type() == "multipart/related")
    image = related.get_payload()[-1]
    assert (image["content-id"], image.get_content_type()) == ("<one>", "image/png")
    assert made.html(None, {url: "cid:one"}).count("cid:one") == 1


def test_message_has_the_signatures_that_the_document_asks_for_in_their_order() -> None:
    key = base64.b64encode(generate("rsa-sha256")).decode()
    entries = [
        {"domain": "b.example", "selector": "s", "key": key, "priority": 2},
        {"domain": "a.example", "selector": "s", "key": key, "priority": 1},
        {"domain": "c.example", "selector": "s", "key": base64.b64encode(b"\x30\x82" + bytes(300)).decode()},
    ]
    made = letter(FERRY, dkim=entries)
    now = datetime.now(UTC)  # the verifier looks at the clock
    converted = convert(made, Format.MIME, values(), {}, date=now, domain="gate.example.com")
    message = email.message_from_bytes(converted.content, policy=default)
    found = [field.partition(" d=")[2].partition(";")[0] for field in message.get_all("dkim-signature") or []]
    assert found == ["a.example", "b.example"]
    assert [(one.code, one.path) for one in converted.problems] == [("dkim-invalid", "/dkim")]
    records = {
        f"s._domainkey.{name}.": public_record(load_private_key(base64.b64decode(key))).encode() for name in found
    }
    verifier = dkim.DKIM(converted.content)
    assert verifier.verify(0, dnsfunc=lambda name, timeout=5: records[name.decode()])
    assert verifier.verify(1, dnsfunc=lambda name, timeout=5: records[name.decode()])


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"subject": "{if $a}"}, "/subject"),
        ({"to": "{name} <a@example.org>"}, "/to"),
        ({"headers": {"X-A~B": "{/if}"}}, "/headers/X-A~0B"),
        ({"text": "{$}"}, "/text"),
        ({"content": "<p>{foreach}</p>"}, "/content"),
    ],
)
def test_fault_in_a_tag_is_told_with_its_place(document: dict[str, Any], path: str) -> None:
    made = letter(document)
    (problem,) = made.tag_problems()
    assert (problem.code, problem.path) == ("personalization", path)
    assert problem.sentence.startswith("Compile error at line 1, column ")
    with pytest.raises(TagError) as caught:
        made.mail(values())
    assert caught.value.path == path
    made.mail(None)  # unpersonalized it is shown as it is


def test_fault_that_shows_with_values_names_its_place() -> None:
    with pytest.raises(TagError) as caught:
        letter({"subject": "{1 / $zero}"}).mail(values(zero=0))
    assert (caught.value.path, str(caught.value)[:29]) == ("/subject", "Runtime error at line 1, colu")


def test_block_may_begin_in_one_block_and_end_in_another() -> None:
    blocks = [{"type": "html", "content": part} for part in ("{if $on}<b>on</b>", "<i>still</i>{/if}")]
    made = letter({"content": {"blocks": blocks}})
    assert made.tag_problems() == ()
    assert "still" in made.html(values(on=1))
    assert "still" not in made.html(values(on=0))


def test_url_with_tags_is_filled_in_when_the_values_are_known() -> None:
    made = letter({})
    assert made.url("https://a.example/{$x}", values(x="b")) == "https://a.example/b"
    assert made.url("https://a.example/{$x}", None) is None
    assert made.url("https://a.example/{1 / 0}", values()) is None
    assert made.url("https://a.example/", None) == "https://a.example/"


def test_document_is_compiled_once_and_anew_with_other_resources() -> None:
    letters = Letters()
    url = "https://a.example/t.txt"
    document = json.dumps({"content": {"blocks": [{"type": "text", "url": url}]}})
    first = letters.get(document)
    assert letters.get(document) is first
    assert [one.url for one in first.compiled.wanted] == [url]
    second = letters.get(document, resources={url: Resource(b"Fetched")})
    assert "Fetched" in second.text(None)
    assert letters.get(document, resources={url: Resource(b"Fetched")}) is second
    assert letters.get(document, resources={url: None}) is not first
    assert letters.get(document) is first


def test_letters_are_forgotten_within_the_bound() -> None:
    letters = Letters(max_entries=2)
    documents = [json.dumps({"subject": str(number)}) for number in range(3)]
    first = letters.get(documents[0])
    for document in documents[1:]:
        letters.get(document)
    assert letters.get(documents[0]) is not first


@pytest.mark.parametrize("document", ["", "[]", "{", '{"content": 5}'])
def test_document_of_which_nothing_can_be_made_is_refused(document: str) -> None:
    with pytest.raises(TemplateError):
        Letters().get(document)


_TEXTS = st.sampled_from(
    ["x", "{$a}", "{if $a}", "{/if}", "{$a.b[1]|escape}", "{", "[ldelim]", "{1/$a}", "a@b.example", "é\n"]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "html", "heading", "button", "link", "image", "columns", "container"])},
    optional=dict.fromkeys(("content", "label", "link", "src", "blocks", "columns", "font", "align"), _VALUES),
)
_DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("name", "from", "to", "bcc", "replyTo", "data", "attachments", "css", "text"), _VALUES),
        "subject": _TEXTS,
        "headers": st.dictionaries(st.sampled_from(["X-A", "Date", "from", "a b", "x~y"]), _VALUES, max_size=3),
        "content": st.fixed_dictionaries({"blocks": st.lists(_BLOCKS, max_size=4)}) | _VALUES,
    },
)


@settings(max_examples=80, deadline=None)
@given(document=_DOCUMENTS, data=st.none() | st.dictionaries(st.sampled_from("ab"), _VALUES, max_size=2))
def test_any_document_becomes_every_format_or_is_refused(document: dict[str, Any], data: dict[str, Any] | None) -> None:
    """Nothing but TemplateError and TagError is raised, and no header has more fields than the document gives it."""
    values = None if data is None else Values(data, NOON)
    letters = Letters()
    for wanted in Format:
        try:
            checked = check(document, letters)
            made = convert(letters.get(checked.text), wanted, values, {}, date=NOON, domain="gate.example.com")
        except (TemplateError, TagError):
            continue
        if wanted.is_message:
            head = made.content.partition(b"\r\n\r\n")[0]
            assert b"\n" not in head.replace(b"\r\n", b"")
            assert head.lower().count(b"\r\nmime-version: 1.0") + head.lower().startswith(b"mime-version") == 1
