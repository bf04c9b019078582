"""How many requests go out at a time: so many in all, and so many to one host.

One slow host uses its own slots only, as far as those in all last (H4). Raises nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(slots=True)
class _Host:
    free: asyncio.Semaphore
    users: int = 0  # that hold a slot or wait for one


class Slots:
    """Slots of requests. A host is known only while somebody uses it."""

    def __init__(self, max_at_once: int, max_per_host: int) -> None:
        self._free = asyncio.Semaphore(max_at_once)
        self._max_per_host = max_per_host
        self._hosts: dict[str, _Host] = {}

    @contextlib.asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Holds a slot of the host while the block runs; waits for one in turn."""
        host = self._hosts.setdefault(name, _Host(asyncio.Semaphore(self._max_per_host)))
        host.users += 1
        try:
            # its own first, so that those who wait for a slow host keep nobody else out
            async with host.free, self._free:
                yield
        finally:
            host.users -= 1
            if not host.users:
                del self._hosts[name]
