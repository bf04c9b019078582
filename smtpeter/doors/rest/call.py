"""One call while it is being answered, and the small answers that the resources share."""

import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response
from starlette.types import Receive

from smtpeter.doors.rest.client import Client
from smtpeter.doors.rest.declare import JSON, NOTHING, Operation, Reading, Table
from smtpeter.doors.rest.decode import Headers, decode_properties, read_body
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.gateway import Gateway, MessageView
from smtpeter.doors.rest.large import Large
from smtpeter.doors.rest.multipart import boundary_of
from smtpeter.doors.rest.settings import RestSettings
from smtpeter.intake.repeats import Idempotency
from smtpeter.model.account import Identity
from smtpeter.model.message import MessageId, is_message_id
from smtpeter.model.refusal import Refused
from smtpeter.store.answers import Answer

# what a UUID or any other random name fits into
_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")
_KEY_ADVICE = "An Idempotency-Key has 1 to 255 printable ASCII characters and no blanks; use a random UUID"

T = TypeVar("T")
Told = TypeVar("Told")

_ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class Call:
    """What a resource needs: who calls, what is in the path behind the resource's name, the query, the body to come.

    `operation` is the declaration that is being carried out; `read_query` and `read_body` read by its tables.

    A resource puts the names of what it did not use into `unknown`; they go into the Warning-Unknown header. What is held
    until the call is answered is on the stack `held`.
    """

    gateway: Gateway
    settings: RestSettings
    operation: Operation
    identity: Identity
    client: Client
    headers: Headers = field(repr=False)  # the token is in them (K4)
    path: str
    arguments: tuple[str, ...]
    query: dict[str, Any]
    receive: Receive
    large: Large
    held: AsyncExitStack
    is_large: bool = False  # its body; known when it has been read
    unknown: list[str] = field(default_factory=list)
    _digest: bytes = b""

    @property
    def message_id(self) -> MessageId:
        """The id that ends the path. Raises Problem (404) when it has not the form of one."""
        if not is_message_id(self.arguments[-1]):
            raise no_such_message()
        return MessageId(self.arguments[-1])

    async def message(self) -> MessageView:
        """Gives the message that the path names. Raises Problem (404)."""
        found = await self.gateway.message(self.identity.account.id, self.message_id)
        if found is None:
            raise no_such_message()
        return found

    def read_query(self) -> dict[str, Any]:
        """Gives the typed parameters of the query. Raises Problem."""
        try:
            return self.operation.query.read(self.query, Reading(is_form=True, unknown=self.unknown))
        except Refused as wrong:
            raise Problem("invalid_parameter", field=wrong.field, reason=str(wrong).removesuffix(".")) from None

    async def read_body(self) -> dict[str, Any]:
        """Gives the typed properties in the body. Raises Problem, Refused, ClientGone."""
        self.unknown.extend(self.query)
        return await self._read(self.operation.body or NOTHING)

    async def read_both(self) -> dict[str, Any]:
        """Gives the typed properties, wherever they stand: in the body, or in the query of a call without one."""
        table = self.operation.body or NOTHING
        values = table.read(self.query, Reading(is_form=True, unknown=self.unknown)) if self.query else {}
        return {**values, **await self._read(table)} if self._has_body else values

    def idempotency(self, answer: Callable[[Told], Response]) -> Idempotency[Told] | None:
        """Gives the key of a call whose body has been read, None without one; `answer` makes what is repeated later.

        Raises Problem.
        """
        key = self.headers.get(b"idempotency-key", b"").decode("latin-1").strip(" ")
        if not key:
            return None
        if not _KEY.match(key):
            raise Problem("invalid_parameter", field="Idempotency-Key", reason=_KEY_ADVICE)

        def kept(told: Told) -> Answer:
            response = answer(told)
            return Answer(response.status_code, bytes(response.body))

        return Idempotency(key, self._digest, kept)

    @property
    def _has_body(self) -> bool:
        return self.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in self.headers

    async def work(self, work: Callable[[], T]) -> T:
        """Does work on what was read, beside the event loop when that was large."""
        return await self.large.beside(work) if self.is_large else work()

    async def _read(self, table: Table) -> dict[str, Any]:
        spool = await read_body(self.receive, self.headers, self.settings.max_body_bytes, self.settings.spool_folder)
        self.held.callback(spool.drop)
        self.is_large = spool.is_on_disk
        if self.is_large:
            await self.held.enter_async_context(self.large.turn(self.identity.account.id))
        return await self.work(lambda: self._understand(spool.take(), table))

    def _understand(self, body: bytes, table: Table) -> dict[str, Any]:
        if b"idempotency-key" in self.headers:
            self._digest = self._digest_of(body)
        properties, is_form = decode_properties(body, self.headers, takes_files=self.operation.takes_files)
        return table.read(properties, Reading(is_form, self.unknown, self.settings.max_recipients))

    def _digest_of(self, body: bytes) -> bytes:
        """Gives what tells one request of a key from another. Clients make a new boundary when they try again."""
        if boundary := boundary_of(self.headers.get(b"content-type", b"").decode("latin-1")):
            body = body.replace(boundary.encode("latin-1"), b"")
        return hashlib.blake2b(b"%b\n%b" % (self.path.encode(), body), digest_size=32).digest()


def no_such_message() -> Problem:
    """The 404 for an id that is unknown, malformed, of another account, or no longer kept: always the same (W1)."""
    return Problem("not_found", hint="there is no such message in this account")


def json_response(value: object, headers: Mapping[str, str] | None = None, status: int = 200) -> Response:
    """Gives an answer with exactly `application/json`, which clients compare as text."""
    return Response(_ENCODER.encode(value), status, headers, "application/json")


def text_response(text: str) -> Response:
    """Gives a 200 of plain text in UTF-8."""
    return Response(text, 200, None, "text/plain")


def repeated(answer: Answer) -> Response:
    """Gives the answer that the same call got before."""
    return Response(answer.content, answer.status, None, JSON)


def show_time(moment: datetime | None) -> str | None:
    """Gives `YYYY-MM-DD hh:mm:ss` in UTC, the one form of times in this API."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if moment else None
