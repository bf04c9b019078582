"""Templates: documents of mails by number or name, each update a new version beside the older ones.

A name is a label that several templates of an account may share; the one that was changed last is then meant. A text of
digits alone is a number. Numbers are never given again. Who sends takes the document with it, so that changing or
deleting a template alters no mail that was accepted.

What another account owns is not there (W1). Raises Repeated and KeyMismatch as `answers.keep`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from smtpeter.model.account import AccountId
from smtpeter.store import answers
from smtpeter.store.answers import IdempotencyKey
from smtpeter.store.columns import clean, from_ms, to_ms
from smtpeter.store.operation import single
from smtpeter.store.statement import INT, TEXT, Plan, Row, Statement

_DIGITS = re.compile(r"[0-9]+\Z", re.ASCII)
_MAX_ID = 2**53


@dataclass(frozen=True, slots=True)
class TemplateKey:
    """Names a template of an account by `id`, or when that is None by `name`; `version` None: the newest."""

    account: AccountId
    id: int | None = None
    name: str = ""
    version: int | None = None


def key_of(account: AccountId, called: int | str, version: int | None = None) -> TemplateKey:
    """Gives the key for what a caller calls the template: a number, also as text, else a name."""
    if isinstance(called, int):
        return TemplateKey(account, called, version=version)
    if _DIGITS.match(called):
        return TemplateKey(account, int(called) if len(called) <= 16 else 0, version=version)
    return TemplateKey(account, None, called, version)


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """One version of a template: its `document` is JSON as it was handed in, `name` "" when that has none."""

    id: int
    name: str
    version: int
    changed: datetime
    document: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TemplateEntry:
    """A template in a list."""

    id: int
    name: str
    version: int
    changed: datetime


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """A version in a list."""

    version: int
    created: datetime


@dataclass(frozen=True, slots=True)
class NewTemplate:
    """A template to make. `answer` gives what to keep in the same commit, of the new number."""

    account: AccountId
    name: str
    document: str = field(repr=False)
    now: datetime
    answer: Callable[[int], IdempotencyKey | None] = field(default=lambda _: None, repr=False)


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What the template that `key` names becomes; the version in the key has no meaning."""

    key: TemplateKey
    name: str
    document: str = field(repr=False)
    now: datetime


@dataclass(frozen=True, slots=True)
class TemplateQuery:
    """Asks for the templates of an account by number, from the one at `start` (from 0), `length` at most."""

    account: AccountId
    start: int = 0
    length: int = 100


_INSERT = Statement(
    "insert into templates (account, name, version, created, changed) values (:account, :name, 1, :now, :now) "
    "returning id",
    account=INT,
    name=TEXT,
    now=INT,
)
_INSERT_VERSION = Statement(
    "insert into template_versions (template, version, created, document) values (:id, :version, :now, :document)",
    id=INT,
    version=INT,
    now=INT,
    document=TEXT,
)
_FIND_ID = Statement("select id from templates where id = :id and account = :account", id=INT, account=INT)
_FIND_NAME = Statement(
    "select id from templates where account = :account and name = :name order by changed desc, id desc limit 1",
    account=INT,
    name=TEXT,
)
# the row itself goes to the next version, so that two who change it at once get different ones
_RAISE = Statement(
    "update templates set version = version + 1, name = :name, changed = :now where id = :id returning version",
    name=TEXT,
    now=INT,
    id=INT,
)
_READ = Statement(
    "select t.id, t.name, v.version, v.created, v.document from templates t "
    "join template_versions v on v.template = t.id and v.version = coalesce(:version, t.version) "
    "where t.id = :id and t.account = :account",
    version=INT,
    id=INT,
    account=INT,
)
_PAGE = Statement(
    "select id, name, version, changed from templates where account = :account order by id limit :length offset :start",
    account=INT,
    length=INT,
    start=INT,
)
_VERSIONS = Statement(
    "select version, created from template_versions where template = :id order by version desc", id=INT
)
_DELETE_VERSIONS = Statement("delete from template_versions where template = :id", id=INT)
_DELETE = Statement("delete from templates where id = :id returning id", id=INT)


@single
def put_template(item: NewTemplate) -> Plan[int]:
    """Makes a template and gives its number. Raises Repeated, KeyMismatch."""
    now_ms = to_ms(item.now)
    ((id,),) = yield _INSERT.one(item.account, clean(item.name), now_ms)
    yield _INSERT_VERSION.one(id, 1, now_ms, item.document)
    answer = item.answer(id)
    if answer is not None:
        yield from answers.keep(answer)
    number: int = id
    return number


@single
def put_version(item: NewVersion) -> Plan[tuple[int, int] | None]:
    """Makes the document the newest version of a template and gives its number and version; None when there is none."""
    id = yield from _found(item.key)
    if id is None:
        return None
    now_ms = to_ms(item.now)
    rows = yield _RAISE.one(clean(item.name), now_ms, id)
    if not rows:  # deleted at this moment
        return None
    version: int = rows[0][0]
    yield _INSERT_VERSION.one(id, version, now_ms, item.document)
    return id, version


@single
def find_template(key: TemplateKey) -> Plan[StoredTemplate | None]:
    """Gives a template in the wanted version; None when there is no such template, or it has no such version."""
    id = yield from _found(key)
    if id is None:
        return None
    rows = yield _READ.one(key.version, id, key.account)
    return _stored(rows[0]) if rows else None


@single
def templates(query: TemplateQuery) -> Plan[list[TemplateEntry]]:
    """Gives templates of an account by number, without their documents."""
    rows = yield _PAGE.one(query.account, query.length, query.start)
    return [TemplateEntry(id, name, version, from_ms(changed)) for id, name, version, changed in rows]


@single
def versions_of(key: TemplateKey) -> Plan[list[VersionEntry]]:
    """Gives the versions of a template, newest first; none when there is no such template."""
    id = yield from _found(key)
    rows = [] if id is None else (yield _VERSIONS.one(id))
    return [VersionEntry(version, from_ms(created)) for version, created in rows]


@single
def drop_template(key: TemplateKey) -> Plan[bool]:
    """Deletes a template with all its versions; False when there is none."""
    id = yield from _found(key)
    if id is None:
        return False
    yield _DELETE_VERSIONS.one(id)
    return bool((yield _DELETE.one(id)))


def _found(key: TemplateKey) -> Plan[int | None]:
    if key.id is None:
        if not key.name:  # those without a name are not found by it
            return None
        rows = yield _FIND_NAME.one(key.account, clean(key.name))
    elif 0 < key.id <= _MAX_ID:
        rows = yield _FIND_ID.one(key.id, key.account)
    else:
        return None
    return rows[0][0] if rows else None


def _stored(row: Row) -> StoredTemplate:
    id, name, version, created, document = row
    return StoredTemplate(id, name, version, from_ms(created), document)
