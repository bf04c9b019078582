"""The gateway as a whole: what is opened, in which order, and how it is closed again.

`furnish` gives the rooms behind the doors, `open_house` opens the doors too. Roles choose what a process does: `smtp` and
`api` are doors, `mta` delivers. The doors accept on sockets that are given: other processes accept on them too.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from smtpeter.app.making import Making, destinations, making_of
from smtpeter.app.outward import dispatcher_of, schedule_of
from smtpeter.config import Config
from smtpeter.delivery.dispatcher import Dispatcher
from smtpeter.domains.keys import DevelopmentKey, KeyRing
from smtpeter.domains.seal import installation_key
from smtpeter.doors.capture import page
from smtpeter.doors.capture.mailbox import Mailbox
from smtpeter.doors.capture.sink import SinkDoor
from smtpeter.doors.cli.shared import store_url
from smtpeter.doors.health import HealthDoor
from smtpeter.doors.rest.app import build_app
from smtpeter.doors.rest.rooms import Rooms
from smtpeter.doors.rest.settings import RestSettings
from smtpeter.doors.steering import way_out_of
from smtpeter.doors.submission import SubmissionDoor
from smtpeter.doors.track.door import Track, TrackRooms, build_track
from smtpeter.doors.web import mount
from smtpeter.intake.accept import Intake
from smtpeter.intake.identify import Identify, LoginLimits
from smtpeter.intake.options import IntakeSettings
from smtpeter.intake.senders import Senders
from smtpeter.intake.space import Space
from smtpeter.prepare.tidy import EVERY as TIDIED_EVERY
from smtpeter.prepare.tidy import tidy
from smtpeter.store.answers import forget_answers
from smtpeter.store.operation import Conflict, StoreUnavailable
from smtpeter.store.store import Store, open_store
from smtpeter.store.workers import (
    HEARTBEAT,
    Beat,
    Newcomer,
    TakeOver,
    beat,
    leave,
    register,
    take_over,
    workers_of_node,
)
from smtpeter.world import http_listener, metrics, smtp_listener
from smtpeter.world.certificate import ensure_certificates
from smtpeter.world.log import bind_log, log
from smtpeter.world.seams import Clock, World
from smtpeter.world.share import Share
from smtpeter.world.smtp_listener import Listener, Patience
from smtpeter.world.tls import ServerTls

ROLES = frozenset({"smtp", "api", "mta"})
DRAIN_SECONDS = 30.0  # D12
LEAST_SECONDS = 5.0  # for deliveries, when clients have used up that time


@dataclass(frozen=True, slots=True)
class Openings:
    """The listening sockets by the name of their door (app/sockets.py), and this process's part of their clients."""

    sockets: Mapping[str, Sequence[socket.socket]]
    share: Share

    def of(self, door: str) -> Sequence[socket.socket]:
        """Gives the sockets of a door; none when it stays shut."""
        return self.sockets.get(door, ())


@dataclass(slots=True)
class House:
    """A gateway. `start` sets it going, `close` drains it."""

    config: Config
    store: Store
    clock: Clock
    intake: Intake
    dispatcher: Dispatcher | None
    identify: Identify
    making: Making
    worker: int
    submission: list[Listener] = field(default_factory=list)
    submission_tls: list[Listener] = field(default_factory=list)
    sink: Listener | None = None
    http: list[http_listener.HttpListener] = field(default_factory=list)
    http_tls: list[http_listener.HttpListener] = field(default_factory=list)
    health: HealthDoor | None = None
    track: Track | None = None
    ca_file: Path | None = None
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def start(self) -> None:
        """Begins to deliver, if that is among the roles, and to tell that this process lives."""
        self.tasks.append(asyncio.create_task(_beat(self.store, self.clock, self.worker), name="heartbeat"))
        self.tasks.append(asyncio.create_task(_tidy(self.store, self.clock), name="tidy"))
        if self.dispatcher is not None:
            self.tasks.append(asyncio.create_task(self.dispatcher.run(), name="dispatcher"))
        if self.config.store.unsafe_fast_storage:
            self.tasks.append(asyncio.create_task(_warn_hourly(), name="warning"))

    @property
    def doors(self) -> "list[Listener | http_listener.HttpListener]":
        """All that is open to clients."""
        sinks = [self.sink] if self.sink else []
        return [*self.submission, *self.submission_tls, *sinks, *self.http, *self.http_tls]

    def retire(self) -> None:
        """Leaves all new clients to the other processes that accept on the same sockets."""
        if self.health is not None:
            self.health.is_draining = True
        for door in self.doors:
            door.retire()

    async def close(self) -> None:
        """Takes nothing new, ends what is in flight, hands back the rest, and lets go of the store (D12)."""
        if self.health is not None:
            self.health.is_draining = True
        doors = [*self.submission, *self.submission_tls]
        ends_at = self.clock.monotonic() + DRAIN_SECONDS
        await asyncio.gather(
            *(door.drain(DRAIN_SECONDS) for door in doors),
            *(server.close() for server in [*self.http, *self.http_tls]),
        )
        self.intake.close()
        if self.dispatcher is not None:
            await self.dispatcher.drain(max(LEAST_SECONDS, ends_at - self.clock.monotonic()))
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.track is not None:
            await self.track.close()
        await self.making.close()
        for listener in [*doors, *([self.sink] if self.sink else [])]:
            await listener.close()
        self.identify.close()
        if self.health is not None:
            await self.health.close()
        with contextlib.suppress(StoreUnavailable):
            await self.store.write(leave, self.worker)
        await self.store.close()


