"""Hostile calls against a running gateway: clear answers, orderly ends, bounded memory, and others are answered meanwhile.

Load is compared with honest load of the same class of size in the same run, since machines differ and are shared: the
slowest of a hundred answers may take twice as long, or a second.
"""

import contextlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.live import bombs
from tests.live.bombs import HONEST, HOSTILE, NONCE, Bomb
from tests.live.gateway import Gateway
from tests.live.waiting import until

FINAL = {"delivered", "failed"}
MAX_MIB = 1200  # of a worker, at its peak
LOAD_SECONDS = 5.0
SLOW_SECONDS = 1.0
PLAIN = {"recipient": "jane@example.org", "from": "joe@example.com", "subject": "Hello", "text": "x"}


@dataclass(frozen=True, slots=True)
class Waits:
    """How long answers took, in seconds."""

    healthz: Sequence[float]
    send: Sequence[float]

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {1000 * part(waits, 0.5):.0f} and {1000 * part(waits, 0.99):.0f} ms of {len(waits)}"
            for name, waits in (("healthz", self.healthz), ("send", self.send))
        )


def part(waits: Sequence[float], share: float) -> float:
    """Gives what this share of all waits does not exceed."""
    return sorted(waits)[min(len(waits) - 1, int(share * len(waits)))]


def peak_mib(gateway: Gateway) -> int:
    """Gives the most memory that the worker has had."""
    (worker,) = gateway.workers().values()
    lines = Path(f"/proc/{worker}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


def measure(gateway: Gateway, seconds: float) -> Waits:
    """Asks for its health and sends a plain mail in turn, for a while; both must succeed each time."""
    waits = Waits([], [])
    asking, sending = (http.client.HTTPConnection(gateway.host, timeout=30) for _ in range(2))
    headers = {"Authorization": f"Bearer {gateway.token}", "Content-Type": "application/json"}
    ends = time.monotonic() + seconds
    while time.monotonic() < ends or len(waits.send) < 3:
        for connection, request, into in (
            (asking, ("GET", "/healthz"), waits.healthz),
            (sending, ("POST", "/v1/send", json.dumps(PLAIN), headers), waits.send),
        ):
            begun = time.monotonic()
            connection.request(*request)  # type: ignore[arg-type]
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status == 200, content
            assert isinstance(into, list)
            into.append(time.monotonic() - begun)
            time.sleep(0.005)
    asking.close()
    sending.close()
    return waits


@contextlib.contextmanager
def attacked(gateway: Gateway, kind: str, all_of: Sequence[Bomb]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Lets a client post these bodies in a loop; gives what ends it and tells its answers."""
    names = [bomb.name for bomb in all_of]
    command = [sys.executable, "-m", "tests.live.attacker", gateway.host, gateway.token, kind, *names]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None

    def end() -> dict[str, Any]:
        answers: dict[str, Any] = json.loads(process.communicate(timeout=100)[0])
        return answers

    try:
        assert process.stdout.readline() == "ready\n"
        yield end
    finally:
        process.kill()
        process.communicate()


def under_load(gateway: Gateway, kind: str, all_of: Sequence[Bomb]) -> tuple[Waits, dict[str, Any]]:
    """Measures beside a client that posts these bodies."""
    with attacked(gateway, kind, all_of) as end:
        time.sleep(0.5)
        waits = measure(gateway, LOAD_SECONDS)
        return waits, end()


def check_answer(bomb: Bomb, status: int, body: str) -> None:
    """Requires a clear answer."""
    assert status in ((400, 413) if bomb.is_refused else (200,)), (bomb.name, status, body)
    if bomb.is_refused:
        error = json.loads(body)["error"]
        assert error["code"], bomb.name
        assert error["message"].endswith("."), error
        assert len(body) < 50_000


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", HOSTILE)
def test_every_bomb_has_a_clear_answer_and_an_orderly_end(new_gateway: Callable[..., Gateway], kind: str) -> None:
    gateway = new_gateway()
    ids = []
    for bomb in HOSTILE[kind]:
        body = bomb.make()
        for number in range(2):
            try:
                answer = gateway.http(
                    "POST",
                    "/v1/send",
                    body.replace(NONCE, b"%06d" % number),
                    Authorization=f"Bearer {gateway.token}",
                    Content_Type="application/json",
                )
            except ConnectionError:
                assert len(body) > 50 * bombs.MIB, "only what is too large is not read to its end"
                continue
            check_answer(bomb, answer.status, answer.text)
            if answer.status == 200:
                ids += list(answer.json)
    for id in ids:
        until(lambda id=id: gateway.get(f"message/{id}").json["state"] in FINAL, f"{id} ends", 100, tell=gateway.log)  # type: ignore[misc]
    for trouble in ("delivery.trouble", "rest.failed", "worker.died"):
        assert not gateway.facts(trouble)
    peak = peak_mib(gateway)
    print(f"{kind}: at most {peak} MiB")
    assert peak < MAX_MIB


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", HOSTILE)
def test_others_are_answered_beside_bombs_as_beside_honest_mail(new_gateway: Callable[..., Gateway], kind: str) -> None:
    gateway = new_gateway()
    measure(gateway, 0.5)
    honest, _ = under_load(gateway, kind, HONEST[kind])
    hostile, answers = under_load(gateway, kind, HOSTILE[kind])
    print(f"{kind}: honest {honest}; hostile {hostile}; at most {peak_mib(gateway)} MiB")
    known = {bomb.name: bomb for bomb in HOSTILE[kind]}
    for name, statuses in answers.items():
        for status, told in statuses.items():
            if status.isdigit():
                check_answer(known[name], int(status), told["body"])
    for name in ("healthz", "send"):
        usual, found = (getattr(waits, name) for waits in (honest, hostile))
        assert part(found, 0.5) <= max(SLOW_SECONDS, 2 * part(usual, 0.5)), name
        assert part(found, 0.99) <= max(SLOW_SECONDS, 2 * part(usual, 0.99)), name
    assert peak_mib(gateway) < MAX_MIB
    assert not gateway.facts("worker.died")
