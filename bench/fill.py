"""Fills a gateway's store with messages that were tried and deferred, through the store's own operations.

What it leaves is what real deferrals leave: sources, a row per recipient in the lane of the receiver, an event of the
acceptance and one with the dialogue of the attempt. All of them come due hours later, so none is in the way by itself.
The gateway does not run meanwhile.
"""

import asyncio
import secrets
import time
from datetime import UTC, datetime, timedelta

import uvloop

from bench.load import SENDER, message
from smtpeter.model.account import AccountId
from smtpeter.model.event import Deferral
from smtpeter.model.message import (
    MessageState,
    Options,
    Received,
    Recipient,
    Source,
    SourceKind,
    Submission,
    new_submission_id,
)
from smtpeter.store.accept import AcceptItem, accept
from smtpeter.store.accounts import accounts
from smtpeter.store.booking import Booking
from smtpeter.store.settle import Settlement, settle
from smtpeter.store.store import Store, open_store
from smtpeter.store.workers import Newcomer, leave, register

DUE_IN = timedelta(hours=6)
DUE_WITHIN = timedelta(hours=2)  # after that
RECIPIENTS = 1000  # of a submission
DOMAINS = 1000
_AT_ONCE = 4  # submissions


def fill(store_url: str, count: int, lane: str) -> float:
    """Puts `count` deferred messages of the first account into a store; gives the seconds that it took."""
    return uvloop.run(_fill(store_url, count, lane))


async def _fill(store_url: str, count: int, lane: str) -> float:
    store = await open_store(store_url)
    try:
        account = (await store.read(accounts, None))[0].id
        worker = await store.write(register, Newcomer("bench", 0, datetime.now(UTC)))
        begin = time.monotonic()
        firsts = range(0, count, RECIPIENTS * _AT_ONCE)
        for first in firsts:
            starts = range(first, min(count, first + RECIPIENTS * _AT_ONCE), RECIPIENTS)
            submissions = [_submission(account, start, min(RECIPIENTS, count - start)) for start in starts]
            await asyncio.gather(*(_defer(store, one, lane, worker) for one in submissions))
        seconds = time.monotonic() - begin
        await store.write(leave, worker)
        return seconds
    finally:
        await store.close()


def _submission(account: AccountId, first: int, count: int) -> Submission:
    now = datetime.now(UTC)
    numbers = range(first, first + count)
    recipients = tuple(
        Recipient(f"parked{number}@d{number % DOMAINS}.test", f"d{number % DOMAINS}.test") for number in numbers
    )
    return Submission(
        id=new_submission_id(int(now.timestamp() * 1000), secrets.randbits(71)),
        account=account,
        accepted=now,
        envelope=SENDER,
        recipients=recipients,
        source=Source(SourceKind.MIME, message(4096).removesuffix(b".\r\n")),
        options=Options(),
        received=Received("ESMTP", "load.test", "127.0.0.1"),
        from_domain=SENDER.partition("@")[2],
        subject="a message of the benchmark",
    )


async def _defer(store: Store, submission: Submission, lane: str, worker: int) -> None:
    """Accepts a submission as born claimed, and settles every message of it as an attempt that failed for now."""
    booking = Booking(worker, submission.accepted + timedelta(seconds=45))
    ids = await store.write(accept, AcceptItem(submission, (lane,) * len(submission.recipients), booked=booking))
    step = DUE_WITHIN / len(ids)
    event = Deferral(
        attempt=0,
        local_ip="127.0.0.1",
        remote_ip="127.0.0.1",
        type="error",
        code=451,
        status="4.7.1",
        description="not now, please",
        state="recipient",
        mta="sink.test",
    )
    now = submission.accepted
    settlements = [
        Settlement(id, 1, MessageState.DEFERRED, now, 1, now + DUE_IN + place * step, (event,))
        for place, id in enumerate(ids)
    ]
    await asyncio.gather(*(store.write(settle, one) for one in settlements))
