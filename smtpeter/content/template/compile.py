"""Compiles a template document: JSON in, HTML for mail and web, text, and the values of the message out.

Pure, and the same for the same input. What the document names by URL is looked up in `resources`; what is not there is
listed in `Compiled.wanted`, so a caller fetches it and compiles again, until nothing is wanted. A URL with tags is listed
as it was written: it is personalized before it is fetched, and given back under the name that is listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from smtpeter.content.template.common import texts
from smtpeter.content.template.document import Body, Document, File, Head, Signature, read_document
from smtpeter.content.template.feeds import MAX_JSON_LEVELS, levels_of
from smtpeter.content.template.fields import fail
from smtpeter.content.template.fragment import decoded, images_of
from smtpeter.content.template.page import write_page
from smtpeter.content.template.patch import patched, size_of, with_properties
from smtpeter.content.template.place import Output, Place
from smtpeter.content.template.plaintext import tidied, to_text
from smtpeter.content.template.problem import STOPS_SENDING, Problem, Severity, TemplateError
from smtpeter.content.template.reading import MAX_CHARACTERS, Reading, Resource, Tally, Wanted
from smtpeter.content.template.tags import IMAGE, IMAGE_END, code, escape_value, plain
from smtpeter.model.parts import Mailbox

NO_RESOURCES: Mapping[str, Resource | None] = {}


@dataclass(frozen=True, slots=True)
class Bodies:
    """The three things that are written."""

    html: str = field(repr=False)
    webversion: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a document became. `html`, `webversion` and `text` are code of the personalization language.

    In them each variable has the modifier that its place needs; `unpersonalized` shows tags as they were written.
    `text` "" means no text part. `images` are the URLs that may be embedded, as written. `name` and `description` never
    appear in a mail.
    """

    document: Document
    html: str = field(repr=False)
    webversion: str = field(repr=False)
    text: str = field(repr=False)
    unpersonalized: Bodies
    images: tuple[str, ...]
    wanted: tuple[Wanted, ...]
    problems: tuple[Problem, ...]
    marked: Bodies  # with the marks of `tags.py`

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that are only told."""
        return tuple(one for one in self.problems if one.severity is Severity.WARNING)

    @property
    def stops_sending(self) -> tuple[Problem, ...]:
        """The problems with which no mail goes out; a missing sender is one of them."""
        found = tuple(one for one in self.problems if one.code in STOPS_SENDING)
        if self.document.head.from_ is None:
            return (*found, Problem("missing-from", "/from", "A mail needs a sender."))
        return found

    @property
    def head(self) -> Head:
        """Subject, addresses, headers, attachments, signatures."""
        return self.document.head

    @property
    def subject(self) -> str | None:
        return self.head.subject

    @property
    def from_(self) -> Mailbox | None:
        return self.head.from_

    @property
    def reply_to(self) -> Mailbox | None:
        return self.head.reply_to

    @property
    def to(self) -> tuple[Mailbox, ...]:
        return self.head.to

    @property
    def cc(self) -> tuple[Mailbox, ...]:
        return self.head.cc

    @property
    def bcc(self) -> tuple[Mailbox, ...]:
        return self.head.bcc

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return self.head.headers

    @property
    def attachments(self) -> tuple[File, ...]:
        return self.head.attachments

    @property
    def signatures(self) -> tuple[Signature, ...]:
        return self.head.signatures

    @property
    def data(self) -> Mapping[str, Any] | None:
        return self.document.data

    def embedded(self, targets: Mapping[str, str], *, is_code: bool = True) -> str:
        """Gives the HTML for mail with images exchanged: from URL to, for instance, `cid:…`; others stay."""
        parts = self.marked.html.split(IMAGE)
        for number, part in enumerate(parts[1:], start=1):
            url, _, rest = part.partition(IMAGE_END)
            target = targets.get(decoded(plain(url)))
            parts[number] = (url if target is None else escape_value(target)) + rest
        return (code if is_code else plain)("".join(parts))


def compile_document(
    document: Mapping[str, Any] | str | bytes,
    *,
    patch: Any = None,
    properties: Mapping[str, Any] | None = None,
    resources: Mapping[str, Resource | None] = NO_RESOURCES,
    icons: str = "",
) -> Compiled:
    """Compiles a document, an object or JSON, after applying `patch` (RFC 6902) and `properties` of the call.

    `resources` maps URLs to what was fetched, None to what could not be; `icons` is the base URL of the icons of share
    and follow blocks, "" for none. Raises TemplateError for what cannot be compiled at all.
    """
    raw = _object(document)
    if patch is not None:
        raw = _checked(patched(raw, patch))
    if properties:
        raw = _checked(with_properties(raw, properties))
    tally = Tally(characters=size_of(raw))
    read = read_document(raw, Reading(resources, tally))
    marked = _written(read, icons.rstrip("/"), has_colors=tally.has_colors)
    images = tuple(dict.fromkeys(plain(url) for url in images_of(marked.html)))
    return Compiled(
        document=read,
        html=code(marked.html),
        webversion=code(marked.webversion),
        text=code(marked.text),
        unpersonalized=Bodies(plain(marked.html), plain(marked.webversion), plain(marked.text)),
        images=images,
        wanted=tuple(tally.wanted),
        problems=tuple(tally.problems),
        marked=marked,
    )


def _written(document: Document, icons: str, *, has_colors: bool) -> Bodies:
    body, title = document.body, document.head.subject or ""
    mail = Place(Output.MAIL, icons=icons)
    mail = replace(mail, font=body.font.over(mail.font), rules=(body.rules,) if body.rules else ())
    web = replace(mail, output=Output.WEB)
    return Bodies(
        html=write_page(body, title, mail, has_colors=has_colors),
        webversion=write_page(body, title, web, has_colors=has_colors),
        text=_text(body, mail),
    )


def _text(body: Body, place: Place) -> str:
    if body.text is not None:
        return body.text
    if body.markup is not None:
        return to_text(body.markup, place.rewritten)
    return tidied("\n\n".join(entry for entry in texts(body.blocks, place) if entry))


def _object(document: Any) -> Mapping[str, Any]:
    if isinstance(document, str | bytes | bytearray):
        if len(document) > MAX_CHARACTERS:
            raise fail("too-large", "", f"A document has at most {MAX_CHARACTERS} characters.")
        try:
            document = msgspec.json.decode(document)
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise fail("bad-json", "", "This is no JSON.") from error
    return _checked(document)


def _checked(document: Any) -> Mapping[str, Any]:
    """Gives a document that is an object within the limits. Raises TemplateError."""
    if not isinstance(document, Mapping):
        raise fail("not-an-object", "", "A document is a JSON object.")
    if levels_of(document) > MAX_JSON_LEVELS:
        raise fail("too-large", "", f"Objects and arrays stand at most {MAX_JSON_LEVELS} levels inside each other.")
    if size_of(document) > MAX_CHARACTERS:
        raise fail("too-large", "", f"A document has at most {MAX_CHARACTERS} characters.")
    return document


def problems_of(document: Mapping[str, Any] | str | bytes) -> tuple[Problem, ...]:
    """Gives everything that is wrong with a document without what could only be known by fetching, also the fatal."""
    try:
        found = compile_document(document).problems
    except TemplateError as error:
        return error.problems
    return tuple(one for one in found if one.code != "fetch-failed")
