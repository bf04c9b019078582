"""Nudges: a word from one process to the others on the same store, so that they look now and not at their next poll.

Nothing depends on them: whoever is nudged finds out from the store what there is to do, and polls anyway. A nudge is a
topic, a short word, and says nothing else. How it travels is a channel's affair: sockets beside a SQLite file
(`nudge_sockets.py`), NOTIFY on PostgreSQL (`nudge_notify.py`), or a `Hub` between stores in one process, for virtual
time. Raises ValueError for what is no topic, and nothing else.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Protocol

MAX_TOPIC = 40
GATHER_S = 0.02  # a topic goes out at most once in this time

Heard = Callable[[str], None]

_TOPIC = re.compile(r"[a-z][a-z ]*\Z")


class Channel(Protocol):
    """How nudges travel. Whatever fails is left out: a nudge may be lost, and nobody waits for one."""

    def listen(self, heard: Heard) -> None:
        """Begins to call `heard` with each topic that another process sends. Called once."""

    def send(self, topic: str) -> None:
        """Sends a topic to all other processes, without waiting."""

    async def close(self) -> None:
        """Sends what is still to be sent, for a moment at most, and ends."""


class Nudges:
    """What one store sends and hears. A topic that is nudged often goes out at once and then once in `GATHER_S`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._callbacks: list[Heard] = []
        self._gathering: dict[str, asyncio.TimerHandle] = {}
        self._again: set[str] = set()

    def nudge(self, topic: str) -> None:
        """Tells all other processes. The topic is of small letters and spaces, 40 at most."""
        if len(topic) > MAX_TOPIC or not _TOPIC.match(topic):
            raise ValueError(f"{topic!r} is no topic")
        if topic in self._gathering:
            self._again.add(topic)
        else:
            self._send(topic)

    def on_nudge(self, callback: Heard) -> None:
        """Calls back with the topic of every nudge from another process; the callback must not raise."""
        self._callbacks.append(callback)
        if len(self._callbacks) == 1:
            self._channel.listen(self.hear)

    async def close(self) -> None:
        """Sends what was gathered, and ends."""
        for timer in self._gathering.values():
            timer.cancel()
        self._gathering.clear()
        for topic in self._again:
            self._channel.send(topic)
        self._again.clear()
        self._callbacks.clear()
        await self._channel.close()

    def _send(self, topic: str) -> None:
        self._channel.send(topic)
        self._gathering[topic] = asyncio.get_running_loop().call_later(GATHER_S, self._gathered, topic)

    def _gathered(self, topic: str) -> None:
        del self._gathering[topic]
        if topic in self._again:
            self._again.discard(topic)
            self._send(topic)

    def hear(self, topic: str) -> None:
        if len(topic) <= MAX_TOPIC and _TOPIC.match(topic):
            for callback in tuple(self._callbacks):
                callback(topic)


class Hub:
    """Joins stores that are open in one process, each as if it were a process of its own."""

    def __init__(self) -> None:
        self.members: list[HubChannel] = []

    def join(self) -> Channel:
        """Gives a channel to all others that joined."""
        return HubChannel(self)


class HubChannel:
    """One member of a hub. What it hears it is told in the next round of the loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.heard: Heard | None = None

    def listen(self, heard: Heard) -> None:
        """Joins those that are told."""
        self.heard = heard
        self._hub.members.append(self)

    def send(self, topic: str) -> None:
        """Tells all others."""
        loop = asyncio.get_running_loop()
        for member in self._hub.members:
            if member is not self:
                loop.call_soon(member.tell, topic)

    def tell(self, topic: str) -> None:
        """Hears a topic, unless it has left in the meantime."""
        if self.heard is not None:
            self.heard(topic)

    async def close(self) -> None:
        """Leaves."""
        if self.heard is not None:
            self.heard = None
            self._hub.members.remove(self)
