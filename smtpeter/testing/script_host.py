"""A remote host that plays a script, for replies that no honest server would give.

    host = ScriptHost('''
        S: 220 mx.example.com ready
        C: EHLO
        S: 250-mx.example.com
        S: 250 PIPELINING
        C: MAIL FROM:<
        S> 250 half a line without an e
        close
    ''')

Each line is a step, played for each connection from the start:
    S: text     sends the text and CRLF
    S> text     sends octets as they are; \\r \\n \\t \\\\ and \\xNN are understood
    C: prefix   waits for a line that begins so (case does not matter)
    D:          waits for a whole message, up to CRLF.CRLF
    wait 1.5    lets so many seconds pass
    eof         half-closes: says nothing more, but listens
    close       closes, after what was sent
    reset       closes at once
    silence     says nothing any more and reads until the client goes
After the last step the connection is closed.

A script that cannot be read raises `ValueError` when the host is made; a client that says something else raises
`AssertionError` in the host, which `Network.close` passes on.
"""

import asyncio
import re
from dataclasses import dataclass, field

from smtpeter.testing.network import MemoryStream

_ESCAPE = re.compile(rb"\\(r|n|t|\\|x[0-9A-Fa-f]{2})")
_PLAIN = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}
_STEP = re.compile(r"(?P<verb>S:|S>|C:|D:|wait|eof|close|reset|silence)(?:[ ](?P<text>.*))?\Z")


@dataclass(slots=True)
class Conversation:
    """What a client said on one connection: the lines waited for, and the messages with their end."""

    lines: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)


class ScriptHost:
    """Plays a script. `conversations` are in the order of the connections."""

    def __init__(self, script: str) -> None:
        self._steps = [_read_step(line.strip()) for line in script.splitlines() if line.strip()]
        self.conversations: list[Conversation] = []

    async def serve(self, stream: MemoryStream) -> None:
        """Holds one conversation."""
        conversation = Conversation()
        self.conversations.append(conversation)
        input = _Input(stream)
        for verb, text in self._steps:
            if verb in _SENDS:
                stream.write(_SENDS[verb](text))
                await stream.drain()
            elif verb == "C:":
                conversation.lines.append(await input.line(text))
            elif verb == "D:":
                conversation.messages.append(await input.until(b"\r\n.\r\n"))
            elif verb == "wait":
                await asyncio.sleep(float(text))
            else:
                await _leave(verb, stream)


async def _leave(verb: str, stream: MemoryStream) -> None:
    match verb:
        case "eof":
            stream.write_eof()
        case "close":
            stream.close()
        case "reset":
            stream.abort()
        case _:
            while await stream.read():
                pass


def _text(text: str) -> bytes:
    return text.encode() + b"\r\n"


def _octets(text: str) -> bytes:
    return _ESCAPE.sub(lambda m: _PLAIN.get(m[1]) or bytes([int(m[1][1:], 16)]), text.encode())


_SENDS = {"S:": _text, "S>": _octets}


def _read_step(line: str) -> tuple[str, str]:
    step = _STEP.match(line)
    if step is None:
        raise ValueError(f"not a step of a script: {line!r}")
    return step["verb"], step["text"] or ""


class _Input:
    """What the client says, cut into pieces."""

    def __init__(self, stream: MemoryStream) -> None:
        self._stream = stream
        self._buffer = b""

    async def line(self, prefix: str) -> str:
        """Gives the next line without CRLF. Raises AssertionError when it does not begin with the prefix."""
        text = (await self.until(b"\r\n"))[:-2].decode("utf-8", "replace")
        if not text.lower().startswith(prefix.lower()):
            raise AssertionError(f"the script waits for {prefix!r}, the client says {text!r}")
        return text

    async def until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            data = await self._stream.read()
            if not data:
                raise ConnectionResetError("the client is gone")
            self._buffer += data
        piece, _, self._buffer = self._buffer.partition(end)
        return piece + end
