"""Mail made of a template document: header, body, files, signatures, the page for browsers."""

import base64
import re
from typing import Any

import dkim as other  # type: ignore[import-untyped]
import pytest

from smtpeter.content.render import CannotRender, compose, letter_of, webversion_of
from smtpeter.content.template.reading import Resource
from smtpeter.content.views import attachments_of
from smtpeter.model.account import Features
from smtpeter.model.outcome import State
from smtpeter.model.parts import Unsubscribe
from smtpeter.wire import dkim
from smtpeter.wire.headers import read_fields, split
from tests.content.rendering import BASE, content, leave, letter, message, options, parts, read, text, tools

FERRY: dict[str, Any] = {
    "from": {"name": "Harbour {$line}", "address": "service@example.com"},
    "subject": "Line {$line|upper}",
    "data": {"line": "b2", "first": "passenger"},
    "headers": {"X-Line": "{$line}"},
    "content": {
        "blocks": [
            {"type": "text", "content": "Dear {$first}"},
            {"type": "text", "content": "Only web {$first}", "visibility": {"output": "webonly"}},
            {"type": "link", "label": "Open", "link": "https://shop.example/{$line}"},
            {"type": "link", "label": "Web", "link": "{$webversion}"},
        ]
    },
}


def names(octets: bytes) -> list[str]:
    return [field.name.decode() for field in read_fields(split(octets)[0])]


def test_a_document_is_filled_in_and_composed() -> None:
    kit = tools()
    source = letter(FERRY, {"line": "c3"})
    for ordinal, first in enumerate(["Zoë", "<Bo>"]):
        sent = content(message(source, ordinal=ordinal, data={"first": first}, options=options()), kit)
        found = read(sent)
        assert (found["subject"], found["x-line"], str(found["to"])) == ("Line C3", "c3", "jane@example.org")
        assert str(found["from"]) == "Harbour c3 <service@example.com>"
        assert found["message-id"] == f"<0123456789abcdefghij{'-1' if ordinal else ''}@example.com>"
        assert f"Dear {first}" in text(sent) and f"{BASE}/webversion?p=" in text(sent, "html")
        assert ("Dear Zoë" if first == "Zoë" else "Dear &lt;Bo&gt;") in text(sent, "html")
    assert "Dear passenger" in text(content(message(letter(FERRY)), kit))


def test_how_to_leave_is_filled_in_with_the_data_of_document_and_reader() -> None:
    leave = Unsubscribe("leave-{$line}@example.com", "https://example.com/leave?who={$recipient|urlencode}", True)
    sent = read(content(message(letter(FERRY, unsubscribe=leave), data={"first": "Bo"})))
    wanted = "<https://example.com/leave?who=jane%40example.org>, <mailto:leave-b2@example.com>"
    assert sent["list-unsubscribe"].replace("\r\n", "") == wanted
    with pytest.raises(CannotRender, match="must not stand there"):
        compose(message(letter(FERRY, unsubscribe=leave), data={"line": "b b@x"}), tools())


def test_addressees_of_the_document_stand_in_the_header_but_bcc_never() -> None:
    document = {**FERRY, "to": ["{$first} <a@example.org>", "{$nobody}"], "cc": "c@example.org", "bcc": "s@example.org"}
    sent = content(message(letter(document)))
    assert str(read(sent)["to"]) == "passenger <a@example.org>" and str(read(sent)["cc"]) == "c@example.org"
    assert b"s@example.org" not in sent and "bcc" not in names(sent)
    blind = content(message(letter(FERRY, blind=("jane@example.org",))))
    assert b"To: undisclosed-recipients:;\r\n" in blind


def test_a_document_says_no_field_that_is_ours_or_of_others() -> None:
    headers = {
        "Received": "x",
        "Return-Path": "<x@example.org>",
        "Bcc": "x@example.org",
        "DKIM-Signature": "v=1",
        "ARC-Seal": "x",
        "Authentication-Results": "gate.example.net; dkim=pass",
        "MIME-Version": "2.0",
        "Content-Type": "text/evil",
        "X-SMTPeter-Tags": "a",
        "From": "evil@example.org",
        "Date": ["Mon, 1 Jan 2024 00:00:00 +0000", "Mon, 1 Jan 2024 00:00:01 +0000"],
        "Message-ID": "<{$messageid}.own@example.com>",
        "X-Many": ["1", "2"],
    }
    sent = content(message(letter({**FERRY, "headers": headers})))
    assert sorted(names(sent)) == sorted(
        ["from", "to", "subject", "date", "message-id", "mime-version", "x-many", "x-many", "content-type"]
    )
    assert read(sent)["message-id"] == "<0123456789abcdefghij.own@example.com>"
    assert b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n" in sent and b"2.0" not in sent
    assert str(read(sent)["from"]).endswith("<service@example.com>")


def test_a_field_is_taken_from_the_headers_when_its_property_is_not_given() -> None:
    without = {name: value for name, value in FERRY.items() if name != "subject"}
    sent = content(message(letter({**without, "headers": {"Subject": "S {$line}", "To": "crew: a@example.org;"}})))
    assert names(sent).count("subject") == 1 and read(sent)["subject"] == "S b2"
    assert b"To: crew: a@example.org;\r\n" in sent and names(sent).count("to") == 1


