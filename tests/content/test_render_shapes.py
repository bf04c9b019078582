"""Personalized mail that is rewritten: made by its shape, and the same each time."""

from typing import Any

import pytest

from smtpeter.content.render import compose, source_of, webversion_of
from smtpeter.content.shape import FilledMessage
from smtpeter.model.account import Features
from smtpeter.model.message import Message
from smtpeter.model.parts import Attachment
from smtpeter.wire.headers import split
from tests.content.rendering import BASE, EVERYTHING, content, letter, message, options, parts, read, text, tools

TRACKED = Features(trackclicks=True, trackopens=True, inlinecss=True)
HTML = (
    "<style>p{ldelim}color:red{rdelim}</style><p>Dear {$name},</p>"
    '<a href="https://shop.example/{$id}?x=1&amp;y={$name|urlencode}">{$name|escape}</a> <a href="{$webversion}">view</a>'
)
PEOPLE = [
    {"name": "Zoë", "id": 1},
    {"name": "Tom & Co", "id": 2},
    {"name": "<b>Eve</b>", "id": "a/b"},
    {"name": "", "id": ""},
    {"name": "Ann\r\nBcc: x@example.org", "id": "\n"},
]


def of_parts(person: dict[str, Any], features: Features = TRACKED, **changes: Any) -> Message:
    source = parts({}, text="Dear {$name}", html=HTML, **changes)
    return message(source, data=person, options=options(features), ordinal=len(str(person)))


def of_letter(person: dict[str, Any], features: Features = TRACKED) -> Message:
    source = letter({"subject": "For {$name}", "content": HTML, "text": "Dear {$name}"})
    return message(source, data=person, options=options(features), ordinal=len(str(person)))


@pytest.mark.parametrize("make", [of_parts, of_letter])
@pytest.mark.parametrize("person", PEOPLE[:3])
def test_values_stand_in_the_rewritten_mail_as_in_the_source(make: Any, person: dict[str, Any]) -> None:
    one = make(person)
    out = content(one)
    assert text(out) == f"Dear {person['name']}\r\n"
    html = text(out, "html")
    assert f'color: red;">Dear {person["name"]},</p>' in html.replace("color:red", "color: red")
    assert f'href="{BASE}/{person["id"]}?x=1&amp;y=' in html
    assert f'href="{BASE}/webversion?p=' in html and "/o.gif?p=" in html
    before = text(source_of(compose(one, tools())), "html")
    assert f'href="https://shop.example/{person["id"]}?x=1&amp;y=' in before and "style=" not in before
    assert webversion_of(one, tools()) is not None


@pytest.mark.parametrize("make", [of_parts, of_letter])
def test_what_was_rendered_before_changes_no_octet(make: Any) -> None:
    fresh = [content(make(person)) for person in PEOPLE]
    kit = tools()
    assert [content(make(person), kit) for person in PEOPLE] == fresh
    assert [content(make(person), kit) for person in reversed(PEOPLE)] == fresh[::-1]
    for out, person in zip(fresh, PEOPLE, strict=True):
        others = [other["name"] for other in PEOPLE if other is not person and other["name"]]
        assert not any(str(name) in text(out, "html") for name in others)


def test_usual_values_share_a_shape() -> None:
    kit = tools()
    composed = [compose(of_parts({"name": f"Zoë {n}", "id": n}), kit) for n in range(3)]
    assert all(isinstance(one.rewritten, FilledMessage) for one in composed)
    assert len({id(one.rewritten.fields) for one in composed if one.rewritten}) == 1
    assert all(one.origins == ("https://shop.example", BASE)[:1] for one in composed)


def test_the_same_mail_of_another_call_shares_it_too() -> None:
    kit = tools()
    first, second = of_parts({"name": "Jan", "id": 1}), of_parts({"name": "Eve", "id": 2})
    content(first, kit)
    size = kit.shelf.shapes.size
    content(second, kit)
    assert kit.shelf.shapes.size == size > 0


def test_the_fields_are_those_of_the_body() -> None:
    one = message(parts({}, text="Dear {$name}"), data={"name": "Zoë"}, options=options(TRACKED))
    out = content(one)
    assert read(out)["Content-Transfer-Encoding"] == "quoted-printable"
    assert text(out) == "Dear Zoë\r\n"
    before = source_of(compose(one, tools()))
    assert text(before) == "Dear Zoë\r\n"
    assert len(read(before).get_all("Content-Type", [])) == len(read(out).get_all("Content-Type", [])) == 1


def test_automatic_tags_without_data_are_values_too() -> None:
    html = '{literal} { <a href="{$webversion}">{$recipient}</a> <a href="https://shop.example/">x</a>'
    kit = tools()
    made = [
        message(parts(html=html, text="{$unknown} {$messageid}"), ordinal=n, options=options(TRACKED)) for n in (1, 2)
    ]
    composed = [compose(one, kit) for one in made]
    assert all(isinstance(one.rewritten, FilledMessage) for one in composed)
    outs = [content(one, kit) for one in made]
    assert text(outs[0]) == f"{{$unknown}} {made[0].id}\r\n"
    assert "{literal} { <a" in text(outs[0], "html") and ">jane@example.org</a>" in text(outs[0], "html")
    assert text(outs[1]) == f"{{$unknown}} {made[1].id}\r\n"


def test_a_text_that_follows_from_the_html_follows_from_its_values() -> None:
    source = parts({}, text=None, html="<p>Dear {$name|escape},</p><a href='https://shop.example/'>x</a>")
    one = message(source, data={"name": "A & B"}, options=options(TRACKED, adds_text=True))
    out = content(one)
    assert text(out).startswith("Dear A & B,")
    assert "Dear A &amp; B," in text(out, "html")


def test_files_and_hosted_images_come_with_every_message() -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(100)
    files = (Attachment(png, "a.png", "image/png", "logo"), Attachment(b"%PDF", "b.pdf", "application/pdf"))
    html = '<img src="cid:logo" alt="{$name}"><a href="https://shop.example/">{$name}</a>'
    kit = tools()
    for name in ("Jan", "Eve"):
        one = message(
            parts({}, html=html, attachments=files),
            data={"name": name},
            options=options(EVERYTHING, tracks_images=True),
        )
        composed = compose(one, kit)
        assert [image.data for image in composed.images] == [png]
        out = content(one, kit)
        assert f'alt="{name}"' in text(out, "html") and f"{BASE}/i/" in text(out, "html")
        kinds = [part.get_content_type() for part in read(out).walk() if not part.is_multipart()]
        assert kinds == ["text/plain", "text/html", "application/pdf"]
        assert [part.get_content_type() for part in read(source_of(composed)).walk()].count("image/png") == 1


def test_a_link_that_the_header_names_is_not_tracked_for_its_message() -> None:
    html = '<a href="https://shop.example/leave/{$id}">leave</a><a href="https://shop.example/leave/1">other</a>'
    source = parts({}, html=html, headers=(("List-Unsubscribe", "<https://shop.example/leave/{$id}>"),))
    kit = tools()
    for number in (1, 2, 1):
        out = text(content(message(source, data={"id": number}, options=options(TRACKED)), kit), "html")
        assert f'<a href="https://shop.example/leave/{number}"' in out
        assert out.count(f'href="{BASE}/leave/') == number - 1


def test_a_body_of_one_shape_is_as_long_as_its_lines_may_be() -> None:
    _, body = split(content(of_letter({"name": "ü" * 300, "id": "x" * 300})))
    assert max(map(len, body.split(b"\r\n"))) <= 76
