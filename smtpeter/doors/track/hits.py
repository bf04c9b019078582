"""Opens and clicks on stable storage before their answer (D7), and readers who never wait for long.

A reader is led on after `PATIENCE_SECONDS` whatever the store does; the event is written meanwhile. One that cannot be
written, or is one too many, is lost, and the log says so. Nobody can make us write without end: one message has so
many events a second, and so many wait for the store.

Raises nothing.
"""

import asyncio

from smtpeter.doors.rest.pace import Pace
from smtpeter.store.hits import Hit, record_hits
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.store import Store
from smtpeter.world.log import log, log_trouble
from smtpeter.world.seams import Clock

PATIENCE_SECONDS = 2.0
MAX_UNDER_WAY = 10_000
# of one message: a mail to a mailing list is read by many, but not by so many at a time
HITS_PER_SECOND = 10
HITS_AT_ONCE = 1000


class Recorder:
    """Writes hits. For one event loop."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._pace = Pace(HITS_PER_SECOND, HITS_AT_ONCE, clock.monotonic)
        self._tasks: set[asyncio.Task[None]] = set()
        self._patience: dict[asyncio.Future[None], float] = {}  # who waits, and until when, in that order
        self._timer: asyncio.TimerHandle | None = None

    async def record(self, hit: Hit) -> None:
        """Returns when the event is on stable storage, or when the reader has waited long enough."""
        if self._pace.wait_for(hit.message):
            _lose(hit, "too many events of this message")
            return
        if len(self._tasks) >= MAX_UNDER_WAY:
            _lose(hit, "too many events wait for the store")
            return
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._patience[waiter] = loop.time() + PATIENCE_SECONDS
        if self._timer is None:
            self._timer = loop.call_later(PATIENCE_SECONDS, self._look)
        task = loop.create_task(self._write(hit, waiter), name="hit")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await waiter

    async def close(self) -> None:
        """Waits for what is being written, for as long as a reader would."""
        if self._timer is not None:
            self._timer.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=PATIENCE_SECONDS)

    async def _write(self, hit: Hit, waiter: "asyncio.Future[None]") -> None:
        try:
            await self._store.write(record_hits, hit)
        except StoreUnavailable as trouble:
            _lose(hit, str(trouble))
        except Exception:  # a mistake of ours must not keep readers from where they want to go
            log_trouble("track.hit_lost", message=hit.message, what=hit.event.name)
        finally:
            self._let_go(waiter)

    def _look(self) -> None:
        """Lets those go whose patience is at its end; one timer serves all."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for waiter in [waiter for waiter, until in self._patience.items() if until <= now]:
            self._let_go(waiter)
        first = next(iter(self._patience.values()), None)
        self._timer = None if first is None else loop.call_at(first, self._look)

    def _let_go(self, waiter: "asyncio.Future[None]") -> None:
        self._patience.pop(waiter, None)
        if not waiter.done():
            waiter.set_result(None)


def _lose(hit: Hit, reason: str) -> None:
    log("track.hit_lost", message=hit.message, what=hit.event.name, reason=reason)
