"""What the operator's calls ask of the rooms below: the queue of all accounts, and the stored steering.

Raises Unusable for what cannot be stored.
"""

from datetime import datetime

from smtpeter.delivery.limits import limits_of
from smtpeter.doors.queue import LaneView, Moved, drop_all, flush_all, lane_views, lanes_around, lanes_meant, meant
from smtpeter.doors.steering import E, WayOut, all_limits, forget, keep, pauses_of_lane, stored_of
from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageId
from smtpeter.model.steering import Entry, LimitEntry, Limits, Pause, Steer, Stored
from smtpeter.store.accounts import account_named, accounts
from smtpeter.store.store import Store
from smtpeter.store.waiting import Selection, WaitingMessage, WaitingQuery, WaitingState, waiting_messages
from smtpeter.world.seams import Clock

MOST_AT_ONCE = 100_000  # messages that one call looks at to flush or drop them


class Operating:
    """The operator's side of the gateway; `way_out` is what the configuration says."""

    def __init__(self, store: Store, clock: Clock, way_out: WayOut) -> None:
        self._store = store
        self._clock = clock
        self.way_out = way_out

    def now(self) -> datetime:
        """Gives the time."""
        return self._clock.now()

    async def account(self, name: str) -> AccountId | None:
        """Gives the number of an account."""
        found = await self._store.read(account_named, name)
        return None if found is None else found.id

    async def account_names(self) -> dict[AccountId, str]:
        """Gives the names of all accounts."""
        return {account.id: account.name for account in await self._store.read(accounts, None)}

    async def lanes_meant(self, name: str) -> tuple[str, ...]:
        """Gives the lanes that a name stands for."""
        return await lanes_meant(self._store, name, self._clock.now())

    async def meant(self, name: str) -> Selection | None:
        """Gives the waiting mail that a name stands for."""
        return await meant(self._store, name, self._clock.now())

    async def lanes(self, chosen: Selection, limit: int) -> list[LaneView]:
        """Gives lanes, the largest first."""
        return await lane_views(self._store, chosen, self._clock.now(), limit)

    async def lanes_around(self, chosen: Selection, limit: int) -> list[LaneView]:
        """Gives the whole lanes in which something of the selection waits."""
        return await lanes_around(self._store, chosen, self._clock.now(), limit)

    async def messages(
        self,
        chosen: Selection,
        limit: int,
        state: WaitingState | None,
        after: tuple[datetime, MessageId] | None,
    ) -> list[WaitingMessage]:
        """Gives messages that wait, in the order in which they are due."""
        return await self._store.read(waiting_messages, WaitingQuery(chosen, self._clock.now(), limit, state, after))

    async def flush(self, chosen: Selection) -> Moved:
        """Makes deferred mail due."""
        return await flush_all(self._store, chosen, self._clock.now(), MOST_AT_ONCE)

    async def drop(self, chosen: Selection, reason: str) -> Moved:
        """Cancels mail that waits."""
        return await drop_all(self._store, chosen, reason, self._clock.now(), MOST_AT_ONCE)

    async def limits(self, lanes: list[str]) -> list[Limits]:
        """Gives the limits that hold for each of the lanes, over all processes."""
        stored = [entry for _, entry in await self.stored(LimitEntry)]
        entries = all_limits(tuple(stored), self.way_out)
        return [limits_of(lane, entries) for lane in lanes]

    async def stored(self, kind: type[E]) -> list[tuple[Stored, E]]:
        """Gives the stored entries of a kind, in their order."""
        return await stored_of(self._store, kind, self._clock.now())

    async def keep(self, entry: Entry, position: int | None) -> list[Stored]:
        """Stores an entry; a pause of the lane of a domain comes to one for each of its lanes. Raises Unusable."""
        now = self._clock.now()
        entries = await pauses_of_lane(self._store, entry, now) if isinstance(entry, Pause) else [entry]
        return [await keep(self._store, one, self.way_out, now, position) for one in entries]

    async def remove(self, kind: Steer, id: int) -> Stored | None:
        """Removes an entry and gives it."""
        return await forget(self._store, kind, id)
