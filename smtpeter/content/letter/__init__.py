"""A letter: a template document compiled once, and filled in with the values of each of its readers.

`Letters.get` gives the letter of a document, `Letter.mail` what one reader gets, `Letter.webversion` the page that shows
it, `write_message` the mail as MIME, `convert` any of the formats. Without values tags stay as they were written. Pure;
what is named by URL comes in as resources, and `Letter.compiled.wanted` says what would be fetched.

Raises TemplateError for a document of which nothing can be made, and TagError where tags cannot be filled in.
"""

from smtpeter.content.letter.check import Checked, check, to_json
from smtpeter.content.letter.formats import Converted, Format, convert
from smtpeter.content.letter.letter import Letter, Mail, TagError
from smtpeter.content.letter.letters import Letters
from smtpeter.content.letter.message import attachments_of, failed_attachments, write_message
from smtpeter.content.letter.sending import check_sendable, for_sending, shown
from smtpeter.content.letter.values import PREVIEW, Values

__all__ = [
    "PREVIEW",
    "Checked",
    "Converted",
    "Format",
    "Letter",
    "Letters",
    "Mail",
    "TagError",
    "Values",
    "attachments_of",
    "check",
    "check_sendable",
    "convert",
    "failed_attachments",
    "for_sending",
    "shown",
    "to_json",
    "write_message",
]
