"""Every call of the API: what is asked, and how its answer is read. Knows no socket."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode

from smtpeter.client import answers
from smtpeter.client.answers import paging, read_receipt, reading
from smtpeter.client.conversation import Answer, Request
from smtpeter.client.mail import Mail
from smtpeter.client.results import Download, Event, Message, Page, Part, Receipt

T = TypeVar("T")

Version = Literal["composed", "sent"]  # the content as it was made, or as it went over the wire


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call: its request and the reader of its answer. `is_creating`: it needs an Idempotency-Key to be repeated."""

    request: Request
    read: Callable[[Answer], T]
    is_creating: bool = False


def _get(read: Callable[[Answer], T], *path: str, **query: str) -> Call[T]:
    return Call(Request("GET", _target(path, query)), read)


def _post(read: Callable[[Answer], T], value: Any, *path: str) -> Call[T]:
    body = json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    return Call(Request("POST", _target(path, {}), {"Content-Type": "application/json"}, body), read, True)


def _delete(read: Callable[[Answer], T], *path: str, **query: str) -> Call[T]:
    return Call(Request("DELETE", _target(path, query)), read)


def _target(path: Sequence[str], query: Mapping[str, str]) -> str:
    """Gives the path with its arguments encoded, and a query of what is not empty."""
    given = {name: value for name, value in query.items() if value}
    return "/v1/" + "/".join(quote(part, safe="@") for part in path) + (f"?{urlencode(given)}" if given else "")


def following(page: Page[T], call: Call[Page[T]]) -> Call[Page[T]]:
    """Gives the call for the page behind this one."""
    return replace(call, request=Request("GET", page.following))


# --- sending


def send(mail: Mail) -> Call[Receipt]:
    return _post(read_receipt, mail.properties(), "send")


# --- messages


def message(id: str) -> Call[Message]:
    return _get(reading(answers.read_message), "message", id)


def content(part: str, id: str, version: Version) -> Call[str]:
    return _get(answers.read_text, part, id, version=version)


def recipient(id: str) -> Call[str]:
    return _get(answers.read_text, "recipient", id)


def envelope(id: str) -> Call[str]:
    return _get(answers.read_text, "envelope", id)


def mime(id: str) -> Call[bytes]:
    return _get(answers.read_octets, "mime", id)


def parts(kind: str, id: str) -> Call[tuple[Part, ...]]:
    return _get(reading(lambda value: tuple(map(answers.read_part, value))), kind, id)


def part(kind: str, id: str, name_or_number: str | int) -> Call[Download]:
    return _get(answers.read_download, kind, id, str(name_or_number))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which events: from `start`, before `end`, with all these tags, of these names. Empty: as the gateway decides."""

    start: date | None = None
    end: date | None = None
    tags: Sequence[str] = ()
    names: Sequence[str] = ("*",)


ALL_EVENTS = Window()


def events(id: str, window: Window) -> Call[Page[Event]]:
    return _get(
        paging(answers.read_event),
        "events",
        "messageid",
        id,
        start=window.start.isoformat() if window.start else "",
        end=window.end.isoformat() if window.end else "",
        tags=";".join(window.tags),
        type=",".join(window.names),
    )
