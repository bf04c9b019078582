"""Files that go with a mail: brought into the one form in which they are stored, checked, and written as MIME parts.

`complete` is what a door calls; it fills in what was left out, so that what is stored says all that is sent, and a
later version with another table of types sends the same. `check_attachments` refuses what is not in that form.

A file is sent in base64, octet for octet, with no character set that its sender did not name. One type is different:
RFC 2046 5.2.1 forbids base64 for message/rfc822, so a message that is ASCII in short lines is sent as it is (with CRLF
line ends, its canonical form), and any other as application/octet-stream, which keeps its octets. The rest of message/*
and multipart/* goes as application/octet-stream too: such a part would have to be a tree of ours.

RFC 2045, RFC 2046 5.2, RFC 2183, RFC 2231, RFC 2392. Raises Refused, and ValueError when a header would break (B1).
"""

import re
from collections.abc import Iterable

from smtpeter.model.parts import Attachment
from smtpeter.model.refusal import Refused
from smtpeter.wire.headers import checked, has_control, has_long_line, read_fields, split
from smtpeter.wire.mime import wrap_base64
from smtpeter.wire.mime_parameters import ascii_name, write_filename
from smtpeter.wire.mime_types import OCTETS, extension_of, type_of
from smtpeter.wire.newlines import normalize

MAX_ATTACHMENTS = 500  # well within limit L8 together with the parts that they may hold
MAX_NAME = 255
MAX_CID = 250

_MESSAGE = "message/rfc822"
# RFC 6838 4.2, in lower case; the one parameter that may be given is the character set
_TYPE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126})"
    r"(?:[ ]*;[ ]*charset=(?P<quote>\"?)(?P<charset>[a-z0-9][a-z0-9_.:+-]{0,39})(?P=quote))?[ ]*;?\Z"
)
# RFC 5322 3.6.4 with one part allowed to be alone, as `cid:logo` is what people write; RFC 2045 7, RFC 2392
_CID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+(?:@[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+)?\Z")
_FOLDERS = re.compile(r".*[/\\]", re.DOTALL)


def complete(attachment: Attachment, number: int) -> Attachment:
    """Gives the attachment in the form in which it is stored; `number` is its place in the call, from 0.

    The name loses its folders, and without one it is `attachment-1.pdf`; the type is guessed from the name when it is
    not given; angle brackets and `cid:` around a cid go. What a file at a URL is called, and its type, is known only when
    it is fetched, so there only what was given is brought into form. Again applied, it changes nothing. Raises Refused.
    """
    where = f"attachments[{number}]"
    name = _name(attachment.name, f"{where}.name")
    named = _type(attachment.type, f"{where}.type")
    if attachment.url:
        return Attachment(b"", name, named, _cid(attachment.cid, f"{where}.cid"), attachment.url)
    given = named or type_of(name)
    data, kind = _data_and_type(attachment.data, given)
    name = name or f"attachment-{number + 1}{extension_of(given.partition(';')[0])}"
    return Attachment(data, name, kind, _cid(attachment.cid, f"{where}.cid"))


def check_attachments(attachments: Iterable[Attachment]) -> None:
    """Refuses what `complete` did not make, too many of them, and two embeds with one cid."""
    cids: set[str] = set()
    for number, attachment in enumerate(attachments):
        where = f"attachments[{number}]"
        if number >= MAX_ATTACHMENTS:
            raise _refused("attachments", f"At most {MAX_ATTACHMENTS} attachments are taken.")
        if complete(attachment, number) != attachment:
            raise _refused(where, "The name, type or cid of the attachment is not in its normal form.")
        if attachment.cid in cids:
            raise _refused(f"{where}.cid", f"The cid {attachment.cid!r} is given to two attachments.")
        if attachment.cid:
            cids.add(attachment.cid)


def _refused(field: str, reason: str) -> Refused:
    return Refused("invalid_request", field=field, reason=reason)


def _name(name: str, field: str) -> str:
    """Gives the name of a file without folders (of any system) and blanks around it, "" when nothing is left."""
    if has_control(name):
        raise _refused(field, "The name of an attachment must not hold line breaks or other control characters.")
    name = file_name(name)
    if len(name) > MAX_NAME:
        raise _refused(field, f"The name of an attachment has at most {MAX_NAME} characters.")
    return name


def file_name(name: str) -> str:
    """Gives the last part of a path of any system, without blanks around it; "" for one that names only a folder."""
    name = _FOLDERS.sub("", name).strip()
    return "" if name in (".", "..") else name


def _type(kind: str, field: str) -> str:
    if not kind:
        return ""
    found = _TYPE.match(kind.strip(" ").lower())
    if not found:
        advice = "write it as application/pdf or text/csv; charset=utf-8, without other parameters."
        raise _refused(field, f"{kind[:100]!r} is not a media type; {advice}")
    return f"{found['name']}; charset={found['charset']}" if found["charset"] else found["name"]


def _data_and_type(data: bytes, kind: str) -> tuple[bytes, str]:
    """Gives both as they are sent; see the head of this file for message/* and multipart/*."""
    if not kind.startswith(("message/", "multipart/")):
        return data, kind
    if kind == _MESSAGE and data.isascii() and b"\0" not in data:
        message = normalize(data)
        fields = read_fields(split(message)[0])
        if fields and all(field.name for field in fields) and not has_long_line(message):
            return message, kind
    return data, OCTETS


def _cid(cid: str, field: str) -> str:
    cid = cid.strip(" ")
    if cid.startswith("<") and cid.endswith(">"):
        cid = cid[1:-1]
    cid = cid.removeprefix("cid:")
    if cid and (len(cid) > MAX_CID or not _CID.match(cid)):
        rule = f"up to {MAX_CID} letters, digits and signs such as - _ and ., with or without one @"
        raise _refused(field, f"{cid[:100]!r} cannot be a cid; it has {rule}.")
    return cid


def attachment_part(attachment: Attachment) -> bytes:
    """Gives the MIME part: shown within the text when it has a cid, else a file beside it. Raises ValueError (B1)."""
    name, is_message = attachment.name, attachment.type == _MESSAGE
    if has_control(f"{name}{attachment.type}{attachment.cid}"):
        # percent-encoded in a name it would pass the check of the header, and come back
        raise ValueError("The name, type or cid of an attachment holds a control character.")
    content_type = [attachment.type or OCTETS, *([f'name="{ascii_name(name)}"'] if name else [])]
    disposition = ["inline" if attachment.cid else "attachment", *write_filename(name)]
    fields = [
        _field("Content-Type", content_type),
        f"Content-Transfer-Encoding: {'7bit' if is_message else 'base64'}\r\n",
        _field("Content-Disposition", disposition),
    ]
    if attachment.cid:
        fields.append(f"Content-ID: <{attachment.cid}>\r\n")
    head = checked("".join(fields).encode("ascii"), len(fields))
    return b"%b\r\n%b" % (head, attachment.data if is_message else wrap_base64(attachment.data))


def _field(name: str, parameters: Iterable[str]) -> str:
    """Gives a field with each parameter on a line of its own."""
    return f"{name}: " + ";\r\n ".join(parameters) + "\r\n"
