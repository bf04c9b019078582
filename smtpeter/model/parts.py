"""The properties of a send call that make up its content, as they are stored until rendering.

Stored as JSON by msgspec (`encode`, `decode`), so that a mail is composed late, from the same values each time.
"""

import msgspec


class Mailbox(msgspec.Struct, frozen=True, array_like=True):
    """One address with the name shown beside it ("" when there is none)."""

    address: str
    name: str = ""


class Parts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Header fields and bodies. `to` empty: the recipient of the message. `headers`: extra fields, x-* only."""

    sender: Mailbox
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    replyto: tuple[Mailbox, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


def encode(parts: Parts) -> bytes:
    """Gives the stored form."""
    return msgspec.json.encode(parts)


def decode(content: bytes) -> Parts:
    """Reads the stored form. Raises msgspec.ValidationError when it is not ours."""
    return msgspec.json.decode(content, type=Parts)
