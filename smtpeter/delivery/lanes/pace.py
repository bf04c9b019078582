"""How fast one lane goes in one process: steady rates, slowed on push-back (decision 12).

Limits are kept by the generic cell rate algorithm (ITU-T I.371): one number for each limit, the time until which what
has begun uses the limit up. A limit of `count` in a period allows one message every period/count, and a tenth of the
count ahead of that, so that no period holds more than count × 1.1.

Push-back halves the rate in force: the slowed rate of now, else the strictest limit, else what was sent lately. Each
`recovery` without push-back undoes one halving, evenly over that time; the slowed rate ends when it reaches the limit,
or, without a limit, twice what was sent when it all began.

All times are seconds of one monotonic clock and never go back; all rates within are messages a second. Nothing here
waits or keeps a history; each call costs the same however much was sent.
"""

import math
from datetime import timedelta

from smtpeter.model.steering import Limits

RECOVERY = timedelta(minutes=10)  # when the limits do not say it
FLOOR = 1 / 60  # a slowed rate goes no lower: without a try now and then nobody would see that it works again
LEAST_MEASURED = 1.0  # what was sent counts as at least this much: a few messages say little about a rate
DEAF_SECONDS = 10.0  # many connections hear the same push-back at once
MEASURE_SECONDS = 30.0
MAX_LAG_SECONDS = 60.0

_SLACK_SECONDS = 1e-6  # so that a wait that was waited for is over, however its sum was rounded


