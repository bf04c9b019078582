"""A long run under a mixed, moderate load: memory, files and threads stay flat, and all mail is accounted for.

`make soak` runs it for an hour, or for SOAK_MINUTES. Receivers are good, slow, busy, rude or dead, and many domains lead
nowhere, so that whatever is kept for each domain, lane, connection or failure would show. Samples are in soak.csv of the
folder that is printed at the begin.
"""

import asyncio
import os
import random
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.gateway import DOMAIN, Gateway, free_ports
from tests.kill.names import Names, serve_names
from tests.kill.receiver import Manners, Receiver
from tests.kill.records import Books
from tests.kill.samples import MIB, Samples
from tests.kill.traffic import Handed, Traffic

MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))
PER_SECOND = 40.0
SAMPLE_SECONDS = 10.0
EXPIRE_MINUTES = 5
REST_SECONDS = EXPIRE_MINUTES * 60 + 60.0  # what cannot be delivered fails when its time is over

ALLOWED_MEMORY = 4 * MIB  # of growth in an hour, and in less than an hour
ALLOWED_FILES, ALLOWED_THREADS = 8, 2
PAYLOAD_SHARE = 0.5  # of the data base that is what was to be kept; the rest are indexes and unfilled pages
NOT_KEPT_BYTES = 96 * MIB  # of the write-ahead log, and of a data base with nothing in it

GOOD, NOWHERE, DEAD, REFUSES = "good", "nowhere", "dead", "refuses"
RECEIVERS = {
    GOOD: Manners(max_delay_seconds=0.05),
    "slow": Manners(max_delay_seconds=4.0),
    "busy": Manners(max_delay_seconds=0.05, deferred=0.3),
    "grey": Manners(is_greylisting=True),
    "rude": Manners(dropped=0.2),
    REFUSES: Manners(is_refusing=True),
}
SHARES = {GOOD: 0.60, "slow": 0.05, "busy": 0.08, "grey": 0.08, "rude": 0.05, REFUSES: 0.05, DEAD: 0.02, NOWHERE: 0.07}
UNDELIVERABLE = frozenset({REFUSES, DEAD, NOWHERE})


@dataclass(frozen=True, slots=True)
class World:
    """All that mail can be for."""

    receivers: dict[str, Receiver]
    names: Names
    dead_port: int

    def tables(self) -> str:
        """Gives the configuration that leads there: a smart host for each receiver, DNS for what leads nowhere."""
        ports = {kind: receiver.port for kind, receiver in self.receivers.items()} | {DEAD: self.dead_port}
        hosts = [
            f'[delivery.smart_hosts.{kind}]\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\n'
            for kind, port in ports.items()
        ]
        routes = [f'[[delivery.routes]]\nrecipient = "*.{kind}.test"\nvia = ["{kind}"]\n' for kind in ports]
        routes.append(f'[[delivery.routes]]\nrecipient = "*.{NOWHERE}.test"\nvia = ["mx"]\n')
        routes.append(f'[[delivery.routes]]\nrecipient = "{DOMAIN}"\nvia = ["{GOOD}"]\n')
        return f'[delivery]\ndns_servers = ["127.0.0.1:{self.names.port}"]\n' + "\n".join([*hosts, *routes])


def domain(kind: str, number: int) -> str:
    """Gives a recipient domain for a receiver of that kind: hardly ever the same for what leads nowhere."""
    return f"d{number if kind == NOWHERE else number % 500}.{kind}.test"


@pytest.mark.soak
@pytest.mark.timeout(int(MINUTES * 60 + REST_SECONDS) + 300)
async def test_memory_and_files_stay_flat_and_all_mail_is_accounted_for(tmp_path: Path) -> None:
    dice = random.Random(random.getrandbits(32))
    print(f"\n{MINUTES:g} minutes in {tmp_path}")
    async with _world(dice) as world:
        gateway = Gateway(
            tmp_path,
            world.receivers[GOOD].port,
            workers=2,
            settings={
                "SMTP__MAX_NEW_CONNECTIONS_PER_MINUTE": "1000000",
                "LOG__MAIL": "false",
                "DELIVERY__RETRY_DIVISOR": "30",
                "DELIVERY__EXPIRE_AFTER": f"{EXPIRE_MINUTES}m",
                "DELIVERY__MESSAGES_PER_CONNECTION": "100",
            },
            tables=world.tables(),
        )
        await asyncio.to_thread(gateway.prepare, is_signed=True)
        await asyncio.to_thread(gateway.start)
        try:
            traffic = Traffic(gateway.ports, dice, SHARES, domain, PER_SECOND)
            samples = Samples(gateway.processes(), tmp_path / "soak.csv")
            watch = asyncio.create_task(_watch(samples, traffic))
            await traffic.run(MINUTES * 60)
            watch.cancel()
            books = Books(gateway.home / "data" / "smtpeter.db")
            await books.settled(REST_SECONDS)
            await asyncio.to_thread(gateway.stop)
        finally:
            await asyncio.to_thread(gateway.kill)
        print(f"{len(traffic.handed)} messages, {dict(traffic.ways)}, {world.names.asked} questions to the name server")
        troubles = [*_growths(samples), *_deaths(gateway)]
        troubles += await _unaccounted(traffic.handed, world.receivers, books)
        troubles += _unexplained(gateway.home / "data")
    assert not troubles, "\n".join(troubles[:30])


