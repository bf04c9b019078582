"""A server that answers each request as a script says, octet for octet, and keeps what it was asked."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

GONE = b""  # closes without an answer


def answer(status: int = 200, value: Any = None, *, body: bytes | None = None, **headers: str) -> bytes:
    """Gives a response; `_` in the names of headers stands for `-`."""
    content = json.dumps(value).encode() if body is None else body
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def refusal(status: int, code: str, message: str = "No.", field: str = "", **headers: str) -> bytes:
    """Gives an error as the API writes it."""
    return answer(status, {"error": {"code": code, "message": message, "field": field}}, **headers)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that came; header names in lower case. `connection` counts connections from 0."""

    connection: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ScriptServer:
    """What it asked for and where it listens; the last answer of the script is given again and again."""

    script: Sequence[bytes]
    listening: socket.socket
    asked: list[Asked] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _connections: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}/v1"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with self._lock:
                number = len(self._connections)
                self._connections.append(connection)
            threading.Thread(target=self._talk, args=(connection, number), daemon=True).start()

    def _talk(self, connection: socket.socket, number: int) -> None:
        with connection, connection.makefile("rb") as reader:
            try:
                while request := _read(reader, number):
                    with self._lock:
                        reply = self.script[min(len(self.asked), len(self.script) - 1)]
                        self.asked.append(request)
                    connection.sendall(reply)
                    if reply == GONE or b"Connection: close" in reply:
                        return
            except (OSError, ValueError):
                return  # the client has gone, or speaks TLS

    def close(self) -> None:
        # a close alone does not wake who waits in accept
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def _read(reader: Any, number: int) -> Asked | None:
    first = reader.readline().decode()
    if not first:
        return None
    headers = {}
    while line := reader.readline().decode().strip():
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    method, target, _ = first.split(" ")
    return Asked(number, method, target, headers, reader.read(int(headers.get("content-length", 0))))


@contextmanager
def script_server(*script: bytes) -> Iterator[ScriptServer]:
    """Gives a server that follows the script."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = ScriptServer(script, listening)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.close()
            thread.join(10)
