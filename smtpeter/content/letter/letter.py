"""One compiled document and its tags: subject, addresses, headers, bodies, with and without the values of a reader.

The document is compiled first and personalized second (templates.md 8.2), so each of its pieces is a source of the
personalization language that is compiled when it is first needed. A letter may be shared by threads: at worst two of
them compile the same piece.

Header values are cleaned behind personalization, and addresses are parsed behind it, so no value can end a field or add a
mailbox (B1). Raises TagError.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from smtpeter.content.letter.signing import signers_of
from smtpeter.content.letter.values import Values
from smtpeter.content.personalize import PersonalizationError, Pieces, Template, clean_header, compile_text
from smtpeter.content.template.compile import Compiled
from smtpeter.content.template.document import File
from smtpeter.content.template.problem import Problem, shown
from smtpeter.content.template.tags import has_tag, without_tags
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.parts import Mailbox
from smtpeter.wire.dkim import Signer
from smtpeter.wire.mailboxes import parse_mailbox

_CONTENT = "/content"


class TagError(Exception):
    """Tags that cannot be filled in: `error` has the position in the piece of the document that `path` names."""

    def __init__(self, path: str, error: PersonalizationError) -> None:
        super().__init__(error.message)
        self.path = path
        self.error = error


@dataclass(frozen=True, slots=True)
class Mail:
    """What one reader gets. `text` "" when there is no text part; `problems` are addresses that were left out."""

    sender: Mailbox | None
    reply_to: Mailbox | None
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    bcc: tuple[Mailbox, ...]
    subject: str | None
    headers: tuple[tuple[str, str], ...]
    text_pieces: Pieces = field(repr=False)
    html_pieces: Pieces = field(repr=False)
    files: tuple[File, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def text(self) -> str:
        return self.text_pieces.text

    @property
    def html(self) -> str:
        return self.html_pieces.text


class Letter:
    """A document that is ready to be filled in for any number of readers."""

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self._templates: dict[str, Template] = {}
        self._signing: tuple[tuple[Signer, ...], tuple[Problem, ...]] | None = None

    @property
    def signing(self) -> tuple[tuple[Signer, ...], tuple[Problem, ...]]:
        """The signers of the document's own keys, and what is wrong with those that cannot sign."""
        if self._signing is None:  # loading keys is dear
            self._signing = signers_of(self.compiled.signatures)
        return self._signing

    def mail(self, values: Values | None, images: Mapping[str, str] | None = None) -> Mail:
        """Gives the mail; in its HTML `images` exchanges URLs, as written, for instance for `cid:…`."""
        problems: list[Problem] = []
        head = self.compiled.head
        sender = self._boxes("/from", () if head.from_ is None else (head.from_,), values, problems)
        reply_to = self._boxes("/replyTo", () if head.reply_to is None else (head.reply_to,), values, problems)
        return Mail(
            sender=sender[0] if sender else None,
            reply_to=reply_to[0] if reply_to else None,
            to=self._boxes("/to", head.to, values, problems),
            cc=self._boxes("/cc", head.cc, values, problems),
            bcc=self._boxes("/bcc", head.bcc, values, problems),
            subject=None if head.subject is None else self._line("/subject", head.subject, values),
            headers=tuple([(name, self._line(_header(name), value, values)) for name, value in head.headers]),
            text_pieces=self._text(values),
            html_pieces=self._html(values, images),
            files=head.attachments,
            problems=tuple(problems),
        )

    def html(self, values: Values | None, images: Mapping[str, str] | None = None) -> str:
        """Gives the HTML for mail clients."""
        return self._html(values, images).text

    def _html(self, values: Values | None, images: Mapping[str, str] | None = None) -> Pieces:
        if images:
            source = self.compiled.embedded(images, is_code=values is not None)
            return Pieces((source,)) if values is None else self._pieces_of(_CONTENT, source, values, is_kept=False)
        if values is None:
            return Pieces((self.compiled.unpersonalized.html,))
        return self._pieces_of(_CONTENT, self.compiled.html, values)

    def webversion(self, values: Values | None) -> str:
        """Gives the HTML for browsers."""
        if values is None:
            return self.compiled.unpersonalized.webversion
        return self._render(_CONTENT, self.compiled.webversion, values)

    def text(self, values: Values | None) -> str:
        """Gives the text version, "" when there is none."""
        return self._text(values).text

    def _text(self, values: Values | None) -> Pieces:
        if values is None:
            return Pieces((self.compiled.unpersonalized.text,))
        return self._pieces_of(self._text_path, self.compiled.text, values)

    def url(self, url: str, values: Values | None) -> str | None:
        """Gives a URL of the document as it can be fetched; None when tags are in it that cannot be filled in."""
        if not has_tag(url):
            return url
        if values is None:
            return None
        try:
            return self._render("", url, values, is_kept=False)
        except TagError:
            return None

    def tag_problems(self) -> tuple[Problem, ...]:
        """Gives what is wrong with the tags, as `personalization` problems; one for each place."""
        return tuple([Problem("personalization", fault.path, fault.error.message) for fault in self.tag_errors()])

    def tag_errors(self) -> tuple[TagError, ...]:
        """Gives what is wrong with the tags with its position; one for each place."""
        found: dict[str, TagError] = {}
        for path, source in self._pieces():
            try:
                compile_text(source)
            except PersonalizationError as error:
                found.setdefault(path, TagError(path, error))
        if "/subject" in found:
            found.pop(_CONTENT, None)  # most likely the same fault: the subject is the title of the page
        return tuple(found.values())

    @property
    def _text_path(self) -> str:
        return _CONTENT if self.compiled.document.body.text is None else "/text"

    def _pieces(self) -> Iterator[tuple[str, str]]:
        head = self.compiled.head
        yield "/subject", head.subject or ""
        for path, boxes in (
            ("/from", () if head.from_ is None else (head.from_,)),
            ("/replyTo", () if head.reply_to is None else (head.reply_to,)),
            ("/to", head.to),
            ("/cc", head.cc),
            ("/bcc", head.bcc),
        ):
            for box in boxes:
                yield path, box.address
                yield path, box.name
        for name, value in head.headers:
            yield _header(name), value
        yield _CONTENT, self.compiled.html
        yield _CONTENT, self.compiled.webversion
        yield self._text_path, self.compiled.text

    def _render(self, path: str, source: str, values: Values, *, is_kept: bool = True) -> str:
        return self._pieces_of(path, source, values, is_kept=is_kept).text

    def over_own(self, values: Values) -> Values:
        """Gives the values laid over the data of the document, by their top-level names."""
        own = self.compiled.data
        return replace(values, data={**own, **values.data}) if own else values

    def _pieces_of(self, path: str, source: str, values: Values, *, is_kept: bool = True) -> Pieces:
        template = self._compiled(path, source, is_kept=is_kept)
        if template is None:
            return Pieces((source,))
        data = self.over_own(values).data
        try:
            return template.pieces(data, now=values.now, automatic=values.automatic, clock=values.clock)
        except PersonalizationError as error:
            raise TagError(path, error) from None

    def _compiled(self, path: str, source: str, *, is_kept: bool = True) -> Template | None:
        """Gives the template of a piece, None when nothing in it is to be filled in."""
        # braces and the bracketed names of braces are all that means anything (personalization.md 2)
        if "{" not in source and "[" not in source:
            return None
        template = self._templates.get(source)
        if template is None:
            try:
                template = compile_text(source)
            except PersonalizationError as error:
                raise TagError(path, error) from None
            if is_kept:
                self._templates[source] = template
        return template

    def _line(self, path: str, source: str, values: Values | None) -> str:
        return source if values is None else clean_header(self._render(path, source, values))

    def _boxes(
        self, path: str, boxes: Iterable[Mailbox], values: Values | None, problems: list[Problem]
    ) -> tuple[Mailbox, ...]:
        found = []
        for box in boxes:
            try:
                found.append(self._box(path, box, values))
            except AddressError:
                sentence = f"{shown(box.address)} gives no address; it is left out."
                problems.append(Problem("bad-value", path, sentence))
        return tuple(found)

    def _box(self, path: str, box: Mailbox, values: Values | None) -> Mailbox:
        """Gives the mailbox as it is written. Raises AddressError."""
        if values is None:
            return box if has_tag(box.address) else Mailbox(str(parse_address(box.address)), box.name)
        address = clean_header(self._render(path, box.address, values))
        if not box.name and "@" not in without_tags(box.address):
            return parse_mailbox(address)  # the values make all of it, perhaps with a name, but never two
        return Mailbox(str(parse_address(address)), self._line(path, box.name, values))


def _header(name: str) -> str:
    return f"/headers/{name.replace('~', '~0')}"  # RFC 6901 3; a slash cannot be in the name of a field
