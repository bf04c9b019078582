"""Rounds: gateways with fresh data are loaded for some seconds each time, and what that came to is noted.

Data is prepared once and copied for each gateway on SQLite; on PostgreSQL each gateway has a data base of its own, which
is dropped afterwards.
"""

import asyncio
import secrets
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from bench.gateway import Gateway, Usage
from bench.processes import Sink, Source

ACCEPT_ONLY, EVERYTHING = "smtp,api", "smtp,api,mta"
WARM_UP_SECONDS = 1.0
_QUIET_SECONDS = 0.2
_QUIET_SHARE = 0.05  # of a CPU
_LONGEST_TAIL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to; CPU None where the system does not tell."""

    messages_per_second: float
    cpu_ms: float | None
    messages: int


@dataclass(frozen=True, slots=True)
class Bench:
    """How a run measures. `store_url` "": SQLite in `folder`; `workers` are the numbers of processes to try.

    `smtp_source`, `smtp_sink`: Postfix's programs; None: ours take their place.
    """

    folder: Path
    rounds: int = 5
    seconds: float = 4.0
    workers: Sequence[int] = (1,)
    depths: Sequence[int] = (0, 100_000)
    idle_messages: int = 1000
    store_url: str = ""
    smtp_source: str | None = None
    smtp_sink: str | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))

    @contextmanager
    def prepared(self, receiver_port: int, roles: str = EVERYTHING) -> Iterator[Gateway]:
        """Gives a gateway that has not been started, on fresh data. It and its data are gone at the end."""
        home = self.folder / f"gateway-{next(self._numbers)}"
        with self._data_base() as url:
            gateway = Gateway(home, receiver_port, roles, url)
            if url:
                gateway.prepare(is_signed=True)
            else:
                shutil.copytree(self._template(), home)
            try:
                yield gateway
            finally:
                gateway.kill()
                shutil.rmtree(home, ignore_errors=True)

    def _template(self) -> Path:
        template = self.folder / "template"
        if not template.exists():
            Gateway(template, receiver_port=25).prepare(is_signed=True)
        return template

    @contextmanager
    def _data_base(self) -> Iterator[str]:
        if not self.store_url:
            yield ""
            return
        name = f"smtpeter_bench_{secrets.token_hex(6)}"
        asyncio.run(_administer(self.store_url, f'create database "{name}"'))
        try:
            yield urlunsplit(urlsplit(self.store_url)._replace(path=f"/{name}"))
        finally:
            asyncio.run(_administer(self.store_url, f'drop database "{name}" with (force)'))


async def _administer(url: str, statement: str) -> None:
    import asyncpg  # its library is not needed on most machines

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def one_round(gateway: Gateway, source: Source, sink: Sink | None, seconds: float) -> Round:
    """Loads a gateway once. Without a sink the mail is counted at the door. Raises LoadFailed."""
    before = gateway.usage()
    spent = source.send(seconds)
    end = spent.end
    if sink is not None:
        sink.expected += spent.accepted
        end = sink.all_taken()
    after = _quiet(gateway)
    cpu_ms = None
    if before is not None and after is not None:
        cpu_ms = 1000 * (after.cpu_seconds - before.cpu_seconds) / spent.accepted
    return Round(spent.accepted / (end - spent.begin), cpu_ms, spent.accepted)


def warm_up(gateway: Gateway, source: Source, sink: Sink | None, seconds: float) -> None:
    """Loads a gateway twice for a moment: the second time the source knows how much that is."""
    for _ in range(2):
        one_round(gateway, source, sink, min(WARM_UP_SECONDS, seconds) / 2)


def _quiet(gateway: Gateway) -> Usage | None:
    """Gives what a gateway has used when it has nothing more to do, results to record for instance."""
    ends_at = time.monotonic() + _LONGEST_TAIL_SECONDS
    usage = gateway.usage()
    while usage is not None and time.monotonic() < ends_at:
        time.sleep(_QUIET_SECONDS)
        before, usage = usage, gateway.usage()
        if usage is None or usage.cpu_seconds - before.cpu_seconds <= _QUIET_SHARE * _QUIET_SECONDS:
            break
    return usage


def spread(values: Sequence[float], form: str = ",.0f") -> str:
    """Gives the median with the lowest and the highest; `form` is a format specification."""
    median = statistics.median(values)
    return f"{median:{form}} ({min(values):{form}}-{max(values):{form}})"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    name: str
    workers: int
    sessions: int
    result: str
    rounds: Sequence[Round]
    usage: Usage | None

    HEADINGS = ("work", "workers", "sessions", "result", "CPU ms per message", "peak MiB")

    def cells(self) -> tuple[str, ...]:
        """Gives the cells, in the order of the headings."""
        costs = [one.cpu_ms for one in self.rounds if one.cpu_ms is not None]
        return (
            self.name,
            str(self.workers),
            str(self.sessions),
            self.result,
            spread(costs, ".2f") if costs else "not told",
            f"{self.usage.peak_bytes / 2**20:.0f}" if self.usage is not None else "not told",
        )
