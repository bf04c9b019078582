"""Addresses of a document: strings, objects and arrays of both, with tags in names and addresses.

What has tags is personalized later, so only then can it be said whether it is an address (RFC 5322 3.4); here the forms are
taken apart: `name <address>`, lists with commas outside quotes and tags. What has none must be an address, or it is left out:
a text that only looks like one could show another sender than the one whose domain is checked.
"""

import re
from collections.abc import Mapping
from typing import Any

from smtpeter.content.template.fields import Fields
from smtpeter.content.template.problem import shown
from smtpeter.content.template.tags import clean, masked
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.parts import Mailbox

_MAX_ADDRESSES = 10_000
_NAMED = re.compile(r"[^<>]*<([^<>]*)>\s*\Z")
_ENTRY = re.compile(r'(?:[^",]++|"(?:[^"\\]++|\\.|\\\Z)*(?:"|\Z))*', re.DOTALL)


def read_address(given: Fields, name: str) -> Mailbox | None:
    """Reads one address; of an array the first, with a warning."""
    value = given.raw(name)
    if isinstance(value, list | tuple):
        given.warn("wrong-type", name, "There is room for one address here; the first is taken.")
        value = value[0] if value else None
    found = _read(given, name, value)
    return found[0] if found else None


def read_addresses(given: Fields, name: str) -> tuple[Mailbox, ...]:
    """Reads an address or an array of them."""
    value = given.raw(name)
    entries = value if isinstance(value, list | tuple) else [value]
    return tuple(box for entry in entries[:_MAX_ADDRESSES] for box in _read(given, name, entry))


def _read(given: Fields, name: str, value: Any) -> list[Mailbox]:
    if value is None:
        return []
    if isinstance(value, str):
        return _good(given, name, parse(_one_line(value)))
    if not isinstance(value, Mapping):
        given.warn("wrong-type", name, "An address is a string or an object with one; it is ignored.")
        return []
    inner = Fields(value, f"{given.path}/{name}", given.reading)
    address = inner.text(inner.alias("address", "email"))
    label = inner.text("name") or ""
    inner.close()
    if not address:
        inner.warn("missing-property", "address", "There is no address here; the entry is left out.")
        return []
    return _good(inner, "address", [Mailbox(_one_line(address), _one_line(label))])


def _good(given: Fields, name: str, boxes: list[Mailbox]) -> list[Mailbox]:
    """Gives the mailboxes whose addresses are such, or may become such by their tags."""
    good = []
    for box in boxes:
        try:
            good.append(box if "{" in box.address else Mailbox(str(parse_address(box.address)), box.name))
        except AddressError:
            given.warn("bad-value", name, f"{shown(box.address)} is not an address; it is left out.")
    return good


def _one_line(text: str) -> str:
    """Gives the text on one line: nothing may end a header field (B1)."""
    return " ".join(clean(text).split())


def parse(text: str) -> list[Mailbox]:
    """Takes `a@example.org, Name <b@example.org>` apart."""
    flat, at, found = masked(text), 0, []
    while at < len(text):
        match = _ENTRY.match(flat, at)
        end = match.end() if match else len(text)
        box = _mailbox(text[at:end], flat[at:end])
        if box:
            found.append(box)
        at = end + 1
    return found


def _mailbox(text: str, flat: str) -> Mailbox | None:
    named = _NAMED.match(flat)
    if named:
        name = text[: named.start(1) - 1].strip()
        if len(name) > 1 and name[0] == name[-1] == '"':
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        return Mailbox(text[named.start(1) : named.end(1)].strip(), name)
    return Mailbox(text.strip()) if text.strip() else None
