"""The mail as a page in a browser. It is foreign HTML on our host, so it gets no rights there at all.

The policy lets a mail look as in a mail program: its own styles, pictures and fonts from wherever they are. No script
runs, no form is sent, nothing frames it; the sandbox gives it an origin of its own. Links work, in new windows too. Only
where a document has put the player of a film (templates.md 4.13) that player may run, in its frame: it needs an origin,
so the sandbox is lifted that far, and the page itself still has no script that could use it.

Rendering costs much more than asking, so a page is made once for all who ask at a time, kept for a moment, and few are
made at once, of one account fewer still (W9). Raises StoreUnavailable.
"""

import asyncio
import re
from typing import Protocol

from smtpeter.content.render.tools import CannotRender
from smtpeter.doors.track.answers import NO_STORE, NOSNIFF, Answer, Fields
from smtpeter.doors.track.memory import Memory
from smtpeter.doors.track.pages import GONE, MISSING, TROUBLE
from smtpeter.model.account import AccountId
from smtpeter.model.message import Message, MessageId
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.records import MessageQuery
from smtpeter.store.sources import stored_message
from smtpeter.store.store import Store
from smtpeter.world.log import log, log_trouble
from smtpeter.world.seams import Clock

ROOM_BYTES = 8 * 2**20
KEEP_SECONDS = 30.0
AT_ONCE = 4
AT_ONCE_PER_ACCOUNT = 2
MAX_WAITING = 200
_LOADS = "http: https: data:"
_PLAYERS = "https://www.youtube.com https://player.vimeo.com"
_PLAYER = re.compile(r'<iframe\b[^>]* src="https://(?:www\.youtube\.com/embed|player\.vimeo\.com/video)/')
_POLICY = (
    f"default-src 'none'; img-src {_LOADS}; media-src {_LOADS}; font-src {_LOADS}; "
    "style-src 'unsafe-inline' http: https:; base-uri http: https:; form-action 'none'; frame-ancestors 'none'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)
_POLICY_WITH_PLAYERS = f"{_POLICY} allow-scripts allow-same-origin allow-presentation; frame-src {_PLAYERS}"
_FIELDS: Fields = (
    (b"content-type", b"text/html; charset=utf-8"),
    NO_STORE,
    NOSNIFF,
    (b"x-robots-tag", b"noindex, nofollow"),
)
# the address is the key to the mail and goes nowhere; players do not start for pages that do not say where they are
_REFERRERS = {False: b"no-referrer", True: b"strict-origin"}


class Renderer(Protocol):
    """Makes the page of a mail."""

    async def webversion(self, message: Message) -> str | None:
        """Gives the HTML, None when the mail has none. Raises StoreUnavailable, CannotRender for good, else for now."""


class WebVersions:
    """The pages of a process."""

    def __init__(self, store: Store, clock: Clock, renderer: Renderer) -> None:
        self._store = store
        self._clock = clock
        self._renderer = renderer
        self._kept: Memory[MessageId, Answer] = Memory(ROOM_BYTES)
        self._under_way: dict[MessageId, asyncio.Task[Answer]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._accounts: dict[AccountId, asyncio.Semaphore] = {}

    async def answer(self, account: AccountId, id: MessageId) -> Answer:
        """Gives the page of a message of the account."""
        kept = self._kept.get(id, self._clock.monotonic())
        if kept is not None:
            return kept
        task = self._under_way.get(id)
        if task is None:
            if len(self._under_way) >= MAX_WAITING:
                return TROUBLE
            task = asyncio.create_task(self._make(account, id), name="web version")
            self._under_way[id] = task
            task.add_done_callback(lambda _: self._under_way.pop(id, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _make(self, account: AccountId, id: MessageId) -> Answer:
        if len(self._accounts) > MAX_WAITING:
            self._accounts = {name: turn for name, turn in self._accounts.items() if turn.locked()}
        turn = self._accounts.setdefault(account, asyncio.Semaphore(AT_ONCE_PER_ACCOUNT))
        async with turn, self._slots:
            message = await self._store.read(stored_message, MessageQuery(account, id))
            if message is None:
                return GONE
            answer = await self._render(message)
        if answer.status == 200:
            self._kept.put(id, answer, self._clock.monotonic() + KEEP_SECONDS, len(answer.body) + 500)
        return answer

    async def _render(self, message: Message) -> Answer:
        try:
            html = await self._renderer.webversion(message)
        except StoreUnavailable:
            raise
        except CannotRender as reason:
            log("track.webversion_failed", message=message.id, reason=str(reason))
            return MISSING
        except Exception:  # one mail that cannot be made is no trouble of the door
            log_trouble("track.webversion_failed", message=message.id)
            return TROUBLE
        return GONE if html is None else _page(html)


def _page(html: str) -> Answer:
    has_player = _PLAYER.search(html) is not None
    policy = _POLICY_WITH_PLAYERS if has_player else _POLICY
    rights = ((b"referrer-policy", _REFERRERS[has_player]), (b"content-security-policy", policy.encode()))
    return Answer(200, (*_FIELDS, *rights), html.encode("utf-8", "replace"))
