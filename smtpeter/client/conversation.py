"""When a call is tried again: a generator that knows no socket and no clock.

It yields requests and pauses, and is sent answers; `sync` and `aio` carry them out. A call may be repeated because a
GET or DELETE does the same twice, and a POST carries an Idempotency-Key under which the gateway acts only once.
"""

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from smtpeter.client.errors import Unreachable

_REPEATED = frozenset((429, 502, 503, 504))
_SECONDS = re.compile(r"[0-9]{1,6}\Z")


@dataclass(frozen=True, slots=True)
class Retry:
    """How patient a client is: tries in all, the first pause, which doubles each time, and the longest one.

    A gateway that asks in Retry-After for more than `longest_pause` gets no further try: the caller decides.
    """

    tries: int = 4
    first_pause: timedelta = timedelta(milliseconds=500)
    longest_pause: timedelta = timedelta(seconds=60)

    def pause(self, tried: int, asked: timedelta | None, randomness: float) -> timedelta | None:
        """Gives the pause after the try number `tried` (from 1), None for no further one.

        `randomness` from 0 to 1 spreads clients that failed together over the second half of the pause.
        """
        if tried >= self.tries:
            return None
        if asked is not None and asked > self.longest_pause:
            return None
        doubled: timedelta = min(self.first_pause * 2 ** min(tried - 1, 20), self.longest_pause)
        own = doubled * (0.5 + 0.5 * randomness)
        return own if asked is None else max(own, asked)


PATIENT = Retry()


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request: `target` begins with the API's path. The token is not in it."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)

    def with_key(self, key: str) -> "Request":
        """Gives the request with an Idempotency-Key."""
        return replace(self, headers={**self.headers, "Idempotency-Key": key})


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def retry_after(self) -> timedelta | None:
        """How long the gateway asks to wait; None when it does not say, or says it as a date, which it never does."""
        text = self.headers.get("retry-after", "").strip()
        return timedelta(seconds=int(text)) if _SECONDS.match(text) else None


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for so long before going on."""

    duration: timedelta


Step = Request | Pause


def converse(
    request: Request, retry: Retry, randomness: Callable[[], float]
) -> Generator[Step, Answer | Unreachable | None, Answer]:
    """Yields what to do, is sent what came of it, and returns the answer that counts.

    A request is answered by an `Answer` or by `Unreachable`, a pause by None. Raises Unreachable.
    """
    tried = 0
    while True:
        came = yield request
        tried += 1
        if isinstance(came, Answer):
            if came.status not in _REPEATED:
                return came
            asked = came.retry_after
        elif isinstance(came, Unreachable):
            if came.is_timeout and came.is_uncertain:  # it has had its time: a caller who waits longer says so
                raise came
            asked = None
        else:
            raise TypeError("a request is answered by Answer or Unreachable")
        pause = retry.pause(tried, asked, randomness())
        if pause is None:
            if isinstance(came, Answer):
                return came
            raise came
        yield Pause(pause)
