"""From a stored message to the fields and the body of one mail: personalized, composed, with its files (steps 1 to 5).

What is the same for all messages of a submission is made once and kept on the shelf (tools.py); what a recipient's data
has made of it is never kept. The data of a message are those of its document, of the call and of its recipient, by their
top-level names, the later over the earlier; the automatic variables come last (personalization.md 1).

Raises CannotRender.
"""

from collections.abc import Hashable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from smtpeter.content.compose import write_head
from smtpeter.content.filled.files import wanted_files
from smtpeter.content.filled.letter import plan_letter
from smtpeter.content.filled.mime import MimePlan, Untaggable, compile_mime, may_have_automatic_tags
from smtpeter.content.filled.parts import FileMissing, compile_parts
from smtpeter.content.filled.pieces import compile_piece
from smtpeter.content.filled.texts import Texts
from smtpeter.content.letter import Letter, TagError, Values
from smtpeter.content.personalize import PersonalizationError
from smtpeter.content.render.tools import NO_RESOURCES, CannotRender, Resources, Tools
from smtpeter.content.rewrite.ours import unsubscribe_address, webversion_address
from smtpeter.content.template.problem import TemplateError
from smtpeter.content.template.reading import Wanted
from smtpeter.model.address import AddressError
from smtpeter.model.message import Message, SourceKind
from smtpeter.model.outcome import State
from smtpeter.model.parts import Parts, decode, decode_letter
from smtpeter.model.refusal import Refused
from smtpeter.wire.dkim import Signer
from smtpeter.wire.headers import Field, read_fields, split

_API = frozenset({"HTTP", "HTTPS"})
# what can be wrong with tags, values, and what they make; a ValueError is the last check of a header (B1)
_FAULTS = (PersonalizationError, TagError, Untaggable, TemplateError, FileMissing, AddressError, Refused, ValueError)


class Loaded(Struct, frozen=True):
    """A mail before anything of ours is in it. `original`: its octets as they came, when nothing of it has changed.

    `texts`: its Content fields and its body are not composed yet. `key` names the body, Content fields included, where it
    is the same for all of the submission, or what the texts have in common. `signers` are those of the document itself.
    """

    fields: list[Field]
    body: bytes
    original: bytes | None = None
    key: Hashable = None
    signers: tuple[Signer, ...] = ()
    texts: Texts | None = None

    def __repr__(self) -> str:
        return f"Loaded({len(self.fields)} fields, {len(self.body)} octets)"


def load(message: Message, tools: Tools, resources: Resources = NO_RESOURCES) -> Loaded:
    """Gives the mail that this message is."""
    try:
        match message.source.kind:
            case SourceKind.MIME:
                return _mime(message, tools)
            case SourceKind.PARTS:
                return _parts(message, tools, resources)
            case SourceKind.LETTER:
                return _letter(message, tools, resources)
    except _FAULTS as fault:
        raise _cannot(fault) from None


def letter_of(message: Message, tools: Tools, resources: Resources = NO_RESOURCES) -> Letter:
    """Gives the letter of a message that is made of a document, with these resources in it."""
    try:
        return tools.letters.get(decode_letter(message.source.content).document, resources=resources)
    except TemplateError as fault:
        raise _cannot(fault) from None


def page_of(message: Message, tools: Tools, resources: Resources = NO_RESOURCES) -> str | None:
    """Gives the page for browsers of a message that is made of a document; None for any other."""
    if message.source.kind is not SourceKind.LETTER:
        return None
    try:
        return letter_of(message, tools, resources).webversion(_values(message, tools))
    except TagError as fault:
        raise _cannot(fault) from None


def file_urls(message: Message) -> tuple[Wanted, ...]:
    """Gives the files that a send call named by URL, as it wrote them; those of a document are known by its letter."""
    if message.source.kind is not SourceKind.PARTS:
        return ()
    return wanted_files(decode(message.source.content).attachments)


def filled_url(message: Message, tools: Tools, url: str) -> str | None:
    """Gives a URL that the message names as it is to be fetched, None when its tags cannot be filled in."""
    values = values_of(message, tools)
    if values is None:
        return url
    if message.source.kind is SourceKind.LETTER:
        return letter_of(message, tools).url(url, values)
    try:
        return compile_piece(url, is_full=True).line(values)
    except PersonalizationError:
        return None


def values_of(message: Message, tools: Tools) -> Values | None:
    """Gives what tags are filled in with; None when the message has automatic tags at most."""
    return _values(message, tools) if _is_full(message) else None


def _is_full(message: Message) -> bool:
    return message.source.data is not None or message.source.kind is SourceKind.LETTER


