"""ACCEPT: from a draft to messages on disk, or a refusal. The first verb of the walk.

Nothing is answered before the one commit that stores the source, a row for each recipient and their events (D1).
Where there is room the messages are born claimed by this process and handed to delivery at once, which saves the way
through the due-queue; where there is none they wait there, due now.

Raises `Refused`, and `StoreUnavailable` turned into the refusal of that name.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from smtpeter.content import compose, inspect
from smtpeter.content.options import OptionHeaders, is_option, read_options
from smtpeter.intake.senders import Senders
from smtpeter.intake.space import Space
from smtpeter.model import parts as model_parts
from smtpeter.model.account import Features, Identity
from smtpeter.model.message import (
    Draft,
    Message,
    MessageId,
    Options,
    Recipient,
    Source,
    SourceKind,
    Submission,
    new_submission_id,
)
from smtpeter.model.refusal import Refused
from smtpeter.store.accept import AcceptItem, accept, claimed_at_birth
from smtpeter.store.booking import Booking
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.store import Store
from smtpeter.world.seams import World

FEATURE_ORDER = ("preventscam", "inlinecss", "trackbounces", "trackopens", "trackclicks")  # events.md, attempt
LATEST_EXPIRY = timedelta(days=90)


class Onward(Protocol):
    """Where accepted messages go; delivery is it. A process without the mta role has none."""

    def lane(self, recipient: Recipient) -> str | None:
        """Gives the lane when no DNS is needed to know it."""

    def book(self, lanes: tuple[str | None, ...], size: int) -> Booking | None:
        """Gives the booking under which the messages may be born claimed, or None when there is no room."""

    def hand_over(self, messages: list[Message]) -> None:
        """Takes messages that were born claimed under a booking."""

    def nudge(self) -> None:
        """Says that there is something due in the store."""


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """Limits of acceptance. Sizes in octets."""

    max_message_bytes: int
    max_recipients: int
    expire_after: timedelta


@dataclass(frozen=True, slots=True)
class _Content:
    """What the inspection of a source gave, whatever its kind."""

    source: Source
    from_domains: tuple[str, ...]
    subject: str
    headers: OptionHeaders


class Intake:
    """Judges drafts and stores what it accepts."""

    def __init__(
        self,
        store: Store,
        world: World,
        senders: Senders,
        space: Space,
        settings: IntakeSettings,
        onward: Onward | None,
    ) -> None:
        self._space = space
        self._store = store
        self._world = world
        self._senders = senders
        self._settings = settings
        self._onward = onward
        self._is_closing = False

    def close(self) -> None:
        """Refuses everything from now on (D12)."""
        self._is_closing = True

    async def accept(self, identity: Identity, draft: Draft) -> list[MessageId]:
        """Gives the ids of the stored messages, in the order of the recipients. Raises Refused."""
        if self._is_closing:
            raise Refused("shutting_down")
        if self._space.is_low:
            raise Refused("insufficient_storage")
        if identity.account.suspended:
            raise Refused("account_suspended", reason=identity.account.suspended)
        recipients = _without_repeats(draft.recipients)
        self._check_recipients(recipients)
        content = self._inspect(draft.source)
        try:
            await self._check_sender(identity, content.from_domains)
            return await self._store_and_hand_over(self._submission(identity, draft, recipients, content))
        except StoreUnavailable:
            raise Refused("store_unavailable") from None

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

    def _submission(
        self, identity: Identity, draft: Draft, recipients: tuple[Recipient, ...], content: _Content
    ) -> Submission:
        now = self._world.clock.now()
        options = _merged(identity, draft.options, content.headers, now + self._settings.expire_after)
        if options.max_deliver_time is not None and options.max_deliver_time > now + LATEST_EXPIRY:
            options = replace(options, max_deliver_time=now + LATEST_EXPIRY)
        return Submission(
            id=new_submission_id(int(now.timestamp() * 1000), self._world.randbits(71)),
            account=identity.account.id,
            accepted=now,
            envelope=draft.envelope,
            recipients=recipients,
            source=content.source,
            options=options,
            received=draft.received,
            from_domain=content.from_domains[0],
            subject=content.subject,
        )

    async def _store_and_hand_over(self, submission: Submission) -> list[MessageId]:
        onward = self._onward
        lanes: tuple[str | None, ...] = (None,) * len(submission.recipients)
        booking = None
        if onward is not None:
            lanes = tuple(onward.lane(r) for r in submission.recipients)
            booking = onward.book(lanes, len(submission.source.content))
        item = AcceptItem(submission, lanes, properties(submission.options.features), booking)
        ids = await self._store.write(accept, item)
        if onward is not None:
            if booking is not None:
                onward.hand_over(claimed_at_birth(item))
            else:
                onward.nudge()
        return list(ids)


def properties(features: Features) -> str:
    """Gives the switched-on features as the attempt record shows them, joined by ";"."""
    return ";".join(name for name in FEATURE_ORDER if getattr(features, name))


def _merged(identity: Identity, said: Options, headers: OptionHeaders, default_expiry: datetime) -> Options:
    """Gives the options with precedence account < login < call < x-smtpeter headers (smtp-api.md)."""
    features = headers.features.over(said.features).over(identity.features).over(identity.account.features)
    return replace(
        said,
        features=features,
        tags=headers.tags if headers.tags is not None else said.tags,
        max_deliver_time=headers.max_deliver_time or said.max_deliver_time or default_expiry,
    )


def _without_repeats(recipients: tuple[Recipient, ...]) -> tuple[Recipient, ...]:
    """Gives each address once, in order of first appearance (rest-api.md)."""
    first: dict[str, Recipient] = {}
    for recipient in recipients:
        first.setdefault(recipient.address, recipient)
    return tuple(first.values())
