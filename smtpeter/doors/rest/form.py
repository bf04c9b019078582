"""Form input (application/x-www-form-urlencoded) to the same shapes that JSON gives.

Strict where others guess: a percent sign that no two hexadecimal digits follow, or octets that are not UTF-8, are
refused with their position, since `john%doe.com` silently turned into something else is mail to a stranger.

Repeated names make arrays; `name[]` appends, `name[key]` makes objects, to any depth up to the limit, and an object
whose keys count from 0 is an array, as PHP writes it. Values are strings; which of them are numbers or booleans is for
the reader of the property to say. WHATWG URL 5.1 is the base. Raises only FormError. Time is linear in the input.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

MAX_DEPTH = 64  # L15
MAX_MEMBERS = 200_000

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NAME = re.compile(r"([^\[\]]++)((?:\[[^\[\]]*+\])*)\Z")
_KEY = re.compile(r"\[([^\[\]]*)\]")
_INDEX = re.compile(r"(?:0|[1-9][0-9]{0,8})\Z")


class FormError(ValueError):
    """The input is not a form; `str()` says what is wrong and where, without a full stop."""


@dataclass(frozen=True, slots=True)
class File:
    """A file in a form, which only multipart/form-data can carry. `type` "" when the client did not say."""

    data: bytes = field(repr=False)
    name: str
    type: str


class _Node(dict[str, Any]):
    """An object or array that is being gathered. `next_index` is the key that `[]` takes."""

    next_index = 0


def decode_form(body: bytes) -> dict[str, Any]:
    """Gives name → string, array or object. Positions in errors count bytes from 1. Raises FormError."""
    if body.count(b"&") > MAX_MEMBERS:
        raise FormError(f"it has more than {MAX_MEMBERS} members")
    return gather(_pairs(body))


def _pairs(body: bytes) -> Iterable[tuple[str, str, int]]:
    at = 0
    for pair in body.split(b"&") if body else ():
        if pair:
            name, _, value = pair.partition(b"=")
            yield _text(name, at), _text(value, at + len(name) + 1), at
        at += len(pair) + 1


def gather(pairs: Iterable[tuple[str, str | File, int]]) -> dict[str, Any]:
    """Gives what names, values and their offsets in the body make up. Raises FormError."""
    root = _Node()
    members = 0
    for name, value, at in pairs:
        keys = _keys(name, at)
        members += len(keys)
        if members > MAX_MEMBERS:
            raise FormError(f"it has more than {MAX_MEMBERS} members")
        _put(root, keys, value, at)
    return {name: _finish(value) for name, value in root.items()}


def _text(raw: bytes, at: int) -> str:
    """Gives the decoded text of a name or value that begins at offset `at`."""
    if b"%" in raw:
        if bad := _BAD_ESCAPE.search(raw):
            position = at + bad.start() + 1
            raise FormError(f"the % at position {position} has no two hexadecimal digits behind it; write % as %25")
        plain = unquote_to_bytes(raw.replace(b"+", b" "))
    else:
        plain = raw.replace(b"+", b" ")
    try:
        return plain.decode("utf-8")
    except UnicodeDecodeError as trouble:
        raise FormError(f"it is not UTF-8 at position {at + _raw_offset(raw, trouble.start) + 1}") from None


def _raw_offset(raw: bytes, offset: int) -> int:
    """Gives where in the escaped form the octet number `offset` of the plain form stands."""
    at = -1
    following = offset
    while at != following:  # each % before it stands for two octets more; grows to the least position that fits
        at = following
        following = offset + 2 * raw.count(b"%", 0, at)
    return at


def _keys(name: str, at: int) -> list[str]:
    """Gives the keys in a name: `a[b][]` is a, b and the empty one. Text that is no such form is one plain key."""
    if "[" not in name:
        return [name]
    found = _NAME.match(name)
    if not found:
        return [name]
    keys = [found[1], *_KEY.findall(found[2])]
    if len(keys) > MAX_DEPTH:
        raise FormError(f"the name at position {at + 1} is nested deeper than {MAX_DEPTH}")
    return keys


def _put(node: _Node, keys: list[str], value: str | File, at: int) -> None:
    for depth, key in enumerate(keys[:-1]):
        below = node.get(_place(node, key, depth))
        if below is None:
            below = _Node()
            node[_place(node, key, depth)] = below
            _count(node, key, depth)
        elif not isinstance(below, _Node):
            raise FormError(f"the name at position {at + 1} is both a value and a list of values")
        node = below
    last, depth = keys[-1], len(keys) - 1
    place = _place(node, last, depth)
    known = node.get(place)
    if known is None:
        node[place] = value
        _count(node, last, depth)
    elif isinstance(known, list):
        known.append(value)
    elif isinstance(known, str | File):
        node[place] = [known, value]
    else:
        raise FormError(f"the name at position {at + 1} is both a value and a list of values")


def _place(node: _Node, key: str, depth: int) -> str:
    """Gives the key to use: inside brackets, an empty one stands for the next number."""
    return str(node.next_index) if depth and not key else key


def _count(node: _Node, key: str, depth: int) -> None:
    if not depth:
        return
    if not key:
        node.next_index += 1
    elif _INDEX.match(key):
        node.next_index = max(node.next_index, int(key) + 1)


def _finish(value: Any) -> Any:
    if not isinstance(value, _Node):
        return value
    is_array = all(key == str(n) for n, key in enumerate(value))
    return [_finish(v) for v in value.values()] if is_array else {k: _finish(v) for k, v in value.items()}
