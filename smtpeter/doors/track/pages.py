"""The few pages that readers see: plain sentences, readable on a phone, at night, and without style or script.

Styles stand in the page and are allowed by their hash, so nothing is loaded and nothing else is run (W6). All values are
escaped. Raises nothing.
"""

import base64
from hashlib import sha256
from pathlib import Path

import jinja2

from smtpeter.doors.track.answers import NO_STORE, NOSNIFF, Answer, Fields

RETRY_SECONDS = 30
_FOLDER = Path(__file__).parent / "pages"
_STYLE = (_FOLDER / "style.css").read_text(encoding="utf-8").strip()
_STYLE_HASH = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_FIELDS: Fields = (
    (b"content-type", b"text/html; charset=utf-8"),
    NO_STORE,
    NOSNIFF,
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"same-origin"),
    (b"x-robots-tag", b"noindex, nofollow"),
)
_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


def _page(status: int, name: str, *more: tuple[bytes, bytes], **values: str) -> Answer:
    text = _PAGES.get_template(name).render(values, style=_STYLE)
    return Answer(status, (*_FIELDS, *more), text.encode())


MISSING = _page(404, "missing.html")  # one answer for whatever is wrong with an address (W1, W4)
GONE = _page(404, "gone.html")
TROUBLE = _page(503, "trouble.html", (b"retry-after", b"%d" % RETRY_SECONDS))
TOO_LARGE = _page(413, "refused.html")
NOT_SO = _page(405, "refused.html", (b"allow", b"GET, HEAD"))


def confirm_page(address: str) -> Answer:
    """Asks whether the reader wants to leave; the form goes to the address of the page itself."""
    return _page(200, "confirm.html", address=masked(address))


def left_page(address: str) -> Answer:
    """Says that the reader has left."""
    return _page(200, "left.html", address=masked(address))


def masked(address: str) -> str:
    """Gives an address so that its owner knows it and a stranger with the link learns little."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}•••{at}{domain}"
