"""A gateway in development mode as a process of its own, and what its users have in their hands: HTTP and commands."""

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.live.waiting import until

PROGRAM = Path(sys.executable).with_name("smtpeter")
PORTS = (2525, 2587, 2465, 8025, 8443, 2527)  # of development mode, before the shift
STARTS_TRIED = 5
STOP_SECONDS = 40.0  # the drain itself takes 30 at most


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        """The error object of a refusal."""
        return self.json["error"]


class Gateway:
    """One gateway with its own folder. Starting twice on one folder is a restart."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self._options = options
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SMTPETER_")}
        self._environment = clean | {f"SMTPETER_{name}": value for name, value in environment.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self.ready: dict[str, Any] = {}

    def start(self) -> "Gateway":
        """Starts it and waits for its ready file; on other ports when somebody was faster on these."""
        for _ in range(STARTS_TRIED):
            try:
                if self._has_started():
                    return self
            except BaseException:
                self.discard()
                raise
        raise AssertionError(f"the gateway does not start: {self.log()}")

    def _has_started(self) -> bool:
        ready_file = self.folder / "ready.json"
        ready_file.unlink(missing_ok=True)
        command = [PROGRAM, "serve", "--dev", "--data-dir", self.data_dir, "--ready-file", ready_file]
        with (self.folder / "log").open("ab") as log, (self.folder / "printed").open("wb") as printed:
            self._process = subprocess.Popen(
                [*command, "--port-base", str(_port_base()), *self._options],
                cwd=self.folder,
                env=self._environment,
                stdout=printed,
                stderr=log,
                start_new_session=True,
            )
        process = self._process
        until(lambda: ready_file.exists() or process.poll() is not None, "the gateway is ready", 30)
        if process.poll() is not None:
            return False
        self.ready = json.loads(ready_file.read_bytes())
        return True

    def terminate(self) -> None:
        """Sends SIGTERM and does not wait."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        """Waits for the end and gives the exit code."""
        assert self._process is not None
        try:
            return self._process.wait(STOP_SECONDS)
        finally:
            self.discard()

    def stop(self) -> None:
        """Ends it as an operator does, and requires that it ends well."""
        self.terminate()
        assert self.exit_code() == 0, self.log()

    def discard(self) -> None:
        """Ends all its processes at once if some still run; for tests that have failed."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the supervisor."""
        assert self._process is not None
        self._process.send_signal(number)

    def facts(self, name: str) -> list[dict[str, Any]]:
        """Gives the lines of its log about one fact, since its first start."""
        lines = [line for line in self.log().splitlines() if f'"{name}"' in line]
        return [json.loads(line) for line in lines]

    def workers(self) -> dict[int, int]:
        """Gives the process ids of the workers that were ready last, by their numbers."""
        return {fact["worker"]: fact["worker_pid"] for fact in self.facts("worker.ready")}

    def log(self) -> str:
        """Gives what it has logged so far."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def printed(self) -> str:
        """Gives what it has printed since its last start."""
        return (self.folder / "printed").read_text("utf-8")

    # --- by HTTP

    @property
    def token(self) -> str:
        return str(self.ready["token"])

    @property
    def host(self) -> str:
        """Gives host:port of the plain HTTP door."""
        return urllib.parse.urlsplit(self.ready["rest"]).netloc

    def http(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
        """Makes one request; `_` in the names of headers stands for `-`."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, call: str) -> Answer:
        """Makes a GET of the API, as events/messageid/ID."""
        return self.http("GET", f"/v1/{call}", Authorization=f"Bearer {self.token}")

    def send(self, **properties: Any) -> Answer:
        """Makes a send call with JSON."""
        return self.http(
            "POST",
            "/v1/send",
            json.dumps(properties),
            Authorization=f"Bearer {self.token}",
            Content_Type="application/json",
        )

    def sent(self, **properties: Any) -> str:
        """Makes a send call for one recipient that must be accepted, and gives the id."""
        answer = self.send(**properties)
        assert answer.status == 200, answer.text
        (id,) = answer.json
        return str(id)

    def events(self, id: str) -> list[dict[str, Any]]:
        """Gives all event records of a message."""
        answer = self.get(f"events/messageid/{id}?type=*")
        assert answer.status == 200, answer.text
        return list(answer.json)

    def event(self, id: str, name: str) -> dict[str, Any]:
        """Waits for the first event of that name and gives its fields."""

        def look() -> dict[str, Any] | None:
            return next((one["data"] for one in self.events(id) if one["event"] == name), None)

        return until(look, f"{name} of {id}", tell=lambda: f"{self.get(f'message/{id}').text}\n{self.log()}")

    def captured(self, recipient: str, count: int = 1) -> list[bytes]:
        """Waits for so many mails for an address in the capture sink and gives them as they arrived, oldest first."""

        def look() -> list[int] | None:
            listed = self.http("GET", "/captured.json").json
            numbers = [one["number"] for one in listed if recipient in one["recipients"]]
            return numbers if len(numbers) >= count else None

        numbers = until(look, f"{count} mails for {recipient} in the sink", tell=self.log)
        assert len(numbers) == count
        return [self.http("GET", f"/captured/{number}/source").body for number in sorted(numbers)]

    # --- by command

    def command(self, *words: str, exit_code: int = 0) -> str:
        """Runs `smtpeter WORDS` on the same data and gives what it prints."""
        done = subprocess.run(
            [PROGRAM, *words, "--data-dir", self.data_dir],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done.stdout

    def command_json(self, *words: str) -> Any:
        """Runs a command with --json and gives the value that it prints."""
        return json.loads(self.command(*words, "--json"))

    def approve(self, domain: str) -> dict[str, str]:
        """Adds an approved sender domain, waits until it may send, and gives its DKIM record by name."""
        record = self.command_json("domain", "add", domain, "--approved")["record"]
        # which domains there are is remembered for a second
        until(lambda: self._may_send(domain), f"{domain} may send", 2.5)
        return {record["name"]: record["value"]}

    def _may_send(self, domain: str) -> bool:
        return self.send(recipient="approved@example.org", **{"from": f"joe@{domain}"}, text="x").status == 200

    def queue_counts(self) -> dict[str, int]:
        """Gives how many messages there are, by state, as `queue list` says."""
        counts: dict[str, int] = {}
        for row in self.command_json("queue", "list", "--all"):
            counts[row["state"]] = counts.get(row["state"], 0) + row["count"]
        return counts


@contextmanager
def running(gateway: Gateway) -> Iterator[Gateway]:
    """Gives a gateway that is started, and that must end well."""
    gateway.start()
    try:
        yield gateway
        gateway.stop()
    finally:
        gateway.discard()


def _port_base() -> int:
    """Gives a shift that makes all ports free now; below those that systems hand out by themselves."""
    while True:
        base = random.SystemRandom().randrange(1000, 24_000)
        try:
            for port in PORTS:
                socket.create_server(("127.0.0.1", base + port)).close()
        except OSError:
            continue
        return base


def an_address(domain: str = "example.org") -> str:
    """Gives an address that no other test uses."""
    return f"{uuid.uuid4().hex[:12]}@{domain}"
