"""Where numbers are counted: records of a file that every worker of the machine maps, each its own.

A scrape reaches any one worker and has to give the sums of all. So each worker counts in a file of its own in one
folder, mapped into its memory, and whoever is asked reads the files of the others: counting costs one store into memory,
and nobody waits for anybody. A worker holds a lock on its file, which ends with it; its successor finds a file without
a lock and counts on in it. So nothing is counted twice or lost when a worker dies, there are never more files than
workers lived at once, and nobody has to clear up.

A file is 2048 records of 128 octets, each a double in the machine's order and a key padded with NUL. The first record
holds the number of those in use. The file's blocks are reserved when it is made: a full disk must not end a process that
touches its own memory.

Raises OSError when a folder cannot be used.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

RECORD_OCTETS = 128
KEY_OCTETS = RECORD_OCTETS - 8
RECORDS = 2048
_SIZE = RECORD_OCTETS * RECORDS
_STEP = RECORD_OCTETS // 8  # doubles from record to record
_MAGIC = b"smtpeter cells 1"
_FIRST = 2  # of the records of keys; before it are the header, and one for what has no room
_RECORD = struct.Struct(f"=d{KEY_OCTETS}s")
_MAX_FILES = 1024
_SUFFIX = ".cells"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one file says. `worker` is its number on this machine; not `is_live`: nobody counts there at present."""

    worker: int
    is_live: bool
    values: dict[str, float]


class Region:
    """The records of this process. `values` are doubles; `at` says which of them is for a key."""

    def __init__(self, buffer: "mmap.mmap | bytearray", worker: int, lock: "Lock | None") -> None:
        """Is for `open_region` and `private_region`."""
        self.worker = worker
        self._lock = lock  # held as long as this object lives
        self._octets = memoryview(buffer)
        self.values = self._octets.cast("d")
        if bytes(self._octets[8 : 8 + len(_MAGIC)]) != _MAGIC:
            self._octets[:] = bytes(_SIZE)
            self._octets[8 : 8 + len(_MAGIC)] = _MAGIC
            self.values[0] = _FIRST
        used = int(self.values[0])
        self._places = {key: (_FIRST + n) * _STEP for n, (key, _) in enumerate(_records(self._octets[: used * 128]))}

    def at(self, key: str) -> int:
        """Gives the index in `values` for a key, which gets a record if it has none. Raises ValueError: it is too long.

        When all records are in use, what is counted there is not shown.
        """
        place = self._places.get(key)
        if place is not None:
            return place
        octets = key.encode()
        if len(octets) > KEY_OCTETS:
            raise ValueError(f"{key} is longer than {KEY_OCTETS} octets")
        used = int(self.values[0])
        if used >= RECORDS:
            return (_FIRST - 1) * _STEP
        start = used * RECORD_OCTETS
        self.values[used * _STEP] = 0.0
        self._octets[start + 8 : start + RECORD_OCTETS] = octets.ljust(KEY_OCTETS, b"\0")
        self.values[0] = used + 1  # last, so that a reader sees whole records only
        self._places[key] = used * _STEP
        return used * _STEP

    def items(self) -> Iterator[tuple[str, float]]:
        """Gives the keys and their values."""
        for key, place in self._places.items():
            yield key, self.values[place]


class Lock:
    """An open file whose lock is held; both end with this object."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def __del__(self) -> None:
        os.close(self.handle)


def private_region() -> Region:
    """Gives records that no other process sees."""
    return Region(bytearray(_SIZE), 1, None)


def open_region(folder: Path) -> Region:
    """Gives the records of the first file of the folder in which nobody counts, a new one if there is none."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(1, _MAX_FILES + 1):
        lock = Lock(os.open(folder / f"{number}{_SUFFIX}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        try:
            fcntl.flock(lock.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        if os.fstat(lock.handle).st_size != _SIZE:
            os.ftruncate(lock.handle, 0)
            os.pwrite(lock.handle, bytes(_SIZE), 0)
        return Region(mmap.mmap(lock.handle, _SIZE), number, lock)
    raise OSError(f"there are {_MAX_FILES} processes that count in {folder}")


def read_folder(folder: Path) -> list[Reading]:
    """Gives what all files of the folder say, by number. A file that cannot be read is left out."""
    found = []
    for path in folder.glob(f"*{_SUFFIX}"):
        if path.stem.isdecimal() and (values := _read(path)) is not None:
            found.append(Reading(int(path.stem), _is_locked(path), values))
    return sorted(found, key=lambda reading: reading.worker)


def _read(path: Path) -> dict[str, float] | None:
    try:
        with path.open("rb", buffering=0) as file:
            head = file.read(RECORD_OCTETS)
            if len(head) != RECORD_OCTETS or head[8 : 8 + len(_MAGIC)] != _MAGIC:
                return None
            used = min(int(_RECORD.unpack(head)[0]), RECORDS)
            octets = head + file.read((used - 1) * RECORD_OCTETS)
    except (OSError, ValueError, OverflowError):
        return None
    return dict(_records(octets[: len(octets) // RECORD_OCTETS * RECORD_OCTETS]))


def _records(octets: "bytes | memoryview") -> Iterator[tuple[str, float]]:
    """Gives key and value of each record behind the header."""
    for value, key in _RECORD.iter_unpack(octets[_FIRST * RECORD_OCTETS :]):
        yield key.rstrip(b"\0").decode("utf-8", "replace"), value


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb", buffering=0) as file, closing(file):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
