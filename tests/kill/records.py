"""What the gateway wrote down, read from its data base with plain SQL and without its code."""

import asyncio
import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

TERMINAL = frozenset({"delivery", "failure", "cancel", "quarantine"})
_POLL_SECONDS = 0.05

_MESSAGES = "select m.id, s.subject, m.recipient, m.state from messages m join sources s on s.id = m.source"
_EVENTS = "select message, name, fields from events order by seq"
_ENDS = """
select s.subject, m.recipient, m.state,
    (select count(*) from events e where e.message = m.id and e.name in ('delivery', 'failure', 'cancel', 'quarantine'))
from messages m join sources s on s.id = m.source
"""
_OPEN = "select count(*) from messages where stage is not null"
_STUCK = """
select id, lane, state, stage, worker, claim, attempt, unsettled, strikes, due, expires from messages
where stage is not null order by due limit 10
"""


@dataclass(frozen=True, slots=True)
class Record:
    """One message: the client's id (its subject), the state, and the names and fields of its events in order."""

    id: str
    recipient: str
    state: str
    events: tuple[tuple[str, dict[str, Any]], ...]

    @property
    def key(self) -> tuple[str, str]:
        """What was promised to be delivered: this message to this recipient."""
        return self.id, self.recipient

    @property
    def terminal(self) -> list[tuple[str, dict[str, Any]]]:
        """The events after which nothing happens any more: there should be one."""
        return [event for event in self.events if event[0] in TERMINAL]


@dataclass(frozen=True, slots=True)
class End:
    """How one message ended, for runs whose events would be too many to be read."""

    id: str
    recipient: str
    state: str
    terminal_events: int


@dataclass(frozen=True, slots=True)
class Books:
    """The data base of a gateway: an SQLite file, or a URL of PostgreSQL."""

    place: Path | str

    async def settled(self, seconds: float) -> None:
        """Returns when no message is under way any more. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while (count := (await self._rows(_OPEN))[0][0]) and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
        if count:
            some = "\n".join([str(row) for row in await self._rows(_STUCK)])
            raise TimeoutError(
                f"{count} messages are still under way after {seconds:.0f} s, at {time.time():.0f}:\n{some}"
            )

    async def records(self) -> list[Record]:
        """Gives all messages."""
        events: defaultdict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        for message, name, fields in await self._rows(_EVENTS):
            events[message].append((name, json.loads(fields)))
        rows = await self._rows(_MESSAGES)
        return [Record(subject, recipient, state, tuple(events[id])) for id, subject, recipient, state in rows]

    async def ends(self) -> list[End]:
        """Gives how all messages ended."""
        return [End(*row) for row in await self._rows(_ENDS)]

    async def _rows(self, query: str) -> Sequence[Sequence[Any]]:
        if isinstance(self.place, Path):
            with closing(sqlite3.connect(self.place)) as file:
                return file.execute(query).fetchall()
        connection = await asyncpg.connect(self.place)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()
