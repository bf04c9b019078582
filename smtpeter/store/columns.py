"""How values of the model are kept in columns: times as milliseconds since 1970 UTC, small values as JSON text."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from smtpeter.model.account import AccountSettings, Features
from smtpeter.model.event import EVENT_CLASSES, Event
from smtpeter.model.message import Notify, Options, Received

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)

_encode = msgspec.json.encode
_options = msgspec.json.Decoder(Options)
_received = msgspec.json.Decoder(Received)
_features = msgspec.json.Decoder(Features)
_settings = msgspec.json.Decoder(AccountSettings)
_names = msgspec.json.Decoder(tuple[str, ...])
_events = {name: msgspec.json.Decoder(kind) for name, kind in EVENT_CLASSES.items()}


def to_ms(moment: datetime) -> int:
    """Gives milliseconds since 1970 UTC; what is finer is cut off."""
    return (moment - _EPOCH) // _MS


def from_ms(ms: int) -> datetime:
    """Gives the aware UTC datetime."""
    return _EPOCH + ms * _MS


def to_json(value: Any) -> str:
    """Gives a dataclass or list as JSON text. Raises UnicodeEncodeError for text that is not Unicode."""
    return _encode(value).decode()


def options_to_json(options: Options) -> str:
    """Gives the stored form. Options name a moment, so hardly two submissions have the same."""
    return to_json(options)


# the messages of one submission share these, so that their JSON is read once
@lru_cache(256)
def options_from_json(text: str) -> Options:
    """Reads the stored form."""
    return _options.decode(text)


# most submissions of a client share these
@lru_cache(4096)
def received_to_json(received: Received) -> str:
    """Gives the stored form."""
    return to_json(received)


@lru_cache(4096)
def received_from_json(text: str) -> Received:
    """Reads the stored form."""
    return _received.decode(text)


@lru_cache(1024)
def features_from_json(text: str) -> Features:
    """Reads the stored form."""
    return _features.decode(text)


@lru_cache(1024)
def settings_from_json(text: str) -> AccountSettings:
    """Reads the stored form."""
    return _settings.decode(text)


def names_from_json(text: str) -> tuple[str, ...]:
    """Reads a stored list of texts."""
    return _names.decode(text)


def event_from_json(name: str, text: str) -> Event:
    """Reads the fields of an event."""
    event: Event = _events[name].decode(text)
    return event


def notify_to_text(notify: frozenset[Notify]) -> str:
    """Gives the keywords in a fixed order, "" when none was given."""
    return ",".join(sorted(notify)) if notify else ""


@lru_cache(32)
def notify_from_text(text: str) -> frozenset[Notify]:
    """Reads the keywords."""
    return frozenset(Notify(word) for word in text.split(",")) if text else frozenset()


def clean(text: str) -> str:
    """Gives foreign text in a form that both stores can keep: PostgreSQL has no NUL in text."""
    return text.replace("\0", "\ufffd") if "\0" in text else text
