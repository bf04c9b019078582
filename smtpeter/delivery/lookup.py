"""Which lane a message belongs to: known from the routing table, remembered from DNS, or looked up now.

Rows without a lane wait apart in the store (store/unrouted.py). They are looked up side by side, so that a name that
answers slowly delays no other, and sent back with their lane; that is no attempt.
"""

import asyncio
from collections.abc import Callable

from smtpeter.delivery.route import Facts, choose, facts_of, fixed_lane
from smtpeter.delivery.site import join_lane, site_lane, split_lane
from smtpeter.delivery.steer import Steered
from smtpeter.delivery.wait import POLL_SECONDS, set_or_after
from smtpeter.model.account import AccountId
from smtpeter.model.message import DISCARD_LANE, Message, Recipient, Submission
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.rotation import Rotation
from smtpeter.store.store import Store
from smtpeter.store.unrouted import Assignment, UnroutedDomain, UnroutedRequest, assign_lanes, unrouted
from smtpeter.world.log import log
from smtpeter.world.seams import DnsTrouble, World

LOOKUPS_AT_ONCE = 200
SITE_KEPT_SECONDS = 300.0  # how long the lane of a domain is taken for known
MAX_SITES = 50_000
BY_DNS = ("mx:", "dns:")  # how the lanes begin that DNS tells


class Lookup:
    """Finds lanes. `found` is called when rows were sent back with theirs."""

    def __init__(self, store: Store, world: World, steered: Steered, found: Callable[[], None]) -> None:
        self._store = store
        self._world = world
        self._steered = steered
        self._found = found
        self._sites: dict[str, tuple[float, str]] = {}
        self._rotation = Rotation()
        self._under_way: set[str] = set()  # domains
        self._wanted = asyncio.Event()  # something may lack a lane

    def lane(self, submission: Submission, recipient: Recipient) -> str | None:
        """Gives the lane of a recipient when it is known without asking DNS."""
        facts = Facts(
            recipient.address,
            recipient.domain,
            submission.from_domain,
            submission.account,
            submission.options.stream,
        )
        way = choose(self._steered.rules, facts)
        lane = fixed_lane(way)
        if lane is not None:
            return lane
        known = self._sites.get(recipient.domain)
        if known is None or known[0] <= self._world.clock.monotonic():
            return None
        return join_lane(known[1], way.pool)

    def other_lane(self, message: Message) -> str | None:
        """Gives the lane of a message as the routing table has it now; None: it is to be looked up.

        It is the lane that the message has, unless the table was changed, or could not be applied before.
        """
        if message.options.is_sandbox:
            return DISCARD_LANE
        way = choose(self._steered.rules, facts_of(message))
        lane = fixed_lane(way)
        if lane is not None:
            return lane
        site, pool = split_lane(message.lane)
        if not site.startswith(BY_DNS):
            return None
        return message.lane if pool == way.pool else join_lane(site, way.pool)

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
            lane = await self._look_up(waiting.account, waiting.domain)
            now = self._world.clock.now()
            await self._store.write(assign_lanes, Assignment(waiting.account, waiting.domain, lane, now))
        except StoreUnavailable as error:
            log("lookup.store_unavailable", reason=str(error))
            await asyncio.sleep(POLL_SECONDS)
        finally:
            self._under_way.discard(waiting.domain)
        self.nudge()
        self._found()

    async def _look_up(self, account: AccountId, domain: str) -> str:
        """Gives the lane of a domain; a lane of its own when DNS has trouble, which the attempt will then report.

        Routes that ask for more than account and domain show when a message is claimed (`other_lane`).
        """
        way = choose(self._steered.rules, Facts(f"@{domain}", domain, "", account, ""))
        fixed = fixed_lane(way)
        if fixed is not None:
            return fixed
        try:
            site = site_lane(await self._world.resolver.mail_hosts(domain), self._steered.providers)
        except DnsTrouble:
            return join_lane(f"dns:{domain}", way.pool)
        if len(self._sites) >= MAX_SITES:
            self._sites.clear()
        self._sites[domain] = (self._world.clock.monotonic() + SITE_KEPT_SECONDS, site)
        return join_lane(site, way.pool)
