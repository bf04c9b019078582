"""How long an idle gateway lets a message wait: from its 250 until the message begins to come at the receiver.

Single messages, each on a connection of its own, 100 ms apart. Where the gateway opens a connection for a message, the
opening counts; where it uses one that is open, the first octets do. Both ends are on this machine and read one clock.
"""

import smtplib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.gateway import Gateway
from bench.load import SENDER, LoadFailed, message
from bench.processes import OwnSink, own_sink
from bench.rounds import Bench, Line, Round

INTERVAL_SECONDS = 0.1
WARM_UP_MESSAGES = 10
_TEXT = message(4096).removesuffix(b".\r\n")


@dataclass(frozen=True, slots=True)
class Idle:
    """The measure."""

    name: str = "idle: from our 250 to the receiver, p50 and p99"

    def run(self, bench: Bench) -> Iterator[Line]:
        """Measures with each number of workers, and with two in any case. Raises LoadFailed, GatewayFailed."""
        for workers in sorted({*bench.workers, 2}) if 1 in bench.workers else bench.workers:
            with own_sink() as sink, bench.prepared(sink.port) as gateway:
                gateway.workers = workers
                gateway.start()
                _send(gateway, sink, "warm", WARM_UP_MESSAGES)
                before = gateway.usage()
                waits = _send(gateway, sink, "n", bench.idle_messages)
                usage = gateway.usage()
                gateway.stop()
            cpu_ms = None
            if before is not None and usage is not None:
                cpu_ms = 1000 * (usage.cpu_seconds - before.cpu_seconds) / len(waits)
            rounds = [Round(1 / INTERVAL_SECONDS, cpu_ms, len(waits))]
            result = f"{_percentile(waits, 50):.1f} ms, {_percentile(waits, 99):.1f} ms"
            yield Line(self.name, workers, 1, result, rounds, usage)


def _send(gateway: Gateway, sink: OwnSink, name: str, count: int) -> list[float]:
    """Hands in single messages and waits for them; gives the milliseconds that each had to wait, in ascending order."""
    accepted: dict[str, float] = {}
    begin = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begin + number * INTERVAL_SECONDS - time.monotonic()))
        local_part = f"{name}{number}"
        try:
            with smtplib.SMTP("127.0.0.1", gateway.ports.smtp, "load.test", timeout=30) as client:
                client.sendmail(SENDER, [f"{local_part}@dest.test"], _TEXT)
                accepted[local_part] = time.monotonic()
        except (OSError, smtplib.SMTPException) as error:
            raise LoadFailed(str(error)) from error
    sink.expected += count
    sink.all_taken()
    begun = sink.begun()
    return sorted(1000 * (begun[local_part] - at) for local_part, at in accepted.items())


def _percentile(ascending: Sequence[float], percent: int) -> float:
    return ascending[max(0, -(-len(ascending) * percent // 100) - 1)]
