"""Every call of the API: what is asked, and how its answer is read. Knows no socket."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode

from smtpeter.client import answers
from smtpeter.client.access import Login, LoginWish, NewLogin, NewToken, Suppression, Token, TokenWish
from smtpeter.client.answers import each, paging, read_receipt, reading
from smtpeter.client.conversation import Answer, Request
from smtpeter.client.errors import Refusal
from smtpeter.client.mail import Mail, write_time
from smtpeter.client.results import Download, Event, Message, Page, Part, Receipt, Sent, Summary

T = TypeVar("T")

_JSON = {"Content-Type": "application/json"}

Version = Literal["composed", "sent"]  # the content as it was made, or as it went over the wire


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call: its request and the reader of its answer. `is_keyed`: the gateway knows Idempotency-Keys for it."""

    request: Request
    read: Callable[[Answer], T]
    is_keyed: bool = False


def _get(read: Callable[[Answer], T], *path: str, **query: str) -> Call[T]:
    return Call(Request("GET", _target(path, query)), read)


def _post(read: Callable[[Answer], T], value: Any, *path: str, is_repeatable: bool = False) -> Call[T]:
    return Call(Request("POST", _target(path, {}), _JSON, _encoded(value), is_repeatable), read)


def _post_keyed(read: Callable[[Answer], T], value: Any, *path: str) -> Call[T]:
    return Call(Request("POST", _target(path, {}), _JSON, _encoded(value)), read, True)


def _delete(read: Callable[[Answer], T], *path: str, value: Any = None) -> Call[T]:
    if value is None:
        return Call(Request("DELETE", _target(path, {})), read)
    return Call(Request("DELETE", _target(path, {}), _JSON, _encoded(value)), read)


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


def _target(path: Sequence[str], query: Mapping[str, str]) -> str:
    """Gives the path with its arguments encoded, and a query of what is not empty."""
    given = {name: value for name, value in query.items() if value}
    return "/v1/" + "/".join(quote(part, safe="@") for part in path) + (f"?{urlencode(given)}" if given else "")


def following(page: Page[T], call: Call[Page[T]]) -> Call[Page[T]]:
    """Gives the call for the page behind this one."""
    return replace(call, request=Request("GET", page.following))


# --- sending


def send(mail: Mail) -> Call[Receipt]:
    return _post_keyed(read_receipt, mail.properties(), "send")


def send_batch(mails: Sequence[Mail]) -> Call[tuple[Receipt | Refusal, ...]]:
    return _post_keyed(answers.read_batch, {"messages": [mail.properties() for mail in mails]}, "send", "batch")


def resend(id: str) -> Call[Sent]:
    return _post(reading(answers.read_only_sent), {"message": id}, "resend")


def cancel(id: str) -> Call[None]:
    return _delete(answers.read_nothing, "message", id)


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
    return _get(each(answers.read_part), kind, id)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which messages; all conditions hold together. `sender` is the domain in From or the address of the envelope."""

    recipient: str = ""
    subject: str = ""
    tag: str = ""
    state: str = ""
    sender: str = ""
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = Search()


def search(wanted: Search) -> Call[Page[Summary]]:
    query = {
        "recipient": wanted.recipient,
        "subject": wanted.subject,
        "tag": wanted.tag,
        "state": wanted.state,
        "from": wanted.sender,
        "since": write_time(wanted.since) if wanted.since else "",
        "until": write_time(wanted.until) if wanted.until else "",
    }
    return _get(paging(answers.read_summary), "messages", **query)


# --- who may send, who gets nothing


def tokens() -> Call[tuple[Token, ...]]:
    return _get(each(answers.read_token), "tokens")


def create_token(wish: TokenWish) -> Call[NewToken]:
    return _post(reading(answers.read_new_token), wish.properties(), "tokens")


def delete_token(id: int) -> Call[Token]:
    return _delete(reading(answers.read_token), "tokens", str(id))


def logins() -> Call[tuple[Login, ...]]:
    return _get(each(answers.read_login), "logins")


def create_login(wish: LoginWish) -> Call[NewLogin]:
    return _post(reading(answers.read_new_login), wish.properties(), "logins")


def change_login(id: int, wish: LoginWish) -> Call[Login]:
    return _post(reading(answers.read_login), {"id": id, **wish.properties()}, "logins", is_repeatable=True)


def delete_login(id: int) -> Call[Login]:
    return _delete(reading(answers.read_login), "logins", str(id))


def suppressions() -> Call[Page[Suppression]]:
    return _get(paging(answers.read_suppression), "suppressions")


def suppression_of(address: str, stream: str) -> Call[Suppression | None]:
    def read_first(found: tuple[Suppression, ...]) -> Suppression | None:
        return found[0] if found else None

    read = each(answers.read_suppression)
    return _get(lambda answer: read_first(read(answer)), "suppressions", address=address, stream=stream)


def suppress(entries: Sequence[str], stream: str, cause: str) -> Call[tuple[Suppression, ...]]:
    value = {"entries": list(entries), "cause": cause, **({"stream": stream} if stream else {})}
    return _post(each(answers.read_suppression), value, "suppressions", is_repeatable=True)


def unsuppress(entries: Sequence[str], stream: str) -> Call[tuple[str, ...]]:
    value = {"entries": list(entries), **({"stream": stream} if stream else {})}
    return _delete(each(str), "suppressions", value=value)
