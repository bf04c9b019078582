"""SMTP and HTTP clients as plain as can be: what goes over the wire is what the test says."""

import base64
import email.message
import socket
import ssl
from types import TracebackType
from typing import Any, Self

from tests.live.gateway import Gateway


def encoded(text: str) -> str:
    """Gives text in base64, as AUTH wants it."""
    return base64.b64encode(text.encode()).decode()


class RawClient:
    """An SMTP client that sends lines and returns reply lines."""

    def __init__(self, place: dict[str, Any], ca: str, *, implicit: bool = False) -> None:
        self._context = ssl.create_default_context(cafile=ca)
        self._host = place["host"]
        self._socket: socket.socket = socket.create_connection((place["host"], place["port"]), timeout=20)
        if implicit:
            self._socket = self._context.wrap_socket(self._socket, server_hostname=self._host)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def start_tls(self) -> None:
        """Makes the handshake, with the certificate verified."""
        assert not self._buffer
        self._socket = self._context.wrap_socket(self._socket, server_hostname=self._host)

    def write(self, data: bytes) -> None:
        """Sends octets."""
        self._socket.sendall(data)

    def line(self) -> str:
        """Gives the next line, "" when the server has closed."""
        while b"\r\n" not in self._buffer:
            data = self._socket.recv(65536)
            if not data:
                assert not self._buffer
                return ""
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line.decode()

    def reply(self) -> list[str]:
        """Gives the lines of the next reply."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return lines

    def say(self, text: str) -> str:
        """Sends a line and gives the last line of the reply."""
        self.write(text.encode() + b"\r\n")
        return self.reply()[-1]


def logged_in(gateway: Gateway) -> RawClient:
    """Gives a client that has done STARTTLS and AUTH."""
    place = gateway.ready["smtp"]
    client = RawClient(place, gateway.ready["ca"])
    assert client.line().startswith("220 ")
    assert client.say("EHLO client").startswith("250 ")
    assert client.say("STARTTLS").startswith("220 ")
    client.start_tls()
    assert client.say("EHLO client").startswith("250 ")
    assert client.say("AUTH PLAIN " + encoded(f"\0{place['user']}\0{place['password']}")).startswith("235 ")
    return client


def mail(sender: str, recipient: str, subject: str = "Hello", text: str = "Good day.\r\n", **headers: str) -> bytes:
    """Gives a small mail with CRLF line ends; `_` in the names of headers stands for `-`."""
    fields = {"From": sender, "To": recipient, "Subject": subject, **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return (head + "\r\n" + text).encode()


def queued_id(reply: str) -> str:
    """Gives the id in `250 2.0.0 Ok, queued as ID`."""
    assert reply.startswith("250 2.0.0 Ok, queued as "), reply
    return reply.rsplit(" ", 1)[1]


def simple_message(sender: str, recipient: str, subject: str = "Hello") -> email.message.EmailMessage:
    """Gives a mail for smtplib."""
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, recipient, subject
    message.set_content("Good day.\n")
    return message


def raw_http(host: str, request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Sends octets to HOST:PORT and reads to the end: gives the status line, the headers and the body."""
    name, _, port = host.rpartition(":")
    with socket.create_connection((name, int(port)), timeout=20) as connection:
        connection.sendall(request)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return status, {field.lower(): value for field, _, value in pairs}, body
