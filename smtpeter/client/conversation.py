"""When a call is tried again: a generator that knows no socket and no clock.

It yields requests and pauses, and is sent answers; `sync` and `aio` carry them out. Most calls may be made twice: a GET
or DELETE does the same then, and a mail is sent under an Idempotency-Key, once. One that would act twice is repeated
only when nothing of it can have been carried out.
"""

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from smtpeter.client.errors import Unreachable

_NOTHING_DONE = frozenset((429, 503))
_MAYBE_DONE = frozenset((502, 504))  # a proxy's: the gateway behind it may have acted
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
    """One HTTP request: `target` begins with the API's path. The token is not in it.

    `is_repeatable`: made twice it does no more than once.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    is_repeatable: bool = True

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
    repeated = _NOTHING_DONE | _MAYBE_DONE if request.is_repeatable else _NOTHING_DONE
    tried = 0
    while True:
        came = yield request
        tried += 1
        if isinstance(came, Answer):
            if came.status not in repeated:
                return came
            asked = came.retry_after
        elif isinstance(came, Unreachable):
            # a timeout has had its time: a caller who waits longer says so
            if came.is_uncertain and (came.is_timeout or not request.is_repeatable):
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
