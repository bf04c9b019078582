"""rspamd as a judge of form: its own rules on a message alone, without lists, statistics or the network."""

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.programs import program
from tests.live.waiting import free_port, listens, until

STARTS_TRIED = 3
START_SECONDS = 60.0  # it compiles its expressions first
STOP_SECONDS = 20.0
RULES = Path("/usr/share/rspamd")  # where Debian puts what belongs to the program
SETTINGS = Path("/etc/rspamd")

# the name servers' port is that of nobody, so that nothing is asked; two suffixes are soon compiled, 9,000 are not
_CONFIGURATION = """\
lua = "{rules}/rules/rspamd.lua"
options {{
  pidfile = "{folder}/pid";
  filters = "chartable,regexp";
  cache_file = "{folder}/symbols.cache";
  hs_cache_dir = "{folder}";
  tempdir = "{folder}";
  control_socket = "{folder}/control mode=0600";
  url_tld = "{folder}/suffixes";
  dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.01s; retransmits = 1; }}
}}
logging {{ type = "file"; filename = "{folder}/log"; level = "warning"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; mime = true; count = 1; }}
modules {{ path = "{rules}/plugins/"; }}
.include "{settings}/groups.conf"
regexp {{ max_size = 16M; }}
chartable {{ threshold = 0.3; symbol = "R_MIXED_CHARSET"; }}
"""


@dataclass(frozen=True, slots=True)
class Rspamd:
    """A running one."""

    port: int

    def blames(self, content: bytes) -> dict[str, float]:
        """Gives the symbols that speak against a message, with their scores."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/checkv2", content, method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            symbols = json.load(answer)["symbols"]
        return {name: symbol["score"] for name, symbol in symbols.items() if symbol["score"] > 0}


@contextmanager
def rspamd(folder: Path) -> Iterator[Rspamd]:
    """Gives a running rspamd with a folder of its own; without one the test is skipped by name."""
    path = program("rspamd")
    if not (RULES / "rules/rspamd.lua").exists():
        pytest.skip("rspamd is not where Debian puts it")
    (folder / "suffixes").write_text("com\norg\n")
    process = None
    try:
        for _ in range(STARTS_TRIED):
            port = free_port()
            conf = folder / "rspamd.conf"
            conf.write_text(_CONFIGURATION.format(rules=RULES, settings=SETTINGS, folder=folder, port=port))
            process = _start(path, conf)
            if _is_up(process, port):
                break
        else:
            raise AssertionError(f"rspamd does not start: {(folder / 'printed').read_text()}")
        yield Rspamd(port)
    finally:
        if process is not None and process.poll() is None:
            process.terminate()
            process.wait(STOP_SECONDS)


def _start(path: str, conf: Path) -> subprocess.Popen[bytes]:
    command = [path, "-c", str(conf), "-f"]
    if os.geteuid() == 0:
        command.append("--insecure")
    with (conf.parent / "printed").open("wb") as printed:
        return subprocess.Popen(command, stdout=printed, stderr=printed)


def _is_up(process: subprocess.Popen[bytes], port: int) -> bool:
    until(lambda: listens(port) or process.poll() is not None, "rspamd listens", START_SECONDS)
    return process.poll() is None
