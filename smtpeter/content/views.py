"""A message as people look at it: its header, its text, its HTML.

The API and the development sink show these; nothing that leaves is made from them. Reading is tolerant, as it serves
display only. Raises nothing.
"""

from smtpeter.wire.encoded_words import decode_unlabelled
from smtpeter.wire.headers import split
from smtpeter.wire.mime import first_text


def headers_of(content: bytes) -> str:
    """Gives the header section as text, folding included."""
    return decode_unlabelled(split(content)[0])


def text_of(content: bytes) -> str | None:
    """Gives the text of the first plain part that is no attachment, None when there is none."""
    return first_text(content, "plain")


def html_of(content: bytes) -> str | None:
    """Gives the text of the first HTML part that is no attachment, None when there is none."""
    return first_text(content, "html")
