"""Which domains an account may send from (domains.md: exact name, else the nearest approved parent with subdomains)."""

from smtpeter.intake.remember import Remembered
from smtpeter.model.account import Account, AccountId, SenderDomain
from smtpeter.store.sender_domains import domains_of
from smtpeter.store.store import Store
from smtpeter.world.seams import Clock

KEEP_SECONDS = 1.0


class Senders:
    """The sender domains of all accounts, remembered for a second."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._domains: Remembered[AccountId, dict[str, SenderDomain]] = Remembered(self._load, clock, KEEP_SECONDS)

    async def may_send(self, account: Account, domain: str) -> bool:
        """True when `domain` (A-labels) may stand in From."""
        return account.approve_all or await self.domain_for(account.id, domain) is not None

    async def domain_for(self, account: AccountId, domain: str) -> SenderDomain | None:
        """Gives the approved sender domain that covers `domain`, or None."""
        known = await self._domains.get(account)
        return covering(known, domain)

    async def _load(self, account: AccountId) -> dict[str, SenderDomain]:
        return {d.name: d for d in await self._store.read(domains_of, account)}


def covering(known: dict[str, SenderDomain], domain: str) -> SenderDomain | None:
    """Gives the entry for the name itself, else for its nearest parent that covers subdomains; approved ones only."""
    exact = known.get(domain)
    if exact is not None and exact.approved is not None:
        return exact
    parent = domain.partition(".")[2]
    while parent:
        found = known.get(parent)
        if found is not None and found.approved is not None and found.subdomains:
            return found
        parent = parent.partition(".")[2]
    return None
