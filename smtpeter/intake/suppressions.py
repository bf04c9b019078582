"""Which recipients of an account get no mail, as acceptance asks it.

Whether an account has any entry is remembered for a second, so that the list costs nothing to who has none. Entries
that are made or removed here count at once in this process, in others within that second.
"""

from collections.abc import Sequence
from functools import partial

from smtpeter.intake.remember import Remembered
from smtpeter.model.account import AccountId
from smtpeter.model.message import Recipient
from smtpeter.store.store import Store
from smtpeter.store.suppressions import (
    NewSuppression,
    SuppressionCheck,
    SuppressionName,
    SuppressionRecord,
    drop_suppression,
    find_suppressions,
    has_suppressions,
    put_suppression,
)
from smtpeter.world.seams import Clock

KEEP_SECONDS = 1.0


class Suppressions:
    """The suppression lists of all accounts. Everything raises StoreUnavailable."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._has_any: Remembered[AccountId, bool] = Remembered(
            partial(store.read, has_suppressions), clock, KEEP_SECONDS
        )

    async def among(self, account: AccountId, stream: str, recipients: Sequence[Recipient]) -> dict[int, str]:
        """Gives the places of the suppressed recipients, each with the entry that concerns it."""
        if not await self._has_any.get(account):
            return {}
        addresses = tuple(recipient.address for recipient in recipients)
        found = await self._store.read(find_suppressions, SuppressionCheck(account, stream, addresses))
        return {place: found[address].entry for place, address in enumerate(addresses) if address in found}

    async def put(self, item: NewSuppression) -> SuppressionRecord:
        """Makes an entry, or gives the one that is there."""
        record = await self._store.write(put_suppression, item)
        self._has_any.forget(item.account)
        return record

    async def drop(self, item: SuppressionName) -> bool:
        """Removes an entry; False when there is none."""
        return await self._store.write(drop_suppression, item)
