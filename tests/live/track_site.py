"""A tracking door behind the real HTTP listener, with a browser beside it."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smtpeter.content.rewrite.parts import compile_message
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.doors.track.door import TrackRooms, build_track
from smtpeter.doors.web import mount
from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageId
from smtpeter.store.accept import accept
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.events import EventQuery, events_of
from smtpeter.store.origins import Origins, number_origins
from smtpeter.store.store import Store, open_store
from smtpeter.wire.token import Key, Keyring, Kind
from smtpeter.world import http_listener
from smtpeter.world.clock import SystemClock
from smtpeter.world.fetch.request import Fetched, Request
from smtpeter.world.fetch.trouble import FetchTrouble, Slug
from smtpeter.world.listening import bind
from tests.live.browser import Browser, browsing
from tests.store.mail import item, submission

HOST = "clicks.example.com"
BASE = f"http://{HOST}"
RING = Keyring([Key(3, b"k" * 32)])


class NoWeb:
    """A web where no picture can be fetched, so that readers are led to it."""

    async def fetch(self, request: Request) -> Fetched:
        raise FetchTrouble(Slug.CONNECT)


@dataclass
class OnePage:
    """Stands for the renderer: one page for every mail."""

    html: str | None = None

    async def webversion(self, message: object) -> str | None:
        return self.html


@dataclass
class Site:
    """A door that is open, and a browser beside it."""

    store: Store
    accounts: list[AccountId]
    message: MessageId
    browser: Browser
    page: OnePage = field(default_factory=OnePage)

    @property
    def account(self) -> AccountId:
        """Whose message it is; the other one has none."""
        return self.accounts[0]

    async def rewritten(self, content: bytes) -> tuple[bytes, int, int]:
        """Gives a mail with everything tracked, and how many links and pictures are."""
        made = compile_message(content, Rewriting(BASE, clicks=True, opens=True, images=True))
        numbers = await self.store.write(number_origins, Origins(self.account, made.origins))
        filled = made.numbered(self.account, numbers)
        kinds = [head >> 172 for head, _ in filled._heads]
        return (
            filled.fill(RING.sealer(self.account, self.message)),
            kinds.count(Kind.CLICK),
            kinds.count(Kind.IMAGE),
        )

    async def happened(self) -> list[Any]:
        records = await self.store.read(events_of, EventQuery(self.account, self.message))
        return [record.event for record in records[1:]]


async def other_door(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body"})


@contextlib.asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    """Opens the door and the browser."""
    store = await open_store(f"sqlite:{folder}/mail.sqlite")
    clock = SystemClock()
    accounts = [(await store.write(put_account, NewAccount(name, clock.now()))).id for name in ("one", "two")]
    made = submission(account=accounts[0])
    await store.write(accept, item(made))
    page = OnePage()
    track = build_track(TrackRooms(store, clock, RING, page, NoWeb(), BASE, "gate.example.com"))
    listener = await http_listener.start(mount(other_door, [], other_door, track), bind("127.0.0.1", 0), None, 5)
    try:
        async with browsing(folder, clicks_example_com=f"127.0.0.1:{listener.port}") as browser:
            yield Site(store, accounts, MessageId(made.id), browser, page)
    finally:
        await listener.close()
        await track.close()
        await store.close()
