"""A worker: one process with all its roles' doors and deliveries, on sockets that its supervisor holds.

What belongs to the event loop is here: signals, the line to the supervisor (app/child.py), what a newcomer is told, the
order of the end. A worker ends in three ways. It is told to stop: who comes now hears 421. It is told to retire, or gets
SIGTERM itself: others have taken over, so it accepts nobody, serves those at hand a little longer, and says 421 only to
sessions that stay. Its supervisor is gone: as if told to stop.

The limits of connections and failed logins per address and login (L9, L10, L12) count in each worker for itself; the
connections in all are divided among the workers.
"""

import asyncio
import contextlib
import gc
import os
import shlex
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from secrets import randbits

import uvloop

from smtpeter.app.child import Sign, Word
from smtpeter.app.house import House, Openings, open_house
from smtpeter.app.start import Errand, configuration
from smtpeter.config import Config, Listen, Origin, Server, Tracking, development
from smtpeter.doors.quickstart import Places, development_access, quick_start, write_ready_file
from smtpeter.store.credentials import find_login
from smtpeter.store.operation import StoreRefused, StoreUnavailable
from smtpeter.world.clock import SystemClock
from smtpeter.world.log import log, open_log
from smtpeter.world.resolver import DnsResolver
from smtpeter.world.seams import World
from smtpeter.world.share import Board, Share
from smtpeter.world.stream import TcpDialer

SIGNS_PER_PATIENCE = 8  # signs of life that may be late before a worker counts as hanging
SWITCH_SECONDS = 0.0005
LINGER_SECONDS = 5.0  # for clients of a worker that retires, who mostly are done by then
_LOOK_SECONDS = 0.1


def work(errand: Errand) -> int:
    """Works until it is told to end, then drains; gives the exit code. A start that fails is told in a sentence."""
    try:
        config = _share(_with_places(_configuration(errand), errand), errand.workers)
        is_pretty = errand.start.is_development and sys.stderr.isatty()
        open_log(is_pretty=is_pretty, worker=errand.number, node=config.server.node or os.uname().nodename)
        # signing and parsing make no cycles worth looking for this often
        gc.set_threshold(50_000, 20, 50)
        # work beside the event loop lets it have its turn: what a call waits, it waits for each of its steps (W9)
        sys.setswitchinterval(SWITCH_SECONDS)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_work(config, errand))
    except (StoreRefused, StoreUnavailable, OSError, ValueError) as error:
        print(f"smtpeter cannot start: {error}", file=sys.stderr)
        return 1


class Line:
    """The worker's end of the line to the supervisor: what it was told so far, and its signs of life."""

    def __init__(self, descriptor: int) -> None:
        self.stop, self.retire, self.greet = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._heard = {Word.STOP: self.stop, Word.RETIRE: self.retire, Word.GREET: self.greet}
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._hear)

    def tell(self, sign: Sign) -> None:
        """Says something; nobody may be there to hear it."""
        with contextlib.suppress(OSError):
            self._socket.send(sign.value)

    async def live(self, seconds: float) -> None:
        """Tells every so many seconds that the event loop goes round."""
        while True:
            self.tell(Sign.ALIVE)
            await asyncio.sleep(seconds)

    def _hear(self) -> None:
        try:
            octets = self._socket.recv(64)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if not octets:  # the supervisor is gone
            self._loop.remove_reader(self._socket)
            self.stop.set()
        for word, event in self._heard.items():
            if word.value in octets:
                event.set()


async def _work(config: Config, errand: Errand) -> int:
    line = Line(errand.channel)
    _take_signals(line)
    living = asyncio.create_task(line.live(errand.start.watchdog_seconds / SIGNS_PER_PATIENCE))
    world = real_world(config)
    is_development = errand.start.is_development
    roles = frozenset(errand.start.roles)
    share = Share(Board(errand.board), errand.place)
    openings = Openings(_sockets(errand), share)
    house = await open_house(config, world, roles, openings, is_development=is_development)
    greeting: asyncio.Task[None] | None = None
    try:
        gc.collect()
        gc.freeze()
        if errand.number == 1:
            await _warn_of_untied_networks(house)
            if is_development:
                greeting = asyncio.create_task(_greet(house, world, errand, line.greet))
        line.tell(Sign.READY)
        is_well = await _until_told(house, line)
        if line.retire.is_set():
            share.end()
            await _linger(house, line)
        return 0 if is_well else 1
    finally:
        log("worker.draining")
        if greeting is not None:
            greeting.cancel()
        share.end()
        await house.close()
        log("worker.done")
        living.cancel()


