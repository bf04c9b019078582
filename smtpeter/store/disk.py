"""How much room is left for mail (D9)."""

import os
from pathlib import Path

MIB = 1 << 20
GIB = 1 << 30


def least_free_bytes(total_bytes: int) -> int:
    """Gives the free space below which no mail is accepted: 1 GiB or 2 %, the smaller, but at least 256 MiB."""
    return max(256 * MIB, min(GIB, total_bytes // 50))


def free_disk_is_low(path: Path) -> bool:
    """True when the file system of `path` has too little room to accept mail. Raises OSError."""
    room = os.statvfs(path)
    return room.f_bavail * room.f_frsize < least_free_bytes(room.f_blocks * room.f_frsize)
