"""A gateway with processes of its own, with the durability of production: prepared, started, measured, frozen, killed.

It relays for loopback and hands everything to one receiver on loopback; settings go by the environment, as in
bench/contestant.sh. The benchmark and the tests that kill processes use it. Blocking calls throughout.

Raises `GatewayFailed`, with the end of its log, when a process does not do what it is told.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sysconfig
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

PROGRAM = Path(sysconfig.get_path("scripts")) / "smtpeter"
USER = "user@bench.test"
PASSWORD = "s3cret-bench"
DOMAIN = "bench.test"
TOKEN = "smtpeter_" + "bench-" * 8
READY_SECONDS = 60.0
STOP_SECONDS = 60.0
_READY = b'"start.ready"'
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class GatewayFailed(Exception):
    """A command or the gateway itself ended or hung; `str()` shows the end of its log."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the gateway listens on 127.0.0.1."""

    smtp: int
    rest: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a gateway's living processes have used since they began: CPU of user and kernel, and the most memory.

    The memory is the sum of what each had at most, so what they share counts several times.
    """

    cpu_seconds: float
    peak_bytes: int


def free_ports(count: int) -> list[int]:
    """Gives ports that are free now and that no outgoing connection will be given, so they stay free for a restart."""
    try:
        first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        first_ephemeral = 32768
    candidates = range(min(10_000, first_ephemeral // 2), first_ephemeral)
    choice = random.SystemRandom()
    found: set[int] = set()
    while len(found) < count:
        port = choice.choice(candidates)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.add(port)
    return sorted(found)


@dataclass(slots=True)
class Gateway:
    """One installation in `home`. `receiver_port` is where its mail goes; `store_url` "": SQLite in `home`.

    `settings` are further ones, by the names of their variables without the prefix; `tables` is the text of a
    configuration file, for what has no variable; `arguments` go to `smtpeter serve`.
    """

    home: Path
    receiver_port: int
    roles: str = "smtp,api,mta"
    store_url: str = ""
    workers: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    tables: str = ""
    arguments: tuple[str, ...] = ()
    ports: Ports = field(default_factory=lambda: Ports(*free_ports(2)))
    _process: "subprocess.Popen[bytes] | None" = None
    _log_reader: threading.Thread | None = None

    @property
    def log_file(self) -> Path:
        """Where the gateway's log goes."""
        return self.home / "gateway.log"

    @property
    def store(self) -> str:
        """The address of its store."""
        return self.store_url or f"sqlite:{self.home}/data/smtpeter.db"

    def environment(self) -> dict[str, str]:
        """Gives the settings, over the environment of this process without its own settings."""
        settings = {
            "SERVER__HOSTNAME": "mx.bench.test",
            "SERVER__DATA_DIR": str(self.home / "data"),
            "SMTP__LISTENERS": f"127.0.0.1:{self.ports.smtp}",
            "SMTP__TLS_LISTENERS": "",
            "SMTP__TRUSTED_NETWORKS": f"127.0.0.0/8={USER}",
            "SMTP__MAX_CONNECTIONS_PER_LOGIN": "10000",
            "HTTP__LISTENERS": f"127.0.0.1:{self.ports.rest}",
            "HTTP__TLS_LISTENERS": "",
            "HTTP__ALLOW_LOOPBACK_HTTP": "true",
            "HTTP__REQUESTS_PER_SECOND": "0",
            "DELIVERY__SMART_HOST__HOST": "127.0.0.1",
            "DELIVERY__SMART_HOST__PORT": str(self.receiver_port),
            "DELIVERY__SMART_HOST__TLS": "none",
            "DELIVERY__MESSAGES_PER_CONNECTION": "1000000",
        }
        if self.store_url:
            settings["STORE__URL"] = self.store_url
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SMTPETER_")}
        settings |= self.settings
        return inherited | {f"SMTPETER_{name}": value for name, value in settings.items()}

    def prepare(self, *, is_signed: bool) -> None:
        """Makes account, login, token and sender domain, with an RSA-2048 key or without one."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._command("account", "create", "bench")
        self._command("login", "create", "--user", USER, "--password-file=-", secret=PASSWORD)
        self._command("token", "create", "--secret-file=-", secret=TOKEN)
        self._command("domain", "add", DOMAIN, "--approved", *([] if is_signed else ["--unsigned"]))

    def start(self) -> None:
        """Starts the process, as the leader of a group of its own, and returns when all its doors are open."""
        words: list[str | Path] = [
            PROGRAM,
            "serve",
            "--roles",
            self.roles,
            "--workers",
            str(self.workers),
            *self.arguments,
        ]
        if self.tables:
            file = self.home / "smtpeter.toml"
            file.write_text(self.tables)
            words += ["--config", file]
        process = subprocess.Popen(
            words,
            env=self.environment(),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._process = process
        assert process.stderr is not None
        is_settled, is_ready = threading.Event(), threading.Event()
        self._log_reader = threading.Thread(
            target=_keep_log, args=(process.stderr, self.log_file, is_ready, is_settled), daemon=True
        )
        self._log_reader.start()
        if not is_settled.wait(READY_SECONDS) or not is_ready.is_set():
            self.kill()
            raise GatewayFailed(f"The gateway did not start:\n{self.log_tail()}")

    def processes(self) -> list[int]:
        """Gives the supervisor and its workers that live, by process id. Raises GatewayFailed when there are none."""
        if self._process is None:
            raise GatewayFailed("The gateway does not run.")
        try:
            return _family(self._process.pid)
        except OSError as error:
            raise GatewayFailed(f"The gateway has ended:\n{self.log_tail()}") from error

    def freeze(self) -> None:
        """Stops the process group where it stands (SIGSTOP), until `thaw`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets the process group go on."""
        self._signal(signal.SIGCONT)

    def facts(self, name: str) -> list[dict[str, Any]]:
        """Gives the lines of its log about one fact, since its first start."""
        lines = self.log_file.read_bytes().splitlines() if self.log_file.exists() else []
        wanted = f'"{name}"'.encode()
        return [json.loads(line) for line in lines if wanted in line]

    def worker_pids(self) -> dict[int, int]:
        """Gives the process ids of the workers that were ready last, by their numbers."""
        return {fact["worker"]: fact["worker_pid"] for fact in self.facts("worker.ready")}

    def kill(self) -> None:
        """Ends the process group at once, as a power cut would (SIGKILL). No effect when it is not running."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Lets the gateway finish what is in flight (SIGTERM). Raises GatewayFailed unless it ends in order."""
        if self._process is not None and self._end(signal.SIGTERM) != 0:
            raise GatewayFailed(f"The gateway did not end in order:\n{self.log_tail()}")

    def usage(self) -> Usage | None:
        """Gives what supervisor and workers have used; None where the system does not show it in /proc."""
        if self._process is None:
            return None
        try:
            usages = [_usage(pid) for pid in _family(self._process.pid)]
        except OSError:
            return None
        return Usage(sum(one.cpu_seconds for one in usages), sum(one.peak_bytes for one in usages))

    def log_tail(self) -> str:
        """Gives the last lines of the log."""
        if not self.log_file.exists():
            return "(no log)"
        return self.log_file.read_bytes()[-4000:].decode("utf-8", "replace")

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _end(self, number: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        self._signal(number)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        if self._log_reader is not None:
            self._log_reader.join()
        self._process = None
        return code

    def _command(self, *arguments: str, secret: str = "") -> None:
        done = subprocess.run(
            [PROGRAM, *arguments], env=self.environment(), cwd=self.home, input=secret.encode(), capture_output=True
        )
        if done.returncode:
            text = (done.stdout + done.stderr).decode("utf-8", "replace")
            raise GatewayFailed(f"smtpeter {' '.join(arguments)} failed:\n{text}")


def _family(pid: int) -> list[int]:
    """Gives a process and its children. Raises OSError."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [pid, *map(int, children.split())]


def _usage(pid: int) -> Usage:
    """Gives what one process has used. Raises OSError."""
    folder = Path("/proc") / str(pid)
    # proc(5): the second field is the name in parentheses, utime and stime are fields 14 and 15
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    status = (folder / "status").read_text()
    peak_kib = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
    return Usage((int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND, peak_kib * 1024)


def _keep_log(pipe: IO[bytes], path: Path, is_ready: threading.Event, is_settled: threading.Event) -> None:
    """Copies a log into its file until it ends; says when the gateway is ready, or will never be."""
    with pipe, path.open("ab", buffering=0) as file:
        for line in pipe:
            file.write(line)
            if _READY in line:
                is_ready.set()
                is_settled.set()
    is_settled.set()
