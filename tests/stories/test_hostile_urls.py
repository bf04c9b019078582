"""URLs that lead into our own network, in every place that takes one: refused, or told, or left out, and never dialled.

A story has receivers and web servers at public addresses; at private ones everything would answer. What was dialled is
looked at when the story is over.
"""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from smtpeter.intake.wish import CallDraft, LetterWish
from smtpeter.model import parts
from smtpeter.model.account import Features, Identity
from smtpeter.model.event import Delivery, Failure
from smtpeter.model.message import MessageId, Options, Received, Recipient, Source, SourceKind
from smtpeter.model.parts import Attachment, Mailbox, Parts
from smtpeter.model.refusal import Refused
from smtpeter.testing.house import SENDER, Gateway, Story
from smtpeter.testing.network import MemoryStream
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.testing.web import Call, Web
from smtpeter.testing.web import Reply as Page
from smtpeter.testing.zone import Zone
from smtpeter.wire.token import Kind
from tests.doors.track.track_house import open_track
from tests.world.test_http_guard import NOTATIONS, PRIVATE, shown

FURTHER = [
    "127.0.0.1.",
    "10.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "017700000001",
    "[::]",
    "[::ffff:10.0.0.1]",
    "[::10.0.0.1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::a00:1]",
    "[2002:a00:1::]",
    "[fe80::1]",
    "[::1%lo]",
    "localhost",
    "LOCALHOST.",
    "some.localhost",
    "metadata.internal@10.0.0.1",
    "files.example.com\\@10.0.0.1",
    "10.0.0.1\\@files.example.com",
    "10.0.0.1\t",
    "１２７.０.０.１",
    "127\uff0e0\uff0e0\uff0e1",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "inside.example.com",
    "both.example.com",
    "alias.example.com",
    "wrapped.example.com",
]
HOSTS = list(dict.fromkeys([*(shown(ip) for ip in PRIVATE), *NOTATIONS, *FURTHER]))
VALUES = [*HOSTS, "files.example.com@10.0.0.1", "10.0.0.1#", "10.0.0.1?", "10.0.0.1/a\r\nHost: x", "10.0.0.1\\"]
NAMES: dict[str, Any] = {
    "inside.example.com": {"a": ["10.0.0.1"]},
    "both.example.com": {"a": ["198.51.100.250", "192.168.0.1"]},
    "alias.example.com": {"cname": "inside.example.com"},
    "wrapped.example.com": {"aaaa": ["::ffff:169.254.169.254"]},
}
INSIDE = ["http://10.0.0.1/", "http://inside.example.com/", "//[::1]/", "http://2130706433/", "http://localhost/"]
ELSEWHERE = ["ftp://files.example.com/a", "file:///etc/passwd", "gopher://files.example.com:80/", "data:text/plain,x"]
STATUSES = (301, 302, 303, 307, 308)
PURPOSES = ("feed", "import", "text", "html", "image")


async def _answer(stream: MemoryStream) -> None:
    await stream.read()
    stream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")
    await stream.drain()


class Town(Story):
    """A story with a receiver, a web server, and a network of our own that must not be touched."""

    def prepare(self, zone: Zone | None = None) -> None:
        """Puts all of it there."""
        if zone is not None:
            self.zone, self.web = zone, Web(self.network, zone)
        self.zone.update(NAMES)
        self.receiver = self.host("example.com")
        self.sender = self.host("example.org")
        for ip in (*PRIVATE, "127.0.0.1", "10.0.0.1", "192.168.0.1", "198.51.100.250"):
            for port in (80, 443, 8080):
                self.network.listen(ip, _answer, port=port)

    @property
    def dialled(self) -> set[str]:
        """The addresses that were dialled, but for those of mail."""
        return {dial.ip for dial in self.network.dials if dial.port != 25}

    def address_of(self, name: str) -> str:
        (ip,) = self.zone[name]["a"]
        return ip


@asynccontextmanager
async def town(folder: Path, zone: Zone | None = None) -> AsyncIterator[tuple[Town, Gateway]]:
    async with Town(folder) as story:
        story.prepare(zone)
        yield story, await story.start()


def with_files(*urls: str, data: str | None = None, name: str = "a.txt") -> Source:
    files = tuple(Attachment(b"", name=name, url=url) for url in urls)
    return Source(SourceKind.PARTS, parts.encode(Parts(Mailbox(SENDER), text="See.", attachments=files)), data)


