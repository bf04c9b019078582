"""What accounts name by URL, from the web or from what they found there within the hour.

An account's downloads are its own (decision 16): what one account fetched is not told to another, not even by being
quick. What several ask for at the same moment is asked for once. When the store is in trouble the web is asked.

RFC 9111 (how long an answer may be used again). Raises FetchTrouble.
"""

from datetime import timedelta
from typing import NamedTuple

from smtpeter.content.template.reading import Resource
from smtpeter.model.account import AccountId
from smtpeter.prepare.flights import Flights
from smtpeter.prepare.gather import Fetch
from smtpeter.store.contents import content_of, keep_content
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.resources import Download, DownloadQuery, Found, keep_download, known_download
from smtpeter.store.store import Store
from smtpeter.world.fetch.request import Fetched, Request
from smtpeter.world.fetch.trouble import FetchTrouble, Slug
from smtpeter.world.seams import Clock, Fetcher

KEPT_AT_MOST = timedelta(hours=1)  # templates.md 10


class _Wish(NamedTuple):
    """One download. Limits are part of it: what is too large for one purpose may do for another."""

    account: AccountId
    url: str
    max_bytes: int
    seconds: float


class Fetching:
    """The web as accounts see it, for all of this process."""

    def __init__(self, store: Store, clock: Clock, client: Fetcher) -> None:
        self._store = store
        self._clock = clock
        self._client = client
        self._flights: Flights[_Wish, Resource] = Flights()

    async def get(self, account: AccountId, url: str, max_bytes: int, seconds: float) -> Resource:
        """Gives what is at a URL. Raises FetchTrouble, whose `is_final` says whether it may be there later."""
        wish = _Wish(account, url, max_bytes, seconds)
        return await self._flights.join(wish, lambda: self._get(wish))

    def of(self, account: AccountId) -> Fetch:
        """Gives what fetches in the name of an account and is silent about trouble."""

        async def fetch(url: str, max_bytes: int, seconds: float) -> Resource | None:
            try:
                return await self.get(account, url, max_bytes, seconds)
            except FetchTrouble:
                return None

        return fetch

    async def close(self) -> None:
        """Ends what is under way."""
        await self._flights.close()

    async def _get(self, wish: _Wish) -> Resource:
        known = await self._known(wish)
        if known is not None:
            if len(known.content) > wish.max_bytes:
                raise FetchTrouble(Slug.SIZE, limit=wish.max_bytes)
            return known
        fetched = await self._client.fetch(Request(wish.url, wish.max_bytes, wish.seconds))
        found = Resource(fetched.content, _type_of(fetched), fetched.name)
        await self._remember(wish, found, fetched.cache_seconds)
        return found

    async def _known(self, wish: _Wish) -> Resource | None:
        """Gives what the account found there lately."""
        query = DownloadQuery(wish.account, wish.url, self._clock.now())
        try:
            found = await self._store.read(known_download, query)
            content = None if found is None else await self._store.read(content_of, found.digest)
        except StoreUnavailable:
            return None
        return None if found is None or content is None else Resource(content, found.type, found.name)

    async def _remember(self, wish: _Wish, found: Resource, seconds: int | None) -> None:
        """Keeps what was found for as long as the server allows, an hour when it says nothing."""
        lasts = KEPT_AT_MOST if seconds is None else min(timedelta(seconds=seconds), KEPT_AT_MOST)
        if not lasts:
            return
        now = self._clock.now()
        try:
            digest = await keep_content(self._store, found.content, now)
            known = Found(wish.url, digest, found.type, found.name)
            await self._store.write(keep_download, Download(wish.account, known, now + lasts))
        except StoreUnavailable:
            return


def _type_of(fetched: Fetched) -> str:
    """Gives type and charset as one, as a Content-Type field has them."""
    return f"{fetched.type}; charset={fetched.charset}" if fetched.type and fetched.charset else fetched.type
