"""What a deep queue costs: relaying with many deferred messages in the store, as a ratio to an empty one.

Gateways with queues of different depths are all started, then measured in turn, round after round in rotating order; a
ratio is taken within a round. At the end each is killed and started again, as D8 asks how long that takes.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.fill import fill
from bench.gateway import Gateway, Usage
from bench.processes import Sink, Source, receiving
from bench.rounds import Bench, Line, Round, one_round, spread, warm_up
from bench.works import RELAY

LEAST_ROUNDS = 3


@dataclass(slots=True)
class _Filled:
    """A gateway with `depth` deferred messages, and what it has done."""

    depth: int
    gateway: Gateway
    sink: Sink
    filled_per_second: float
    source: Source | None = None
    rounds: list[Round] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Depth:
    """The measure."""

    name: str = "relay, 4 KiB, over a queue of deferred"

    def run(self, bench: Bench) -> Iterator[Line]:
        """Measures every depth with each number of workers. Raises LoadFailed, GatewayFailed."""
        with ExitStack() as stack:
            filled = [self._fill(stack, bench, depth) for depth in bench.depths]
            for workers in bench.workers:
                _measure(filled, bench, workers)
                usages = [one.gateway.usage() for one in filled]
                for one, usage in zip(filled, usages, strict=True):
                    result = _result(one, filled[0], usage, usages[0])
                    name = f"{self.name}: {one.depth:,}"
                    yield Line(name, workers, RELAY.sessions, result, one.rounds, usage)

    def _fill(self, stack: ExitStack, bench: Bench, depth: int) -> _Filled:
        sink = stack.enter_context(receiving(bench.smtp_sink))
        gateway = stack.enter_context(bench.prepared(sink.port))
        lane = f"smarthost:127.0.0.1:{sink.port}"
        seconds = fill(gateway.store, depth, lane) if depth else 0.0
        return _Filled(depth, gateway, sink, depth / seconds if seconds else 0.0)


def _measure(filled: Sequence[_Filled], bench: Bench, workers: int) -> None:
    for one in filled:
        one.gateway.kill()
        one.gateway.workers = workers
        one.gateway.start()
        one.rounds = []
        one.source = RELAY.source(bench, one.gateway)
        warm_up(one.gateway, one.source, one.sink, bench.seconds)
    for number in range(max(LEAST_ROUNDS, bench.rounds)):
        first = number % len(filled)
        for one in [*filled[first:], *filled[:first]]:
            assert one.source is not None
            one.rounds.append(one_round(one.gateway, one.source, one.sink, bench.seconds))


def _result(one: _Filled, empty: _Filled, usage: Usage | None, least: Usage | None) -> str:
    rates = [each.messages_per_second for each in one.rounds]
    text = f"{spread(rates)} a second"
    if one is empty:
        return text
    ratios = [rate / each.messages_per_second for rate, each in zip(rates, empty.rounds, strict=True)]
    text += f"; {spread(ratios, '.2f')} of the first"
    costs = [
        each.cpu_ms / first.cpu_ms
        for each, first in zip(one.rounds, empty.rounds, strict=True)
        if each.cpu_ms is not None and first.cpu_ms
    ]
    if costs and usage is not None and least is not None:
        text += f", CPU {spread(costs, '.2f')} of it, memory {usage.peak_bytes / least.peak_bytes:.2f} of it"
    return f"{text}; filled at {one.filled_per_second:,.0f} a second; up {_recovery(one.gateway):.1f} s after SIGKILL"


def _recovery(gateway: Gateway) -> float:
    """Kills a gateway and starts it again; gives the seconds until its doors are open."""
    gateway.kill()
    begin = time.monotonic()
    gateway.start()
    return time.monotonic() - begin
