"""Elements of XHTML with their attributes and styles, every value escaped where it is written (B1).

What a document says for an element (`Extra`) comes after what is generated: declarations are appended to the style,
attributes are added or take the place of generated ones, `class` and `style` are appended.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smtpeter.content.template.colors import Color
from smtpeter.content.template.fields import Fields
from smtpeter.content.template.tags import clean, escape_value
from smtpeter.content.template.urls import is_image, is_link

_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_:.-]{0,99}\Z")
_PROPERTY = re.compile(r"-{0,2}[A-Za-z][A-Za-z0-9_-]{0,99}\Z")
_URLS = {"href": is_link, "action": is_link, "formaction": is_link, "src": is_image, "background": is_image}

TABLE = {"role": "presentation", "cellpadding": "0", "cellspacing": "0", "border": "0"}
_NO_STYLE: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Extra:
    """What a document adds to one element. An attribute with None takes a generated one away."""

    css: tuple[tuple[str, str], ...] = ()
    attributes: tuple[tuple[str, str | None], ...] = ()

    def and_then(self, later: "Extra") -> "Extra":
        """Gives both; `later` wins."""
        return Extra(self.css + later.css, self.attributes + later.attributes)

    def without(self, *names: str) -> "Extra":
        """Gives it without some attributes."""
        return Extra(self.css, tuple(one for one in self.attributes if one[0] not in names))


NOTHING = Extra()


def read_extra(given: Fields | None, *, css: str = "css") -> Extra:
    """Reads the `css` and `attributes` maps of an object; names that are none are dropped with a warning."""
    if given is None:
        return NOTHING
    styles, attributes = given.child(css), given.child("attributes")
    found = Extra(_declarations(styles) if styles else (), _attributes(attributes) if attributes else ())
    if found.css or found.attributes:
        given.reading.tally.has_colors = True
    return found


def read_inner_extra(given: Fields, name: str) -> Extra:
    """Reads an object that has only `css` and `attributes`, such as `container` or `a`."""
    inner = given.child(name)
    found = read_extra(inner)
    if inner:
        inner.close()
    return found


def _declarations(given: Fields) -> tuple[tuple[str, str], ...]:
    found = []
    for name in given.names():
        text = _value(given.raw(name))
        if not _PROPERTY.match(name):
            given.warn("bad-value", name, "This is no name of a CSS property; it is dropped.")
        elif text is not None and not isinstance(given.raw(name), bool):
            found.append((name, text))
    return tuple(found)


def _attributes(given: Fields) -> tuple[tuple[str, str | None], ...]:
    found: list[tuple[str, str | None]] = []
    for name in given.names():
        value, key = given.raw(name), name.lower()
        text = key if value is True else None if value is False else _value(value)
        if not _ATTRIBUTE.match(name):
            given.warn("bad-value", name, "This is no name of an attribute; it is dropped.")
        elif text and key in _URLS and not _URLS[key](text):
            given.warn("bad-url", name, "This target is not allowed; it is dropped.")
        elif text is not None or value is None or value is False:
            found.append((key, text))
        else:
            given.warn("wrong-type", name, "An attribute is a string, a number, true or false.")
    return tuple(found)


def _value(value: Any) -> str | None:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int | float):
        return str(value)[:40] if abs(value) < 1e30 else "0"
    return None


def background(color: Color | None) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Gives the attribute and the style of a background colour; the attribute only of one without transparency."""
    if color is None:
        return {}, []
    return ({"bgcolor": color.hex} if color.hex else {}), [("background-color", color.css)]


def element(
    name: str,
    content: str | None,
    attributes: Mapping[str, str] | None = None,
    style: Sequence[tuple[str, str]] = _NO_STYLE,
    extra: Extra = NOTHING,
) -> str:
    """Writes an element; `content` is markup, None for an element without any (`<img />`)."""
    start = f"<{name}{_written(dict(attributes or {}), style, extra)}"
    return f"{start} />" if content is None else f"{start}>{content}</{name}>"


def opening(
    name: str,
    attributes: Mapping[str, str] | None = None,
    style: Sequence[tuple[str, str]] = _NO_STYLE,
    extra: Extra = NOTHING,
) -> str:
    """Writes only the start tag."""
    return f"<{name}{_written(dict(attributes or {}), style, extra)}>"


def _written(attributes: dict[str, str], style: Sequence[tuple[str, str]], extra: Extra) -> str:
    styles = [f"{name}:{value.strip().rstrip(';')}" for name, value in (*style, *extra.css) if value]
    for name, value in extra.attributes:
        if name == "style":
            styles += [value.strip().rstrip(";")] if value else []
        elif name == "class" and value and attributes.get("class"):
            attributes["class"] = f"{attributes['class']} {value}"
        elif value is None:
            attributes.pop(name, None)
        else:
            attributes[name] = value
    if any(name == "style" and value is None for name, value in extra.attributes):
        styles = []
    if styles:
        attributes["style"] = ";".join(styles)
    return "".join(f' {name}="{escape_value(value)}"' for name, value in attributes.items())
