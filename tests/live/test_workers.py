"""Several workers: they share clients, are replaced one by one or when they die, and no mail is refused, lost or doubled."""

import collections
import contextlib
import os
import signal
import smtplib
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.live.clients import RawClient, logged_in, mail, queued_id
from tests.live.gateway import Gateway, an_address
from tests.live.receivers import smtp_sink
from tests.live.waiting import free_port, until

SENDER = {"from": "joe@example.com"}
BURST = 50
SOCKETS = Path("/proc/net/tcp")
PATIENCE_SECONDS = 3  # of the watchdog, in tests


class Load:
    """Clients that send mail by SMTP and REST, each mail over a connection of its own, until they are told to end."""

    def __init__(self, gateway: Gateway, recipient: str, clients: int = 4) -> None:
        self._gateway = gateway
        self._recipient = recipient
        self._is_over = threading.Event()
        self.subjects: list[str] = []  # of mails that were accepted
        self.troubles: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, number: int) -> None:
        count = 0
        while not self._is_over.is_set():
            count += 1
            subject = f"mail-{number}-{count}"
            try:
                (self._by_rest if number % 2 else self._by_smtp)(subject)
            except (OSError, smtplib.SMTPException, AssertionError) as trouble:
                self.troubles.append(f"{subject}: {trouble!r}")
            else:
                self.subjects.append(subject)

    def _by_smtp(self, subject: str) -> None:
        place = self._gateway.ready["smtp"]
        with smtplib.SMTP(place["host"], place["port"], timeout=20) as client:
            client.login(place["user"], place["password"])
            content = f"From: joe@example.com\r\nTo: {self._recipient}\r\nSubject: {subject}\r\n\r\nx\r\n"
            client.sendmail("joe@example.com", [self._recipient], content)

    def _by_rest(self, subject: str) -> None:
        self._gateway.sent(recipient=self._recipient, **SENDER, subject=subject, text="x")


