"""The client that waits: connections of `http.client`, kept open, and the calls of the API one method each.

A client may be used by several threads at once; each call takes a connection of its own.
"""

import http.client
import random
import ssl
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, assert_never

from smtpeter.client import calls
from smtpeter.client.access import MANUAL, Login, LoginWish, NewLogin, NewToken, Suppression, Token, TokenWish
from smtpeter.client.answers import check
from smtpeter.client.calls import ALL_EVENTS, EVERYTHING, Call, Search, Version, Window
from smtpeter.client.conversation import PATIENT, Answer, Pause, Request, Retry, Step, converse
from smtpeter.client.errors import NO_HTTP, BadAnswer, Refusal, Unreachable
from smtpeter.client.mail import Mail
from smtpeter.client.place import Place, check_key, read_place, unreachable, untrusted
from smtpeter.client.results import Download, Event, Message, Page, Part, Receipt, Sent, Summary

T = TypeVar("T")

MAX_KEPT = 8  # connections that wait for the next call


class Client:
    """A gateway's API. Use it in a `with`, or call `close` at the end.

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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections that are kept."""
        self._connections.close()

    # --- sending

    def send(self, mail: Mail, *, idempotency_key: str = "") -> Receipt:
        """Hands a mail over; it is on disk when this returns. All recipients are accepted or none.

        With a key of your own, the same call made again, even after a crash of yours, is the same mail (for 24 h).
        """
        return self._do(calls.send(mail), idempotency_key)

    def send_batch(self, mails: Sequence[Mail], *, idempotency_key: str = "") -> tuple[Receipt | Refusal, ...]:
        """Hands over up to 1000 mails at once, and gives what became of each: what can be accepted is.

        A Refusal is given, not raised, with the property of its mail in `field`.
        """
        return self._do(calls.send_batch(mails), idempotency_key)

    def resend(self, id: str) -> Sent:
        """Sends a message again, as it was made then; it has an id and a story of its own.

        Not repeated when its answer is lost: it would be sent twice.
        """
        return self._do(calls.resend(id))

    def cancel(self, id: str) -> None:
        """Takes a message out of the queue. Raises Conflict when it is final, or being delivered right now."""
        self._do(calls.cancel(id))

    # --- messages

    def message(self, id: str) -> Message:
        """Gives all that is known of a message."""
        return self._do(calls.message(id))

    def events(self, id: str, window: Window = ALL_EVENTS) -> Iterator[Event]:
        """Gives what happened to a message, oldest first; by default all of its first month."""
        return self._pages(calls.events(id, window))

    def search(self, wanted: Search = EVERYTHING) -> Iterator[Summary]:
        """Gives the messages that were accepted, the newest first."""
        return self._pages(calls.search(wanted))

    def recipient(self, id: str) -> str:
        """Gives the address that the message goes to."""
        return self._do(calls.recipient(id))

    def envelope(self, id: str) -> str:
        """Gives the address where bounces go, "" when none was given."""
        return self._do(calls.envelope(id))

    def text(self, id: str, version: Version = "composed") -> str:
        """Gives the plain text. Raises NotFound when there is none."""
        return self._do(calls.content("text", id, version))

    def html(self, id: str, version: Version = "composed") -> str:
        """Gives the HTML. Raises NotFound when there is none."""
        return self._do(calls.content("html", id, version))

    def headers(self, id: str, version: Version = "composed") -> str:
        """Gives the header section."""
        return self._do(calls.content("headers", id, version))

    def mime(self, id: str) -> bytes:
        """Gives the whole message as it was sent."""
        return self._do(calls.mime(id))

    def attachments(self, id: str) -> tuple[Part, ...]:
        """Gives the files that a message carries, without those that its HTML shows."""
        return self._do(calls.parts("attachments", id))

    def attachment(self, id: str, name_or_number: str | int) -> Download:
        """Gives the content of one attached file."""
        return self._do(calls.part("attachments", id, name_or_number))

    def embeds(self, id: str) -> tuple[Part, ...]:
        """Gives the files that the HTML of a message shows."""
        return self._do(calls.parts("embeds", id))

    def embed(self, id: str, name_or_number: str | int) -> Download:
        """Gives the content of one embedded file."""
        return self._do(calls.part("embeds", id, name_or_number))

    # --- who may send, who gets nothing

    def tokens(self) -> tuple[Token, ...]:
        """Gives the REST tokens of the account."""
        return self._do(calls.tokens())

    def create_token(self, wish: TokenWish) -> NewToken:
        """Makes a token, and gives it with its secret, which is shown this once."""
        return self._do(calls.create_token(wish))

    def delete_token(self, id: int) -> Token:
        """Deletes a token, and gives what it was."""
        return self._do(calls.delete_token(id))

    def logins(self) -> tuple[Login, ...]:
        """Gives the SMTP logins of the account."""
        return self._do(calls.logins())

    def create_login(self, wish: LoginWish) -> NewLogin:
        """Makes an SMTP login, and gives it with its password, which is shown this once."""
        return self._do(calls.create_login(wish))

    def change_login(self, id: int, wish: LoginWish) -> Login:
        """Changes what the wish names, and gives the login as it is now."""
        return self._do(calls.change_login(id, wish))

    def delete_login(self, id: int) -> Login:
        """Deletes an SMTP login, and gives what it was."""
        return self._do(calls.delete_login(id))

    def suppressions(self) -> Iterator[Suppression]:
        """Gives who gets no mail of the account."""
        return self._pages(calls.suppressions())

    def suppression_of(self, address: str, stream: str = "") -> Suppression | None:
        """Gives the entry that keeps mail from an address, None when there is none."""
        return self._do(calls.suppression_of(address, stream))

    def suppress(self, entries: Sequence[str], *, stream: str = "", cause: str = MANUAL) -> tuple[Suppression, ...]:
        """Keeps mail from addresses and domains, in one stream or in all."""
        return self._do(calls.suppress(entries, stream, cause))

    def unsuppress(self, entries: Sequence[str], *, stream: str = "") -> tuple[str, ...]:
        """Lets mail go to them again, and gives which of them were kept from it. Raises NotFound when none was."""
        return self._do(calls.unsuppress(entries, stream))

    # --- how

    def _do(self, call: Call[T], idempotency_key: str = "") -> T:
        request = call.request
        if call.is_keyed:
            request = request.with_key(check_key(idempotency_key or uuid.uuid4().hex))
        talk = converse(request, self._retry, random.random)
        step = next(talk)
        while True:
            came = self._carry_out(step)
            try:
                step = talk.send(came)
            except StopIteration as end:
                return call.read(check(end.value))

    def _carry_out(self, step: Step) -> Answer | Unreachable | None:
        match step:
            case Pause(duration):
                time.sleep(duration.total_seconds())
                return None
            case Request():
                return self._connections.exchange(step)
            case never:
                assert_never(never)

    def _pages(self, call: Call[Page[T]]) -> Iterator[T]:
        while True:
            page = self._do(call)
            yield from page.items
            if not page.following:
                return
            call = calls.following(page, call)


