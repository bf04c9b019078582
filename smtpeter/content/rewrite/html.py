"""One HTML text: what becomes tracked in it, and where.

Links (`a`, `area`; the shapes by which Outlook draws buttons), images, the pixel, and references to images that we host.
Only the values of the attributes concerned change, and the pixel is added. Nothing changes twice: what is decided here is
where, and by what; the tokens come per recipient (segments.py). Linear; raises nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from smtpeter.content.rewrite.address import MAX_ADDRESS, read_address
from smtpeter.content.rewrite.css import CannotInline, inline_css
from smtpeter.content.rewrite.images import exchange
from smtpeter.content.rewrite.markup import Attribute, Piece, Role, scan
from smtpeter.content.rewrite.segments import Numbered, Segment, Slot, account_slot, number, origins, target_slot
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.model.account import AccountId
from smtpeter.model.address import AddressError, parse_domain
from smtpeter.wire.token import Kind

_LINKS = {"a": "href", "area": "href"}
# VML, which only Outlook reads: a button is a shape with a target
_HIDDEN_LINKS = {f"v:{shape}": "href" for shape in ("roundrect", "rect", "oval", "shape", "group", "image")}
_IMAGES = {"img": "src", "body": "background", "table": "background", "td": "background", "th": "background"}
_MAX_LOOK = 20  # pieces of markup behind a link
_PIXEL_BEHIND = '" width="1" height="1" alt="" border="0" style="display:block;width:1px;height:1px;border:0">'
PIXEL_PATH = "/o.gif"
# an address as people write it: perhaps a scheme, a name with a dot or an address literal, perhaps a port, perhaps a path
_WRITTEN = re.compile(
    r"(?:https?://)?([^\s/?#\\@]+\.[^\s/?#\\@]+?|\[[0-9a-f:.]+\])(?::[0-9]+)?(?:[/?#]\S*)?\Z", re.IGNORECASE
)

# where, and what to put there instead
Edit = tuple[int, int, list[Segment]]


@dataclass(frozen=True, slots=True)
class RewrittenHtml:
    """A text with slots. `warnings` say what could not be done, each a sentence."""

    segments: tuple[Segment, ...]
    is_changed: bool
    warnings: tuple[str, ...] = ()

    @property
    def origins(self) -> tuple[str, ...]:
        """Schemes and hosts that need a number before tokens can be made."""
        return origins(self.segments)

    def numbered(self, account: AccountId, numbers: Mapping[str, int]) -> Numbered:
        """Gives what `fill` makes the text of each recipient from; a host without a number is not tracked."""
        return number(self.segments, account, numbers)


def compile_html(html: str, settings: Rewriting, images: Mapping[str, str] | None = None) -> RewrittenHtml:
    """Gives the text as it is to be tracked; `images` are the addresses of hosted images by their Content-ID."""
    text, warnings = html, []
    if settings.inlines_css:
        try:
            text = inline_css(html)
        except CannotInline as error:
            warnings.append(str(error))
    pieces = scan(text)
    edits = [*_addresses(text, pieces, settings), *_pixel(text, pieces, settings)]
    if images:
        edits += [(start, end, [value]) for start, end, value in exchange(text, pieces, images)]
    segments = _splice(text, edits)
    return RewrittenHtml(segments, bool(edits) or text != html, tuple(warnings))


def _splice(text: str, edits: list[Edit]) -> tuple[Segment, ...]:
    """Gives the text with the edits in place; where two meet, the first stands."""
    out: list[Segment] = []
    at = 0
    for start, end, segments in sorted(edits, key=lambda edit: edit[:2]):
        if start >= at:
            out += (text[at:start], *segments)
            at = end
    return (*out, text[at:])


def _addresses(text: str, pieces: list[Piece], settings: Rewriting) -> Iterator[Edit]:
    """Gives the links and images that are to be tracked."""
    for place, piece in enumerate(pieces):
        found = tracked_attribute(piece, settings)
        if found is None:
            continue
        kind, attribute = found
        shown = shown_text(pieces, place) if kind is Kind.CLICK and settings.prevents_scam else ""
        slot = track(kind, attribute, text[attribute.start : attribute.end], shown, settings)
        if slot is not None:
            yield attribute.start, attribute.end, [slot]


def tracked_attribute(piece: Piece, settings: Rewriting) -> tuple[Kind, Attribute] | None:
    """Gives the attribute of a tag whose address is to be tracked if it is one, None when there is none."""
    if piece.role is not Role.OPENS:
        return None
    link = _LINKS.get(piece.name) or (_HIDDEN_LINKS.get(piece.name) if piece.is_hidden else None)
    image = _IMAGES.get(piece.name)
    kind = Kind.CLICK if link and settings.clicks else Kind.IMAGE if image and settings.images else None
    attribute = piece.attribute(link or image or "")
    return None if kind is None or attribute is None or _is_off(piece) else (kind, attribute)


def track(kind: Kind, attribute: Attribute, written: str, shown: str, settings: Rewriting) -> Slot | None:
    """Gives the slot of an address as it is `written` in its attribute, None when it is not to be tracked.

    `shown` is the text of a link where `prevents_scam` is on.
    """
    address, read = read_address(attribute.value), attribute.value.strip()
    if address is None or address.host == settings.host or read in settings.excluded:
        return None
    if shown and _names_host(shown, address.host):
        return None
    slot = target_slot(kind, settings.base, address, written, read)
    # a token needs no escape, so it splits the escaped value where it splits the plain one
    quote = "" if attribute.quote else '"'
    before = attribute.replacement(slot.before).removesuffix(quote)
    return replace(slot, before=before, behind=attribute.replacement(slot.behind).removeprefix(quote))


def _is_off(piece: Piece) -> bool:
    off = piece.attribute("data-track")
    return off is not None and off.value.strip().lower() == "off"


def shown_text(pieces: list[Piece], place: int) -> str:
    """Gives the text that a link shows, as far as it matters: an address is short and stands in few elements."""
    out: list[str] = []
    for piece in pieces[place + 1 : place + 1 + _MAX_LOOK]:
        if piece.name == "a" and piece.role is not Role.TEXT:
            break
        if piece.role is Role.TEXT and not piece.name:
            out.append(piece.text)
    return "".join(out).strip()


def _names_host(text: str, host: str) -> bool:
    """True when the text is itself an address of this host; `www.` makes no difference."""
    found = _WRITTEN.match(text) if len(text) <= MAX_ADDRESS else None
    return found is not None and _bare(found[1]) == _bare(host)


def _bare(host: str) -> str:
    try:
        return parse_domain(host).removeprefix("www.")
    except AddressError:
        return host.lower()


def _pixel(text: str, pieces: list[Piece], settings: Rewriting) -> Iterator[Edit]:
    """Gives the pixel, before the last end of the body, or at the end."""
    if settings.opens:
        ends = [p.start for p in pieces if p.role is Role.CLOSES and p.name == "body" and not p.is_hidden]
        at = ends[-1] if ends else len(text)
        yield at, at, [account_slot(Kind.OPEN, f'<img src="{settings.base}{PIXEL_PATH}?p=', _PIXEL_BEHIND)]
