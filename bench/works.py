"""How many messages a second, by kind of work: taken by SMTP or REST, and for some signed and delivered."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum, auto
from typing import assert_never

from bench.gateway import PASSWORD, TOKEN, USER, Gateway
from bench.load import Login, RestLoad, SmtpLoad
from bench.processes import OwnSource, Source, receiving, smtp_source
from bench.rounds import ACCEPT_ONLY, EVERYTHING, Bench, Line, one_round, spread, warm_up

CLOSED_PORT = 25  # of a receiver that nobody asks for


class Door(Enum):
    """How mail is handed in."""

    SMTP = auto()
    SUBMISSION = auto()  # with STARTTLS and AUTH
    REST = auto()


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work. `is_fresh`: a connection for each message. `roles` that deliver: counted at the receiver."""

    name: str
    roles: str
    sessions: int
    bytes: int
    door: Door = Door.SMTP
    is_fresh: bool = False

    def source(self, bench: Bench, gateway: Gateway) -> Source:
        """Makes who hands in the mail."""
        match self.door:
            case Door.SMTP:
                port = gateway.ports.smtp
                return smtp_source(bench.smtp_source, port, self.bytes, self.sessions, is_fresh=self.is_fresh)
            case Door.SUBMISSION:
                login = Login(USER, PASSWORD)
                load = SmtpLoad(gateway.ports.smtp, self.bytes, is_fresh=self.is_fresh, login=login)
                return OwnSource(load, self.sessions)
            case Door.REST:
                return OwnSource(RestLoad(gateway.ports.rest, self.bytes, TOKEN), self.sessions)
            case _:
                assert_never(self.door)

    def run(self, bench: Bench) -> Iterator[Line]:
        """Measures with each number of workers. Raises LoadFailed, GatewayFailed."""
        for workers in bench.workers:
            yield self._line(bench, workers)

    def _line(self, bench: Bench, workers: int) -> Line:
        with ExitStack() as stack:
            sink = stack.enter_context(receiving(bench.smtp_sink)) if self.roles == EVERYTHING else None
            gateway = stack.enter_context(bench.prepared(sink.port if sink else CLOSED_PORT, self.roles))
            gateway.workers = workers
            gateway.start()
            source = self.source(bench, gateway)
            warm_up(gateway, source, sink, bench.seconds)
            rounds = [one_round(gateway, source, sink, bench.seconds) for _ in range(bench.rounds)]
            usage = gateway.usage()
            gateway.stop()
        rates = spread([one.messages_per_second for one in rounds])
        return Line(self.name, workers, self.sessions, f"{rates} a second", rounds, usage)


RELAY = Work("relay, 4 KiB, kept connections", EVERYTHING, 50, 4096)

WORKS = {
    "accept": Work("accept only, 4 KiB, kept connections", ACCEPT_ONLY, 10, 4096),
    "relay": RELAY,
    "relay-fresh": Work("relay, 4 KiB, a connection each", EVERYTHING, 10, 4096, is_fresh=True),
    "relay-large": Work("relay, 50 KiB, kept connections", EVERYTHING, 10, 50 * 1024),
    "submit-fresh": Work("submission, TLS, 4 KiB, a connection each", ACCEPT_ONLY, 32, 4096, Door.SUBMISSION, True),
    "submit": Work("submission, TLS, 4 KiB, kept connections", ACCEPT_ONLY, 32, 4096, Door.SUBMISSION),
    "rest": Work("REST send, JSON 1 KiB, kept connections", ACCEPT_ONLY, 32, 1024, Door.REST),
}
