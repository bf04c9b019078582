"""Numbers of origins, as tokens have them: looked up once, and given out for origins that no mail had before.

A number never changes what it means, so what is known here stays right. A mail with very many origins gets numbers for the
first of them, always the same ones; the others are not tracked. Raises StoreUnavailable.
"""

from collections.abc import Mapping, Sequence

from smtpeter.model.account import AccountId
from smtpeter.store.origins import Origins, number_origins, numbers_of
from smtpeter.store.store import Store

MAX_KNOWN = 50_000
MAX_ORIGINS = 2_000  # of one mail


class OriginNumbers:
    """The numbers that were needed last, of all accounts."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[AccountId, str], int] = {}

    async def of(self, account: AccountId, origins: Sequence[str]) -> Mapping[str, int]:
        """Gives the number of each origin that is to have one."""
        numbers: dict[str, int] = {}
        unknown = []
        for origin in origins[:MAX_ORIGINS]:
            number = self._known.get((account, origin))
            if number is None:
                unknown.append(origin)
            else:
                numbers[origin] = number
        if unknown:
            found = await self._look_up(account, unknown)
            self._remember(account, found)
            numbers |= found
        return numbers

    async def _look_up(self, account: AccountId, origins: list[str]) -> dict[str, int]:
        found = await self._store.read(numbers_of, Origins(account, tuple(origins)))
        new = [origin for origin in origins if origin not in found]
        return found | await self._store.write(number_origins, Origins(account, tuple(new))) if new else found

    def _remember(self, account: AccountId, found: Mapping[str, int]) -> None:
        self._known |= {(account, origin): number for origin, number in found.items()}
        surplus = len(self._known) - MAX_KNOWN
        for key in list(self._known)[: max(0, surplus)]:  # those that came first
            del self._known[key]
