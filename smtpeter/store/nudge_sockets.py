"""Nudges between the processes on one SQLite file: a Unix datagram socket for each, in a folder beside the file.

    mail.sqlite.nudge/4711-9f3a02c1.sock      process 4711, and a part by chance: containers may share a folder

A datagram goes to every socket in the folder. Sending never blocks: whose queue is full has nudges enough to read. The
socket of a process that died refuses, and whoever notices removes it. A socket gets the name that others look for after
it is bound, so that nobody takes one that is being made for a dead one. The folder is for its owner alone (mode 700), so
that nobody else can nudge; it stays, as another process may be opening it at any moment.
"""

import asyncio
import contextlib
import os
import secrets
import socket
from pathlib import Path

from smtpeter.store.nudge import MAX_TOPIC, Heard

_SUFFIX = ".sock"
_MAX_ADDRESS_BYTES = 107  # sun_path of unix(7) without its last NUL
_MAX_AT_ONCE = 64  # datagrams read before other work has its turn


class SocketChannel:
    """The channel of one open SQLite store. When the folder or a socket cannot be had, it is silent and deaf."""

    def __init__(self, data_base: Path) -> None:
        self._folder = Path(f"{data_base}.nudge")
        self._handle = -1  # of the folder
        self._sender: socket.socket | None = None
        self._receiver: socket.socket | None = None
        self._name = ""
        self._heard: Heard | None = None

    def listen(self, heard: Heard) -> None:
        """Makes the socket of this process."""
        try:
            self._open()
            self._bind()
        except OSError:
            return  # polling finds everything, a little later
        assert self._receiver is not None
        self._heard = heard
        asyncio.get_running_loop().add_reader(self._receiver.fileno(), self._read)

    def send(self, topic: str) -> None:
        """Sends to every socket but our own, and removes those of the dead."""
        try:
            self._open()
            with os.scandir(self._handle) as entries:
                names = [entry.name for entry in entries]
        except OSError:
            return
        assert self._sender is not None
        for name in names:
            if not name.endswith(_SUFFIX) or name == self._name:
                continue
            try:
                self._sender.sendto(topic.encode(), self._address(name))
            except ConnectionRefusedError:
                self._remove(name)
            except OSError:
                continue  # its queue is full, or it went this moment

    async def close(self) -> None:
        """Removes the socket of this process."""
        if self._receiver is not None:
            asyncio.get_running_loop().remove_reader(self._receiver.fileno())
            self._receiver.close()
            self._receiver = None
            self._remove(self._name)
        if self._sender is not None:
            self._sender.close()
            self._sender = None
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _open(self) -> None:
        """Opens the folder and the socket to send from, unless they are open. Raises OSError."""
        if self._handle < 0:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if self._sender is None:
            self._sender = _datagram_socket()

    def _bind(self) -> None:
        """Binds under a name that nobody looks at, then takes the one that others see. Raises OSError."""
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        receiver = _datagram_socket()
        try:
            receiver.bind(self._address(name))
            os.rename(name, name + _SUFFIX, src_dir_fd=self._handle, dst_dir_fd=self._handle)
        except BaseException:
            receiver.close()
            self._remove(name)
            raise
        self._receiver, self._name = receiver, name + _SUFFIX

    def _address(self, name: str) -> str:
        address = f"{self._folder}/{name}"
        if len(os.fsencode(address)) <= _MAX_ADDRESS_BYTES:
            return address
        return f"/proc/self/fd/{self._handle}/{name}"  # Linux; elsewhere it is not found, which is an OSError

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._handle)

    def _read(self) -> None:
        assert self._receiver is not None
        assert self._heard is not None
        topics: dict[str, None] = {}
        with contextlib.suppress(OSError):  # BlockingIOError: it is empty
            for _ in range(_MAX_AT_ONCE):
                topics[self._receiver.recv(MAX_TOPIC + 1).decode("ascii", "replace")] = None
        for topic in topics:
            self._heard(topic)


def _datagram_socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    made.setblocking(False)
    return made
