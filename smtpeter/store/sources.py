"""Messages with their content: a row and its source make a `Message`.

A source is kept once for all messages of its submission; content too large for its row is fetched from the blobs.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from collections.abc import Sequence

from smtpeter.model.account import AccountId
from smtpeter.model.message import Dsn, Message, MessageId, Options, Recipient, Source, SourceKind
from smtpeter.store.columns import from_ms, notify_from_text, options_from_json, received_from_json, to_json
from smtpeter.store.operation import single
from smtpeter.store.records import MessageQuery
from smtpeter.store.statement import INT, TEXT, Fetch, Plan, Row, Statement

# what `message_of` reads of a row; after them comes the number of claims without a result
COLUMNS = (
    "id, account, source, ordinal, recipient, given, domain, notify, orcpt, lane, claim, attempt, expires, tell_at, "
    "strikes, doubtful, data"
)

_SOURCES = Statement(
    "select id, envelope, options, received, from_domain, accepted, kind, is_blob, content, data from sources "
    "where id in :ids[]",
    ids=TEXT,
)

_STORED = Statement(
    f"select {COLUMNS}, unsettled from messages where id = :id and account = :account",
    id=TEXT,
    account=INT,
)


def load_sources(rows: Sequence[Row]) -> Plan[dict[str, tuple[Row, Options, Source]]]:
    """Gives the sources that message rows name in their third column, by id; one whose content is gone is missing."""
    sources = {}
    for header in (yield _SOURCES.one(to_json(sorted({row[2] for row in rows})))):
        content = header[8]
        if header[7]:
            fetched = yield Fetch(header[0])
            if not fetched:
                continue
            content = fetched[0][0]
        if content is None:
            continue
        source = Source(SourceKind(header[6]), bytes(content), header[9])
        sources[header[0]] = (header, options_from_json(header[2]), source)
    return sources


def message_of(row: Row, header: Row, options: Options, source: Source) -> Message:
    """Makes a message of its row (COLUMNS and the claims without a result) and what `load_sources` gives for it."""
    (id, account, submission, ordinal, address, given, domain, notify, orcpt, lane) = row[:10]
    (claim, attempt, expires, tell_at, strikes, doubtful, data, unsettled) = row[10:]
    dsn = Dsn(notify_from_text(notify), options.ret, options.envid, orcpt)
    return Message(
        id=MessageId(id),
        account=AccountId(account),
        submission=submission,
        ordinal=ordinal,
        recipient=Recipient(address, domain, given, dsn, data),
        envelope=header[1],
        options=options,
        received=received_from_json(header[3]),
        from_domain=header[4],
        accepted=from_ms(header[5]),
        expires=from_ms(expires),
        lane=lane or "",
        claim=claim,
        attempt=attempt,
        unsettled=unsettled,
        strikes=strikes,
        is_doubtful=bool(doubtful),
        source=source,
        tell_at=None if tell_at is None else from_ms(tell_at),
    )


@single
def stored_message(query: MessageQuery) -> Plan[Message | None]:
    """Gives a message with its content as a claim would, without claiming it; None when it is not (or no longer) kept."""
    rows = yield _STORED.one(query.id, query.account)
    sources = (yield from load_sources(rows)) if rows else {}
    return message_of(rows[0], *sources[rows[0][2]]) if sources else None
