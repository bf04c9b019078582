"""The address properties of a send call: recipients, envelope, and the address fields of the header.

Recipients and the envelope are pure addresses. Header fields also take display names and comma separated lists, read
by the one parser that the sender check uses too (S12). Where a call has data or a template, names and addresses may be made
by tags; what then stands between the commas is found with the tags taken as opaque, so that no value adds an address.
Raises Refused with the property and its index.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec.structs import replace

from smtpeter.content.personalize import AUTOMATIC
from smtpeter.content.template.addresses import parse
from smtpeter.content.template.tags import has_tag
from smtpeter.doors.rest.declare import Kind, Reading, Schema, wrong
from smtpeter.doors.rest.properties import is_empty, read_data, read_json_text
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.message import Dsn, Recipient
from smtpeter.model.parts import Mailbox
from smtpeter.model.refusal import Refused
from smtpeter.wire.headers import has_control
from smtpeter.wire.mailboxes import parse_mailbox, parse_mailboxes

MAX_FIELD_LENGTH = 64 * 1024  # L6
MAX_HEADER_MAILBOXES = 1000
_AUTOMATIC = re.compile(r"\{\$(?:" + "|".join(sorted(AUTOMATIC)) + r")\}")


class Given(NamedTuple):
    """A recipient as it was written, the property and index where it stands, and its data as JSON ("" when none)."""

    address: str
    where: str
    data: str = ""


Listed = list[Given]


def gather_recipients(listed: Iterable[Given], dsn: Dsn, limit: int) -> tuple[Recipient, ...]:
    """Gives who the mail goes to: each address once, in order. Raises Refused with the place of the first fault."""
    found: dict[str, Recipient] = {}
    for n, given in enumerate(listed):
        if n == limit:
            raise Refused("too_many_recipients", field=given.where.partition("[")[0], limit=limit)
        try:
            address = parse_address(given.address)
        except AddressError as fault:
            raise Refused("invalid_recipient", field=given.where, reason=fault) from None
        text = str(address)
        known = found.get(text)
        if known is None:
            found[text] = Recipient(text, address.domain, given.address, dsn, given.data)
        elif given.data and not known.data:
            found[text] = replace(known, data=given.data)
    if not found:
        raise Refused("no_recipient", field="recipient")
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Boxes:
    """The value of an address field as it came. How it is read depends on whether the call fills in tags."""

    value: Any = field(repr=False)
    name: str
    slug: str = "invalid_request"

    def read(self, *, is_full: bool) -> tuple[Mailbox, ...]:
        """Gives the mailboxes; with `is_full` tags may make names and addresses, else the automatic ones alone."""
        return read_mailboxes(self.value, self.name, self.slug, has_tag if is_full else _has_automatic_tag)

    def read_one(self, *, is_full: bool) -> Mailbox:
        """Gives the one mailbox."""
        boxes = self.read(is_full=is_full)
        if len(boxes) != 1:
            reason = f"There are {len(boxes)} addresses where one is expected."
            raise Refused(self.slug, field=self.name, reason=reason)
        return boxes[0]


def _has_automatic_tag(text: str) -> bool:
    return "{$" in text and _AUTOMATIC.search(text) is not None


def _read_recipient(value: Any, name: str, reading: Reading) -> Listed:
    if isinstance(value, str):
        return [Given(text, name) for text in _pure(value, reading.most_recipients)]
    if not isinstance(value, list):
        raise _wrong_recipient(name, f"`{name}` must be an address or an array of addresses.")
    listed: Listed = []
    for n, element in enumerate(value):
        where = f"{name}[{n}]"
        if not isinstance(element, str):
            raise _wrong_recipient(where, "A recipient must be an address in a string.")
        listed += [Given(text, where) for text in _pure(element, reading.most_recipients)]
        if len(listed) > reading.most_recipients:
            break  # too many, which the gathering will say
    return listed


def _pure(text: str, limit: int) -> list[str]:
    """Cuts a comma separated list; a quoted local part may hold a comma itself."""
    if "," not in text:
        return [text.strip(" ")]
    if '"' in text:
        try:
            return [str(parse_address(text))]
        except AddressError:
            pass
    return [part.strip(" ") for part in text.split(",", limit + 1)]


def _read_recipients(value: Any, name: str, reading: Reading) -> Listed:
    """Reads an array of addresses, or address → data in an object or in the objects of an array."""
    if value == "":
        return []
    if isinstance(value, str):
        if not reading.is_form or value.lstrip()[:1] not in ("{", "["):
            return [Given(value, name)]
        value = read_json_text(value, name)
    if not isinstance(value, list | dict):
        raise _wrong_recipient(name, f"`{name}` must be an array of addresses.")
    listed: Listed = []
    for n, element in enumerate(value if isinstance(value, list) else [{key: data} for key, data in value.items()]):
        where = f"{name}[{n}]"
        if isinstance(element, str):
            listed.append(Given(element, where))
        elif isinstance(element, dict):
            listed += [Given(address, where, read_data(data, where, reading)) for address, data in element.items()]
        else:
            raise _wrong_recipient(where, "A recipient must be an address in a string, or an address with its data.")
    return listed


def _read_bcc(value: Any, name: str, reading: Reading) -> Listed:
    found = read_mailboxes(value, name, "invalid_recipient")
    return [Given(box.address, f"{name}[{n}]") for n, box in enumerate(found)]


def _read_envelope(value: Any, name: str, reading: Reading) -> str | None:
    if not isinstance(value, str):
        raise wrong(name, f"`{name}` must be an address in a string.")
    if not value:
        return None
    try:
        return str(parse_address(value.strip(" ")))
    except AddressError as fault:
        raise Refused("invalid_sender", field=name, reason=fault) from None


def _read_sender(value: Any, name: str, reading: Reading) -> Boxes | None:
    if is_empty(value):
        return None
    if not isinstance(value, str | dict):
        raise _wrong_box(name)
    return Boxes(value, name, "invalid_sender")


def _read_boxes(value: Any, name: str, reading: Reading) -> Boxes | None:
    return None if is_empty(value) else Boxes(value, name)


def _no_tags(text: str) -> bool:
    return False


def read_mailboxes(
    value: Any, name: str, slug: str = "invalid_request", is_tagged: Callable[[str], bool] = _no_tags
) -> tuple[Mailbox, ...]:
    """Gives the mailboxes of an address list, an object, or an array of these; `slug` names the refusal.

    `is_tagged` says of a text whether tags in it are filled in later.
    """
    if is_empty(value):
        return ()
    boxes: list[Mailbox] = []
    for n, element in enumerate(value if isinstance(value, list) else (value,)):
        where = f"{name}[{n}]" if isinstance(value, list) else name
        try:
            if isinstance(element, str):
                if len(element) > MAX_FIELD_LENGTH:
                    raise wrong(where, f"`{where}` is longer than {MAX_FIELD_LENGTH} characters; leave addresses out.")
                boxes.extend(_tagged(element, where, is_tagged) if is_tagged(element) else _plain(element, slug))
            else:
                boxes.append(_from_object(element, where, is_tagged))
        except AddressError as fault:
            raise Refused(slug, field=where, reason=fault) from None
        if len(boxes) > MAX_HEADER_MAILBOXES:
            raise wrong(name, f"`{name}` has more than {MAX_HEADER_MAILBOXES} addresses; leave some out.")
    return tuple(boxes)


def _plain(text: str, slug: str) -> tuple[Mailbox, ...]:
    return (parse_mailbox(text),) if slug == "invalid_sender" else parse_mailboxes(text)


def _tagged(text: str, where: str, is_tagged: Callable[[str], bool]) -> list[Mailbox]:
    """Gives the mailboxes of a list with tags; those without are read as always. Raises AddressError."""
    if has_control(text):
        raise wrong(where, f"`{where}` must not hold line breaks or other control characters.")
    boxes = [box if is_tagged(box.address) else Mailbox(_normal(box.address), box.name) for box in parse(text)]
    if not boxes:
        raise AddressError("There is no address in it.")
    return boxes


def _normal(address: str) -> str:
    return str(parse_address(address.strip(" ")))


def _from_object(value: Any, where: str, is_tagged: Callable[[str], bool]) -> Mailbox:
    if not isinstance(value, dict) or not isinstance(value.get("address"), str):
        raise _wrong_box(where)
    name, address = value.get("name"), value["address"]
    if name is not None and not isinstance(name, str):
        raise wrong(where, f"The name in `{where}` must be a string.")
    if has_control(f"{name}{address}") or len(address) > MAX_FIELD_LENGTH:
        raise wrong(where, f"`{where}` must not hold line breaks or other control characters, and be short.")
    return Mailbox(address.strip(" ") if is_tagged(address) else _normal(address), name or "")


def _wrong_box(where: str) -> Refused:
    return wrong(where, f'`{where}` must be an address, or an object {{"name": "Ann", "address": "ann@example.com"}}.')


def _wrong_recipient(where: str, reason: str) -> Refused:
    return Refused("invalid_recipient", field=where, reason=reason)


_ADDRESS: Schema = {"type": "string"}
_BOX: Schema = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"name": {"type": "string"}, "address": {"type": "string"}},
            "required": ["address"],
        },
    ]
}
_BOXES: Schema = {"anyOf": [*_BOX["anyOf"], {"type": "array", "items": _BOX}]}
_DATA: Schema = {"type": "object", "additionalProperties": {"type": ["object", "null"]}}

RECIPIENT = Kind({"anyOf": [_ADDRESS, {"type": "array", "items": _ADDRESS}]}, _read_recipient)
RECIPIENTS = Kind({"anyOf": [{"type": "array", "items": {"anyOf": [_ADDRESS, _DATA]}}, _DATA]}, _read_recipients)
BCC = Kind(_BOXES, _read_bcc)
ENVELOPE = Kind(_ADDRESS, _read_envelope)
SENDER = Kind(_BOX, _read_sender)
MAILBOXES = Kind(_BOXES, _read_boxes)
