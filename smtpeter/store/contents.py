"""Foreign content, kept once under its SHA-256: what was fetched for a mail, and images that we serve.

Content is kept in parts of 1 MiB, each in a commit of its own, so that a large file holds up nobody else's commit; the
row that says "it is all there" comes with the last part. Who refers to content (`resources.py`) does so by a foreign key
within the hour that content without any reference is left alone, so nothing can be referred to that is not there.

Raises what `Store` raises.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NewType

from smtpeter.store.columns import to_ms
from smtpeter.store.operation import long_read, single
from smtpeter.store.statement import BYTES, INT, Plan, Statement
from smtpeter.store.store import Store

Digest = NewType("Digest", bytes)  # SHA-256 of the content

PART_BYTES = 2**20
GRACE = timedelta(hours=1)
WALKED_AT_ONCE = 500

_BEHIND_ALL = b"\xff" * 33


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of content. `size` is that of all of it when this is the last part, else None."""

    digest: Digest
    number: int
    content: bytes = field(repr=False)
    at: datetime
    size: int | None


@dataclass(frozen=True, slots=True)
class Walk:
    """Asks to look at some contents behind `after`, in the order of digests; b"" is the beginning."""

    now: datetime
    after: bytes = b""


_TOUCH = Statement(
    "update contents set kept = :kept where digest = :digest returning digest",
    kept=INT,
    digest=BYTES,
)

_INSERT = Statement(
    "insert into contents (digest, size, kept) values (:digest, :size, :kept) "
    "on conflict (digest) do update set kept = excluded.kept",
    digest=BYTES,
    size=INT,
    kept=INT,
)

# a part that is there already is the same one
_INSERT_PART = Statement(
    "insert into content_parts (digest, part, kept, bytes) values (:digest, :part, :kept, :bytes) "
    "on conflict (digest, part) do update set kept = excluded.kept",
    digest=BYTES,
    part=INT,
    kept=INT,
    bytes=BYTES,
)

_PARTS = Statement(
    "select p.bytes from contents c join content_parts p on p.digest = c.digest where c.digest = :digest order by p.part",
    digest=BYTES,
)

_NEXT = Statement(
    "select digest from contents where digest > :after order by digest limit :limit",
    after=BYTES,
    limit=INT,
)

_DROP_UNUSED = Statement(
    "delete from contents where digest > :after and digest <= :last and kept < :before "
    "and not exists (select 1 from resources where resources.digest = contents.digest) "
    "and not exists (select 1 from downloads where downloads.digest = contents.digest) "
    "and not exists (select 1 from hosted_images where hosted_images.digest = contents.digest) returning digest",
    after=BYTES,
    last=BYTES,
    before=INT,
)

_DROP_PARTS = Statement(
    "delete from content_parts where digest > :after and digest <= :last and kept < :before "
    "and not exists (select 1 from contents where contents.digest = content_parts.digest)",
    after=BYTES,
    last=BYTES,
    before=INT,
)


async def keep_content(store: Store, content: bytes, now: datetime) -> Digest:
    """Keeps content on stable storage and gives its digest. It must be referred to within the hour, else it goes."""
    digest = Digest(sha256(content).digest())
    if await store.write(_touch, (digest, now)):
        return digest
    starts = range(0, max(1, len(content)), PART_BYTES)
    for number, start in enumerate(starts):
        size = len(content) if number == len(starts) - 1 else None
        await store.write(_put_part, _Part(digest, number, content[start : start + PART_BYTES], now, size))
    return digest


@single
def _touch(item: tuple[Digest, datetime]) -> Plan[bool]:
    """True when the content is there; it then counts as stored now."""
    digest, now = item
    return bool((yield _TOUCH.one(to_ms(now), digest)))


@single
def _put_part(part: _Part) -> Plan[None]:
    yield _INSERT_PART.one(part.digest, part.number, to_ms(part.at), part.content)
    if part.size is not None:
        yield _INSERT.one(part.digest, part.size, to_ms(part.at))


@long_read
def content_of(digest: Digest) -> Plan[bytes | None]:
    """Gives content, None when it is not (or no longer) kept."""
    parts = yield _PARTS.one(digest)
    return b"".join([row[0] for row in parts]) if parts else None


@single
def forget_unused(walk: Walk) -> Plan[bytes]:
    """Drops those of the next contents that nothing refers to for an hour; gives where to go on, b"" at the end."""
    digests = yield _NEXT.one(walk.after, WALKED_AT_ONCE)
    is_last = len(digests) < WALKED_AT_ONCE
    last = _BEHIND_ALL if is_last else bytes(digests[-1][0])
    before = to_ms(walk.now - GRACE)
    yield _DROP_UNUSED.one(walk.after, last, before)
    yield _DROP_PARTS.one(walk.after, last, before)
    return b"" if is_last else last
