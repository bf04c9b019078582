"""Settings that are right one by one and wrong together."""

from collections.abc import Callable

from smtpeter.config.delivery import Delivery, LimitLine, RouteLine
from smtpeter.config.lines import KeyPath
from smtpeter.config.sections import Config
from smtpeter.config.values import Via, nearest

_WAYS = tuple(map(str, Via))

Blame = Callable[[KeyPath, str], None]  # takes the path of a setting and what is wrong with it


def check_together(config: Config, blame: Blame) -> None:
    """Reports what does not fit together."""
    if bool(config.tls.certificate) != bool(config.tls.key):
        blame(("tls", "certificate" if config.tls.certificate else "key"), "needs tls.key and tls.certificate both")
    if not config.store.url.startswith(("sqlite:", "postgresql://", "postgres://")):
        blame(("store", "url"), "must begin with sqlite: or postgresql://")
    if not config.delivery.retry_delays:
        blame(("delivery", "retry_delays"), "must name at least one wait")
    if not config.server.hostname:
        blame(("server", "hostname"), "must not be empty")
    _check_smart_hosts(config.delivery, blame)
    _check_routes(config.delivery, blame)
    _check_pools(config.delivery, blame)
    _check_limits(config.delivery, blame)


def _check_smart_hosts(delivery: Delivery, blame: Blame) -> None:
    path: KeyPath = ("delivery", "smart_host")
    if delivery.smart_host.password and not delivery.smart_host.user:
        blame((*path, "password"), "is of no use without delivery.smart_host.user")
    for name, host in delivery.smart_hosts.items():
        path = ("delivery", "smart_hosts", name)
        if name in _WAYS:
            blame(path, f"cannot be a name: in a route {name} says something else")
        if not host.host:
            blame((*path, "host"), "must be given")
        if host.password and not host.user:
            blame((*path, "password"), "is of no use without a user")


def _check_routes(delivery: Delivery, blame: Blame) -> None:
    for n, route in enumerate(delivery.routes):
        path = ("delivery", "routes", str(n))
        if not route.via and not route.pool:
            blame(path, "says neither via nor pool")
        _check_via(route, delivery, path, blame)
        _check_pool(route, delivery, path, blame)


def _check_via(route: RouteLine, delivery: Delivery, path: KeyPath, blame: Blame) -> None:
    known = [*_WAYS, *delivery.smart_hosts]
    hosts = (Via.SMART_HOST, *delivery.smart_hosts)
    for via in route.via:
        if via not in known:
            blame((*path, "via"), f"names {via}, which is not among {', '.join(known)}{nearest(via, known)}")
        elif via == Via.SMART_HOST and not delivery.smart_host.host:
            blame((*path, "via"), "names smart_host, but delivery.smart_host.host is not set")
        elif via not in hosts and len(route.via) > 1:
            blame((*path, "via"), f"names {via} beside others; only smart hosts can stand in for each other")


def _check_pool(line: RouteLine | LimitLine, delivery: Delivery, path: KeyPath, blame: Blame) -> None:
    if line.pool and line.pool not in delivery.pools:
        hint = nearest(line.pool, delivery.pools)
        blame((*path, "pool"), f"names {line.pool}, but there is no [[delivery.pools.{line.pool}]]{hint}")


def _check_pools(delivery: Delivery, blame: Blame) -> None:
    for name, addresses in delivery.pools.items():
        path = ("delivery", "pools", name)
        if not addresses:
            blame(path, "must have at least one address")
        seen = set()
        for n, each in enumerate(addresses):
            if each.address in seen:
                blame(
                    (*path, str(n), "address"), f"{each.address} stands twice in the pool; give it more weight instead"
                )
            seen.add(each.address)


def _check_limits(delivery: Delivery, blame: Blame) -> None:
    for n, line in enumerate(delivery.limits):
        path = ("delivery", "limits", str(n))
        _check_pool(line, delivery, path, blame)
        if line == LimitLine(line.target, line.pool):
            blame(path, "says no limit")
