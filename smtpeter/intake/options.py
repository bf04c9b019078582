"""The options under which a submission is stored: what account, credential, call and header say, laid over each other.

Raises Refused for options that cannot be kept together or in time.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from msgspec.structs import replace

from smtpeter.content.options import OptionHeaders
from smtpeter.intake.wish import CallDraft
from smtpeter.model.account import Features, Identity
from smtpeter.model.message import Draft, Options
from smtpeter.model.refusal import Refused
from smtpeter.world.networks import Destinations

FEATURE_ORDER = ("preventscam", "inlinecss", "trackbounces", "trackopens", "trackclicks")  # events.md, attempt
LATEST_EXPIRY = timedelta(days=90)  # after the first try
LATEST_SEND = timedelta(days=90)  # rest-api.md, sendat
DEFAULT_STREAM = "transactional"
# below what account, login and call say (rest-api.md)
SHIPPED = Features(
    inlinecss=False, trackclicks=True, trackopens=True, trackbounces=True, preventscam=False, images="default"
)
MAX_STREAMS = 100  # that an account can name in a setting
_STREAM = re.compile(r"[a-z0-9-]{1,32}\Z")


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """Limits of acceptance. Sizes in octets; `expire_after` counts from the moment of the first try.

    `tracking` is scheme and host of tracked addresses, as "https://clicks.example.com"; "" when nothing can be tracked.
    `destinations` are where files may be fetched from; None: that is not judged here. `late_at` says when a message is late
    that may be sent since a moment; None: nobody is told of a delay.
    """

    max_message_bytes: int
    max_recipients: int
    expire_after: timedelta
    tracking: str = ""
    destinations: Destinations | None = None
    late_at: Callable[[datetime], datetime] | None = None


def merged(
    identity: Identity, draft: Draft, headers: OptionHeaders, now: datetime, settings: IntakeSettings
) -> Options:
    """Gives the options with precedence account < login < call < x-smtpeter headers (smtp-api.md)."""
    said = draft.options
    send_at = _checked_send_at(headers.send_at or said.send_at, now)
    stream = _checked_stream(headers.stream or said.stream)
    mine = identity.account.settings
    autotext = draft.autotext if isinstance(draft, CallDraft) else None
    return replace(
        said,
        features=_features(headers.features, said.features, identity.features, identity.account.features, SHIPPED),
        tags=headers.tags if headers.tags is not None else said.tags,
        max_deliver_time=_expiry(
            headers.max_deliver_time or said.max_deliver_time, send_at, now, settings.expire_after
        ),
        stream=stream,
        metadata=headers.metadata if headers.metadata is not None else said.metadata,
        send_at=send_at,
        is_sandbox=said.is_sandbox or identity.is_sandbox,
        tracking=settings.tracking,
        adds_text=mine.autotext if autotext is None else autotext,
        tracks_text=mine.trackplaintext,
        tracks_images=mine.trackimages,
        manages_unsubscribe=stream in mine.manageunsubscribe,
    )


def sent_again(identity: Identity, first: Options, now: datetime, settings: IntakeSettings) -> Options:
    """Gives the options of a message that is sent again: those of the first time, but now and with a new life."""
    return replace(
        first,
        send_at=None,
        max_deliver_time=now + settings.expire_after,
        is_sandbox=first.is_sandbox or identity.is_sandbox,
        tracking=settings.tracking,
    )


@lru_cache(1024)
def properties(features: Features) -> str:
    """Gives the switched-on features as the attempt record shows them, joined by ";"."""
    return ";".join(name for name in FEATURE_ORDER if getattr(features, name))


@lru_cache(1024)
def _features(*levels: Features) -> Features:
    """Gives the settings of the first level that says something; most submissions of an account share them."""
    first, *others = levels
    for lower in others:
        first = first.over(lower)
    return first


def _checked_send_at(send_at: datetime | None, now: datetime) -> datetime | None:
    """Gives the time before which nothing is sent, None when that is over. Raises Refused."""
    if send_at is None or send_at <= now:
        return None
    if send_at > now + LATEST_SEND:
        reason = f"`sendat` is more than {LATEST_SEND.days} days ahead; give an earlier time."
        raise Refused("invalid_request", field="sendat", reason=reason)
    return send_at


def _expiry(asked: datetime | None, send_at: datetime | None, now: datetime, expire_after: timedelta) -> datetime:
    """Gives when a message expires: as asked, within bounds, or some time after the first try."""
    first = send_at or now
    if asked is None:
        return first + expire_after
    if send_at is not None and asked <= send_at:
        reason = "`maxdelivertime` is not after `sendat`, so the message could never be sent; give a later time."
        raise Refused("invalid_request", field="maxdelivertime", reason=reason)
    return min(asked, first + LATEST_EXPIRY)


def is_stream(name: str) -> bool:
    """True for what a stream can be called."""
    return _STREAM.match(name) is not None


def _checked_stream(stream: str) -> str:
    if stream != DEFAULT_STREAM and not is_stream(stream):
        reason = "A stream is named by 1 to 32 of the characters a-z, 0-9 and hyphen, as in `bulk`."
        raise Refused("invalid_request", field="stream", reason=reason)
    return stream