def _values(message: Message, tools: Tools) -> Values:
    """Gives the values of one message; without data, sender and recipient are known to mail of the API alone."""
    base, sealer = message.options.tracking, tools.keyring.sealer(message.account, message.id)
    automatic = {
        "webversion": webversion_address(base, sealer) if base else "",
        "unsubscribe": unsubscribe_address(base, sealer) if base else "",
        "messageid": message.id,
    }
    if _is_full(message) or message.received.protocol in _API:
        automatic["recipient"] = message.recipient.given or message.recipient.address
        automatic["envelope"] = message.envelope or ""
    data = _data(message, tools) if _is_full(message) else {}
    return Values(data, message.accepted, automatic, tools.clock)


def _data(message: Message, tools: Tools) -> Mapping[str, Any]:
    shared: Mapping[str, Any] = {}
    if text := message.source.data:
        kept = tools.shelf.data.get(text)
        if kept is None:
            kept = _object(text)
            tools.shelf.data.keep(text, kept, 10 * len(text))  # as values, about
        shared = kept
    return {**shared, **_object(message.recipient.data)} if message.recipient.data else shared


def _object(text: str) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise CannotRender("The data for personalization are not a JSON object, or nested too deep.") from None


def _mime(message: Message, tools: Tools) -> Loaded:
    """Gives the message that was handed in, with its tags filled in."""
    content = message.source.content
    head, body = split(content)
    fields = read_fields(head)
    is_full = _is_full(message)
    plan: MimePlan | None = None
    if is_full or may_have_automatic_tags(content, fields):
        plan_key = (content, is_full)
        plan = tools.shelf.mimes.get(plan_key)
        if plan is None:
            plan = compile_mime(content, fields, is_full=is_full)
            tools.shelf.mimes.keep(plan_key, plan, len(content) + 12 * plan.size)
    key = ("mime", message.submission, content) if plan is None or plan.is_shared else None
    if plan is None or plan.is_empty:
        return Loaded(fields, body, content, key)
    fields, body = plan.fill(content, _values(message, tools))
    return Loaded(fields, body, key=key)


def _parts(message: Message, tools: Tools, resources: Resources) -> Loaded:
    """Gives the mail that the properties of a send call make."""
    content, is_full = message.source.content, _is_full(message)
    plan_key = (content, is_full, message.options.adds_text, tuple(resources.items()))
    plan = tools.shelf.parts.get(plan_key)
    if plan is None:
        plan = compile_parts(decode(content), resources, is_full=is_full, adds_text=message.options.adds_text)
        tools.shelf.parts.keep(plan_key, plan, len(content) + plan.size + _size(resources))
    values = Values({}, message.accepted) if plan.is_constant else _values(message, tools)
    return _composed(message, plan.fill_head(values), plan.fill_body(values), ("parts", plan_key))


def _letter(message: Message, tools: Tools, resources: Resources) -> Loaded:
    """Gives the mail that a document makes."""
    plan_key = (message.source.content, tuple(resources.items()))
    plan = tools.shelf.letters.get(plan_key)
    if plan is None:
        call = decode_letter(message.source.content)
        plan = plan_letter(tools.letters.get(call.document, resources=resources), call)
        tools.shelf.letters.keep(plan_key, plan, plan.size + _size(resources))
    parts, texts = plan.fill(_values(message, tools))
    return _composed(message, parts, texts, ("letter", plan_key), plan.letter.signing[0])


def _composed(
    message: Message, parts: Parts, body: tuple[bytes, bytes] | Texts, key: Hashable, signers: tuple[Signer, ...] = ()
) -> Loaded:
    """Gives a mail of ours; a body that is composed comes behind its Content fields."""
    head = write_head(parts, recipient=message.recipient.address, message_id=message.id, date=message.accepted)
    if isinstance(body, Texts):
        return Loaded(read_fields(head), b"", key=key, signers=signers, texts=body)
    return Loaded(read_fields(head + body[0]), body[1], key=key, signers=signers)


def _size(resources: Resources) -> int:
    """Gives the octets of resources, which stay for as long as they are part of a key."""
    return sum([len(one.content) for one in resources.values() if one]) if resources else 0


def _cannot(fault: Exception) -> CannotRender:
    """Gives the fault as the sender is told of it."""
    match fault:
        case Untaggable(where=where, error=AddressError() as error):
            return CannotRender(f"The addresses of `{where}` cannot be read: {error}")
        case AddressError():
            return CannotRender(f"With these values an address field is not what it says: {fault}")
        case PersonalizationError() | TagError() | Untaggable():
            return CannotRender(str(fault))
        case TemplateError():
            return CannotRender(f"The document cannot be compiled: {fault}", State.TEMPLATE)
        case FileMissing():
            return CannotRender(str(fault), State.PROCESS)
        case Refused():
            return CannotRender(str(fault))
        case _:
            return CannotRender(f"A header cannot be written: {fault}")
