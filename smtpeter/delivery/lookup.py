"""Which lane a message belongs to: known from the routing table, remembered from DNS, or looked up now.

Rows without a lane wait apart in the store (store/unrouted.py). They are looked up side by side, so that a name that
answers slowly delays no other, and sent back with their lane; that is no attempt.
"""

import asyncio
from collections.abc import Callable

from smtpeter.delivery.route import Mx, Rule, choose, fixed_lane, site_lane
from smtpeter.delivery.wait import POLL_SECONDS, set_or_after
from smtpeter.model.message import Recipient
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.rotation import Rotation
from smtpeter.store.store import Store
from smtpeter.store.unrouted import Assignment, UnroutedDomain, UnroutedRequest, assign_lanes, unrouted
from smtpeter.world.log import log
from smtpeter.world.seams import DnsTrouble, World

LOOKUPS_AT_ONCE = 200
SITE_KEPT_SECONDS = 300.0  # how long the lane of a domain is taken for known
MAX_SITES = 50_000


class Lookup:
    """Finds lanes. `found` is called when rows were sent back with theirs."""

    def __init__(self, store: Store, world: World, rules: tuple[Rule, ...], found: Callable[[], None]) -> None:
        self._store = store
        self._world = world
        self._rules = rules
        self._found = found
        self._sites: dict[str, tuple[float, str]] = {}
        self._rotation = Rotation()
        self._under_way: set[str] = set()  # domains
        self._wanted = asyncio.Event()  # something may lack a lane

    def lane(self, recipient: Recipient) -> str | None:
        """Gives the lane of a recipient when it is known without asking DNS."""
        route = choose(self._rules, recipient.address)
        if not isinstance(route, Mx):
            return fixed_lane(route)
        known = self._sites.get(recipient.domain)
        return known[1] if known is not None and known[0] > self._world.clock.monotonic() else None

    def nudge(self) -> None:
        """Says that something in the store may lack a lane."""
        self._wanted.set()

    async def run(self, is_ending: Callable[[], bool]) -> None:
        """Looks up until there is an end."""
        async with asyncio.TaskGroup() as lookups:
            while not is_ending():
                self._wanted.clear()
                waiting = await self._waiting()
                for one in waiting:
                    self._under_way.add(one.domain)
                    lookups.create_task(self._send_back(one), name=f"look up {one.domain}")
                if not waiting:
                    await set_or_after(self._wanted, POLL_SECONDS)

    async def _waiting(self) -> list[UnroutedDomain]:
        limit = LOOKUPS_AT_ONCE - len(self._under_way)
        if limit <= 0:
            return []
        request = UnroutedRequest(self._world.clock.now(), limit, frozenset(self._under_way), self._rotation)
        try:
            return await self._store.write(unrouted, request)
        except StoreUnavailable:
            return []

    async def _send_back(self, waiting: UnroutedDomain) -> None:
        try:
            lane = await self._look_up(waiting.domain)
            now = self._world.clock.now()
            await self._store.write(assign_lanes, Assignment(waiting.account, waiting.domain, lane, now))
        except StoreUnavailable as error:
            log("lookup.store_unavailable", reason=str(error))
            await asyncio.sleep(POLL_SECONDS)
        finally:
            self._under_way.discard(waiting.domain)
        self.nudge()
        self._found()

    async def _look_up(self, domain: str) -> str:
        """Gives the lane of a domain; a lane of its own when DNS has trouble, which the attempt will then report."""
        fixed = fixed_lane(choose(self._rules, f"@{domain}"))
        if fixed is not None:
            return fixed
        try:
            lane = site_lane(await self._world.resolver.mail_hosts(domain))
        except DnsTrouble:
            return f"dns:{domain}"
        if len(self._sites) >= MAX_SITES:
            self._sites.clear()
        self._sites[domain] = (self._world.clock.monotonic() + SITE_KEPT_SECONDS, lane)
        return lane
