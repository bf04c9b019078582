"""PREPARE: what a submission names by URL, fetched once and settled in one commit, so that all its messages agree.

A URL without tags belongs to the submission, one with tags to the message whose values fill it: what is found there
never shows in another message. The first is settled under the id of the submission, the second under a name of the
message. When two processes prepare the same, the first commit counts, and both go by it.

A file that was to be attached and is not there ends the message when that is final; when it may pass, nothing is
settled, and it is tried again at the next attempt. Raises CannotRender, NotYet, UnderWay, StoreUnavailable.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from smtpeter.content.kept import Kept
from smtpeter.content.letter import Letter
from smtpeter.content.render import CannotRender, Tools, file_urls, filled_url, letter_of
from smtpeter.content.template.reading import Purpose, Resource, Wanted
from smtpeter.content.template.tags import has_tag
from smtpeter.model.message import Message, SourceKind
from smtpeter.model.outcome import State
from smtpeter.prepare.collect import NotYet, Order, collect, sentence_about
from smtpeter.prepare.fetching import Fetching
from smtpeter.prepare.flights import Flights
from smtpeter.prepare.gather import MAX_BYTES, Make, Resources
from smtpeter.prepare.workshop import Watch, Workshop
from smtpeter.store.contents import content_of, keep_content
from smtpeter.store.resources import Found, Missed, Preparation, keep_preparation, resources_of
from smtpeter.store.resources import Resource as Said
from smtpeter.store.store import Store
from smtpeter.world.fetch.slots import Slots
from smtpeter.world.seams import Clock

NOTHING: Resources = {}

AT_ONCE = 32  # preparations at a time
AT_ONCE_OF_ACCOUNT = 8
TROUBLE_SECONDS = 15.0  # for which what could not be had is not asked for again
_MAX_TROUBLES = 10_000
_MAX_KEPT = 1000
_MAX_PLANS = 10_000


class UnderWay(Exception):
    """What a message needs is still being fetched; that goes on, so ask again in a moment."""


@dataclass(frozen=True, slots=True)
class _Settled:
    """What was settled under one name, with contents. `fault` says why no mail can be made of it, "" when one can."""

    resources: Resources = field(repr=False)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What messages of a submission want by URL: all of them the same, and each for itself."""

    shared: tuple[Wanted, ...]
    own: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    """What a message wants beside what was `found`, to be settled under a name. `is_own`: filled with its own values."""

    name: str
    message: Message
    wanted: Sequence[Wanted]
    found: Resources
    is_own: bool


