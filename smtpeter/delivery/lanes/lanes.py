"""The lanes of this process: made when they are first needed, following what steers them, forgotten when they are idle."""

from collections.abc import Awaitable, Callable, Iterator

from smtpeter.delivery.lanes.health import START, Health
from smtpeter.delivery.lanes.lane import Courier, Lane, Shared
from smtpeter.delivery.lanes.pace import Pace
from smtpeter.delivery.lanes.slots import Slots
from smtpeter.delivery.steer import Steered
from smtpeter.model.message import Message
from smtpeter.model.steering import Limits
from smtpeter.world.seams import World

EXPIRY_LANE = "expired"  # of messages that only need to be told that their time is over
EXPIRY_LIMITS = Limits(connections=10)


class Lanes:
    """Lanes by their keys. `concurrency` bounds the couriers of all, `courier_life` is what one does.

    `divisor` shortens their rests (development mode).
    """

    def __init__(
        self,
        world: World,
        steered: Steered,
        concurrency: int,
        courier_life: Callable[[Courier], Awaitable[None]],
        divisor: float,
    ) -> None:
        self._world = world
        self._steered = steered
        self._divisor = divisor
        self._shared = Shared(Slots(concurrency), world.clock.monotonic, courier_life)
        self._lanes: dict[str, Lane] = {}

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes.values()))

    def __contains__(self, key: str) -> bool:
        return key in self._lanes

    def find(self, key: str) -> Lane | None:
        """Gives a lane that is in use."""
        return self._lanes.get(key)

    def of(self, key: str) -> Lane:
        """Gives a lane, a new one when it is not in use."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = self._new(key)
        return lane

    def follow(self) -> list[Message]:
        """Goes by what steers the lanes now; gives the messages that a pause concerns, which are taken out."""
        taken_out: list[Message] = []
        steered = self._steered
        for key, lane in self._lanes.items():
            if key == EXPIRY_LANE:
                continue
            lane.follow(steered.limits(key))
            lane.is_paused = steered.pause_of_lane(key) is not None
            if steered.has_pauses:
                taken_out += lane.take_out(lambda message: steered.pause_of(message, message.lane) is not None)
        return taken_out

    def forget_idle(self) -> None:
        """Forgets lanes that hold nothing and have nothing to remember."""
        for key in [key for key, lane in self._lanes.items() if lane.is_forgettable]:
            del self._lanes[key]

    def _new(self, key: str) -> Lane:
        is_expiry = key == EXPIRY_LANE
        limits = EXPIRY_LIMITS if is_expiry else self._steered.limits(key)
        is_shared = not is_expiry and limits != self._steered.whole_limits(key)
        # workers that share a pace do not all begin at the same moment
        pace = Pace(limits, self._world.clock.monotonic(), self._world.random() if is_shared else 0.0)
        health = Health(divisor=self._divisor, first=START if is_expiry else 1)
        lane = Lane(key, limits, pace, health, self._shared)
        lane.is_paused = not is_expiry and self._steered.pause_of_lane(key) is not None
        return lane
