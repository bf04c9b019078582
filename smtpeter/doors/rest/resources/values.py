"""Kinds of values that only these resources take: names, user names, passwords, networks, domains, times."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from smtpeter.doors.entries import read_entry
from smtpeter.doors.rest.call import Call
from smtpeter.doors.rest.declare import Kind, Property, Reading, wrong
from smtpeter.doors.rest.kinds import number
from smtpeter.model.address import AddressError, parse_address, parse_domain
from smtpeter.world.networks import parse_networks

MAX_NUMBER = 10**15

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BLANK = re.compile(r"\s")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?\Z"
)


def visible(least: int, most: int, *, has_blanks: bool = True) -> Kind:
    """A text on one line, without control characters, and without blanks when they would be trouble."""
    form = f"{least} to {most} characters without {'control characters' if has_blanks else 'blanks'}"

    def read(value: Any, name: str, reading: Reading) -> str:
        if not isinstance(value, str):
            raise wrong(name, f"`{name}` must be a string.")
        if not least <= len(value) <= most or _CONTROL.search(value) or not (has_blanks or not _BLANK.search(value)):
            raise wrong(name, f"`{name}` must have {form}.")
        return value

    return Kind({"type": "string", "minLength": least, "maxLength": most}, read)


def _checked(parse: Callable[[str], str], schema: dict[str, Any], says: str) -> Kind:
    """A text that `parse` brings into its normal form, or refuses with ValueError."""

    def read(value: Any, name: str, reading: Reading) -> str:
        if not isinstance(value, str):
            raise wrong(name, f"`{name}` must be a string, as {says}.")
        try:
            return parse(value.strip(" "))
        except AddressError as trouble:
            raise wrong(name, str(trouble)) from None
        except ValueError:
            raise wrong(name, f"{value[:100]!r} is no network; write one as {says}.") from None

    return Kind(schema, read)


def read_network(text: str) -> str:
    """Gives a network in its normal form, one of IPv4 when it is wrapped in IPv6, as clients are. Raises ValueError."""
    if "%" in text:
        raise ValueError(text)  # a zone means something on one machine only
    (network,) = parse_networks((text,))
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return str(IPv4Network((mapped, network.prefixlen - 96)))
    return str(network)


NUMBER = number(1, MAX_NUMBER)
DOMAIN = _checked(parse_domain, {"type": "string", "maxLength": 255}, "example.com")
ADDRESS_OR_DOMAIN = _checked(read_entry, {"type": "string", "maxLength": 320}, "jane@example.org or example.org")
ADDRESS = _checked(lambda text: str(parse_address(text)), {"type": "string", "maxLength": 320}, "jane@example.org")
NETWORK = _checked(read_network, {"type": "string"}, "192.0.2.7 or 2001:db8::/32")
NUMBER_IN_PATH = Property("id", NUMBER, "The number that the list shows.", 7)


def _read_moment(value: Any, name: str, reading: Reading) -> datetime:
    if isinstance(value, str) and _MOMENT.match(value):
        try:
            moment = datetime.fromisoformat(value)
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            moment = datetime.max
        if 1 < moment.year < 9999:  # a little more or less stays a time
            return moment
    raise wrong(name, f"`{name}` must be a date or a time in UTC, as 2027-01-31 or 2027-01-31 18:30:00.")


# a date, `YYYY-MM-DD hh:mm:ss` or ISO 8601, in UTC when it says no offset
MOMENT = Kind({"type": "string", "pattern": f"^{_MOMENT.pattern.removesuffix(chr(92) + 'Z')}$"}, _read_moment)


def ignore_key(call: Call) -> None:
    """Reports an Idempotency-Key: the answer has a secret in it, which is not kept for a second time (K1)."""
    if b"idempotency-key" in call.headers:
        call.unknown.append("Idempotency-Key")


async def number_to_delete(call: Call, what: str) -> str:
    """Gives the number of what a call wants to have deleted: from its path, else from its query or body."""
    if call.arguments:
        call.read_query()
        return call.arguments[0]
    given = await call.read_both()
    if "id" not in given:
        raise wrong("id", f"`id` is missing; give the number of the {what} to delete.")
    return str(given["id"])