def _take_signals(line: Line) -> None:
    """Says what signals do, and lets them in: they were held back since before the process began."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, line.retire.set)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # from the terminal to all of us; the supervisor says what it means
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


async def _until_told(house: House, line: Line) -> bool:
    """Waits until the worker is to end; False when it has to because something in it failed."""
    words = [asyncio.create_task(event.wait()) for event in (line.stop, line.retire)]
    await asyncio.wait([*words, *house.tasks], return_when=asyncio.FIRST_COMPLETED)
    for word in words:
        word.cancel()
    is_well = True
    for task in house.tasks:
        if task.done():
            is_well = False
            failure = None if task.cancelled() else task.exception()
            log("stop.task_failed", task=task.get_name(), error=repr(failure))
    return is_well


async def _linger(house: House, line: Line) -> None:
    """Leaves new clients to others and serves those at hand a little longer, unless all is to end."""
    house.retire()
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + LINGER_SECONDS
    while any(door.open_connections for door in house.doors) and loop.time() < ends_at:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(line.stop.wait(), _LOOK_SECONDS)
            return


async def _warn_of_untied_networks(house: House) -> None:
    """Says which trusted networks act as a login that does not exist; their mail will be refused."""
    for network, user in house.config.smtp.trusted_networks.items():
        if await house.store.read(find_login, user) is None:
            log("start.trusted_network_without_login", network=str(network), user=user)


def real_world(config: Config) -> World:
    """Gives the clock, the names and the network as they are."""
    clock = SystemClock()
    return World(clock, DnsResolver(clock, config.delivery.dns_servers), TcpDialer(), randbits)


# --- what the supervisor gave


def _configuration(errand: Errand) -> Config:
    """Gives the configuration that the supervisor found good, whatever the file says by now."""
    if errand.config_copy is None:
        return configuration(errand.start, None)
    try:
        return configuration(errand.start, Path(f"/dev/fd/{errand.config_copy}"))
    finally:
        os.close(errand.config_copy)


def _with_places(config: Config, errand: Errand) -> Config:
    """Gives the configuration with the places where we listen indeed: in development mode a usual port may be taken."""
    if not errand.start.is_development:
        return config
    if errand.capture_port:
        capture = Listen(config.development.capture.host, errand.capture_port)
        config = replace(config, development=replace(config.development, capture=capture))
    ports = [_port(opening.descriptor) for opening in errand.openings if opening.door == "http"]
    if ports and config.tracking == development(errand.start.port_base).tracking:
        config = replace(config, tracking=Tracking(Origin(f"http://{Listen('127.0.0.1', ports[0])}")))
    return config


def _port(descriptor: int) -> int:
    with socket.socket(fileno=os.dup(descriptor)) as listening:
        return int(listening.getsockname()[1])


def _share(config: Config, workers: int) -> Config:
    """Gives the configuration with this worker's part of the connections in all (L9)."""
    part = -(-config.smtp.max_connections // workers)
    return replace(config, smtp=replace(config.smtp, max_connections=part))


def _sockets(errand: Errand) -> Mapping[str, Sequence[socket.socket]]:
    """Gives the inherited sockets by door."""
    found: dict[str, list[socket.socket]] = {}
    for opening in errand.openings:
        listening = socket.socket(fileno=opening.descriptor)
        listening.set_inheritable(False)
        found.setdefault(opening.door, []).append(listening)
    return found


# --- the newcomer


def _why(data_dir: Path, program: str) -> str:
    """Gives `smtpeter why` as it has to be typed here, without the id."""
    elsewhere = [] if data_dir == Server().data_dir else ["--data-dir", str(data_dir)]
    return shlex.join([program, "why", *elsewhere])


async def _greet(house: House, world: World, errand: Errand, is_complete: asyncio.Event) -> None:
    """Makes the credentials, then, when all workers are there, writes the ready file and prints what a newcomer needs."""
    config = house.config
    data_dir = config.server.data_dir
    access = await development_access(
        house.store,
        data_dir / "development.json",
        approve_all=config.development.approve_all,
        now=world.clock.now(),
    )
    await is_complete.wait()
    smart = config.delivery.smart_host
    places = Places(
        rest=f"http://127.0.0.1:{house.http[0].port}/v1",
        https=f"https://127.0.0.1:{house.http_tls[0].port}/v1" if house.http_tls else None,
        smtp=("127.0.0.1", house.submission[0].port),
        smtps=("127.0.0.1", house.submission_tls[0].port),
        sink=("127.0.0.1", house.sink.port) if house.sink else None,
        smart_host=f"{smart.host}:{smart.port}" if smart.host else "",
        ca_file=(house.ca_file or data_dir).resolve(),
        why=_why(data_dir, errand.start.program),
        access=access,
    )
    print(quick_start(places), flush=True)
    supervisor = os.getppid()
    for path in {data_dir / "ready.json", Path(errand.start.ready_file or data_dir / "ready.json")}:
        write_ready_file(path, places, supervisor)
