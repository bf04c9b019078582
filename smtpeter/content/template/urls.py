"""URLs with tags in them: which targets are allowed, and their parameters added or exchanged without touching the rest.

Only generic syntax is needed (RFC 3986 3): scheme, authority, path, query, fragment. Tags are masked while looking for
the delimiters, so `{if $a == "?"}` is no query.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from smtpeter.content.template.tags import encode_url, masked, without_tags

MAX_URL = 16_384
SCHEMES = frozenset({"http", "https", "mailto", "tel", "sms", "ftp"})
_HARMFUL = frozenset({"javascript", "vbscript", "data"})
_IMAGES = frozenset({"http", "https", "cid"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_DATA_IMAGE = re.compile(r"data:image/(?:png|gif|jpeg|webp);base64,[A-Za-z0-9+/=]*\Z")
_WEB = re.compile(r"(https?)://(?:[^/?#@]*@)?(\[[^\]/?#]*\]|[^/?#:]*)(?::\d*)?(?=[/?#]|\Z)", re.IGNORECASE)

Params = Sequence[tuple[str, tuple[str, ...]]]  # a name that repeats has several values


@dataclass(frozen=True, slots=True)
class WebAddress:
    """The parts of an absolute http or https URL that rules look at. `host` in lower case and without a port."""

    url: str
    host: str
    path: str


def tidy(url: str) -> str:
    """Gives a URL as a browser takes it: without tabs, newlines and white space around it (WHATWG URL 4.4)."""
    return url.replace("\t", "").replace("\n", "").strip()


def is_link(url: str) -> bool:
    """True for a target that a link may have: an allowed scheme, none at all, or one that is made by a tag."""
    return _is_allowed(url, SCHEMES)


def is_image(url: str) -> bool:
    """True for a URL from which an image may be shown."""
    return len(url) <= MAX_URL and (_is_allowed(url, _IMAGES) or _DATA_IMAGE.match(url) is not None)


def _is_allowed(url: str, schemes: frozenset[str]) -> bool:
    if not url or len(url) > MAX_URL:
        return False
    literal = _SCHEME.match(tidy(without_tags(url)))
    if literal and literal[1].lower() in _HARMFUL:
        return False
    if url.startswith("{"):
        return True
    match = _SCHEME.match(masked(url))
    return match is None or match[1].lower() in schemes


def web_address(url: str) -> WebAddress | None:
    """Takes an absolute http or https URL with a literal host apart; None for any other."""
    if url[:4].lower() != "http":
        return None
    flat = masked(url, "\ufffd")
    match = _WEB.match(flat)
    if match is None or not match[2] or "\ufffd" in match[0]:
        return None
    end = min(at for at in (flat.find("?", match.end()), flat.find("#", match.end()), len(flat)) if at >= 0)
    return WebAddress(url, match[2].lower(), url[match.end() : end])


def with_scheme(url: str, scheme: str) -> str:
    """Gives the URL with another scheme."""
    return scheme + url[url.index(":") :]


def with_params(url: str, params: Params, *, replaces: bool) -> str:
    """Adds parameters before the fragment. A name that is there already is exchanged in place, or else kept."""
    if not params:
        return url
    flat = masked(url)
    fragment = flat.find("#")
    fragment = len(url) if fragment < 0 else fragment
    question = flat.find("?", 0, fragment)
    if question < 0:
        base, pairs = url[:fragment], []
    else:
        base, pairs = url[:question], _split(url[question + 1 : fragment], flat[question + 1 : fragment])
    present = {_name(pair) for pair in pairs}
    for name, values in params:
        new = [f"{encode_url(name)}={encode_url(value)}" for value in values]
        if name not in present:
            pairs += new
        elif replaces:
            at = next(number for number, pair in enumerate(pairs) if _name(pair) == name)
            kept = [pair for pair in pairs if _name(pair) != name]
            pairs = kept[:at] + new + kept[at:]
    return f"{base}?{'&'.join(pairs)}{url[fragment:]}" if pairs else url


def _split(query: str, flat: str) -> list[str]:
    """Cuts a query at each & that is not in a tag."""
    pairs, start = [], 0
    for part in flat.split("&"):
        pairs.append(query[start : start + len(part)])
        start += len(part) + 1
    return pairs if query else []


def _name(pair: str) -> str:
    return unquote(pair.partition("=")[0].replace("+", " "))
