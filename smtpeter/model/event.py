"""Facts about messages: one class each, immutable, in the log for ever (until retention).

The field order of each class is that of the log files (events.md). Fields that belong to the message (id, envelope,
recipient, tags, templateid) are not repeated here: they are read from its row. `name` is the event's name in the API.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Accepted:
    """The message was taken over from the submitter (API name: attempt, one per accepted message)."""

    name: ClassVar[str] = "attempt"
    properties: str  # the switched-on features joined by ";"


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What an attempt was like; the fields that delivery, deferral and failure share."""

    attempt: int
    local_ip: str
    remote_ip: str
    type: str
    code: int
    status: str
    description: str
    state: str
    mta: str
    tls_version: str = ""
    tls_cipher: str = ""
    tls_verified: bool = False
    durations: str = ""  # "connect=0.003 mailfrom=0.010", seconds by stage
    transcript: str = ""  # lines "C: ..." and "S: ..." without content and credentials
    uncertain: bool = False  # the remote may have taken it although we have no reply (D5)
    rule: str = ""  # the rule of the verdict table that decided


@dataclass(frozen=True, slots=True)
class Delivery(Dialogue):
    """The receiver's server took the message."""

    name: ClassVar[str] = "delivery"


@dataclass(frozen=True, slots=True)
class Deferral(Dialogue):
    """An attempt did not succeed; there will be another."""

    name: ClassVar[str] = "deferral"


@dataclass(frozen=True, slots=True)
class Failure(Dialogue):
    """The message will not be delivered."""

    name: ClassVar[str] = "failure"


@dataclass(frozen=True, slots=True)
class Cancel:
    """The message was taken out of the queue by its owner or an operator."""

    name: ClassVar[str] = "cancel"
    reason: str


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The message killed or hung its worker several times and is set aside (D11)."""

    name: ClassVar[str] = "quarantine"
    reason: str


@dataclass(frozen=True, slots=True)
class Suppression:
    """The recipient was put on the suppression list because of this message."""

    name: ClassVar[str] = "suppression"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A picture of the mail was asked for: somebody, or a machine, opened it.

    `headers` is the header section of the request, `protocol` as "HTTP/1.1"; the places are "" when they are not known.
    """

    name: ClassVar[str] = "open"
    headers: str
    ip: str
    protocol: str
    city: str = ""
    countryname: str = ""
    countrycode: str = ""
    regioncode: str = ""
    useragent: str = ""
    referer: str = ""
    machine: bool = False  # a proxy, prefetcher or scanner rather than a reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """A link of the mail was followed: `url` as it stood in the mail that was sent, `destination` where it leads."""

    name: ClassVar[str] = "click"
    headers: str
    ip: str
    protocol: str
    url: str
    destination: str
    city: str = ""
    countryname: str = ""
    countrycode: str = ""
    regioncode: str = ""
    useragent: str = ""
    referer: str = ""
    machine: bool = False


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The recipient left the list: on our page ("page"), or by a button of the mail program ("oneclick", RFC 8058)."""

    name: ClassVar[str] = "unsubscribe"
    ip: str
    useragent: str
    way: str


Event = Accepted | Delivery | Deferral | Failure | Cancel | Quarantine | Suppression | Open | Click | Unsubscribe

_CLASSES = (Accepted, Delivery, Deferral, Failure, Cancel, Quarantine, Suppression, Open, Click, Unsubscribe)
EVENT_CLASSES: dict[str, type[Event]] = {c.name: c for c in _CLASSES}
