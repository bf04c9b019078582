"""From which local address one attempt leaves: picked from the pool, changed when it cannot be used or is not wanted."""

from smtpeter.delivery.errand import Attempted, Errand
from smtpeter.delivery.pools import LocalAddress
from smtpeter.delivery.verdict import Effect
from smtpeter.model.outcome import State
from smtpeter.model.steering import Stored

MAX_CHANGES = 3  # of the address in one attempt, because a host wants nothing from the one before


class Departure:
    """The local addresses of one attempt."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self._unusable: set[str] = set()
        self._changes_left = MAX_CHANGES
        self._wanted: list[str] = []  # remote addresses for which there was none

    @property
    def is_short(self) -> bool:
        """True when there was no address to leave from for some remote address."""
        return bool(self._wanted)

    def pick(self, remote_ip: str) -> LocalAddress | None:
        """Gives an address to connect from."""
        errand = self._errand
        picked = errand.ways.pools.pick(
            errand.way.pool, errand.message.lane, remote_ip, self._is_excluded, errand.ways.world.random()
        )
        if picked is None:
            self._wanted.append(remote_ip)
        return picked

    def pause(self) -> Stored | None:
        """Gives the pause to blame for the lack of an address; None when one would be there without its being blocked."""
        found = None
        for local in self._errand.ways.pools.addresses(self._errand.way.pool):
            if any(local.reaches(remote_ip) for remote_ip in self._wanted):
                pause = self._pause_of(local)
                if pause is None:
                    return None
                found = found or pause
        return found

    def may_keep(self, local: LocalAddress) -> bool:
        """True while a connection from there may carry the message."""
        is_aside = self._errand.ways.pools.is_set_aside(self._errand.message.lane, local.ip)
        return not is_aside and not self._is_excluded(local)

    def should_change(self, local: LocalAddress, attempted: Attempted) -> bool:
        """True when what an address met asks for another one, which is then not picked again."""
        verdict = attempted.verdict
        result = verdict.outcome.result
        if not local.ip or result.is_uncertain:
            return False
        if result.state is State.BIND:
            self._unusable.add(local.ip)
            return True
        if verdict.effect is not Effect.NEXT_ADDRESS:
            return False
        assert verdict.lasts is not None  # every rule that sets an address aside says how long
        ways = self._errand.ways
        until = ways.world.clock.monotonic() + verdict.lasts.total_seconds()
        ways.pools.set_aside(self._errand.message.lane, local.ip, until)
        self._changes_left -= 1
        return self._changes_left >= 0

    def _is_excluded(self, local: LocalAddress) -> bool:
        return local.ip in self._unusable or self._pause_of(local) is not None

    def _pause_of(self, local: LocalAddress) -> Stored | None:
        if not local.ip:
            return None  # which address the system chooses is not known before
        message = self._errand.message
        return self._errand.ways.steered.pause_of_address(message, message.lane, local.ip)
