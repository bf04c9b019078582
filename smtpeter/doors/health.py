"""What programs ask that watch over the gateway: is it alive, can it do its work, what are its numbers.

    /healthz    200 while the event loop answers
    /readyz     200, or 503 while no mail should be sent here: [{"code", "message"}] says why
    /metrics    the numbers of all workers of this machine, for Prometheus

They need no token and are on every HTTP listener. Strangers learn no more than the codes: /metrics is not there for them,
and what names lanes, files or hosts is told only to the networks that may read the numbers. A request that came through a
proxy which is not configured as one counts as a stranger's, wherever the proxy stands.

Raises nothing. No request waits for a query: all that is in the store is told by the last look (standing.py).
"""

import platform
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from starlette.types import Receive, Scope, Send

from smtpeter import __version__
from smtpeter.config import Network
from smtpeter.doors.rest.client import caller
from smtpeter.doors.standing import Look, Standing
from smtpeter.intake.space import Space
from smtpeter.store.operation import Unhealthy
from smtpeter.store.store import Store
from smtpeter.world.metrics import CONTENT_TYPE, exposition, gateway, read_metrics
from smtpeter.world.networks import in_any
from smtpeter.world.seams import Clock

PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
NO_MTA_AFTER = timedelta(seconds=60)
_UNROUTED = "(unrouted)"
_LANES_NAMED = 5
_FORWARDING = (b"x-forwarded-for", b"forwarded", b"via", b"x-real-ip")

SENTENCES = {
    "draining": "This process ends; others take over.",
    "store_unhealthy": "The store does not take writes, so no mail is accepted.",
    "store_unreadable": "The store cannot be read.",
    "disk_low": "There is too little disk space left to accept mail.",
    "queue_not_worked": "Messages have been due for more than five minutes and nobody is at work on them.",
    "no_mta": "No worker has delivered mail for more than a minute.",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """A reason not to be ready; `detail` is for operators only."""

    code: str
    detail: str = ""


class HealthDoor:
    """The ASGI application behind the three addresses. `is_draining` is set when the process begins to end."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        space: Space,
        *,
        metrics_networks: tuple[Network, ...],
        trusted_proxies: tuple[Network, ...] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._space = space
        self._networks = metrics_networks
        self._proxies = trusted_proxies
        self._standing = Standing(store, clock)
        self.is_draining = False

    async def close(self) -> None:
        """Ends what is under way."""
        await self._standing.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request for one of `PATHS`."""
        path, method = scope["path"], scope["method"]
        is_friend = self._is_friend(scope)
        if path == "/metrics" and not is_friend:
            await _answer(send, method, 404, b"Not found\n")
        elif method not in ("GET", "HEAD"):
            await _answer(send, method, 405, b"Use GET or HEAD\n", (b"allow", b"GET, HEAD"))
        elif path == "/healthz":
            await _answer(send, method, 200, b"ok")
        elif path == "/readyz":
            troubles = await self.troubles()
            told = [{"code": one.code, "message": _message(one, is_friend=is_friend)} for one in troubles]
            await _answer(send, method, 503 if told else 200, msgspec.json.encode(told), kind=b"application/json")
        else:
            await _answer(send, method, 200, await self._metrics(), kind=CONTENT_TYPE.encode())

    async def troubles(self) -> list[Trouble]:
        """Gives all reasons not to be ready (M7)."""
        found = [Trouble("draining")] if self.is_draining else []
        health = self._store.health
        if isinstance(health, Unhealthy):
            found.append(Trouble("store_unhealthy", health.reason))
        if self._space.is_low:
            found.append(Trouble("disk_low"))
        look = await self._standing.latest()
        if self._standing.trouble is not None:
            found.append(Trouble("store_unreadable", self._standing.trouble))
        seen = self._standing.mta_seen
        if seen is not None and self._clock.now() - seen > NO_MTA_AFTER + _age(look, self._clock.now()):
            found.append(Trouble("no_mta", f"The last sign of life was at {seen:%Y-%m-%d %H:%M:%S} UTC."))
        elif look is not None and look.seen.overdue and look.seen.workers.get("mta"):
            lanes = [depth.lane or _UNROUTED for depth in look.seen.overdue[:_LANES_NAMED]]
            found.append(Trouble("queue_not_worked", f"Lanes: {', '.join(lanes)}."))
        return found

    async def _metrics(self) -> bytes:
        others = {gateway.BUILD_INFO.key(__version__, platform.python_version()): 1.0}
        look = await self._standing.latest()
        if look is not None:
            others |= _samples(look, self._clock.now())
        return exposition(read_metrics(), others).encode()

    def _is_friend(self, scope: Scope) -> bool:
        """True for a client in the networks that may read the numbers."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        ip, is_by_proxy = caller(scope, headers, self._proxies)
        if not is_by_proxy and any(name in headers for name in _FORWARDING):
            return False
        return in_any(ip, self._networks)


def _age(look: Look | None, now: datetime) -> timedelta:
    """Gives by how much a look is behind, during which signs of life were not seen."""
    return timedelta(0) if look is None else now - look.at


def _message(trouble: Trouble, *, is_friend: bool) -> str:
    sentence = SENTENCES[trouble.code]
    return f"{sentence} {trouble.detail}" if is_friend and trouble.detail else sentence


def _samples(look: Look, now: datetime) -> dict[str, float]:
    """Gives what a look has seen, by key."""
    seen = look.seen

    def age(since: datetime | None) -> float:
        return 0.0 if since is None else max(0.0, (now - since).total_seconds())

    samples = {gateway.QUEUE.key(state): float(count) for state, count in seen.states.items()}
    samples[gateway.OLDEST_DUE.key()] = age(seen.due_since)
    for depth in seen.largest:
        lane = depth.lane or _UNROUTED
        samples[gateway.LANE_MESSAGES.key(lane)] = float(depth.messages)
        samples[gateway.LANE_OLDEST_DUE.key(lane)] = age(depth.due_since)
    samples[gateway.PAUSES.key()] = float(seen.pauses)
    samples[gateway.LANES.key("slowed")] = float(seen.slowed)
    samples[gateway.LANES.key("resting")] = float(seen.resting)
    samples |= {gateway.WORKERS.key(role): float(count) for role, count in seen.workers.items()}
    samples[gateway.QUEUE_READ_SECONDS.key()] = look.seconds
    samples[gateway.QUEUE_READ_AT.key()] = look.at.timestamp()
    return samples


async def _answer(
    send: Send, method: str, status: int, body: bytes, *more: tuple[bytes, bytes], kind: bytes = b"text/plain"
) -> None:
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    # RFC 9110 9.3.2: HEAD has the fields of GET and no content
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
