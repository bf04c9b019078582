"""What an answer says about its content: type, name of a file, how long it stays fresh.

Servers say these in many broken ways; what cannot be read is as if it were not said. Raises nothing.

RFC 6266 (Content-Disposition), RFC 9111 4.2 and 5.2 (freshness), RFC 9110 8.3.
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from smtpeter.wire.encoded_words import clean
from smtpeter.wire.mime_parameters import parse_content_type, parse_disposition, read_parameter
from smtpeter.world.fetch.reader import Head
from smtpeter.world.fetch.target import Target

MAX_NAME_CHARACTERS = 255
MAX_CACHE_SECONDS = 365 * 24 * 3600

_MAX_VALUE_BYTES = 4096
_SECONDS = re.compile(r"\"?([0-9]{1,10})\"?\Z")
_SEPARATOR = re.compile(r"[/\\]")
_NOT_SHARED = ("no-store", "no-cache", "private")


def content_type(head: Head) -> tuple[str, str]:
    """Gives type and charset in lower case, each "" when it is not said."""
    value = parse_content_type(_value(head, b"content-type"), "")
    return value.name, value.parameters.get("charset", "").lower()


def file_name(head: Head, target: Target) -> str:
    """Gives the name from Content-Disposition, else the last part of the path; without folders, "" when there is none.

    RFC 6266 4.3: a name is a hint, and a path in it is not to be followed.
    """
    said = read_parameter(parse_disposition(_value(head, b"content-disposition")).parameters, "filename")
    return _plain(said) or _plain(unquote(target.path.partition("?")[0].rpartition("/")[2]))


def _plain(name: str) -> str:
    last = clean(_SEPARATOR.split(name)[-1]).strip()
    return "" if last.strip(".") == "" else last[-MAX_NAME_CHARACTERS:]


def cache_seconds(head: Head) -> int | None:
    """Gives how long a shared cache may use the answer without asking again, None when that is not said."""
    said = _cache_control(head)
    if any(word in said for word in _NOT_SHARED):
        return 0
    fresh: int | None = None
    for word in ("s-maxage", "max-age"):  # RFC 9111 4.2.1, in its order
        if word in said:
            fresh = _seconds(said[word]) or 0
            break
    else:
        fresh = _until_expires(head)
    if fresh is None:
        return None
    age = _seconds((_value(head, b"age") or b"").decode("latin-1")) or 0
    return min(max(0, fresh - age), MAX_CACHE_SECONDS)


def _cache_control(head: Head) -> dict[str, str]:
    words = b",".join(head.values(b"cache-control"))[:_MAX_VALUE_BYTES].decode("latin-1").split(",")
    said: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        said.setdefault(name.strip().lower(), value.strip())
    return said


def _until_expires(head: Head) -> int | None:
    value = _value(head, b"expires")
    if value is None:
        return None
    expires, date = _date(value), _date(_value(head, b"date") or b"")
    # RFC 9111 5.3: what is no date, "0" above all, is in the past
    return int((expires - date).total_seconds()) if expires and date else 0


def _date(value: bytes) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value[:64].decode("latin-1"))
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _seconds(text: str) -> int | None:
    found = _SECONDS.match(text.strip())
    return int(found[1]) if found else None


def _value(head: Head, name: bytes) -> bytes | None:
    value = head.value(name)
    return None if value is None else value[:_MAX_VALUE_BYTES]