class _Connections:
    """Connections to one place: kept when the answer allows it, the youngest first."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._kept: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        with self._lock:
            kept, self._kept = self._kept, []
        for connection in kept:
            connection.close()

    def exchange(self, request: Request) -> Answer | Unreachable:
        """Gives what came of one request. Raises Unreachable where a further try cannot help."""
        kept = self._take(request)
        if kept is not None:
            came = self._talk(kept, request)
            if isinstance(came, Answer) or came.is_timeout:
                return came
            # the other side had closed it meanwhile, which says nothing about the gateway
        connection = self._new()
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as wrong:
            raise untrusted(self._place, wrong) from None
        except OSError as wrong:
            connection.close()
            return unreachable(self._place, wrong, is_uncertain=False)
        return self._talk(connection, request)

    def _take(self, request: Request) -> http.client.HTTPConnection | None:
        # whether a kept connection still stands is known after the request, and then it may have been carried out
        with self._lock:
            return self._kept.pop() if self._kept and request.is_repeatable else None

    def _new(self) -> http.client.HTTPConnection:
        place = self._place
        if place.context is None:
            return http.client.HTTPConnection(place.host, place.port, timeout=place.seconds)
        return http.client.HTTPSConnection(place.host, place.port, timeout=place.seconds, context=place.context)

    def _talk(self, connection: http.client.HTTPConnection, request: Request) -> Answer | Unreachable:
        try:
            try:
                connection.request(
                    request.method, self._place.target(request), request.body, self._place.headers(request)
                )
            except (BrokenPipeError, ConnectionResetError):
                pass  # who refuses a large body may answer before its end, and close
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, headers, response.read())
        except (OSError, http.client.IncompleteRead) as wrong:
            connection.close()
            return unreachable(self._place, wrong, is_uncertain=True)
        except http.client.HTTPException:
            connection.close()
            raise BadAnswer(NO_HTTP) from None
        except BaseException:  # an interrupt: what is left of the answer must not meet the next call
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self._keep(connection)
        return answer

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._kept) < MAX_KEPT:
                self._kept.append(connection)
                return
        connection.close()
