"""An SMTP reply: code, enhanced status and text (RFC 5321 4.2, RFC 2034, RFC 3463)."""

from msgspec import Struct

MAX_REPLY_OCTETS = 512  # RFC 5321 4.5.3.1.5, one line with its CRLF


class Reply(Struct, frozen=True):
    """What a server answers: `code` 200..599, `status` such as "2.1.0" or "" when there is none, lines of text."""

    code: int
    status: str
    lines: tuple[str, ...]

    @property
    def is_positive(self) -> bool:
        return self.code < 400

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    @property
    def text(self) -> str:
        """The text on one line, without code and status."""
        return " ".join(self.lines)

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.status, *self.lines)))

    def encode(self) -> bytes:
        """Gives the octets for the wire; the last line has a space after the code, the others a hyphen."""
        # RFC 2034 4: the enhanced status is repeated on every line
        prefix = f"{self.status} " if self.status else ""
        *first, last = self.lines or ("",)
        text = "".join(f"{self.code}-{prefix}{line}\r\n" for line in first) + f"{self.code} {prefix}{last}\r\n"
        return text.encode("utf-8", "replace")


def reply(code: int, status: str, *lines: str) -> Reply:
    """Gives a reply of one or more lines."""
    return Reply(code, status, lines)
