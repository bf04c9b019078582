"""Blocks to look at: image, and video, which is a still in mail and can be a player on the web."""

import json
import re
from dataclasses import dataclass, field

from smtpeter.content.template.common import Common, read_common
from smtpeter.content.template.elements import NOTHING, Extra, element, read_inner_extra
from smtpeter.content.template.fields import MAX_PIXELS, Fields
from smtpeter.content.template.links import Link, read_link
from smtpeter.content.template.pixels import natural_size
from smtpeter.content.template.place import Output, Place
from smtpeter.content.template.reading import Purpose
from smtpeter.content.template.tags import IMAGE, IMAGE_END, clean, escape_html
from smtpeter.content.template.texts import BREAKING
from smtpeter.content.template.urls import is_image, tidy

_WIDTH = re.compile(r"\s*(\d{1,6}(?:\.\d{1,9})?)\s*(px|%)?\s*\Z", re.ASCII | re.IGNORECASE)
_YOUTUBE = re.compile(
    r"(?:https?:)?(?://)?(?:[\w-]+\.)*(?:youtu\.be/|youtube(?:-nocookie)?\.com/"
    r"(?:watch/?\?(?:[^#\s]*&)?v=|embed/|v/|shorts/|live/))([A-Za-z0-9_-]{11})(?![A-Za-z0-9_-])",
    re.ASCII | re.IGNORECASE,
)
_VIMEO = re.compile(
    r"(?:https?:)?(?://)?(?:[\w-]+\.)*vimeo\.com/(?:[^?#\s/]*/)*?(\d{1,20})(?![^/?#\s])", re.ASCII | re.IGNORECASE
)

# in a line of text, but not on it: below an image that stands on the base line is room for descenders
INLINE = [("display", "inline-block"), ("vertical-align", "top")]


@dataclass(frozen=True, slots=True)
class Width:
    """How wide an image is: a share of the available width, pixels, or as it comes (both None)."""

    percent: float | None = None
    pixels: float | None = None

    def share(self, available: int) -> float:
        """Gives the share in percent, at most 100, with two decimals."""
        if self.pixels is not None:
            return round(min(100.0, 100 * self.pixels / available), 2)
        return round(min(100.0, 100.0 if self.percent is None else self.percent), 2)


def written_image(source: str, alt: str, attributes: dict[str, str], style: list[tuple[str, str]], extra: Extra) -> str:
    """Writes an `<img>` whose URL is marked."""
    return element("img", None, {"src": f"{IMAGE}{source}{IMAGE_END}", "alt": alt, **attributes}, style, extra)


@dataclass(frozen=True, slots=True)
class ImageBlock:
    """An image, never wider than its place. `is_auto`: only the height is known, and the width follows from it."""

    common: Common
    source: str
    alt: str = ""
    width: Width = Width(percent=100)
    height: int | None = None
    is_auto: bool = False
    link: Link = Link()
    a: Extra = NOTHING
    img: Extra = NOTHING

    def html(self, place: Place) -> str:
        display = [("display", "block")] if self.common.align == "left" else INLINE
        attributes: dict[str, str] = {}
        if self.is_auto:
            width, height = "auto", f"{self.height}px"
        else:
            share = self.width.share(place.width)
            attributes["width"] = str(max(1, round(share * place.width / 100)))
            width, height = f"{share:g}%", f"{self.height}px" if self.height else "auto"
        if self.height:
            attributes["height"] = str(self.height)
        style = [("width", width), ("max-width", "100%"), ("height", height), ("border", "0"), *display]
        extra = self.common.extra.and_then(self.img)
        image = written_image(self.source, self.alt, attributes, [*place.font.style(), *style], extra)
        return place.size.add(self.link.wrap(image, place, [("text-decoration", "none")], self.a))

    def text(self, place: Place) -> str:
        return self.link.as_text(self.alt, place)


def read_image(given: Fields) -> ImageBlock | None:
    """Reads an image block; without a usable source it is left out."""
    source = tidy(given.text("src") or "")
    alt, link, img = given.text("alt") or "", read_link(given), read_inner_extra(given, "img")
    width, height = _width(given), _height(given)
    common = read_common(given, "image")
    if not source:
        given.warn("missing-property", "src", "An image needs a src; the block is left out.")
        return None
    if not is_image(source):
        given.warn("bad-url", "src", "No image can come from there; the block is left out.")
        return None
    is_auto = False
    if width is None:
        natural = _natural(given, source)
        if natural:
            width = Width(pixels=natural[0] if height is None else natural[0] * height / natural[1])
            height = None
        else:
            is_auto = height is not None
    return ImageBlock(common, source, alt, width or Width(percent=100), height, is_auto, link, common.a, img)


