"""Files in a call: `attachments`, their content in base64, or a part of a multipart form.

What a file is called, its type and its cid are completed and checked where mails are composed (content/attachments.py).
"""

import binascii
import re
from typing import Any

from smtpeter.content.attachments import MAX_ATTACHMENTS, complete
from smtpeter.doors.rest.declare import Kind, Property, Reading, Table, schema_of, wrong
from smtpeter.doors.rest.form import File
from smtpeter.doors.rest.kinds import text
from smtpeter.doors.rest.properties import is_empty
from smtpeter.model.parts import Attachment
from smtpeter.wire.newlines import normalize
from smtpeter.world.fetch.target import MAX_URL_CHARACTERS

_BREAKS = str.maketrans("", "", "\r\n")
_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/=\r\n]")

_PADDING = re.compile("=")


def _read_content(value: Any, name: str, reading: Reading) -> str:
    """Reads a text, which a form may also hold as a file."""
    if isinstance(value, File):
        try:
            return value.data.decode("utf-8")
        except UnicodeDecodeError as trouble:
            raise wrong(name, f"The file in `{name}` is not UTF-8 at its byte {trouble.start + 1}.") from None
    if not isinstance(value, str):
        raise wrong(name, f"`{name}` must be a string.")
    return value


def _read_mime(value: Any, name: str, reading: Reading) -> bytes:
    content = value.data if isinstance(value, File) else _read_content(value, name, reading).encode()
    if not content:
        raise wrong(name, f"`{name}` is empty; give a whole message, header and body, or the single properties.")
    return normalize(content)


CONTENT = Kind({"type": "string"}, _read_content)
MIME = Kind({"type": "string"}, _read_mime)


def _read_data(value: Any, name: str, reading: Reading) -> bytes:
    """Reads base64 (RFC 4648 4), strictly; it may be broken into lines, as many libraries write it."""
    if isinstance(value, File):
        return value.data
    if not isinstance(value, str):
        raise wrong(name, f"`{name}` must be the file in base64, in a string.")
    try:
        return binascii.a2b_base64(value.translate(_BREAKS) if "\n" in value else value, strict_mode=True)
    except ValueError:
        raise wrong(name, f"`{name}` is not base64: {_fault(value, is_form=reading.is_form)}.") from None


def _fault(value: str, *, is_form: bool) -> str:
    """Gives what is wrong, with the position of the character, from 1."""
    plain = value.rstrip("=\r\n")
    if strange := _NO_BASE64.search(plain) or _PADDING.search(plain):
        at = f"the character {strange[0]!r} at position {strange.start() + 1} is not in its alphabet"
        return f"{at}; write + as %2B in a form" if is_form and strange[0] == " " else at
    count = len(plain.translate(_BREAKS)) % 4
    padding = value.count("=", len(plain))
    if count == 1:
        return f"something is missing at its end, position {len(plain) + 1}"
    return f"{padding} = stand at its end, position {len(plain) + 1}, where {-count % 4} must be"


_ATTACHMENT = Table(
    Property(
        "data",
        Kind({"type": "string", "contentEncoding": "base64"}, _read_data),
        "The content in base64.",
        "SGVsbG8=",
    ),
    Property("name", text(), "The name of the file; `attachment-1` and so on when absent.", "hello.txt"),
    Property("type", text(), "The media type; guessed from the name when absent.", "text/plain"),
    Property("cid", text(), "Makes it an embed, which the HTML shows by `cid:` and this name.", "logo"),
    Property(
        "url",
        text(most=MAX_URL_CHARACTERS),
        "Where the file is, instead of `data`: http or https. It is fetched before the mail is sent, up to 25 MiB.",
        "https://example.com/invoice.pdf",
    ),
)


def _read_attachment(value: Any, name: str, number: int, reading: Reading) -> Attachment:
    if isinstance(value, File):
        return complete(Attachment(value.data, value.name, value.type), number)
    if not isinstance(value, dict):
        raise wrong(name, f'`{name}` must be an object, as {{"data": "SGVsbG8=", "name": "hello.txt"}}.')
    given = _ATTACHMENT.read(value, reading, f"{name}.")
    if url := given.get("url", ""):
        if given.get("data"):
            raise wrong(f"{name}.url", f"`{name}` has `data` and `url`; give one of them.")
        return complete(
            Attachment(b"", given.get("name", ""), given.get("type", ""), given.get("cid", ""), url), number
        )
    if "data" not in given:
        raise wrong(f"{name}.data", f"`{name}.data` is missing; give the file in base64, or its address in `url`.")
    file = value["data"]
    shown = (file.name, file.type) if isinstance(file, File) else ("", "")
    named, kind = given.get("name") or shown[0], given.get("type") or shown[1]
    return complete(Attachment(given["data"], named, kind, given.get("cid", "")), number)


def _read_attachments(value: Any, name: str, reading: Reading) -> tuple[Attachment, ...]:
    if is_empty(value):
        return ()
    if isinstance(value, dict) and all(map(str.isdecimal, value)):  # a form that numbers its files in a way of its own
        value = list(value.values())
    items = [value] if isinstance(value, File | dict) else value
    if not isinstance(items, list):
        raise wrong(name, f"`{name}` must be an array of objects.")
    if len(items) > MAX_ATTACHMENTS:
        raise wrong(name, f"At most {MAX_ATTACHMENTS} attachments are taken.")
    return tuple([_read_attachment(item, f"{name}[{n}]", n, reading) for n, item in enumerate(items)])


ATTACHMENTS = Kind(
    {"type": "array", "items": schema_of(_ATTACHMENT), "maxItems": MAX_ATTACHMENTS},
    _read_attachments,
)
