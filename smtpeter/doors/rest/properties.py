"""The kinds of values that a send call has: tags, times, switches, notification wishes, header fields, metadata.

Every reader takes the value and the name of its place, and raises `Refused` with that name as field and a sentence
that shows how to write it.
"""

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from smtpeter.doors.rest.declare import Kind, Property, Reading, Table, schema_of, wrong
from smtpeter.doors.rest.decode import decode_json
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.kinds import BOOLEAN, TIME_PATTERN, one_of, read_time, text
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.message import Dsn, Notify
from smtpeter.model.parts import Unsubscribe

MAX_TAGS = 32
MAX_TAG_LENGTH = 128
MAX_ENVID_LENGTH = 100  # RFC 3461 4.4
MAX_ORCPT_LENGTH = 500  # RFC 3461 4.2
MAX_METADATA_BYTES = 4096
MAX_STREAM_LENGTH = 32

_TAG_BREAK = re.compile(r"[\s;\x00-\x1f\x7f\u200b\u2028\u2029]")
# RFC 3461 4: what xtext can carry here; controls would end the SMTP command, non-ASCII needs RFC 6533
_PRINTABLE = r"[\x20-\x7e]*"
_ORCPT_TYPE = re.compile(r"[A-Za-z0-9-]+;")
# RFC 3339 5.6, with the seconds and the offset as optional as ISO 8601 has them
_ISO_PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,6})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?"
)
_ISO = re.compile(rf"{_ISO_PATTERN}\Z")


def is_empty(value: Any) -> bool:
    """True for what clients send when they mean nothing: null, "", [] and {}."""
    return value is None or value in ("", [], {})


def read_json_text(value: str, name: str) -> Any:
    """Gives what a text of a form says in JSON."""
    try:
        return decode_json(f'{{"value":{value}}}'.encode())["value"]
    except (Problem, KeyError):
        raise wrong(name, f"`{name}` is not complete JSON, with names and texts in quotation marks.") from None


def read_data(value: Any, name: str, reading: Reading) -> str:
    """Gives an object of values for tags as JSON text, "" when there is none; an empty object is one."""
    if value is None or value == "":
        return ""
    if reading.is_form and isinstance(value, str):
        value = read_json_text(value, name)
    if value == []:
        value = {}  # what PHP makes of an array without names
    if not isinstance(value, dict):
        raise wrong(name, f'The data in `{name}` must be an object, as {{"firstname": "Jane"}}.')
    return msgspec.json.encode(value).decode()


DATA = Kind({"type": "object"}, read_data)


def _read_template(value: Any, name: str, reading: Reading) -> int | str | dict[str, Any] | None:
    """Reads a number, a name or a document; also a document as text, which only a document can look like."""
    if value == "" or value == []:
        return None
    if isinstance(value, str):
        if not value.lstrip().startswith("{"):
            return value
        value = read_json_text(value, name)
    if isinstance(value, dict):
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**53:
        raise wrong(name, f"`{name}` must be the number or the name of a template, or a document.")
    return value


TEMPLATE = Kind({"type": ["integer", "string", "object"]}, _read_template)


def _read_patch(value: Any, name: str, reading: Reading) -> list[Any]:
    if isinstance(value, str) and reading.is_form and value:
        value = read_json_text(value, name)
    if is_empty(value):
        return []
    if not isinstance(value, list) or not all(isinstance(operation, dict) for operation in value):
        example = '[{"op": "replace", "path": "/subject", "value": "Hello"}]'
        raise wrong(name, f"`{name}` must be an array of operations (RFC 6902), as {example}.")
    return value


_OPERATION = {
    "type": "object",
    "properties": {
        "op": {"type": "string", "enum": ["add", "remove", "replace", "move", "copy", "test"]},
        "path": {"type": "string"},
    },
}
PATCH = Kind({"type": "array", "items": _OPERATION}, _read_patch)

IMAGES = one_of("default", "hosted")


