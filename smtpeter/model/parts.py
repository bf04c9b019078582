"""The properties of a send call that make up its content, as they are stored until rendering.

Stored as JSON by msgspec (`encode`, `decode`), so that a mail is composed late, from the same values each time. What
was stored by an earlier version stays readable: new properties come last and have a default.
"""

import msgspec


class Mailbox(msgspec.Struct, frozen=True, array_like=True):
    """One address with the name shown beside it ("" when there is none)."""

    address: str
    name: str = ""


class Attachment(msgspec.Struct, frozen=True, array_like=True):
    """One file. `type` as "text/csv" or "text/csv; charset=utf-8"; `cid` "" when no text refers to it.

    With a `cid` (no angle brackets) it is an embed: shown within the text, which names it as `cid:…`. With a `url` there
    is no `data`: what is found there is the file.
    """

    data: bytes
    name: str = ""
    type: str = ""
    cid: str = ""
    url: str = ""

    def __repr__(self) -> str:
        what = self.url or f"{len(self.data)} bytes"
        return f"Attachment({what}, name={self.name!r}, type={self.type!r}, cid={self.cid!r})"


class Unsubscribe(msgspec.Struct, frozen=True, array_like=True):
    """Where a reader leaves the list: an address, a web address, or both; `oneclick`: the web address takes RFC 8058."""

    email: str = ""
    url: str = ""
    oneclick: bool = False


class Parts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Header fields and bodies. `to` empty: the recipient of the message. `headers`: extra fields, x-* only.

    `blind` are addresses that To does not show although they are recipients and `to` is empty.
    """

    sender: Mailbox
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    replyto: tuple[Mailbox, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    unsubscribe: Unsubscribe | None = None
    blind: tuple[str, ...] = ()


class LetterParts(msgspec.Struct, frozen=True, omit_defaults=True):
    """A template document (JSON) with all that the call changes of it. `unsubscribe` and `blind` as in `Parts`.

    `attachments` are files that the call brought along, behind those of the document; they have no `url`.
    """

    document: str
    unsubscribe: Unsubscribe | None = None
    blind: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()


def encode(parts: Parts | LetterParts) -> bytes:
    """Gives the stored form."""
    return msgspec.json.encode(parts)


def decode_letter(content: bytes) -> LetterParts:
    """Reads the stored form of a document. Raises msgspec.ValidationError when it is not ours."""
    return msgspec.json.decode(content, type=LetterParts)


def decode(content: bytes) -> Parts:
    """Reads the stored form. Raises msgspec.ValidationError when it is not ours."""
    return msgspec.json.decode(content, type=Parts)
