"""The text part of a mail that came with HTML alone, by the rule for HTML of templates.md 9.3. Linear; raises nothing."""

from smtpeter.content.template.plaintext import to_text
from smtpeter.content.template.tags import clean, plain, without_braces


def text_of_html(html: str) -> str:
    """Gives the text of a page whose tags are filled in: its braces mean nothing any more."""
    return plain(to_text(without_braces(clean(html)), str))
