"""From the typed properties of a send call to a draft: who it goes to, what it says, how it is to be treated.

A call has one of three contents: a whole message, a template, or single properties. What tags may stand in, and where
nothing but text may, depends on whether the call has data or a template (personalization.md 1). Raises Refused.
"""

from typing import Any

from msgspec.structs import replace

from smtpeter.doors.rest.addresses import Boxes, gather_recipients
from smtpeter.doors.rest.client import Client
from smtpeter.doors.rest.declare import wrong
from smtpeter.doors.rest.properties import HeaderField
from smtpeter.intake.wish import CallDraft, LetterWish
from smtpeter.model import parts
from smtpeter.model.account import Features
from smtpeter.model.message import Dsn, Options, Received, Recipient, Source, SourceKind

_CONTENT = (
    *("template", "patch", "from", "to", "cc", "replyto", "subject", "text", "html"),
    *("extra", "attachments", "unsubscribe"),
)
_SWITCHES = ("inlinecss", "trackclicks", "trackopens", "trackbounces", "preventscam")
_NO_DSN = Dsn()
_NO_FEATURES = Features()


def make_draft(given: dict[str, Any], client: Client, most_recipients: int) -> CallDraft:
    """Gives the draft of typed properties. Raises Refused."""
    dsn: Dsn = given.get("dsn", _NO_DSN)
    visible = [*given.get("recipient", ()), *given.get("recipients", ())]
    blind = given.get("bcc", ())
    recipients = gather_recipients([*visible, *blind], dsn, most_recipients)
    shown = len(gather_recipients(visible, dsn, most_recipients)) if visible and blind else len(recipients)
    if not visible:
        shown = 0
    envelope: str | None = given.get("envelope")
    source, letter, sender = _content(given, recipients, shown)
    options = Options(
        features=_features(given),
        tags=given.get("tags", ()),
        max_deliver_time=given.get("maxdelivertime"),
        ret=dsn.ret,
        envid=dsn.envid,
        is_utf8=_needs_utf8(recipients, envelope, sender),
        is_8bit=source.kind is SourceKind.MIME and not source.content.isascii(),
        stream=given.get("stream", "transactional"),
        metadata=given.get("metadata", ""),
        send_at=given.get("sendat"),
    )
    return CallDraft(envelope, recipients, source, options, _received(client), letter, given.get("autotext"))


def _features(given: dict[str, Any]) -> Features:
    said = {name: given[name] for name in _SWITCHES if name in given}
    return Features(**said, images=given.get("images")) if said or "images" in given else _NO_FEATURES


def _content(
    given: dict[str, Any], recipients: tuple[Recipient, ...], shown: int
) -> tuple[Source, LetterWish | None, str]:
    """Gives the source, the template to make it of, and the address of the sender as far as it is known here.

    The first `shown` recipients are those that are not blind.
    """
    data: str | None = given.get("data") or None
    if data is None and any(recipient.data for recipient in recipients):
        data = "{}"
    if "mime" in given:
        _check_alone(given)
        return Source(SourceKind.MIME, given["mime"], data), None, ""
    if given.get("template") is not None:
        return Source(SourceKind.LETTER, b"", data), _letter(given, recipients, shown), ""
    if given.get("patch"):
        raise wrong("patch", "`patch` changes a template, and there is none; give the template in `template`.")
    content = _parts(given, is_full=data is not None)
    if shown < len(recipients) and not content.to:
        content = _with_visible(content, recipients, shown)
    return Source(SourceKind.PARTS, parts.encode(content), data), None, content.sender.address


def _check_alone(given: dict[str, Any]) -> None:
    for name in _CONTENT:
        if given.get(name) not in (None, (), "", []):
            raise wrong(name, f"`mime` is a whole message; leave out `{name}`, or leave out `mime`.")


