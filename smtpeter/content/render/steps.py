"""RENDER: from what was stored to what leaves, as a column of steps; a pure function, the same result each time.

`compose` makes the mail of a message: personalized, composed, completed. `render` puts in what hangs on numbers of the
store (links, images, the pixel), brings it into a form that the next host can take, and signs it. Between the two, the
caller numbers the origins and keeps the images that the composed mail names.

Untouched means octet for octet: what no step has to change leaves as it came in, so that signatures of the sender
stay valid. What we put before the message (trace, signatures, the marks by which reports are matched) is a block of its
own, which is kept when the message is settled: the block and the content rendered again are the message as it was sent.

RFC 6376. Raises CannotRender when no mail can be made of a message at all, and CannotConvert when it cannot take the form
that the next host needs.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from smtpeter.content.filled.texts import Texts
from smtpeter.content.render.finish import complete, marks_of, strip, trace_of
from smtpeter.content.render.load import Loaded, load, page_of
from smtpeter.content.render.rewriting import Rewritten, page_settings_of, settings_of
from smtpeter.content.render.tools import NO_RESOURCES, Resources, Tools
from smtpeter.content.rewrite.parts import HostedImage
from smtpeter.content.rewrite.settings import MAX_TEXT
from smtpeter.content.shape import FilledMessage, Shapes
from smtpeter.content.views import html_of
from smtpeter.model.message import Message, Transfer
from smtpeter.wire.dkim import Signer, sign
from smtpeter.wire.headers import Field, has_long_line, join, read_fields, split
from smtpeter.wire.mend import mend
from smtpeter.wire.mime import CannotConvert
from smtpeter.wire.newlines import has_bare


class Composed(Struct, frozen=True):
    """A mail as it is to be rewritten. `original`: its octets, when it is as it came.

    `fields` are as they leave. `texts`: its body is composed of them when somebody asks for it as it was before, and
    `body` is empty. `origins` need numbers, and `images` are to be kept, before it is rendered. `signers` are those of
    its document.
    """

    message: Message
    fields: list[Field]
    body: bytes
    original: bytes | None
    rewritten: Rewritten | FilledMessage | None
    signers: tuple[Signer, ...] = ()
    texts: Texts | None = None

    def __repr__(self) -> str:
        return f"Composed({self.message.id!r}, {self.size} octets)"

    @property
    def size(self) -> int:
        """About the octets that it has."""
        return len(self.body) if self.texts is None else self.texts.size

    @property
    def origins(self) -> tuple[str, ...]:
        """Schemes and hosts of the addresses that are tracked."""
        return self.rewritten.origins if self.rewritten else ()

    @property
    def images(self) -> tuple[HostedImage, ...]:
        """Images that were taken out of the mail, to be served by us."""
        return self.rewritten.images if self.rewritten else ()


class Rendered(Struct, frozen=True):
    """A message ready to leave: `block` then `content`. `is_8bit`: the body needs a host with 8BITMIME."""

    block: bytes
    content: bytes
    is_8bit: bool

    def __repr__(self) -> str:
        return f"Rendered({len(self.block)} + {len(self.content)} octets, is_8bit={self.is_8bit})"


def compose(message: Message, tools: Tools, resources: Resources = NO_RESOURCES) -> Composed:
    """Gives the mail of a message, with what was found at the URLs that it names. Raises CannotRender."""
    loaded = load(message, tools, resources)
    fields = complete(strip(loaded.fields, tools.hostname), loaded.body, message, tools.keyring)
    if loaded.texts is not None:
        filled = _filled(message, fields, loaded, loaded.texts, tools)
        if filled is not None:
            fields = [*fields, *read_fields(filled.fields)]
            return Composed(message, fields, b"", None, filled, loaded.signers, loaded.texts)
        head, body = split(loaded.texts.compose())
        fields = [*fields, *read_fields(head)]
        loaded = replace(loaded, body=body, key=None)
    original = loaded.original if fields is loaded.fields else None
    rewritten = _rewritten(message, fields, loaded, tools)
    return Composed(message, fields, loaded.body, original, rewritten, loaded.signers)


def render(
    composed: Composed,
    tools: Tools,
    numbers: Mapping[str, int],
    *,
    signers: Sequence[Signer],
    now: datetime,
    transfer: Transfer = Transfer.EIGHT_BIT,
) -> Rendered:
    """Gives the message as it leaves; `now` is the moment of signing, all other times are those of acceptance.

    The signatures of the document stand above ours; all of them cover the marks, too. Raises CannotConvert.
    """
    fields, body, content = _make(composed, tools, numbers, transfer)
    marks = marks_of(composed.message, fields)
    trace = trace_of(composed.message, tools.hostname, shows_client=tools.shows_client)
    signatures = sign((*composed.signers, *signers), [*marks, *fields] if marks else fields, body, now)
    return Rendered(trace + signatures + join(marks), content, not body.isascii())


def content_of(
    composed: Composed, tools: Tools, numbers: Mapping[str, int], *, transfer: Transfer = Transfer.EIGHT_BIT
) -> bytes:
    """Gives the content as it leaves in this form, without the block before it. Raises CannotConvert."""
    return _make(composed, tools, numbers, transfer)[2]


def source_of(composed: Composed) -> bytes:
    """Gives the mail before anything was rewritten, completed and without what is for us or for nobody.

    This is what a notification returns and the API shows. Nothing is mended, so it raises nothing.
    """
    if composed.original is not None:
        return composed.original
    fields, body = _before(composed)
    return join(fields) + b"\r\n" + body


def webversion_of(message: Message, tools: Tools, resources: Resources = NO_RESOURCES) -> str | None:
    """Gives the HTML of a message for browsers, without pixel and tracked links; None when it has no HTML.

    A document has a page of its own for that. Images that we host are shown from there. Raises CannotRender.
    """
    page = page_of(message, tools, resources)
    if page is not None:
        return page
    composed = compose(message, tools, resources)
    hosting = page_settings_of(message, tools.keyring)
    if hosting is None:
        return html_of(source_of(composed))
    fields, body = _before(composed)
    shown = Rewritten(fields, body, hosting)
    sealer = tools.keyring.sealer(message.account, message.id)
    return html_of(join(fields) + b"\r\n" + shown.body(sealer, message.account, {}))


def _before(composed: Composed) -> tuple[list[Field], bytes]:
    """Gives the fields and the body before anything was rewritten."""
    if composed.texts is None:
        return composed.fields, composed.body
    head, body = split(composed.texts.compose())
    return [*[field for field in composed.fields if not field.name.startswith(b"content-")], *read_fields(head)], body


def _filled(message: Message, fields: list[Field], loaded: Loaded, texts: Texts, tools: Tools) -> FilledMessage | None:
    """Step: the body by its shape, rewritten; None when that is not for this message, whatever came before it."""
    settings = settings_of(message, fields, tools.keyring)
    if settings is None or texts.is_derived or texts.size - texts.files.size > MAX_TEXT:
        return None
    key = (loaded.key, message.account, message.options)
    shapes = tools.shelf.shapes.get(key) or Shapes(settings)
    size = shapes.size
    filled = shapes.fill(texts.html, texts.text, texts.write, excluded=settings.excluded)
    if shapes.size != size:
        tools.shelf.shapes.keep(key, shapes, shapes.size)
    return filled


def _rewritten(message: Message, fields: list[Field], loaded: Loaded, tools: Tools) -> Rewritten | None:
    """Step: the body with the places of what is tracked; None when nothing in it is to be rewritten."""
    settings = settings_of(message, fields, tools.keyring)
    if settings is None:
        return None
    key = (loaded.key, message.account, message.options, settings.excluded)
    kept = tools.shelf.rewritten.get(key) if loaded.key is not None else None
    if kept is None:
        kept = Rewritten(fields, loaded.body, settings)
        if loaded.key is not None:
            tools.shelf.rewritten.keep(key, kept, kept.size)
    return kept if kept.is_changed else None


def _body_of(composed: Composed, tools: Tools, numbers: Mapping[str, int]) -> bytes:
    """Step: the body with what is tracked in it."""
    if composed.rewritten is None:
        return composed.body
    message = composed.message
    return composed.rewritten.body(tools.keyring.sealer(message.account, message.id), message.account, numbers)


def _make(
    composed: Composed, tools: Tools, numbers: Mapping[str, int], transfer: Transfer
) -> tuple[list[Field], bytes, bytes]:
    """Gives the fields and the body that leave, and both as one."""
    body = _body_of(composed, tools, numbers)
    fields, body = _fit(composed.fields, body, transfer)
    is_original = composed.rewritten is None and fields is composed.fields and composed.original is not None
    return fields, body, _checked(source_of(composed) if is_original else join(fields) + b"\r\n" + body)


def _fit(fields: list[Field], body: bytes, transfer: Transfer) -> tuple[list[Field], bytes]:
    """Step: in lines and octets that the next host can take."""
    needs_7bit = transfer is Transfer.SEVEN_BIT and not body.isascii()
    head = join(fields)
    if not needs_7bit and not has_long_line(body) and not has_long_line(head):
        return fields, body
    head, body = split(mend(head + b"\r\n" + body, needs_7bit=needs_7bit))
    return read_fields(head), body


def _checked(content: bytes) -> bytes:
    """Step: the octets, which hold only CRLF line ends and no NUL (S3)."""
    if has_bare(content) or b"\0" in content:
        raise CannotConvert("The message holds a bare CR or LF, or NUL.")
    return content