async def send_letter(gateway: Gateway, document: dict[str, Any], data: str = "{}") -> MessageId:
    recipient = Recipient("ann@example.com", "example.com", "ann@example.com", data=data)
    source, wish = Source(SourceKind.LETTER, b"", "{}"), LetterWish(document)
    draft = CallDraft(None, (recipient,), source, Options(), Received("HTTPS"), wish)
    with gateway.process.running():
        (id,) = await gateway.house.intake.accept(Identity(gateway.account, "token:1", Features()), draft)
    return id


def block(purpose: str, url: str) -> dict[str, Any]:
    return {"type": purpose, "src" if purpose == "image" else "url": url}


def letter(purpose: str, urls: Iterable[str]) -> dict[str, Any]:
    text = {"type": "text", "content": "the rest"}
    return {"from": SENDER, "subject": "x", "content": {"blocks": [*[block(purpose, url) for url in urls], text]}}


async def ends(gateway: Gateway, ids: Sequence[MessageId]) -> list[Delivery | Failure]:
    """Gives the last event of each message, when all of them are final."""
    await gateway.settled(*ids)
    last = [(await gateway.events(id))[-1].event for id in ids]
    assert all(isinstance(event, Delivery | Failure) for event in last)
    return last  # type: ignore[return-value]


@pytest.mark.parametrize("scheme", ["http", "https"])
@in_virtual_time
async def test_private_address_of_a_file_is_refused_or_fails_the_mail_and_is_not_dialled(
    tmp_path: Path, scheme: str
) -> None:
    async with town(tmp_path) as (story, gateway):
        accepted = {}
        for host in HOSTS:
            for url in (f"{scheme}://{host}/a", f"{scheme}://{host}:8080/a"):
                for make in (
                    lambda url: gateway.send("ann@example.com", content=with_files(url)),
                    lambda url: send_letter(gateway, {"from": SENDER, "content": "x", "attachments": [{"url": url}]}),
                ):
                    try:
                        made = await make(url)
                    except Refused as refused:
                        assert refused.refusal.http_status == 400
                        assert str(refused)
                    else:
                        accepted[made if isinstance(made, str) else made[0]] = url
        assert {url.split("/")[2].partition(":")[0] for url in accepted.values()} <= NAMES.keys(), (
            "what can be known at once is refused"
        )
        for event in await ends(gateway, list(accepted)):
            assert isinstance(event, Failure)
            assert "is not on the public Internet" in event.description
            assert not any(ip in event.description for ip in ("10.0.0.1", "192.168", "169.254", "198.51"))
        assert story.receiver.messages == []
        assert story.dialled == set()


@pytest.mark.parametrize("purpose", PURPOSES)
@in_virtual_time
async def test_private_address_in_a_document_is_left_out_and_not_dialled(tmp_path: Path, purpose: str) -> None:
    async with town(tmp_path) as (story, gateway):
        page = b'[{"type": "text", "content": "public"}]' if purpose == "import" else b"public"
        story.web.page("http://files.example.com/a", page)
        urls = [f"http://{host}/a" for host in HOSTS]
        assert len(urls) < 190
        id = await send_letter(gateway, letter(purpose, [*urls, "http://files.example.com/a"]))
        (event,) = await ends(gateway, [id])
        assert isinstance(event, Delivery), event
        (mail,) = story.receiver.messages
        assert b"the rest" in mail.content
        assert b"secret" not in mail.content
        assert story.dialled == {story.address_of("files.example.com")}, "only what is public is asked"


@pytest.mark.parametrize("hosts", [VALUES[::2], VALUES[1::2]], ids=["some", "others"])
@in_virtual_time
async def test_values_lead_a_url_nowhere_else(tmp_path: Path, hosts: list[str]) -> None:
    async with town(tmp_path) as (story, gateway):
        ids = []
        for host in hosts:
            data = json.dumps({"host": host})
            person = Recipient("ann@example.com", "example.com", data=data)
            ids += await gateway.send(person, content=with_files("http://{$host}/a", data="{}"))
            document = {"from": SENDER, "content": "x", "attachments": [{"url": "http://{$host|raw}/a"}]}
            ids.append(await send_letter(gateway, document, data))
        for event in await ends(gateway, ids):
            assert isinstance(event, Failure)
            assert event.description
        blocks = [block(purpose, "http://{$host|raw}/a") for purpose in PURPOSES]
        document = {"from": SENDER, "content": {"blocks": blocks}}
        ids = [await send_letter(gateway, document, json.dumps({"host": host})) for host in hosts]
        await ends(gateway, ids)
        assert all(b"secret" not in mail.content for mail in story.receiver.messages)
        assert story.dialled == set()