def _letter(given: dict[str, Any], recipients: tuple[Recipient, ...], shown: int) -> LetterWish:
    """Gives the wish for a letter, the properties of the call as a document has them (templates.md 11)."""
    if given.get("html") is not None:
        raise wrong("html", "`template` makes the HTML; leave out `html`, or change the template by `patch`.")
    properties: dict[str, Any] = {name: given[name] for name in ("subject", "text") if given.get(name) is not None}
    if (sender := _boxes(given, "from")) is not None:
        properties["from"] = _entry(sender.read_one(is_full=True))
    for name, its in (("to", "to"), ("cc", "cc"), ("replyto", "replyTo")):
        if (boxes := _boxes(given, name)) is not None:
            entries = [_entry(box) for box in boxes.read(is_full=True)]
            if name == "replyto" and len(entries) > 1:
                raise wrong(name, "A template has room for one address in `replyto`; leave the others out.")
            properties[its] = entries[0] if name == "replyto" else entries
    attachments: tuple[parts.Attachment, ...] = given.get("attachments", ())
    if files := [_linked(file, number) for number, file in enumerate(attachments) if file.url]:
        properties["attachments"] = files
    if extra := {one.name: one.text for one in given.get("extra", ())}:
        properties["headers"] = extra
    return LetterWish(
        given["template"],
        given.get("patch") or None,
        properties,
        given.get("unsubscribe"),
        tuple([blind.address for blind in recipients[shown:]]),
        recipients[0].address if shown == 1 < len(recipients) else "",
        tuple([file for file in attachments if not file.url]),
    )


def _boxes(given: dict[str, Any], name: str) -> Boxes | None:
    boxes: Boxes | None = given.get(name)
    return boxes


def _entry(box: parts.Mailbox) -> dict[str, str]:
    return {"address": box.address, "name": box.name} if box.name else {"address": box.address}


def _linked(file: parts.Attachment, number: int) -> dict[str, str]:
    """Gives a file at a URL as a document has it."""
    if file.cid:
        where = f"attachments[{number}].cid"
        raise wrong(where, "A template shows images by their URL; leave out `cid`, or give the image in `data`.")
    return {"url": file.url, **{name: text for name, text in (("name", file.name), ("type", file.type)) if text}}


def _parts(given: dict[str, Any], *, is_full: bool) -> parts.Parts:
    """Gives the single properties; `is_full`: tags in them are filled in."""
    sender = _boxes(given, "from")
    if sender is None:
        raise wrong("from", "`from` is missing; give the sender's address, which also needs an approved domain.")
    if "text" not in given and "html" not in given:
        raise wrong(
            "text", "There is no content; give `text` or `html` (or both), a `template`, or a whole message in `mime`."
        )
    extra: tuple[HeaderField, ...] = given.get("extra", ())
    for one in extra:
        if one.name[:2].lower() != "x-":
            property_name = one.where.partition(".")[0]
            raise wrong(one.where, f"Only header fields whose names begin with x- can be set by `{property_name}`.")
    attachments: tuple[parts.Attachment, ...] = given.get("attachments", ())
    to, cc, replyto = [
        boxes.read(is_full=is_full) if (boxes := _boxes(given, name)) is not None else ()
        for name in ("to", "cc", "replyto")
    ]
    return parts.Parts(
        sender=sender.read_one(is_full=is_full),
        to=to,
        cc=cc,
        replyto=replyto,
        subject=given.get("subject", ""),
        text=given.get("text"),
        html=given.get("html"),
        headers=tuple([(one.name, one.text) for one in extra]),
        attachments=attachments,
        unsubscribe=given.get("unsubscribe"),
    )


def _with_visible(content: parts.Parts, recipients: tuple[Recipient, ...], count: int) -> parts.Parts:
    """Gives the content with a To that shows no blind recipient; the first `count` recipients are visible.

    The only visible one is shown to all. Of several each sees itself, as without `bcc`, and the blind ones see nobody.
    """
    shown = recipients[:count]
    if count == 1:
        return replace(content, to=(parts.Mailbox(shown[0].address),))
    return replace(content, blind=tuple([blind.address for blind in recipients[count:]]))


def _needs_utf8(recipients: tuple[Recipient, ...], envelope: str | None, sender: str) -> bool:
    """True when an address can only travel by SMTPUTF8 (RFC 6531); domains are A-labels already."""
    if not sender.isascii() or (envelope is not None and not envelope.isascii()):
        return True
    return any(not recipient.address.isascii() for recipient in recipients)


def _received(client: Client) -> Received:
    return Received("HTTPS" if client.is_secure else "HTTP", client_ip=client.ip)
