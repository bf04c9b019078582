"""A template document as a mail for one recipient: its letter, what the call changes of it, its files (templates.md 2, 9.2).

The document says its own sender, addressees, subject and header fields; they say nothing about who receives it. What a
mail server or we ourselves write is never taken from it. Files are encoded once.

Raises FileMissing, TagError, PersonalizationError, AddressError for a sender that values make none, Refused for what values
made of `unsubscribe`, and ValueError when a header would break (B1).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from smtpeter.content.compose import Files, encode_files
from smtpeter.content.filled.leaving import Leaving, compile_leaving
from smtpeter.content.filled.parts import FileMissing
from smtpeter.content.filled.texts import Texts
from smtpeter.content.letter import Letter, Mail, Values, attachments_of
from smtpeter.model.address import AddressError
from smtpeter.model.parts import LetterParts, Parts

# written by us, by hosts on the way, or for us; a sender comes from the document's own property alone
_REFUSED = frozenset(
    {"from", "received", "return-path", "bcc", "resent-bcc", "mime-version", "authentication-results"}
    | {"dkim-signature", "domainkey-signature"}
)
_REFUSED_PREFIXES = ("content-", "arc-", "x-smtpeter-")
_UNSUBSCRIBE = frozenset({"list-unsubscribe", "list-unsubscribe-post"})
# RFC 5322 3.6: what there is at most one of
_ONCE = frozenset({"date", "sender", "reply-to", "to", "cc", "message-id", "in-reply-to", "references", "subject"})


@dataclass(frozen=True, slots=True)
class LetterPlan:
    """A letter with what the call says of it, and its files. `size` is about what it holds, in octets."""

    letter: Letter
    call: LetterParts
    leaving: Leaving | None
    files: Files
    size: int

    def fill(self, values: Values) -> tuple[Parts, Texts]:
        """Gives the properties that the header of one message is written of, and what its body is composed of."""
        mail = self.letter.mail(values)
        return self._head(mail, values), Texts(mail.html_pieces, mail.text_pieces if mail.text else None, self.files)

    def _head(self, mail: Mail, values: Values) -> Parts:
        if mail.sender is None:
            raise AddressError("the sender of the document gives no address.")
        return Parts(
            mail.sender,
            to=mail.to,
            cc=mail.cc,
            replyto=() if mail.reply_to is None else (mail.reply_to,),
            subject=mail.subject or "",
            headers=tuple(_headers(mail, self.call)),
            unsubscribe=self.leaving.fill(self.letter.over_own(values)) if self.leaving else None,
            blind=self.call.blind,
        )


def plan_letter(letter: Letter, call: LetterParts) -> LetterPlan:
    """Gives the letter with its files encoded. Raises FileMissing for one that is not there."""
    for file in letter.compiled.attachments:
        if file.content is None:
            raise FileMissing(file.url)
    files = encode_files((*attachments_of(letter.compiled.attachments), *call.attachments))
    compiled = letter.compiled
    size = files.size + 12 * (len(compiled.html) + len(compiled.text)) + len(call.document)
    leaving = compile_leaving(call.unsubscribe, is_full=True) if call.unsubscribe else None
    return LetterPlan(letter, call, leaving, files, size)


def _headers(mail: Mail, call: LetterParts) -> Iterator[tuple[str, str]]:
    """Gives the fields of the document that may stand in a mail of ours, those that can stand once the first time."""
    seen: set[str] = set()
    for name, value in mail.headers:
        key = name.lower()
        is_replaced = call.unsubscribe is not None and key in _UNSUBSCRIBE  # the call says how readers leave
        if key in _REFUSED or key.startswith(_REFUSED_PREFIXES) or is_replaced or (key in _ONCE and key in seen):
            continue
        seen.add(key)
        yield name, value
