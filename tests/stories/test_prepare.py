"""Mail with files that are named by URL: fetched before anything is dialled, settled once, and never left out."""

import asyncio
import json
from datetime import timedelta
from email import message_from_bytes
from email.message import Message as Mime
from pathlib import Path

from smtpeter.delivery.carry import PATIENCE_SECONDS
from smtpeter.model import parts
from smtpeter.model.event import Deferral, Delivery, Failure
from smtpeter.model.message import MessageId, Recipient, Source, SourceKind
from smtpeter.model.parts import Attachment, Mailbox, Parts
from smtpeter.testing.house import SENDER, Gateway, Story
from smtpeter.testing.remote_host import RemoteHost
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.testing.web import Call
from smtpeter.testing.web import Reply as Page

URL = "https://files.example.com/invoice.pdf"
PDF = b"%PDF-1.7 the first"


def with_file(*urls: str, data: str | None = None) -> Source:
    """Gives the source of a send call that names files by URL."""
    made = Parts(
        Mailbox(SENDER),
        subject="Invoice",
        text="See the file.",
        attachments=tuple(Attachment(b"", url=url) for url in urls or (URL,)),
    )
    return Source(SourceKind.PARTS, parts.encode(made), data)


def files_of(content: bytes) -> list[tuple[str | None, str, object]]:
    """Gives name, type and octets of the files in a mail."""
    made: Mime = message_from_bytes(content)
    found = [part for part in made.walk() if part.get_content_disposition() == "attachment"]
    return [(part.get_filename(), part.get_content_type(), part.get_payload(decode=True)) for part in found]


def only_file(host: RemoteHost) -> object:
    (message,) = host.messages
    ((_, _, data),) = files_of(message.content)
    return data


async def fate(gateway: Gateway, id: MessageId) -> list[Delivery | Deferral | Failure]:
    """Lets a message come to its end; gives all events behind its acceptance."""
    await gateway.settled(id, look_every=timedelta(seconds=20))
    found = [record.event for record in await gateway.events(id)][1:]
    assert all(isinstance(event, Delivery | Deferral | Failure) for event in found)
    return found  # type: ignore[return-value]


