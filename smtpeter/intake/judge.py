"""May this come in? Recipients, size, what the content says of itself, and who it says it is from.

The one place of intake that says yes or no to a draft; what is refused is a line of the table in `model/refusal.py`. What
needs no more than a look is looked at here, content with tags in `personal.py`.

Raises `Refused`, and StoreUnavailable when the sender domains or a template cannot be read.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from smtpeter.content import compose, inspect
from smtpeter.content.letter import Letters
from smtpeter.content.options import is_option, read_options
from smtpeter.intake.files import check_files
from smtpeter.intake.header_wish import HeaderWish, header_wish
from smtpeter.intake.letter_source import LetterSources
from smtpeter.intake.options import IntakeSettings, merged, sent_again
from smtpeter.intake.outline import files_of
from smtpeter.intake.personal import Audience, Found, Personal
from smtpeter.intake.senders import Senders
from smtpeter.intake.workshop import Workshop
from smtpeter.model import parts as model_parts
from smtpeter.model.account import Identity
from smtpeter.model.message import (
    Draft,
    Message,
    Options,
    Received,
    Recipient,
    Source,
    SourceKind,
    Submission,
    new_submission_id,
)
from smtpeter.model.parts import Parts
from smtpeter.model.refusal import Refused
from smtpeter.store.store import Store
from smtpeter.world.seams import World


class Judge:
    """Makes submissions of drafts that may come in."""

    def __init__(
        self,
        store: Store,
        world: World,
        senders: Senders,
        settings: IntakeSettings,
        workshop: Workshop,
        letters: Letters,
    ) -> None:
        self._world = world
        self._senders = senders
        self._settings = settings
        self._workshop = workshop
        self._personal = Personal(workshop, letters, world.clock)
        self._sources = LetterSources(store, workshop)

    async def submission(self, identity: Identity, draft: Draft) -> Submission:
        """Gives the submission that a draft makes. Raises Refused, StoreUnavailable."""
        recipients = _without_repeats(draft.recipients)
        self._check_recipients(recipients)
        self._check_size(draft.source)
        asked = await self._workshop.read(len(draft.source.content), lambda: header_wish(draft))
        source, template = await self._source(identity, draft, asked)
        if source.data is None and any(one.data for one in recipients):
            source = replace(source, data="{}")
        audience = self._audience(identity, draft.envelope, recipients)
        found = await self._look(source, audience)
        check_files(found.files, self._settings.destinations, is_full=_is_full(source))
        await self._check_sender(identity, found.from_domains)
        options = merged(identity, draft, asked.options.over(found.options), audience.now, self._settings)
        options = replace(options, template=template, is_utf8=options.is_utf8 or found.needs_utf8)
        return _submission(audience, source, options, draft.received, found)

    async def again(self, identity: Identity, message: Message, received: Received) -> Submission:
        """Gives the submission that sends a message of the account once more. Raises Refused, StoreUnavailable."""
        self._check_size(message.source)
        audience = self._audience(identity, message.envelope, (message.recipient,))
        found = await self._look(message.source, audience)
        await self._check_sender(identity, found.from_domains)
        options = sent_again(identity, message.options, audience.now, self._settings)
        return _submission(audience, message.source, options, received, found)

    def _audience(self, identity: Identity, envelope: str | None, recipients: Sequence[Recipient]) -> Audience:
        now = self._world.clock.now()
        id = new_submission_id(int(now.timestamp() * 1000), self._world.randbits(71))
        return Audience(identity.account.id, id, now, envelope, tuple(recipients))

    async def _source(self, identity: Identity, draft: Draft, asked: HeaderWish) -> tuple[Source, int | None]:
        """Gives the source as it is kept, and the number of the template that it is made from, if there is one."""
        if asked.letter is None:
            source = draft.source
            return source if asked.data == source.data else replace(source, data=asked.data), None
        made, template = await self._sources.make(identity.account.id, asked.letter, data=asked.data)
        self._check_size(made)
        return made, template

    async def _look(self, source: Source, audience: Audience) -> Found:
        """Gives what the content says of itself, for each recipient where that differs. Raises Refused."""
        is_full = _is_full(source)
        found = None if is_full else await self._workshop.read(len(source.content), lambda: _inspect(source))
        return found or await self._personal.look(source, audience, is_full=is_full)

    def _check_recipients(self, recipients: tuple[Recipient, ...]) -> None:
        if not recipients:
            raise Refused("no_recipient", field="recipient")
        if len(recipients) > self._settings.max_recipients:
            raise Refused("too_many_recipients", field="recipients", limit=self._settings.max_recipients)

    def _check_size(self, source: Source) -> None:
        if len(source.content) > self._settings.max_message_bytes:
            raise Refused("message_too_large", limit=self._settings.max_message_bytes)

    async def _check_sender(self, identity: Identity, domains: tuple[str, ...]) -> None:
        for domain in domains:
            if not await self._senders.may_send(identity.account, domain):
                raise Refused("sender_domain_not_approved", field="from", domain=domain)
            allowed = identity.login.sender_domains if identity.login else ()
            if allowed and not any(domain == name or domain.endswith("." + name) for name in allowed):
                raise Refused("sender_not_allowed", field="from", domain=domain)


def _is_full(source: Source) -> bool:
    """True when the tags of a source are filled in, not only the automatic ones (personalization.md 1)."""
    return source.kind is SourceKind.LETTER or source.data is not None


def _inspect(source: Source) -> Found | None:
    """Gives what content without tags says of itself; None when a tag makes an address in it. Raises Refused."""
    if source.kind is SourceKind.MIME:
        found = inspect.inspect(source.content)
        return Found(found.from_domains, found.subject, found.options)
    parts = model_parts.decode(source.content)
    if _has_automatic_address(parts):
        return None
    compose.check_parts(parts)
    options = read_options([(name, text) for name, text in parts.headers if is_option(name)])
    return Found((parts.sender.address.rpartition("@")[2],), parts.subject, options, files=files_of(parts))


def _has_automatic_address(parts: Parts) -> bool:
    """True when an address is made by a tag that is replaced without data, as {$recipient}."""
    return any("{$" in box.address for box in (parts.sender, *parts.to, *parts.cc, *parts.replyto))


def _submission(audience: Audience, source: Source, options: Options, received: Received, found: Found) -> Submission:
    return Submission(
        id=audience.submission,
        account=audience.account,
        accepted=audience.now,
        envelope=audience.envelope,
        recipients=tuple(audience.recipients),
        source=source,
        options=options,
        received=received,
        from_domain=found.from_domains[0],
        subject=found.subject,
    )


def _without_repeats(recipients: tuple[Recipient, ...]) -> tuple[Recipient, ...]:
    """Gives each address once, in order of first appearance (rest-api.md)."""
    first: dict[str, Recipient] = {}
    for recipient in recipients:
        first.setdefault(recipient.address, recipient)
    return tuple(first.values())
