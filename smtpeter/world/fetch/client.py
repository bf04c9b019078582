"""One guarded client for all outgoing HTTP: attachments, images, feeds, imports, webhooks, proofs.

Whoever may write a URL makes us connect to where he likes. So (H1, H2, H3): the name is looked up once, by our own
resolver; every address that it has must be one that we may connect to; the connection goes to such an address and to
nothing else, while the name goes into SNI, the check of the certificate, and Host. A redirect is a new request under
the same rules. Nothing is taken from the environment, no cookie is kept, no proxy is asked, and each request has a
connection of its own, so that no answer can be left over for the next one.

RFC 9110, RFC 9112. Raises FetchTrouble, and ValueError for header fields that must not be sent.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from smtpeter import __version__
from smtpeter.world.fetch.coding import OFFERED, decoder_of
from smtpeter.world.fetch.describe import cache_seconds, content_type, file_name
from smtpeter.world.fetch.reader import AnswerReader, Head
from smtpeter.world.fetch.request import MAX_SECONDS, Answer, Fetched, Post, Request
from smtpeter.world.fetch.slots import Slots
from smtpeter.world.fetch.target import Target, join, parse_target
from smtpeter.world.fetch.trouble import FetchTrouble, Slug
from smtpeter.world.networks import Destinations
from smtpeter.world.seams import Dialer, DnsTrouble, Resolver, Stream

MAX_REDIRECTS = 5  # H3
MAX_ADDRESSES = 4  # of one host, tried in their order
CONNECT_SECONDS = 5.0  # for an address that has another behind it

_REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RFC 9110 15.4
_CONTENT = frozenset({200, 203})  # the other 2xx have no content, or not all of it
_AGENT = f"smtpeter/{__version__}"


@dataclass(frozen=True, slots=True)
class Rules:
    """Where requests may go, and how many at a time. `allow_high_ports`: every port from 1024 on will do (H1)."""

    destinations: Destinations = Destinations()
    allow_high_ports: bool = False
    max_at_once: int = 200
    max_per_host: int = 8


class HttpClient:
    """The real version of `seams.Fetcher` and `seams.Poster`. `context` verifies certificates. For one event loop."""

    def __init__(self, resolver: Resolver, dialer: Dialer, context: ssl.SSLContext, rules: Rules | None = None) -> None:
        self._resolver = resolver
        self._dialer = dialer
        self._context = context
        self._rules = rules or Rules()
        self._slots = Slots(self._rules.max_at_once, self._rules.max_per_host)

    async def fetch(self, request: Request) -> Fetched:
        """Gives what is at the URL: the content of a 200 or 203, all else is trouble."""
        first = self._target(request.url)
        target = first
        is_redirected = False
        try:
            async with asyncio.timeout(min(request.seconds, MAX_SECONDS)):
                for _ in range(MAX_REDIRECTS + 1):
                    headers = request.headers if target.origin == first.origin else {}
                    found = await self._get(target, headers, request.max_bytes)
                    if isinstance(found, Fetched):
                        return found
                    if not request.follow_redirects:
                        raise FetchTrouble(Slug.REDIRECT)
                    is_redirected = True
                    target = self._target(join(target, found))
                raise FetchTrouble(Slug.REDIRECTS, limit=MAX_REDIRECTS)
        except (TimeoutError, FetchTrouble) as error:
            raise _trouble(error).at(first.shown, is_redirected=is_redirected) from None

    async def post(self, request: Post) -> Answer:
        """Hands the content over and gives what was answered, whatever the status, redirects included.

        Once the head of the answer is there it counts, also when the rest of it never comes.
        """
        target = self._target(request.url)
        reader = AnswerReader()
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(min(request.seconds, MAX_SECONDS)), self._connected(target) as stream:
                stream.write(_message("POST", target, request.headers, "identity", request.content))
                size = 0
                while reader.head is None or not (reader.is_complete or size >= request.max_bytes):
                    parts.append(await _read(stream, reader))
                    size += len(parts[-1])
        except (TimeoutError, FetchTrouble) as error:
            if reader.head is None:
                raise _trouble(error).at(target.shown, is_redirected=False) from None
        head = reader.head
        assert head is not None
        content = b"".join(parts)
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(head.fields)}
        is_whole = reader.is_complete and len(content) <= request.max_bytes
        return Answer(head.status, fields, content[: request.max_bytes], is_whole)

    # ---- one request

    def _target(self, url: str) -> Target:
        return parse_target(url, allow_high_ports=self._rules.allow_high_ports)

    async def _get(self, target: Target, headers: Mapping[str, str], max_bytes: int) -> Fetched | bytes:
        """Gives what is there, or the Location of a redirect."""
        async with self._connected(target) as stream:
            stream.write(_message("GET", target, headers, OFFERED))
            reader = AnswerReader()
            begun = b""
            while (head := reader.head) is None:
                begun = await _read(stream, reader)
            location = head.value(b"location")
            if head.status in _REDIRECTS and location is not None:
                return location
            if head.status not in _CONTENT:
                raise FetchTrouble(Slug.STATUS, status=head.status)
            return _fetched(target, head, await _body(stream, reader, head, begun, max_bytes))

    @contextlib.asynccontextmanager
    async def _connected(self, target: Target) -> AsyncIterator[Stream]:
        """Gives a connection to the host, encrypted for https; its end is the end of the connection."""
        async with self._slots.of(target.host):
            stream = await self._dial(target, await self._addresses(target))
            try:
                if target.is_secure:
                    await self._encrypt(stream, target)
                yield stream
            except ConnectionError:
                raise FetchTrouble(Slug.LOST) from None
            finally:
                stream.abort()

    async def _addresses(self, target: Target) -> tuple[str, ...]:
        """Gives the addresses of the host, all of them checked (H2)."""
        try:
            addresses = (target.host,) if target.is_address else await self._resolver.addresses(target.host)
        except DnsTrouble as trouble:
            raise FetchTrouble(Slug.UNKNOWN_HOST if trouble.is_final else Slug.DNS) from None
        if not all(self._rules.destinations.allows(address) for address in addresses):
            raise FetchTrouble(Slug.FORBIDDEN)
        return addresses[:MAX_ADDRESSES]

    async def _dial(self, target: Target, addresses: tuple[str, ...]) -> Stream:
        for address in addresses[:-1]:
            with contextlib.suppress(OSError):  # TimeoutError is one
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await self._dialer.dial(address, target.port)
        try:
            return await self._dialer.dial(addresses[-1], target.port)
        except OSError:
            raise FetchTrouble(Slug.CONNECT) from None

    async def _encrypt(self, stream: Stream, target: Target) -> None:
        try:
            await stream.start_tls(self._context, target.host)
        except ssl.SSLError:
            raise FetchTrouble(Slug.TLS) from None


def _message(
    method: str, target: Target, headers: Mapping[str, str], codings: str, content: bytes | None = None
) -> bytes:
    """Gives a request (RFC 9112 3). Fields of the caller come last."""
    lines = [
        f"{method} {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        f"User-Agent: {_AGENT}",
        f"Accept-Encoding: {codings}",
        "Connection: close",
    ]
    if not any(name.lower() == "accept" for name in headers):
        lines.append("Accept: */*")
    if content is not None:
        lines.append(f"Content-Length: {len(content)}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + (content or b"")


def _trouble(error: TimeoutError | FetchTrouble) -> FetchTrouble:
    return error if isinstance(error, FetchTrouble) else FetchTrouble(Slug.TIMEOUT)


async def _read(stream: Stream, reader: AnswerReader) -> bytes:
    """Gives the content in what arrives next."""
    data = await stream.read()
    if data:
        return reader.feed(data)
    reader.end()
    return b""


async def _body(stream: Stream, reader: AnswerReader, head: Head, begun: bytes, max_bytes: int) -> bytes:
    """Gives the whole content, decoded."""
    decoder = decoder_of(head, max_bytes)
    if (reader.length or 0) + len(begun) > max_bytes:
        raise FetchTrouble(Slug.SIZE, limit=max_bytes)
    parts = [decoder.feed(begun)]
    while not reader.is_complete:
        parts.append(decoder.feed(await _read(stream, reader)))
    decoder.end()
    return b"".join(parts)


def _fetched(target: Target, head: Head, content: bytes) -> Fetched:
    kind, charset = content_type(head)
    return Fetched(
        status=head.status,
        url=str(target),
        type=kind,
        charset=charset,
        name=file_name(head, target),
        content=content,
        cache_seconds=cache_seconds(head),
    )
