"""The way out: the dispatcher of a process and all that it needs, from the configuration."""

from pathlib import Path

from smtpeter.config import Config, LimitLine, RouteLine, Via
from smtpeter.config import SmartHost as SmartHostSettings
from smtpeter.delivery.attempt import Ways
from smtpeter.delivery.carry import Carrier
from smtpeter.delivery.dispatcher import Dispatcher, DispatchSettings
from smtpeter.delivery.late import LateMail
from smtpeter.delivery.limits import shipped_limits
from smtpeter.delivery.notice import Notices
from smtpeter.delivery.pools import LocalAddress, Pool, Pools
from smtpeter.delivery.route import Capture, Discard, Mx, Route, SmartHost, SmartHosts
from smtpeter.delivery.schedule import Schedule
from smtpeter.delivery.settle import Settling
from smtpeter.delivery.site import shipped_providers, with_more
from smtpeter.delivery.steer import Configured, Steered
from smtpeter.delivery.verdict import read_rows, shipped_rules
from smtpeter.domains.keys import KeyRing
from smtpeter.model.steering import LimitEntry, Limits, RouteEntry
from smtpeter.prepare.renderer import Renderer
from smtpeter.store.store import Store
from smtpeter.wire.smtp_steps import TlsPolicy
from smtpeter.world.conversation import ClientTimeouts
from smtpeter.world.networks import Destinations, parse_networks
from smtpeter.world.seams import Clock, World
from smtpeter.world.tls import ClientContexts


def dispatcher_of(
    config: Config, store: Store, world: World, worker: int, keys: KeyRing, renderer: Renderer
) -> Dispatcher:
    """Makes the dispatcher. Raises ValueError for response rules and providers that cannot be read."""
    delivery = config.delivery
    steered = Steered(store, world.clock, worker, configured(config))
    notices = Notices(world, config.server.hostname, renderer)
    carrier = Carrier(
        store=store,
        ways=_ways(config, world, steered),
        settling=Settling(schedule_of(config), notices),
        signers_for=keys.signers,
        renderer=renderer,
        idle_seconds=delivery.idle_time.total_seconds(),
    )
    settings = DispatchSettings(
        concurrency=delivery.concurrency,
        max_held=delivery.max_held,
        max_held_bytes=delivery.max_held_bytes,
        claim_batch=delivery.claim_batch,
        divisor=delivery.retry_divisor,
    )
    late = LateMail(store, world.clock, notices)
    return Dispatcher(store, world, worker, steered, settings, carrier.live, (late.tell_for_ever,))


def schedule_of(config: Config) -> Schedule:
    """Gives when messages are tried again, and when they are late."""
    return Schedule(config.delivery.retry_delays, config.delivery.retry_divisor)


def configured(config: Config) -> Configured:
    """Gives what the configuration and the program say of the way out, before what operators store."""
    delivery = config.delivery
    general = Limits(delivery.concurrency_per_lane, delivery.messages_per_connection)
    return Configured(
        limits=(*map(_limit, delivery.limits), *shipped_limits(), LimitEntry("*", general)),
        verdicts=(*read_rows(delivery.rules), *shipped_rules()),
        routes=_routes(config),
        named=named_routes(config),
        pools=frozenset(map(str, delivery.pools)),
        providers=with_more(shipped_providers(), {str(k): tuple(v) for k, v in delivery.providers.items()}),
    )


def named_routes(config: Config) -> dict[str, Route]:
    """Gives the routes that an entry of the routing table can name."""
    sink = config.development.capture
    named: dict[str, Route] = {
        Via.MX.value: Mx(),
        Via.DISCARD.value: Discard(),
        Via.CAPTURE.value: Capture(sink.host, sink.port),
    }
    if config.delivery.smart_host.host:
        named[Via.SMART_HOST.value] = _smart_hosts(config.delivery.smart_host)
    return named | {str(name): _smart_hosts(host) for name, host in config.delivery.smart_hosts.items()}


def _ways(config: Config, world: World, steered: Steered) -> Ways:
    allowed = ("0.0.0.0/0", "::/0") if config.delivery.allow_private_destinations else ()
    return Ways(
        world=world,
        steered=steered,
        pools=_pools(config, world.clock),
        contexts=ClientContexts(Path(config.tls.ca) if config.tls.ca else None),
        timeouts=ClientTimeouts(),
        tls=TlsPolicy(config.delivery.tls.value),
        destinations=Destinations(allowed=parse_networks(allowed)),
    )


def _pools(config: Config, clock: Clock) -> Pools:
    hello = config.delivery.hello_name or config.server.hostname
    pools = (
        Pool(str(name), tuple(LocalAddress(each.address, each.hello or hello, each.weight) for each in addresses))
        for name, addresses in config.delivery.pools.items()
    )
    return Pools(pools, hello, clock)


def _routes(config: Config) -> tuple[RouteEntry, ...]:
    """Gives the routing table: what the configuration lists, then the default smart host if there is one."""
    routes = tuple(map(_route, config.delivery.routes))
    return (*routes, RouteEntry(via=(Via.SMART_HOST.value,))) if config.delivery.smart_host.host else routes


def _route(line: RouteLine) -> RouteEntry:
    return RouteEntry(line.recipient, line.sender, line.stream, line.account, line.via, line.pool)


def _limit(line: LimitLine) -> LimitEntry:
    limits = Limits(
        connections=line.connections,
        messages_per_connection=line.messages_per_connection,
        per_second=line.per_second,
        per_minute=line.per_minute,
        per_hour=line.per_hour,
        recovery=line.recovery,
    )
    return LimitEntry(line.target, limits, line.pool)


def _smart_hosts(host: SmartHostSettings) -> SmartHosts:
    return SmartHosts((SmartHost(host.host, host.port, host.tls.value, host.user, host.password),))
