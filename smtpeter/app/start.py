"""What the command line says about a start, and how it is handed from process to process.

A gateway is a small process that watches (app/supervisor.py) and workers (app/serve.py), each its own program start.
`Start` goes to all of them, an `Errand` to each worker, as JSON in an argument: no secrets are in it. The configuration
is read by each process itself; `configuration` adds what the command line changes. Imports little, for the supervisor.
"""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from smtpeter.config import Config, SmartHost, TlsMode, development, load

WATCHDOG_SECONDS = 20.0
SUPERVISOR, WORKER = "+supervisor", "+worker"  # verbs between our own processes; no command can be called so


@dataclass(frozen=True, slots=True)
class Start:
    """One `smtpeter serve`. Files are absolute; "" or None: not given. `smart_host` is host and port."""

    roles: tuple[str, ...]
    program: str
    config_file: str = ""
    data_dir: str = ""
    ready_file: str = ""
    is_development: bool = False
    port_base: int = 0
    smart_host: tuple[str, int] | None = None
    workers: int | None = None
    watchdog_seconds: float = WATCHDOG_SECONDS


@dataclass(frozen=True, slots=True)
class Opening:
    """A listening socket that is inherited, and which door it belongs to (a name of `sockets.DOORS`)."""

    door: str
    descriptor: int


@dataclass(frozen=True, slots=True)
class Errand:
    """What one worker is to do. `number` counts from 1; number 1 does what has to be done once.

    `channel` is the descriptor of its line to the supervisor, `config_copy` that of the configuration file as it was
    when the supervisor found it good, None when there is no file. `capture_port` is where the capture sink listens, 0
    where there is none. `board` and `place` are for sharing clients with other workers (world/share.py).
    """

    start: Start
    number: int
    workers: int
    openings: tuple[Opening, ...]
    channel: int
    config_copy: int | None
    capture_port: int
    board: int
    place: int


def configuration(start: Start, file: Path | None) -> Config:
    """Gives the configuration of `file` with what the command line changes. Raises ConfigError."""
    config = load(file, os.environ, development(start.port_base) if start.is_development else None)
    if start.data_dir:
        config = replace(config, server=replace(config.server, data_dir=Path(start.data_dir)))
    if start.smart_host is not None:
        host, port = start.smart_host
        route = SmartHost(host, port, TlsMode.OPPORTUNISTIC)
        config = replace(config, delivery=replace(config.delivery, smart_host=route, routes=()))
    return config


def command(verb: str, words: Start | Errand) -> list[str]:
    """Gives the command that starts one of our own processes."""
    # -P: the folder that we are started in is no place to import from
    return [sys.executable, "-P", "-m", "smtpeter", verb, msgspec.json.encode(words).decode()]


def become_supervisor(start: Start) -> None:
    """Goes on as the supervisor, under the same process id but without what the command line has loaded."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, command(SUPERVISOR, start))  # noqa: S606 - this program
