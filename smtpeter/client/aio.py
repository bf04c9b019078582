"""The client for asyncio: streams of the standard library, kept open, and the calls of the API one method each.

A client belongs to the event loop in which it is first used; any number of tasks may share it.
"""

import asyncio
import random
import ssl
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, assert_never

from smtpeter.client import calls
from smtpeter.client.access import MANUAL, Login, LoginWish, NewLogin, NewToken, Suppression, Token, TokenWish
from smtpeter.client.answers import check
from smtpeter.client.calls import ALL_EVENTS, EVERYTHING, Call, Search, Version, Window
from smtpeter.client.conversation import PATIENT, Answer, Pause, Request, Retry, Step, converse
from smtpeter.client.errors import Refusal, Unreachable
from smtpeter.client.http1 import MAX_HEAD, read_answer, write_head
from smtpeter.client.mail import Mail
from smtpeter.client.place import Place, check_key, read_place, unreachable, untrusted
from smtpeter.client.results import Download, Event, Message, Page, Part, Receipt, Sent, Summary

T = TypeVar("T")

MAX_KEPT = 32  # connections that wait for the next call


class AsyncClient:
    """A gateway's API. Use it in an `async with`, or call `close` at the end.

    `url` as https://mail.example.com/v1; `timeout` is the longest wait for a connection or for an answer; `ca_file`
    names the authority of a gateway that has its own (development mode: "ca" in the ready file). Every call raises
    ClientError; a Mail that cannot be written as JSON raises ValueError.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: timedelta = timedelta(seconds=30),
        retry: Retry = PATIENT,
        ca_file: str | Path | None = None,
    ) -> None:
        self._retry = retry
        self._connections = _Connections(read_place(url, token, timeout, ca_file))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections that are kept."""
        await self._connections.close()

    # --- sending

    async def send(self, mail: Mail, *, idempotency_key: str = "") -> Receipt:
        """Hands a mail over; it is on disk when this returns. All recipients are accepted or none.

        With a key of your own, the same call made again, even after a crash of yours, is the same mail (for 24 h).
        """
        return await self._do(calls.send(mail), idempotency_key)

    async def send_batch(self, mails: Sequence[Mail], *, idempotency_key: str = "") -> tuple[Receipt | Refusal, ...]:
        """Hands over up to 1000 mails at once, and gives what became of each: what can be accepted is.

        A Refusal is given, not raised, with the property of its mail in `field`.
        """
        return await self._do(calls.send_batch(mails), idempotency_key)

    async def resend(self, id: str) -> Sent:
        """Sends a message again, as it was made then; it has an id and a story of its own.

        Not repeated when its answer is lost: it would be sent twice.
        """
        return await self._do(calls.resend(id))

    async def cancel(self, id: str) -> None:
        """Takes a message out of the queue. Raises Conflict when it is final, or being delivered right now."""
        await self._do(calls.cancel(id))

    # --- messages

    async def message(self, id: str) -> Message:
        """Gives all that is known of a message."""
        return await self._do(calls.message(id))

    def events(self, id: str, window: Window = ALL_EVENTS) -> AsyncIterator[Event]:
        """Gives what happened to a message, oldest first; by default all of its first month."""
        return self._pages(calls.events(id, window))

    def search(self, wanted: Search = EVERYTHING) -> AsyncIterator[Summary]:
        """Gives the messages that were accepted, the newest first."""
        return self._pages(calls.search(wanted))

    async def recipient(self, id: str) -> str:
        """Gives the address that the message goes to."""
        return await self._do(calls.recipient(id))

    async def envelope(self, id: str) -> str:
        """Gives the address where bounces go, "" when none was given."""
        return await self._do(calls.envelope(id))

    async def text(self, id: str, version: Version = "composed") -> str:
        """Gives the plain text. Raises NotFound when there is none."""
        return await self._do(calls.content("text", id, version))

    async def html(self, id: str, version: Version = "composed") -> str:
        """Gives the HTML. Raises NotFound when there is none."""
        return await self._do(calls.content("html", id, version))

    async def headers(self, id: str, version: Version = "composed") -> str:
        """Gives the header section."""
        return await self._do(calls.content("headers", id, version))

    async def mime(self, id: str) -> bytes:
        """Gives the whole message as it was sent."""
        return await self._do(calls.mime(id))

    async def attachments(self, id: str) -> tuple[Part, ...]:
        """Gives the files that a message carries, without those that its HTML shows."""
        return await self._do(calls.parts("attachments", id))

    async def attachment(self, id: str, name_or_number: str | int) -> Download:
        """Gives the content of one attached file."""
        return await self._do(calls.part("attachments", id, name_or_number))

    async def embeds(self, id: str) -> tuple[Part, ...]:
        """Gives the files that the HTML of a message shows."""
        return await self._do(calls.parts("embeds", id))

    async def embed(self, id: str, name_or_number: str | int) -> Download:
        """Gives the content of one embedded file."""
        return await self._do(calls.part("embeds", id, name_or_number))

    # --- who may send, who gets nothing

    async def tokens(self) -> tuple[Token, ...]:
        """Gives the REST tokens of the account."""
        return await self._do(calls.tokens())

    async def create_token(self, wish: TokenWish) -> NewToken:
        """Makes a token, and gives it with its secret, which is shown this once."""
        return await self._do(calls.create_token(wish))

    async def delete_token(self, id: int) -> Token:
        """Deletes a token, and gives what it was."""
        return await self._do(calls.delete_token(id))

    async def logins(self) -> tuple[Login, ...]:
        """Gives the SMTP logins of the account."""
        return await self._do(calls.logins())

    async def create_login(self, wish: LoginWish) -> NewLogin:
        """Makes an SMTP login, and gives it with its password, which is shown this once."""
        return await self._do(calls.create_login(wish))

    async def change_login(self, id: int, wish: LoginWish) -> Login:
        """Changes what the wish names, and gives the login as it is now."""
        return await self._do(calls.change_login(id, wish))

    async def delete_login(self, id: int) -> Login:
        """Deletes an SMTP login, and gives what it was."""
        return await self._do(calls.delete_login(id))

    def suppressions(self) -> AsyncIterator[Suppression]:
        """Gives who gets no mail of the account."""
        return self._pages(calls.suppressions())

    async def suppression_of(self, address: str, stream: str = "") -> Suppression | None:
        """Gives the entry that keeps mail from an address, None when there is none."""
        return await self._do(calls.suppression_of(address, stream))

    async def suppress(
        self, entries: Sequence[str], *, stream: str = "", cause: str = MANUAL
    ) -> tuple[Suppression, ...]:
        """Keeps mail from addresses and domains, in one stream or in all."""
        return await self._do(calls.suppress(entries, stream, cause))

    async def unsuppress(self, entries: Sequence[str], *, stream: str = "") -> tuple[str, ...]:
        """Lets mail go to them again, and gives which of them were kept from it. Raises NotFound when none was."""
        return await self._do(calls.unsuppress(entries, stream))

    # --- how

    async def _do(self, call: Call[T], idempotency_key: str = "") -> T:
        request = call.request
        if call.is_keyed:
            request = request.with_key(check_key(idempotency_key or uuid.uuid4().hex))
        talk = converse(request, self._retry, random.random)
        step = next(talk)
        while True:
            came = await self._carry_out(step)
            try:
                step = talk.send(came)
            except StopIteration as end:
                return call.read(check(end.value))

    async def _carry_out(self, step: Step) -> Answer | Unreachable | None:
        match step:
            case Pause(duration):
                await asyncio.sleep(duration.total_seconds())
                return None
            case Request():
                return await self._connections.exchange(step)
            case never:
                assert_never(never)

    async def _pages(self, call: Call[Page[T]]) -> AsyncIterator[T]:
        while True:
            page = await self._do(call)
            for item in page.items:
                yield item
            if not page.following:
                return
            call = calls.following(page, call)


