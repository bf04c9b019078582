"""Blocks of words: text, html and heading."""

from dataclasses import dataclass

from smtpeter.content.template.common import Common, read_common
from smtpeter.content.template.elements import element
from smtpeter.content.template.fields import Fields
from smtpeter.content.template.fonts import Font
from smtpeter.content.template.fragment import body_of, is_balanced, sanitized, with_urls
from smtpeter.content.template.links import Link, read_link
from smtpeter.content.template.place import Place
from smtpeter.content.template.plaintext import to_text
from smtpeter.content.template.reading import Purpose
from smtpeter.content.template.tags import clean, escape_html

# long words and URLs break rather than widen the mail on a phone
BREAKING = [("word-wrap", "break-word"), ("word-break", "break-word")]
_HEADING_SIZES = ("40px", "36px", "32px", "28px", "24px", "20px")


def lines(text: str) -> str:
    """Gives escaped text with its line breaks as `<br />`."""
    return escape_html(text).replace("\n", "<br />\n")


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Plain text; markup in it is shown, not obeyed."""

    common: Common
    content: str

    def html(self, place: Place) -> str:
        style = [*place.font.style(), *BREAKING]
        return place.size.add(element("div", lines(self.content), {}, style, self.common.extra))

    def text(self, place: Place) -> str:
        return self.content.strip("\n")


def read_text(given: Fields) -> TextBlock | None:
    """Reads a text block."""
    content = _content(given, Purpose.TEXT)
    common = read_common(given, "text")
    return None if content is None else TextBlock(common, content)


@dataclass(frozen=True, slots=True)
class HtmlBlock:
    """A fragment that is inserted as it is, but for the targets of its links."""

    common: Common
    content: str

    def html(self, place: Place) -> str:
        content = with_urls(self.content, place.rewritten)
        return place.size.add(element("div", content, {}, [*place.font.style(), *BREAKING], self.common.extra))

    def text(self, place: Place) -> str:
        return to_text(self.content, place.rewritten)


def read_html(given: Fields) -> HtmlBlock | None:
    """Reads an html block; unbalanced markup is told, not repaired."""
    content = _content(given, Purpose.HTML)
    common = read_common(given, "html")
    if content is None:
        return None
    content = body_of(content)
    if not is_balanced(content):
        given.warn(
            "unbalanced-html", "content", "An element is not closed where it should be; it may disturb what follows."
        )
    lowered = content.lower()
    if "style" in lowered or "color" in lowered:
        given.reading.tally.has_colors = True
    return HtmlBlock(common, content)


@dataclass(frozen=True, slots=True)
class HeadingBlock:
    """A heading of level 1 to 6. Of the fonts around it only family and colour reach it."""

    common: Common
    content: str
    size: int = 1
    link: Link = Link()

    def html(self, place: Place) -> str:
        own = self.common.font
        font = own.over(Font(size=_HEADING_SIZES[self.size - 1], line_height="1.3", weight="bold")).over(
            Font(family=place.font.family, color=place.font.color)
        )
        color = font.color.css if font.color else "inherit"
        label = self.link.wrap(lines(self.content), place, [("color", color)], self.common.a)
        style = [("margin", "0"), *font.style(), *BREAKING]
        return place.size.add(element(f"h{self.size}", label, {}, style, self.common.extra))

    def text(self, place: Place) -> str:
        return self.link.as_text(" ".join(self.content.split()), place)


def read_heading(given: Fields) -> HeadingBlock | None:
    """Reads a heading."""
    content = given.text("content")
    size = given.integer("size")
    if size is not None and not 1 <= size <= 6:
        given.warn("bad-value", "size", "A heading has a size from 1 to 6; the nearest is taken.")
    link = read_link(given)
    common = read_common(given, "heading")
    if content is None:
        given.warn("missing-property", "content", "A heading needs content; the block is left out.")
        return None
    return HeadingBlock(common, content, min(6, max(1, 1 if size is None else size)), link)


def _content(given: Fields, purpose: Purpose) -> str | None:
    """Gives `content`, or what is at `url`; None with a warning when there is neither."""
    content = given.text(given.alias("content", "source"))
    url = given.text("url")
    if content is not None:
        return content
    if not url:
        given.warn("missing-property", "content", "The block needs content or a url; it is left out.")
        return None
    resource = given.reading.fetched(url, purpose, f"{given.path}/url")
    if resource is None:
        return None
    text = clean(resource.content.decode("utf-8-sig", "replace"))
    if purpose is Purpose.TEXT:
        return text
    found = sanitized(body_of(text), has_tags=True)
    if found is None:
        given.warn("fetch-failed", "url", "The elements at this URL are nested too deep; the block is left out.")
    return found
