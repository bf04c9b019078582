"""A client that posts send calls in a loop, from a process of its own: `python -m tests.live.attacker HOST TOKEN CLASS NAME …`.

It says that it is ready by a line, posts until its input ends, and then prints what was answered, as JSON: for each name,
statuses with how often they came, and the first body of each.
"""

import http.client
import json
import sys
import threading
from collections import defaultdict
from typing import Any

from tests.live import bombs

CONNECTIONS = 2


class Attacker:
    """Connections that post the bodies in turn."""

    def __init__(self, host: str, token: str, bodies: dict[str, bytes]) -> None:
        self._host = host
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._bodies = bodies
        self._count = 0
        self._lock = threading.Lock()
        self.is_ended = False
        self.answers: dict[str, dict[str, Any]] = defaultdict(dict)

    def work(self) -> None:
        """Posts until it is told to end."""
        names = list(self._bodies)
        while not self.is_ended:
            with self._lock:
                self._count += 1
                count = self._count
            name = names[count % len(names)]
            self._note(name, *self._post(self._bodies[name].replace(bombs.NONCE, b"%06d" % count)))

    def _post(self, body: bytes) -> tuple[str, str]:
        connection = http.client.HTTPConnection(self._host, timeout=100)
        try:
            connection.request("POST", "/v1/send", body, self._headers)
            answer = connection.getresponse()
            return str(answer.status), answer.read().decode()
        except ConnectionError as error:  # the server may close while a body that is too large is still on its way
            return type(error).__name__, ""
        finally:
            connection.close()

    def _note(self, name: str, status: str, body: str) -> None:
        with self._lock:
            known = self.answers[name].setdefault(status, {"count": 0, "body": body[:1000]})
            known["count"] += 1


def main(host: str, token: str, kind: str, *names: str) -> None:
    """Attacks."""
    known = {one.name: one for one in (*bombs.HONEST[kind], *bombs.HOSTILE[kind])}
    attacker = Attacker(host, token, {name: known[name].make() for name in names})
    threads = [threading.Thread(target=attacker.work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    sys.stdin.read()
    attacker.is_ended = True
    for thread in threads:
        thread.join()
    print(json.dumps(attacker.answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
