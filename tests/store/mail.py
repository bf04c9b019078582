"""Submissions, accounts and helpers for the tests of the store."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw

from smtpeter.model.account import Account, AccountId, Features
from smtpeter.model.event import Deferral, Delivery
from smtpeter.model.message import (
    Message,
    MessageState,
    Options,
    Received,
    Recipient,
    Source,
    SourceKind,
    Submission,
    Transfer,
    new_submission_id,
)
from smtpeter.store.accept import AcceptItem, accept
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.booking import Booking, Held
from smtpeter.store.claim import ClaimRequest
from smtpeter.store.claim import claim as claim_messages
from smtpeter.store.settle import Sent, Settlement
from smtpeter.store.statement import Statement
from smtpeter.store.store import Store

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
_numbers = itertools.count(1)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def submission(
    *domains: str, account: int = 1, content: bytes = b"Subject: hi\r\n\r\nhello\r\n", stream: str = "transactional"
) -> Submission:
    """Makes a submission with one recipient at each of the domains (one at example.net by default)."""
    recipients = tuple(
        Recipient(f"user{n}@{domain}", domain, f"user{n}@{domain}")
        for n, domain in enumerate(domains or ("example.net",))
    )
    return Submission(
        id=new_submission_id(1_772_366_400_000, next(_numbers)),
        account=AccountId(account),
        accepted=T0,
        envelope="sender@example.com",
        recipients=recipients,
        source=Source(SourceKind.MIME, content),
        options=Options(stream=stream, tags=("a", "b"), envid="env", ret="HDRS"),
        received=Received("ESMTPSA", "client.example.com", "192.0.2.7"),
        from_domain="example.com",
        subject="hi",
    )


def item(made: Submission, lane: str | None = "lane", worker: int | None = None) -> AcceptItem:
    """Makes what is accepted, with one lane for all recipients; booked for 45 s when there is a worker."""
    booked = None if worker is None else Booking(worker, after(45))
    return AcceptItem(made, (lane,) * len(made.recipients), "trackbounces", booked)


async def fill(
    store: Store, count: int, *, account: int = 1, lane: str = "lane", stream: str = "transactional"
) -> None:
    """Accepts one submission with `count` recipients."""
    await store.write(accept, item(submission(*["a.example"] * count, account=account, stream=stream), lane))


async def claim(store: Store, limit: int = 10, at: float = 0, **more: object) -> list[Message]:
    request = ClaimRequest(worker=1, now=after(at), until=after(at + 45), limit=limit, **more)  # type: ignore[arg-type]
    return await store.write(claim_messages, request)


def dialogue() -> dict[str, object]:
    return {
        "attempt": 0,
        "local_ip": "192.0.2.1",
        "remote_ip": "192.0.2.2",
        "type": "accepted",
        "code": 250,
        "status": "2.0.0",
        "description": "OK ✓",
        "state": "message",
        "mta": "mx.example.net",
    }


def delivered(message: Message, **more: object) -> Settlement:
    values: dict[str, object] = {
        "events": (Delivery(**dialogue()),),
        "sent": Sent(Transfer.EIGHT_BIT, b"Received: by us\r\n"),
    }  # type: ignore[arg-type]
    return Settlement(message.id, message.claim, MessageState.DELIVERED, after(1), 1, **(values | more))  # type: ignore[arg-type]


def deferred(message: Message, seconds: float = 60) -> Settlement:
    return Settlement(
        message.id,
        message.claim,
        MessageState.DEFERRED,
        after(1),
        message.attempt + 1,
        after(seconds),
        (Deferral(**dialogue()),),  # type: ignore[arg-type]
    )


def held(message: Message) -> Held:
    return Held(message.id, message.claim)


async def make_account(store: Store, name: str = "acme") -> Account:
    return await store.write(put_account, NewAccount(name, T0, features=Features(trackopens=True)))


def sqlite_steps(file: Path, statement: Statement, values: tuple[object, ...]) -> int:
    """Counts the steps that SQLite's machine takes for a statement."""
    count = 0

    def tick() -> bool:
        nonlocal count
        count += 1
        return False

    connection = apsw.Connection(str(file))
    connection.set_progress_handler(tick, 1)
    connection.execute(statement.sqlite, values).fetchall()
    connection.close()
    return count