def open_connections(pid: int, port: int) -> int:
    """Gives how many clients of a port a process has."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    # proc(5): local address, state (01: established) and inode are fields 1, 3 and 9
    rows = [line.split() for line in SOCKETS.read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" and row[9] in inodes for row in rows)


@pytest.mark.skipif(not SOCKETS.exists(), reason="the system does not show whose sockets are whose")
def test_connections_that_come_at_once_are_shared(new_gateway):
    gateway = new_gateway("--workers", "2")
    place = gateway.ready["smtp"]
    clients = [socket.create_connection((place["host"], place["port"]), timeout=10) for _ in range(BURST)]
    assert all(client.recv(512).startswith(b"220 ") for client in clients)
    shares = [open_connections(pid, place["port"]) for pid in gateway.workers().values()]
    assert sum(shares) == BURST
    assert all(15 <= share <= 35 for share in shares), shares
    for client in clients:
        client.close()
    gateway.stop()


def test_quick_start_is_printed_once_and_the_ready_file_names_the_supervisor(new_gateway):
    gateway = new_gateway("--workers", "2")
    assert gateway.printed().count("smtpeter is ready") == 1
    (ready,) = gateway.facts("start.ready")
    assert ready["pid"] == gateway.ready["pid"]
    assert ready["pid"] not in gateway.workers().values()
    assert ready["workers"] == len(gateway.workers()) == 2
    gateway.stop()


def test_rolling_restart_under_load_refuses_loses_and_doubles_nothing(new_gateway, open_path):
    with smtp_sink(open_path / "sink") as sink:
        gateway = new_gateway("--workers", "2", "--smart-host", sink.place)
        before = gateway.workers()
        with Load(gateway, an_address()) as load:
            until(lambda: len(load.subjects) >= 20, "mail flows")
            for count in (1, 2):
                gateway.command("reload")
                until(lambda count=count: len(gateway.facts("reload.done")) == count, "all are new", 30, gateway.log)
            until(lambda: _have_ended(gateway, before), "the old ones have ended", 20, gateway.log)
        assert load.troubles == []
        until(lambda: len(_subjects(sink)) >= len(load.subjects), "all mail is there", 20, gateway.log)
        assert _subjects(sink) == collections.Counter(load.subjects)
        assert set(before.values()).isdisjoint(gateway.workers().values())
        gateway.stop()
        assert all(fact["exit_code"] == 0 for fact in gateway.facts("worker.ended"))
        assert gateway.facts("worker.died") == []


def test_message_that_is_being_sent_to_a_worker_that_retires_is_taken(new_gateway):
    gateway = new_gateway()
    (old,) = gateway.workers().values()
    recipient = an_address()
    with logged_in(gateway) as client:
        client.say("MAIL FROM:<joe@example.com>")
        client.say(f"RCPT TO:<{recipient}>")
        assert client.say("DATA").startswith("354 ")
        client.write(mail("joe@example.com", recipient))
        gateway.signal(signal.SIGHUP)
        until(lambda: gateway.facts("reload.done"), "the new one works", 15, gateway.log)
        with RawClient(gateway.ready["smtp"], gateway.ready["ca"]) as other:
            assert other.line().startswith("220 ")
        client.write(b"The rest.\r\n")
        queued_id(client.say("."))
    until(lambda: _have_ended(gateway, {1: old}), "the old one has ended", 20, gateway.log)
    assert len(gateway.captured(recipient)) == 1
    gateway.stop()


def test_reload_opens_and_closes_listeners(new_gateway, tmp_path):
    file = tmp_path / "smtpeter.toml"
    first, second, third = free_port(), free_port(), free_port()

    def configure(*ports: int) -> None:
        places = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
        file.write_text(f"[smtp]\nlisteners = [{places}]\n")

    configure(first, second)
    gateway = new_gateway("--config", str(file))
    configure(second, third)
    gateway.signal(signal.SIGHUP)
    until(lambda: gateway.facts("reload.done"), "the new one works", 15, gateway.log)
    assert [_greets(port) for port in (second, third)] == [True, True]
    until(lambda: not _greets(first), "the port is closed", 15, gateway.log)
    gateway.stop()


def test_mistake_in_the_configuration_changes_nothing(new_gateway, tmp_path):
    file = tmp_path / "smtpeter.toml"
    file.write_text("")
    gateway = new_gateway("--config", str(file))
    before = gateway.workers()
    file.write_text('[smtp]\nmax_recipients = "many"\n')
    gateway.signal(signal.SIGHUP)
    (refused,) = until(lambda: gateway.facts("reload.refused"), "the mistake is told", 15, gateway.log)
    assert "smtpeter.toml line 2" in refused["error"]
    # a worker that dies now is replaced with the configuration that was found good
    os.kill(before[1], signal.SIGKILL)
    until(lambda: gateway.workers() != before, "a new worker is ready", 15, gateway.log)
    assert gateway.send(recipient=an_address(), **SENDER, text="x").status == 200
    gateway.stop()


def test_killed_worker_is_replaced_and_its_mail_arrives(new_gateway, open_path):
    with smtp_sink(open_path / "sink", "-w", "1") as sink:
        gateway = new_gateway("--workers", "2", "--smart-host", sink.place, DELIVERY__CONCURRENCY_PER_LANE="2")
        before = gateway.workers()
        ids = [gateway.sent(recipient=an_address(), **SENDER, subject=f"mail-{n}", text="x") for n in range(6)]
        os.kill(before[1], signal.SIGKILL)
        os.kill(before[2], signal.SIGKILL)
        until(lambda: set(gateway.workers().values()).isdisjoint(before.values()), "both are replaced", 15, gateway.log)
        assert [fact["exit_code"] for fact in gateway.facts("worker.died")] == [-9, -9], gateway.log()
        for id in ids:
            gateway.event(id, "delivery")
        assert set(_subjects(sink)) == {f"mail-{n}" for n in range(6)}
        gateway.stop()


def test_frozen_worker_is_killed_and_its_mail_arrives(new_gateway, open_path):
    with smtp_sink(open_path / "sink", "-w", "1") as sink:
        gateway = new_gateway("--workers", "2", "--smart-host", sink.place, "--watchdog-seconds", str(PATIENCE_SECONDS))
        before = gateway.workers()
        ids = [gateway.sent(recipient=an_address(), **SENDER, subject=f"mail-{n}", text="x") for n in range(6)]
        began = time.monotonic()
        os.kill(before[1], signal.SIGSTOP)
        # who does not run accepts nobody: all that come are served by the other
        ids += [gateway.sent(recipient=an_address(), **SENDER, subject=f"late-{n}", text="x") for n in range(6)]
        until(lambda: gateway.workers()[1] != before[1], "it is replaced", 15, gateway.log)
        assert gateway.workers()[2] == before[2]
        (killed,) = gateway.facts("worker.killed")
        assert killed["worker_pid"] == before[1]
        for id in ids:
            gateway.event(id, "delivery")
        assert time.monotonic() - began < 60
        assert len(_subjects(sink)) == 12
        gateway.stop()


def test_gateway_that_stood_still_as_a_whole_kills_nobody(new_gateway):
    gateway = new_gateway("--watchdog-seconds", "2")
    before = gateway.workers()
    group = [gateway.ready["pid"], *before.values()]
    for pid in group:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(4)
    os.kill(group[0], signal.SIGCONT)
    os.kill(group[1], signal.SIGCONT)
    assert gateway.send(recipient=an_address(), **SENDER, text="x").status == 200
    gateway.stop()
    assert gateway.workers() == before
    assert gateway.facts("worker.killed") == []


def test_workers_end_when_their_supervisor_is_killed(new_gateway):
    gateway = new_gateway("--workers", "2")
    workers = gateway.workers()
    gateway.signal(signal.SIGKILL)
    until(lambda: len(gateway.facts("worker.done")) == 2, "both have drained", 15, gateway.log)
    until(lambda: not any(_is_there(pid) for pid in workers.values()), "both have ended", 15, gateway.log)


def test_interrupt_from_the_terminal_reaches_all_and_ends_in_order(new_gateway):
    gateway = new_gateway("--workers", "2")
    recipient = an_address()
    with logged_in(gateway) as client:
        client.say("MAIL FROM:<joe@example.com>")
        client.say(f"RCPT TO:<{recipient}>")
        client.say("DATA")
        os.killpg(gateway.ready["pid"], signal.SIGINT)
        until(lambda: len(gateway.facts("worker.draining")) == 2, "both drain", 15, gateway.log)
        client.write(mail("joe@example.com", recipient))
        queued_id(client.say("."))
    assert gateway.exit_code() == 0, gateway.log()
    assert "Traceback" not in gateway.log()


def test_reload_without_a_gateway_fails(new_gateway):
    gateway = new_gateway()
    gateway.stop()
    assert gateway.command("reload", exit_code=1) == ""


def _subjects(sink) -> "collections.Counter[str]":
    """Gives how often each subject has arrived."""
    lines = [line for dump in sink.mails() for line in dump.content.splitlines() if line.startswith(b"Subject: ")]
    return collections.Counter(line[9:].decode() for line in lines)


def _have_ended(gateway: Gateway, workers: dict[int, int]) -> bool:
    return {fact["worker_pid"] for fact in gateway.facts("worker.ended")} >= set(workers.values())


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            return client.recv(512).startswith(b"220 ")
    except OSError:
        return False
