"""Rows of icons: follow (profiles of the sender) and share (the reader tells others).

Without a place to take icons from, the names of the platforms are shown as text links instead.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from smtpeter.content.template.common import Common, read_common
from smtpeter.content.template.elements import NOTHING, TABLE, Extra, element, read_extra
from smtpeter.content.template.fields import Fields
from smtpeter.content.template.images import INLINE, written_image
from smtpeter.content.template.links import NO_LINK, Link, read_link
from smtpeter.content.template.place import Place
from smtpeter.content.template.platforms import FACEBOOK_DIALOG, ICON_TYPES, PLATFORMS, PROFILES, SHARES, readable
from smtpeter.content.template.tags import clean, encode_url, escape_html
from smtpeter.content.template.texts import BREAKING, lines
from smtpeter.content.template.urls import is_link, tidy

_ICON_SIZE = 32
_MAX_NAMES = 100
_USER = re.compile(r"@?([\w.-]{1,100})\Z")
_MAIL = re.compile(r"[^\s@/:?]{1,64}@[^\s@/:?]{1,255}\Z")
_WEB = ("http://", "https://", "mailto:", "{")
# Between two icons: white space would add its width to the margin, and Outlook for Windows knows no such margin
_APART = "<!--[if mso]>&#160;<![endif]-->"


@dataclass(frozen=True, slots=True)
class Icon:
    """How icons look; `size` in pixels."""

    type: str = "rounded"
    size: int = _ICON_SIZE


@dataclass(frozen=True, slots=True)
class Button:
    """One platform of a row. A share is not a fixed target: `shared` says where the URL that is shared goes in."""

    platform: str
    url: str
    extra: Extra = NOTHING

    def html(self, url: str, icon: Icon, place: Place) -> str:
        name = readable(self.platform)
        attributes = {"href": url, "target": "_blank", "title": name}
        if not place.icons:
            return element("a", escape_html(name), attributes, place.font.style(), self.extra)
        size = f"{icon.size}px"
        style = [("width", size), ("height", size), ("border", "0"), *INLINE]
        source = f"{place.icons}/{icon.type}/{icon.size}/{self.platform}.png"
        image = written_image(source, name, {"width": str(icon.size), "height": str(icon.size)}, style, NOTHING)
        return element("a", image, attributes, [("text-decoration", "none")], self.extra)


def _row(block: "FollowBlock | ShareBlock", place: Place, buttons: list[tuple[Button, str]]) -> str:
    """Writes the label and a row of buttons, 5 pixels apart, that wraps when it is too wide."""
    common = block.common
    label = element("div", lines(block.label), {}, [*place.font.style(), *BREAKING]) if block.label else ""
    gap = [*INLINE, ("margin-right", "5px"), ("margin-bottom", "5px")]
    apart = _APART if place.icons else "\n"
    items = apart.join(element("span", button.html(url, block.icon, place), {}, gap) for button, url in buttons)
    cell = element("td", items, {"align": common.align}, [("padding", "0"), ("text-align", common.align)])
    attributes = {**TABLE, "align": common.align}
    style = [("border-collapse", "collapse"), ("float", "none")]
    if common.align != "left":
        style.append(("margin", "0 auto" if common.align == "center" else "0 0 0 auto"))
    return place.size.add(label + element("table", element("tr", cell), attributes, style, common.extra))


def _lines(label: str, buttons: list[tuple[Button, str]]) -> str:
    return "\n".join(([label] if label else []) + [f"{readable(button.platform)}: {url}" for button, url in buttons])


@dataclass(frozen=True, slots=True)
class FollowBlock:
    """Icons that lead to profiles."""

    common: Common
    buttons: tuple[Button, ...]
    label: str = ""
    icon: Icon = Icon()

    def _targets(self, place: Place) -> list[tuple[Button, str]]:
        return [(button, place.rewritten(button.url)) for button in self.buttons]

    def html(self, place: Place) -> str:
        return _row(self, place, self._targets(place))

    def text(self, place: Place) -> str:
        return _lines(self.label, self._targets(place))


@dataclass(frozen=True, slots=True)
class ShareBlock:
    """Icons that let the reader share `link`; rules and parameters act on what is shared."""

    common: Common
    buttons: tuple[Button, ...]
    link: Link
    description: str = ""
    label: str = ""
    icon: Icon = Icon()

    def _targets(self, place: Place) -> list[tuple[Button, str]]:
        shared = self.link.target(place)
        values = {"U": shared, "T": self.link.title, "D": self.description or self.link.title, "R": shared}
        return [(button, _filled(button.url, values)) for button in self.buttons]

    def html(self, place: Place) -> str:
        return _row(self, place, self._targets(place))

    def text(self, place: Place) -> str:
        return _lines(self.label, self._targets(place))


def _filled(pattern: str, values: Mapping[str, str]) -> str:
    """Puts the values into a target; a parameter whose value is empty is left out."""
    encoded = {name: encode_url(value) for name, value in values.items()}
    head, mark, query = pattern.partition("?")
    pairs = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        words = [encoded.get(word, word) for word in value.split("%20")]
        text = "%20".join(word for word in words if word)
        if text:
            pairs.append(f"{name}={text}")
    return f"{head}{mark}{'&'.join(pairs)}"


def _icon(given: Fields) -> Icon:
    inner = given.child("icon")
    if inner is None:
        return Icon()
    type_ = inner.choice("type", ICON_TYPES, "rounded")
    size = inner.integer("size")
    if size is not None and not 0 < size <= 512:
        inner.warn("bad-length", "size", f"An icon is 1 to 512 pixels wide; {_ICON_SIZE} is taken.")
        size = None
    inner.close()
    return Icon(type_, size or _ICON_SIZE)


def _own(given: Fields, name: str) -> Extra:
    """Reads the attributes that stand in the block under the name of a platform."""
    inner = given.child(name)
    return read_extra(inner) if inner else NOTHING


def read_follow(given: Fields) -> FollowBlock | None:
    """Reads a follow block; platforms that nobody can be led to are left out."""
    label, icon = given.text("label") or "", _icon(given)
    platforms = given.child("platforms")
    common = read_common(given, "follow")
    if platforms is None:
        given.warn("missing-property", "platforms", "There are no platforms to follow; the block is left out.")
        return None
    given.known(*PLATFORMS)
    buttons = [_profile(given, platforms, name) for name in platforms.names()[:_MAX_NAMES]]
    found = tuple(button for button in buttons if button is not None)
    return FollowBlock(common, found, label, icon) if found else None


def _profile(given: Fields, platforms: Fields, name: str) -> Button | None:
    value, extra = platforms.raw(name), _own(given, name) if name in PLATFORMS else NOTHING
    if isinstance(value, Mapping):
        inner = platforms.child(name)
        if inner is None:
            return None
        value, extra = inner.text("identifier"), extra.and_then(read_extra(inner))
        inner.close()
    if name not in PLATFORMS:
        platforms.warn("bad-value", name, "This platform is not known; it is left out.")
        return None
    url = _profile_url(name, tidy(clean(value))) if isinstance(value, str) else None
    if url is None:
        platforms.warn("bad-value", name, "There is no URL of a profile here; the platform is left out.")
        return None
    return Button(name, url, extra)


def _profile_url(name: str, text: str) -> str | None:
    if text.lower().startswith(_WEB) and is_link(text):
        return text
    if name == "mail" and _MAIL.match(text):
        return f"mailto:{text}"
    user = _USER.match(text)
    if name in PROFILES and user:
        return PROFILES[name].replace("{}", encode_url(user[1]))
    return None


def read_share(given: Fields) -> ShareBlock | None:
    """Reads a share block."""
    label, icon, link = given.text("label") or "", _icon(given), read_link(given)
    description = given.text("description") or ""
    entries = given.children("platforms") or []
    common = read_common(given, "share")
    given.known(*PLATFORMS)
    if not link.url or link == NO_LINK:
        given.warn("missing-property", "link", "A share block needs link.url, what is shared; it is left out.")
        return None
    buttons: dict[str, Button] = {}
    for entry, path in entries[:_MAX_NAMES]:
        if entry == "googleplus":
            given.reading.note("obsolete-platform", path, "This platform is gone; it is left out.")
        elif not isinstance(entry, str) or entry not in SHARES:
            given.reading.note("bad-value", path, "Nothing can be shared there; it is left out.")
        else:
            buttons.setdefault(entry, _share(given, entry))
    if not entries:
        given.warn("missing-property", "platforms", "There are no platforms to share on; the block is left out.")
    return ShareBlock(common, tuple(buttons.values()), link, description, label, icon) if buttons else None


def _share(given: Fields, name: str) -> Button:
    inner = given.child(name)
    if inner is None:
        return Button(name, SHARES[name])
    url = {"facebook": _facebook, "twitter": _twitter}.get(name, _plain)(inner, SHARES[name])
    button = Button(name, url, read_extra(inner))
    inner.close()
    return button


def _plain(_inner: Fields, pattern: str) -> str:
    return pattern


def _facebook(inner: Fields, pattern: str) -> str:
    app, back = inner.text("appid"), inner.text("redirect_uri")
    if not app:
        return pattern
    url = FACEBOOK_DIALOG.replace("=A&", f"={encode_url(app)}&")
    return url.removesuffix("R") + encode_url(back) if back else url


def _twitter(inner: Fields, pattern: str) -> str:
    value = inner.raw("hashtags")
    words = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else []
    tags = [encode_url(clean(word).strip().lstrip("#")) for word in words[:_MAX_NAMES] if isinstance(word, str)]
    via = (inner.text("via") or "").lstrip("@")
    pattern += f"&hashtags={','.join(tag for tag in tags if tag)}" if any(tags) else ""
    return pattern + (f"&via={encode_url(via)}" if via else "")
