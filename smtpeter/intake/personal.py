"""Judges content with tags: are they right, and who will it be from and to when they are filled in for every recipient?

The tags of a content are looked at once, and what was found is remembered by the content itself. Large contents, and
addresses that have to be filled in for each recipient, are worked on in the workshop, some recipients at a time, so that
neither other calls nor other accounts wait for long (W9). Where nothing differs by recipient, a thousand of them cost no more
than one.

Raises Refused, with line and column for a tag and with `problems` for a template.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from smtpeter.content.kept import Kept
from smtpeter.content.letter import Letters, TagError, Values, shown
from smtpeter.content.options import OptionHeaders
from smtpeter.content.personalize import Kind, PersonalizationError
from smtpeter.content.personalize.data import MAX_DATA_OCTETS
from smtpeter.content.template.problem import Problem, TemplateError
from smtpeter.intake.outline import Addresses, Outline, outline_of, untaggable
from smtpeter.intake.workshop import Workshop
from smtpeter.model.account import AccountId
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.message import Recipient, Source, message_id
from smtpeter.model.parts import Mailbox
from smtpeter.model.refusal import Refused
from smtpeter.wire.headers import MAX_FIELD_OCTETS
from smtpeter.world.seams import Clock

SMALL_BYTES = 64 * 2**10  # of content and data that are looked at in place
PIECE_SECONDS = 0.02  # of the thread's time, before others have theirs
MAX_SECONDS = 5.0  # of the thread's time, for the addresses of one call
MAX_SUBJECT = 998
MAX_PROBLEMS = 50  # in one answer

T = TypeVar("T")


class Audience(Struct, frozen=True):
    """For whom a content is filled in: the submission that is to be, and what its messages know beside their data."""

    account: AccountId
    submission: str
    now: datetime
    envelope: str | None
    recipients: Sequence[Recipient]


class Found(Struct, frozen=True):
    """What a content says of itself: the domains in From, the first subject, its option fields.

    `needs_utf8`: an address of it can only travel by SMTPUTF8 (RFC 6531). `files` are URLs with their places.
    """

    from_domains: tuple[str, ...]
    subject: str
    options: OptionHeaders
    needs_utf8: bool = False
    files: tuple[tuple[str, str], ...] = ()


class Personal:
    """Looks at content with tags. `letters` are those of the process."""

    def __init__(self, workshop: Workshop, letters: Letters, clock: Clock) -> None:
        self._workshop = workshop
        self._letters = letters
        self._clock = clock
        self._outlines: Kept[bytes, Outline] = Kept(max_bytes=32 * 2**20, max_entries=4096)

    async def look(self, source: Source, audience: Audience, *, is_full: bool) -> Found:
        """Gives what the content of a source says of itself for this audience. Raises Refused."""
        size = len(source.content) + len(source.data or "")
        known = self._outlines.get(_key(source, is_full=is_full)) if size <= SMALL_BYTES else None
        if known is not None and known.is_light and _is_easy(known, source, audience.recipients):
            return self._found(known, source, audience)
        async with self._workshop.turn(audience.account):
            outline = await self._workshop.run(lambda: known or self._outline(source, is_full=is_full))
            await self._workshop.run(lambda: _check_data(outline, source, audience.recipients))
            domains, needs_utf8 = await self._check_addresses(outline, source, audience)
            found = await self._workshop.run(lambda: self._found(outline, source, audience))
        return replace(found, from_domains=domains, needs_utf8=needs_utf8)

    def _outline(self, source: Source, *, is_full: bool) -> Outline:
        key = _key(source, is_full=is_full)
        known = self._outlines.get(key)
        if known is not None:
            return known
        try:
            outline = outline_of(source, self._letters, is_full=is_full)
        except TemplateError as error:
            raise unusable(error.problems) from None
        except TagError as error:
            raise _wrong_tag(error) from None
        subject = len(outline.subject.source)
        self._outlines.keep(key, outline, 4096 + 16 * subject + 4 * outline.own_size)
        return outline

    def _found(self, outline: Outline, source: Source, audience: Audience) -> Found:
        """Gives what is known without the addresses that differ; the subject is that of the first recipient."""
        subject = outline.subject.source
        if "{" in subject or "[" in subject:
            values = next(self._values(outline, source, audience))
            try:
                subject = outline.subject.line(values)
            except PersonalizationError:
                pass  # the message fails, and says why
        return Found(outline.domains, subject[:MAX_SUBJECT], outline.options, files=outline.files)

    def _values(self, outline: Outline, source: Source, audience: Audience) -> Iterator[Values]:
        common = {**outline.own, **_decoded(source.data or "")}
        for ordinal, one in enumerate(audience.recipients):
            automatic = {
                "recipient": one.given or one.address,
                "envelope": audience.envelope or "",
                "webversion": "",
                "unsubscribe": "",
                "messageid": message_id(audience.submission, ordinal),
            }
            data = {**common, **_decoded(one.data)} if one.data else common
            yield Values(data, audience.now, automatic, self._clock.monotonic)

    async def _check_addresses(
        self, outline: Outline, source: Source, audience: Audience
    ) -> tuple[tuple[str, ...], bool]:
        """Gives the domains in From, the same for everybody, and whether an address is not ASCII. Raises Refused."""
        if outline.sender is None and not outline.others:
            return outline.domains, False
        check = _Check(outline, audience.recipients)
        values = self._values(outline, source, audience)
        spent = 0.0
        while not check.is_done:
            spent += await self._workshop.run(lambda: self._timed(lambda: check.some(values, self._clock.monotonic)))
            if spent > MAX_SECONDS:
                reason = f"Filling in the addresses of all recipients takes more than {MAX_SECONDS:g} seconds"
                raise Refused("invalid_personalization", field=check.field, reason=reason)
            await asyncio.sleep(0)
        return outline.domains or check.domains, check.needs_utf8

    def _timed(self, work: Callable[[], None]) -> float:
        begun = self._clock.monotonic()
        work()
        return self._clock.monotonic() - begun


class _Check:
    """The addresses of all recipients, looked at one after the other."""

    def __init__(self, outline: Outline, recipients: Sequence[Recipient]) -> None:
        self._outline = outline
        self._recipients = recipients
        self._at = 0
        self.domains: tuple[str, ...] = ()
        self.needs_utf8 = False
        self.field = (outline.sender or outline.others[0]).field

    @property
    def is_done(self) -> bool:
        return self._at == len(self._recipients)

    def some(self, values: Iterator[Values], monotonic: Callable[[], float]) -> None:
        """Looks at some recipients, as many as fit into a piece of time. Raises Refused."""
        ends = monotonic() + PIECE_SECONDS
        for one in values:
            self._look(self._recipients[self._at], one)
            self._at += 1
            if monotonic() >= ends:
                return

    def _look(self, recipient: Recipient, values: Values) -> None:
        sender = self._outline.sender
        if sender is not None:
            boxes = _filled(sender, values, recipient)
            if not boxes or (len(boxes) > 1 and sender.field != "mime"):
                raise _no_address(sender, recipient)
            domains = tuple(dict.fromkeys([box.address.rpartition("@")[2] for box in boxes]))
            if self.domains and domains != self.domains:
                raise _two_domains(sender, self._recipients[0], self.domains[0], recipient, domains[0])
            self.domains = domains
            self._note(boxes)
        for one in self._outline.others:
            self._note(_filled(one, values, recipient))

    def _note(self, boxes: Sequence[Mailbox]) -> None:
        self.needs_utf8 = self.needs_utf8 or not all(box.address.isascii() for box in boxes)


def _filled(one: Addresses, values: Values, recipient: Recipient) -> tuple[Mailbox, ...]:
    try:
        boxes = one.fill(values)
        for box in boxes:
            parse_address(box.address)
    except PersonalizationError as error:
        if error.kind is Kind.RUNTIME and error.reason.startswith("With these values"):
            raise _no_address(one, recipient) from None
        raise untaggable(one.field, error, **_problems(one, error.message)) from None
    except (AddressError, ValueError):
        raise _no_address(one, recipient) from None
    # an encoded word spends up to three times the octets of its text, and some more on its frame
    if sum([len(box.name.encode("utf-8", "replace")) + len(box.address) for box in boxes]) > MAX_FIELD_OCTETS // 8:
        reason = f"`{one.field}` is too long for a header with the data of {_shown(recipient)}."
        raise Refused("headers_too_large", field=one.field, reason=reason, more=_problems(one, reason))
    return boxes


def _shown(recipient: Recipient) -> str:
    return (recipient.given or recipient.address)[:100]


def _no_address(one: Addresses, recipient: Recipient) -> Refused:
    what = f"`{one.field}`" if one.field != "mime" else f"the field {getattr(one, 'name', 'From')}"
    reason = f"With the data of {_shown(recipient)}, {what} gives no valid address"
    return Refused("invalid_personalization", field=one.field, reason=reason, more=_problems(one, f"{reason}."))


def _two_domains(one: Addresses, first: Recipient, its: str, other: Recipient, others: str) -> Refused:
    reason = (
        f"From has the domain {its[:100]} for {_shown(first)} and {others[:100]} for {_shown(other)}; send mail from "
        "different domains in different calls."
    )
    return Refused("invalid_sender", field=one.field, reason=reason, more=_problems(one, reason))


def _problems(one: Addresses, sentence: str) -> dict[str, Any]:
    """Gives what an answer says beside its sentence: the place in the document, when there is one."""
    return {"problems": shown([Problem("personalization", one.path, sentence)])} if one.path else {}


def unusable(problems: Sequence[Problem], *, field: str = "template") -> Refused:
    """Gives the refusal of a document: the first problem that is fatal says why, or else the first."""
    first = next((one for one in problems if one.is_fatal), problems[0])
    return Refused(
        "invalid_template", field=field, reason=first.sentence, more={"problems": shown(problems[:MAX_PROBLEMS])}
    )


def _wrong_tag(fault: TagError) -> Refused:
    problem = Problem("personalization", fault.path, fault.error.message)
    return untaggable("template", fault.error, where=fault.path, problems=shown([problem]))


def _key(source: Source, *, is_full: bool) -> bytes:
    digest = hashlib.sha256(source.content)
    digest.update(f"{source.kind} {is_full}".encode())
    return digest.digest()


def _decoded(data: str) -> dict[str, Any]:
    return msgspec.json.decode(data) if data else {}


def _is_easy(outline: Outline, source: Source, recipients: Sequence[Recipient]) -> bool:
    """True when the data of every recipient is within its limit for sure, and the first has little."""
    first = len(source.data or "") + (len(recipients[0].data) if recipients else 0)
    most = outline.own_size + len(source.data or "") + max([len(one.data) for one in recipients], default=0)
    return most <= MAX_DATA_OCTETS // 4 and first <= SMALL_BYTES


def _check_data(outline: Outline, source: Source, recipients: Sequence[Recipient]) -> None:
    """Refuses what a recipient is given, together with all that is below it, when it is too large.

    How deep it is nested was checked by the door.
    """
    most = max([len(one.data) for one in recipients], default=0)
    # a character of text has up to four octets
    if outline.own_size + 4 * (len(source.data or "") + most) <= MAX_DATA_OCTETS:
        return
    common = {**outline.own, **_decoded(source.data or "")}
    sizes = {name: _member_size(name, value) for name, value in common.items()}
    total = sum(sizes.values())
    for one in recipients:
        data = _decoded(one.data)
        size = total + sum([_member_size(name, value) - sizes.get(name, 0) for name, value in data.items()])
        if size + 1 > MAX_DATA_OCTETS:
            reason = f"The data for {_shown(one)} has more than {MAX_DATA_OCTETS} bytes as JSON; give less."
            raise Refused("invalid_request", field="recipients" if one.data else "data", reason=reason)


def _member_size(name: str, value: Any) -> int:
    """Gives the octets of a member of an object in JSON, with the comma or brace behind it."""
    return len(msgspec.json.encode(name)) + len(msgspec.json.encode(value)) + 2
