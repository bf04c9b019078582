"""From HTTP responses to results or errors: one reader for each form of answer.

Readers take what they know and leave what they do not, so that a newer gateway breaks no older client. Raises
Refusal for what the gateway refused, and BadAnswer for what no gateway says.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from smtpeter.client.access import Login, NewLogin, NewToken, Suppression, Token
from smtpeter.client.conversation import Answer
from smtpeter.client.errors import BadAnswer, Refusal, refusal_class
from smtpeter.client.results import Attempt, Download, Event, Message, Page, Part, Receipt, Sent, Summary, Tls

T = TypeVar("T")


def check(answer: Answer) -> Answer:
    """Gives the answer of a call that succeeded. Raises Refusal or BadAnswer."""
    if 200 <= answer.status < 300:
        return answer
    try:
        error = json.loads(answer.body)["error"]
        code, message, where = str(error["code"]), str(error["message"]), str(error.get("field", ""))
    except (ValueError, LookupError, TypeError, AttributeError):
        if answer.status < 400:
            raise BadAnswer(
                f"There is no gateway at this address: it answered with status {answer.status}; check the URL."
            ) from None
        # a proxy on the way has its own words
        code, message, where = "", f"The server answered with status {answer.status} and no reason.", ""
    raise refusal_class(answer.status)(
        answer.status,
        code,
        message,
        field=where,
        request_id=answer.headers.get("x-request-id", ""),
        retry_after=answer.retry_after,
    )


def decoded(answer: Answer) -> Any:
    """Gives the JSON value of an answer."""
    try:
        return json.loads(answer.body)
    except ValueError:
        raise BadAnswer("The answer is not JSON; check that the URL is that of a gateway.") from None


def reading(read: Callable[[Any], T]) -> Callable[[Answer], T]:
    """Gives a reader of answers from a reader of JSON values: whatever it misses is a BadAnswer."""

    def read_answer(answer: Answer) -> T:
        value = decoded(answer)
        try:
            return read(value)
        except (LookupError, TypeError, ValueError, AttributeError) as wrong:
            raise BadAnswer(f"The answer has not the form that this client knows: {wrong!r}.") from None

    return read_answer


def paging(read: Callable[[Any], T]) -> Callable[[Answer], Page[T]]:
    """Gives a reader of one page from a reader of its items."""

    def read_page(answer: Answer) -> Page[T]:
        items = each(read)(answer)
        return Page(items, _following(answer.headers.get("link", "")))

    return read_page


def read_receipt(answer: Answer) -> Receipt:
    """Reads `{id: recipient}`."""
    return Receipt(reading(read_sent)(answer), _unknown(answer))


def read_batch(answer: Answer) -> tuple[Receipt | Refusal, ...]:
    """Reads what became of each send of a batch: a refusal is a value here, because the others were accepted."""

    def read(value: Any) -> tuple[Receipt | Refusal, ...]:
        return tuple(_result(number, result, answer) for number, result in enumerate(value["results"]))

    return reading(read)(answer)


def _result(number: int, result: Any, answer: Answer) -> Receipt | Refusal:
    where = f"messages[{number}]."
    if "ids" in result:
        names = (name.removeprefix(where) for name in _unknown(answer) if name.startswith(where))
        return Receipt(read_sent(result["ids"]), tuple(names))
    error = result["error"]
    field = _text(error, "field").removeprefix(where).removeprefix(where[:-1])
    request_id = answer.headers.get("x-request-id", "")
    return Refusal(400, str(error["code"]), str(error["message"]), field=field, request_id=request_id)


def _unknown(answer: Answer) -> tuple[str, ...]:
    names = answer.headers.get("warning-unknown", "")
    return tuple(unquote(name.strip()) for name in names.split(",") if name.strip())


def read_sent(value: Any) -> tuple[Sent, ...]:
    """Reads the object of ids and recipients."""
    return tuple(Sent(id, str(recipient)) for id, recipient in value.items())


def each(read: Callable[[Any], T]) -> Callable[[Answer], tuple[T, ...]]:
    """Gives a reader of a list from a reader of its items."""
    return reading(lambda value: tuple(map(read, value)))


def read_only_sent(value: Any) -> Sent:
    """Reads the object of the one id and its recipient."""
    (only,) = read_sent(value)
    return only


def read_text(answer: Answer) -> str:
    """Reads plain text in UTF-8."""
    return answer.body.decode("utf-8", "replace")


def read_octets(answer: Answer) -> bytes:
    """Gives the body as it came."""
    return answer.body


def read_download(answer: Answer) -> Download:
    """Gives a file's content with its type."""
    return Download(answer.body, answer.headers.get("content-type", "application/octet-stream"))


