"""What stood behind the URLs of a submission when it was prepared, so that each render finds the same.

A submission is prepared once, in one commit: each URL with the content that was found, or with the reason why there is
none, and the images that we host for it. When two processes prepare the same submission, the first commit counts and
both get what it said. Besides: what an account downloaded lately, so that a picture in a thousand submissions is not
fetched a thousand times, and hosted images by the key that stands in their URL.

Everything belongs to an account; only the bytes (`contents.py`) are shared. Raises Conflict for a digest whose content
is not there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from smtpeter.model.account import AccountId
from smtpeter.store.columns import clean, to_json, to_ms
from smtpeter.store.contents import Digest
from smtpeter.store.operation import single
from smtpeter.store.statement import BYTES, INT, TEXT, Plan, Row, Statement

FORGOTTEN_AT_ONCE = 500
_KEY_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Found:
    """What was at a URL; `type` and `name` "" when the server did not say."""

    url: str
    digest: Digest
    type: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Missed:
    """A URL that gave nothing, for good: the slug of the trouble, and its sentence."""

    url: str
    slug: str
    sentence: str


Resource = Found | Missed


@dataclass(frozen=True, slots=True)
class HostedImage:
    """An image that the tracking host serves for an account, always with this type."""

    account: AccountId
    digest: Digest
    type: str

    @property
    def key(self) -> str:
        """Names the image in its URL. It follows from account, type and content, so that a render makes it too."""
        text = f"{self.account}:{self.type}:".encode()
        return sha256(text + self.digest).hexdigest()[:_KEY_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Preparation:
    """All that was settled for a submission; no URL twice."""

    source: str
    at: datetime
    resources: tuple[Resource, ...] = ()
    images: tuple[HostedImage, ...] = ()


@dataclass(frozen=True, slots=True)
class Download:
    """What an account found at a URL, to be used again until `until`."""

    account: AccountId
    found: Found
    until: datetime


@dataclass(frozen=True, slots=True)
class DownloadQuery:
    """Asks for what an account found at a URL lately."""

    account: AccountId
    url: str
    now: datetime


_MARK = Statement(
    "insert into prepared (source, at) values (:source, :at) on conflict (source) do nothing returning source",
    source=TEXT,
    at=INT,
)

_IS_MARKED = Statement("select source from prepared where source = :source", source=TEXT)

_INSERT = Statement(
    "insert into resources (source, url, url_hash, type, name, digest, slug, sentence) "
    "select :source, :url, :url_hash, :type, :name, :digest, :slug, :sentence {rows}",
    source=TEXT,
    url=TEXT,
    url_hash=BYTES,
    type=TEXT,
    name=TEXT,
    digest=BYTES,
    slug=TEXT,
    sentence=TEXT,
)

_OF_SOURCE = Statement(
    "select url, type, name, digest, slug, sentence from resources where source = :source order by url",
    source=TEXT,
)

_FORGET = [
    Statement(f"delete from {table} where source in :sources[]", sources=TEXT)  # noqa: S608
    for table in ("resources", "prepared")
]

_PUT_DOWNLOAD = Statement(
    "insert into downloads (account, url, url_hash, type, name, digest, until) "
    "values (:account, :url, :url_hash, :type, :name, :digest, :until) on conflict (account, url_hash) do update set "
    "type = excluded.type, name = excluded.name, digest = excluded.digest, until = excluded.until",
    account=INT,
    url=TEXT,
    url_hash=BYTES,
    type=TEXT,
    name=TEXT,
    digest=BYTES,
    until=INT,
)

_DOWNLOAD = Statement(
    "select url, type, name, digest from downloads where account = :account and url_hash = :url_hash and until > :now",
    account=INT,
    url_hash=BYTES,
    now=INT,
)

_FORGET_DOWNLOADS = Statement(
    "delete from downloads where (account, url_hash) in "
    "(select account, url_hash from downloads where until <= :now order by until limit :limit) returning url",
    now=INT,
    limit=INT,
)

_HOST = Statement(
    "insert into hosted_images (key, account, digest, type, used) values (:key, :account, :digest, :type, :used) "
    "on conflict (key) do update set used = excluded.used where hosted_images.used < excluded.used",
    key=TEXT,
    account=INT,
    digest=BYTES,
    type=TEXT,
    used=INT,
)

_IMAGE = Statement("select account, digest, type from hosted_images where key = :key", key=TEXT)

_FORGET_IMAGES = Statement(
    "delete from hosted_images where key in "
    "(select key from hosted_images where used < :before order by used limit :limit) returning key",
    before=INT,
    limit=INT,
)


@single
def keep_preparation(item: Preparation) -> Plan[dict[str, Resource]]:
    """Settles the URLs of a submission and gives them; when they were settled before, what was said then."""
    at_ms = to_ms(item.at)
    if (yield _MARK.one(item.source, at_ms)):
        if item.resources:
            yield _INSERT.many([(item.source, *_row(resource)) for resource in item.resources])
        for image in item.images:
            yield _HOST.one(image.key, image.account, image.digest, image.type, at_ms)
    return (yield from _resources(item.source))


@single
def host_images(item: Preparation) -> Plan[None]:
    """Takes note of images that the tracking host is to serve, whenever they are found."""
    for image in item.images:
        yield _HOST.one(image.key, image.account, image.digest, image.type, to_ms(item.at))


@single
def resources_of(source: str) -> Plan[dict[str, Resource] | None]:
    """Gives what the URLs of a submission gave, None when it is not prepared."""
    is_prepared = yield _IS_MARKED.one(source)
    return (yield from _resources(source)) if is_prepared else None


def forget_of_sources(sources: Iterable[str]) -> Plan[None]:
    """Forgets what was settled for submissions; for the plan that removes them."""
    names = to_json(sorted(sources))
    for statement in _FORGET:
        yield statement.one(names)


@single
def keep_download(item: Download) -> Plan[None]:
    """Remembers what an account found at a URL, in place of what it found there before."""
    found = item.found
    yield _PUT_DOWNLOAD.one(
        item.account,
        clean(found.url),
        _hash(found.url),
        clean(found.type),
        clean(found.name),
        found.digest,
        to_ms(item.until),
    )


@single
def known_download(query: DownloadQuery) -> Plan[Found | None]:
    """Gives what the account found at the URL, None when it has to be asked for."""
    rows = yield _DOWNLOAD.one(query.account, _hash(query.url), to_ms(query.now))
    return next((Found(url, Digest(bytes(digest)), type, name) for url, type, name, digest in rows), None)


@single
def forget_downloads(now: datetime) -> Plan[int]:
    """Removes some downloads that are over their time; gives how many."""
    return len((yield _FORGET_DOWNLOADS.one(to_ms(now), FORGOTTEN_AT_ONCE)))


@single
def hosted_image(key: str) -> Plan[HostedImage | None]:
    """Gives the image of a key, None when there is none."""
    rows = yield _IMAGE.one(clean(key))
    return next((HostedImage(AccountId(row[0]), Digest(bytes(row[1])), row[2]) for row in rows), None)


@single
def forget_images(before: datetime) -> Plan[int]:
    """Removes some images that no mail has named since; gives how many."""
    return len((yield _FORGET_IMAGES.one(to_ms(before), FORGOTTEN_AT_ONCE)))


def _resources(source: str) -> Plan[dict[str, Resource]]:
    rows = yield _OF_SOURCE.one(source)
    return {row[0]: _resource(row) for row in rows}


def _row(resource: Resource) -> tuple[object, ...]:
    match resource:
        case Found(url, digest, type, name):
            return clean(url), _hash(url), clean(type), clean(name), digest, "", ""
        case Missed(url, slug, sentence):
            return clean(url), _hash(url), "", "", None, slug, clean(sentence)


def _hash(url: str) -> bytes:
    return sha256(clean(url).encode("utf-8", "surrogatepass")).digest()


def _resource(row: Row) -> Resource:
    url, type, name, digest, slug, sentence = row
    return Missed(url, slug, sentence) if digest is None else Found(url, Digest(bytes(digest)), type, name)