def _width(given: Fields) -> Width | None:
    text = given.text_or_number("width")
    if text is None:
        return None
    match = _WIDTH.match(text)
    value = float(match[1]) if match else 0.0
    if not match or not 0 < value <= MAX_PIXELS or round(value, 2) == 0:
        given.warn("bad-length", "width", 'A width is "50%", "290px" or a number of pixels; it is ignored.')
        return None
    return Width(percent=value) if match[2] == "%" else Width(pixels=value)


def _height(given: Fields) -> int | None:
    text = given.text_or_number("height")
    if text is None:
        return None
    match = _WIDTH.match(text)
    value = round(float(match[1])) if match and match[2] != "%" else 0
    if not 0 < value <= MAX_PIXELS:
        given.warn("bad-length", "height", "A height is a number of pixels; it is ignored.")
        return None
    return value


def _natural(given: Fields, source: str) -> tuple[int, int] | None:
    resource = given.reading.fetched(source, Purpose.IMAGE, f"{given.path}/src")
    size = natural_size(resource.content) if resource else None
    if resource and not size:
        given.warn("fetch-failed", "src", "What is at this URL is no image whose size is known.")
    return size


@dataclass(frozen=True, slots=True)
class VideoBlock:
    """A video by its still and its player, both "" when the platform is not known: then it is a text link."""

    common: Common
    url: str
    link: Link
    still: str = ""
    player: str = field(default="")

    def html(self, place: Place) -> str:
        if self.player and place.output is Output.WEB:
            return place.size.add(_player(self.player, self.common.extra))
        if not self.still:
            label = escape_html(self.link.title or self.url)
            return place.size.add(self.link.wrap(label, place, [*place.font.style(), *BREAKING], self.common.a))
        style = [("width", "100%"), ("max-width", "100%"), ("height", "auto"), ("border", "0"), ("display", "block")]
        alt = self.link.title or "Video"
        still = written_image(
            self.still, alt, {"width": str(place.width)}, [*place.font.style(), *style], self.common.extra
        )
        return place.size.add(self.link.wrap(still, place, [("text-decoration", "none")], self.common.a))

    def text(self, place: Place) -> str:
        return self.link.as_text(self.link.title, place)


def _player(url: str, extra: Extra) -> str:
    """Writes a player of 16:9 that is as wide as its place."""
    size = [("width", "100%"), ("aspect-ratio", "16/9"), ("border", "0"), ("display", "block")]
    attributes = {
        "src": url,
        "width": "100%",
        "allowfullscreen": "allowfullscreen",
        "allow": "fullscreen",
        "title": "Video",
    }
    return element("iframe", "", attributes, size, extra)


def read_video(given: Fields) -> VideoBlock | None:
    """Reads a video block."""
    url = tidy(given.text(given.alias("url", "source")) or "")
    link = read_link(given)
    is_embedded = given.boolean("embed")
    common = read_common(given, "video")
    if not url:
        given.warn("missing-property", "url", "A video needs a url; the block is left out.")
        return None
    if match := _YOUTUBE.match(url):
        page = f"https://www.youtube.com/watch?v={match[1]}"
        still, player = (
            f"https://img.youtube.com/vi/{match[1]}/hqdefault.jpg",
            f"https://www.youtube.com/embed/{match[1]}",
        )
    elif match := _VIMEO.match(url):
        page, still, player = (
            f"https://vimeo.com/{match[1]}",
            _vimeo_still(given, match[1]),
            f"https://player.vimeo.com/video/{match[1]}",
        )
    else:
        given.warn("bad-url", "url", "This is no video page of YouTube or Vimeo; a text link takes its place.")
        page, still, player = url, "", ""
    own = link if link.url else Link(_page(url, page), link.title, "", link.params, link.extra)
    return VideoBlock(common, url, own, still, player if is_embedded else "")


def _page(url: str, page: str) -> str:
    """Gives the address of the video as it was written when that is a web page, else its canonical one."""
    return url if url.lower().startswith(("http://", "https://")) else page if page != url else ""


def _vimeo_still(given: Fields, number: str) -> str:
    """Gives the thumbnail that Vimeo's oEmbed endpoint names, "" when it does not."""
    url = f"https://vimeo.com/api/oembed.json?url=https%3A%2F%2Fvimeo.com%2F{number}"
    resource = given.reading.fetched(url, Purpose.STILL, f"{given.path}/url")
    try:
        answer = json.loads(resource.content) if resource else {}
    except (ValueError, RecursionError):
        answer = {}
    found = answer.get("thumbnail_url") if isinstance(answer, dict) else None
    still = clean(found) if isinstance(found, str) else ""
    return still if still.startswith("https://") and "{" not in still and is_image(still) else ""
