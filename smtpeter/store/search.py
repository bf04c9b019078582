"""The search for messages of an account, newest first, page by page, with bounded work for each page.

A page walks at most 5,000 messages, by the index of the account, or of the recipient when a whole address is asked for;
so it may be short or even empty and still not be the last one: `before` says where to go on, None that there is no
more. Texts are found anywhere within a subject or recipient, in either case of ASCII letters; nothing in them is a
wildcard (W2). Message ids begin with their time, so a span of time is a span of ids.
"""

# ruff: noqa: S608 - statements are put together once, at import, from constants of this file

from dataclasses import dataclass
from datetime import datetime, timedelta

from smtpeter.model.account import AccountId
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.message import MessageId, new_submission_id
from smtpeter.store.columns import clean, to_json, to_ms
from smtpeter.store.operation import long_read
from smtpeter.store.records import RECORD_COLUMNS, MessageRecord, record_of
from smtpeter.store.statement import INT, TEXT, Plan, Statement

MAX_SCANNED = 5000
_TIME_CHARACTERS = 8  # of an id
_NEVER = "~"  # behind every id
_SLACK = timedelta(milliseconds=1)  # an id may have been made from the time rounded another way
_LATEST_MS = 62**_TIME_CHARACTERS - 1


@dataclass(frozen=True, slots=True)
class MessageSearch:
    """What to look for; "" and None look for anything. `state` is a name as `MessageRecord.shown_state` gives it.

    `recipient`: a whole address, or a part of one. `sender`: the From domain, or the address of the envelope. `since`
    is included, `until` is not. `before` is the cursor that the last page gave. `now` decides what is under way.
    """

    account: AccountId
    now: datetime
    limit: int
    recipient: str = ""
    subject: str = ""
    tag: str = ""
    state: str = ""
    sender: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: MessageId | None = None


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Messages, newest first; `before` is where the next page begins, None behind the last one."""

    messages: tuple[MessageRecord, ...]
    before: MessageId | None


# the rows that a page may look at, found in one index alone
_OF_ACCOUNT = (
    "(select id from messages where account = :account and id >= :first and id < :before order by id desc limit :scan)"
)
_OF_RECIPIENT = _OF_ACCOUNT.replace("account = :account", "account = :account and recipient = :recipient")

_STATE = (
    "case when m.state in ('queued', 'deferred') and m.worker is not null and m.due > :now then 'delivering' "
    "when m.state = 'queued' and m.due > :now then 'scheduled' else m.state end"
)

_WHERE = (
    f"where (:state = '' or :state = {_STATE}) "
    "and (:part = '' or lower(m.recipient) like lower(:part) escape '!') "
    "and (:subject = '' or lower(s.subject) like lower(:subject) escape '!') "
    "and (:tag = '' or s.options like :tag escape '!') "
    "and (:sender = '' or s.from_domain = :sender or lower(s.envelope) = :sender) "
    "and s.accepted >= :since and s.accepted < :until order by m.id desc limit :limit"
)

_SPAN = {"account": INT, "first": TEXT, "before": TEXT, "scan": INT}
_FILTER = {
    "now": INT,
    "state": TEXT,
    "part": TEXT,
    "subject": TEXT,
    "tag": TEXT,
    "sender": TEXT,
    "since": INT,
    "until": INT,
    "limit": INT,
}


def _found_in(rows: str) -> str:
    return (
        f"select {RECORD_COLUMNS} from {rows} as span join messages m on m.id = span.id "
        f"join sources s on s.id = m.source {_WHERE}"
    )


def _end_of(rows: str) -> str:
    return f"select count(*), min(id) from {rows} as span"


_RECIPIENT = {"recipient": TEXT}
_BY_ACCOUNT = Statement(_found_in(_OF_ACCOUNT), **_SPAN, **_FILTER)
_BY_RECIPIENT = Statement(_found_in(_OF_RECIPIENT), **_RECIPIENT, **_SPAN, **_FILTER)
_END_BY_ACCOUNT = Statement(_end_of(_OF_ACCOUNT), **_SPAN)
_END_BY_RECIPIENT = Statement(_end_of(_OF_RECIPIENT), **_RECIPIENT, **_SPAN)


@long_read
def search_messages(query: MessageSearch) -> Plan[MessagePage]:
    """Gives a page of what the account owns and fits."""
    address = _whole_address(query.recipient)
    key = () if address is None else (address,)
    span = (*key, query.account, _first_id(query.since), _before_id(query), MAX_SCANNED)
    rows = yield (_BY_ACCOUNT if address is None else _BY_RECIPIENT).one(*span, *_filter(query, address))
    found = tuple(record_of(row) for row in rows)
    messages = tuple(record for record in found if not query.tag or query.tag in record.options.tags)
    if len(found) == query.limit:
        return MessagePage(messages, found[-1].id)
    ((count, last),) = yield (_END_BY_ACCOUNT if address is None else _END_BY_RECIPIENT).one(*span)
    return MessagePage(messages, MessageId(last) if count == MAX_SCANNED else None)


def _filter(query: MessageSearch, address: str | None) -> tuple[object, ...]:
    tag = to_json(query.tag) if query.tag else ""
    return (
        to_ms(query.now),
        clean(query.state),
        "" if address is not None else _anywhere(query.recipient),
        _anywhere(query.subject),
        _anywhere(tag),  # only a first look: the same text may stand elsewhere in the options
        clean(query.sender.lower()),
        0 if query.since is None else to_ms(query.since),
        _LATEST_MS if query.until is None else to_ms(query.until),
        query.limit,
    )


def _whole_address(text: str) -> str | None:
    """Gives the normal form of an address, None when the text is only a part of one."""
    try:
        return str(parse_address(text))
    except AddressError:
        return None


def _anywhere(text: str) -> str:
    """Gives the pattern that finds a text anywhere, its own wildcards escaped; "" for no text."""
    if not text:
        return ""
    escaped = clean(text).replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{escaped}%"


def _first_id(since: datetime | None) -> str:
    return "" if since is None else _id_at(since - _SLACK)


def _before_id(query: MessageSearch) -> str:
    until = _NEVER if query.until is None else _id_at(query.until + _SLACK)
    return until if query.before is None else min(until, clean(query.before))


def _id_at(moment: datetime) -> str:
    """Gives the first characters of the ids that are made at a moment."""
    return new_submission_id(min(max(to_ms(moment), 0), _LATEST_MS), 0)[:_TIME_CHARACTERS]