def _read_tags(value: Any, name: str, reading: Reading) -> tuple[str, ...]:
    if isinstance(value, str):
        items: list[Any] = [tag.strip() for tag in re.split("[,;]", value, maxsplit=MAX_TAGS + 1) if tag.strip()]
    elif isinstance(value, list):
        items = value
    else:
        raise wrong(name, f'`{name}` must be an array of strings, as ["invoice", "october"].')
    if len(items) > MAX_TAGS:
        raise wrong(name, f"There are more than {MAX_TAGS} tags; use fewer.")
    for n, tag in enumerate(items):
        where = f"{name}[{n}]"
        if not isinstance(tag, str) or not tag:
            raise wrong(where, "A tag must be a string that is not empty.")
        if len(tag) > MAX_TAG_LENGTH:
            raise wrong(where, f"A tag is longer than {MAX_TAG_LENGTH} characters; shorten it.")
        if _TAG_BREAK.search(tag):
            raise wrong(where, "A tag must not have white space or a semicolon in it; use a hyphen.")
    return tuple(dict.fromkeys(items))


_TAG = {"type": "string", "minLength": 1, "maxLength": MAX_TAG_LENGTH, "pattern": r"^[^\s;]+$"}
TAGS = Kind({"type": ["array", "string"], "items": _TAG, "maxItems": MAX_TAGS}, _read_tags)


def _read_moment(value: Any, name: str, reading: Reading) -> datetime:
    if not isinstance(value, str) or "T" not in value:
        return read_time(value, name, reading, ", or as 2027-01-31T18:30:00+01:00")
    if _ISO.match(value):
        try:
            moment = datetime.fromisoformat(value.replace(",", "."))
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            pass
    raise wrong(name, f"`{name}` must be a time that exists, written as 2027-01-31T18:30:00+01:00.")


MOMENT = Kind({"type": "string", "pattern": f"^({TIME_PATTERN}|{_ISO_PATTERN})$"}, _read_moment)

STREAM = text(
    most=MAX_STREAM_LENGTH,
    pattern="[a-z0-9][a-z0-9-]*",
    says=f"at most {MAX_STREAM_LENGTH} lower-case letters, digits and hyphens",
)


def _read_metadata(value: Any, name: str, reading: Reading) -> str:
    """Gives the object as JSON text, "" for an empty one. In a form it may also be written as JSON."""
    if is_empty(value):
        return ""
    if reading.is_form and isinstance(value, str):
        try:
            value = decode_json(value[: 2 * MAX_METADATA_BYTES].encode())
        except Problem as trouble:
            raise wrong(name, f"`{name}` cannot be read. {trouble}") from None
    if not isinstance(value, dict):
        raise wrong(name, f'`{name}` must be an object, as {{"order": 1234}}.')
    encoded = msgspec.json.encode(value)
    if len(encoded) > MAX_METADATA_BYTES:
        raise wrong(name, f"`{name}` is longer than {MAX_METADATA_BYTES} bytes of JSON; keep some of it on your side.")
    return encoded.decode()


METADATA = Kind(
    {"type": "object", "description": f"At most {MAX_METADATA_BYTES} bytes as JSON."},
    _read_metadata,
)


class HeaderField(NamedTuple):
    """A header field that a call sets, and where in the call it stands."""

    name: str
    text: str
    where: str


def _read_extra(value: Any, name: str, reading: Reading) -> tuple[HeaderField, ...]:
    if is_empty(value):
        return ()
    if not isinstance(value, dict):
        raise wrong(name, f'`{name}` must be an object of header fields, as {{"x-order": "1234"}}.')
    fields = []
    for key, content in value.items():
        where = f"{name}.{key}"
        if not isinstance(content, str):
            raise wrong(where, f"`{where}` must be a string.")
        fields.append(HeaderField(key, content, where))
    return tuple(fields)


EXTRA = Kind({"type": "object", "additionalProperties": {"type": "string"}}, _read_extra)


