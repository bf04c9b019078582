"""The document: everything at its top level, read into values; blocks are read by `blocks.py`.

Header values have no line breaks when they leave here (B1); whether what stands in them is an address is known only after
personalization.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from smtpeter.content.template.addresses import read_address, read_addresses
from smtpeter.content.template.blocks import read_blocks
from smtpeter.content.template.colors import Color
from smtpeter.content.template.common import Block, read_child_font
from smtpeter.content.template.elements import NOTHING, Extra, read_extra
from smtpeter.content.template.fields import Fields, bad_value, fail
from smtpeter.content.template.fonts import EMPTY, Font
from smtpeter.content.template.reading import Purpose, Reading
from smtpeter.content.template.rewriting import Rules, read_rules
from smtpeter.content.template.tags import clean
from smtpeter.content.template.urls import is_image, tidy
from smtpeter.model.parts import Mailbox

LATEST = 23
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,76}\Z")  # RFC 5322 3.6.8 within what RFC 2822 tools take
_RESERVED = frozenset({"from", "to", "cc", "bcc", "reply-to", "subject"})
_DKIM_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\Z")
_PEM = re.compile(r"-----[A-Z ]+-----")
_MAX_ENTRIES = 500


@dataclass(frozen=True, slots=True)
class File:
    """An attachment. `content` None: it is at `url`, which was not fetched, and the mail cannot go out without it."""

    name: str
    type: str
    content: bytes | None = field(repr=False)
    url: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """One wish to sign. `key` is DER; the lowest priority ends up topmost, and the entries are in that order."""

    domain: str
    selector: str
    key: bytes = field(repr=False)
    headers: tuple[str, ...] = ()
    expires: datetime | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """What only concerns the message, not its HTML."""

    subject: str | None = None
    from_: Mailbox | None = None
    reply_to: Mailbox | None = None
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    bcc: tuple[Mailbox, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[File, ...] = ()
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class Body:
    """What is written. `markup`: the body as one string of HTML, instead of blocks."""

    blocks: tuple[Block, ...] = ()
    markup: str | None = None
    text: str | None = None
    font: Font = EMPTY
    page_background: Color | None = None
    background: Color | None = None
    page: Extra = NOTHING
    column: Extra = NOTHING
    rules: Rules = ()
    pixel: str = ""
    is_pixel_forced: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A template as it was understood."""

    head: Head
    body: Body
    name: str | None = None
    description: str | None = None
    data: Mapping[str, Any] | None = field(default=None, repr=False)


def read_document(raw: Mapping[str, Any], reading: Reading) -> Document:
    """Reads a whole document. Raises TemplateError only for `bad-content` and `too-large`."""
    given = Fields(raw, "", reading)
    name = given.text(given.alias("name", "templateName"))
    description = given.text("description")
    _version(given)
    given.known("id")
    data = given.raw("data")
    if data is not None and not isinstance(data, Mapping):
        given.warn("wrong-type", "data", "Data is an object; it is ignored.")
        data = None
    document = Document(_head(given), _body(given), name, description, data)
    given.close()
    return document


def _version(given: Fields) -> None:
    value = given.raw("version")
    if value is None:
        return
    version = int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,4}", value, re.ASCII) else value
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= LATEST:
        given.warn("bad-value", "version", f"There is no such version; the document is taken as version {LATEST}.")


def _head(given: Fields) -> Head:
    subject = given.text("subject")
    from_, reply_to = read_address(given, "from"), read_address(given, given.alias("replyTo", "replyto", "reply-to"))
    to, cc, bcc = (read_addresses(given, name) for name in ("to", "cc", "bcc"))
    present = {
        "subject": subject is not None,
        "from": from_ is not None,
        "reply-to": reply_to is not None,
        "to": bool(to),
        "cc": bool(cc),
        "bcc": bool(bcc),
    }
    headers = _headers(given, {name for name, is_there in present.items() if is_there})
    line = None if subject is None else " ".join(subject.split("\n"))
    return Head(line, from_, reply_to, to, cc, bcc, headers, _attachments(given), _signatures(given))


def _headers(given: Fields, taken: set[str]) -> tuple[tuple[str, str], ...]:
    inner = given.child("headers")
    found: list[tuple[str, str]] = []
    for name in inner.names()[:_MAX_ENTRIES] if inner else []:
        assert inner is not None
        value, key = inner.raw(name), name.lower()
        if not _TOKEN.match(name):
            inner.warn("bad-value", name, "This is no name of a header field; it is dropped.")
        elif key.startswith("content-") or key == "mime-version":
            inner.warn("bad-value", name, "This field follows from the content; it is dropped.")
        elif key not in taken:
            values = value if isinstance(value, list | tuple) else [value]
            found += [(name, text) for text in map(_header_text, values[:_MAX_ENTRIES]) if text is not None]
    return tuple(found)


def _header_text(value: Any) -> str | None:
    if isinstance(value, str):
        return " ".join(clean(value).split("\n"))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)[:40] if abs(value) < 1e30 else None
    return None


def _attachments(given: Fields) -> tuple[File, ...]:
    found = []
    for number, (entry, path) in enumerate((given.children("attachments") or [])[:_MAX_ENTRIES], start=1):
        if not isinstance(entry, Mapping):
            given.reading.note("wrong-type", path, "An attachment is an object; this one is left out.")
            continue
        inner = Fields(entry, path, given.reading)
        file = _attachment(inner, number)
        if file:
            found.append(file)
        inner.close()
    return tuple(found)


