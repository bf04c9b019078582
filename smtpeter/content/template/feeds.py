"""Blocks that come from elsewhere: feed (RSS 2.0, RFC 4287 Atom) and import (JSON).

What a feed says is of others: its markup is sanitized and its braces are text. Entity bombs are refused with the document
type, which no feed needs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin
from xml.etree import ElementTree

import msgspec

from smtpeter.content.template.fields import Fields
from smtpeter.content.template.fragment import sanitized
from smtpeter.content.template.reading import MAX_IMPORTS, Purpose, Reading
from smtpeter.content.template.tags import clean, without_braces

MAX_ARTICLES = 25
MAX_JSON_LEVELS = 100
_KINDS = ("heading", "image", "html")
_MEDIA = "{http://search.yahoo.com/mrss/}"
_ATOM = "{http://www.w3.org/2005/Atom}"
_CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"


@dataclass(frozen=True, slots=True)
class Article:
    """One entry of a feed; `body` is markup as it came."""

    title: str
    body: str
    url: str
    picture: str


def parse_feed(content: bytes) -> list[Article] | None:
    """Reads RSS or Atom; None for what is neither."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\x00" in content[:4096]:
        return None  # in UTF-16 the two would not be seen
    try:
        root = ElementTree.fromstring(content)  # noqa: S314 - no document type, so no entities
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    entries = [one for one in root.iter() if one.tag in {"item", f"{_ATOM}entry"} or str(one.tag).endswith("}item")]
    if not entries and root.tag not in {"rss", f"{_ATOM}feed"}:
        return None
    return [_article(entry) for entry in entries[:MAX_ARTICLES]]


def _article(entry: ElementTree.Element) -> Article:
    texts = {str(one.tag).replace(_ATOM, ""): "".join(one.itertext()).strip() for one in reversed(list(entry))}
    links = [one for one in entry if one.tag == f"{_ATOM}link" and one.get("rel", "alternate") == "alternate"]
    url = clean(texts.get("link") or "".join(one.get("href") or "" for one in links[:1]))
    body = texts.get(_CONTENT) or texts.get("content") or texts.get("description") or texts.get("summary") or ""
    return Article(clean(texts.get("title", "")), clean(body), url, _resolved(url, _picture(entry)))


def _picture(entry: ElementTree.Element) -> str:
    """Gives the URL of the article's picture: media content, thumbnail, or an enclosure that is an image."""
    for one in entry.iter():
        kind = one.get("type") or one.get("medium") or ""
        if one.tag == f"{_MEDIA}content" and (not kind or kind.startswith("image")):
            return one.get("url") or ""
        if one.tag == f"{_MEDIA}thumbnail":
            return one.get("url") or ""
        if one.tag == "enclosure" and kind.startswith("image"):
            return one.get("url") or ""
        if one.tag == f"{_ATOM}link" and one.get("rel") == "enclosure" and kind.startswith("image"):
            return one.get("href") or ""
    return ""


def _resolved(base: str, url: str) -> str:
    try:
        return clean(urljoin(base, url)) if url else ""
    except ValueError:
        return ""


def feed_blocks(given: Fields) -> list[Mapping[str, Any]]:
    """Gives the blocks that a feed makes, as they would stand in a document; none with a warning when there is no feed."""
    defaults = {kind: value for kind in _KINDS if isinstance(value := given.raw(kind), Mapping)}
    kinds = _kinds(given)
    content = _fetched(given, Purpose.FEED)
    articles = parse_feed(content) if content is not None else []
    if articles is None:
        given.warn("fetch-failed", "url", "What is at this URL is neither RSS nor Atom; the block is left out.")
        return []
    blocks: list[Mapping[str, Any]] = []
    for article in articles:
        for kind in kinds:
            made = _block(kind, article)
            if made:
                blocks.append({**defaults.get(kind, {}), "type": kind, **made})
    return blocks


def _kinds(given: Fields) -> tuple[str, ...]:
    entries = given.children("blocks")
    if entries is None:
        return _KINDS
    for entry, path in entries:
        if entry not in _KINDS:
            given.reading.note("bad-value", path, f"A feed makes {', '.join(_KINDS)}.")
    return tuple(dict.fromkeys(entry for entry, _ in entries if entry in _KINDS))


def _block(kind: str, article: Article) -> dict[str, Any] | None:
    if kind == "heading":
        return {"content": without_braces(article.title)} if article.title else None
    if kind == "image":
        return {"src": _no_code(article.picture), "link": _no_code(article.url)} if article.picture else None
    body = sanitized(article.body, has_tags=False, base=article.url)
    return {"content": body} if body else None


def _no_code(url: str) -> str:
    """Gives a URL in which nothing looks like a tag (RFC 3986 2.2: braces have to be encoded anyway)."""
    return url.replace("{", "%7B").replace("}", "%7D")


def imported_blocks(given: Fields) -> list[Any]:
    """Gives the blocks that stand at the URL of an import block, none with a warning when there are none."""
    if given.reading.imports >= MAX_IMPORTS:
        given.warn(
            "fetch-failed", "url", f"Imports stand at most {MAX_IMPORTS} deep in each other; this one is left out."
        )
        return []
    content = _fetched(given, Purpose.IMPORT)
    if content is None:
        return []
    found = _blocks_of(content)
    if found is None:
        given.warn("fetch-failed", "url", "What is at this URL is no block and has no blocks; it is left out.")
        return []
    return found


def _blocks_of(content: bytes) -> list[Any] | None:
    try:
        parsed = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if levels_of(parsed) > MAX_JSON_LEVELS:
        return None
    if isinstance(parsed, list):
        return parsed
    if isinstance(parsed, dict):
        if "type" in parsed:
            return [parsed]
        blocks = parsed.get("blocks")
        return blocks if isinstance(blocks, list) else None
    return None


def levels_of(value: Any) -> int:
    """Gives how deep arrays and objects stand in each other, without recursion; stops counting at the limit."""
    levels, layer = 0, [value]
    while layer and levels <= MAX_JSON_LEVELS:
        inner: list[Any] = []
        for one in layer:
            if isinstance(one, Mapping):
                inner += one.values()
            elif isinstance(one, list | tuple):
                inner += one
        levels, layer = levels + 1, inner
    return levels


def _fetched(given: Fields, purpose: Purpose) -> bytes | None:
    url = given.text(given.alias("url", "source"))
    if not url:
        given.warn("missing-property", "url", "The block needs a url; it is left out.")
        return None
    resource = given.reading.fetched(url, purpose, f"{given.path}/url")
    return None if resource is None else resource.content


def within_import(reading: Reading) -> Reading:
    """Gives the reading of blocks that are imported."""
    return Reading(reading.resources, reading.tally, reading.level, reading.imports + 1, reading.is_in_column)
