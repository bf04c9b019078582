"""What steers the way out: the configuration, and over it what operators stored, followed by every process.

A process asks for the version of the stored steering every second (and at once when it is told of a change), and now
and then who works besides it: the limits of a lane are divided among the live workers that deliver. What is stored goes
before what is configured, and that before what is shipped.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from smtpeter.config import matches
from smtpeter.delivery.lanes.share import share
from smtpeter.delivery.limits import limits_of, target_fits
from smtpeter.delivery.route import Route, Rule, rules_of
from smtpeter.delivery.site import Providers, shipped_providers, split_lane
from smtpeter.delivery.verdict import Rule as VerdictRule
from smtpeter.delivery.verdict import read_rules
from smtpeter.delivery.wait import POLL_SECONDS, set_or_after
from smtpeter.model.message import Message
from smtpeter.model.steering import LimitEntry, Limits, Pause, RouteEntry, RuleEntry, Steering, Stored
from smtpeter.store.accounts import accounts
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.steering import steering, steering_version
from smtpeter.store.store import Store
from smtpeter.store.workers import live_workers
from smtpeter.world.log import log
from smtpeter.world.seams import Clock

WORKERS_EVERY_SECONDS = 5.0
MAX_KNOWN_LANES = 50_000
DELIVERS = "mta"  # the role

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Configured:
    """What the configuration and the program say. `named`: the routes that entries name in `via`; `pools` by name."""

    limits: tuple[LimitEntry, ...]
    verdicts: tuple[VerdictRule, ...]
    routes: tuple[RouteEntry, ...] = ()
    named: Mapping[str, Route] = field(default_factory=dict)
    pools: frozenset[str] = frozenset()
    providers: Providers = field(default_factory=shipped_providers)


class Steered:
    """What holds now. `refresh` brings it up to date; everything else only looks."""

    def __init__(self, store: Store, clock: Clock, worker: int, configured: Configured) -> None:
        self._store = store
        self._clock = clock
        self._worker = worker
        self._configured = configured
        self._stored = Steering(-1)
        self._pauses: tuple[tuple[Stored, Pause], ...] = ()
        self._limit_entries = configured.limits
        self._limits: dict[str, Limits] = {}
        self._place = (0, 1)  # our rank among the workers that deliver, and how many they are
        self._next_workers = 0.0
        self._told = asyncio.Event()
        self.providers = configured.providers
        self.verdicts = configured.verdicts
        self.rules: tuple[Rule, ...] = ()

    # --- limits ---------------------------------------------------------------------------------------------------

    def limits(self, lane: str) -> Limits:
        """Gives the share of a lane's limits that this process holds."""
        known = self._limits.get(lane)
        if known is None:
            if len(self._limits) >= MAX_KNOWN_LANES:
                self._limits.clear()
            known = self._limits[lane] = share(self.whole_limits(lane), lane, *self._place)
        return known

    def whole_limits(self, lane: str) -> Limits:
        """Gives the limits of a lane over all processes."""
        return limits_of(lane, self._limit_entries)

    # --- pauses ---------------------------------------------------------------------------------------------------

    @property
    def has_pauses(self) -> bool:
        """True when some mail may be held back."""
        return bool(self._pauses)

    @property
    def pauses(self) -> frozenset[int]:
        """The numbers of the pauses in force."""
        return frozenset(stored.id for stored, _ in self._pauses)

    def pause_of_lane(self, lane: str) -> Stored | None:
        """Gives the pause that holds back whatever goes by this lane."""
        return next((s for s, p in self._pauses if _is_of_lanes(p) and _fits_lane(p, lane)), None)

    def pause_of(self, message: Message, lane: str) -> Stored | None:
        """Gives the pause that holds a message back, whatever address it would leave from."""
        return next((s for s, p in self._pauses if not p.address and _fits(p, message, lane)), None)

    def pause_of_address(self, message: Message, lane: str, ip: str) -> Stored | None:
        """Gives the pause that keeps a message from leaving from a local address."""
        return next((s for s, p in self._pauses if p.address == ip and _fits(p, message, lane)), None)

    # --- following ------------------------------------------------------------------------------------------------

    def nudge(self) -> None:
        """Says that there may be a change."""
        self._told.set()

    def look_around(self) -> None:
        """Says that a worker may have come or gone."""
        self._next_workers = 0.0
        self._told.set()

    async def follow(self, changed: Callable[[], None]) -> None:
        """Looks for changes until cancelled, and tells of each."""
        while True:
            await set_or_after(self._told, POLL_SECONDS)
            self._told.clear()
            try:
                if await self.refresh():
                    changed()
            except StoreUnavailable:
                pass  # what held before holds on

    async def refresh(self) -> bool:
        """Brings all up to date; True when something is different. Raises StoreUnavailable."""
        has_new_place = await self._look_around()
        has_new_steering = await self._read_steering()
        if has_new_place or has_new_steering:
            self._limits.clear()
        return has_new_place or has_new_steering

    async def _look_around(self) -> bool:
        """Finds our rank among the live workers that deliver."""
        if self._clock.monotonic() < self._next_workers:
            return False
        workers = await self._store.read(live_workers, self._clock.now())
        self._next_workers = self._clock.monotonic() + WORKERS_EVERY_SECONDS
        numbers = sorted({worker.id for worker in workers if DELIVERS in worker.roles} | {self._worker})
        before, self._place = self._place, (numbers.index(self._worker), len(numbers))
        return before != self._place

    async def _read_steering(self) -> bool:
        now = self._clock.now()
        over = any(p.until is not None and p.until <= now for _, p in self._pauses)
        version = await self._store.read(steering_version, None)
        if version == self._stored.version and not over:
            return False
        self._stored = await self._store.read(steering, now)
        configured = self._configured
        self._pauses = tuple((s, s.entry) for s in self._stored.entries if isinstance(s.entry, Pause))
        self._limit_entries = (*self._entries(LimitEntry), *configured.limits)
        self.verdicts = (*self._stored_verdicts(), *configured.verdicts)
        await self._read_routes((*self._entries(RouteEntry), *configured.routes))
        return True

    async def _read_routes(self, entries: tuple[RouteEntry, ...]) -> None:
        names = {}
        if any(entry.account for entry in entries):
            names = {account.name: account.id for account in await self._store.read(accounts, None)}
        self.rules, complaints = rules_of(entries, self._configured.named, names, self._configured.pools)
        for complaint in complaints:
            log("steering.route_ignored", reason=complaint)

    def _stored_verdicts(self) -> tuple[VerdictRule, ...]:
        rules: list[VerdictRule] = []
        for stored in self._stored.entries:
            if isinstance(stored.entry, RuleEntry):
                try:
                    rules += read_rules(stored.entry.text)
                except ValueError as error:
                    log("steering.rule_ignored", rule=stored.id, reason=str(error))
        return tuple(rules)

    def _entries(self, kind: type[T]) -> tuple[T, ...]:
        return tuple(stored.entry for stored in self._stored.entries if isinstance(stored.entry, kind))


def _is_of_lanes(pause: Pause) -> bool:
    """True when a pause asks for nothing but the lane."""
    return not (pause.address or pause.domain or pause.account is not None or pause.stream or pause.tag)


def _fits_lane(pause: Pause, lane: str) -> bool:
    return (not pause.lane or target_fits(pause.lane, lane)) and (not pause.pool or split_lane(lane)[1] == pause.pool)


def _fits(pause: Pause, message: Message, lane: str) -> bool:
    """True when all that a pause asks for, but the local address, holds for a message in this lane."""
    return (
        (pause.account is None or pause.account == message.account)
        and (not pause.stream or pause.stream == message.options.stream)
        and (not pause.tag or pause.tag in message.options.tags)
        and (not pause.domain or matches(pause.domain, "", message.recipient.domain))
        and _fits_lane(pause, lane)
    )
