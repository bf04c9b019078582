"""The `link` of a block: a target with title, parameters and attributes, written as one `<a>`."""

from collections.abc import Mapping
from dataclasses import dataclass

from smtpeter.content.template.elements import NOTHING, Extra, element, read_extra
from smtpeter.content.template.fields import Fields
from smtpeter.content.template.place import Place
from smtpeter.content.template.rewriting import read_params
from smtpeter.content.template.urls import is_link, tidy


@dataclass(frozen=True, slots=True)
class Link:
    """A target, "" when there is none that can be used. `label` is only there for the text of a link block."""

    url: str = ""
    title: str = ""
    label: str = ""
    params: tuple[tuple[str, tuple[str, ...]], ...] = ()
    extra: Extra = NOTHING

    def target(self, place: Place) -> str:
        """Gives the URL with its parameters and those of the rules at this place."""
        return place.rewritten(self.url, self.params)

    def wrap(self, content: str, place: Place, style: list[tuple[str, str]], extra: Extra = NOTHING) -> str:
        """Writes the content as a link; without a target as it is."""
        if not self.url:
            return content
        attributes = {"href": self.target(place), "target": "_blank"}
        if self.url.startswith("#"):
            del attributes["target"]
        if self.title:
            attributes["title"] = self.title
        return element("a", content, attributes, style, self.extra.and_then(extra))

    def as_text(self, label: str, place: Place) -> str:
        """Gives `label (URL)`, or what there is of it."""
        target = self.target(place) if self.url else ""
        return f"{label} ({target})" if label and target and label != target else label or target


NO_LINK = Link()


def read_link(given: Fields, *, takes_direct: bool = False) -> Link:
    """Reads `link`, a string or an object; with `takes_direct` also `url` and `title` beside it, an old notation."""
    if takes_direct and not given.has("link") and given.has("url"):
        given.warn("alias", "url", '"url" and "title" belong inside "link".')
        return Link(url=_target(given, "url"), title=given.text("title") or "")
    value = given.raw("link")
    if isinstance(value, str):
        return Link(url=_target(given, "link"))
    inner = given.child("link") if value is None or isinstance(value, Mapping) else None
    if inner is None:
        if value is not None:
            given.warn("wrong-type", "link", "A link is a URL or an object with one.")
        return NO_LINK
    params = inner.alias("params", "param")
    found = Link(
        url=_target(inner, "url"),
        title=inner.text("title") or "",
        label=inner.text("label") or "",
        params=read_params(inner, params),
        extra=read_extra(inner),
    )
    inner.close()
    return found


def _target(given: Fields, name: str) -> str:
    text = given.text(name)
    url = tidy(text or "")
    if url and not is_link(url):
        given.warn("bad-url", name, "This target is not allowed; there is no link.")
        return ""
    return url