class Preparations:
    """What messages need from elsewhere, settled in the store; what was used last is in memory, within a bound."""

    def __init__(self, store: Store, clock: Clock, tools: Tools, fetching: Fetching, workshop: Workshop) -> None:
        self._store = store
        self._clock = clock
        self._tools = tools
        self._fetching = fetching
        self._workshop = workshop
        self._slots = Slots(AT_ONCE, AT_ONCE_OF_ACCOUNT)
        self._flights: Flights[str, _Settled] = Flights()
        # room for two of the largest: each message of a submission is to find it here
        self._kept: Kept[str, _Settled] = Kept(max_bytes=2 * MAX_BYTES, max_entries=_MAX_KEPT)
        self._plans: dict[str, _Plan] = {}
        self._begun: dict[str, float] = {}  # when the work under way began, by name
        self._troubles: dict[str, tuple[float, str]] = {}  # by name: until when, and what

    async def of(self, message: Message, patience_seconds: float | None = None) -> Resources:
        """Gives all that the message is made with, settled now if it was not before.

        Raises UnderWay when that takes longer than the patience, counted from its beginning.
        """
        if not _may_want(message):
            return NOTHING
        plan = self._plans.get(message.submission)
        if plan is None:
            plan = await self._plan(message, patience_seconds)
        found = await self._shared(message, plan.shared, patience_seconds)
        if plan.own:
            own = _Job(_own_name(message), message, plan.own, found, is_own=True)
            found = {**found, **await self._settled(own, patience_seconds)}
        return found

    def at_hand(self, message: Message) -> Resources:
        """Gives what of it is in memory."""
        found = NOTHING
        for name in (message.submission, _own_name(message)):
            if (settled := self._kept.get(name)) is not None:
                found = {**found, **settled.resources} if found else settled.resources
        return found

    async def missing(self, message: Message, found: Resources) -> list[str]:
        """Gives the URLs of files to be attached that are not among `found`, or are there and gave nothing."""
        if not _may_want(message):
            return []
        wanted = await self._wanted(message, {url: one for url, one in found.items() if one is not None})
        return [one.url for one in wanted if one.purpose is Purpose.ATTACHMENT]

    async def close(self) -> None:
        """Ends what is under way."""
        await self._flights.close()

    # ---- what is wanted

    async def _plan(self, message: Message, patience_seconds: float | None) -> _Plan:
        """Gives what messages of this submission want; what the first of them finds may name more."""
        shared = [one for one in await self._wanted(message, NOTHING) if not _is_own(message, one.url)]
        found = await self._shared(message, shared, patience_seconds)
        own = [one for one in await self._wanted(message, found) if _is_own(message, one.url)]
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        plan = self._plans[message.submission] = _Plan(tuple(shared), tuple(own))
        return plan

    async def _wanted(self, message: Message, found: Resources) -> Sequence[Wanted]:
        """Gives what the message names by URL beside what was found."""

        def look(_: Watch | None) -> Sequence[Wanted]:
            if message.source.kind is SourceKind.LETTER:
                return letter_of(message, self._tools, found).compiled.wanted
            return [one for one in file_urls(message) if one.url not in found]

        kind = "wanted with" if found else "wanted"
        return await self._workshop.run(message.account, f"{kind} {message.submission}", size_of(message, found), look)

    async def _shared(self, message: Message, wanted: Sequence[Wanted], patience_seconds: float | None) -> Resources:
        """Gives what all messages of the submission get."""
        if not wanted:
            return NOTHING
        return await self._settled(_Job(message.submission, message, wanted, NOTHING, is_own=False), patience_seconds)

    # ---- settled once

    async def _settled(self, job: _Job, patience_seconds: float | None) -> Resources:
        """Gives what is settled under a name. Raises CannotRender, NotYet, UnderWay."""
        settled = self._kept.get(job.name)
        if settled is None:
            self._check_trouble(job.name)
            try:
                async with asyncio.timeout(self._patience_left(job.name, patience_seconds)):
                    settled = await self._flights.join(job.name, functools.partial(self._settle, job))
            except TimeoutError:
                raise UnderWay from None
        if settled.fault:
            raise CannotRender(settled.fault, State.PROCESS)
        return settled.resources

    def _patience_left(self, name: str, patience_seconds: float | None) -> float | None:
        """Gives how long to wait: patience counts from when the work began, whoever waited for it before."""
        now = self._clock.monotonic()
        begun = self._begun.setdefault(name, now)
        return None if patience_seconds is None else max(0.0, begun + patience_seconds - now)

    async def _settle(self, job: _Job) -> _Settled:
        try:
            return await self._settle_now(job)
        finally:
            self._begun.pop(job.name, None)

    async def _settle_now(self, job: _Job) -> _Settled:
        said: Mapping[str, Said] | None = await self._store.read(resources_of, job.name)
        contents: dict[bytes, bytes] = {}
        try:
            if said is None:
                said = await self._prepare(job, contents)
        except CannotRender as fault:
            # what is found there makes a document of it that nobody can send, for all of its messages
            settled = _Settled(NOTHING, str(fault))
            self._kept.keep(job.name, settled, len(settled.fault))
            return settled
        resources = {url: await self._resource(one, contents) for url, one in said.items()}
        settled = _Settled(resources, _fault(job, said))
        self._kept.keep(job.name, settled, sum([_size(url, one) for url, one in resources.items()]))
        return settled

    async def _resource(self, said: Said, contents: Mapping[bytes, bytes]) -> Resource | None:
        if isinstance(said, Missed):
            return None
        content = contents.get(said.digest)
        if content is None:
            content = await self._store.read(content_of, said.digest)
        return None if content is None else Resource(content, said.type, said.name)

    async def _prepare(self, job: _Job, contents: dict[bytes, bytes]) -> Mapping[str, Said]:
        """Fetches what is wanted and settles it; gives what counts, and puts contents by their digest."""
        order = Order(job.message.account, job.wanted, job.found, self._fill(job), self._make(job.message))
        async with self._slots.of(str(job.message.account)):
            try:
                result = await collect(order, self._fetching)
            except NotYet as trouble:
                self._note_trouble(job.name, str(trouble))
                raise
            settled: list[Said] = []
            for url, one in result.items():
                if isinstance(one, Missed):
                    settled.append(one)
                else:
                    digest = await keep_content(self._store, one.content, self._clock.now())
                    contents[digest] = one.content
                    settled.append(Found(url, digest, one.type, one.name))
            return await self._store.write(keep_preparation, Preparation(job.name, self._clock.now(), tuple(settled)))

    def _fill(self, job: _Job) -> Callable[[str], Awaitable[str | None]]:
        """Gives what fills in URLs: what other messages get too must not have values of this one in it."""
        message, tools = job.message, self._tools

        async def fill(url: str) -> str | None:
            if not _is_own(message, url):
                return url
            return (
                await self._workshop.beside(message.account, lambda: filled_url(message, tools, url))
                if job.is_own
                else None
            )

        return fill

    def _make(self, message: Message) -> Make | None:
        """Gives what compiles the document of a message with what was found so far; None when it is none."""
        if message.source.kind is not SourceKind.LETTER:
            return None

        async def make(resources: Resources) -> Letter:
            found = dict(resources)
            return await self._workshop.beside(message.account, lambda: letter_of(message, self._tools, found))

        return make

    # ---- trouble that may pass

    def _check_trouble(self, name: str) -> None:
        """Raises NotYet when a file was not to be had a moment ago: all messages of a submission ask one after another."""
        known = self._troubles.get(name)
        if known is not None and known[0] > self._clock.monotonic():
            raise NotYet(known[1])

    def _note_trouble(self, name: str, text: str) -> None:
        if len(self._troubles) >= _MAX_TROUBLES:
            self._troubles.clear()
        self._troubles[name] = self._clock.monotonic() + TROUBLE_SECONDS, text


