"""A gateway under load in a test: started and stopped in order, fed by a submitter, and judged at the end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from bench.gateway import Gateway
from tests.kill.receiver import Receiver
from tests.kill.records import Books
from tests.kill.submitter import Submitter
from tests.kill.verdict import Halt, compare

POLL_SECONDS = 0.02
# what was put off comes again soon, so that a run can be short
HASTE = {"DELIVERY__RETRY_DIVISOR": "60"}


@asynccontextmanager
async def running(gateway: Gateway, *others: Gateway) -> AsyncIterator[None]:
    """Prepares one gateway and starts all, which are nodes of one; at the end they must stop in order."""
    gateways = (gateway, *others)
    await asyncio.to_thread(gateway.prepare, is_signed=False)
    try:
        for one in gateways:
            one.home.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(one.start)
        yield
        for one in gateways:
            await asyncio.to_thread(one.stop)
    finally:
        for one in gateways:
            await asyncio.to_thread(one.kill)


@asynccontextmanager
async def receiving(receiver: Receiver) -> AsyncIterator[Receiver]:
    """Opens a receiver, and closes it at the end."""
    await receiver.open()
    try:
        yield receiver
    finally:
        await receiver.close()


@asynccontextmanager
async def handing_in(submitter: Submitter) -> AsyncIterator[None]:
    """Lets a submitter work meanwhile, and waits for its end; it must have no trouble of its own."""
    submitter.is_up.set()
    client = asyncio.create_task(submitter.run())
    body = asyncio.current_task()
    assert body is not None
    client.add_done_callback(lambda done: done.cancelled() or done.exception() is None or body.cancel())
    try:
        yield
        await client
    except asyncio.CancelledError:
        if client.done() and not client.cancelled():
            client.result()  # its trouble is the reason
        raise
    finally:
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)


async def until(look: Callable[[], bool], what: str, seconds: float) -> None:
    """Waits until something is so, and fails when it is not so in time."""
    try:
        async with asyncio.timeout(seconds):
            while not look():
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        pytest.fail(f"not within {seconds:g} s: {what}")


def books_of(gateway: Gateway) -> Books:
    return Books(gateway.store_url or gateway.home / "data" / "smtpeter.db")


async def agree(gateway: Gateway, submitter: Submitter, receiver: Receiver, halts: Sequence[Halt]) -> None:
    """Fails unless the books of the client, of the receiver and of the gateway agree."""
    findings = compare(submitter.handed, receiver.copies, await books_of(gateway).records(), halts)
    print(f"\n{gateway.store_url.partition(':')[0] or 'sqlite'}: {findings}")
    assert not findings.complaints, str(findings)
