"""A gateway in virtual time: the rooms behind the doors as the roof wires them, over a store on disk.

    async with Story(folder) as story:
        host = story.host("example.com")             # the MX of example.com, a RemoteHost
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        await gateway.settled(id)                    # lets time pass
        assert [record.event.name for record in await gateway.events(id)] == ["attempt", "delivery"]

The zone, the network and its hosts, the web, the clock and the folder belong to the story: they stay when a gateway ends, by
`close` in order or by `process.power_off` at once, and another one is started on the same files. Several gateways may run side
by side, each as a machine of its own.

Everything happens on one thread in virtual time, commits included, so a story takes the same course each time.
"""

import asyncio
import contextlib
import random
from collections.abc import Coroutine, Generator, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

from smtpeter.app.house import House, furnish
from smtpeter.config import Config, Fetch
from smtpeter.domains.keys import new_key
from smtpeter.domains.seal import installation_key
from smtpeter.model.account import Account, Features, Identity
from smtpeter.model.address import parse_address
from smtpeter.model.message import Draft, Dsn, MessageId, Options, Received, Recipient, Source, SourceKind
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.driver import Executor
from smtpeter.store.events import EventQuery, EventRecord, events_of
from smtpeter.store.executor import InlineExecutor
from smtpeter.store.nudge import Hub
from smtpeter.store.queue import queue_counts
from smtpeter.store.records import MessageQuery, MessageRecord, message_record
from smtpeter.store.sender_domains import NewDomain, put_domain, put_key
from smtpeter.store.stages import FINAL_STATES
from smtpeter.store.store import Store, open_store
from smtpeter.testing.network import Network, Tls
from smtpeter.testing.remote_host import Message, RemoteHost
from smtpeter.testing.virtual_time import VirtualClock
from smtpeter.testing.web import NETWORK, Web
from smtpeter.testing.zone import Zone
from smtpeter.world.networks import parse_networks
from smtpeter.world.seams import Clock, World

HOSTNAME = "gateway.example.org"
SENDER = "news@example.org"
CONTENT = b"From: News <news@example.org>\r\nSubject: Hello\r\nMessage-ID: <1@example.org>\r\n\r\nGood morning.\r\n"
NO_DSN = Dsn()
DELIVERS = frozenset({"mta"})
_MASTER_KEY = "5e" * 32


class Arrivals(list[Message]):
    """Messages that a host has, and in `moments` when each of them was complete, in seconds of the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.moments: list[float] = []

    def append(self, message: Message) -> None:
        self.moments.append(self._clock.monotonic())
        super().append(message)


class Process:
    """What the death of a process ends: its tasks, and its hold on files. `is_off`: it is dead."""

    def __init__(self) -> None:
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.store: Store | None = None
        self.is_off = False

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Makes tasks that are begun here belong to this process."""
        token = _running.set(self)
        try:
            yield
        finally:
            _running.reset(token)

    def power_off(self) -> None:
        """Ends whatever it does, at once: nothing more is written or said."""
        self.is_off = True
        for task in self._living():
            task.cancel()

    async def clear_away(self) -> None:
        """Lets go of its files after `power_off`, as the system does."""
        await asyncio.gather(*self._living(), return_exceptions=True)
        if self.store is not None:
            await self.store.close()

    def _living(self) -> list[asyncio.Task[Any]]:
        # a host is served by a task that the dialing process began, but lives elsewhere
        return [task for task in self.tasks if not task.done() and not task.get_name().startswith("host ")]


_running: ContextVar[Process | None] = ContextVar("running", default=None)  # the process whose code is running


def _new_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **more: Any
) -> asyncio.Task[Any]:
    """Makes a task as the loop would, and notes to which process it belongs."""
    task = asyncio.Task(coroutine, loop=loop, **more)
    process = _running.get()
    if process is not None:
        process.tasks.add(task)
    return task


