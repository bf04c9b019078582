"""One preparation: all that is wanted by URL is tried, and each URL gets what is there, or the reason why nothing is.

A file that was to be attached must be there. When it may be there later nothing is settled, so NotYet is raised; else
the reason says that it never will. Whatever else is missing is left out of the mail, also when it was a passing trouble.

Raises NotYet.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from smtpeter.content.template.problem import shown
from smtpeter.content.template.reading import Purpose, Resource, Wanted
from smtpeter.model.account import AccountId
from smtpeter.prepare.fetching import Fetching
from smtpeter.prepare.gather import Gathering, Make, Resources
from smtpeter.store.resources import Missed
from smtpeter.world.fetch.trouble import FetchTrouble

_LATE = ("timeout", "It did not arrive in time.")
_EXCESS = ("too-much", "The files before it are too many, or too large together.")
_UNFILLED = ("tags-unfilled", "The tags in its URL cannot be filled in.")


class NotYet(Exception):
    """A file of the message cannot be had now, but perhaps later; `str()` is a sentence."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be had beside what was `found`, in the name of an account.

    `fill` gives a URL as it is to be fetched, None when it cannot be filled in here. `make` compiles the document, when
    it is one.
    """

    account: AccountId
    wanted: Sequence[Wanted]
    found: Resources
    fill: Callable[[str], Awaitable[str | None]]
    make: Make | None


async def collect(order: Order, fetching: Fetching) -> dict[str, Resource | Missed]:
    """Gives what each URL gave, those that imports brought along included. Raises NotYet."""
    run = _Run(order, fetching)
    await run.go()
    return run.result()


def sentence_about(url: str, reason: str) -> str:
    """Says that an attachment is not there."""
    return f"The attachment {shown(url)} cannot be fetched: {reason}"


class _Run:
    """The course of one preparation: URLs as they were asked for, and what was in the way."""

    def __init__(self, order: Order, fetching: Fetching) -> None:
        self._order = order
        self._fetching = fetching
        self._asked: dict[str, str] = {}  # as written -> as fetched
        self._troubles: dict[str, FetchTrouble] = {}  # by URL as fetched
        self._gathering = Gathering(self._fetch, lambda _, url: self._filled(url))
        self._gathering.resources |= order.found

    async def go(self) -> None:
        """Tries everything."""
        order = self._order
        if order.make is not None:
            await self._gathering.complete(order.make)
        else:
            await self._gathering.fetch(order.wanted, self._filled)

    def result(self) -> dict[str, Resource | Missed]:
        """Gives what came of it. Raises NotYet."""
        files = {one.url for one in self._order.wanted if one.purpose is Purpose.ATTACHMENT}
        tried = {url: one for url, one in self._gathering.resources.items() if url not in self._order.found}
        result: dict[str, Resource | Missed] = {}
        for url in [*tried, *[one.url for one in self._order.wanted if one.url not in tried]]:
            found = tried.get(url)
            if found is None:
                slug, reason, is_final = self._trouble(url)
                if url in files and not is_final:
                    raise NotYet(sentence_about(url, reason))
                result[url] = Missed(url, slug, reason)
            else:
                result[url] = found
        return result

    def _trouble(self, url: str) -> tuple[str, str, bool]:
        """Gives slug and sentence of what was in the way, and whether that is final."""
        trouble = self._troubles.get(self._asked.get(url, ""))
        if trouble is not None:
            return trouble.slug.value, str(trouble), trouble.is_final
        if url in self._gathering.excess:
            return *_EXCESS, True
        return (*_LATE, False) if url in self._asked else (*_UNFILLED, True)

    async def _fetch(self, url: str, max_bytes: int, seconds: float) -> Resource | None:
        try:
            return await self._fetching.get(self._order.account, url, max_bytes, seconds)
        except FetchTrouble as trouble:
            self._troubles[url] = trouble
            return None

    async def _filled(self, url: str) -> str | None:
        filled = await self._order.fill(url)
        if filled:
            self._asked[url] = filled
        return filled
