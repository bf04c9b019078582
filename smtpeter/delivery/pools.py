"""Pools of local addresses: from which address, and under which name, a connection is made.

A pool shares its connections among its addresses by weight. An address that a receiver has blocked is set aside for the
lane in question for a while; this process remembers it, and another one learns it by itself.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from smtpeter.world.seams import Clock

MAX_SET_ASIDE = 10_000


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """An address to send from, the name that goes with it in EHLO, and its part of the connections.

    `ip` "": whichever the system chooses.
    """

    ip: str
    hello: str
    weight: int = 1

    def reaches(self, remote_ip: str) -> bool:
        """True when a connection to that address can be made from here: both are of one family."""
        return not self.ip or (":" in self.ip) == (":" in remote_ip)


@dataclass(frozen=True, slots=True)
class Pool:
    """Some local addresses under a name."""

    name: str
    addresses: tuple[LocalAddress, ...]


class Pools:
    """All pools of the installation. The pool "" is the system's choice, with the general name in EHLO."""

    def __init__(self, pools: Iterable[Pool], hello: str, clock: Clock) -> None:
        self._addresses = {pool.name: pool.addresses for pool in pools}
        self._addresses[""] = (LocalAddress("", hello),)
        self._clock = clock
        self._set_aside: dict[tuple[str, str], float] = {}  # lane and address: until when

    def pick(
        self, pool: str, lane: str, remote_ip: str, excluded: Callable[[LocalAddress], bool], randomness: float
    ) -> LocalAddress | None:
        """Gives an address to connect from, by weight among those that reach `remote_ip`; None when there is none.

        `randomness` in [0, 1). What is excluded, or set aside for the lane, does not count; nor does an unknown pool.
        """
        usable = [
            each
            for each in self.addresses(pool)
            if each.reaches(remote_ip) and not self.is_set_aside(lane, each.ip) and not excluded(each)
        ]
        if not usable:
            return None
        point = randomness * sum(each.weight for each in usable)
        for each in usable:
            point -= each.weight
            if point < 0:
                return each
        return usable[-1]  # rounding

    def addresses(self, pool: str) -> tuple[LocalAddress, ...]:
        """Gives the addresses of a pool, none of an unknown one."""
        return self._addresses.get(pool, ())

    def set_aside(self, lane: str, ip: str, until: float) -> None:
        """Leaves an address out for a lane; `until` on the monotonic clock. The system's choice has no other."""
        if not ip:
            return
        if len(self._set_aside) >= MAX_SET_ASIDE:
            self._forget()
        self._set_aside[lane, ip] = until

    def is_set_aside(self, lane: str, ip: str) -> bool:
        """True while an address is left out for a lane."""
        until = self._set_aside.get((lane, ip)) if self._set_aside else None
        return until is not None and until > self._clock.monotonic()

    def _forget(self) -> None:
        """Makes room: what is over goes, or else the half that is over first."""
        now = self._clock.monotonic()
        kept = [item for item in self._set_aside.items() if item[1] > now]
        if len(kept) >= MAX_SET_ASIDE:
            kept = sorted(kept, key=lambda item: item[1])[MAX_SET_ASIDE // 2 :]
        self._set_aside = dict(kept)
