"""Reads what is logged, as the lines that an operator would get."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smtpeter.world.log import close_log, open_log


class LogFile:
    """A log that goes into a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def text(self) -> str:
        """All that was written so far, octet for octet."""
        close_log()
        return self._path.read_text("utf-8")

    def lines(self, fact: str = "") -> list[dict[str, Any]]:
        """The lines so far, those of one fact when it is given."""
        read = [json.loads(line) for line in self.text.splitlines()]
        return [line for line in read if fact in ("", line["event"])]


@contextlib.contextmanager
def logged(path: Path, **bound: Any) -> Iterator[LogFile]:
    """Logs into a file for a while; then to standard error, as before."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    open_log(handle=handle, **bound)
    try:
        yield LogFile(path)
    finally:
        open_log()
        os.close(handle)
