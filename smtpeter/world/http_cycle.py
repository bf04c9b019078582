"""A request and its answer as the application sees them: uvicorn's cycle, mended where it and RFC 9112 part.

An answer that comes before the request has been read in full ends the connection; HTTP/1.0 gets no chunks and may keep
its connection; what fails is told as JSON.
"""

import secrets
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import msgspec
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

_INTERNAL_ERROR = "Something went wrong on our side; try again, and name the X-Request-Id when you report it."


class Cycle(RequestResponseCycle):
    """A request and its answer.

    `content` is a body that was there in full when the request was opened. `is_last`: the answer says that the
    connection ends, and the connection sees to it.
    """

    content: bytes | None = None
    is_last = False

    async def receive(self) -> "ASGIReceiveEvent":
        content = self.content
        if content is None or self.disconnected:
            return await super().receive()
        self.content = None
        return {"type": "http.request", "body": content, "more_body": False}

    async def send_500_response(self) -> None:
        """Answers for an application that failed, without the cause (W2)."""
        body = error_body("internal_error", _INTERNAL_ERROR)
        headers = error_fields(body, secrets.token_hex(8))
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


class EarlyCycle(Cycle):
    """The same for a request that has not come in full; its answer may come earlier."""

    def send(self, message: "ASGISendEvent") -> Coroutine[Any, Any, None]:
        if self.more_body and not self.response_started:
            return self._begin_early(message)
        return super().send(message)

    async def _begin_early(self, message: "ASGISendEvent") -> None:
        """Begins an answer before the request has been read: such an answer ends the connection (RFC 9112 9.3)."""
        self.is_last, self.keep_alive = True, False
        await super().send(message)
        self.keep_alive = True  # else uvicorn would close at once, where the connection lingers


class OldCycle(EarlyCycle):
    """The same for HTTP/1.0, which has no chunks: an answer of unknown length ends with the connection."""

    _is_unframed = False

    def send(self, message: "ASGISendEvent") -> Coroutine[Any, Any, None]:
        if message["type"] == "http.response.start" and not self.response_started:
            headers = list(message.get("headers", ()))
            names = {name.lower() for name, _ in headers}
            if b"content-length" not in names:
                self._is_unframed = True
                self.chunked_encoding = False
                self.keep_alive = False
            elif self.keep_alive and not self.more_body and b"connection" not in names:
                # RFC 9112 C.2.2: without it such a client takes the connection for ended
                message = {**message, "headers": [*headers, (b"connection", b"keep-alive")]}
        elif message["type"] == "http.response.body" and self._is_unframed:
            self.expected_content_length = len(message.get("body", b""))
        return super().send(message)


def error_body(code: str, message: str) -> bytes:
    """Gives the JSON of an error, as the REST door's."""
    return msgspec.json.encode({"error": {"code": code, "message": message}})


def error_fields(body: bytes, request_id: str) -> list[tuple[bytes, bytes]]:
    """Gives the fields of an answer that ends the connection."""
    return [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        (b"x-request-id", request_id.encode("ascii")),
    ]
