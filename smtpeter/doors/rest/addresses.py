"""The address properties of a send call: recipients, envelope, and the address fields of the header.

Recipients and the envelope are pure addresses. Header fields also take display names and comma separated lists, read
by the one parser that the sender check uses too (S12). Raises Refused with the property and its index.
"""

from collections.abc import Iterable
from typing import Any

from smtpeter.doors.rest.declare import Kind, Reading, Schema, wrong
from smtpeter.doors.rest.properties import is_empty
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.message import Dsn, Recipient
from smtpeter.model.parts import Mailbox
from smtpeter.model.refusal import Refused
from smtpeter.wire.mailboxes import parse_mailbox, parse_mailboxes

MAX_FIELD_LENGTH = 64 * 1024  # L6
MAX_HEADER_MAILBOXES = 1000

Listed = list[tuple[str, str]]  # every recipient as it was written, with the property and index where it stands


def gather_recipients(listed: Iterable[tuple[str, str]], dsn: Dsn, limit: int) -> tuple[Recipient, ...]:
    """Gives who the mail goes to: each address once, in order. Raises Refused with the place of the first fault."""
    found: dict[str, Recipient] = {}
    for n, (given, where) in enumerate(listed):
        if n == limit:
            raise Refused("too_many_recipients", field=where.partition("[")[0], limit=limit)
        try:
            address = parse_address(given)
        except AddressError as fault:
            raise Refused("invalid_recipient", field=where, reason=fault) from None
        text = str(address)
        if text not in found:
            found[text] = Recipient(text, address.domain, given, dsn)
    if not found:
        raise Refused("no_recipient", field="recipient")
    return tuple(found.values())


def _read_recipient(value: Any, name: str, reading: Reading) -> Listed:
    if isinstance(value, str):
        return [(text, name) for text in _pure(value, reading.most_recipients)]
    if not isinstance(value, list):
        raise _wrong_recipient(name, f"`{name}` must be an address or an array of addresses.")
    listed: Listed = []
    for n, element in enumerate(value):
        where = f"{name}[{n}]"
        if not isinstance(element, str):
            raise _wrong_recipient(where, "A recipient must be an address in a string.")
        listed += [(text, where) for text in _pure(element, reading.most_recipients)]
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
        return [(value, name)]
    if not isinstance(value, list | dict):
        raise _wrong_recipient(name, f"`{name}` must be an array of addresses.")
    listed: Listed = []
    for n, element in enumerate(value if isinstance(value, list) else [{key: data} for key, data in value.items()]):
        where = f"{name}[{n}]"
        if isinstance(element, str):
            listed.append((element, where))
        elif isinstance(element, dict):
            for address, data in element.items():
                if not is_empty(data):
                    raise Refused("not_available", field=where, feature="Personalization data for a recipient")
                listed.append((address, where))
        else:
            raise _wrong_recipient(where, "A recipient must be an address in a string.")
    return listed


def _read_bcc(value: Any, name: str, reading: Reading) -> Listed:
    return [(box.address, f"{name}[{n}]") for n, box in enumerate(read_mailboxes(value, name, "invalid_recipient"))]


def _read_envelope(value: Any, name: str, reading: Reading) -> str | None:
    if not isinstance(value, str):
        raise wrong(name, f"`{name}` must be an address in a string.")
    if not value:
        return None
    try:
        return str(parse_address(value.strip(" ")))
    except AddressError as fault:
        raise Refused("invalid_sender", field=name, reason=fault) from None


def _read_sender(value: Any, name: str, reading: Reading) -> Mailbox | None:
    if is_empty(value):
        return None
    try:
        return parse_mailbox(value) if isinstance(value, str) else _from_object(value, name)
    except AddressError as fault:
        raise Refused("invalid_sender", field=name, reason=fault) from None


def read_mailboxes(value: Any, name: str, slug: str = "invalid_request") -> tuple[Mailbox, ...]:
    """Gives the mailboxes of an address list, an object, or an array of these; `slug` names the refusal."""
    if is_empty(value):
        return ()
    boxes: list[Mailbox] = []
    for n, element in enumerate(value if isinstance(value, list) else (value,)):
        where = f"{name}[{n}]" if isinstance(value, list) else name
        try:
            if isinstance(element, str):
                if len(element) > MAX_FIELD_LENGTH:
                    raise wrong(where, f"`{where}` is longer than {MAX_FIELD_LENGTH} characters; leave addresses out.")
                boxes.extend(parse_mailboxes(element))
            else:
                boxes.append(_from_object(element, where))
        except AddressError as fault:
            raise Refused(slug, field=where, reason=fault) from None
        if len(boxes) > MAX_HEADER_MAILBOXES:
            raise wrong(name, f"`{name}` has more than {MAX_HEADER_MAILBOXES} addresses; leave some out.")
    return tuple(boxes)


def _from_object(value: Any, where: str) -> Mailbox:
    if not isinstance(value, dict) or not isinstance(value.get("address"), str):
        raise wrong(
            where, f'`{where}` must be an address, or an object {{"name": "Ann", "address": "ann@example.com"}}.'
        )
    name = value.get("name")
    if name is not None and not isinstance(name, str):
        raise wrong(where, f"The name in `{where}` must be a string.")
    return Mailbox(str(parse_address(value["address"].strip(" "))), name or "")


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
MAILBOXES = Kind(_BOXES, lambda value, name, reading: read_mailboxes(value, name))