@in_virtual_time
async def test_name_that_becomes_private_between_two_looks_is_asked_once_and_then_refused(tmp_path: Path) -> None:
    class Turncoat(Zone):
        """A name that is public at the first look, and private ever after."""

        async def addresses(self, host: str) -> tuple[str, ...]:
            found = await super().addresses(host)
            if host == "turncoat.example.com":
                self[host] = {"a": ["10.0.0.1"]}
            return found

    async with town(tmp_path, Turncoat()) as (story, gateway):
        story.web.handle("http://turncoat.example.com/good", lambda _: Page(200, b"public"))
        story.web.handle("http://turncoat.example.com/bad", lambda _: Page(503, b""))
        public = story.address_of("turncoat.example.com")
        (good,) = await gateway.send("ann@example.com", content=with_files("http://turncoat.example.com/good"))
        (event,) = await ends(gateway, [good])
        assert isinstance(event, Delivery)
        assert b"public" in story.receiver.messages[0].content or b"cHVibGlj" in story.receiver.messages[0].content
        assert story.dialled == {public}
        story.zone["turncoat.example.com"] = {"a": [public]}
        (bad,) = await gateway.send("ann@example.com", content=with_files("http://turncoat.example.com/bad"))
        (event,) = await ends(gateway, [bad])
        assert isinstance(event, Failure)
        assert "turncoat.example.com is not on the public Internet" in event.description, "at the second try"
        assert story.dialled == {public}


@pytest.mark.parametrize("status", STATUSES)
@in_virtual_time
async def test_redirect_into_our_network_or_to_another_scheme_is_not_followed(tmp_path: Path, status: int) -> None:
    async with town(tmp_path) as (story, gateway):
        urls = []
        for number, location in enumerate([*INSIDE, *ELSEWHERE]):
            urls.append(f"http://files.example.com/{number}")
            story.web.redirect(urls[-1], location, status)
        for name, to in (("loop", "loop"), ("a", "b"), ("b", "a")):
            story.web.redirect(f"http://files.example.com/{name}", f"/{to}", status)
            urls.append(f"http://files.example.com/{name}")
        story.web.redirect("http://files.example.com/far", "http://files.example.com/0", status)
        urls.append("http://files.example.com/far")
        ids = [(await gateway.send("ann@example.com", content=with_files(url)))[0] for url in urls]
        for event in await ends(gateway, ids):
            assert isinstance(event, Failure)
            assert "redirect" in event.description
            assert not any(word in event.description for word in ("10.0.0.1", "inside", "passwd", "::1"))
        for purpose in PURPOSES:
            (event,) = await ends(gateway, [await send_letter(gateway, letter(purpose, urls))])
            assert isinstance(event, Delivery)
        assert all(b"secret" not in mail.content for mail in story.receiver.messages)
        assert story.dialled == {story.address_of("files.example.com")}


@in_virtual_time
async def test_tracked_picture_in_our_network_is_left_to_its_reader(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        house.zone.update(NAMES)
        for number, location in enumerate([*INSIDE, *ELSEWHERE]):
            house.web.redirect(f"http://files.example.com/{number}.png", location)
        house.web.redirect("http://files.example.com/loop.png", "/loop.png")
        (public,) = house.zone["files.example.com"]["a"]
        links = []
        for url in (
            *[f"http://{host}/a.png" for host in HOSTS],
            *[f"http://files.example.com/{number}.png" for number in range(len(INSIDE) + len(ELSEWHERE))],
            "http://files.example.com/loop.png",
        ):
            try:
                links.append(await house.link(url, Kind.IMAGE))
            except (AssertionError, UnicodeError):
                continue  # what is no address for us is not tracked
        assert len(links) > 40
        for link in links:
            answer = await house.ask(link)
            assert answer.status_code in (302, 404, 418), "the picture's own place, or no link of ours"
            assert b"secret" not in answer.content
        assert {dial.ip for dial in house.network.dials} == {public}


@in_virtual_time
async def test_handler_of_a_redirect_sees_no_more_than_one_request(tmp_path: Path) -> None:
    seen: list[Call] = []

    def trap(call: Call) -> Page:
        seen.append(call)
        return Page(302, b"", {"Location": "http://10.0.0.1/latest/meta-data/"})

    async with town(tmp_path) as (story, gateway):
        story.web.handle("https://files.example.com/trap", trap)
        (id,) = await gateway.send("ann@example.com", content=with_files("https://files.example.com/trap"))
        (event,) = await ends(gateway, [id])
        assert isinstance(event, Failure)
        assert len(seen) == 1
        assert not {"cookie", "authorization", "referer"} & seen[0].fields.keys()