_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connections:
    """Connections to one place: kept when the answer allows it, the youngest first."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._kept: list[_Streams] = []

    async def close(self) -> None:
        kept, self._kept = self._kept, []
        for _, writer in kept:
            await _close(writer)

    async def exchange(self, request: Request) -> Answer | Unreachable:
        """Gives what came of one request. Raises Unreachable where a further try cannot help."""
        # whether a kept connection still stands is known after the request, and then it may have been carried out
        while self._kept and request.is_repeatable:
            reader, writer = self._kept.pop()
            if reader.at_eof() or writer.is_closing():
                await _close(writer)
                continue
            came = await self._talk(reader, writer, request)
            if isinstance(came, Answer) or came.is_timeout:
                return came
            # the other side had closed it meanwhile, which says nothing about the gateway
        try:
            reader, writer = await self._connect()
        except ssl.SSLCertVerificationError as wrong:
            raise untrusted(self._place, wrong) from None
        except OSError as wrong:
            return unreachable(self._place, wrong, is_uncertain=False)
        return await self._talk(reader, writer, request)

    async def _connect(self) -> _Streams:
        place = self._place
        async with asyncio.timeout(place.seconds):
            return await asyncio.open_connection(place.host, place.port, ssl=place.context, limit=MAX_HEAD)

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request
    ) -> Answer | Unreachable:
        is_kept = False
        try:
            async with asyncio.timeout(self._place.seconds):
                await self._write(writer, request)
                answer, is_kept = await read_answer(reader)
        except (OSError, EOFError) as wrong:
            return unreachable(self._place, wrong, is_uncertain=True)
        finally:
            # a cancelled call leaves the rest of its answer behind, which must not meet the next one
            if is_kept and len(self._kept) < MAX_KEPT:
                self._kept.append((reader, writer))
            else:
                await _close(writer)
        return answer

    async def _write(self, writer: asyncio.StreamWriter, request: Request) -> None:
        place, body = self._place, request.body
        length = None if body is None else len(body)
        writer.write(write_head(request.method, place.target(request), place.authority, place.headers(request), length))
        if body:
            writer.write(body)
        try:
            await writer.drain()
        except ConnectionError:
            pass  # who refuses a large body may answer before its end, and close


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        pass  # it was broken already
