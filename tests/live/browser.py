"""A real Chromium, driven over its DevTools protocol by a pair of pipes, with a web that the test answers for.

Every request stops before it goes out: `Web` says whether it goes on to the network, and what it is answered with
otherwise. So a navigation can be followed to hosts that do not exist.
"""

import asyncio
import base64
import contextlib
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,LocalNetworkAccessChecks", "--mute-audio"),
    "--remote-debugging-pipe",
)
# the protocol is spoken on descriptors 3 and 4, whatever they are here
_LAUNCH = (
    "import os, sys; r, w = map(int, sys.argv[1:3]); os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_SECONDS = 20.0


class BrowserFailed(Exception):
    """The browser refused a command."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Where a navigation ended: the address of the last request with its fragment, and the status of the answer."""

    url: str
    status: int
    requests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """What is answered at a host that does not exist."""

    content: bytes
    type: str = "text/html; charset=utf-8"


@dataclass(slots=True)
class Tab:
    """One page of the browser. `network_host` is the only host that requests go out to."""

    browser: "Browser"
    session: str
    network_host: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # addresses of all kinds of requests so far
    _loaded: asyncio.Event = field(default_factory=asyncio.Event)
    _requests: list[str] = field(default_factory=list)
    _status: int = 0

    async def go(self, url: str) -> Ended:
        """Follows an address to its end."""
        self._requests, self._status = [], 0
        done = await self.command("Page.navigate", url=url)
        if not self._requests:
            raise BrowserFailed(f"{url!r}: {done.get('errorText')}")
        return Ended(self._requests[-1], self._status, tuple(self._requests))

    async def load(self, url: str) -> Ended:
        """Follows an address and waits until all that the page loads is there."""
        self._loaded.clear()
        ended = await self.go(url)
        await self._is_loaded()
        return ended

    async def press(self, selector: str) -> None:
        """Presses something that leads to another page, and waits for that page."""
        self._loaded.clear()
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")
        await self._is_loaded()

    async def _is_loaded(self) -> None:
        async with asyncio.timeout(_SECONDS):
            await self._loaded.wait()

    async def evaluate(self, expression: str) -> Any:
        """Gives the value of an expression in the page."""
        done = await self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise BrowserFailed(str(done["exceptionDetails"]))
        return done["result"].get("value")

    async def command(self, method: str, **parameters: Any) -> Any:
        return await self.browser.command(method, self.session, **parameters)

    def hear(self, method: str, told: Mapping[str, Any]) -> None:
        """Takes what the browser tells of this page."""
        if method == "Fetch.requestPaused":
            url = told["request"]["url"]
            self.asked.append(url)
            if told["resourceType"] == "Document":
                self._requests.append(url + told["request"].get("urlFragment", ""))
            self.browser.begin(self._decide(told["requestId"], url))
        elif method == "Network.responseReceived" and told["type"] == "Document":
            self._status = told["response"]["status"]
        elif method == "Page.loadEventFired":
            self._loaded.set()

    async def _decide(self, id: str, url: str) -> None:
        if url.partition("://")[2].partition("/")[0] == self.network_host:
            await self.command("Fetch.continueRequest", requestId=id)
            return
        page = self.pages.get(url, Page(b"<title>the end</title>"))
        headers = [{"name": "Content-Type", "value": page.type}, {"name": "Cache-Control", "value": "no-store"}]
        body = base64.b64encode(page.content).decode()
        await self.command("Fetch.fulfillRequest", requestId=id, responseCode=200, responseHeaders=headers, body=body)


class Browser:
    """One running browser."""

    def __init__(self, commands: int, answers: asyncio.StreamReader) -> None:
        self._commands = commands
        self._answers = answers
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tabs: dict[str, Tab] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.begin(self._listen())

    async def tab(self, network_host: str) -> Tab:
        """Opens a page."""
        target = await self.command("Target.createTarget", url="about:blank")
        attached = await self.command("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab = self._tabs[attached["sessionId"]] = Tab(self, attached["sessionId"], network_host)
        await tab.command("Network.enable")
        await tab.command("Page.enable")
        await tab.command("Fetch.enable", patterns=[{"urlPattern": "*"}])
        return tab

    async def command(self, method: str, session: str = "", **parameters: Any) -> Any:
        """Gives the result of a command. Raises BrowserFailed."""
        number = next(self._numbers)
        asked = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        os.write(self._commands, json.dumps(asked).encode() + b"\0")
        async with asyncio.timeout(_SECONDS):
            told = await future
        if "error" in told:
            raise BrowserFailed(f"{method}: {told['error']}")
        return told["result"]

    def begin(self, work: Any) -> None:
        """Runs what goes on beside."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Ends what goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            told = json.loads((await self._answers.readuntil(b"\0"))[:-1])
            if "id" in told:
                future = self._waiting.pop(told["id"])
                if not future.done():
                    future.set_result(told)
            elif told.get("sessionId") in self._tabs:
                self._tabs[told["sessionId"]].hear(told["method"], told["params"])


@contextlib.asynccontextmanager
async def browsing(folder: Path, *options: str, **resolved: str) -> AsyncIterator[Browser]:
    """Runs a browser for which hosts (with `_` for `.`) are at the addresses given, and no others exist."""
    rules = [f"MAP {name.replace('_', '.')} {place}" for name, place in resolved.items()]
    rules.append("MAP * ~NOTFOUND")
    assert CHROMIUM is not None
    theirs_in, ours_out = _pipe()
    ours_in, theirs_out = _pipe()
    command = [sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), CHROMIUM, *_OPTIONS, *options]
    command += [f"--user-data-dir={folder / 'profile'}", f"--host-resolver-rules={', '.join(rules)}", "about:blank"]
    process = subprocess.Popen(
        command, pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(theirs_in)
    os.close(theirs_out)
    reader = asyncio.StreamReader(limit=2**26)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours_in, "rb", 0)
    )
    browser = Browser(ours_out, reader)
    try:
        yield browser
        with contextlib.suppress(TimeoutError, BrowserFailed):
            await browser.command("Browser.close")
    finally:
        await browser.close()
        transport.close()
        os.close(ours_out)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pipe() -> tuple[int, int]:
    """Gives both ends of a pipe, with numbers that the launcher does not need."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
