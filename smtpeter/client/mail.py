"""What an application wants sent: a mail and its parts as frozen values, and their form in the API."""

import base64
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address with a display name."""

    address: str
    name: str = ""

    def properties(self) -> dict[str, str]:
        """Gives its form in the API."""
        return {"name": self.name, "address": self.address}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in the mail. With a `cid` it is embedded: HTML shows it as `<img src="cid:…">`.

    With a `url` instead of `data` the gateway fetches it before it sends the mail.
    """

    data: bytes = field(default=b"", repr=False)
    name: str = ""
    type: str = ""
    cid: str = ""
    url: str = ""

    @classmethod
    def from_file(cls, path: str | Path, *, cid: str = "") -> Self:
        """Reads a file; its type is guessed by its name. Raises OSError."""
        file = Path(path)
        guessed, encoding = mimetypes.guess_type(file.name)
        # a compressed file is no document of the type that is in it
        return cls(file.read_bytes(), file.name, guessed if guessed and not encoding else "", cid)

    def properties(self) -> dict[str, str]:
        """Gives its form in the API."""
        given = {"name": self.name, "type": self.type, "cid": self.cid}
        if self.url:
            return {"url": self.url, **{k: v for k, v in given.items() if v}}
        return {"data": base64.b64encode(self.data).decode("ascii"), **{k: v for k, v in given.items() if v}}


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """How a reader leaves the list; `is_one_click`: a POST to the `url` is enough (RFC 8058)."""

    email: str = ""
    url: str = ""
    is_one_click: bool = False

    def properties(self) -> dict[str, Any]:
        """Gives its form in the API."""
        given: dict[str, Any] = {"email": self.email, "url": self.url, "oneclick": self.is_one_click}
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True, slots=True)
class Dsn:
    """Which delivery notifications are wanted (RFC 3461): `notify` as "FAILURE,DELAY", `ret` "FULL" or "HDRS"."""

    notify: str = ""
    ret: str = ""
    envid: str = ""
    orcpt: str = ""

    def properties(self) -> dict[str, str]:
        """Gives its form in the API."""
        given = {"notify": self.notify, "ret": self.ret, "envid": self.envid, "orcpt": self.orcpt}
        return {name: value for name, value in given.items() if value}


Addresses = str | Mailbox | Sequence[str | Mailbox]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One send call: what it says, to whom it goes, and what applies to it. What is left out, the gateway decides.

    `recipients` are pure addresses and each gets a message of its own, filled in with the data beside the address when it is
    a mapping; `to` and `cc` are only shown. The content is `text`, `html` or both, a whole message in `mime`, or a `template`:
    its number, its name or a document, which `patch` (RFC 6902) and the other properties change for this mail. With `data`
    (an empty mapping counts) or a template, tags as `{$firstname}` are filled in. Times carry their zone.
    """

    recipients: str | Sequence[str] | Mapping[str, Mapping[str, Any] | None] = ()
    sender: str | Mailbox = ""
    to: Addresses = ()
    cc: Addresses = ()
    bcc: Addresses = ()
    reply_to: Addresses = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    mime: str | bytes = ""
    template: int | str | Mapping[str, Any] | None = None
    patch: Sequence[Mapping[str, Any]] = ()
    data: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)  # names that begin with x-, any with a template
    attachments: Sequence[Attachment] = ()
    unsubscribe: Unsubscribe | None = None
    envelope: str = ""  # where bounces go
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    stream: str = ""
    dsn: Dsn | None = None
    send_at: datetime | None = None
    max_deliver_time: datetime | None = None
    inlinecss: bool | None = None
    trackclicks: bool | None = None
    trackopens: bool | None = None
    trackbounces: bool | None = None
    preventscam: bool | None = None
    images: str = ""  # "default" or "hosted"
    autotext: bool | None = None

    def properties(self) -> dict[str, Any]:
        """Gives the JSON object of POST /v1/send; what is not given is not in it. Raises ValueError."""
        given: dict[str, Any] = {
            "recipients": _recipients(self.recipients),
            "from": _addresses(self.sender),
            "to": _addresses(self.to),
            "cc": _addresses(self.cc),
            "bcc": _addresses(self.bcc),
            "replyto": _addresses(self.reply_to),
            "subject": self.subject or None,
            "text": self.text,
            "html": self.html,
            "mime": _mime(self.mime) or None,
            "template": dict(self.template) if isinstance(self.template, Mapping) else self.template,
            "patch": [dict(operation) for operation in self.patch] or None,
            "data": None if self.data is None else dict(self.data),
            "extra": dict(self.headers) or None,
            "attachments": [one.properties() for one in self.attachments] or None,
            "unsubscribe": self.unsubscribe.properties() if self.unsubscribe else None,
            "envelope": self.envelope or None,
            "tags": list(self.tags) or None,
            "metadata": dict(self.metadata) or None,
            "stream": self.stream or None,
            "dsn": self.dsn.properties() if self.dsn else None,
            "sendat": write_time(self.send_at) if self.send_at else None,
            "maxdelivertime": write_time(self.max_deliver_time) if self.max_deliver_time else None,
            "inlinecss": self.inlinecss,
            "trackclicks": self.trackclicks,
            "trackopens": self.trackopens,
            "trackbounces": self.trackbounces,
            "preventscam": self.preventscam,
            "images": self.images or None,
            "autotext": self.autotext,
        }
        return {name: value for name, value in given.items() if value is not None}


def _recipients(value: str | Sequence[str] | Mapping[str, Mapping[str, Any] | None]) -> Any:
    """Gives recipients as the API takes them; a mapping has the data of each."""
    if isinstance(value, Mapping):
        return {address: None if data is None else dict(data) for address, data in value.items()}
    return [value] if isinstance(value, str) else list(value)


def _addresses(value: Addresses) -> Any:
    """Gives addresses as the API takes them, None when there is none."""
    match value:
        case str():
            return value or None
        case Mailbox():
            return value.properties()
        case _:
            return [one if isinstance(one, str) else one.properties() for one in value] or None


def _mime(value: str | bytes) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise ValueError(
            f"`mime` is not UTF-8 at byte {wrong.start}; JSON carries text only, so encode that part as base64."
        ) from None


def write_time(moment: datetime) -> str:
    """Gives a time as the API takes it. Raises ValueError without a zone."""
    if moment.tzinfo is None:
        raise ValueError("The time has no zone; write datetime(2027, 1, 31, 18, 30, tzinfo=UTC).")
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
