"""The address properties of a send call: recipients, envelope, and the address fields of the header.

Recipients and the envelope are pure addresses. Header fields also take display names and comma separated lists, read
by the one parser that the sender check uses too (S12). Raises Refused with the property and its index.
"""

from collections.abc import Iterator
from typing import Any, NoReturn

from smtpeter.doors.rest.properties import refuse
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.message import Dsn, Recipient
from smtpeter.model.parts import Mailbox
from smtpeter.model.refusal import Refused
from smtpeter.wire.mailboxes import parse_mailbox, parse_mailboxes

MAX_FIELD_LENGTH = 64 * 1024  # L6
MAX_HEADER_MAILBOXES = 1000


def read_recipients(properties: dict[str, Any], dsn: Dsn, limit: int) -> tuple[Recipient, ...]:
    """Gives who the mail goes to, from `recipient`, `recipients` and `bcc`: each address once, in order."""
    found: dict[str, Recipient] = {}
    for n, (given, where) in enumerate(_listed(properties, limit)):
        if n == limit:
            raise Refused("too_many_recipients", field=where.partition("[")[0], limit=limit)
        try:
            address = parse_address(given)
        except AddressError as wrong:
            raise Refused("invalid_recipient", field=where, reason=wrong) from None
        text = str(address)
        if text not in found:
            found[text] = Recipient(text, address.domain, given, dsn)
    if not found:
        raise Refused("no_recipient", field="recipient")
    return tuple(found.values())


def _listed(properties: dict[str, Any], limit: int) -> Iterator[tuple[str, str]]:
    """Yields every recipient as it was written, with the property and index where it stands."""
    single = properties.get("recipient")
    if isinstance(single, str):
        yield from ((text, "recipient") for text in _pure(single, limit))
    elif single is not None:
        if not isinstance(single, list):
            _refuse_recipient("recipient", "`recipient` must be an address or an array of addresses.")
        for n, element in enumerate(single):
            where = f"recipient[{n}]"
            if not isinstance(element, str):
                _refuse_recipient(where, "A recipient must be an address in a string.")
            yield from ((text, where) for text in _pure(element, limit))
    yield from _several(properties.get("recipients"))
    for n, box in enumerate(read_mailboxes(properties.get("bcc"), "bcc", "invalid_recipient")):
        yield box.address, f"bcc[{n}]"


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


def _several(value: Any) -> Iterator[tuple[str, str]]:
    """Yields the recipients of `recipients`: an array of addresses, or address → data in an object or in objects."""
    if value is None or value == "":
        return
    if isinstance(value, str):
        yield value, "recipients"
        return
    if not isinstance(value, list | dict):
        _refuse_recipient("recipients", "`recipients` must be an array of addresses.")
    elements = value if isinstance(value, list) else [{address: data} for address, data in value.items()]
    for n, element in enumerate(elements):
        where = f"recipients[{n}]"
        if isinstance(element, str):
            yield element, where
        elif isinstance(element, dict):
            for address, data in element.items():
                if not is_empty(data):
                    raise Refused("not_available", field=where, feature="Personalization data for a recipient")
                yield address, where
        else:
            _refuse_recipient(where, "A recipient must be an address in a string.")


def is_empty(value: Any) -> bool:
    """True for what clients send when they mean nothing: null, "", [] and {}."""
    return value is None or value in ("", [], {})


def read_envelope(value: Any) -> str:
    """Gives the address where bounces go."""
    if not isinstance(value, str):
        refuse("envelope", "`envelope` must be an address in a string.")
    try:
        return str(parse_address(value.strip(" ")))
    except AddressError as wrong:
        raise Refused("invalid_sender", field="envelope", reason=wrong) from None


def read_sender(value: Any) -> Mailbox:
    """Gives the one mailbox of `from`: with or without a name, or an object of both."""
    if is_empty(value):
        refuse("from", "`from` is missing; give the sender's address, which also needs an approved domain.")
    try:
        return parse_mailbox(value) if isinstance(value, str) else _from_object(value, "from")
    except AddressError as wrong:
        raise Refused("invalid_sender", field="from", reason=wrong) from None


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
                    refuse(where, f"`{where}` is longer than {MAX_FIELD_LENGTH} characters; leave addresses out.")
                boxes.extend(parse_mailboxes(element))
            else:
                boxes.append(_from_object(element, where))
        except AddressError as wrong:
            raise Refused(slug, field=where, reason=wrong) from None
        if len(boxes) > MAX_HEADER_MAILBOXES:
            refuse(name, f"`{name}` has more than {MAX_HEADER_MAILBOXES} addresses; leave some out.")
    return tuple(boxes)


def _from_object(value: Any, where: str) -> Mailbox:
    if not isinstance(value, dict) or not isinstance(value.get("address"), str):
        refuse(where, f'`{where}` must be an address, or an object {{"name": "Ann", "address": "ann@example.com"}}.')
    name = value.get("name")
    if name is not None and not isinstance(name, str):
        refuse(where, f"The name in `{where}` must be a string.")
    return Mailbox(str(parse_address(value["address"].strip(" "))), name or "")


def _refuse_recipient(where: str, reason: str) -> NoReturn:
    raise Refused("invalid_recipient", field=where, reason=reason)