async def open_house(
    config: Config,
    world: World,
    roles: frozenset[str],
    openings: Openings,
    *,
    is_development: bool,
) -> House:
    """Opens the store, the rooms and the doors. Raises OSError, StoreRefused, ValueError with a sentence for people."""
    config.server.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    metrics.open_metrics(config.server.data_dir / "metrics")
    store = await open_store(store_url(config), unsafe_fast_storage=config.store.unsafe_fast_storage)
    swept = await store.blobs.sweep()
    if swept:
        log("start.orphans_swept", blobs=swept)
    house = await furnish(config, world, store, roles, node=_node(config), is_development=is_development)
    try:
        tls = _tls(config, world, house)
        for listening in openings.of("capture"):
            house.sink = _open_sink(house, world, listening)
        bind_log(has_mail=config.log.mail)
        house.start()
        house.tasks.append(asyncio.create_task(metrics.watch(), name="watch"))
        _open_submission(house, world, tls, openings, is_development=is_development)
        await _open_http(house, tls, openings, is_development=is_development)
    except BaseException:
        await house.close()
        raise
    return house


def _node(config: Config) -> str:
    """Gives the name of this machine among those that share a store."""
    return config.server.node or os.uname().nodename


async def furnish(
    config: Config, world: World, store: Store, roles: frozenset[str], *, node: str, is_development: bool = False
) -> House:
    """Gives the rooms behind the doors, on an open store, as a process of the machine `node`. Nothing moves yet."""
    data_dir = config.server.data_dir
    master = installation_key(config.server)
    worker = await _begin_work(store, world, node, roles)
    senders = Senders(store, world.clock)
    fallback = DevelopmentKey(data_dir / "development.dkim") if is_development else None
    keys = KeyRing(store, world.clock, senders, master, fallback)
    making = making_of(config, store, world, master)
    dispatcher = dispatcher_of(config, store, world, worker, keys, making.renderer) if "mta" in roles else None
    if dispatcher is not None:
        store.on_nudge(dispatcher.hear)
    settings = _intake_settings(config)
    intake = Intake(store, world, senders, Space(data_dir, world.clock), settings, dispatcher, making.letters)
    identify = Identify(store, world.clock, _login_limits(config))
    return House(config, store, world.clock, intake, dispatcher, identify, making, worker)


async def _begin_work(store: Store, world: World, node: str, roles: frozenset[str]) -> int:
    """Registers this process and takes back what dead processes of this machine held (D8)."""
    now = world.clock.now()
    known = await store.read(workers_of_node, node)
    living = frozenset(record.id for record in known if record.pid != os.getpid() and _is_alive(record.pid))
    taken = await store.write(take_over, TakeOver(node, living, now))
    if taken:
        log("start.taken_over", messages=taken)
    worker = await store.write(register, Newcomer(node, os.getpid(), now, roles))
    store.nudge("workers")
    return worker


