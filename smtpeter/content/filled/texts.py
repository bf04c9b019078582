"""The texts of one message with the values in them, and its files: composed only when somebody asks for the body.

Mail that is rewritten is seldom asked for it: its body comes from its shape (content/shape). Raises nothing.
"""

from dataclasses import dataclass, field

from smtpeter.content.compose import Files, write_body
from smtpeter.content.filled.html_text import text_of_html
from smtpeter.content.personalize import Pieces
from smtpeter.content.rewrite.settings import MAX_TEXT


@dataclass(frozen=True, slots=True)
class Texts:
    """What a body is composed of. `adds_text`: HTML alone gets a text."""

    html: Pieces | None = field(repr=False)
    text: Pieces | None = field(repr=False)
    files: Files = field(repr=False)
    adds_text: bool = False

    @property
    def is_derived(self) -> bool:
        """True when the text follows from the HTML with its values, so that values stand in two places."""
        return self.adds_text and self.text is None and self.html is not None

    @property
    def size(self) -> int:
        """About the octets of what is composed of them."""
        texts = sum([len(text) for pieces in (self.html, self.text) if pieces for text in pieces.texts])
        return texts + self.files.size

    def write(self, html: str | None, text: str | None) -> bytes:
        """Gives the Content fields, a blank line and the body for these texts."""
        return write_body(text, html, self.files)

    def compose(self) -> bytes:
        """Gives the Content fields, a blank line and the body."""
        html, text = [None if pieces is None else pieces.text for pieces in (self.html, self.text)]
        if html is not None and self.is_derived and len(html) <= MAX_TEXT:
            text = text_of_html(html) or None
        return self.write(html, text)