class _Meter:
    """One limit: a message every `interval` seconds, up to `burst` of them at once. `due` is when the next would be."""

    __slots__ = ("ahead", "due", "interval")

    def __init__(self, count: int, period: float, begin: float) -> None:
        self.interval = period / count
        self.ahead = (max(1, count // 10) - 1) * self.interval  # how early a message may be
        self.due = begin + self.ahead  # nothing in hand: the first may begin then

    def in_hand(self, now: float) -> float:
        """Gives how many could begin at once now: a fraction, and negative when more began than could."""
        return (now + self.ahead - max(self.due, now)) / self.interval + 1

    def keep(self, in_hand: float, now: float) -> None:
        """Holds no more in hand than that."""
        self.due = max(self.due, now + self.ahead - (in_hand - 1) * self.interval)


class _Slowed:
    """A rate that grows again: `low` at the time `since`, double after each `recovery`, evenly in between."""

    __slots__ = ("due", "end", "interval", "low", "since")

    def __init__(self, low: float, since: float, end: float, due: float) -> None:
        self.low = low
        self.since = since
        self.end = end  # the rate at which it is over
        self.due = due  # when the next message may begin
        self.interval = 0.0  # by how much the last one moved `due`

    def rate(self, now: float, recovery: float) -> float:
        """Gives the rate of now, infinite when it has long been over."""
        steps = (now - self.since) / recovery if recovery > 0 else math.inf
        if steps > 64:
            return math.inf
        whole = int(steps)
        return math.ldexp(self.low * (1 + steps - whole), whole)


class Pace:
    """The pace of a lane in this process. Who begins a message asks `wait`, and says `take` when that is 0."""

    __slots__ = (
        "_begun",
        "_begun_before",
        "_deaf_until",
        "_full",
        "_is_out",
        "_last",
        "_last_taken",
        "_limits",
        "_meters",
        "_recovery",
        "_slot",
        "_slowed",
    )

    def __init__(self, limits: Limits, now: float, lag: float = 0.0) -> None:
        """Begins with nothing in hand. `limits` is this worker's share.

        `lag`, from 0 to below 1, is the part of a limit's interval (and of a minute, if that is less) that passes
        before the first message, so that several workers with a share do not all begin at the same moment.
        """
        self._limits = Limits()
        self._meters: dict[float, _Meter] = {}  # by period
        self._full = math.inf  # the strictest limit
        self._is_out = False
        self._recovery = RECOVERY.total_seconds()
        self._slowed: _Slowed | None = None
        self._deaf_until = -math.inf
        self._last = -math.inf  # when a message was taken last
        self._last_taken = 0  # how many at that time
        self._slot = now  # when the present span of measuring began
        self._begun = 0
        self._begun_before = 0
        self.follow(limits, now)
        for meter in self._meters.values():
            meter.due += lag * min(meter.interval, MAX_LAG_SECONDS)

    def wait(self, now: float) -> float:
        """Gives the seconds until the next message may begin; infinite for who holds no share (0 connections)."""
        if self._is_out:
            return math.inf
        due = now
        for meter in self._meters.values():
            due = max(due, meter.due - meter.ahead)
        if self._slowed is not None and self._slowed_rate(now) is not None:
            due = max(due, self._slowed.due)
        return due - now if due - now > _SLACK_SECONDS else 0.0

    def room(self, now: float, horizon: float) -> int | None:
        """Gives how many messages may begin within the next `horizon` seconds; None: no limit."""
        if self._is_out:
            return 0
        room = math.inf
        for meter in self._meters.values():
            room = min(room, meter.in_hand(now) + horizon / meter.interval)
        rate = self._slowed_rate(now)
        if self._slowed is not None and rate is not None:
            room = min(room, (now + horizon - max(self._slowed.due, now)) * rate + 1)
        return None if room == math.inf else max(0, math.floor(room + _SLACK_SECONDS))

    def take(self, now: float) -> None:
        """Counts a message that begins now."""
        for meter in self._meters.values():
            meter.due = max(meter.due, now) + meter.interval
        if self._slowed is not None and (rate := self._slowed_rate(now)) is not None:
            self._slowed.interval = 1 / rate
            self._slowed.due = max(self._slowed.due, now) + 1 / rate
        if now == self._last:
            self._last_taken += 1
        else:
            self._last = now
            self._last_taken = 1
        if now - self._slot >= MEASURE_SECONDS:
            self._turn(now)
        self._begun += 1

    def give_back(self, taken: float) -> None:
        """Uncounts a message that did not begin after all. `taken` is the time that `take` was told.

        When others were taken since, its turn has passed and cannot be made up for without a burst: it stays counted.
        """
        if taken != self._last or not self._last_taken:
            return
        self._last_taken -= 1
        self._begun = max(0, self._begun - 1)
        for meter in self._meters.values():
            meter.due -= meter.interval
        if self._slowed is not None:
            self._slowed.due -= self._slowed.interval

    def follow(self, limits: Limits, now: float) -> None:
        """Takes up other limits, or another share. Nobody has more in hand after it than before; what is slowed stays so.

        A slowed rate changes with the limit, since a share that is halved leaves the other half to somebody else.
        """
        if limits == self._limits:
            return
        slowed = self._slowed_rate(now)
        before, full = self._full, math.inf
        meters = {}
        for count, period in ((limits.per_second, 1.0), (limits.per_minute, 60.0), (limits.per_hour, 3600.0)):
            if count:
                meters[period] = self._meter(count, period, now)
                full = min(full, count / period)
        self._limits = limits
        self._meters = meters
        self._full = full
        self._is_out = limits.connections == 0
        self._recovery = (limits.recovery if limits.recovery is not None else RECOVERY).total_seconds()
        if self._slowed is not None and slowed is not None:
            factor = full / before if max(full, before) < math.inf else 1.0
            self._slowed.low = max(slowed * factor, min(FLOOR, slowed))
            self._slowed.since = now

    def slow(self, now: float) -> bool:
        """Halves the rate in force, on push-back of the receiver. False: it was just halved, or is as low as it goes."""
        if now < self._deaf_until:
            return False
        self._deaf_until = now + DEAF_SECONDS
        before = self._rate(now)
        if before == math.inf:
            before = max(self._measured(now), LEAST_MEASURED)
        low = max(before / 2, min(before, FLOOR))
        due, end = (self._slowed.due, self._slowed.end) if self._slowed is not None else (now, 2 * before)
        self._slowed = _Slowed(low, now, end, max(due, now + 1 / low))
        return low < before

    def is_slowed(self, now: float) -> bool:
        """True while the rate is below what the limits allow, because of push-back."""
        return self._slowed_rate(now) is not None

    def rate_per_minute(self, now: float) -> float | None:
        """Gives the rate in force, the lowest of limits and push-back; None: no limit, 0.0: no share."""
        if self._is_out:
            return 0.0
        rate = self._rate(now)
        return None if rate == math.inf else rate * 60

    def sent_per_minute(self, now: float) -> float:
        """Gives the rate at which messages began in the last half minute."""
        return self._measured(now) * 60

    def is_at_rest(self, now: float) -> bool:
        """True when nothing would be lost by forgetting this pace and beginning a new one."""
        return (
            self._slowed_rate(now) is None
            and all(meter.due <= now for meter in self._meters.values())
            and self._measured(now) == 0
        )

    def _meter(self, count: int, period: float, now: float) -> _Meter:
        old = self._meters.get(period)
        if old is None:
            interval = period / count
            return _Meter(count, period, max(now, self._last + interval))
        new = _Meter(count, period, -math.inf)
        new.keep(min(old.in_hand(now), max(1, count // 10)), now)
        return new

    def _rate(self, now: float) -> float:
        """Gives the rate in force; infinite: no limit."""
        slowed = self._slowed_rate(now)
        return self._full if slowed is None else slowed

    def _slowed_rate(self, now: float) -> float | None:
        """Gives the rate that push-back has left, or None when it is over: it is forgotten then, and nothing is in hand."""
        if self._slowed is None:
            return None
        rate = self._slowed.rate(now, self._recovery)
        if rate >= (self._full if self._full < math.inf else self._slowed.end):
            self._slowed = None
            for meter in self._meters.values():
                meter.keep(1, now)
            return None
        return rate

    def _measured(self, now: float) -> float:
        """Gives what began in the last MEASURE_SECONDS, as a rate: of the span before, the part that is not past yet."""
        if now - self._slot >= MEASURE_SECONDS:
            self._turn(now)
        before = self._begun_before * (1 - (now - self._slot) / MEASURE_SECONDS)
        return (self._begun + before) / MEASURE_SECONDS

    def _turn(self, now: float) -> None:
        """Begins another span of measuring, at least one having passed."""
        if now - self._slot < 2 * MEASURE_SECONDS:
            self._slot += MEASURE_SECONDS
            self._begun_before = self._begun
        else:
            self._slot = now
            self._begun_before = 0
        self._begun = 0