def read_nothing(answer: Answer) -> None:
    """Reads nothing: that it succeeded is all there is to know."""


def read_part(value: Any) -> Part:
    """Reads one element of attachments/ID or embeds/ID."""
    return Part(
        int(value["number"]), _text(value, "name"), _text(value, "type"), int(value["size"]), _text(value, "cid")
    )


def read_event(value: Any) -> Event:
    """Reads one event record."""
    data: Mapping[str, Any] = value["data"]
    return Event(
        str(value["event"]),
        str(data["id"]),
        read_time(data["time"]),
        _text(data, "recipient"),
        _texts(data, "tags"),
        data,
    )


def read_message(value: Any) -> Message:
    """Reads message/ID."""
    attempts, events = map(read_attempt, value["attempts"]), map(read_event, value["events"])
    return Message(**_summary(value), attempts=tuple(attempts), events=tuple(events))


def read_summary(value: Any) -> Summary:
    """Reads one element of a list of messages."""
    return Summary(**_summary(value))


def _summary(value: Any) -> dict[str, Any]:
    """Gives the fields of Summary."""
    return {
        "id": str(value["id"]),
        "state": str(value["state"]),
        "envelope": _text(value, "envelope"),
        "recipient": str(value["recipient"]),
        "tags": _texts(value, "tags"),
        "subject": _text(value, "subject"),
        "size": int(value.get("size") or 0),
        "accepted": read_time(value["accepted"]),
        "expires": maybe_time(value.get("expires")),
        "next_attempt": maybe_time(value.get("nextattempt")),
        "settled": maybe_time(value.get("settled")),
    }


def read_attempt(value: Any) -> Attempt:
    """Reads one attempt of message/ID."""
    tls = value.get("tls")
    return Attempt(
        attempt=int(value["attempt"]),
        time=read_time(value["time"]),
        outcome=str(value["outcome"]),
        local_ip=_text(value, "from"),
        remote_ip=_text(value, "to"),
        mta=_text(value, "mta"),
        state=_text(value, "state"),
        type=_text(value, "type"),
        code=int(value.get("code") or 0),
        status=_text(value, "status"),
        description=_text(value, "description"),
        is_uncertain=bool(value.get("uncertain")),
        tls=Tls(_text(tls, "version"), _text(tls, "cipher"), bool(tls.get("verified"))) if tls else None,
        durations=dict(value.get("durations") or {}),
        transcript=_texts(value, "transcript"),
    )


def read_token(value: Any) -> Token:
    """Reads one element of tokens."""
    return Token(**_token(value))


def read_new_token(value: Any) -> NewToken:
    """Reads the answer that makes a token."""
    return NewToken(**_token(value), secret=str(value["token"]))


def _token(value: Any) -> dict[str, Any]:
    """Gives the fields of Token."""
    return {
        "id": int(value["id"]),
        "name": str(value["name"]),
        "prefix": _text(value, "prefix"),
        "scopes": _texts(value, "scopes"),
        "is_sandbox": bool(value.get("sandbox")),
    }


def read_login(value: Any) -> Login:
    """Reads one element of logins."""
    return Login(**_login(value))


def read_new_login(value: Any) -> NewLogin:
    """Reads the answer that makes a login."""
    return NewLogin(**_login(value), password=_text(value, "password"))


def _login(value: Any) -> dict[str, Any]:
    """Gives the fields of Login."""
    return {
        "id": int(value["id"]),
        "user": str(value["user"]),
        "settings": dict(value.get("settings") or {}),
        "networks": _texts(value, "networks"),
        "sender_domains": _texts(value, "domains"),
    }


def read_suppression(value: Any) -> Suppression:
    """Reads one element of suppressions."""
    since = read_time(value["since"])
    return Suppression(
        str(value["entry"]), _text(value, "stream"), _text(value, "cause"), since, _text(value, "message")
    )


def _following(link: str) -> str:
    """Gives the path and query of `<…>; rel="next"`, "" when there is none (RFC 8288)."""
    address, _, parameters = link.partition(">")
    if not address.startswith("<") or 'rel="next"' not in parameters:
        return ""
    parts = urlsplit(address[1:])
    return f"{parts.path}?{parts.query}"  # the host stays ours: the token is for nobody else


def _text(value: Any, name: str) -> str:
    found = value.get(name)
    return "" if found is None else str(found)


def _texts(value: Any, name: str) -> tuple[str, ...]:
    return tuple(map(str, value.get(name) or ()))


def maybe_time(text: str | None) -> datetime | None:
    """Reads a time of the API, if there is one."""
    return read_time(text) if text else None


def read_time(text: str) -> datetime:
    """Reads `YYYY-MM-DD hh:mm:ss` or ISO 8601, in UTC where no zone is named."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
