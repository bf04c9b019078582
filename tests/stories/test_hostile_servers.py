"""Servers that do harm to who fetches from them: a mail goes out without what is missing, or fails orderly, in time."""

import asyncio
import gzip
import json
from collections.abc import Callable, Sequence
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from smtpeter.model.event import Deferral, Delivery, Failure
from smtpeter.prepare.gather import MAX_SECONDS, MAX_URLS
from smtpeter.testing.house import SENDER, Gateway, Story
from smtpeter.testing.network import MemoryStream
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.testing.web import Call
from smtpeter.testing.web import Reply as Page
from tests.stories.test_hostile_urls import PURPOSES, block, ends, send_letter, with_files

SITE = "http://files.example.com"
GZIP = {"Content-Encoding": "gzip"}
REST = {"type": "text", "content": "the rest"}

Serve = Callable[[MemoryStream], Any]


def document(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"from": SENDER, "subject": "x", "content": {"blocks": [*blocks, REST]}}


def evil(story: Story, *servers: Serve) -> list[str]:
    """Puts servers on the network, each under a name of its own; gives their URLs."""
    urls = []
    for number, serve in enumerate(servers):
        ip, name = f"198.51.100.{66 + number}", f"evil{number}.example.com"
        story.zone[name] = {"a": [ip]}
        story.network.listen(ip, serve, port=80)
        urls.append(f"http://{name}/a.pdf")
    return urls


def saying(octets: bytes) -> Serve:
    async def serve(stream: MemoryStream) -> None:
        await stream.read()
        stream.write(octets)
        await stream.drain()

    return serve


def dripping(before: bytes, part: bytes, seconds: float = 1.0) -> Serve:
    """Says something, and then a part again and again, for as long as somebody listens."""

    async def serve(stream: MemoryStream) -> None:
        await stream.read()
        stream.write(before)
        while True:
            await asyncio.sleep(seconds)
            stream.write(part)
            await stream.drain()

    return serve