def _attachment(given: Fields, number: int) -> File | None:
    data, url, name = given.text("data"), given.text("url"), given.text("name") or ""
    type_ = given.text("type") or ""
    if data is not None:
        if url:
            given.warn("bad-value", "url", "Both data and url are given; data is taken.")
        content = _decoded(data)
        if content is None:
            given.warn("attachment-failed", "data", "This is no base64.")
        return File(_file_name(name) or f"attachment-{number}", type_, content)
    if not url:
        given.warn("missing-property", "data", "An attachment needs data or a url; it is left out.")
        return None
    resource = given.reading.resources.get(url)
    if resource is None:
        given.reading.want(url, Purpose.ATTACHMENT)
        if url in given.reading.resources:
            given.warn("attachment-failed", "url", "There is nothing from this URL.")
        return File(_file_name(name), "", None, url)
    last = url.partition("?")[0].partition("#")[0].rpartition("/")[2]
    named = _file_name(name) or _file_name(resource.name) or _file_name(last) or f"attachment-{number}"
    return File(named, resource.type, resource.content, url)


def _file_name(name: str) -> str:
    """Gives a name without folders, on one line."""
    return " ".join(clean(name).split()).replace("\\", "/").rpartition("/")[2]


def _decoded(data: str) -> bytes | None:
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _signatures(given: Fields) -> tuple[Signature, ...]:
    value = given.raw("dkim")
    if value is None:
        return ()
    entries = given.children("dkim") if not isinstance(value, Mapping) else [(value, "/dkim")]
    found = []
    for entry, path in (entries or [])[:_MAX_ENTRIES]:
        inner = Fields(entry if isinstance(entry, Mapping) else {}, path, given.reading)
        signature = _signature(inner)
        if signature is None:
            inner.warn(
                "dkim-invalid", "", "A signature needs domain, selector and a private key in base64; it is skipped."
            )
        else:
            found.append(signature)
        inner.close()
    return tuple(sorted(found, key=lambda one: one.priority))


def _signature(given: Fields) -> Signature | None:
    domain, selector, key = given.text("domain") or "", given.text("selector") or "", given.text("key") or ""
    algorithm = given.choice("algorithm", ("sha256", "sha1"), "sha256")
    if algorithm == "sha1":
        given.warn("weak-dkim", "algorithm", "sha1 proves nothing any more (RFC 8301); sha256 is used.")
    names = [name for name, _ in given.children("headers") or []]
    headers = tuple(name for name in names if isinstance(name, str) and _TOKEN.match(name))
    expires, priority = _expiry(given), given.integer("priority")
    der = _decoded(_PEM.sub("", key))
    # PKCS#1 and PKCS#8 are both a SEQUENCE of more than 127 octets (RFC 8017 A.1.2, RFC 5208 5)
    is_key = der is not None and der[:2] in {b"\x30\x81", b"\x30\x82"}
    if der is None or not is_key or not _DKIM_DOMAIN.match(domain) or not _DKIM_DOMAIN.match(selector):
        return None
    return Signature(domain, selector, der, headers, expires, priority or 0)


def _expiry(given: Fields) -> datetime | None:
    text = given.text("expire")
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        bad_value(given, "expire", "a moment as YYYY-MM-DD hh:mm:ss")
        return None


def _body(given: Fields) -> Body:
    text = given.text(given.alias("text", "textVersion"))
    content, blocks, column, background = _content(given)
    pixel, is_forced = _tracking(given)
    return Body(
        blocks=blocks,
        markup=content,
        text=text,
        font=read_child_font(given),
        page_background=given.background(),
        background=background,
        page=read_extra(given),
        column=column,
        rules=read_rules(given),
        pixel=pixel,
        is_pixel_forced=is_forced,
    )


def _content(given: Fields) -> tuple[str | None, tuple[Block, ...], Extra, Color | None]:
    value = given.raw("content")
    if isinstance(value, str):
        return clean(value), (), NOTHING, None
    if value is not None and not isinstance(value, Mapping):
        raise fail("bad-content", "/content", "Content is an object with blocks, or a string of HTML.")
    if value is None and given.has("blocks"):
        given.warn("alias", "blocks", 'Blocks belong inside "content".')
        return None, tuple(read_blocks(given, "blocks", given.reading)), NOTHING, None
    inner = given.child("content")
    blocks = read_blocks(inner, "blocks", given.reading) if inner else []
    if not blocks and (inner is None or not inner.raw("blocks")):
        given.warn("missing-property", "content", "There are no blocks; the body is empty.")
    if inner is None:
        return None, (), NOTHING, None
    column, background = read_extra(inner), inner.background()
    inner.close()
    return None, tuple(blocks), column, background


def _tracking(given: Fields) -> tuple[str, bool]:
    inner = given.child("tracking")
    if inner is None:
        return "", False
    pixel, is_forced = tidy(inner.text("pixel") or ""), inner.boolean("force")
    inner.close()
    if pixel and not is_image(pixel):
        inner.warn("bad-url", "pixel", "No image can come from there; there is no pixel.")
        return "", is_forced
    return pixel, is_forced
