"""The HTML of templates is valid, for mail and for browsers, as two judges that are not ours see it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from smtpeter.content.letter import Letter, Values
from smtpeter.content.template.compile import compile_document
from tests.content.template.samples import sample
from tests.live.markup import blamed

DATA = {"firstname": 'Ann <"&ë> Doe', "recipient": "ann@example.org", "line": "b7 & c", "minutes": 12}
AROUND = [
    {"background": "#eee", "padding": 4, "margin": {"top": 9}, "align": "center"},
    {"align": "right", "font": {"family": "'Open Sans', \"Segoe UI\", serif", "size": "12px", "weight": 600}},
    {"container": {"css": {"border": "1px solid red"}, "attributes": {"title": 'a "b" <c>', "class": "own"}}},
    {"css": {"content": '"</style><p>"'}, "attributes": {"id": "i&i", "data-x": "'\"<>&"}},
    {"visibility": {"device": "mobile"}},
    {"visibility": {"device": "desktop"}, "padding": {"left": 3}},
]
EACH = [
    {"type": "text", "content": 'a < b && c > "d"\n\n{$firstname} & more\tend'},
    {"type": "heading", "size": 6, "content": "Q&A <now>\nsecond line", "link": "https://a.example/?b=1&c=2#d"},
    {"type": "html", "content": "<ul><li>one</li><li>two <img src='https://a.example/i.png' alt='i'></li></ul><table><tr><td>x</table>"},
    {"type": "image", "src": "https://a.example/i.png?a=1&b=2", "alt": '"quoted" & <more>', "width": "50%", "height": 20},
    {"type": "image", "src": "https://a.example/i.png", "height": 20, "link": {"url": "https://a.example/", "title": '"t"'}},
    {"type": "button", "label": "Press & hold", "link": "https://a.example/?q=%C3%A4+b", "corners": "radius", "size": 3},
    {"type": "button", "label": "Only shown"},
    {"type": "link", "label": "L & M", "link": {"url": "mailto:a@example.com?subject=x&body=y", "attributes": {"rel": "x"}}},
    {"type": "separator", "style": "double", "height": 0},
    {"type": "spacer", "height": 1},
    {"type": "container", "blocks": []},
    {"type": "columns", "columns": [{"blocks": []}, {"size": 3, "blocks": [{"type": "text", "content": "x"}], "padding": 4}]},
    {"type": "video", "url": "https://youtu.be/AbCdEfGhIjK", "embed": True},
    {"type": "video", "url": "https://elsewhere.example/watch?a=1&b=2"},
    {"type": "follow", "platforms": {"twitter": "@me", "mail": "me@example.com", "feed": "https://a.example/?a&b"}, "label": "F & f"},
    {"type": "share", "platforms": ["facebook", "mail", "twitter"], "link": {"url": "https://a.example/?x=1&y=2", "title": "A & B"}},
]  # fmt: skip
# every type of block in every kind of frame
FRAMED: dict[str, Any] = {
    "subject": 'Frames & "quotes" <here>',
    "rewrite": {"links": [{"params": {"via": "a&b <c>"}}]},
    "tracking": {"pixel": "https://a.example/p.gif?a=1&b=2", "force": True},
    "data": {"firstname": "x"},
    "content": {
        "blocks": [
            {**block, **around, "attributes": {**around.get("attributes", {}), "id": f"i{row}-{column}"}}
            for row, around in enumerate(AROUND)
            for column, block in enumerate(EACH)
        ]
    },
}
DOCUMENTS: dict[str, dict[str, Any]] = {
    **{name: sample(name) for name in ("small", "medium", "every_block")},
    "framed": FRAMED,
}


def test_judges_of_html_are_awake() -> None:
    page = "<!DOCTYPE html>\n<html><head><title>a</title></head><body>{}</body></html>"
    assert blamed(page.format("<p>a &amp; b</p>")) == set()
    for wrong in ("<b><p>a</b></p>", '<a href="x" href="y">a</a>', "<table><p>a</p></table>", "a & b &copy c", "<tr>a"):
        assert blamed(page.format(wrong)), wrong


@pytest.mark.parametrize("icons", ["", "https://icons.example"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_html_and_web_version_are_valid(name: str, icons: str) -> None:
    letter = Letter(compile_document(DOCUMENTS[name], icons=icons))
    values = Values(DATA, datetime(2026, 1, 1, tzinfo=UTC), {"webversion": "https://clicks.example.com/?p=x"})
    assert blamed(letter.html(values)) == set()
    assert blamed(letter.webversion(values)) == set()
