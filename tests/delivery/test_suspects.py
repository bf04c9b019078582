"""What a dead worker held is carried with care: a death counts only against what is under way (D11)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from smtpeter.delivery.dispatcher import Dispatcher, DispatchSettings
from smtpeter.delivery.lanes.lane import Courier
from smtpeter.delivery.route import Discard
from smtpeter.delivery.steer import Configured, Steered
from smtpeter.delivery.wait import POLL_SECONDS
from smtpeter.model.message import Message, Options
from smtpeter.model.steering import LimitEntry, Limits, RouteEntry
from smtpeter.store import workers
from smtpeter.store.accept import accept
from smtpeter.store.store import Store, open_store
from smtpeter.testing.network import Network
from smtpeter.testing.zone import Zone
from smtpeter.world.clock import SystemClock
from smtpeter.world.seams import World
from tests.store import mail

CONCURRENCY = 3
MESSAGES = 30
SETTINGS = DispatchSettings(concurrency=100, max_held=2000, max_held_bytes=1 << 27, claim_batch=100)
UNENDING = Options(max_deliver_time=datetime(2999, 1, 1, tzinfo=UTC))
CONFIGURED = Configured(
    limits=(LimitEntry("*", Limits(connections=CONCURRENCY)),),
    verdicts=(),
    routes=(RouteEntry(recipient="*", via=("discard",)),),
    named={"discard": Discard()},
)


class Couriers:
    """Couriers that finish a message when they are let."""

    def __init__(self) -> None:
        self.begun: list[Message] = []
        self.may_end = asyncio.Semaphore(0)
        self._changed = asyncio.Event()

    async def live(self, dispatcher: Dispatcher, courier: Courier) -> None:
        courier.lane.connected()
        while (message := await courier.next(5.0)) is not None:
            self.begun.append(message)
            self._changed.set()
            await self.may_end.acquire()
            dispatcher.done(message)

    async def have_begun(self, count: int) -> None:
        while len(self.begun) < count:
            self._changed.clear()
            await self._changed.wait()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Gives a store whose messages were all held by a worker that died."""
    opened = await open_store(f"sqlite:{tmp_path}/mail.sqlite")
    now = SystemClock().now()
    dead = await opened.write(workers.register, workers.Newcomer("node", 1, now))
    for _ in range(MESSAGES):
        await opened.write(accept, mail.item(replace(mail.submission(), options=UNENDING), "discard", dead))
    await opened.write(workers.take_over, workers.TakeOver("node", frozenset(), now))
    yield opened
    await opened.close()


@asynccontextmanager
async def dispatching(store: Store, couriers: Couriers) -> AsyncIterator[None]:
    """Runs a dispatcher of worker 7, and ends it as a death would, without handing anything back."""
    world = World(SystemClock(), Zone(), Network(), lambda bits: 0)
    steered = Steered(store, world.clock, 7, CONFIGURED)
    dispatcher = Dispatcher(store, world, 7, steered, SETTINGS, couriers.live)
    running = asyncio.create_task(dispatcher.run())
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def count(file: Path, condition: str) -> object:
    """Counts rows as they were committed, with the store's own SQLite: another one would undo its locks."""
    with closing(apsw.Connection(str(file))) as connection:
        return connection.execute(f"select count(*) from messages where {condition}").fetchall()[0][0]


async def test_a_death_counts_only_against_the_messages_that_were_under_way(store: Store, tmp_path: Path) -> None:
    couriers = Couriers()
    async with dispatching(store, couriers):
        await couriers.have_begun(CONCURRENCY)
        async with asyncio.timeout(30):
            while count(tmp_path / "mail.sqlite", "worker is not null") != CONCURRENCY:
                await asyncio.sleep(0)
    assert count(tmp_path / "mail.sqlite", "unsettled = 2") == CONCURRENCY
    assert count(tmp_path / "mail.sqlite", "unsettled = 1 and worker is null") == MESSAGES - CONCURRENCY


async def test_suspects_are_carried_one_after_the_other_without_a_pause(store: Store) -> None:
    couriers = Couriers()
    for _ in range(MESSAGES):
        couriers.may_end.release()
    begin = time.monotonic()
    async with dispatching(store, couriers), asyncio.timeout(20):
        await couriers.have_begun(MESSAGES)
    assert len({message.id for message in couriers.begun}) == MESSAGES
    assert all(message.unsettled == 1 for message in couriers.begun)
    assert time.monotonic() - begin < POLL_SECONDS * 2, "waited for the poll instead of for the couriers"
