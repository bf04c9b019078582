"""Late mail: messages that wait although their submitter is to be told of a delay by now, and the telling.

What is found may be in whatever stage, as long as nobody holds it: what is under way is told of with its result
(`settle.py`). Telling neither claims a message nor moves it in the queue.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from smtpeter.model.message import Message, MessageId
from smtpeter.store.accept import AcceptItem, accept, keep_large
from smtpeter.store.columns import to_ms
from smtpeter.store.operation import Blobs, Operation, single
from smtpeter.store.settle import tell_of_delay
from smtpeter.store.sources import COLUMNS, load_sources, message_of
from smtpeter.store.statement import INT, Plan, Statement


class LateQuery(Struct, frozen=True):
    """Asks for the first `limit` late messages, as far as their content is within `max_bytes`; one in any case."""

    now: datetime
    limit: int
    max_bytes: int


class LateMessage(Struct, frozen=True):
    """A message that is late; `message` is None when its content is lost."""

    id: MessageId
    message: Message | None


class LateWord(Struct, frozen=True):
    """The notification of a delay; None when none can be written, after which nobody is to try again."""

    id: MessageId
    notice: AcceptItem | None


LATE = Statement(
    f"select {COLUMNS}, unsettled, (select s.size from sources s where s.id = messages.source) from messages "
    "where tell_at <= :now and stage is not null and (stage <> 0 or worker is null) order by tell_at limit :limit",
    now=INT,
    limit=INT,
)


@single
def late_messages(query: LateQuery) -> Plan[list[LateMessage]]:
    """Gives messages that are late, the longest first, with their content; claims nothing."""
    rows: list[list[Any]] = []
    room = query.max_bytes
    counted: set[str] = set()  # the content of a source is in memory once
    for *row, size in (yield LATE.one(to_ms(query.now), query.limit)):
        if row[2] not in counted:
            room -= size or 0
            if room < 0 and rows:
                break
            counted.add(row[2])
        rows.append(row)
    sources = (yield from load_sources(rows)) if rows else {}
    return [
        LateMessage(MessageId(row[0]), message_of(row, *sources[row[2]]) if row[2] in sources else None) for row in rows
    ]


async def _keep_large_notice(word: LateWord, blobs: Blobs) -> LateWord:
    return word if word.notice is None else replace(word, notice=await keep_large(word.notice, blobs))


def _tell_late(words: list[LateWord]) -> Plan[list[bool]]:
    """Stores notifications of messages that still wait untold; gives for each word whether that was so.

    Of several words about one message, from whatever worker, one is told.
    """
    first = {word.id: word for word in reversed(words)}
    untold = yield from tell_of_delay(list(first))
    told = [word for word in first.values() if word.id in untold]
    notices = [word.notice for word in told if word.notice is not None]
    if notices:
        yield from accept(notices)
    return [word.id in untold and first[word.id] is word for word in words]


tell_late = Operation(_tell_late, prepare=_keep_large_notice)
