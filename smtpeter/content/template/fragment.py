"""Fragments of HTML as authors write them: read by a tokenizer, never repaired, changed only where a URL is exchanged.

Tags are masked by as many letters before the fragment is read, so that `{if $a < 3}` opens no element, and what is found
has the same position in the original. The tokenizer is the one of the HTML standard (13.2.5) and linear; within a start
tag that it delimits, attributes are located by their grammar, and what the two do not agree on is left alone.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from urllib.parse import urljoin

import nh3
from turbohtml import Token, TokenType, tokenize

from smtpeter.content.template.tags import (
    IMAGE,
    IMAGE_END,
    clean,
    escape_value,
    masked,
    pieces,
    without_braces,
)


def _words(text: str) -> set[str]:
    return set(text.split())


MAX_OPEN = 1000
_CLOSED_BY_NEXT = frozenset({"p", "li", "td", "th", "tr", "dt", "dd"})  # HTML 13.1.2.4
_MASK = "\ufdef"  # removed from everything that comes in, so it is found nowhere else
# one attribute within a start tag; white space, "/" and stray quotes in front of it
_ATTRIBUTE = re.compile(
    r"""[\s/]*(?P<name>[^\s/>=][^\s/>=]*)(?:\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s>"']*)))?"""
)
_QUOTES = {"double": '"', "single": "'", "bare": ""}
_MARKUP_IN_STRING = re.compile(r"""(?:"[^"]*[<>]|'[^']*[<>])""")
_NAME = re.compile(r"<[^\s/>]+")
VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)
_DROPPED = frozenset(
    [
        "script",
        "style",
        "iframe",
        "object",
        "form",
        "title",
        "head",
        "template",
        "noscript",
        "textarea",
        "select",
        "svg",
        "math",
    ]
)
# what downloaded markup may have, besides what the sanitizer's own list allows (which knows mail's old ways not)
_ATTRIBUTES = {
    "*": _words(
        "align alt bgcolor border cellpadding cellspacing class color dir height lang role style title valign width"
    ),
    "a": {"href", "name", "target"},
    "img": {"src"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "font": {"face", "size"},
}
_STYLES = _words(
    "background-color border border-bottom border-collapse border-left border-radius border-right border-top color display "
    "font font-family font-size font-style font-weight height letter-spacing line-height list-style-type margin "
    "margin-bottom margin-left margin-right margin-top max-width padding padding-bottom padding-left padding-right "
    "padding-top text-align text-decoration text-transform vertical-align white-space width"
)
_BODY_TAGS = nh3.ALLOWED_TAGS | {"font", "big"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A token and where its source stands; text has no source of its own and lies between."""

    token: Token
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Span:
    """Where the value of an attribute stands, without the quotes around it."""

    start: int
    end: int
    quote: str


def read(markup: str) -> list[Piece]:
    """Gives the tokens that are markup, in order, with their positions; what is cut off at the end is none."""
    found, at = [], 0
    for token in tokenize(markup, capture_source=True):
        if token.type is TokenType.TEXT or token.source is None:
            continue
        start = markup.find(token.source, at)
        if start < 0:
            break
        at = start + len(token.source)
        found.append(Piece(token, start, at))
    return found


def body_of(markup: str) -> str:
    """Gives what is inside `<body>` when the markup is a whole page, else all of it."""
    if "<body" not in markup.lower():
        return markup
    start, end = 0, len(markup)
    for piece in read(masked(markup)):
        if piece.token.tag != "body":
            continue
        if piece.token.type is TokenType.START_TAG and not start:
            start = piece.end
        elif piece.token.type is TokenType.END_TAG:
            end = piece.start
    return markup[start:end] if start else markup


def is_balanced(markup: str) -> bool:
    """True when every element that is opened is closed, in order, and nothing is cut off."""
    flat = masked(markup)
    open_tags: list[str] = []
    end = 0
    for piece in read(flat):
        kind, tag, end = piece.token.type, piece.token.tag, piece.end
        if kind is TokenType.COMMENT and not flat.endswith(">", piece.start, piece.end):
            return False
        if not tag or tag in VOID:
            continue
        if kind is TokenType.START_TAG and not piece.token.self_closing:
            open_tags.append(tag)
        elif kind is TokenType.END_TAG and (not open_tags or open_tags.pop() != tag):
            return False
    return not open_tags and not re.search(r"<[A-Za-z/!]", flat[end:])


def with_urls(markup: str, link: Callable[[str], str]) -> str:
    """Gives the markup with each target of `<a>` and `<area>` changed by `link`, and each image marked.

    What `link` gives back unchanged stays as it was written, byte for byte.
    """
    if "<" not in markup:
        return markup
    parts, at = [], 0
    for piece in read(masked(markup)):
        if piece.token.type is not TokenType.START_TAG:
            continue
        name = "href" if piece.token.tag in {"a", "area"} else "src" if piece.token.tag == "img" else None
        span = value_span(piece, name) if name else None
        if span is None:
            continue
        old = markup[span.start : span.end]
        if name == "src":
            parts += [markup[at : span.start], IMAGE, old, IMAGE_END]
        else:
            target = decoded(old).strip()
            new = link(target)
            if new == target:
                continue
            # without double quotes around it yet, the value gets them in place of what it has
            span = span if span.quote == '"' else Span(span.start - len(span.quote), span.end + len(span.quote), "")
            written = escape_value(new)
            parts += [markup[at : span.start], written if span.quote else f'"{written}"']
        at = span.end
    return "".join(parts) + markup[at:]


def images_of(markup: str) -> list[str]:
    """Gives the decoded URLs that stand between marks of images."""
    return [decoded(part.partition(IMAGE_END)[0]) for part in markup.split(IMAGE)[1:]]


def decoded(value: str) -> str:
    """Gives the value of an attribute, tags as they are."""
    return "".join(part if is_tag else unescape(part) for part, is_tag in pieces(value))


def has_image(markup: str) -> bool:
    """True when there is any `<img>`."""
    if "<img" not in markup.lower():
        return False
    return any(piece.token.tag == "img" for piece in read(masked(markup)))


def value_span(piece: Piece, name: str) -> Span | None:
    """Finds the value of the first attribute of that name; None when there is none."""
    source = piece.token.source or ""
    opening = _NAME.match(source)
    at = opening.end() if opening else len(source)
    while match := _ATTRIBUTE.match(source, at):
        at = match.end()
        if match["name"].lower() != name:
            continue
        kind = next((one for one in _QUOTES if match[one] is not None), None)
        if kind is None or unescape(match[kind]) != (piece.token.attr(name) or ""):
            return None
        return Span(piece.start + match.start(kind), piece.start + match.end(kind), _QUOTES[kind])
    return None


def is_deep(markup: str) -> bool:
    """True when more elements are open at once than any author writes; a tree of them takes quadratic time to build."""
    counts: dict[str, int] = {}
    depth = 0
    for token in tokenize(markup, capture_attributes=False):
        tag = token.tag
        if not tag or tag in VOID or tag in _CLOSED_BY_NEXT:
            continue
        if token.type is TokenType.START_TAG:
            counts[tag] = counts.get(tag, 0) + 1
            depth += 1
            if depth > MAX_OPEN:
                return True
        elif counts.get(tag):
            counts[tag] -= 1
            depth -= 1
    return False


def sanitized(markup: str, *, has_tags: bool, base: str = "") -> str | None:
    """Gives downloaded markup without what acts: scripts, styles, frames, forms, handlers, harmful targets.

    With `has_tags` it is of the author and its tags work; else braces are text, as in an article of a feed. Relative URLs
    are resolved against `base`. None when the markup is nested too deep.
    """
    markup = clean(markup)
    if is_deep(markup):
        return None
    if not has_tags:
        return without_braces(_cleaned(markup, base))
    # markup inside the strings of a tag would get past the sanitizer, so such a tag is none
    parts = [(part, is_tag and not _MARKUP_IN_STRING.search(part)) for part, is_tag in pieces(markup)]
    held = [part for part, is_tag in parts if is_tag]
    numbers = iter(range(len(held)))
    flat = "".join(f"{_MASK}{next(numbers)}{_MASK}" if is_tag else part for part, is_tag in parts)
    return re.sub(rf"{_MASK}(\d+){_MASK}", lambda match: held[int(match[1])], _cleaned(flat, base)).replace(_MASK, "")


def _cleaned(markup: str, base: str) -> str:
    def resolved(_element: str, attribute: str, value: str) -> str:
        if not base or attribute not in {"href", "src"}:
            return value
        try:
            return urljoin(base, value)
        except ValueError:
            return value

    return nh3.clean(
        markup,
        tags=_BODY_TAGS - _DROPPED,
        clean_content_tags=set(_DROPPED),
        attributes={name: set(values) for name, values in _ATTRIBUTES.items()},
        attribute_filter=resolved if base else None,
        url_schemes={"http", "https", "mailto", "tel", "sms", "ftp"},
        filter_style_properties=set(_STYLES),
        link_rel=None,
    )