def _is_alive(pid: int) -> bool:
    """True when a process of that number runs and is one of ours: numbers are used again after a restart."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return b"smtpeter" in command


async def _warn_hourly() -> None:
    """Says at start and every hour that mail may be lost (D2)."""
    while True:
        log("store.unsafe", text="unsafe_fast_storage is on: what was acknowledged is lost when the power fails")
        await asyncio.sleep(3600)


async def _beat(store: Store, clock: Clock, worker: int) -> None:
    """Tells now and then that this process lives, and forgets some answers that need not be repeated any more."""
    while True:
        await asyncio.sleep(HEARTBEAT.total_seconds())
        now = clock.now()
        with contextlib.suppress(StoreUnavailable):
            await asyncio.gather(store.write(beat, Beat(worker, now)), store.write(forget_answers, now))


async def _tidy(store: Store, clock: Clock) -> None:
    """Forgets now and then what was fetched and is of no use any more."""
    while True:
        await asyncio.sleep(TIDIED_EVERY.total_seconds())
        with contextlib.suppress(StoreUnavailable, Conflict):
            await tidy(store, clock)


def _login_limits(config: Config) -> LoginLimits:
    return LoginLimits(config.smtp.max_failed_logins_per_minute, config.smtp.max_failed_logins_per_day)


def _intake_settings(config: Config) -> IntakeSettings:
    return IntakeSettings(
        max_message_bytes=config.smtp.max_message_bytes,
        max_recipients=max(config.smtp.max_recipients, config.http.max_recipients),
        expire_after=config.delivery.expire_after,
        tracking=config.tracking.base,
        destinations=destinations(config),
        late_at=schedule_of(config).late_at,
    )


def _tls(config: Config, world: World, house: House) -> ServerTls:
    """Gives the certificate in service: the configured one, else our own."""
    if config.tls.certificate:
        house.ca_file = Path(config.tls.ca) if config.tls.ca else None
        return ServerTls(Path(config.tls.certificate), Path(config.tls.key), world.clock)
    own = ensure_certificates(config.server.data_dir / "tls", world.clock.now())
    house.ca_file = own.ca
    return ServerTls(own.certificate, own.key, world.clock)


def _open_sink(house: House, world: World, listening: socket.socket) -> Listener:
    config = house.config
    door = SinkDoor(mailbox(config), world.clock, config.server.hostname)
    return smtp_listener.serve(door, listening, spool_folder=config.server.data_dir)


def mailbox(config: Config) -> Mailbox:
    return Mailbox(config.server.data_dir / "captured", config.development.max_captured)


def _open_submission(house: House, world: World, tls: ServerTls, openings: Openings, *, is_development: bool) -> None:
    config = house.config
    smtp = config.smtp
    door = SubmissionDoor(
        house.intake, house.identify, world.clock, smtp, config.server.hostname, is_development=is_development
    )
    patience = Patience(
        command_seconds=smtp.command_time.total_seconds(),
        session_seconds=smtp.session_time.total_seconds(),
        octets_per_second=smtp.min_body_bytes_per_second,
    )
    for name, listeners, is_implicit in (("smtp", house.submission, False), ("smtps", house.submission_tls, True)):
        for listening in openings.of(name):
            listener = smtp_listener.serve(
                door,
                listening,
                lambda: tls.context,
                spool_folder=config.server.data_dir,
                implicit=is_implicit,
                patience=patience,
                share=openings.share,
            )
            listeners.append(listener)


async def _open_http(house: House, tls: ServerTls, openings: Openings, *, is_development: bool) -> None:
    config = house.config
    master = installation_key(config.server)
    rooms = Rooms(
        house.store,
        house.intake,
        house.identify,
        house.clock,
        config.server.hostname,
        house.making.renderer,
        way_out_of(config.delivery),
        house.making.fetching.of,
    )
    rest = build_app(rooms, RestSettings.of(config.http, master.derive("rest cursors"), config.server.data_dir))
    house.health = HealthDoor(
        house.store,
        house.clock,
        Space(config.server.data_dir, house.clock),
        metrics_networks=config.http.metrics_networks,
        trusted_proxies=config.http.trusted_proxies,
    )
    house.track = build_track(
        TrackRooms(
            house.store,
            house.clock,
            house.making.keyring,
            house.making.renderer,
            house.making.client,
            config.tracking.base,
            config.server.hostname,
            config.http.trusted_proxies,
        )
    )
    app = mount(rest, page.routes(mailbox(config)) if is_development else [], house.health, house.track)
    limits = http_listener.HttpLimits.of(config.http)
    for name, listeners, context in (("http", house.http, None), ("https", house.http_tls, tls.context)):
        for listening in openings.of(name):
            listeners.append(
                await http_listener.start(app, listening, context, int(DRAIN_SECONDS), limits, openings.share)
            )
