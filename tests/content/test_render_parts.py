"""Mail made of the properties of a send call: its tags, its files, the text that it did not bring."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.content.compose import compose as compose_parts
from smtpeter.content.render import CannotRender, compose, file_urls, filled_url, source_of
from smtpeter.content.template.reading import Purpose, Resource, Wanted
from smtpeter.content.views import attachments_of, part_bytes
from smtpeter.model.outcome import State
from smtpeter.model.parts import Attachment, Mailbox, Parts, Unsubscribe
from smtpeter.wire.headers import read_fields, split
from tests.content.rendering import ACCEPTED, BASE, content, message, options, parts, read, text, tools

PDF = Attachment(b"%PDF", "a.pdf", "application/pdf")
URL = "https://files.example/reports/a%20b.pdf?x=1#y"


def names(octets: bytes) -> list[bytes]:
    return [field.name for field in read_fields(split(octets)[0])]


def test_without_tags_it_is_what_its_properties_make_for_each_recipient() -> None:
    kit = tools()
    source = parts(html="<p>", attachments=(PDF,), unsubscribe=Unsubscribe("a@example.com"))
    for ordinal, to in enumerate(["a@example.org", "b@example.org"]):
        one = message(source, to=to, ordinal=ordinal)
        given = Parts(
            Mailbox("john@example.com", "John"),
            subject="Hello",
            text="text",
            html="<p>",
            attachments=(PDF,),
            unsubscribe=Unsubscribe("a@example.com"),
        )
        expected = compose_parts(given, recipient=to, message_id=one.id, date=ACCEPTED)
        assert content(one, kit) == content(one, kit) == source_of(compose(one, kit)) == expected


def test_every_property_takes_tags() -> None:
    source = parts(
        {"shop": "Kiosk"},
        sender=Mailbox("{$box}@example.com", "{$shop}, {$first}"),
        to=(Mailbox("{$recipient}", "{$first}"), Mailbox("{$friend}")),
        cc=(Mailbox("fixed@example.org", "Fixed"),),
        replyto=(Mailbox("desk@example.com", "{$shop}"),),
        subject="{$first|upper}: {$n + 1}",
        text="Hi {$first}",
        html="<p>Hi {$first|escape}",
        headers=(("X-Note", "{$first}"), ("x-plain", "fixed")),
        unsubscribe=Unsubscribe("leave+{$n}@example.com", "https://example.com/leave?n={$n}", True),
    )
    sent = content(message(source, data={"first": "Zoë<", "box": "a", "friend": "Bo Ek <bo@example.org>", "n": 2}))
    found = read(sent)
    assert (str(found["subject"]), found["x-note"], found["x-plain"]) == ("ZOË<: 3", "Zoë<", "fixed")
    assert [(a.display_name, a.addr_spec) for a in found["from"].addresses] == [("Kiosk, Zoë<", "a@example.com")]
    assert [(a.display_name, a.addr_spec) for a in found["to"].addresses] == [
        ("Zoë<", "jane@example.org"),
        ("Bo Ek", "bo@example.org"),
    ]
    assert (str(found["reply-to"]), str(found["cc"])) == ("Kiosk <desk@example.com>", "Fixed <fixed@example.org>")
    assert found["list-unsubscribe"] == "<https://example.com/leave?n=2>, <mailto:leave+2@example.com>"
    assert found["message-id"] == "<0123456789abcdefghij@example.com>"
    assert (text(sent).strip(), text(sent, "html").strip()) == ("Hi Zoë<", "<p>Hi Zoë&lt;")


@pytest.mark.parametrize("where", ["sender", "to", "subject", "headers", "unsubscribe"])
@settings(deadline=None, max_examples=25)
@given(
    value=st.one_of(
        st.just("x\r\nBcc: evil@example.org\r\n\r\nbody\0\x85\u2028"),
        st.text('ab\r\n\0\x85\u2028@<>,;:"\\() =?', max_size=60),
    )
)
def test_no_value_makes_a_field_or_ends_one(where: str, value: str) -> None:
    choices: dict[str, dict[str, Any]] = {
        "sender": {"sender": Mailbox("a@example.com", "{$v}")},
        "to": {"to": (Mailbox("{$v}"), Mailbox("{$v}@example.org", "{$v}"))},
        "subject": {"subject": "{$v}"},
        "headers": {"headers": (("x-a", "{$v}"),)},
        "unsubscribe": {"unsubscribe": Unsubscribe(url="https://example.com/{$v}")},
    }
    try:
        sent = content(message(parts({}, **choices[where]), data={"v": value}))
    except CannotRender as fault:
        assert where in ("to", "unsubscribe") and str(fault)
        return
    extra = {"headers": [b"x-a"], "unsubscribe": [b"list-unsubscribe"]}.get(where, [])
    common = [b"from", b"to", b"subject", b"date", b"message-id", b"mime-version"]
    assert names(sent) == [*common, *extra, b"content-type", b"content-transfer-encoding"]
    assert read(sent)["to"].addresses and text(sent).strip() == "text"


def test_values_make_no_part() -> None:
    sent = content(message(parts({}, html="{$v}", attachments=(PDF,)), data={"v": "\r\n--=_0_0\r\n\r\nx"}))
    boundary = read(sent).get_boundary() or ""
    hostile = content(message(parts({}, html="{$v}", attachments=(PDF,)), data={"v": f"\r\n--{boundary}\r\n\r\nx"}))
    assert [one.get_content_type() for one in read(hostile).walk()] == [
        one.get_content_type() for one in read(sent).walk()
    ]


def test_without_data_braces_are_text_and_automatic_tags_are_filled_in() -> None:
    source = parts(
        sender=Mailbox("john@example.com", "For {$recipient}"),
        subject="{$messageid} {$name}",
        text="{if {$webversion}",
        html="{$unsubscribe}",
        to=(Mailbox("{$recipient}"),),
    )
    sent = content(message(source, options=options()))
    assert read(sent)["subject"] == "0123456789abcdefghij {$name}"
    assert str(read(sent)["from"]) == '"For jane@example.org" <john@example.com>'
    assert str(read(sent)["to"]) == "jane@example.org"
    assert text(sent).startswith(f"{{if {BASE}/webversion?p=") and text(sent, "html").startswith(
        f"{BASE}/unsubscribe?p="
    )


def test_html_alone_gets_a_text_where_that_is_wanted() -> None:
    page = "<style>a{b:c}</style><h1>{Hello} {if}</h1><p>Read <a href='https://example.com/?a=1&amp;b'>more</a>&nbsp;{x<br>y}"
    alone = content(message(parts(text=None, html=page), options=options(adds_text=True)))
    assert text(alone).splitlines() == ["{Hello} {if}", "", "Read more (https://example.com/?a=1&b) {x", "y}"]
    assert "text/plain" not in content(message(parts(text=None, html=page), options=options())).decode()
    both = content(message(parts(text="own", html=page), options=options(adds_text=True)))
    assert text(both).strip() == "own"


def test_the_text_that_is_added_has_the_values_of_its_message() -> None:
    source = parts({}, text=None, html="<p>Hi {$name|escape}, {$x}")
    sent = content(message(source, data={"name": "A & <B>", "x": "{if}"}, options=options(adds_text=True)))
    assert text(sent).strip() == "Hi A & <B>, {if}"


def test_a_file_is_what_was_found_at_its_url() -> None:
    files = (Attachment(b"", url=URL), Attachment(b"", "own.txt", "text/plain", url=URL), PDF)
    one = message(parts(attachments=files))
    assert file_urls(one) == (Wanted(URL, Purpose.ATTACHMENT),)
    sent = content(one, tools(), {URL: Resource(b"octets", "application/x-thing; charset=utf-8")})
    assert [(f.name, f.type, f.size) for f in attachments_of(sent)] == [
        ("a b.pdf", "application/x-thing", 6),
        ("own.txt", "text/plain", 6),
        ("a.pdf", "application/pdf", 4),
    ]
    named = content(one, tools(), {URL: Resource(b"o", "no type at all", "../said é\r\n.csv")})
    assert [(f.name, f.type) for f in attachments_of(named)][:2] == [
        ("said é .csv", "text/csv"),
        ("own.txt", "text/plain"),
    ]
    nameless = Attachment(b"", url="https://files.example/")
    sent = content(message(parts(attachments=(nameless,))), tools(), {nameless.url: Resource(b"o", "image/png")})
    assert [f.name for f in attachments_of(sent)] == ["attachment-1.png"]


def test_no_mail_goes_out_without_its_file() -> None:
    one = message(parts(attachments=(Attachment(b"", url=URL),)))
    for resources in ({URL: None}, {}):
        with pytest.raises(CannotRender, match=re.escape(URL)) as fault:
            compose(one, tools(), resources)
        assert fault.value.state is State.PROCESS


def test_a_file_with_tags_in_its_url_belongs_to_its_message() -> None:
    kit = tools()
    url = "https://files.example/{$n}.txt"
    source = parts({}, attachments=(Attachment(b"", url=url),))
    for n in (1, 2):
        one = message(source, ordinal=n, data={"n": n})
        assert filled_url(one, kit, url) == f"https://files.example/{n}.txt"
        found = part_bytes(content(one, kit, {url: Resource(b"%d" % n, "text/plain")}), "attachment", 0)
        assert found and found[1] == b"%d" % n
    assert filled_url(message(parts()), kit, url) == url
    assert filled_url(message(parts({})), kit, "https://e/{$") is None


def test_blind_recipients_see_nobody() -> None:
    sent = content(message(parts({}, subject="{$recipient}", blind=("jane@example.org",))))
    assert b"To: undisclosed-recipients:;\r\n" in sent and b"Bcc" not in sent


def test_options_of_ours_are_never_sent() -> None:
    assert b"smtpeter" not in content(message(parts(headers=(("X-SMTPeter-Tags", "a"),)))).lower()


def test_data_of_one_message_never_show_in_another() -> None:
    kit = tools()
    source = parts({"all": "A"}, subject="{$s} {$all}", text="{$s}", html="{$s}{foreach $l as $i}{$i}{/foreach}")
    for turn in range(2):
        for ordinal in range(6):
            sent = content(message(source, ordinal=ordinal, data={"s": f"s{ordinal}", "l": [ordinal] * ordinal}), kit)
            assert read(sent)["subject"] == f"s{ordinal} A", turn
            assert text(sent, "html").strip() == f"s{ordinal}" + str(ordinal) * ordinal


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (parts({}, subject="{1/0}"), "Runtime error at line 1, column 1: Division by zero"),
        (parts({}, subject="{$a"), "Compile error at line 1, column 1"),
        (parts({}, to=(Mailbox("{$a}"),)), "address"),
        (parts({"a": "w" * 2**20}, subject="{$a}"), "is larger than"),
        (parts({}, unsubscribe=Unsubscribe(url="{$a}x")), "is not a web address"),
        (
            parts({}, text="{foreach $l as $i}{foreach $l as $j}{foreach $l as $k}{/foreach}{/foreach}{/foreach}"),
            "passes",
        ),
    ],
)
def test_what_cannot_be_made_says_why_in_a_sentence(source: Any, sentence: str) -> None:
    with pytest.raises(CannotRender, match=sentence):
        compose(message(source, data={"l": list(range(100))}), tools())