@in_virtual_time
async def test_file_goes_along_with_its_name_and_type(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        story.web.page(URL, PDF, type="application/pdf")
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", content=with_file())
        assert [event.name for event in await fate(gateway, id)] == ["delivery"]
        assert files_of(host.messages[0].content) == [("invoice.pdf", "application/pdf", PDF)]


@in_virtual_time
async def test_file_that_is_not_there_twice_and_then_is_goes_along(tmp_path: Path) -> None:
    def shaky(call: Call) -> Page:
        return Page(503) if len(story.web.calls) <= 2 else Page(200, PDF)

    async with Story(tmp_path) as story:
        host = story.host("example.com")
        story.web.handle(URL, shaky)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", content=with_file())
        first, second, last = await fate(gateway, id)
        assert isinstance(first, Deferral)
        assert (first.state, first.status) == ("process", "4.3.0")
        assert first.description.endswith("The host files.example.com answered with status 503.")
        assert isinstance(second, Deferral)
        assert isinstance(last, Delivery)
        assert only_file(host) == PDF
        assert len(host.sessions) == 1, "nothing is dialled for a message that cannot be made yet"


@in_virtual_time
async def test_file_that_never_is_there_fails_the_message_and_its_sender_is_told(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host, sender = story.host("example.com"), story.host("example.org")
        story.web.page(URL, b"gone", status=404)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", content=with_file())
        (failure,) = await fate(gateway, id)
        assert isinstance(failure, Failure)
        assert (failure.state, failure.status) == ("process", "5.6.0")
        assert URL in failure.description
        assert "status 404" in failure.description
        await gateway.quiet()
        assert host.sessions == []
        (notice,) = sender.messages
        assert b"status 404" in notice.content
        assert b"Subject: Invoice" in notice.content, "the header of the mail comes back, though it was never made"


@in_virtual_time
async def test_trouble_that_does_not_pass_in_time_is_told_when_the_time_is_over(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com")
        sender = story.host("example.org")
        story.web.page(URL, b"", status=500)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", content=with_file(), expire_after=timedelta(hours=1))
        *deferrals, last = await fate(gateway, id)
        assert len(deferrals) > 1
        assert isinstance(last, Failure)
        assert last.status == "4.4.7"
        await gateway.quiet()
        assert b"answered with status 500" in sender.messages[0].content.replace(b"=\r\n", b"")


@in_virtual_time
async def test_private_address_is_refused_and_the_failure_says_why(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com")
        story.zone["inside.example.com"] = {"a": ["10.0.0.7"]}
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", content=with_file("http://inside.example.com/secret"))
        (failure,) = await fate(gateway, id)
        assert isinstance(failure, Failure)
        assert "inside.example.com is not on the public Internet" in failure.description
        assert "10.0.0.7" not in failure.description


@in_virtual_time
async def test_all_messages_of_a_submission_share_one_fetch(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        hosts = [story.host(f"{name}.example") for name in ("a", "b", "c")]
        story.web.page(URL, PDF, cache_control="no-store")
        gateway = await story.start()
        recipients = [f"user{n}@{name}.example" for n in range(5) for name in ("a", "b", "c")]
        await gateway.send(*recipients, content=with_file())
        await gateway.quiet()
        assert len(story.web.calls) == 1
        assert {files_of(each.content)[0] for host in hosts for each in host.messages} == {
            ("invoice.pdf", "application/pdf", PDF)
        }
        assert sum(len(host.messages) for host in hosts) == 15


@in_virtual_time
async def test_two_processes_that_deliver_one_submission_send_the_same_file(tmp_path: Path) -> None:
    def changing(call: Call) -> Page:
        count = len(story.web.calls)
        return Page(503) if count == 1 else Page(200, b"version %d" % count, {"Cache-Control": "no-store"})

    async with Story(tmp_path) as story:
        hosts = [story.host(f"host{n}.example") for n in range(20)]
        story.web.handle(URL, changing)
        here = await story.start(node="here")
        ids = await here.send(*[f"ann@host{n}.example" for n in range(20)], content=with_file())
        await asyncio.gather(*[here.has_event(id, 1) for id in ids])
        await story.start(node="there")  # the next attempts are for whoever claims them
        await here.quiet()
        assert len({only_file(host) for host in hosts}) == 1


@in_virtual_time
async def test_retry_sends_what_was_found_first_though_the_origin_has_changed(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.on("rcptto", "451 4.7.1 come back later", times=1)
        story.web.page(URL, PDF)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", content=with_file())
        await gateway.has_event(id, 1)
        story.web.page(URL, b"something else", status=404)
        await gateway.close()
        again = await story.start()
        assert isinstance((await fate(again, id))[-1], Delivery)
        assert only_file(host) == PDF
        assert len(story.web.calls) == 1


@in_virtual_time
async def test_kill_between_preparation_and_delivery_loses_nothing(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", latency=timedelta(seconds=5))
        story.web.page(URL, PDF)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", content=with_file())
        await asyncio.sleep(1)
        assert len(story.web.calls) == 1
        gateway.process.power_off()
        await gateway.process.clear_away()
        assert host.messages == []
        story.web.page(URL, b"", status=404)
        again = await story.start()
        assert [event.name for event in await fate(again, id)] == ["delivery"]
        assert only_file(host) == PDF


@in_virtual_time
async def test_slow_origin_keeps_no_other_mail_waiting(tmp_path: Path) -> None:
    async with Story(tmp_path, concurrency_per_lane=2) as story:
        host = story.host("example.com")
        story.zone["slow.example.com"] = {"a": ["198.51.100.200"]}
        story.network.silence("198.51.100.200", port=80)
        gateway = await story.start()
        slow = [
            (await gateway.send("ann@example.com", content=with_file(f"http://slow.example.com/{n}")))[0]
            for n in range(4)
        ]
        begin = story.clock.monotonic()
        (quick,) = await gateway.send("bob@example.com")
        await gateway.settled(quick, look_every=timedelta(seconds=0.1))
        assert story.clock.monotonic() - begin < 5 * PATIENCE_SECONDS
        for id in slow:
            deferral = (await gateway.has_event(id, 1)).event
            assert isinstance(deferral, Deferral)
            assert deferral.attempt == 0, "to wait for a file is no attempt"
            assert "slow.example.com did not answer" in deferral.description
        assert len(host.messages) == 1


@in_virtual_time
async def test_url_with_tags_is_fetched_for_each_recipient(tmp_path: Path) -> None:
    def page(call: Call) -> Page:
        return Page(200, call.url.encode())

    async with Story(tmp_path) as story:
        host = story.host("example.com")
        story.web.handle("https://files.example.com/ann.pdf", page)
        story.web.handle("https://files.example.com/bob.pdf", page)
        gateway = await story.start()
        people = [
            Recipient(f"{name}@example.com", "example.com", data=json.dumps({"name": name})) for name in ("ann", "bob")
        ]
        await gateway.send(*people, content=with_file("https://files.example.com/{$name}.pdf", data="{}"))
        await gateway.quiet()
        found = {message.recipients[0]: files_of(message.content) for message in host.messages}
        assert found == {
            f"{name}@example.com": [
                (f"{name}.pdf", "application/pdf", f"https://files.example.com/{name}.pdf".encode())
            ]
            for name in ("ann", "bob")
        }


@in_virtual_time
async def test_braces_in_the_url_of_a_mail_without_data_are_no_tags(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com")
        story.web.page("https://files.example.com/%7B$name%7D.pdf", PDF)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", content=with_file("https://files.example.com/{$name}.pdf"))
        assert [event.name for event in await fate(gateway, id)] == ["delivery"]
