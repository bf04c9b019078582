"""Text derived from a fragment of HTML: lines for blocks, dashes for items, targets behind links, alt for images."""

import re
from collections.abc import Callable
from functools import partial

from turbohtml import TokenType

from smtpeter.content.template.fragment import Piece, decoded, read, value_span
from smtpeter.content.template.tags import masked

_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "center",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
_SILENT = frozenset({"script", "style", "title", "head"})
_SPACES = re.compile(r"[ \t\n\u00a0]+")
_AROUND_NEWLINE = re.compile(r"[ \t]*\n[ \t]*")


class _Writer:
    """Gathers lines; white space folds as in HTML."""

    def __init__(self, link: Callable[[str], str]) -> None:
        self._link = link
        self._parts: list[str] = []
        self._anchor: tuple[str, int] | None = None
        self._silent = 0

    def text(self, source: str) -> None:
        if not self._silent:
            self._parts.append(_SPACES.sub(" ", decoded(source)))

    def start(self, tag: str, attribute: Callable[[str], str]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag == "br":
            self._parts.append("\n")
        elif tag == "img":
            self._parts.append(attribute("alt"))
        elif tag == "a":
            self.end("a")  # an anchor ends where the next one begins (HTML 13.2.6.4.7)
            self._anchor = (attribute("href"), len(self._parts))
        elif tag in _BLOCKS:
            self._parts.append("\n- " if tag == "li" else "\n")

    def end(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag == "a" and self._anchor:
            (href, at), self._anchor = self._anchor, None
            label = "".join(self._parts[at:]).strip()
            target = self._link(href.strip()) if href else ""
            if target and not target.startswith("#") and label != target:
                self._parts.append(f" ({target})" if label else target)
        elif tag in _BLOCKS and tag != "li":
            self._parts.append("\n")

    def result(self) -> str:
        return tidied("".join(self._parts))


def to_text(markup: str, link: Callable[[str], str]) -> str:
    """Gives the text of a fragment; `link` gives each target as it is rewritten."""
    writer = _Writer(link)
    flat = masked(markup)
    at = 0
    for piece in read(flat):
        writer.text(markup[at : piece.start])
        at = piece.end
        tag = piece.token.tag
        if tag and piece.token.type is TokenType.START_TAG:
            writer.start(tag, partial(_attribute, markup, piece))
        elif tag and piece.token.type is TokenType.END_TAG:
            writer.end(tag)
    writer.text(markup[at:])
    return writer.result()


def _attribute(markup: str, piece: Piece, name: str) -> str:
    span = value_span(piece, name)
    return decoded(markup[span.start : span.end]) if span else ""


def tidied(text: str) -> str:
    """Gives the text with no white space at the ends of lines, and never more than one empty line in a row."""
    return re.sub(r"\n{3,}", "\n\n", _AROUND_NEWLINE.sub("\n", text)).strip()
