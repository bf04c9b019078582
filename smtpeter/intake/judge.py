"""May this come in? Recipients, size, what the content says of itself, and who it says it is from.

The one place of intake that says yes or no to a draft; what is refused is a line of the table in `model/refusal.py`.

Raises `Refused`, and StoreUnavailable when the sender domains cannot be read.
"""

from dataclasses import dataclass
from datetime import datetime

from smtpeter.content import compose, inspect
from smtpeter.content.options import OptionHeaders, is_option, read_options
from smtpeter.intake.options import IntakeSettings, merged, sent_again
from smtpeter.intake.senders import Senders
from smtpeter.model import parts as model_parts
from smtpeter.model.account import Identity
from smtpeter.model.message import (
    Draft,
    Message,
    Received,
    Recipient,
    Source,
    SourceKind,
    Submission,
    new_submission_id,
)
from smtpeter.model.refusal import Refused
from smtpeter.world.seams import World


@dataclass(frozen=True, slots=True)
class _Content:
    """What the inspection of a source gave, whatever its kind."""

    source: Source
    from_domains: tuple[str, ...]
    subject: str
    headers: OptionHeaders


class Judge:
    """Makes submissions of drafts that may come in."""

    def __init__(self, world: World, senders: Senders, settings: IntakeSettings) -> None:
        self._world = world
        self._senders = senders
        self._settings = settings

    async def submission(self, identity: Identity, draft: Draft) -> Submission:
        """Gives the submission that a draft makes. Raises Refused, StoreUnavailable."""
        recipients = _without_repeats(draft.recipients)
        self._check_recipients(recipients)
        content = self._inspect(draft.source)
        await self._check_sender(identity, content.from_domains)
        now = self._world.clock.now()
        options = merged(identity, draft.options, content.headers, now, self._settings.expire_after)
        judged = Draft(draft.envelope, recipients, draft.source, options, draft.received)
        return self._submission(identity, judged, content, now)

    async def again(self, identity: Identity, message: Message, received: Received) -> Submission:
        """Gives the submission that sends a message of the account once more. Raises Refused, StoreUnavailable."""
        content = self._inspect(message.source)
        await self._check_sender(identity, content.from_domains)
        now = self._world.clock.now()
        options = sent_again(identity, message.options, now, self._settings.expire_after)
        draft = Draft(message.envelope, (message.recipient,), message.source, options, received)
        return self._submission(identity, draft, content, now)

    def _check_recipients(self, recipients: tuple[Recipient, ...]) -> None:
        if not recipients:
            raise Refused("no_recipient", field="recipient")
        if len(recipients) > self._settings.max_recipients:
            raise Refused("too_many_recipients", field="recipients", limit=self._settings.max_recipients)

    def _inspect(self, source: Source) -> _Content:
        if len(source.content) > self._settings.max_message_bytes:
            raise Refused("message_too_large", limit=self._settings.max_message_bytes)
        if source.kind is SourceKind.MIME:
            found = inspect.inspect(source.content)
            return _Content(source, found.from_domains, found.subject, found.options)
        parts = model_parts.decode(source.content)
        compose.check_parts(parts)
        domain = parts.sender.address.rpartition("@")[2]
        options = read_options([(name, text) for name, text in parts.headers if is_option(name)])
        return _Content(source, (domain,), parts.subject, options)

    async def _check_sender(self, identity: Identity, domains: tuple[str, ...]) -> None:
        for domain in domains:
            if not await self._senders.may_send(identity.account, domain):
                raise Refused("sender_domain_not_approved", field="from", domain=domain)
            allowed = identity.login.sender_domains if identity.login else ()
            if allowed and not any(domain == name or domain.endswith("." + name) for name in allowed):
                raise Refused("sender_not_allowed", field="from", domain=domain)

    def _submission(self, identity: Identity, draft: Draft, content: _Content, now: datetime) -> Submission:
        return Submission(
            id=new_submission_id(int(now.timestamp() * 1000), self._world.randbits(71)),
            account=identity.account.id,
            accepted=now,
            envelope=draft.envelope,
            recipients=draft.recipients,
            source=content.source,
            options=draft.options,
            received=draft.received,
            from_domain=content.from_domains[0],
            subject=content.subject,
        )


def _without_repeats(recipients: tuple[Recipient, ...]) -> tuple[Recipient, ...]:
    """Gives each address once, in order of first appearance (rest-api.md)."""
    first: dict[str, Recipient] = {}
    for recipient in recipients:
        first.setdefault(recipient.address, recipient)
    return tuple(first.values())
