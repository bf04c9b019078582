"""Where a message body rests while it arrives: in memory at first, in an unnamed file when it grows.

So the memory of a connection stays bounded however slowly and however much the client sends; the file has no name
and goes with the process. Raises OSError when the disk does not take it.
"""

import tempfile
from pathlib import Path
from typing import IO

MAX_MEMORY_OCTETS = 256 * 1024


class Spool:
    """The body of one message."""

    __slots__ = ("_file", "_folder", "_parts", "octets")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: list[bytes] = []
        self._file: IO[bytes] | None = None
        self.octets = 0

    @property
    def is_on_disk(self) -> bool:
        """True when `take` has to read a file."""
        return self._file is not None

    def add(self, part: bytes) -> None:
        """Appends octets."""
        self.octets += len(part)
        if self._file is not None:
            self._file.write(part)
            return
        self._parts.append(part)
        if self.octets > MAX_MEMORY_OCTETS:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by take or drop
            self._file.writelines(self._parts)
            self._parts.clear()
        elif len(self._parts) >= 256:
            # many tiny parts would cost more than their octets
            self._parts = [b"".join(self._parts)]

    def take(self) -> bytes:
        """Gives the whole body and forgets it."""
        if self._file is None:
            body = b"".join(self._parts)
            self._parts.clear()
            return body
        with self._file as file:
            file.seek(0)
            return file.read()

    def drop(self) -> None:
        """Forgets the body."""
        self._parts.clear()
        if self._file is not None:
            self._file.close()
