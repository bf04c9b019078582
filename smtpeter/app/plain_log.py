"""The supervisor's log: the lines of world/log.py, written without the libraries that those need.

A log that is gone stops nobody: what cannot be written is left out.
"""

import contextlib
import os
import sys
from datetime import UTC, datetime

import msgspec


class PlainLog:
    """Writes to standard error; `is_pretty` for a person at a terminal, else JSON lines."""

    def __init__(self, is_pretty: bool) -> None:
        self._is_pretty = is_pretty

    def __call__(self, fact: str, **fields: object) -> None:
        """Writes one line."""
        stamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        if self._is_pretty:
            line = " ".join([stamp, f"{fact:<30}", *(f"{name}={value}" for name, value in fields.items())]).encode()
        else:
            line = msgspec.json.encode({"timestamp": stamp, "level": "info", "event": fact, **fields})
        with contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), line + b"\n")
