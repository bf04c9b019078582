"""The x-smtpeter-* header fields: what a message itself says about how it is to be treated.

The same names may come in the header of a message or in the `extra` property of a send call. All are taken out before
the message leaves, known or not (smtp-api.md, features per message). A value that cannot be understood refuses the
message: sending it in another way than its sender asked for is worse than not sending it.

Raises Refused: `invalid_header` naming the field.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from smtpeter.content.personalize.data import MAX_DATA_DEPTH, MAX_DATA_OCTETS
from smtpeter.model.account import Features
from smtpeter.model.refusal import Refused

PREFIX = "x-smtpeter-"
MAX_TAGS = 32
MAX_TAG = 128
MAX_METADATA_OCTETS = 4096
MAX_METADATA_DEPTH = 64  # limit L15

# the name behind the prefix -> the property it sets; the second spelling of four of them is that of older documents
_NAMES = {
    "inlinecss": "inlinecss",
    "inlinizecss": "inlinecss",
    "trackclicks": "trackclicks",
    "clicktracking": "trackclicks",
    "trackopens": "trackopens",
    "openstracking": "trackopens",
    "trackbounces": "trackbounces",
    "bouncetracking": "trackbounces",
    "preventscam": "preventscam",
    "images": "images",
    "tags": "tags",
    "stream": "stream",
    "maxdelivertime": "maxdelivertime",
    "sendat": "sendat",
    "metadata": "metadata",
    "template": "template",
    "data": "data",
}
_SWITCHES = frozenset({"inlinecss", "trackclicks", "trackopens", "trackbounces", "preventscam"})
_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
_STREAM = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z")
_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)\Z", re.ASCII)
# the extended formats of ISO 8601 that are in use; without a zone it is UTC
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:[.,]\d{1,6})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?\Z", re.ASCII)
_BRACKETS = re.compile(r"[\[\]{}]")
_STRINGS = re.compile(r'"(?:[^"\\]++|\\.)*"')
_NO_TAG = re.compile(r"[\s;\x00-\x1f\x7f-\x9f]")


class OptionHeaders(Struct, frozen=True):
    """What the option fields said; None where they said nothing. `template` is a number or name as written."""

    features: Features = Features()
    tags: tuple[str, ...] | None = None
    stream: str | None = None
    max_deliver_time: datetime | None = None
    send_at: datetime | None = None
    metadata: str | None = None
    template: str | None = None
    data: str | None = None

    def over(self, lower: "OptionHeaders") -> "OptionHeaders":
        """Gives what is said here, with what is not said here taken from `lower`."""
        if lower is NOTHING or self is NOTHING:
            return self if lower is NOTHING else lower
        features = self.features.over(lower.features)
        others = [b if a is None else a for a, b in zip(astuple(self)[1:], astuple(lower)[1:], strict=True)]
        return OptionHeaders(features, *others)


NOTHING = OptionHeaders()


def is_option(name: str) -> bool:
    """True for a field that is ours, in any case."""
    return name[: len(PREFIX)].lower() == PREFIX


def read_options(given: Iterable[tuple[str, str]]) -> OptionHeaders:
    """Gives what the option fields among these names and unfolded values say. Others are passed over."""
    found: dict[str, tuple[str, str]] = {}
    for name, text in given:
        if not is_option(name):
            continue
        key = name[len(PREFIX) :].lower()
        known = _NAMES.get(key)
        if known is None:
            continue
        value = text.strip()
        if known in found and found[known][1] != value:
            raise _invalid(PREFIX + key, "it is given more than once, with different values")
        found[known] = (PREFIX + key, value)
    return _read(found) if found else NOTHING


def _read(found: dict[str, tuple[str, str]]) -> OptionHeaders:
    switches = {key: _boolean(*found[key]) for key in _SWITCHES & found.keys()}
    images = _images(*found["images"]) if "images" in found else None
    return OptionHeaders(
        features=Features(images=images, **switches),
        tags=_tags(*found["tags"]) if "tags" in found else None,
        stream=_stream(*found["stream"]) if "stream" in found else None,
        max_deliver_time=_moment(*found["maxdelivertime"]) if "maxdelivertime" in found else None,
        send_at=_any_moment(*found["sendat"]) if "sendat" in found else None,
        metadata=_metadata(*found["metadata"]) if "metadata" in found else None,
        template=_template(*found["template"]) if "template" in found else None,
        data=_data(*found["data"]) if "data" in found else None,
    )


def _invalid(name: str, reason: str) -> Refused:
    return Refused("invalid_header", header=name, reason=reason)


def _boolean(name: str, text: str) -> bool:
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise _invalid(name, "write true or false")
    return value


def _images(name: str, text: str) -> str:
    chosen = text.lower()
    if chosen not in ("default", "hosted"):
        raise _invalid(name, "write default or hosted")
    return chosen


def _tags(name: str, text: str) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(tag for part in text.split(",", MAX_TAG * MAX_TAGS) if (tag := part.strip())))
    fault = tags_fault(tags)
    if fault:
        raise _invalid(name, fault)
    return tags


def tags_fault(tags: Iterable[str]) -> str:
    """Gives what is wrong with these tags in half a sentence, "" when nothing is."""
    count = 0
    for tag in tags:
        count += 1
        if not tag or len(tag) > MAX_TAG:
            return f"a tag has 1 to {MAX_TAG} characters"
        if _NO_TAG.search(tag):
            return "a tag must not hold white space, semicolons or control characters"
    return f"at most {MAX_TAGS} tags can be given" if count > MAX_TAGS else ""


def _stream(name: str, text: str) -> str:
    if not _STREAM.match(text):
        raise _invalid(name, "a stream is named by up to 32 lower-case letters, digits and hyphens")
    return text


def _moment(name: str, text: str) -> datetime:
    moment = parse_moment(text)
    if moment is None:
        raise _invalid(name, "write the time as YYYY-MM-DD hh:mm:ss, in UTC")
    return moment


def _any_moment(name: str, text: str) -> datetime:
    moment = parse_iso_moment(text) or parse_moment(text)
    if moment is None:
        raise _invalid(name, "write the time as YYYY-MM-DD hh:mm:ss, in UTC, or as 2027-01-31T18:30:00+01:00")
    return moment


def _metadata(name: str, text: str) -> str:
    """Gives the object as JSON text in its shortest form, "" for an empty one."""
    encoded = _object(name, text, MAX_METADATA_OCTETS, MAX_METADATA_DEPTH)
    return "" if encoded == "{}" else encoded


def _template(name: str, text: str) -> str:
    if not text:
        raise _invalid(name, "write the number or the name of a template")
    return text


def _data(name: str, text: str) -> str:
    """Gives the object as JSON text in its shortest form; an empty one is data too."""
    return _object(name, text, MAX_DATA_OCTETS, MAX_DATA_DEPTH)


def _object(name: str, text: str, most_octets: int, most_levels: int) -> str:
    fault = f"write a JSON object of at most {most_octets} bytes, nested at most {most_levels} deep"
    if len(text) > 2 * most_octets or _depth(text) > most_levels:
        raise _invalid(name, fault)
    try:
        encoded = msgspec.json.encode(msgspec.json.decode(text.encode(), type=dict[str, Any]))
    except (msgspec.DecodeError, ValueError):
        raise _invalid(name, fault) from None
    if len(encoded) > most_octets:
        raise _invalid(name, fault)
    return encoded.decode()


def _depth(text: str) -> int:
    """Gives how deep the brackets of a JSON text are nested."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def parse_moment(text: str) -> datetime | None:
    """Gives the moment that `YYYY-MM-DD hh:mm:ss` names in UTC, None when it is anything else or does not exist."""
    found = _MOMENT.match(text)
    if not found:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def parse_iso_moment(text: str) -> datetime | None:
    """Gives the moment that an ISO 8601 text names, None when it is anything else or does not exist."""
    if not _ISO.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text.replace(",", "."))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
