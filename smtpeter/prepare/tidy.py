"""Forgets what was fetched and is of no use any more: downloads over their time, and contents that nothing refers to.

Every process does it, a little at a time; what another has forgotten is gone. Raises StoreUnavailable.
"""

from datetime import timedelta

from smtpeter.store.contents import Walk, forget_unused
from smtpeter.store.resources import FORGOTTEN_AT_ONCE, forget_downloads
from smtpeter.store.store import Store
from smtpeter.world.seams import Clock

EVERY = timedelta(minutes=10)


async def tidy(store: Store, clock: Clock) -> None:
    """Goes once through all that was fetched, in commits that hold up nobody."""
    while await store.write(forget_downloads, clock.now()) == FORGOTTEN_AT_ONCE:
        pass
    after = await store.write(forget_unused, Walk(clock.now()))
    while after:
        after = await store.write(forget_unused, Walk(clock.now(), after))
