"""Links in a plain text, for accounts that track them there too. Linear; raises nothing."""

import re

from smtpeter.content.rewrite.address import MAX_ADDRESS, read_address
from smtpeter.content.rewrite.html import RewrittenHtml
from smtpeter.content.rewrite.segments import Segment, target_slot
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.wire.token import Kind

# the letter case of the scheme alone is ignored: beyond ASCII there are letters whose other case is s or k
_LINK = re.compile(r"(?i:https?)://[^\s<>\"\u00a0-\uffff\U00010000-\U0010ffff]+")
_SENTENCE_END = ".,;:!?'*_"
_CLOSING = {")": "(", "]": "[", "}": "{"}


def compile_text(text: str, settings: Rewriting) -> RewrittenHtml:
    """Gives the text with its links tracked, where the settings say so."""
    segments: list[Segment] = []
    at = 0
    for found in _LINK.finditer(text) if settings.plain_text and settings.clicks else ():
        written = _without_sentence_end(found[0]) if len(found[0]) <= MAX_ADDRESS else ""
        address = read_address(written)
        if address is None or address.host == settings.host or written in settings.excluded:
            continue
        segments += (text[at : found.start()], target_slot(Kind.CLICK, settings.base, address, written, written))
        at = found.start() + len(written)
    return RewrittenHtml((*segments, text[at:]), bool(segments))


def _without_sentence_end(link: str) -> str:
    """Gives the link without what belongs to the sentence around it."""
    end = len(link)
    while end:
        character = link[end - 1]
        opening = _CLOSING.get(character, character)
        is_too_many = link.count(character, 0, end) > link.count(opening, 0, end)
        if character not in _SENTENCE_END and not is_too_many:
            break
        end -= 1
    return link[:end]