OK = b"HTTP/1.1 200 OK\r\n"
SLOW = {
    "byte by byte from the first": dripping(b"", b"H"),
    "endless fields": dripping(OK, b"X: y\r\n"),
    "a byte a second": dripping(OK + b"Content-Length: 100000\r\n\r\n", b"z"),
    "a chunk a second": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nz\r\n"),
    "nothing": dripping(b"", b""),
    "interim answers": dripping(b"", b"", 100),
}
ENDLESS = {
    "fields": dripping(OK, b"X: y\r\n" * 1000, 0.0),
    "one field": dripping(OK + b"X: ", b"y" * 10_000, 0.0),
    "interim": dripping(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, 0.0),
    "body": dripping(OK + b"\r\n", b"z" * 60_000, 0.0),
    "chunks": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"0" * 1024 + b"\r\n", 0.0),
    "crumbs": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nz\r\n" * 500, 0.0),
    "trailers": dripping(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1000, 0.0),
    "members": dripping(OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"") * 1000, 0.0),
}
WRONG = {
    "too short": saying(OK + b"Content-Length: 100\r\n\r\nx"),
    "two lengths": saying(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy"),
    "length and chunks": saying(OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "no number": saying(OK + b"Content-Length: many\r\n\r\nxy"),
    "huge": saying(OK + b"Content-Length: 99999999999999\r\n\r\nxy"),
    "half a chunk": saying(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
    "half a file": saying(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 1000)[:-9]),
    "no HTTP": saying(b"220 mx.example.com ESMTP\r\n"),
    "bare line feeds": saying(b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx"),
}
BOMB = gzip.compress(bytes(10 * 2**20))


async def delivered(gateway: Gateway, story: Story, made: dict[str, Any]) -> float:
    """Sends a letter that must be delivered; gives how long that took."""
    begun = story.clock.monotonic()
    id = await send_letter(gateway, made)
    (event,) = await ends(gateway, [id])
    assert isinstance(event, Delivery), event
    return story.clock.monotonic() - begun


async def last_words(gateway: Gateway, urls: Sequence[str]) -> list[Failure]:
    """Sends each file in a mail of its own; gives the failures that they end in."""
    ids = [(await gateway.send("ann@example.com", content=with_files(url)))[0] for url in urls]
    events = await ends(gateway, ids)
    assert all(isinstance(event, Failure) for event in events)
    return events  # type: ignore[return-value]


# ---- imports


@pytest.mark.parametrize(
    "pages",
    [
        {"a": ["a"]},
        {"a": ["b"], "b": ["a"]},
        {"a": ["b", "c"], "b": ["c", "a"], "c": ["a", "b", "c"]},
        {"a": ["a"] * 9},
    ],
    ids=["itself", "each other", "in circles", "itself often"],
)
@in_virtual_time
async def test_imports_that_go_in_circles_end(tmp_path: Path, pages: dict[str, list[str]]) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        for name, inner in pages.items():
            blocks = [{"type": "text", "content": f"from {name}"}, *(block("import", f"{SITE}/{one}") for one in inner)]
            story.web.page(f"{SITE}/{name}", json.dumps(blocks).encode())
        gateway = await story.start()
        assert await delivered(gateway, story, document(block("import", f"{SITE}/a"))) < 10
        assert b"from a" in host.messages[0].content
        assert len(story.web.calls) == len(pages), "what was fetched once is not fetched again"


@in_virtual_time
async def test_imports_that_name_ever_new_imports_end(tmp_path: Path) -> None:
    def deeper(call: Call) -> Page:
        return Page(200, json.dumps([block("import", f"{call.url}/x"), REST]).encode())

    async with Story(tmp_path) as story:
        story.host("example.com")
        for depth in range(50):
            story.web.handle(f"{SITE}/a{'/x' * depth}", deeper)
        gateway = await story.start()
        await delivered(gateway, story, document(block("import", f"{SITE}/a")))
        assert len(story.web.calls) <= 4


@in_virtual_time
async def test_imports_that_name_hundreds_of_others_are_bounded(tmp_path: Path) -> None:
    def wider(call: Call) -> Page:
        return Page(200, json.dumps([block("import", f"{SITE}/{n}?{call.url[-20:]}") for n in range(90)]).encode())

    async with Story(tmp_path) as story:
        story.host("example.com")
        for number in range(90):
            story.web.handle(f"{SITE}/{number}", wider)
        gateway = await story.start()
        id = await send_letter(gateway, document(*(block("import", f"{SITE}/{n}") for n in range(90))))
        (event,) = await ends(gateway, [id])
        assert len(story.web.calls) <= MAX_URLS
        assert isinstance(event, Failure)
        assert "at most 1000 blocks" in event.description


# ---- size


@pytest.mark.parametrize("purpose", PURPOSES)
@in_virtual_time
async def test_what_is_too_large_is_left_out(tmp_path: Path, purpose: str) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        large = 11 * 2**20
        rss = b"<rss><channel><item><title>x</title>" + b" " * large + b"</item></channel></rss>"
        story.web.page(f"{SITE}/large", rss)
        story.web.handle(f"{SITE}/unannounced", lambda _: Page(200, rss, {"Transfer-Encoding": "chunked"}))
        story.web.handle(f"{SITE}/bomb", lambda _: Page(200, BOMB, GZIP))
        story.web.handle(f"{SITE}/bombs", lambda _: Page(200, gzip.compress(BOMB), {"Content-Encoding": "gzip, gzip"}))
        story.web.handle(f"{SITE}/members", lambda _: Page(200, gzip.compress(bytes(2**17)) * 99, GZIP))
        gateway = await story.start()
        names = ("large", "unannounced", "bomb", "bombs", "members")
        await delivered(gateway, story, document(*(block(purpose, f"{SITE}/{name}") for name in names)))
        (mail,) = host.messages
        assert b"the rest" in mail.content
        assert len(mail.content) < 20_000


@in_virtual_time
async def test_file_that_is_too_large_fails_its_mail(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        story.host("example.org")
        story.web.page(f"{SITE}/large", bytes(25 * 2**20 + 1))
        story.web.handle(f"{SITE}/bomb", lambda _: Page(200, BOMB, GZIP))
        gateway = await story.start()
        large, bomb = await last_words(gateway, [f"{SITE}/large", f"{SITE}/bomb"])
        assert "is larger than 26214400 bytes" in large.description
        assert "grows more than 200-fold" in bomb.description
        assert host.messages == []


@pytest.mark.parametrize(
    "feed",
    [
        b"<rss>" + b"<a>" * 300_000,
        b"<rss><channel><item>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</item></channel></rss>",
        b"<rss>" + b"<item>" * 60_000 + b"</item>" * 60_000 + b"</rss>",
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><rss><item><title>&b;</title></item></rss>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><rss><item><title>&a;</title></item></rss>',
        b"\xff\xfe"
        + '<!DOCTYPE x [<!ENTITY a "secret">]><rss><item><title>&a;</title></item></rss>'.encode("utf-16-le"),
        b"<rss><channel><item><description>" + b"&lt;b&gt;" * 100_000 + b"</description></item></channel></rss>",
        b"\x00" * 1000,
    ],
    ids=["deep", "deep and closed", "items in items", "entities", "a file", "in UTF-16", "markup", "nothing"],
)
@in_virtual_time
async def test_feeds_that_explode_harm_nobody(tmp_path: Path, feed: bytes) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        story.web.page(f"{SITE}/feed", feed[: 2**20])
        gateway = await story.start()
        await delivered(gateway, story, document(block("feed", f"{SITE}/feed")))
        (mail,) = host.messages
        assert not any(word in mail.content for word in (b"root:", b"secret", b"aaaaaaaaaa"))


# ---- names


NAMES = [
    'attachment; filename="a\\r\\nX-Evil: 1.txt"',
    'attachment; filename="a\rX-Evil: 1.txt"',
    'attachment; filename="a\x85X-Evil: 1\x00.txt"',
    "attachment; filename*=UTF-8''a%0D%0AX-Evil:%201%0D%0A%0D%0A.txt",
    "attachment; filename*=UTF-8''a%E2%80%A8X-Evil:%201%C2%85.txt",
    "attachment; filename*=UTF-8''a%00%ED%A0%80.txt",
    "attachment; filename*=UTF-16''%00a%00%0D%00%0A",
    "attachment; filename*0*=UTF-8''a%0D; filename*1*=%0AX-Evil:%201.txt",
    'attachment; filename="=?utf-8?q?a=0D=0AX-Evil:_1?="',
    'attachment; filename="=?utf-8?b?YQ0KWC1FdmlsOiAx?="',
    'attachment; filename="../../etc/passwd"',
    'attachment; filename="a\\"; X-Evil: 1; name=\\"b"',
    'attachment; filename="' + "a" * 5000 + '"',
    "attachment; filename=",
]
TYPES = [
    'text/plain; name="a\\r\\nX-Evil: 1"',
    'text/plain; charset="utf-8\\r\\nX-Evil: 1"',
    "text/plain\x85X-Evil: 1",
    "multipart/mixed; boundary=x",
    "message/rfc822",
    "no type at all",
    "text/" + "x" * 5000,
]


@in_virtual_time
async def test_what_a_server_calls_its_file_adds_no_header(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        gateway = await story.start()

        async def names_in(url: str) -> list[list[str]]:
            """Gives the names of the header fields of each part of the mails with this file; none when it is not taken."""
            host.messages.clear()
            (first,) = await gateway.send("ann@example.com", content=with_files(url, name=""))
            second = await send_letter(gateway, document() | {"attachments": [{"url": url}]})
            for id in (first, second):
                event = (await gateway.has_event(id, 1)).event
                if isinstance(event, Deferral) and "well-formed HTTP" in event.description:
                    return []
                assert isinstance(event, Delivery), event
            mails = [message_from_bytes(message.content) for message in host.messages]
            assert not [part for mail in mails for part in mail.walk() if "\n" in (part.get_filename() or "")]
            return [sorted(part.keys()) for mail in mails for part in mail.walk()]

        story.web.page(f"{SITE}/plain.txt", b"x", type="text/plain")
        harmless = await names_in(f"{SITE}/plain.txt")
        said = [*((name, "text/plain") for name in NAMES), *(("", kind) for kind in TYPES)]
        taken = 0
        for number, (name, kind) in enumerate(said):
            url = f"{SITE}/{number}.txt"
            fields = {"Content-Type": kind} | ({"Content-Disposition": name} if name else {})
            story.web.handle(url, lambda _, fields=fields: Page(200, b"x", fields))  # type: ignore[misc]
            if names := await names_in(url):
                assert names == harmless, (name, kind)
                taken += 1
        assert taken >= len(said) - 3


# ---- time


@in_virtual_time
async def test_slow_servers_of_what_may_be_missing_cost_no_more_than_their_time(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        urls = evil(story, *SLOW.values())
        gateway = await story.start()
        blocks = [block(purpose, f"{url}?{purpose}") for url in urls for purpose in PURPOSES]
        assert await delivered(gateway, story, document(*blocks)) <= MAX_SECONDS + 15
        assert b"the rest" in host.messages[0].content
        assert all(count <= 8 for ip, count in story.network.most.items() if ip.startswith("198.51.100."))


@in_virtual_time
async def test_slow_servers_of_files_defer_the_mail_and_keep_no_other_waiting(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        urls = evil(story, *SLOW.values())
        gateway = await story.start()
        ids = [(await gateway.send("ann@example.com", content=with_files(url)))[0] for url in urls]
        begun = story.clock.monotonic()
        (quick,) = await gateway.send("bob@example.com")
        (event,) = await ends(gateway, [quick])
        assert isinstance(event, Delivery)
        assert story.clock.monotonic() - begun < 10
        for id in ids:
            deferral = (await gateway.has_event(id, 1)).event
            assert isinstance(deferral, Deferral)
            assert "did not answer completely in time" in deferral.description
        assert story.clock.monotonic() - begun < 120
        assert len(host.messages) == 1


@pytest.mark.parametrize("kind", ["endless", "wrong"])
@in_virtual_time
async def test_answers_without_end_or_sense_end_the_fetch_at_once(tmp_path: Path, kind: str) -> None:
    servers = ENDLESS if kind == "endless" else WRONG
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        story.host("example.org")
        urls = evil(story, *servers.values())
        gateway = await story.start()
        blocks = [block(purpose, f"{url}?{purpose}") for url in urls for purpose in PURPOSES]
        assert await delivered(gateway, story, document(*blocks)) < 10
        assert b"the rest" in host.messages[0].content
        ids = [(await gateway.send("ann@example.com", content=with_files(url)))[0] for url in urls]
        for id, name in zip(ids, servers, strict=True):
            event = (await gateway.has_event(id, 1)).event
            assert isinstance(event, Deferral | Failure), name
            assert "evil" in event.description
        assert len(host.messages) == 1
        assert all(count <= 8 for ip, count in story.network.most.items() if ip.startswith("198.51.100."))
