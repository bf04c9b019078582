"""Mails made of templates: the calls that make them, a web for what they name by URL, and the mails as they left.

Each sample document is sent as it is, and with all switches on, without data and with data; and one document with images that
are embedded by cid or hosted.
"""

import base64
import contextlib
import json
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.content.template.samples import sample
from tests.live.gateway import Gateway, an_address

OFF = {"trackclicks": False, "trackopens": False, "inlinecss": False}
ON = {"trackclicks": True, "trackopens": True, "inlinecss": True, "preventscam": True}
SAMPLES = ("small", "medium", "every_block")
_FEED = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>Beds</title>
<item><title>Roses &amp; thorns</title><link>https://www.garden.example/roses</link>
<description>&lt;p&gt;Cut them in &lt;b&gt;March&lt;/b&gt;; see &lt;a href="/how"&gt;how&lt;/a&gt;.&lt;/p&gt;</description></item>
</channel></rss>"""
_FOOTER = [{"type": "text", "content": "Garden Club, 1 Shed Lane\nYou get this as a member.", "align": "center"}]


def picture(width: int, height: int, color: tuple[int, int, int] = (90, 140, 200)) -> bytes:
    """Gives a PNG of one colour."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(color) * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


_PAGES = {
    "/feed.xml": ("application/rss+xml", _FEED),
    "/footer.json": ("application/json", json.dumps(_FOOTER).encode()),
    "/wide.png": ("image/png", picture(290, 100)),
    "/plan.pdf": ("application/pdf", b"%PDF-1.7\n" + bytes(range(256)) * 8),
}


class _Web(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        type_, content = _PAGES.get(self.path, ("text/plain", b""))
        self.send_response(200 if content else 404)
        self.send_header("Content-Type", type_)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextlib.contextmanager
def web() -> Iterator[str]:
    """Serves a feed, blocks, a picture and a file on loopback; gives the address without a path."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Web)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def every_block(base: str) -> dict[str, Any]:
    """Gives the sample with all types of blocks, whose feed and blocks are on this web."""
    text = json.dumps(sample("every_block"))
    found = text.replace("https://www.garden.example/blocks", base).replace(
        "https://www.garden.example/feed", f"{base}/feed"
    )
    document: dict[str, Any] = json.loads(found)
    return document


def pictures(base: str) -> dict[str, Any]:
    """Gives a document with images that come with the mail, and one whose size is looked up."""
    return {
        "from": "Jörg Müller <joerg@example.com>",
        "subject": "Bilder für {$firstname|default:'alle'}: 絵",
        "content": {
            "blocks": [
                {"type": "image", "src": "cid:logo", "alt": "Our logo", "width": "145px", "align": "center"},
                {"type": "text", "content": "Grüße aus dem Garten, {$firstname|default:'alle'} – 庭から\n" + _LETTER},
                {"type": "html", "content": '<p>and <b>again</b> <img src="cid:logo" alt="" width="20" height="20" /></p>'},
                {"type": "image", "src": f"{base}/wide.png", "alt": "A bed"},
            ]
        },
    }  # fmt: skip


PAGE = {
    "from": "news@example.com",
    "subject": "A page of one's own",
    "content": "<!DOCTYPE html><html><head><title>A page</title><style>p { color: #123456 } @media (max-width: 9px) { p { "
    "color: #654321 } }</style></head><body><p>Dear {$firstname|default:'all'|escape}, <a href=\"https://example.com/a?b=c&amp;d\">"
    "read on</a>.</p></body></html>",
}
# one line of 1,500 characters
_LETTER = (
    "The beds have been dug over, the hedge is cut, and the shed has a new door, which we owe to many hands. " * 14
)
DATA = {"firstname": 'Ann <"&\u00eb>', "line": "b7 &", "minutes": 12}


def calls(base: str) -> dict[str, dict[str, Any]]:
    """Gives the properties of calls by what they show; files of theirs are on this web."""
    logo = {"name": "logo.png", "type": "image/png", "cid": "logo", "data": base64.b64encode(picture(60, 20)).decode()}
    files = [
        {"url": f"{base}/plan.pdf"},
        {"name": "Übersicht.txt", "data": base64.b64encode("Grüße\n".encode()).decode()},
    ]
    documents = {**{name: sample(name) for name in SAMPLES}, "every_block": every_block(base), "page": PAGE}
    made: dict[str, dict[str, Any]] = {}
    for name, document in documents.items():
        for what, switches in (("", OFF), (" tracked and inlined", ON)):
            made[name + what] = {"template": document, **switches}
            made[f"{name} with data{what}"] = {"template": document, "data": DATA, **switches}
    embedded = {"template": pictures(base), "attachments": [logo]}
    made["embedded"] = {**embedded, **OFF}
    made["embedded, tracked and inlined"] = {**embedded, "data": DATA, **ON}
    made["hosted"] = {**embedded, "images": "hosted", **OFF}
    made["hosted, tracked and inlined"] = {**embedded, "images": "hosted", "data": DATA, **ON}
    made["embedded, with files"] = {"template": pictures(base), "attachments": [logo, *files], **ON}
    made["without a text part"] = {"template": {**sample("small"), "text": ""}, "autotext": False, **OFF}
    return made


@dataclass(frozen=True, slots=True)
class Sent:
    """The mails as they left, by the names of their calls, and the gateway that they left."""

    gateway: Gateway
    mails: Mapping[str, bytes]


def sent(gateway: Gateway, base: str) -> Sent:
    """Makes all calls and waits for their mails."""
    recipients = {}
    for name, properties in calls(base).items():
        recipients[name] = an_address()
        gateway.sent(recipient=recipients[name], **properties)
    return Sent(gateway, {name: gateway.captured(recipient)[0] for name, recipient in recipients.items()})
