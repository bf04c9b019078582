"""Facts about messages: one class each, immutable, in the log for ever (until retention).

The field order of each class is that of the log files (events.md). Fields that belong to the message (id, envelope,
recipient, tags, templateid) are not repeated here: they are read from its row. `name` is the event's name in the API.
"""

from typing import ClassVar

from msgspec import Struct


class Accepted(Struct, frozen=True):
    """The message was taken over from the submitter (API name: attempt, one per accepted message)."""

    name: ClassVar[str] = "attempt"
    properties: str  # the switched-on features joined by ";"


class Dialogue(Struct, frozen=True):
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


class Delivery(Dialogue, frozen=True):
    """The receiver's server took the message."""

    name: ClassVar[str] = "delivery"


class Deferral(Dialogue, frozen=True):
    """An attempt did not succeed; there will be another."""

    name: ClassVar[str] = "deferral"


class Failure(Dialogue, frozen=True):
    """The message will not be delivered."""

    name: ClassVar[str] = "failure"


class Cancel(Struct, frozen=True):
    """The message was taken out of the queue by its owner or an operator."""

    name: ClassVar[str] = "cancel"
    reason: str


class Quarantine(Struct, frozen=True):
    """The message killed or hung its worker several times and is set aside (D11)."""

    name: ClassVar[str] = "quarantine"
    reason: str


class Suppression(Struct, frozen=True):
    """The recipient was put on the suppression list because of this message."""

    name: ClassVar[str] = "suppression"
    reason: str


class Open(Struct, frozen=True, kw_only=True):
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


class Click(Struct, frozen=True, kw_only=True):
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


class Unsubscribe(Struct, frozen=True):
    """The recipient left the list: on our page ("page"), or by a button of the mail program ("oneclick", RFC 8058)."""

    name: ClassVar[str] = "unsubscribe"
    ip: str
    useragent: str
    way: str


Event = Accepted | Delivery | Deferral | Failure | Cancel | Quarantine | Suppression | Open | Click | Unsubscribe

_CLASSES = (Accepted, Delivery, Deferral, Failure, Cancel, Quarantine, Suppression, Open, Click, Unsubscribe)
EVENT_CLASSES: dict[str, type[Event]] = {c.name: c for c in _CLASSES}