async def _watch(samples: Samples, traffic: Traffic) -> None:
    """Takes samples, and tells people every minute."""
    while True:
        now = samples.take()
        if len(samples.taken) // len(now) % round(60 / SAMPLE_SECONDS) == 1:
            figures = ", ".join(f"{s.memory_bytes / MIB:.1f} MiB {s.files} files {s.threads} threads" for s in now)
            print(f"{now[0].at / 60:5.1f} min, {len(traffic.handed)} taken: {figures}", flush=True)
        await asyncio.sleep(SAMPLE_SECONDS)


def _growths(samples: Samples) -> list[str]:
    """Gives what has grown by more than is allowed."""
    hours = max(1.0, MINUTES / 60)
    allowed = {
        "memory_bytes": ALLOWED_MEMORY * hours,
        "files": float(ALLOWED_FILES),
        "threads": float(ALLOWED_THREADS),
    }
    troubles = []
    for pid in samples.pids:
        for name, allowance in allowed.items():
            grown = samples.growth(pid, lambda sample, name=name: float(getattr(sample, name)))
            text = f"{name} of {pid}: {grown.level:.0f}, changed by {grown.change:+.0f}, noise {grown.noise:.0f}"
            print(text)
            if grown.exceeds(allowance):
                troubles.append(text)
    return troubles


def _deaths(gateway: Gateway) -> list[str]:
    """Gives the workers that did not live through it."""
    return [str(fact) for name in ("worker.died", "worker.killed") for fact in gateway.facts(name)]


async def _unaccounted(handed: list[Handed], receivers: dict[str, Receiver], books: Books) -> list[str]:
    """Gives the messages that did not end as they had to."""
    copies = Counter(copy.key for receiver in receivers.values() for copy in receiver.copies)
    ends = {(end.id, end.recipient): end for end in await books.ends()}
    troubles = []
    for one in handed:
        end = ends.get((one.id, one.recipient))
        wanted = (0, "failed") if one.kind in UNDELIVERABLE else (1, "delivered")
        arrived = copies[one.id, one.recipient]
        if end is None or (arrived, end.state) != wanted or end.terminal_events != 1:
            troubles.append(f"{one} arrived {arrived} times and ended as {end}")
    return troubles


def _unexplained(data: Path) -> list[str]:
    """Gives what the data base takes beyond what is kept in it."""
    taken = sum(path.stat().st_size for path in data.glob("smtpeter.db*"))
    with closing(sqlite3.connect(data / "smtpeter.db")) as file:
        tables = [name for (name,) in file.execute("select name from sqlite_schema where type = 'table'")]
        kept = 0
        for table in tables:
            columns = [row[1] for row in file.execute(f"pragma table_info({table})")]
            lengths = " + ".join(f'coalesce(length(cast("{column}" as blob)), 0)' for column in columns)
            kept += file.execute(f"select coalesce(sum({lengths}), 0) from {table}").fetchone()[0]
    text = f"the data base takes {taken / MIB:.0f} MiB for {kept / MIB:.0f} MiB that are kept"
    print(text)
    return [text] if taken > kept / PAYLOAD_SHARE + NOT_KEPT_BYTES else []


@asynccontextmanager
async def _world(dice: random.Random) -> AsyncIterator[World]:
    receivers = {kind: Receiver(dice, manners) for kind, manners in RECEIVERS.items()}
    names = await serve_names()
    try:
        for receiver in receivers.values():
            await receiver.open()
        yield World(receivers, names, *free_ports(1))
    finally:
        names.close()
        for receiver in receivers.values():
            await receiver.close()