@dataclass(slots=True)
class Gateway:
    """One start of the gateway, and an account in it that may send from every domain."""

    house: House
    account: Account
    process: Process = field(repr=False)

    async def send(
        self,
        *recipients: str | Recipient,
        envelope: str | None = SENDER,
        content: bytes | Source = CONTENT,
        dsn: Dsn = NO_DSN,
        expire_after: timedelta | None = None,
        stream: str = "transactional",
        account: Account | None = None,
    ) -> list[MessageId]:
        """Hands one message in for some recipients, as a door does; content is MIME or a whole source. Raises Refused."""
        expires = None if expire_after is None else self.house.clock.now() + expire_after
        draft = Draft(
            envelope=envelope,
            recipients=tuple(_recipient(each, dsn) for each in recipients),
            source=content if isinstance(content, Source) else Source(SourceKind.MIME, content),
            options=Options(max_deliver_time=expires, ret=dsn.ret, envid=dsn.envid, stream=stream),
            received=Received("ESMTPSA", "client.example.org", "192.0.2.1"),
        )
        identity = Identity(account or self.account, "login:1", Features())
        with self.process.running():
            return await self.house.intake.accept(identity, draft)

    async def events(self, id: MessageId) -> list[EventRecord]:
        """Gives the events of a message, oldest first."""
        owner = await self._owner(id)
        return await self.house.store.read(events_of, EventQuery(owner.account, id))

    async def record(self, id: MessageId) -> MessageRecord:
        """Gives a message as it is now."""
        return await self._owner(id)

    async def _owner(self, id: MessageId) -> MessageRecord:
        found = await self.house.store.read(message_record, MessageQuery(self.account.id, id))
        if found is None:
            raise KeyError(f"the account {self.account.name} has no message {id}")
        return found

    async def settled(
        self,
        *ids: MessageId,
        within: timedelta = timedelta(days=2),
        look_every: timedelta = timedelta(seconds=1),
    ) -> None:
        """Lets time pass until all these messages are final. Raises TimeoutError when that takes too long."""
        waiting = list(ids)
        async with asyncio.timeout(within.total_seconds()):
            while True:
                waiting = [id for id in waiting if (await self.record(id)).state not in FINAL_STATES]
                if not waiting:
                    return
                await asyncio.sleep(look_every.total_seconds())

    async def has_event(self, id: MessageId, count: int, look_every: timedelta = timedelta(seconds=1)) -> EventRecord:
        """Lets time pass until a message has so many events besides its acceptance; gives the last of these."""
        while True:
            found = await self.events(id)
            if len(found) > count:
                return found[count]
            await asyncio.sleep(look_every.total_seconds())

    async def another_account(self, name: str) -> "Gateway":
        """Gives the same gateway as another account sees it."""
        account = await _account(self.house, name)
        return replace(self, account=account)

    async def sign_for(self, domain: str, selector: str, key: bytes) -> None:
        """Makes a sender domain with a signing key (PEM)."""
        store, now = self.house.store, self.house.clock.now()
        made = await store.write(put_domain, NewDomain(self.account.id, domain, now, approved=now))
        master = installation_key(self.house.config.server)
        await store.write(put_key, new_key(master, made.id, domain, selector, key, now))

    async def quiet(self) -> None:
        """Lets time pass until every message of every account is final."""
        while True:
            counts = await self.house.store.read(queue_counts, None)
            if all(count.state in FINAL_STATES for count in counts):
                return
            await asyncio.sleep(1)

    async def close(self) -> None:
        """Ends it in order. No effect when it is off."""
        if not self.process.is_off:
            self.process.is_off = True
            await self.house.close()


class Story:
    """A place for gateways: names, hosts, a clock, a folder. Keywords are settings of the section `delivery`."""

    def __init__(self, folder: Path, **delivery: Any) -> None:
        self.zone = Zone()
        self.network = Network()
        self.clock = VirtualClock()
        self.random = random.Random(1)
        config = Config()
        self.config = replace(
            config,
            server=replace(config.server, hostname=HOSTNAME, data_dir=folder, master_key=_MASTER_KEY),
            delivery=replace(config.delivery, **delivery),
            fetch=Fetch(networks=parse_networks([NETWORK])),
        )
        self.web = Web(self.network, self.zone)
        self._folder = folder
        self._hub = Hub()
        self.processes: list[Process] = []
        self._gateways: list[Gateway] = []
        self._addresses = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for gateway in self._gateways:
            await gateway.close()
            gateway.house.identify.close()
        await self.network.close()

    def new_address(self) -> str:
        """Gives a public address that no host has."""
        self._addresses += 1
        return f"20.0.{self._addresses >> 8}.{self._addresses & 255}"

    def host(
        self,
        domain: str,
        name: str = "",
        *,
        preference: int = 10,
        ip: str = "",
        latency: timedelta = timedelta(0),
        tls: Tls | None = None,
        hide: Iterable[str] = (),
        max_message_bytes: int = 50 * 1024 * 1024,
    ) -> RemoteHost:
        """Puts a well-behaved host on the network, as a further MX of the domain. Its messages are `Arrivals`."""
        name = name or f"mx.{domain}"
        host = RemoteHost(name, tls=tls, hide=frozenset(hide), max_message_bytes=max_message_bytes)
        host.messages = Arrivals(self.clock)
        self.point(domain, name, self.join(host, ip, latency=latency), preference=preference)
        return host

    def join(self, host: RemoteHost, ip: str = "", *, port: int = 25, latency: timedelta = timedelta(0)) -> str:
        """Puts a host on the network; gives its address."""
        ip = ip or self.new_address()
        host.join(self.network, ip, port=port, latency=latency)
        return ip

    def point(self, domain: str, name: str, *addresses: str, preference: int = 10) -> None:
        """Makes a name an MX of the domain, with these addresses."""
        known = self.zone.setdefault(domain, {})
        known["mx"] = [*known.get("mx", []), (preference, name)]
        entry = self.zone.setdefault(name, {})
        entry["aaaa"] = [ip for ip in addresses if ":" in ip]
        entry["a"] = [ip for ip in addresses if ":" not in ip]

    async def idle(self, time: timedelta = timedelta(seconds=30)) -> None:
        """Lets time pass."""
        await asyncio.sleep(time.total_seconds())

    async def start(self, executor: Executor | None = None, *, node: str = "here") -> Gateway:
        """Starts a gateway on the files of the story; `executor` does what takes the disk its time."""
        asyncio.get_running_loop().set_task_factory(_new_task)
        disk = executor or InlineExecutor()
        process = Process()
        self.processes.append(process)
        with process.running():
            process.store = await open_store(
                f"sqlite:{self._folder}/mail.sqlite", commits=disk, reads=disk, hub=self._hub
            )
            world = World(self.clock, self.zone, self.network, self.random.getrandbits)
            house = await furnish(self.config, world, process.store, DELIVERS, node=node)
            gateway = Gateway(house, await _account(house, "example"), process)
            house.start()
        self._gateways.append(gateway)
        return gateway


async def _account(house: House, name: str) -> Account:
    return await house.store.write(put_account, NewAccount(name, house.clock.now(), approve_all=True))


def _recipient(given: str | Recipient, dsn: Dsn) -> Recipient:
    if isinstance(given, Recipient):
        return given
    address = parse_address(given)
    return Recipient(str(address), address.domain, given, dsn)
