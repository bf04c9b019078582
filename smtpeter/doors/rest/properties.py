"""Properties of a call to typed values, one small reader for each kind.

Form input has text where JSON has booleans. Every reader takes the value and the name of its property and raises
`Refused` with that name as field and a sentence that shows how to write it.
"""

import re
from datetime import UTC, datetime
from typing import Any, NoReturn

from smtpeter.model.message import Dsn, Notify
from smtpeter.model.refusal import Refused

MAX_TAGS = 32
MAX_TAG_LENGTH = 128
MAX_ENVID_LENGTH = 100  # RFC 3461 4.4
MAX_ORCPT_LENGTH = 500  # RFC 3461 4.2

_WORDS = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False, "no": False}
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\Z")
_TAG_BREAK = re.compile(r"[\s;\x00-\x1f\x7f\u200b\u2028\u2029]")
# RFC 3461 4: what xtext can carry here; controls would end the SMTP command, non-ASCII needs RFC 6533
_PRINTABLE = re.compile(r"[\x20-\x7e]*\Z")
_ORCPT_TYPE = re.compile(r"[A-Za-z0-9-]+;")


def refuse(name: str, reason: str) -> NoReturn:
    """Raises the refusal of one property."""
    raise Refused("invalid_request", field=name, reason=reason)


def read_text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        refuse(name, f"`{name}` must be a string.")
    return value


def read_bool(value: Any, name: str, is_form: bool) -> bool:
    if isinstance(value, bool):
        return value
    if is_form and isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    refuse(name, f"`{name}` must be true or false.")


def read_images(value: Any, name: str) -> str:
    match value:
        case "default":
            return "default"
        case "hosted":
            raise Refused("not_available", field=name, feature='`images`: "hosted"')
        case _:
            refuse(name, '`images` must be "default".')


def read_tags(value: Any, name: str) -> tuple[str, ...]:
    """Reads an array, or a string with commas or semicolons between the tags; double ones count once."""
    if isinstance(value, str):
        items: list[Any] = [tag.strip() for tag in re.split("[,;]", value, maxsplit=MAX_TAGS + 1) if tag.strip()]
    elif isinstance(value, list):
        items = value
    else:
        refuse(name, '`tags` must be an array of strings, as ["invoice", "october"].')
    if len(items) > MAX_TAGS:
        refuse(name, f"There are more than {MAX_TAGS} tags; use fewer.")
    for n, tag in enumerate(items):
        where = f"{name}[{n}]"
        if not isinstance(tag, str) or not tag:
            refuse(where, "A tag must be a string that is not empty.")
        if len(tag) > MAX_TAG_LENGTH:
            refuse(where, f"A tag is longer than {MAX_TAG_LENGTH} characters; shorten it.")
        if _TAG_BREAK.search(tag):
            refuse(where, "A tag must not have white space or a semicolon in it; use a hyphen.")
    return tuple(dict.fromkeys(items))


def read_time(value: Any, name: str) -> datetime:
    """Reads `YYYY-MM-DD hh:mm:ss` as UTC, strictly."""
    if isinstance(value, str) and _TIME.match(value):
        try:
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        except ValueError:
            pass
    refuse(name, f"`{name}` must be a time in UTC written as YYYY-MM-DD hh:mm:ss, such as 2027-01-31 18:30:00.")


def read_dsn(value: Any, name: str, unknown: list[str]) -> Dsn:
    """Reads the notification wishes of RFC 3461 4. Names that are not known are added to `unknown`."""
    if not isinstance(value, dict):
        refuse(name, '`dsn` must be an object, as {"notify": "FAILURE,DELAY", "ret": "HDRS"}.')
    given = {key: part for key, part in value.items() if part is not None and part != ""}
    unknown.extend(f"{name}.{key}" for key in given if key not in ("notify", "ret", "envid", "orcpt"))
    ret = read_text(given.get("ret", "HDRS"), f"{name}.ret").upper()
    if ret not in ("FULL", "HDRS"):
        refuse(f"{name}.ret", "`ret` must be FULL or HDRS.")
    envid = _printable(given.get("envid", ""), f"{name}.envid", MAX_ENVID_LENGTH)
    orcpt = _printable(given.get("orcpt", ""), f"{name}.orcpt", MAX_ORCPT_LENGTH)
    if orcpt and not _ORCPT_TYPE.match(orcpt):
        orcpt = f"rfc822;{orcpt}"
    return Dsn(_read_notify(given.get("notify", "FAILURE"), f"{name}.notify"), ret, envid, orcpt)


def _read_notify(value: Any, name: str) -> frozenset[Notify]:
    words = value.split(",", 8) if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        refuse(name, "`notify` must be NEVER, or some of FAILURE, SUCCESS and DELAY with commas between them.")
    found = {word.strip().upper() for word in words}
    if not found or not found <= set(Notify):
        refuse(name, "`notify` must be NEVER, or some of FAILURE, SUCCESS and DELAY with commas between them.")
    if "NEVER" in found and len(found) > 1:  # RFC 3461 4.1
        refuse(name, "`notify` cannot be NEVER together with anything else.")
    return frozenset(map(Notify, found))


def _printable(value: Any, name: str, limit: int) -> str:
    text = read_text(value, name)
    if len(text) > limit or not _PRINTABLE.match(text):
        refuse(name, f"`{name}` must be at most {limit} printable ASCII characters.")
    return text
