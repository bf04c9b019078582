"""Calls that are made again with the Idempotency-Key of the first time: they get the first answer (rest-api.md).

Raises Refused: `idempotency_mismatch` when the request is another, `invalid_request` for a key that cannot be one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from smtpeter.model.account import AccountId
from smtpeter.model.refusal import Refused
from smtpeter.store.answers import Answer, IdempotencyKey, KeyMismatch, KeyQuery, known_answer
from smtpeter.store.store import Store

Told = TypeVar("Told")

HEADER = "Idempotency-Key"
MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class Idempotency(Generic[Told]):
    """The key of a call and the digest of its request. `answer` makes the answer to repeat of what the call gives."""

    key: str
    digest: bytes
    answer: Callable[[Told], Answer] = field(repr=False)

    def with_answer(self, account: AccountId, told: Told, now: datetime, source: str | None = None) -> IdempotencyKey:
        """Gives what is stored in the commit of the call; `source` is the first submission made by it."""
        return IdempotencyKey(account, self.key, self.digest, self.answer(told), now, source)


async def first_answer(store: Store, account: AccountId, call: Idempotency[Told], now: datetime) -> Answer | None:
    """Gives what the call was answered before, None when the key is new. Raises Refused, StoreUnavailable."""
    if not call.key or len(call.key) > MAX_KEY or not call.key.isprintable():
        reason = f"The {HEADER} must have 1 to {MAX_KEY} printable characters; a random UUID is a good one."
        raise Refused("invalid_request", field=HEADER, reason=reason)
    try:
        return await store.read(known_answer, KeyQuery(account, call.key, call.digest, now))
    except KeyMismatch:
        raise Refused("idempotency_mismatch", field=HEADER) from None
