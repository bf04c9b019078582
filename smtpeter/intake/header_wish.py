"""What the header of a message, or of a send call, asks of templates: x-smtpeter-template and x-smtpeter-data.

A whole message that names a template lends it its From, To, Cc, Reply-To, Subject and files; its texts give way to those of
the template, which says everything else (smtp-api.md, templates.md 11). Raises Refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import Struct

from smtpeter.content.attachments import MAX_NAME, complete
from smtpeter.content.options import NOTHING, PREFIX, OptionHeaders, is_option, read_options
from smtpeter.content.views import PartView, attachments_of, part_bytes
from smtpeter.intake.wish import CallDraft, LetterWish
from smtpeter.model import parts as model_parts
from smtpeter.model.message import Draft, SourceKind
from smtpeter.model.parts import Attachment
from smtpeter.model.refusal import Refused
from smtpeter.wire.encoded_words import decode_value
from smtpeter.wire.headers import Field, read_fields, split

_LENT = {b"from": "from", b"to": "to", b"cc": "cc", b"reply-to": "replyTo", b"subject": "subject"}
_PREFIX = PREFIX.encode()


class HeaderWish(Struct, frozen=True):
    """What was asked. `data`: that of the draft with what the header says over it, as JSON; None: there is none.

    `options` are those of a mail that is made of a `letter`, whose own header says the rest; of other mail they stay in its
    content.
    """

    data: str | None = None
    letter: LetterWish | None = None
    options: OptionHeaders = NOTHING


def header_wish(draft: Draft) -> HeaderWish:
    """Gives what a draft asks for in its header. Raises Refused for values that cannot be read."""
    source = draft.source
    if isinstance(draft, CallDraft) and draft.letter is not None:
        letter, asked = _parted(draft.letter)
        return HeaderWish(_merged(source.data, asked.data), letter, asked)
    match source.kind:
        case SourceKind.MIME:
            head = split(source.content)[0]
            if _PREFIX not in head.lower():
                return HeaderWish(source.data)
            fields = read_fields(head)
            asked = _options(fields)
            data = _merged(source.data, asked.data)
            if asked.template is None:
                return HeaderWish(data)
            return HeaderWish(data, _letter(asked.template, source.content, fields), asked)
        case SourceKind.PARTS:
            # a look at the stored form: without fields it has no such member, and within texts quotes are escaped
            if b'"headers":[[' not in source.content or _PREFIX not in source.content.lower():
                return HeaderWish(source.data)
            headers = model_parts.decode(source.content).headers
            asked = _asked([(name, text) for name, text in headers if is_option(name)])
            return HeaderWish(_merged(source.data, asked.data))
        case SourceKind.LETTER:
            return HeaderWish(source.data)


def _parted(wish: LetterWish) -> tuple[LetterWish, OptionHeaders]:
    """Gives the wish without the option fields among its headers, and what these say."""
    headers: Mapping[str, str] = wish.properties.get("headers") or {}
    options = {name: text for name, text in headers.items() if is_option(name)}
    if not options:
        return wish, NOTHING
    others = {name: text for name, text in headers.items() if name not in options}
    return replace(wish, properties={**wish.properties, "headers": others}), _asked(options.items())


def _asked(options: Iterable[tuple[str, str]]) -> OptionHeaders:
    """Gives what the option fields of a send call say."""
    asked = read_options(options)
    if asked.template is not None:
        reason = "in a send call the template is named by the property `template`"
        raise Refused("invalid_header", field="extra", header=f"{PREFIX}template", reason=reason)
    return asked


def _options(fields: list[Field]) -> OptionHeaders:
    named = [one for one in fields if one.name.startswith(_PREFIX)]
    return read_options([(one.name.decode("ascii"), decode_value(one.value)) for one in named]) if named else NOTHING


def _merged(lower: str | None, upper: str | None) -> str | None:
    if lower is None or upper is None:
        return lower if upper is None else upper
    values: dict[str, Any] = {**msgspec.json.decode(lower), **msgspec.json.decode(upper)}
    return msgspec.json.encode(values).decode()


def _letter(called: str, content: bytes, fields: list[Field]) -> LetterWish:
    lent: dict[str, Any] = {}
    for one in fields:
        value = decode_value(one.value).strip()
        if one.name in _LENT and value:
            lent.setdefault(_LENT[one.name], value)
    files = []
    for view in attachments_of(content):
        found = part_bytes(content, "attachment", view.number)
        if found is not None:
            files.append(_file(found[1], view))
    return LetterWish(called, properties=lent, attachments=tuple(files))


def _file(data: bytes, view: PartView) -> Attachment:
    for kind in (view.type, ""):
        try:
            return complete(Attachment(data, view.name[:MAX_NAME], kind), view.number)
        except Refused:  # a message may say anything of a type
            continue
    return complete(Attachment(data), view.number)
