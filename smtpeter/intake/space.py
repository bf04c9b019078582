"""Whether there is room on disk for more mail (D9). Looked at once a second at most."""

from pathlib import Path

from smtpeter.store.disk import free_disk_is_low
from smtpeter.world.seams import Clock

LOOK_EVERY_SECONDS = 1.0


class Space:
    """Watches the file system of the data folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._looked_at = float("-inf")
        self._is_low = False

    @property
    def is_low(self) -> bool:
        """True when new mail must be refused; deliveries and events go on."""
        now = self._clock.monotonic()
        if now - self._looked_at >= LOOK_EVERY_SECONDS:
            self._looked_at = now
            self._is_low = free_disk_is_low(self._folder)
        return self._is_low
