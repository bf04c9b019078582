"""Images that we serve for mail (`images: hosted`): kept before a mail that names them goes out, and noted as in use.

An image of a mailing is in thousands of its messages. So what was kept is remembered, for as long as the note of its last use
may be old. Raises StoreUnavailable.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from smtpeter.content.rewrite.parts import HostedImage as Taken
from smtpeter.model.account import AccountId
from smtpeter.store.contents import Digest, keep_content
from smtpeter.store.resources import HostedImage, Preparation, host_images
from smtpeter.store.store import Store
from smtpeter.world.seams import Clock

NOTED_EVERY = timedelta(days=1)
MAX_KNOWN = 20_000


class Images:
    """Keeps images; remembers those of the last day."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[HostedImage, datetime] = {}

    async def keep(self, account: AccountId, images: Sequence[Taken]) -> None:
        """Sees to it that images of the account are served."""
        now = self._clock.now()
        new = []
        for image in images:
            hosted = HostedImage(account, Digest(image.digest), image.type)
            noted = self._known.get(hosted)
            if noted is None or now - noted > NOTED_EVERY:
                await keep_content(self._store, image.data, now)
                new.append(hosted)
        if new:
            await self._store.write(host_images, Preparation("", now, images=tuple(new)))
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known |= dict.fromkeys(new, now)
