"""Large content beside the rows: files in a folder, for the SQLite store.

A file gets its name only when its bytes are on the disk, and the name is on the disk before the row that needs it is
committed (D2). What a crash leaves between the two is an orphan; `sweep` collects it at start, after an hour's grace,
because another process may be about to commit the row.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from smtpeter.store.driver import Executor
from smtpeter.store.operation import StoreUnavailable

GRACE_S = 3600.0
IDS_PER_QUERY = 500
_BUCKET = 2  # the last characters of a source's id name its folder: 3844 folders at most


class FileBlobs:
    """One file per source in `folder`.

    `known` gives those of some ids that a source has; it runs in the executor and may raise StoreUnavailable.
    """

    def __init__(self, folder: Path, executor: Executor, known: Callable[[list[str]], set[str]]) -> None:
        self._folder = folder
        self._executor = executor
        self._known = known
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def put(self, source: str, content: bytes) -> None:
        """Keeps the content on stable storage. Raises StoreUnavailable."""
        try:
            await self._executor.submit(lambda: self._write(source, content))
        except OSError as error:
            raise StoreUnavailable(f"The content could not be written: {error.strerror}.") from error

    async def get(self, source: str) -> bytes | None:
        """Gives the content, None when there is none. Raises StoreUnavailable."""
        try:
            return await self._executor.submit(self._path(source).read_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailable(f"The content could not be read: {error.strerror}.") from error

    async def sweep(self) -> int:
        """Deletes what no source names and is older than an hour; gives how many it were. Raises StoreUnavailable."""
        try:
            old = await self._executor.submit(lambda: self._older_than(time.time() - GRACE_S))
            count = 0
            for start in range(0, len(old), IDS_PER_QUERY):  # between two batches others get their turn
                batch = old[start : start + IDS_PER_QUERY]
                count += await self._executor.submit(partial(self._delete_orphans, batch))
            return count
        except OSError as error:
            raise StoreUnavailable(f"The contents could not be swept: {error.strerror}.") from error

    def _path(self, source: str) -> Path:
        return self._folder / source[-_BUCKET:] / source

    def _write(self, source: str, content: bytes) -> None:
        final = self._path(source)
        if not final.parent.exists():
            final.parent.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self._folder)
        temporary = final.with_suffix(".new")
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(final)
        _sync_folder(final.parent)

    def _delete_orphans(self, paths: list[Path]) -> int:
        known = self._known([path.name for path in paths])
        orphans = [path for path in paths if path.name not in known]
        for path in orphans:
            path.unlink(missing_ok=True)
        return len(orphans)

    def _older_than(self, moment_s: float) -> list[Path]:
        return [path for path in self._folder.glob("*/*") if path.stat().st_mtime < moment_s]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
