"""Web servers in memory: pages and handlers by URL, behind the network and the zone of a story.

    web = Web(network, zone)
    web.page("https://www.example.com/logo.png", b"...", type="image/png")
    web.redirect("http://example.com/", "https://www.example.com/")
    web.handle("https://hooks.example.com/in", lambda call: Reply(204))
    ...
    assert [call.url for call in web.calls] == ["https://www.example.com/logo.png"]

A host gets an address (198.51.100.x) in the zone when it has none, and listens on the ports of its URLs; those of https
make handshakes with a certificate for its name. What nobody mentioned is answered with 404. The gateway's own client
talks to them, so a story sees what the world would see. A handler's error is raised when the network is closed.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit

from smtpeter.testing.network import Line, MemoryStream, Network, Tls
from smtpeter.testing.zone import Zone
from smtpeter.world.fetch.client import HttpClient, Rules
from smtpeter.world.networks import Destinations, parse_networks

NETWORK = "198.51.100.0/24"  # of the hosts, RFC 5737
_FIRST_ADDRESS = 101
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Call:
    """One request that a host received; names of fields in lower case."""

    method: str
    url: str
    fields: Mapping[str, str]
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a host answers; its length is said unless `fields` say something else."""

    status: int = 200
    content: bytes = b""
    fields: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Gives the answer as it goes over the wire."""
        fields = {"Content-Length": str(len(self.content)), **self.fields}
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in fields.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.content


Handler = Callable[[Call], Reply]


@dataclass(slots=True)
class _Site:
    """What one host and port serve."""

    origin: str
    handlers: dict[str, Handler] = field(default_factory=dict)


class Web:
    """All web servers of a story. `calls` are the requests so far, to all of them, in their order."""

    def __init__(self, network: Network, zone: Zone) -> None:
        self._network = network
        self._zone = zone
        self._sites: dict[str, _Site] = {}
        self.calls: list[Call] = []

    def page(self, url: str, content: bytes, *, type: str = "", status: int = 200, **fields: str) -> None:
        """Puts content at a URL, in place of what was there; `fields` with `_` for `-`, as `cache_control="no-store"`."""
        said = {"Content-Type": type} if type else {}
        said |= {name.replace("_", "-"): value for name, value in fields.items()}
        self.handle(url, lambda _: Reply(status, content, said))

    def redirect(self, url: str, location: str, status: int = 302) -> None:
        """Makes a URL lead to another."""
        self.page(url, b"", status=status, location=location)

    def handle(self, url: str, handler: Handler) -> None:
        """Lets a handler answer what is asked of a URL, without regard to its query."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        site = self._sites.get(f"{host}:{port}")
        if site is None:
            site = self._open(f"{parts.scheme}://{parts.netloc}", host, port)
        site.handlers[parts.path or "/"] = handler

    @cached_property
    def client(self) -> HttpClient:
        """The client of a gateway that may connect to these hosts as if they were on the Internet."""
        destinations = Destinations(allowed=parse_networks([NETWORK]))
        # verifies like the real one; who is to be trusted says the line of each host
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return HttpClient(self._zone, self._network, context, Rules(destinations, allow_high_ports=True))

    def _open(self, origin: str, host: str, port: int) -> _Site:
        site = self._sites[f"{host}:{port}"] = _Site(origin)
        if host not in self._zone:
            self._zone[host] = {"a": [f"198.51.100.{_FIRST_ADDRESS + len(self._sites)}"]}

        async def serve(stream: MemoryStream) -> None:
            await self._serve(site, stream)

        name = self._zone[host]
        for ip in (*name.get("aaaa", ()), *name.get("a", ())):
            self._network.listen(ip, serve, Line(tls=Tls(names=frozenset({host}))), port=port)
        return site

    async def _serve(self, site: _Site, stream: MemoryStream) -> None:
        call = await _read_call(site.origin, stream)
        if call is None:
            return
        self.calls.append(call)
        handler = site.handlers.get(urlsplit(call.url).path)
        stream.write((handler(call) if handler else Reply(404)).to_bytes())
        await stream.drain()


async def _read_call(origin: str, stream: MemoryStream) -> Call | None:
    """Gives the request that comes, None when the client leaves before it is complete."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := await stream.read()):
            return None
        data += more
    head, _, content = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    method, path, _ = first.split(" ")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(content) < int(fields.get("content-length", "0")):
        if not (more := await stream.read()):
            return None
        content += more
    return Call(method, origin + path, fields, content)