def _may_want(message: Message) -> bool:
    """True when something may be named by URL; most mail has no files, and to read all of it to know that is dear."""
    match message.source.kind:
        case SourceKind.MIME:
            return False
        case SourceKind.PARTS:
            return b'"attachments"' in message.source.content
        case SourceKind.LETTER:
            return True


def _own_name(message: Message) -> str:
    """Gives the name of what only this message needs; the id of the first message is that of its submission."""
    return f"{message.submission}-{message.ordinal}"


def _is_own(message: Message, url: str) -> bool:
    """True for a URL that the values of the message fill."""
    is_filled = message.source.kind is SourceKind.LETTER or message.source.data is not None
    return is_filled and has_tag(url)


def _fault(job: _Job, said: Mapping[str, Said]) -> str:
    """Gives why the message cannot be made: a file that was to be attached is not there, for good."""
    for one in job.wanted:
        found = said.get(one.url)
        if one.purpose is Purpose.ATTACHMENT and not isinstance(found, Found):
            return sentence_about(one.url, found.sentence if found is not None else "It was not looked for.")
    return ""


def size_of(message: Message, resources: Resources) -> int:
    """Gives the octets that a message is made of: its source, its values, and what was found for it."""
    values = len(message.source.data or "") + len(message.recipient.data)
    found = sum([len(one.content) for one in resources.values() if one is not None]) if resources else 0
    return len(message.source.content) + values + found


def _size(url: str, resource: Resource | None) -> int:
    return len(url) + (0 if resource is None else len(resource.content))
