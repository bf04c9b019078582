"""The tracking door over a real store in virtual time, with a web in memory and messages of two accounts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from smtpeter.content.rewrite.address import around_token, read_address
from smtpeter.content.rewrite.ours import unsubscribe_address, webversion_address
from smtpeter.doors.track.door import Track, TrackRooms, build_track
from smtpeter.doors.web import mount
from smtpeter.model.account import AccountId
from smtpeter.model.event import Event
from smtpeter.model.message import Message, MessageId
from smtpeter.store.accept import accept
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.events import EventQuery, events_of
from smtpeter.store.executor import InlineExecutor
from smtpeter.store.origins import Origins, number_origins
from smtpeter.store.store import Store, open_store
from smtpeter.testing.network import Network
from smtpeter.testing.virtual_time import VirtualClock
from smtpeter.testing.web import Web
from smtpeter.testing.zone import Zone
from smtpeter.wire.token import Key, Keyring, Kind
from smtpeter.world.networks import parse_networks
from tests.store.mail import item, submission
from tests.store.test_writer import BrokenDisk

T = TypeVar("T")

BASE, HOST, GATE = "https://clicks.example.com", "clicks.example.com", "gate.example.com"
RING = Keyring([Key(3, b"k" * 32)])
READER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SHOP = "https://shop.example"
READER_IP, PROXY = "203.0.113.9", "192.0.2.7"


class SlowDisk(BrokenDisk):
    """A disk that can be slow too."""

    seconds = 0.0

    def submit(self, call: Callable[[], T]) -> Awaitable[T]:
        return self._slowly(call) if self.seconds else super().submit(call)

    async def _slowly(self, call: Callable[[], T]) -> T:
        await asyncio.sleep(self.seconds)
        return await InlineExecutor().submit(call)


@dataclass
class Pages:
    """Stands for the renderer: the HTML of messages by id, or what making it raises."""

    html: dict[MessageId, str | Exception] = field(default_factory=dict)
    made: list[MessageId] = field(default_factory=list)

    async def webversion(self, message: Message) -> str | None:
        self.made.append(message.id)
        await asyncio.sleep(0.1)
        found = self.html.get(message.id)
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class TrackHouse:
    """A door, and a message of the first account."""

    store: Store
    disk: SlowDisk
    clock: VirtualClock
    track: Track
    network: Network
    zone: Zone
    web: Web
    pages: Pages
    account: AccountId
    message: MessageId
    app: Any

    async def ask(
        self,
        url: str,
        method: str = "GET",
        *,
        host: str = "",
        client: str = READER_IP,
        body: bytes = b"",
        **headers: str | bytes,
    ) -> httpx2.Response:
        """Requests an address as it is written, from our host whatever its host."""
        given: dict[str, str | bytes] = {"user-agent": READER} | {
            name.replace("_", "-").lower(): value for name, value in headers.items()
        }
        if host:
            given["host"] = host
        transport = httpx2.ASGITransport(app=self.app, client=(client, 40000), raise_app_exceptions=True)
        async with httpx2.AsyncClient(transport=transport) as http:
            return await http.request(method, url, headers=given, content=body)

    async def link(
        self,
        url: str,
        kind: Kind = Kind.CLICK,
        *,
        account: AccountId | None = None,
        message: MessageId | None = None,
    ) -> str:
        """Gives the tracked form of an address in a mail."""
        address = read_address(url)
        assert address is not None
        owner = account or self.account
        numbers = await self.store.write(number_origins, Origins(owner, (address.origin,)))
        sealer = RING.sealer(owner, message or self.message)
        before, behind = around_token(BASE, address)
        return before + sealer.seal(kind, numbers[address.origin], address.comparable) + behind

    def pixel(self) -> str:
        return f"{BASE}/o.gif?p={RING.sealer(self.account, self.message).seal_own(Kind.OPEN)}"

    def page(self) -> str:
        return webversion_address(BASE, RING.sealer(self.account, self.message))

    def unsubscribe(self) -> str:
        return unsubscribe_address(BASE, RING.sealer(self.account, self.message))

    async def events(self, message: MessageId | None = None) -> list[Event]:
        """Gives what happened to a message since it was accepted."""
        records = await self.store.read(events_of, EventQuery(self.account, message or self.message))
        return [record.event for record in records][1:]

    async def another_message(self, account: AccountId) -> MessageId:
        made = submission(account=account, stream="news")
        await self.store.write(accept, item(made))
        return MessageId(made.id)


@contextlib.asynccontextmanager
async def open_track(folder: Path, hostname: str = GATE) -> AsyncIterator[TrackHouse]:
    """Opens the door; besides it there is a REST door that says so."""
    disk = SlowDisk()
    store = await open_store(f"sqlite:{folder}/mail.sqlite", commits=disk, reads=InlineExecutor())
    clock, pages = VirtualClock(), Pages()
    clock.step(submission().accepted - clock.now())
    async with Network() as network:
        zone = Zone()
        web = Web(network, zone)
        accounts = [(await store.write(put_account, NewAccount(name, clock.now()))).id for name in ("one", "two")]
        rooms = TrackRooms(
            store, clock, RING, pages, web.client, BASE, hostname, trusted_proxies=parse_networks([PROXY])
        )
        track = build_track(rooms)
        house = TrackHouse(
            store,
            disk,
            clock,
            track,
            network,
            zone,
            web,
            pages,
            accounts[0],
            MessageId(""),
            mount(other_door, [], other_door, track),
        )
        house.message = await house.another_message(house.account)
        try:
            yield house
        finally:
            disk.seconds, disk.is_broken = 0.0, False
            await track.close()
            await store.close()


async def other_door(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"another door"})
