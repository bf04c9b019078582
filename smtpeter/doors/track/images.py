"""Pictures of a mail that come through us: fetched once for an account, kept as long as their server allows.

Whoever asks while a picture is being fetched waits for the same fetch. On any trouble there is no picture, and the
reader is led to where it is; trouble is remembered for a while, so that a slow server does not hold up each of many
readers. What is kept is bounded, and so is what is under way: a picture too many is not fetched by us.

Raises nothing: trouble of the store is trouble.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from smtpeter.doors.track.contents import Contents, Held
from smtpeter.doors.track.memory import Memory
from smtpeter.doors.track.pictures import Picture, kind_of
from smtpeter.model.account import AccountId
from smtpeter.store.contents import Digest, keep_content
from smtpeter.store.operation import Conflict, StoreUnavailable
from smtpeter.store.resources import Download, DownloadQuery, Found, keep_download, known_download
from smtpeter.store.store import Store
from smtpeter.world.fetch.request import Request
from smtpeter.world.fetch.trouble import FetchTrouble
from smtpeter.world.log import log, log_trouble
from smtpeter.world.seams import Clock, Fetcher

MAX_BYTES = 10 * 2**20  # processing.md, Open tracking
FETCH_SECONDS = 8.0  # a reader waits
UNSAID_SECONDS = 3600  # for a server that does not say how long its picture is good
LONGEST_SECONDS = 24 * 3600
TROUBLE_SECONDS = 60.0
FETCHES_AT_ONCE = 8  # each may take MAX_BYTES of memory
REMEMBERED = 5000


@dataclass(frozen=True, slots=True)
class Named:
    """A picture by its account and the one spelling (`comparable`) of all addresses that lead to it."""

    account: AccountId
    address: str


class Images:
    """The pictures of a process."""

    def __init__(self, store: Store, clock: Clock, fetcher: Fetcher, contents: Contents) -> None:
        self._store = store
        self._clock = clock
        self._fetcher = fetcher
        self._contents = contents
        self._known: Memory[Named, Digest] = Memory(REMEMBERED)
        self._troubles: Memory[Named, bool] = Memory(REMEMBERED)
        self._under_way: dict[Named, asyncio.Task[Picture | None]] = {}
        self._fetches = 0

    async def get(self, named: Named, url: str) -> Picture | None:
        """Gives the picture at `url`, which `named` names; None: the reader has to ask there."""
        if self._troubles.get(named, self._clock.monotonic()):
            return None
        task = self._under_way.get(named)
        if task is None:
            task = asyncio.create_task(self._get(named, url), name="picture")
            self._under_way[named] = task
            task.add_done_callback(lambda _: self._under_way.pop(named, None))
        return await asyncio.shield(task)  # one who leaves must not take it from the others

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _get(self, named: Named, url: str) -> Picture | None:
        try:
            picture = await self._from_store(named)
            if picture is None and self._fetches < FETCHES_AT_ONCE:
                picture = await self._fetch(named, url)
        except FetchTrouble as trouble:
            self._avoid(named, trouble.slug)
            return None
        except StoreUnavailable:
            return None
        except Exception:  # a picture that we stumble over is still to be had at its own place
            log_trouble("track.picture_failed", account=named.account)
            self._avoid(named, "")
            return None
        return picture

    async def _from_store(self, named: Named) -> Picture | None:
        digest = self._known.get(named, self._clock.monotonic())
        if digest is None:
            query = DownloadQuery(named.account, named.address, self._clock.now())
            found = await self._store.read(known_download, query)
            if found is not None:
                digest = found.digest
                self._known.put(named, digest, self._clock.monotonic() + TROUBLE_SECONDS)
        held = await self._contents.get(digest) if digest is not None else None
        return _picture(held)

    async def _fetch(self, named: Named, url: str) -> Picture | None:
        self._fetches += 1
        try:
            fetched = await self._fetcher.fetch(Request(url, MAX_BYTES, FETCH_SECONDS, headers={"Accept": "image/*"}))
            kind = kind_of(fetched.content)
            if not kind:
                self._avoid(named, "no-picture")
                return None
            fresh = UNSAID_SECONDS if fetched.cache_seconds is None else min(fetched.cache_seconds, LONGEST_SECONDS)
            picture = Picture(kind, fetched.content)
            if fresh > 0:
                await self._keep(named, picture, fetched.name, fresh)
            return picture
        finally:
            self._fetches -= 1

    async def _keep(self, named: Named, picture: Picture, name: str, seconds: int) -> None:
        now = self._clock.now()
        try:
            digest = await keep_content(self._store, picture.content, now)
            found = Found(named.address, digest, picture.type, name)
            await self._store.write(keep_download, Download(named.account, found, now + timedelta(seconds=seconds)))
        except (StoreUnavailable, Conflict):
            return  # it is there for those who wait; the next one fetches it again
        self._known.put(named, digest, self._clock.monotonic() + seconds)
        self._contents.hold(digest, picture.content)

    def _avoid(self, named: Named, slug: str) -> None:
        self._troubles.put(named, True, self._clock.monotonic() + TROUBLE_SECONDS)
        if slug:
            log("track.picture_not_fetched", account=named.account, reason=slug)


def _picture(held: Held | None) -> Picture | None:
    """Gives a picture of content that was kept, perhaps as an attachment of the same address that is none."""
    kind = kind_of(held.content) if held is not None else ""
    return Picture(kind, held.content) if held is not None and kind else None
