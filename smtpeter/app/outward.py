"""The way out: the dispatcher of a process and all that it needs, from the configuration."""

from pathlib import Path

from smtpeter.config import Config, Via
from smtpeter.delivery.attempt import Ways
from smtpeter.delivery.carry import Carrier
from smtpeter.delivery.dispatcher import Dispatcher, DispatchSettings
from smtpeter.delivery.notice import Notices
from smtpeter.delivery.route import Capture, Discard, Mx, Route, Rule, SmartHost
from smtpeter.delivery.schedule import Schedule
from smtpeter.delivery.settle import Settling
from smtpeter.delivery.verdict import shipped_rules
from smtpeter.domains.keys import KeyRing
from smtpeter.store.store import Store
from smtpeter.wire.smtp_steps import TlsPolicy
from smtpeter.world.conversation import ClientTimeouts
from smtpeter.world.networks import Destinations, parse_networks
from smtpeter.world.seams import World
from smtpeter.world.tls import ClientContexts


def dispatcher_of(config: Config, store: Store, world: World, worker: int, keys: KeyRing) -> Dispatcher:
    delivery = config.delivery
    hello = delivery.hello_name or config.server.hostname
    rules = _routes(config)
    allowed = ("0.0.0.0/0", "::/0") if delivery.allow_private_destinations else ()
    ways = Ways(
        world=world,
        rules=rules,
        verdicts=shipped_rules(),
        contexts=ClientContexts(Path(config.tls.ca) if config.tls.ca else None),
        timeouts=ClientTimeouts(),
        hello=hello,
        tls=TlsPolicy(delivery.tls.value),
        destinations=Destinations(allowed=parse_networks(allowed)),
        messages_per_connection=delivery.messages_per_connection,
    )
    carrier = Carrier(
        store=store,
        ways=ways,
        settling=Settling(
            Schedule(delivery.retry_delays, delivery.retry_divisor), Notices(world, config.server.hostname)
        ),
        signers_for=keys.signers,
        hostname=config.server.hostname,
        idle_seconds=delivery.idle_time.total_seconds(),
        shows_client=config.smtp.received_show_client,
    )
    settings = DispatchSettings(
        concurrency=delivery.concurrency,
        concurrency_per_lane=delivery.concurrency_per_lane,
        max_held=delivery.max_held,
        max_held_bytes=delivery.max_held_bytes,
        claim_batch=delivery.claim_batch,
    )
    return Dispatcher(store, world, worker, rules, settings, carrier.live)


def _routes(config: Config) -> tuple[Rule, ...]:
    """Gives the routing table: what the configuration lists, then the default smart host if there is one."""
    smart = config.delivery.smart_host
    smart_host = SmartHost(smart.host, smart.port, smart.tls.value, smart.user, smart.password)
    sink = config.development.capture
    by_name: dict[Via, Route] = {
        Via.MX: Mx(),
        Via.SMARTHOST: smart_host,
        Via.DISCARD: Discard(),
        Via.CAPTURE: Capture(sink.host, sink.port),
    }
    rules = tuple(Rule(str(pattern), by_name[via]) for pattern, via in config.delivery.routes.items())
    return (*rules, Rule("*", smart_host)) if smart.host else rules
