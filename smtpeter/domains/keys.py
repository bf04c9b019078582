"""The key ring: which keys sign a message, loaded once and kept ready.

Loading a private key costs a hundred signatures, so signers are kept by key. Which keys a domain has is asked of the
store at most once a second.
"""

from datetime import datetime
from functools import lru_cache
from pathlib import Path

from smtpeter.delivery.attempt import KeyUnavailable
from smtpeter.domains.seal import CannotOpen, MasterKey
from smtpeter.intake.remember import Remembered
from smtpeter.intake.senders import Senders
from smtpeter.model.account import AccountId, DkimKey
from smtpeter.store.sender_domains import NewKey, keys_of
from smtpeter.store.store import Store
from smtpeter.wire import dkim
from smtpeter.world.seams import Clock

KEEP_SECONDS = 1.0
DEFAULT_ALGORITHM = "rsa-sha256"
DEVELOPMENT_SELECTOR = "development"


class DevelopmentKey:
    """One key for every domain that has none, so that development mode signs like production; kept in a file."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(dkim.generate(DEFAULT_ALGORITHM))
            path.chmod(0o400)
        self._key = dkim.load_private_key(path.read_bytes())
        path.with_suffix(".txt").write_text(dkim.public_record(self._key) + "\n")
        self.signer = lru_cache(maxsize=1000)(self._signer)

    def _signer(self, domain: str) -> dkim.Signer:
        return dkim.Signer(domain, DEVELOPMENT_SELECTOR, self._key)


class KeyRing:
    """Signers by account and From domain. `fallback` signs for domains without a key; production has none."""

    def __init__(
        self, store: Store, clock: Clock, senders: Senders, master: MasterKey, fallback: DevelopmentKey | None = None
    ) -> None:
        self._fallback = fallback
        self._store = store
        self._senders = senders
        self._master = master
        self._ready: dict[int, dkim.Signer] = {}
        self._keys: Remembered[int, tuple[DkimKey, ...]] = Remembered(self._load, clock, KEEP_SECONDS)

    async def signers(self, account: AccountId, from_domain: str) -> tuple[dkim.Signer, ...]:
        """Gives the signers for a From domain; none when no approved sender domain covers it or it has no key.

        Raises KeyUnavailable when a key was sealed under another master key.
        """
        domain = await self._senders.domain_for(account, from_domain)
        keys = await self._keys.get(domain.id) if domain is not None else ()
        if not keys and self._fallback is not None:
            return (self._fallback.signer(from_domain),)
        return tuple(self._signer(key) for key in keys)

    def _signer(self, key: DkimKey) -> dkim.Signer:
        signer = self._ready.get(key.id)
        if signer is None:
            try:
                der = self._master.open(key.sealed, record_name(key.name, key.selector))
            except CannotOpen as error:
                raise KeyUnavailable(str(error)) from None
            signer = dkim.Signer(key.name, key.selector, dkim.load_private_key(der))
            self._ready[key.id] = signer
        return signer

    async def _load(self, domain: int) -> tuple[DkimKey, ...]:
        found: list[DkimKey] = await self._store.read(keys_of, domain)
        return tuple(found)


def record_name(domain: str, selector: str) -> str:
    """Gives the name to which a sealed DKIM key is bound."""
    return f"dkim:{domain}:{selector}"


def new_key(master: MasterKey, domain: int, name: str, selector: str, pem: bytes | None, now: datetime) -> NewKey:
    """Makes a key for a domain, or takes over one that was brought. Raises KeyRefused."""
    secret = dkim.generate(DEFAULT_ALGORITHM) if pem is None else pem
    algorithm = dkim.algorithm(dkim.load_private_key(secret, is_trusted=pem is None))
    return NewKey(domain, name, selector, algorithm, master.seal(secret, record_name(name, selector)), now)


def public_text(master: MasterKey, key: DkimKey) -> str:
    """Gives the text of the TXT record that publishes a key. Raises CannotOpen."""
    secret = master.open(key.sealed, record_name(key.name, key.selector))
    return dkim.public_record(dkim.load_private_key(secret))


__all__ = ["CannotOpen", "KeyRing", "new_key", "public_text", "record_name"]
