"""Files that say which gateways run on a data folder: `run/PID`, each locked as long as its process lives.

The lock goes with the process, however it ends, so a file that is left behind deceives nobody. Raises OSError.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def announced(data_dir: Path) -> Iterator[None]:
    """Shows for as long as it is entered that this process is the gateway to send signals to."""
    folder = _folder(data_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / str(os.getpid())
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def running(data_dir: Path) -> list[int]:
    """Gives the process ids of the gateways that run on this folder, and removes what dead ones have left."""
    return sorted(int(path.name) for path in _folder(data_dir).glob("[0-9]*") if _is_held(path))


def _is_held(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _folder(data_dir: Path) -> Path:
    return data_dir / "run"
