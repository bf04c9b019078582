"""Waits for things that happen elsewhere: on conditions with deadlines, never for a fixed time."""

import socket
import time
from collections.abc import Callable
from typing import TypeVar

import pytest

from bench.gateway import free_ports

T = TypeVar("T")

PAUSE_SECONDS = 0.02


def until(look: Callable[[], T | None], what: str, seconds: float = 15.0, tell: Callable[[], str] = str) -> T:
    """Gives the first result of `look` that is true.

    Fails when the time is up, naming `what` was waited for and what `tell` knows then.
    """
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}\n{tell()}")
        time.sleep(PAUSE_SECONDS)


def free_port() -> int:
    """Gives a port of 127.0.0.1 that nobody listens on, and that nobody gets who asks for just any port."""
    return free_ports(1)[0]


def listens(port: int) -> bool:
    """True when somebody takes connections on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True
