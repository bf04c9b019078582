"""What is fetched for submissions, on both stores: content by hash, what a URL gave, downloads, hosted images."""

import asyncio
from datetime import timedelta
from hashlib import sha256

import pytest

from smtpeter.model.account import AccountId
from smtpeter.store.contents import PART_BYTES, Digest, Walk, content_of, forget_unused, keep_content
from smtpeter.store.operation import Conflict, single
from smtpeter.store.resources import (
    Download,
    DownloadQuery,
    Found,
    HostedImage,
    Missed,
    Preparation,
    forget_downloads,
    forget_images,
    forget_of_sources,
    hosted_image,
    keep_download,
    keep_preparation,
    known_download,
    resources_of,
)
from smtpeter.store.statement import Plan, Statement
from smtpeter.store.store import Store
from tests.store.mail import T0, after, make_account

URL = "https://www.example.com/price%20list.pdf"
LONG = timedelta(hours=2).total_seconds()

_COUNT = {name: Statement(f"select count(*) from {name}") for name in ("contents", "content_parts")}

forget = single(forget_of_sources)


@single
def counted(table: str) -> Plan[int]:
    return int((yield _COUNT[table].one())[0][0])


async def tidied(store: Store, seconds: float = LONG) -> tuple[int, int]:
    """Forgets what is not used any more; gives how many contents and parts are left."""
    await store.write(forget_unused, Walk(after(seconds)))
    return await store.read(counted, "contents"), await store.read(counted, "content_parts")


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES])
async def test_content_comes_back_as_it_was(store: Store, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    digest = await keep_content(store, content, T0)
    assert digest == sha256(content).digest()
    assert await store.read(content_of, digest) == content


async def test_unknown_content_is_none(store: Store) -> None:
    assert await store.read(content_of, Digest(b"\0" * 32)) is None


async def test_same_content_is_kept_once(store: Store) -> None:
    content = b"y" * (PART_BYTES + 5)
    digests = await asyncio.gather(*(keep_content(store, content, T0) for _ in range(4)))
    assert len(set(digests)) == 1
    assert await store.read(content_of, digests[0]) == content
    assert await store.read(counted, "contents") == 1
    assert await store.read(counted, "content_parts") == 2


async def test_submission_remembers_what_its_urls_gave(store: Store) -> None:
    digest = await keep_content(store, b"%PDF", T0)
    found = Found(URL, digest, "application/pdf", "Preisliste é.pdf")
    missed = Missed("https://b.example/", "http-status", "The host b.example answered with status 404.")
    assert await store.read(resources_of, "S1") is None
    settled = await store.write(keep_preparation, Preparation("S1", T0, (found, missed)))
    assert settled == {URL: found, missed.url: missed}
    assert await store.read(resources_of, "S1") == settled
    assert await store.read(resources_of, "S2") is None


async def test_submission_without_urls_is_prepared_too(store: Store) -> None:
    assert await store.write(keep_preparation, Preparation("S1", T0)) == {}
    assert await store.read(resources_of, "S1") == {}


async def test_first_preparation_counts(store: Store) -> None:
    one, two = [Found(URL, await keep_content(store, content, T0)) for content in (b"one", b"two")]
    both = (store.write(keep_preparation, Preparation("S1", T0, (found,))) for found in (one, two))
    first, second = await asyncio.gather(*both)
    assert first == second == {URL: one}


async def test_preparation_without_its_content_is_refused_and_leaves_nothing(store: Store) -> None:
    with pytest.raises(Conflict):
        await store.write(keep_preparation, Preparation("S1", T0, (Found(URL, Digest(b"\1" * 32)),)))
    assert await store.read(resources_of, "S1") is None


async def test_half_stored_content_cannot_be_referred_to_and_goes(store: Store) -> None:
    class Stopped(Exception):
        pass

    class Dying:
        """A store whose process dies before the last part is written."""

        left = 3

        async def write(self, operation: object, item: object) -> object:
            self.left -= 1
            if not self.left:
                raise Stopped
            return await store.write(operation, item)  # type: ignore[arg-type]

    content = b"z" * (2 * PART_BYTES)
    with pytest.raises(Stopped):
        await keep_content(Dying(), content, T0)  # type: ignore[arg-type]
    digest = Digest(sha256(content).digest())
    assert await store.read(content_of, digest) is None
    with pytest.raises(Conflict):
        await store.write(keep_preparation, Preparation("S1", T0, (Found(URL, digest),)))
    assert await tidied(store, 60) == (0, 1)
    assert await tidied(store) == (0, 0)


async def test_content_that_nothing_refers_to_goes_after_an_hour(store: Store) -> None:
    account = await make_account(store)
    digests = [await keep_content(store, f"content {n}".encode(), T0) for n in range(4)]
    await store.write(keep_preparation, Preparation("S1", T0, (Found(URL, digests[0]),)))
    await store.write(keep_download, Download(account.id, Found(URL, digests[1]), after(9999)))
    await store.write(keep_preparation, Preparation("S2", T0, (), (HostedImage(account.id, digests[2], "image/png"),)))
    assert await tidied(store, 3000) == (4, 4)
    assert await tidied(store) == (3, 3)
    assert await store.read(content_of, digests[3]) is None
    await store.write(forget, ["S1"])
    assert await store.read(resources_of, "S1") is None
    await store.write(forget_downloads, after(9999))
    await store.write(forget_images, after(1))
    assert await tidied(store) == (0, 0)


async def test_content_that_is_stored_again_gets_another_hour(store: Store) -> None:
    digest = await keep_content(store, b"again", T0)
    assert await keep_content(store, b"again", after(LONG - 60)) == digest
    assert await tidied(store) == (1, 1)


async def test_walk_over_many_contents_goes_in_steps_and_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smtpeter.store.contents.WALKED_AT_ONCE", 3)
    for number in range(7):
        await keep_content(store, f"{number}".encode(), T0)
    at, steps = b"", 0
    while at or not steps:
        at = await store.write(forget_unused, Walk(after(LONG), at))
        steps += 1
    assert steps == 3
    assert await store.read(counted, "contents") == await store.read(counted, "content_parts") == 0


async def test_download_is_known_to_its_account_until_its_time(store: Store) -> None:
    one, two = await make_account(store, "one"), await make_account(store, "two")
    found = Found(URL, await keep_content(store, b"feed", T0), "text/xml", "feed.xml")
    await store.write(keep_download, Download(one.id, found, after(3600)))
    assert await store.read(known_download, DownloadQuery(one.id, URL, after(3599))) == found
    assert await store.read(known_download, DownloadQuery(one.id, URL, after(3600))) is None
    assert await store.read(known_download, DownloadQuery(one.id, URL + "x", T0)) is None
    assert await store.read(known_download, DownloadQuery(two.id, URL, T0)) is None


async def test_later_download_takes_the_place_of_the_earlier(store: Store) -> None:
    account = await make_account(store)
    for content in (b"old", b"new"):
        found = Found(URL, await keep_content(store, content, T0))
        await store.write(keep_download, Download(account.id, found, after(60)))
    assert await store.read(known_download, DownloadQuery(account.id, URL, T0)) == found
    assert await store.write(forget_downloads, after(59)) == 0
    assert await store.write(forget_downloads, after(60)) == 1


async def test_hosted_image_is_found_by_its_key_with_the_type_it_was_given(store: Store) -> None:
    account = await make_account(store)
    image = HostedImage(account.id, await keep_content(store, b"\x89PNG", T0), "image/png")
    await store.write(keep_preparation, Preparation("S1", T0, (), (image,)))
    assert await store.read(hosted_image, image.key) == image
    assert await store.read(hosted_image, image.key[:-1] + "\0") is None


async def test_image_lives_as_long_as_mails_name_it(store: Store) -> None:
    account = await make_account(store)
    image = HostedImage(account.id, await keep_content(store, b"\x89PNG", T0), "image/png")
    for source, seconds in (("S1", 100.0), ("S2", 500.0), ("S3", 300.0)):
        await store.write(keep_preparation, Preparation(source, after(seconds), (), (image,)))
    assert await store.write(forget_images, after(500)) == 0
    assert await store.write(forget_images, after(501)) == 1
    assert await store.read(hosted_image, image.key) is None


def test_keys_of_images_differ_by_account_type_and_content() -> None:
    images = [
        HostedImage(AccountId(account), Digest(content * 32), type)
        for account in (1, 2)
        for content in (b"a", b"b")
        for type in ("image/png", "image/gif")
    ]
    assert len({image.key for image in images}) == len(images)
    assert images[0].key == HostedImage(AccountId(1), Digest(b"a" * 32), "image/png").key


async def test_url_of_any_length_has_its_place(store: Store) -> None:
    owner = (await make_account(store)).id
    digest = await keep_content(store, b"x", T0)
    urls = [f"https://example.com/?{'q' * 8000}{number}" for number in range(2)]
    said = await store.write(
        keep_preparation, Preparation("s", T0, (Found(urls[0], digest), Missed(urls[1], "a", "b")))
    )
    assert said == {urls[0]: Found(urls[0], digest), urls[1]: Missed(urls[1], "a", "b")}
    await store.write(keep_download, Download(owner, Found(urls[0], digest), after(9)))
    assert await store.read(known_download, DownloadQuery(owner, urls[0], T0)) == Found(urls[0], digest)
    assert await store.read(known_download, DownloadQuery(owner, urls[1], T0)) is None
