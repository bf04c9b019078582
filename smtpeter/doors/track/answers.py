"""Answers of the tracking door as values, and how they go out over ASGI. Raises nothing."""

from dataclasses import dataclass, field
from typing import TypeAlias

from starlette.types import Scope, Send

Fields: TypeAlias = tuple[tuple[bytes, bytes], ...]

NO_STORE = (b"cache-control", b"no-store")  # W4
NOSNIFF = (b"x-content-type-options", b"nosniff")
_SENT_AT_ONCE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out; its length is said by `send_answer`."""

    status: int
    fields: Fields
    body: bytes = field(default=b"", repr=False)


async def send_answer(scope: Scope, send: Send, answer: Answer) -> None:
    """Sends an answer; a large body in pieces, so that a slow client holds one of them and not a copy of all."""
    body = answer.body
    headers = list(answer.fields)
    if answer.status != 304:  # RFC 9110 8.6: else it would have to be that of the 200
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if scope["method"] == "HEAD":  # RFC 9110 9.3.2: the fields of GET and no content
        body = b""
    for start in range(0, len(body) - _SENT_AT_ONCE, _SENT_AT_ONCE):
        piece = body[start : start + _SENT_AT_ONCE]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    last = max(0, (len(body) - 1) // _SENT_AT_ONCE * _SENT_AT_ONCE)
    await send({"type": "http.response.body", "body": body[last:] if last else body})