def _read_notify(value: Any, name: str, reading: Reading) -> frozenset[Notify]:
    words = value.split(",", 8) if isinstance(value, str) else value
    advice = f"`{name}` must be NEVER, or some of FAILURE, SUCCESS and DELAY with commas between them."
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise wrong(name, advice)
    found = {word.strip().upper() for word in words}
    if not found or not found <= set(Notify):
        raise wrong(name, advice)
    if "NEVER" in found and len(found) > 1:  # RFC 3461 4.1
        raise wrong(name, f"`{name}` cannot be NEVER together with anything else.")
    return frozenset(map(Notify, found))


def _read_ret(value: Any, name: str, reading: Reading) -> str:
    if not isinstance(value, str) or value.upper() not in ("FULL", "HDRS"):
        raise wrong(name, f"`{name}` must be FULL or HDRS.")
    return value.upper()


def _printable(most: int) -> Kind:
    return text(most=most, pattern=_PRINTABLE, says=f"at most {most} printable ASCII characters")


_DSN = Table(
    Property(
        "notify",
        Kind({"type": ["string", "array"], "items": {"type": "string"}}, _read_notify),
        "NEVER, or some of FAILURE, SUCCESS and DELAY with commas between them. FAILURE when absent.",
        "FAILURE,DELAY",
    ),
    Property(
        "ret",
        Kind({"type": "string", "pattern": "^([Ff][Uu][Ll][Ll]|[Hh][Dd][Rr][Ss])$"}, _read_ret),
        "What a notification returns: FULL, the whole message, or HDRS, its header. HDRS when absent.",
        "HDRS",
    ),
    Property("envid", _printable(MAX_ENVID_LENGTH), "Your mark for the mail; notifications repeat it.", "order-1234"),
    Property(
        "orcpt",
        _printable(MAX_ORCPT_LENGTH),
        "The address that the mail went to at first, as `type;address`; without a type it is rfc822.",
        "rfc822;jane@example.org",
    ),
)
_DEFAULT_NOTIFY = frozenset((Notify.FAILURE,))


def _read_dsn(value: Any, name: str, reading: Reading) -> Dsn:
    if not isinstance(value, dict):
        raise wrong(name, f'`{name}` must be an object, as {{"notify": "FAILURE,DELAY", "ret": "HDRS"}}.')
    given = _DSN.read({key: part for key, part in value.items() if part != ""}, reading, f"{name}.")
    orcpt = given.get("orcpt", "")
    if orcpt and not _ORCPT_TYPE.match(orcpt):
        orcpt = f"rfc822;{orcpt}"
    return Dsn(given.get("notify", _DEFAULT_NOTIFY), given.get("ret", "HDRS"), given.get("envid", ""), orcpt)


DSN = Kind(schema_of(_DSN), _read_dsn)


_UNSUBSCRIBE = Table(
    Property("email", text(), "The address that a mail is sent to.", "leave@example.com"),
    Property(
        "url",
        text(),
        "The https address to visit. One of http is written too, and named in Warning-Unknown: receivers ignore it.",
        "https://example.com/leave?who=123",
    ),
    Property("oneclick", BOOLEAN, "The address takes a POST that needs no page (RFC 8058).", True, ("one-click",)),
)


def _read_unsubscribe(value: Any, name: str, reading: Reading) -> Unsubscribe | None:
    """Gives the ways to leave the list; the form of the web address is checked by intake (content/unsubscribe.py)."""
    if is_empty(value):
        return None
    if not isinstance(value, dict):
        raise wrong(name, f'`{name}` must be an object, as {{"url": "https://example.com/leave", "oneclick": true}}.')
    given = _UNSUBSCRIBE.read(value, reading, f"{name}.")
    email, url = given.get("email", ""), given.get("url", "")
    try:
        email = str(parse_address(email.strip(" "))) if email else ""
    except AddressError as trouble:
        raise wrong(f"{name}.email", str(trouble)) from None
    if url[:5].lower() == "http:":
        reading.unknown.append(f"{name}.url")
    return Unsubscribe(email, url, given.get("oneclick", False))


UNSUBSCRIBE = Kind(schema_of(_UNSUBSCRIBE), _read_unsubscribe)
