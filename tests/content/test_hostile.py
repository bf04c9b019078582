"""Texts of megabytes: cleaned in pieces as they are as a whole, and left as they are where nobody would show them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smtpeter.content.rewrite.settings import MAX_TEXT
from smtpeter.content.template import tags
from smtpeter.model.account import Features
from tests.content.rendering import content, message, options, parts, read

MARKS = st.text(st.sampled_from("a\r\n\x85\u2028\x00\x1f\ud800\ufdd0{é"))


@given(text=MARKS, piece=st.integers(1, 5))
@example(text="aaaa\r\r\n", piece=2)
def test_text_is_cleaned_in_pieces_of_any_size_alike(text: str, piece: int) -> None:
    lines = re.sub("\r\n?|[\x85\u2028\u2029]", "\n", text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tags, "_PIECE", piece)
        assert tags.clean(text) == re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef]", "", lines)


@pytest.mark.parametrize("has_data", [False, True])
@pytest.mark.parametrize(("size", "is_left"), [(100, False), (MAX_TEXT, True)])
def test_text_that_no_mail_program_shows_is_left_as_it_is(size: int, is_left: bool, has_data: bool) -> None:
    tracked = options(Features(trackclicks=True, trackopens=True, inlinecss=True), adds_text=True)
    filler = "x" * size
    html = f"<p>{'{$filler}' if has_data else filler}</p>"
    made = message(parts({"filler": filler} if has_data else None, html=html, text=None), options=tracked)
    mail = read(content(made))
    page = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert filler in page
    assert ("/o.gif?p=" in page) is not is_left
    assert (mail.get_body(("plain",)) is None) is is_left
