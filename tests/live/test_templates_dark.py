"""Templates stay readable by day and by night, also in clients that turn colours dark by themselves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smtpeter.content.letter import Letter, Values
from smtpeter.content.template.compile import compile_document
from tests.content.template.samples import sample
from tests.live.browser import CHROMIUM, Tab, browsing
from tests.live.looks import Line, lines, show

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

WIDTHS = (1024, 375)
READABLE = 3.0
# what a browser is told by clients that turn mail dark: light colours become dark, dark ones light, those between stay
TURNS_DARK = "--enable-features=WebContentsForceDark"

BEHIND = ("gold", "tomato", "#8fbc8f", "orange", "silver", "#b0c4de", "#bbb", "white", "#eee")


def page(document: dict[str, Any], *, is_web: bool = False) -> str:
    """Gives the HTML of a document, filled in."""
    letter = Letter(compile_document(document))
    values = Values(
        {"recipient": "a@example.org"}, datetime(2026, 1, 1, tzinfo=UTC), {"webversion": "https://w.example/"}
    )
    return letter.webversion(values) if is_web else letter.html(values)


def of(*blocks: dict[str, Any], **top: Any) -> dict[str, Any]:
    return {"content": {"blocks": blocks}, **top}


# no colour is set, so the reader's are taken; a button is a colour (that of the format is 2.8 to 1, so here it is another's)
PLAIN = of(
    {"type": "heading", "content": "No colours at all"},
    {"type": "text", "content": "This text has the colour of the reader."},
    {"type": "heading", "size": 3, "content": "A linked heading", "link": "https://a.example/"},
    {"type": "html", "content": "<p>Some <b>markup</b> with <a href='https://a.example/'>a link</a>.</p>"},
    {"type": "link", "label": "A link", "link": "https://a.example/"},
    {"type": "follow", "label": "Follow us", "platforms": {"twitter": "@me", "facebook": "me"}},
    {"type": "columns", "columns": [{"blocks": [{"type": "text", "content": word}]} for word in ("left", "right")]},
)
COLOURED = of(
    *(
        {"type": "text", "content": f"Own colour on {one}", "background": one, "font": {"color": "#111"}}
        for one in BEHIND
    ),
    *({"type": "heading", "size": 4, "content": f"No colour on {one}", "background": one} for one in BEHIND),
    *(
        {
            "type": "button",
            "label": f"Press {one}",
            "color": one,
            "link": "https://a.example/",
            "font": {"color": "black"},
        }
        for one in BEHIND
    ),
    {"type": "button", "label": "Press", "color": "#2e7d32", "link": "https://a.example/"},
    {
        "type": "html",
        "content": "<p style='background:gold;color:#222'>inline <a href='#x' style='color:#00f'>link</a></p>",
    },
    {"type": "text", "content": "Light on dark", "background": "#222", "font": {"color": "#eee"}},
)
DOCUMENTS = {
    "small": sample("small"),
    "medium": sample("medium"),
    "every block": sample("every_block"),
    "plain": PLAIN,
    "coloured": COLOURED,
    "only a page colour": of({"type": "text", "content": "words"}, background="honeydew"),
    "only a text colour": of({"type": "text", "content": "words"}, font={"color": "#333"}),
    "only colours in markup": of({"type": "html", "content": "<p style='color:#333'>words</p> and words"}),
}


@asynccontextmanager
async def a_tab(folder: Path, *options: str) -> AsyncIterator[Tab]:
    async with browsing(folder, *options) as browser:
        yield await browser.tab("")


def unreadable(found: list[Line]) -> list[Line]:
    assert found, "nothing is written"
    return [line for line in found if line.contrast < READABLE]


@pytest.mark.parametrize("is_dark", [False, True], ids=["by day", "by night"])
async def test_all_that_is_written_can_be_read(tmp_path: Path, is_dark: bool) -> None:
    kinds = set()
    async with a_tab(tmp_path) as tab:
        for name, document in DOCUMENTS.items():
            for width in WIDTHS:
                await show(tab, page(document, is_web=width == WIDTHS[0]), width, is_dark=is_dark)
                found = await lines(tab)
                assert unreadable(found) == [], (name, width)
                kinds |= {line.kind for line in found}
    assert kinds == {"heading", "text", "link", "button"}


async def test_all_that_is_written_can_be_read_where_clients_turn_mail_dark(tmp_path: Path) -> None:
    async with a_tab(tmp_path, TURNS_DARK) as tab:
        for name, document in DOCUMENTS.items():
            for width in WIDTHS:
                await show(tab, page(document), width, is_dark=True)
                assert unreadable(await lines(tab)) == [], (name, width)


async def test_clients_that_turn_mail_dark_do_so_unless_they_are_asked_not_to(tmp_path: Path) -> None:
    asked = page(COLOURED)
    assert "light only" in asked
    async with a_tab(tmp_path, TURNS_DARK) as tab:
        await show(tab, asked.replace("light only", "light"), WIDTHS[0], is_dark=True)
        assert len(unreadable(await lines(tab))) > 10  # so they do, and so what cannot be read is seen


async def test_mail_without_colours_is_dark_at_night_and_coloured_mail_is_not(tmp_path: Path) -> None:
    async with a_tab(tmp_path) as tab:
        for name, is_on_dark in (("plain", {True}), ("medium", {False}), ("only a text colour", {False})):
            await show(tab, page(DOCUMENTS[name]), WIDTHS[0], is_dark=True)
            found = [line for line in await lines(tab) if line.kind != "button"]
            assert {line.is_on_dark for line in found} == is_on_dark, name


async def test_contrast_is_that_of_the_colours(tmp_path: Path) -> None:
    # WCAG: black on white 21, #777 on white 4.48, white on the button of the format 2.83
    known = {("black", "white"): 21.0, ("#777777", "white"): 4.48, ("white", "#2ba6cb"): 2.83}
    markup = "".join(
        f"<h1 style='font-size:80px;color:{ink};background:{paper};margin:0'>HEM</h1>" for ink, paper in known
    )
    async with a_tab(tmp_path) as tab:
        await show(tab, f"<!DOCTYPE html><body>{markup}</body>", WIDTHS[0])
        found = await lines(tab)
    assert [line.contrast for line in found] == pytest.approx(list(known.values()), abs=0.02)
    assert {line.kind for line in found} == {"heading"}
