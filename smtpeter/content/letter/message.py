"""A mail written as MIME, for those who want to look at it or send it elsewhere (templates.md 9.2).

The body is that of a send call with the same texts and files; the header is the document's own: nothing is added but
Date, Message-ID and MIME-Version, Bcc stays, and From is missing when the document has none. The dates and the
Message-ID come in, so that the rest is the same each time.

RFC 5322 3.6. Raises ValueError when a header would break (B1).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from smtpeter.content.attachments import complete, file_name
from smtpeter.content.compose import compose
from smtpeter.content.letter.letter import Mail
from smtpeter.content.template.document import File
from smtpeter.content.template.problem import Problem
from smtpeter.content.template.reading import Resource
from smtpeter.model.parts import Attachment, Mailbox, Parts
from smtpeter.model.refusal import Refused
from smtpeter.wire.dkim import Signer, sign
from smtpeter.wire.headers import checked, read_fields, split, write_date, write_field
from smtpeter.wire.mailboxes import write_list

_MAX_NAME = 200
_NOBODY = Mailbox("nobody@invalid")


def write_message(
    mail: Mail,
    embeds: Mapping[str, Resource] | None = None,
    *,
    date: datetime,
    message_id: str,
    signers: Sequence[Signer] = (),
) -> bytes:
    """Gives the whole message with CRLF line ends. `embeds` are the images in it by their Content-ID."""
    files = attachments_of(mail.files)
    shown = tuple([_embed(cid, image) for cid, image in (embeds or {}).items()])
    body = compose(
        Parts(_NOBODY, text=mail.text or None, html=mail.html, attachments=(*shown, *files)),
        recipient=_NOBODY.address,
        message_id="",
        date=date,
    )
    head, content = split(body)
    own = [field.raw for field in read_fields(head) if field.name.startswith(b"content-")]
    fields = [*_fields(mail, date, message_id), *own]
    written = checked(b"".join(fields), len(fields))
    return sign(signers, written, content, date) + written + b"\r\n" + content


def _fields(mail: Mail, date: datetime, message_id: str) -> list[bytes]:
    fields = []
    for name, boxes in (
        ("From", () if mail.sender is None else (mail.sender,)),
        ("Reply-To", () if mail.reply_to is None else (mail.reply_to,)),
        ("To", mail.to),
        ("Cc", mail.cc),
        ("Bcc", mail.bcc),
    ):
        if boxes:
            fields.append(write_list(name, boxes))
    if mail.subject is not None:
        fields.append(write_field("Subject", mail.subject))
    fields += [write_field(name, value) for name, value in mail.headers]
    given = {name.lower() for name, _ in mail.headers}
    if "date" not in given:
        fields.append(f"Date: {write_date(date)}\r\n".encode())
    if "message-id" not in given:
        fields.append(f"Message-ID: <{message_id}>\r\n".encode())
    fields.append(b"MIME-Version: 1.0\r\n")
    return fields


def attachments_of(files: Iterable[File]) -> tuple[Attachment, ...]:
    """Gives the files as a send call would have them; those without content are left out."""
    return tuple([_attachment(file, number) for number, file in enumerate(files) if file.content is not None])


def failed_attachments(files: Iterable[File], resources: Mapping[str, Resource | None]) -> tuple[Problem, ...]:
    """Gives a problem for each file that was looked for and is not there; what nobody could look for is none."""
    return tuple(
        [
            Problem("attachment-failed", f"/attachments/{number}", "The file of this attachment is not there.")
            for number, file in enumerate(files)
            if file.content is None and (not file.url or resources.get(file.url, file) is None)
        ]
    )


def _attachment(file: File, number: int) -> Attachment:
    name = file_name(file.name)[:_MAX_NAME]
    for kind in (file.type, file.type.partition(";")[0], ""):
        try:
            return complete(Attachment(file.content or b"", name, kind), number)
        except Refused:  # a server may say anything of a type
            continue
    return complete(Attachment(file.content or b""), number)


def _embed(cid: str, image: Resource) -> Attachment:
    return Attachment(image.content, "", image.type.partition(";")[0].strip().lower(), cid)
