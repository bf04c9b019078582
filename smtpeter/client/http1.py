"""One HTTP/1.1 exchange over asyncio streams (RFC 9112): what `http.client` does for the client that waits."""

import asyncio
import http.client
import io
import re
from collections.abc import Mapping

from smtpeter.client.conversation import Answer
from smtpeter.client.errors import NO_HTTP, BadAnswer

MAX_HEAD = 64 * 1024

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")  # RFC 9112 4
_LENGTH = re.compile(r"[0-9]{1,18}\Z")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n\Z")  # RFC 9112 7.1


def write_head(method: str, target: str, host: str, headers: Mapping[str, str], length: int | None) -> bytes:
    """Gives the head of a request. `length`: octets of the body, None when there is none."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


async def read_answer(reader: asyncio.StreamReader) -> tuple[Answer, bool]:
    """Reads one response, and gives it with whether the connection may serve another.

    Raises OSError, EOFError (the connection broke) or BadAnswer (this is no HTTP).
    """
    while True:
        head = await _read_head(reader)
        found = _STATUS_LINE.match(head)
        if found is None:
            raise BadAnswer(NO_HTTP)
        status = int(found[2])
        if status >= 200:  # RFC 9110 15.2: what comes before is information only
            break
    try:
        fields = http.client.parse_headers(io.BytesIO(head[found.end() :]))
    except http.client.HTTPException:
        raise BadAnswer(NO_HTTP) from None
    headers = {name.lower(): value for name, value in fields.items()}
    body, is_framed = await _read_body(reader, status, headers)
    is_kept = is_framed and found[1] == b"1" and "close" not in headers.get("connection", "").lower()
    return Answer(status, headers, body), is_kept


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise BadAnswer(NO_HTTP) from None


async def _read_body(reader: asyncio.StreamReader, status: int, headers: Mapping[str, str]) -> tuple[bytes, bool]:
    """Reads the body as RFC 9112 6.3 finds its end; False when that is the end of the connection."""
    if status in (204, 304):
        return b"", True
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _read_chunks(reader), True
    length = headers.get("content-length")
    if length is None:
        return await reader.read(), False
    if not _LENGTH.match(length):
        raise BadAnswer("The answer has a length that is no number.")
    return await reader.readexactly(int(length)), True


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks = []
    while True:
        found = _CHUNK_SIZE.match(await _line(reader))
        if found is None:
            raise BadAnswer("The answer is cut into chunks that are none.")
        size = int(found[1], 16)
        if size == 0:
            break
        chunks.append(await reader.readexactly(size))
        await _line(reader)
    while (await _line(reader)).strip():
        pass  # fields behind the body
    return b"".join(chunks)


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:
        raise BadAnswer(NO_HTTP) from None