def test_values_of_headers_cannot_end_them() -> None:
    sent = content(message(letter(FERRY), data={"line": "x\r\nBcc: evil@example.org\r\n\r\nx"}))
    assert "bcc" not in names(sent) and read(sent)["x-line"] == "x Bcc: evil@example.org x"


def test_the_call_says_how_readers_leave() -> None:
    document = {**FERRY, "headers": {"List-Unsubscribe": "<https://example.com/old>"}}
    sent = content(message(letter(document, unsubscribe=Unsubscribe(url="https://example.com/new"))))
    assert read(sent).get_all("list-unsubscribe") == ["<https://example.com/new>"]
    assert read(content(message(letter(document))))["list-unsubscribe"] == "<https://example.com/old>"


def test_files_of_the_document_go_along() -> None:
    url = "https://files.example/plan.pdf"
    files = [{"data": base64.b64encode(b"own").decode(), "name": "own.txt"}, {"url": url}]
    one = message(letter({**FERRY, "attachments": files}))
    kit = tools()
    assert [wanted.url for wanted in letter_of(one, kit).compiled.wanted] == [url]
    sent = content(one, kit, {url: Resource(b"%PDF", "application/pdf")})
    assert [(f.name, f.type, f.size) for f in attachments_of(sent)] == [
        ("own.txt", "text/plain", 3),
        ("plan.pdf", "application/pdf", 4),
    ]
    for resources in ({url: None}, {}):
        with pytest.raises(CannotRender, match=re.escape(url)) as fault:
            compose(one, kit, resources)
        assert fault.value.state is State.PROCESS


def test_a_file_with_tags_in_its_url_is_that_of_its_message() -> None:
    url = "https://files.example/{$line}.txt"
    source, kit = letter({**FERRY, "attachments": [{"url": url}]}), tools()
    for ordinal, found in enumerate([b"1", b"2"]):
        sent = content(message(source, ordinal=ordinal), kit, {url: Resource(found, "text/plain")})
        assert base64.b64encode(found) in sent


def test_the_document_signs_what_leaves_above_our_signatures() -> None:
    der = dkim.generate("rsa-sha256")
    key = dkim.load_private_key(der)
    own = {"domain": "brand.example", "selector": "s1", "key": base64.b64encode(der).decode()}
    ours = dkim.Signer("example.com", "zero", key)
    one = message(letter({**FERRY, "dkim": own}), options=options(Features(trackclicks=True, trackopens=True)))
    sent = leave(one, signers=(ours,))
    domains = [line for line in sent.block.split() if line.startswith(b"d=")]
    assert domains == [b"d=brand.example;", b"d=example.com;"]
    checker = other.DKIM(sent.block + sent.content)
    for place in range(2):
        assert checker.verify(idx=place, dnsfunc=lambda name, timeout=5: dkim.public_record(key).encode())


def test_a_sender_that_values_make_none_stops_the_message() -> None:
    with pytest.raises(CannotRender, match="sender"):
        compose(message(letter({**FERRY, "from": "{$who}"}), data={"who": "nobody"}), tools())


@pytest.mark.parametrize(
    ("document", "state"),
    [({**FERRY, "content": 7}, State.TEMPLATE), ({**FERRY, "subject": "{$a"}, State.PERSONALIZE)],
)
def test_a_document_that_cannot_be_made_says_why(document: dict[str, Any], state: State) -> None:
    with pytest.raises(CannotRender) as fault:
        compose(message(letter(document)), tools())
    assert fault.value.state is state and str(fault.value).startswith(("The document cannot be", "Compile error at"))


def test_the_web_version_of_a_document_is_its_page() -> None:
    one = message(letter(FERRY, {"line": "c3"}), data={"first": "Zoë"}, options=options(Features(trackopens=True)))
    page = webversion_of(one, tools())
    assert page is not None
    assert "Only web Zoë" in page and f'href="{BASE}/webversion?p=' in page and "o.gif" not in page
    assert "https://shop.example/c3" in page


def test_the_web_version_of_other_mail_is_its_html_untracked() -> None:
    html = '<a href="https://shop.example/">{$name}</a>'
    everything = options(Features(trackopens=True, trackclicks=True))
    page = webversion_of(message(parts({}, html=html), data={"name": "Zoë"}, options=everything), tools())
    assert page == '<a href="https://shop.example/">Zoë</a>\r\n'
    assert webversion_of(message(parts()), tools()) is None


def test_a_body_without_variables_is_made_ready_once() -> None:
    kit = tools()
    source = letter(
        {"subject": "{$recipient}", "content": '<style>a{ldelim}{rdelim}</style><a href="https://shop.example/">'}
    )
    tracked = options(Features(trackclicks=True))
    first, second = [compose(message(source, ordinal=n, options=tracked), kit) for n in range(2)]
    assert first.rewritten is not None and second.rewritten is not None
    assert first.rewritten.fields is second.rewritten.fields
