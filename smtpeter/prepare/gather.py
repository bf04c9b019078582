"""What a template document names by URL, fetched until nothing more is wanted: imports bring blocks that want more.

A URL with tags is filled in first; when that cannot be, it counts as not there, and nothing is said of it. What cannot be
fetched is None among the resources. Each document may ask for so much and no more, so that none of them turns the
gateway into a crawler (templates.md 10).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Protocol

from smtpeter.content.letter import Letter
from smtpeter.content.template.reading import Purpose, Resource, Wanted
from smtpeter.model.account import AccountId

MAX_URLS = 200
MAX_BYTES = 100 * 2**20
MAX_SECONDS = 60.0
AT_ONCE = 8
_ROUNDS = 6  # imports stand three deep, and the last of them may want an image

Resources = Mapping[str, Resource | None]
Make = Callable[[Resources], Awaitable[Letter]]
Fill = Callable[[Letter, str], Awaitable[str | None]]


class Fetch(Protocol):
    """Gets what is at a URL, None when it cannot; raises nothing."""

    async def __call__(self, url: str, max_bytes: int, seconds: float) -> Resource | None: ...


FetchFor = Callable[[AccountId], Fetch]  # what one account downloaded is no business of another


async def fetch_nothing(url: str, max_bytes: int, seconds: float) -> Resource | None:
    """Stands for the web where there is none."""
    return None


class Gathering:
    """The resources of one document. `fill` gives a URL as it can be fetched, None when its tags have no values.

    `excess` are URLs that gave nothing because there were too many before them, or too much.
    """

    def __init__(self, fetch: Fetch, fill: Fill) -> None:
        self.resources: dict[str, Resource | None] = {}
        self.excess: set[str] = set()
        self._fetch = fetch
        self._fill = fill
        self._left_bytes = MAX_BYTES
        self._left_urls = MAX_URLS

    async def complete(self, make: Make, without: frozenset[Purpose] = frozenset()) -> Letter:
        """Gives the letter that `make` makes when all that it wants was tried, but for these purposes."""
        letter = await make(self.resources)
        for _ in range(_ROUNDS):
            if not await self.get(letter, [one for one in letter.compiled.wanted if one.purpose not in without]):
                break
            letter = await make(self.resources)
        return letter

    async def get(self, letter: Letter, wanted: Iterable[Wanted]) -> bool:
        """Fetches what was not tried before; False when there is nothing to try."""
        return await self.fetch(wanted, lambda url: self._fill(letter, url))

    async def fetch(self, wanted: Iterable[Wanted], fill: Callable[[str], Awaitable[str | None]]) -> bool:
        """Fetches as `get` does; `fill` gives a URL filled in, None when that cannot be."""
        urls: dict[str, tuple[Wanted, str]] = {}
        try:
            async with asyncio.timeout(MAX_SECONDS):
                for one in wanted:
                    if one.url not in self.resources and one.url not in urls and (url := await fill(one.url)):
                        urls[one.url] = one, url
                self.resources |= dict.fromkeys(urls)
                queue = iter(urls.values())
                await asyncio.gather(*[self._work(queue) for _ in range(min(AT_ONCE, len(urls)))])
        except TimeoutError:
            self.resources |= dict.fromkeys([url for url in urls if url not in self.resources])
            # what did not come in time is not there
        return bool(urls)

    async def _work(self, queue: Iterator[tuple[Wanted, str]]) -> None:
        for wanted, url in queue:
            if self._left_urls <= 0 or self._left_bytes <= 0:
                self.excess.add(wanted.url)
                continue
            self._left_urls -= 1
            found = await self._fetch(url, wanted.max_bytes, wanted.max_seconds)
            if found is None:
                continue
            if len(found.content) > min(self._left_bytes, wanted.max_bytes):
                self.excess.add(wanted.url)
                continue
            self._left_bytes -= len(found.content)
            self.resources[wanted.url] = found
