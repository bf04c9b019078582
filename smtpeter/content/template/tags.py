"""Personalization tags inside texts: found, left alone by every escape, and given the modifier that their place needs.

A document is compiled first and personalized later, so a tag has to come through untouched, its quotes and angle
brackets included. What the compiler knows about the place of a tag is written down with *marks*, noncharacters of
Unicode (which `clean` has removed from everything that comes in) that are resolved at the end in one of two ways:

* `plain` removes them: the unpersonalized output shows each tag as it was written;
* `code` turns them into the language: values of plain variables are escaped where they stand in text or in an attribute,
  percent-encoded where they are a parameter of a URL, and braces that are no tags (style sheets, articles of feeds) are
  protected.

Escapes run over the text between tags in one pass; a text with a tag that never ends has no tags from there on, so
time stays linear.
"""

import re
from collections.abc import Callable
from urllib.parse import quote

_ESCAPE, _ENCODE, _BRACE, _LITERAL, _UNLITERAL = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3", "\ufdd4"
IMAGE, IMAGE_END = "\ufdd5", "\ufdd6"  # around the URL of an image, so that it can be exchanged when it is embedded

# surrogates cannot be encoded; controls (C0 but tab and newline, DEL, C1) and U+2028, U+2029 split lines (B1)
_NEWLINES = re.compile("[\r\u0085\u2028\u2029]")  # those that are left without CR LF
_PIECE = 2**18  # characters
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")

# a tag: "{", no white space, then anything up to "}"; strings may hold braces, and in them only the quote is escaped
_TAG = re.compile(
    r"""\{(?![\s}])(?P<inside>(?:[^{}"']++|"(?:[^"\\]++|\\"?+)*(?:"|\Z)|'(?:[^'\\]++|\\'?+)*(?:'|\Z))*)(?P<end>\}|(?P<more>\{)|)"""
)
_PATH = r"""\$[A-Za-z][\w-]*(?:\.[A-Za-z][\w-]*|\[[^\[\]{}]*\])*"""
_STRING = r""""(?:[^"\\]++|\\"?+)*"|'(?:[^'\\]++|\\'?+)*'"""
_MODIFIER = re.compile(
    rf"""\s*\|\s*(?P<name>[A-Za-z_]\w*)(?:\s*:\s*(?:{_STRING}|-?\d+(?:\.\d+)?|{_PATH}|true|false))*"""
)
_VARIABLE = re.compile(rf"\{{\s*{_PATH}")
_MARKS = re.compile("[\ufdd0-\ufdd6]")
_CODE = {_ESCAPE: "|escape", _ENCODE: "|urlencode", _BRACE: "{ldelim}", _LITERAL: "{literal}", _UNLITERAL: "{/literal}"}
_PLAIN = {_BRACE: "{"}
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_SPECIAL = re.compile("[&<>\"']")


class Clean(str):
    """A text that went through `clean` and may have marks."""

    __slots__ = ()


def clean(text: str) -> str:
    """Gives the text with newlines as LF, and without what may stand in no document: controls, surrogates, marks."""
    if isinstance(text, Clean):
        return text
    text = text.replace("\r\n", "\n")
    # in pieces: whatever goes through megabytes at once holds up all other threads for as long
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    return "".join([_FORBIDDEN.sub("", _NEWLINES.sub("\n", piece)) for piece in pieces])


def pieces(text: str) -> list[tuple[str, bool]]:
    """Cuts the text into parts and says of each whether it is a tag; text between {literal} and {/literal} is none."""
    if "{" not in text:
        return [(text, False)] if text else []
    found: list[tuple[str, bool]] = []
    at = start = 0
    while at < len(text):
        match = _TAG.search(text, at)
        if match is None or (not match["end"] and match.end() == len(text)):
            break  # what never ends is no tag, and nothing after it is: personalization says so
        if match["end"] != "}":
            at = match.end() if match["more"] is None else match.end() - 1
            at = max(at, match.start() + 1)
            continue
        if match.start() > start:
            found.append((text[start : match.start()], False))
        found.append((match[0], True))
        at = start = match.end()
        if match[0].lower() == "{literal}":
            end = text.find("{/literal}", at)
            at = len(text) if end < 0 else end
    if start < len(text):
        found.append((text[start:], False))
    return found


def has_tag(text: str) -> bool:
    """True when something in the text is personalized."""
    return "{" in text and any(is_tag for _, is_tag in pieces(text))


def masked(text: str, mask: str = "x") -> str:
    """Gives the text with each tag replaced by as many letters, so that positions stay and no parser is confused."""
    return "".join(mask * len(part) if is_tag else part for part, is_tag in pieces(text))


def without_tags(text: str) -> str:
    """Gives only what is not in tags."""
    return "".join(part for part, is_tag in pieces(text) if not is_tag)


def _between(text: str, change: Callable[[str], str], mark: str, known: frozenset[str]) -> str:
    if "{" not in text:
        return change(text)
    return "".join(_marked(part, mark, known) if is_tag else change(part) for part, is_tag in pieces(text))


def _marked(tag: str, mark: str, known: frozenset[str]) -> str:
    """Adds the mark to a tag that prints a plain variable, unless it is marked or one of its modifiers is `known`."""
    if tag[-2] in _CODE:
        return tag
    variable = _VARIABLE.match(tag)
    at = variable.end() if variable else 0
    while variable and (modifier := _MODIFIER.match(tag, at)):
        if modifier["name"] in known:
            return tag
        at = modifier.end()
    return f"{tag[:at]}{mark}{tag[at:]}" if variable and tag[at:].strip() == "}" else tag


def escape_html(text: str) -> str:
    """Escapes text for HTML, content or quoted attribute; the values of its variables will be escaped too."""
    return _between(text, _escaped, _ESCAPE, frozenset({"escape", "nl2br"}))


def escape_value(text: str) -> str:
    """Escapes text for a quoted attribute, as `escape_html`; there `nl2br` is no reason to trust a value."""
    return _between(text, _escaped, _ESCAPE, frozenset({"escape"}))


def encode_url(text: str) -> str:
    """Percent-encodes text (RFC 3986 2.1, UTF-8); the values of its variables will be encoded too."""
    return _between(text, lambda part: quote(part, safe=""), _ENCODE, frozenset({"urlencode", "escape"}))


def _escaped(part: str) -> str:
    return _SPECIAL.sub(lambda match: _ENTITIES[match[0]], part)


def without_braces(text: str) -> Clean:
    """Marks the braces of a text that is no code, whatever it looks like; the text is clean already."""
    return Clean(text.replace("{", _BRACE))


def literal(text: str) -> str:
    """Marks a text, such as a style sheet, as one that personalization copies."""
    return f"{_LITERAL}{text}{_UNLITERAL}"


def plain(text: str) -> str:
    """Resolves the marks for output that is not personalized."""
    return _MARKS.sub(lambda match: _PLAIN.get(match[0], ""), text)


def code(text: str) -> str:
    """Resolves the marks for output that is personalized next."""
    return _MARKS.sub(lambda match: _CODE.get(match[0], ""), text)
