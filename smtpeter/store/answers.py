"""Answers that are repeated: what was said to a call that had an Idempotency-Key, for 24 hours.

The answer is stored in the commit of what the call made, so that after a crash either both are there or none; `accept`
does that itself, calls that make something else use `keep_answer`. A key belongs to its account. Old keys go in small
steps: a few with each new one, and some with each call of `forget_answers`.

Raises Repeated for a key that is known with the same request, and KeyMismatch when the request was another.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from smtpeter.model.account import AccountId
from smtpeter.store.columns import to_ms
from smtpeter.store.operation import single
from smtpeter.store.statement import BYTES, INT, TEXT, Plan, Statement

KEPT_FOR = timedelta(hours=24)  # rest-api.md
_FORGOTTEN_WITH_EACH = 4  # old keys that go with a new one: more than come, so that they cannot pile up
FORGOTTEN_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call was answered: the HTTP status and the body."""

    status: int
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key with the digest of its request and the answer to repeat; `source` is the submission made with it."""

    account: AccountId
    key: str
    digest: bytes
    answer: Answer
    at: datetime
    source: str | None = None


@dataclass(frozen=True, slots=True)
class KeyQuery:
    """Asks whether a key is known for this request."""

    account: AccountId
    key: str
    digest: bytes
    now: datetime


class Repeated(Exception):
    """The call was made before; `answer` is what it was told then. Nothing was written now."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("the call was answered before")
        self.answer = answer


class KeyMismatch(Exception):
    """The key was used with another request. Nothing was written now."""


# an old row is as good as none: it is overwritten
_KEEP = Statement(
    "insert into answers (account, key, source, created, digest, status, content) "
    "values (:account, :key, :source, :now, :digest, :status, :content) on conflict (account, key) do update set "
    "source = excluded.source, created = excluded.created, digest = excluded.digest, status = excluded.status, "
    "content = excluded.content where answers.created <= :before returning key",
    account=INT,
    key=TEXT,
    source=TEXT,
    now=INT,
    digest=BYTES,
    status=INT,
    content=BYTES,
    before=INT,
)

_FIND = Statement(
    "select digest, status, content from answers where account = :account and key = :key and created > :before",
    account=INT,
    key=TEXT,
    before=INT,
)

_FORGET_OLD = Statement(
    "delete from answers where (account, key) in "
    "(select account, key from answers where created <= :before order by created limit :limit) returning key",
    before=INT,
    limit=INT,
)

FORGET_OF_SOURCE = Statement(
    "delete from answers where account = :account and key = :key and source = :source",
    account=INT,
    key=TEXT,
    source=TEXT,
)


def keep(item: IdempotencyKey) -> Plan[None]:
    """Writes an answer down. Raises Repeated, KeyMismatch."""
    before = to_ms(item.at - KEPT_FOR)
    answer = item.answer
    kept = yield _KEEP.one(
        item.account, item.key, item.source, to_ms(item.at), item.digest, answer.status, answer.content, before
    )
    if not kept:
        found = yield from _known(KeyQuery(item.account, item.key, item.digest, item.at))
        if found is not None:
            raise Repeated(found)
    yield _FORGET_OLD.one(before, _FORGOTTEN_WITH_EACH)


def _known(query: KeyQuery) -> Plan[Answer | None]:
    rows = yield _FIND.one(query.account, query.key, to_ms(query.now - KEPT_FOR))
    if not rows:
        return None
    digest, status, content = rows[0]
    if bytes(digest) != query.digest:
        raise KeyMismatch
    return Answer(status, bytes(content))


@single
def known_answer(query: KeyQuery) -> Plan[Answer | None]:
    """Gives what the call was answered before, None for a new key. Raises KeyMismatch."""
    return (yield from _known(query))


@single
def keep_answer(item: IdempotencyKey) -> Plan[None]:
    """Writes down the answer to a call that stores no mail. Raises Repeated, KeyMismatch."""
    yield from keep(item)


@single
def forget_answers(now: datetime) -> Plan[int]:
    """Removes some keys that are older than 24 hours; gives how many."""
    return len((yield _FORGET_OLD.one(to_ms(now - KEPT_FOR), FORGOTTEN_AT_ONCE)))
