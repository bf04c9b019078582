"""From a stored message to the octets that leave, with all that lies between: fetching, numbering, keeping, rendering.

`content/render/` is pure, so somebody has to fetch what a message names by URL, number the origins of its links and
keep its images before. `ready` does all that waits; what it gives can be rendered while a connection is open. Delivery,
the REST door and the web version all go this way, so that all of them show one message.

Mail that has none of this waits for nothing and asks no store. Raises CannotRender (for good), NotYet, StoreUnavailable;
rendering raises CannotConvert.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from msgspec import Struct

from smtpeter.content.render import (
    CannotRender,
    Composed,
    Rendered,
    Tools,
    compose,
    content_of,
    render,
    source_of,
    webversion_of,
)
from smtpeter.content.rewrite.parts import HostedImage
from smtpeter.content.template.reading import Resource
from smtpeter.model.message import Message, SourceKind, Transfer
from smtpeter.prepare.collect import NotYet
from smtpeter.prepare.fetching import Fetching
from smtpeter.prepare.gather import Resources
from smtpeter.prepare.images import Images
from smtpeter.prepare.origins import OriginNumbers
from smtpeter.prepare.preparation import Preparations, size_of
from smtpeter.prepare.workshop import SMALL_BYTES, Watch, Workshop
from smtpeter.store.store import Store
from smtpeter.wire.dkim import Signer
from smtpeter.world.seams import Clock

LARGE_BYTES = 2**17  # what is larger is encoded, hashed and signed beside the event loop

_NO_NUMBERS: Mapping[str, int] = {}
_EMPTY = Resource(b"")


@dataclass(frozen=True, slots=True)
class Original:
    """A message as a notification returns it; of one that is not `is_whole` only the header is right."""

    content: bytes = field(repr=False)
    is_whole: bool


class _Made(Struct, frozen=True):
    """A mail, and what is to be known of it before it is rendered: to look for that takes long where there is much."""

    composed: Composed
    origins: tuple[str, ...]
    images: tuple[HostedImage, ...]
    size: int


class Ready(Struct, frozen=True):
    """A message that waits for nothing any more; `size` in octets, about."""

    composed: Composed
    numbers: Mapping[str, int]
    size: int


class Renderer:
    """Makes messages, one for all of a process."""

    def __init__(self, store: Store, clock: Clock, tools: Tools, fetching: Fetching) -> None:
        self._tools = tools
        self._fetching = fetching
        self._workshop = Workshop(clock)
        self._preparations = Preparations(store, clock, tools, fetching, self._workshop)
        self._origins = OriginNumbers(store)
        self._images = Images(store, clock)

    async def composed(self, message: Message) -> Composed:
        """Gives the message as it is to be rewritten, with what it names by URL in it."""
        return (await self._compose(message, await self._preparations.of(message))).composed

    async def ready(self, message: Message, patience_seconds: float | None = None) -> Ready:
        """Gives the message with all that its rendering needs. Raises UnderWay when fetching it takes longer than this."""
        resources = await self._preparations.of(message, patience_seconds)
        made = await self._compose(message, resources)
        numbers = await self._origins.of(message.account, made.origins) if made.origins else _NO_NUMBERS
        if made.images:
            await self._images.keep(message.account, made.images)
        return Ready(made.composed, numbers, made.size)

    async def leave(self, ready: Ready, *, signers: Sequence[Signer], now: datetime, transfer: Transfer) -> Rendered:
        """Gives a message that is ready as it leaves. Raises CannotConvert."""
        work = functools.partial(
            render, ready.composed, self._tools, ready.numbers, signers=signers, now=now, transfer=transfer
        )
        account = ready.composed.message.account
        return await self._workshop.beside(account, work) if ready.size > LARGE_BYTES else work()

    async def render(
        self, message: Message, *, signers: Sequence[Signer], now: datetime, transfer: Transfer
    ) -> Rendered:
        """Gives the message as it leaves. Raises CannotConvert."""
        return await self.leave(await self.ready(message), signers=signers, now=now, transfer=transfer)

    async def content(self, message: Message, transfer: Transfer) -> bytes:
        """Gives the content as it leaves in this form, without the block before it. Raises CannotConvert."""
        ready = await self.ready(message)
        return await self._workshop.beside(
            message.account, lambda: content_of(ready.composed, self._tools, ready.numbers, transfer=transfer)
        )

    async def source(self, message: Message) -> bytes:
        """Gives the message as it was composed, before it was rewritten."""
        composed = await self.composed(message)
        return await self._workshop.beside(message.account, lambda: source_of(composed))

    async def webversion(self, message: Message) -> str | None:
        """Gives the page that shows the message; None when there is no such page, or it cannot be made."""
        try:
            resources = await self._preparations.of(message)
            return await self._workshop.beside(message.account, lambda: webversion_of(message, self._tools, resources))
        except (CannotRender, NotYet):
            return None

    async def original(self, message: Message) -> Original | None:
        """Gives the message for a notification about it, made of what is in memory: nobody is asked for anything.

        Files that are not at hand are empty, and what else is not at hand is left out. None when nothing can be made.
        """
        resources = self._preparations.at_hand(message)
        missing = await self._preparations.missing(message, resources)
        try:
            made = await self._compose(message, {**resources, **dict.fromkeys(missing, _EMPTY)})
        except CannotRender:
            return None
        work = functools.partial(source_of, made.composed)
        source = await self._workshop.beside(message.account, work) if made.size > LARGE_BYTES else work()
        return Original(source, is_whole=not missing)

    async def close(self) -> None:
        """Ends what is under way."""
        await self._preparations.close()
        self._workshop.close()

    async def _compose(self, message: Message, resources: Resources) -> _Made:
        size = size_of(message, resources)

        def make(watch: Watch | None) -> _Made:
            tools = self._tools if watch is None else replace(self._tools, clock=watch)
            composed = compose(message, tools, resources)
            return _Made(composed, composed.origins, composed.images, max(size, composed.size))

        if size <= LARGE_BYTES and not _is_dear(message):
            return make(None)
        return await self._workshop.run(message.account, message.submission, size, make)


def _is_dear(message: Message) -> bool:
    """True for a message that takes more than its header to be made: it is filled in, compiled or rewritten."""
    is_parts = message.source.kind is SourceKind.PARTS and len(message.source.content) > SMALL_BYTES
    if is_parts or message.source.kind is SourceKind.LETTER or message.source.data is not None:
        return True
    features = message.options.features
    return bool(
        features.inlinecss
        or features.images == "hosted"
        or (message.options.tracking and (features.trackclicks or features.trackopens))
    )
