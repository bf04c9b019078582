"""How many clicks a second one process answers, each of them an event on disk before its redirect.

Measured in turn with a constant from the same HTTP server without anything behind it, so that the figure is a ratio: of
requests a second, and of CPU a request. The load is wrk where it is installed, which takes less of the machine than
the sessions here.
"""

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.gateway import Usage
from bench.load import LoadFailed
from bench.rounds import WARM_UP_SECONDS, Bench, Line, Round, spread

SESSIONS = 32
LONGEST_WAIT_SECONDS = 10.0
_ROOT = Path(__file__).parent.parent
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_FIELDS = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
# each thread of wrk goes through the links in its own order
_SCRIPT = """
local links = {}
for link in io.lines(%(file)s) do links[#links + 1] = wrk.format("GET", link, {Host = "127.0.0.1", ["User-Agent"] = %(agent)s}) end
local at = 0
request = function() at = at %% #links + 1; return links[at] end
done = function(summary) io.write("counted ", summary.requests, " ", summary.errors.status, "\\n") end
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers on `port`, and the links that it knows."""

    pid: int
    port: int
    links: Path

    def usage(self) -> Usage | None:
        """Gives what it has used; None where the system does not show it in /proc."""
        folder = Path("/proc") / str(self.pid)
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            status = (folder / "status").read_text()
        except OSError:
            return None
        peak_kib = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
        return Usage((int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND, peak_kib * 1024)


@dataclass(frozen=True, slots=True)
class Clicks:
    """The measure."""

    name: str = "clicks, durable, kept connections"

    def run(self, bench: Bench) -> Iterator[Line]:
        """Measures one process. Raises LoadFailed."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=bench.folder)))
            door = stack.enter_context(_serving(folder))
            constant = stack.enter_context(_serving(folder, "--constant"))
            pairs = []
            for seconds in (min(WARM_UP_SECONDS, bench.seconds), *[bench.seconds] * bench.rounds):
                pairs.append((_one_round(door, seconds), _one_round(constant, seconds)))
            del pairs[0]  # the warm-up
            usage = door.usage()
        clicks = [click for click, _ in pairs]
        rates = spread([one.messages_per_second for one in clicks])
        ratios = spread([click.messages_per_second / fixed.messages_per_second for click, fixed in pairs], ".2f")
        result = f"{rates} a second, {ratios} of a constant"
        costs = [fixed.cpu_ms / click.cpu_ms for click, fixed in pairs if click.cpu_ms and fixed.cpu_ms]
        if costs:
            result += f", {statistics.median(costs):.2f} by CPU"
        yield Line(self.name, 1, SESSIONS, result, clicks, usage)


@contextmanager
def _serving(folder: Path, *arguments: str) -> Iterator[Server]:
    """Runs a server for a while."""
    command = [sys.executable, "-m", "bench.clicks_server", str(folder), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=_ROOT) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline()
            if not port:
                raise LoadFailed("The server of clicks does not start.")
            yield Server(process.pid, int(port), folder / "links")
        finally:
            process.kill()


def _one_round(server: Server, seconds: float) -> Round:
    before, begin = server.usage(), time.monotonic()
    wrk = shutil.which("wrk")
    count = _by_wrk(wrk, server, seconds) if wrk is not None else uvloop.run(_by_sessions(server, seconds))
    rate, after = count / (time.monotonic() - begin), server.usage()
    if not count:
        raise LoadFailed("No click was answered.")
    cpu_ms = 1000 * (after.cpu_seconds - before.cpu_seconds) / count if before and after else None
    return Round(rate, cpu_ms, count)


def _by_wrk(wrk: str, server: Server, seconds: float) -> int:
    """Gives how many requests were answered with a redirect."""
    script = server.links.with_suffix(".lua")
    agent = _FIELDS.partition(": ")[2]
    script.write_text(_SCRIPT % {"file": json.dumps(str(server.links)), "agent": json.dumps(agent)})
    # it takes whole seconds only
    command = [wrk, "-t1", f"-c{SESSIONS}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
    done = subprocess.run([*command, f"http://127.0.0.1:{server.port}/"], capture_output=True, text=True)
    counted = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("counted ")]
    if done.returncode or not counted or int(counted[0][1]):
        raise LoadFailed(f"wrk has failed: {done.stdout[-300:]}{done.stderr[-300:]}")
    return int(counted[0][0])


async def _by_sessions(server: Server, seconds: float) -> int:
    """Gives how many requests were answered with a redirect. Raises LoadFailed."""
    links = server.links.read_text().splitlines()
    until = time.monotonic() + seconds
    work = [_session(server.port, links[number::SESSIONS], until) for number in range(SESSIONS)]
    return sum(await asyncio.gather(*work))


async def _session(port: int, links: Sequence[str], until: float) -> int:
    requests = [f"GET {link} HTTP/1.1\r\nHost: 127.0.0.1\r\n{_FIELDS}\r\n\r\n".encode() for link in links]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    try:
        while time.monotonic() < until:
            writer.write(requests[count % len(requests)])
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 302"):
                raise LoadFailed(head.decode("latin-1"))
            count += 1
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise LoadFailed(f"no answer: {error}") from error
    finally:
        writer.close()
    return count
