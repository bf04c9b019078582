import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.content.rewrite.css import MAX_LEVELS, CannotInline, inline_css
from tests.content.rewrite.letters import LETTERS, rewrite

STYLE = re.compile(r' style="[^"]*"| style=\'[^\']*\'')


def without_styles(html):
    return STYLE.sub("", html)


@pytest.mark.parametrize("name", LETTERS)
def test_only_style_attributes_change(name):
    html = LETTERS[name]
    assert without_styles(inline_css(html)) == without_styles(html)


def test_rules_come_into_attributes_and_the_sheet_stays():
    html = LETTERS["dark_mode"]
    out = inline_css(html)
    card = re.search(r'<div style="([^"]*)"|<div class="card" style="([^"]*)"', out)
    assert "background: #ffffff" in (card[1] or card[2])
    assert "#111111 !important" in (card[1] or card[2])
    assert (card[1] or card[2]).endswith("border: 0") or "border:0" in (card[1] or card[2])
    assert "red" not in (card[1] or card[2])  # data-no-inline on the sheet
    assert re.search(r'<p style="line-height: 1.5;?">Hello', out)
    assert "<p data-no-inline>plain" in out
    for kept in ("@media (prefers-color-scheme: dark)", "@font-face", "a.button:hover", "<!--[if mso]><table>"):
        assert kept in out
    assert out.startswith("<!DOCTYPE html>\n")


def test_what_stands_between_rows_stays_there():
    html = "<style>tr{color:red}</style><table>{foreach $a as $b}<tr><td>x</tr>{/foreach}</table>"
    assert inline_css(html).endswith('<table>{foreach $a as $b}<tr style="color: red;"><td>x</tr>{/foreach}</table>')


def test_quotes_and_letters_of_a_style_are_escaped():
    out = inline_css("<style>p{font-family:\"A & B\",'Ü'}</style><p>x</p><p style='color:red'>y</p>")
    assert without_styles(out).endswith("<p>x</p><p>y</p>")
    assert out.isascii() is False  # the sheet
    assert out.partition("</style>")[2].isascii()


@pytest.mark.parametrize(
    "html",
    [
        "<style>b{color:red}</style>" + "<div>" * 20_000,
        "<style>b{color:red}</style>" + "<b><table><tr><td></b></td></tr></table>" * 2000,
        "<style>b{color:red}</style><svg><style>" + "<g>" * 20_000,
        "<style>b{color:red}</style><svg>" + "<g><![CDATA[x></g>]]>" * 5000,
        "<style>b{color:red}</style><noscript>" + "<div>" * 20_000 + "</noscript>",
        "<style>p{background:" + "x" * 20_000 + "}</style>" + "<p>x</p>" * 2000,
        "<style>p{background:" + "x" * 60_000 + "}</style>" + "<p>x</p>" * 2000,
        "<style>" + "".join(f".c{n}{{color:red}}" for n in range(3000)) + "</style>" + "<p>x</p>" * 3000,
    ],
)
def test_what_would_cost_too_much_is_refused(html):
    with pytest.raises(CannotInline):
        inline_css(html)
    assert rewrite(html, inlines_css=True) == html


def test_a_page_of_usual_depth_is_not_refused():
    inline_css("<style>b{color:red}</style>" + "<table><tr><td>" * (MAX_LEVELS // 4) + "<b>x</b>")
    inline_css("<style>p{color:red}</style>" + "<ul><li>a<li>b<p>c</ul>" * 500)


@given(st.text("{}:;#.a-p@()[]*>'\"\\/<! ,é\n", max_size=80), st.text("<>p/ab=\"' é\n", max_size=40))
@settings(max_examples=300)
def test_any_sheet_is_inlined_or_refused(sheet, body):
    # invariant: CannotInline or a text that differs in style attributes only
    html = f"<style>{sheet}</style><p>a</p>{body}"
    try:
        out = inline_css(html)
    except CannotInline:
        return
    assert without_styles(out) == without_styles(html) or "style" in sheet + body
