"""The process: event loop, signals, what a newcomer is told, drain."""

import asyncio
import contextlib
import gc
import os
import secrets
import shlex
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop

from smtpeter.app.house import ROLES, House, open_house
from smtpeter.config import Config, Listen, Server
from smtpeter.doors.quickstart import Places, development_access, quick_start, write_ready_file
from smtpeter.store.credentials import find_login
from smtpeter.world import http_listener
from smtpeter.world.clock import SystemClock
from smtpeter.world.log import log, open_log
from smtpeter.world.resolver import DnsResolver
from smtpeter.world.seams import World
from smtpeter.world.stream import TcpDialer

PORTS_TRIED = 50  # in development mode, when the usual one is taken


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What the command line says about one start."""

    roles: frozenset[str] = ROLES
    is_development: bool = False
    ready_file: Path | None = None


def serve(config: Config, options: ServeOptions) -> None:
    """Runs the gateway until SIGTERM or SIGINT, then drains. Raises what `open_house` raises."""
    open_log(is_pretty=options.is_development and sys.stderr.isatty())
    if options.is_development:
        config = with_free_ports(config)
    # signing and parsing make no cycles worth looking for this often
    gc.set_threshold(50_000, 20, 50)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, options))


async def _serve(config: Config, options: ServeOptions) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    world = real_world(config)
    house = await open_house(config, world, options.roles, is_development=options.is_development)
    try:
        gc.collect()
        gc.freeze()
        if options.is_development:
            await _greet(house, world, options)
        await _warn_of_untied_networks(house)
        log("start.ready", roles=sorted(options.roles), pid=os.getpid())
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait([waiting, *house.tasks], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for task in house.tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                log("stop.task_failed", task=task.get_name(), error=repr(task.exception()))
    finally:
        log("stop.draining")
        await house.close()
        log("stop.done")


async def _warn_of_untied_networks(house: House) -> None:
    """Says which trusted networks act as a login that does not exist; their mail will be refused."""
    for network, user in house.config.smtp.trusted_networks.items():
        if await house.store.read(find_login, user) is None:
            log("start.trusted_network_without_login", network=str(network), user=user)


def real_world(config: Config) -> World:
    """Gives the clock, the names and the network as they are."""
    clock = SystemClock()
    return World(clock, DnsResolver(clock, config.delivery.dns_servers), TcpDialer(), secrets.randbits)


def with_free_ports(config: Config) -> Config:
    """Gives the configuration with each loopback port moved to the next free one when it is taken."""
    taken: set[int] = set()

    def free(place: Listen) -> Listen:
        for port in range(place.port, place.port + PORTS_TRIED):
            if port in taken:
                continue
            with contextlib.suppress(OSError), http_listener.bind(place.host, port):
                taken.add(port)
                return Listen(place.host, port)
        raise OSError(f"no free port near {place}")

    def all_free(places: tuple[Listen, ...]) -> tuple[Listen, ...]:
        return tuple(free(place) for place in places)

    smtp, http, development = config.smtp, config.http, config.development
    return replace(
        config,
        smtp=replace(smtp, listeners=all_free(smtp.listeners), tls_listeners=all_free(smtp.tls_listeners)),
        http=replace(http, listeners=all_free(http.listeners), tls_listeners=all_free(http.tls_listeners)),
        development=replace(development, capture=free(development.capture)),
    )


def _why(data_dir: Path) -> str:
    """Gives `smtpeter why` as it has to be typed here, without the id."""
    elsewhere = [] if data_dir == Server().data_dir else ["--data-dir", str(data_dir)]
    return shlex.join([sys.argv[0], "why", *elsewhere])


async def _greet(house: House, world: World, options: ServeOptions) -> None:
    """Writes the ready file and prints what a newcomer needs."""
    config = house.config
    data_dir = config.server.data_dir
    access = await development_access(
        house.store,
        data_dir / "development.json",
        approve_all=config.development.approve_all,
        now=world.clock.now(),
    )
    smart = config.delivery.smart_host
    places = Places(
        rest=f"http://127.0.0.1:{house.http[0].port}/v1",
        https=f"https://127.0.0.1:{house.http_tls[0].port}/v1" if house.http_tls else None,
        smtp=("127.0.0.1", house.submission[0].port),
        smtps=("127.0.0.1", house.submission_tls[0].port),
        sink=("127.0.0.1", house.sink.port) if house.sink else None,
        smart_host=f"{smart.host}:{smart.port}" if smart.host else "",
        ca_file=(house.ca_file or data_dir).resolve(),
        why=_why(data_dir),
        access=access,
    )
    print(quick_start(places), flush=True)
    for path in {data_dir / "ready.json", options.ready_file or data_dir / "ready.json"}:
        write_ready_file(path, places)
