"""The connection of an HTTP client: uvicorn's protocol with framing, limits and order of our own.

uvicorn brings the application's side (scope, receive, send) and the life of a connection. Requests are read by
http_framing, one at a time: the next one is not looked at before the answer is out, so pipelined requests are answered
in order, each on a connection that is still sound, and hold at most one read of memory.

There is no timer per request: the listener calls `check` now and then (L14). A refusal is JSON like those of the REST
door, has an X-Request-Id and ends the connection. An end is gentle: what the client still sends is read and thrown
away for a moment, since closing at once would make its system discard our answer (RFC 9112 9.6).
"""

import asyncio
import enum
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from smtpeter.world import metrics
from smtpeter.world.http_cycle import Cycle, EarlyCycle, OldCycle, error_body, error_fields
from smtpeter.world.http_framing import Head, RequestReader
from smtpeter.world.http_limits import HttpLimits, HttpRefusal
from smtpeter.world.log import log

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope

LINGER_SECONDS = 3.0
STALL_SECONDS = 60.0  # without the client taking a byte of its answer
_HELD_BYTES = 65536  # of a body that the application has not taken


class _Phase(enum.Enum):
    HEAD = enum.auto()  # a request, or nothing yet
    BODY = enum.auto()
    ANSWER = enum.auto()  # the request is complete
    END = enum.auto()  # nothing is executed any more


_HEAD, _BODY, _ANSWER, _END = _Phase  # a member's name is looked up slowly


class LimitedHttp(HttpToolsProtocol):
    """One connection."""

    cycle: Cycle

    def __init__(
        self,
        limits: HttpLimits,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._reader = RequestReader(limits)
        self._phase = _HEAD
        self._since = self.loop.time()  # when the client's time for what it is at began
        self._is_new = True
        self._body_bytes = 0  # since then
        self._ahead = b""  # of the next request
        self._unsent_bytes = 0
        self._unsent_since = 0.0

    # --- the transport's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        metrics.connected("rest")
        self._since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        phase = self._phase
        try:
            if phase is _HEAD:
                self._read_head(data)
            elif phase is _BODY:
                self._body_bytes += len(data)
                self._read_body(data)
            elif phase is _ANSWER:
                self._ahead += data
                self.transport.pause_reading()
        except HttpRefusal as refusal:
            self._refuse(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        metrics.disconnected("rest")
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self._phase in (_BODY, _ANSWER):
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    # --- the application's side

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._phase = _END
        elif self._phase is _BODY or self.cycle.is_last:
            self._end()  # RFC 9112 9.3: what has not been read ends the connection
        else:
            self._phase = _HEAD
            self._since = self.loop.time()
            self.flow.resume_reading()
            if self._ahead:
                ahead, self._ahead = self._ahead, b""
                self.transport.resume_reading()
                self.data_received(ahead)

    # --- reading

    def _read_head(self, data: bytes) -> None:
        reader = self._reader
        was_begun = reader.has_part_of_head
        head = reader.head(data)
        if head is None:
            if not was_begun and not self._is_new:
                self._since = self.loop.time()
            return
        self._is_new = False
        content = b"" if reader.is_complete or not reader.rest else reader.body(reader.rest)
        cycle = self.cycle = self._cycle_of(head, is_complete=reader.is_complete)
        if reader.is_complete:
            cycle.content = content
            self._complete(cycle)
        else:
            self._phase = _BODY
            if content:
                cycle.body += content
                cycle.message_event.set()
            self._since, self._body_bytes = self.loop.time(), len(content)
            cycle.waiting_for_100_continue = head.expects and not content  # RFC 9110 10.1.1
            self._hold_back(cycle)
        self._start_asgi_task(cycle, self.app)

    def _read_body(self, data: bytes) -> None:
        cycle = self.cycle
        cycle.body += self._reader.body(data)
        if self._reader.is_complete:
            self._complete(cycle)
        else:
            self._hold_back(cycle)
        cycle.message_event.set()

    def _complete(self, cycle: Cycle) -> None:
        """The request is there; what came behind it waits until it is answered."""
        self._phase = _ANSWER
        cycle.more_body = False
        self._ahead = self._reader.rest
        if self._ahead:
            self.transport.pause_reading()

    def _hold_back(self, cycle: Cycle) -> None:
        """Lets the client wait for an application that does not take what is there; `receive` goes on reading."""
        if len(cycle.body) > _HELD_BYTES:
            self.flow.pause_reading()

    def _cycle_of(self, head: Head, *, is_complete: bool) -> Cycle:
        raw_path = head.path
        path = raw_path.decode("ascii")
        scope: HTTPScope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": head.method,
            "root_path": self.root_path,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": head.query,
            "headers": head.fields,
            "state": self.app_state.copy(),
        }
        kind = OldCycle if head.version == "1.0" else Cycle if is_complete else EarlyCycle
        return kind(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=head.is_kept,
            on_response=self.on_response_complete,
        )

    # --- limits of time

    def check(self, now: float) -> None:
        """Ends the connection when the client's time is used up at `now`, on the clock of the event loop."""
        self._check_sending(now)
        if self.transport.is_closing():
            return
        waited = now - self._since
        match self._phase:
            case _Phase.HEAD:
                self._check_head(waited)
            case _Phase.BODY if self.flow.read_paused or self.cycle.waiting_for_100_continue:
                self._since, self._body_bytes = now, 0  # the application is the slow one
            case _Phase.BODY if waited >= self._limits.body_window.total_seconds():
                if self._body_bytes < self._limits.min_body_bytes_per_second * waited:
                    self._refuse(HttpRefusal("request_timeout", reason="its body stalled"))
                self._since, self._body_bytes = now, 0
            case _Phase.END if waited > LINGER_SECONDS:
                self.transport.close()

    def _check_head(self, waited: float) -> None:
        if self._reader.has_part_of_head:
            if waited > self._limits.header_time.total_seconds():
                self._refuse(HttpRefusal("request_timeout", reason="its head was not complete in time"))
        elif waited > (self._limits.header_time if self._is_new else self._limits.idle_time).total_seconds():
            # without an answer: a client that just begins would take it for that of its request
            self.transport.close()

    def _check_sending(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent_bytes:
            self._unsent_bytes, self._unsent_since = unsent, now
        elif now - self._unsent_since > STALL_SECONDS:
            self.transport.abort()

    # --- the end

    def _refuse(self, refusal: HttpRefusal) -> None:
        """Answers, unless an answer has begun, and ends the connection."""
        is_answered = False
        if self._phase is _BODY:
            is_answered = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.waiting_for_100_continue = False
            self.cycle.message_event.set()
        if not is_answered:
            self.transport.write(self._refusal_answer(refusal))
        self._end()

    def _refusal_answer(self, refusal: HttpRefusal) -> bytes:
        request_id = secrets.token_hex(8)
        client = self.client[0] if self.client else ""
        log("http.refused", request=request_id, client=client, status=refusal.status, reason=str(refusal))
        body = error_body(refusal.code, str(refusal))
        fields = [*self.server_state.default_headers, *error_fields(body, request_id)]
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        return b"%b%b\r\n%b" % (STATUS_LINE[refusal.status], lines, body)

    def _end(self) -> None:
        """Executes nothing any more, and lets the client read before the connection is closed."""
        self._phase = _END
        self._since = self.loop.time()
        self._ahead = b""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self.transport.resume_reading()
