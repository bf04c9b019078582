"""A letter: a template document compiled once, and filled in with the values of each of its readers.

`Letters.get` gives the letter of a document, `Letter.mail` what one reader gets, `Letter.webversion` the page that shows
it, `write_message` the mail as MIME. Without values tags stay as they were written. Pure; what is named by URL comes in
as resources, and `Letter.compiled.wanted` says what would be fetched.

Raises TemplateError for a document of which nothing can be made, and TagError where tags cannot be filled in.
"""

from smtpeter.content.letter.letter import Letter, Mail, TagError
from smtpeter.content.letter.letters import Letters
from smtpeter.content.letter.message import attachments_of, failed_attachments, write_message
from smtpeter.content.letter.values import PREVIEW, Values

__all__ = [
    "PREVIEW",
    "Letter",
    "Letters",
    "Mail",
    "TagError",
    "Values",
    "attachments_of",
    "failed_attachments",
    "write_message",
]
