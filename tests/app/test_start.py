"""What is handed from process to process, the sockets that are held, and how small the process that holds them is."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from smtpeter.app.sockets import Sockets
from smtpeter.app.start import Errand, Opening, Start, configuration
from smtpeter.config import Config, Listen, Smtp, development
from smtpeter.world.listening import bind
from smtpeter.world.process_files import announced, running

MAX_SUPERVISOR_KIB = 30 * 1024
ROLES = frozenset({"smtp"})


def smtp_on(*places: Listen) -> Config:
    return replace(Config(), smtp=replace(Smtp(), listeners=places, tls_listeners=()))


def test_errand_arrives_as_it_was_sent() -> None:
    start = Start(("api", "smtp"), "/usr/bin/smtpeter", smart_host=("host.example", 25), workers=3)
    errand = Errand(start, 2, 3, (Opening("smtp", 7),), 8, None, 2527, board=9, place=4)
    assert msgspec.json.decode(msgspec.json.encode(errand), type=Errand) == errand


def test_smart_host_of_the_command_line_goes_before_all_routes() -> None:
    start = Start(("mta",), "smtpeter", is_development=True, smart_host=("host.example", 2025), data_dir="elsewhere")
    config = configuration(start, None)
    assert (config.delivery.smart_host.host, config.delivery.smart_host.port) == ("host.example", 2025)
    assert not config.delivery.routes
    assert config.server.data_dir == Path("elsewhere")


def test_new_configuration_keeps_the_sockets_that_are_in_both() -> None:
    sockets = Sockets(ROLES, is_development=False)
    any_port, other = Listen("127.0.0.1", 0), Listen("127.0.0.2", 0)
    sockets.open(smtp_on(any_port, any_port))
    before = sockets.openings
    assert len({opening.descriptor for opening in before}) == 2
    sockets.open(smtp_on(any_port, other))
    assert sockets.openings[0] == before[0]
    os.fstat(before[1].descriptor)  # workers of the old configuration may still be started on it
    sockets.close_others()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(before[1].descriptor)
    sockets.close()
    assert sockets.openings == ()


def test_configuration_that_cannot_be_opened_changes_no_socket() -> None:
    sockets = Sockets(ROLES, is_development=False)
    sockets.open(smtp_on(Listen("127.0.0.1", 0)))
    before = sockets.openings
    with bind("127.0.0.1", 0) as foreign:
        taken = Listen("127.0.0.1", foreign.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            sockets.open(smtp_on(Listen("127.0.0.1", 0), Listen("127.0.0.2", 0), taken))
    assert sockets.openings == before
    sockets.close()


def test_development_mode_goes_on_to_the_next_free_port() -> None:
    with bind("127.0.0.1", 0) as foreign:
        taken = foreign.getsockname()[1]
        config = development()
        wanted = replace(config, development=replace(config.development, capture=Listen("127.0.0.1", taken)))
        sockets = Sockets(frozenset(), is_development=True)
        sockets.open(wanted)
        assert taken < sockets.capture_port <= taken + 50
        sockets.close()


def test_roles_choose_which_doors_are_opened() -> None:
    sockets = Sockets(frozenset({"mta"}), is_development=False)
    sockets.open(Config())
    assert sockets.openings == ()
    assert sockets.capture_port == 0


def test_gateway_is_found_as_long_as_it_lives(tmp_path: Path) -> None:
    assert running(tmp_path) == []
    with announced(tmp_path):
        assert running(tmp_path) == [os.getpid()]
        left_behind = tmp_path / "run" / "123456"
        left_behind.touch()
        assert running(tmp_path) == [os.getpid()]
        assert not left_behind.exists()
    assert running(tmp_path) == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not show memory in /proc")
def test_supervisor_is_small() -> None:
    script = "import smtpeter.app.supervisor; print(open('/proc/self/status').read())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    (resident,) = [line for line in done.stdout.splitlines() if line.startswith("VmRSS:")]
    assert int(resident.split()[1]) < MAX_SUPERVISOR_KIB


def test_supervisor_loads_neither_event_loop_nor_store() -> None:
    script = "import sys, smtpeter.app.supervisor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "smtpeter.app.supervisor" in loaded
    assert loaded.isdisjoint({"asyncio", "uvloop", "apsw", "cryptography", "structlog", "smtpeter.store.store"})
