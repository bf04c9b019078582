"""From a stored message to what leaves: what it names elsewhere is there, and is the same for all who should get the same."""

import asyncio
import json
from email import message_from_bytes
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace

from smtpeter.content.render import CannotRender
from smtpeter.model.account import Features
from smtpeter.model.message import Message, SourceKind, Transfer
from smtpeter.prepare.collect import NotYet
from smtpeter.prepare.preparation import TROUBLE_SECONDS, UnderWay
from smtpeter.prepare.renderer import LARGE_BYTES, Renderer
from smtpeter.store.origins import Origins, numbers_of
from smtpeter.store.resources import HostedImage, Missed, hosted_image, resources_of
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.testing.web import Reply
from tests.prepare.rooms import Rooms, call, letter, message, mime, open_rooms

URL = "https://files.example.com/list.pdf"
MAIL = (
    b"From: news@example.org\r\nSubject: Hi\r\nDate: Tue, 31 Mar 2026 08:00:00 +0000\r\nMessage-ID: <1@a>\r\n\r\nHi\r\n"
)
TRACKED = {"tracking": "https://clicks.example.org", "features": Features(trackclicks=True)}
NO_STORE = {"Cache-Control": "no-store"}


def versions(rooms: Rooms, url: str) -> None:
    """Puts something else at a URL each time that it is asked for."""
    rooms.web.handle(url, lambda _: Reply(200, b"%d" % len(rooms.web.calls), NO_STORE))


async def file_of(renderer: Renderer, made: Message) -> bytes:
    """Gives the only file in a mail."""
    content = message_from_bytes(await renderer.source(made))
    (found,) = [part for part in content.walk() if part.get_content_disposition() == "attachment"]
    data = found.get_payload(decode=True)
    assert isinstance(data, bytes)
    return data


async def text_of(renderer: Renderer, made: Message, kind: str = "text/html") -> str:
    content = message_from_bytes(await renderer.source(made))
    (found,) = [part for part in content.walk() if part.get_content_type() == kind]
    data = found.get_payload(decode=True)
    assert isinstance(data, bytes)
    return data.decode()


@in_virtual_time
async def test_mail_that_names_nothing_asks_no_store(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        renderer = rooms.renderer()
        await rooms.store.close()
        made = message(mime(MAIL))
        rendered = await renderer.render(made, signers=(), now=made.accepted, transfer=Transfer.EIGHT_BIT)
        assert (
            rendered.content == await renderer.source(made) == await renderer.content(made, Transfer.EIGHT_BIT) == MAIL
        )
        assert b"Hello" in await renderer.source(message(call(html="<p>Hello</p>")))
        assert "Hello" in await text_of(renderer, message(letter({"type": "text", "content": "Hello"})))


@in_virtual_time
async def test_all_messages_of_a_submission_have_the_same_file(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        versions(rooms, URL)
        renderer = rooms.renderer()
        made = [message(call(URL), ordinal=ordinal) for ordinal in range(10)]
        assert await asyncio.gather(*[file_of(renderer, one) for one in made]) == [b"1"] * 10
        assert await file_of(rooms.renderer(), made[3]) == b"1", "another process finds it in the store"
        assert len(rooms.web.calls) == 1
        assert await file_of(renderer, message(call(URL), submission="B" * 20)) == b"2"


@in_virtual_time
async def test_two_processes_that_prepare_at_once_agree(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        versions(rooms, URL)
        made = [message(call(URL), ordinal=ordinal) for ordinal in range(2)]
        found = await asyncio.gather(*[file_of(rooms.renderer(), one) for one in made])
        assert len(rooms.web.calls) == 2
        assert found[0] == found[1]


@in_virtual_time
async def test_file_of_one_reader_never_shows_with_another(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        for name in ("ann", "bob"):
            rooms.web.page(f"https://files.example.com/{name}.pdf", name.encode())
        for source in (
            call("https://files.example.com/{$name}.pdf", data="{}"),
            letter(attachments=[{"url": "https://files.example.com/{$name}.pdf"}]),
        ):
            renderer = rooms.renderer()
            made = [
                message(
                    source, ordinal=ordinal, data=json.dumps({"name": name}), submission=source.kind[0].upper() * 20
                )
                for ordinal, name in enumerate(("ann", "bob"))
            ]
            assert [await file_of(renderer, one) for one in made] == [b"ann", b"bob"]
            assert [await file_of(rooms.renderer(), one) for one in made] == [b"ann", b"bob"]
        assert len(rooms.web.calls) == 2, "what was fetched for one mail within the hour does for the next"


@in_virtual_time
async def test_import_that_brings_tags_along_belongs_to_nobody_else(tmp_path: Path) -> None:
    block = {"type": "text", "url": "https://files.example.com/{$name}.txt"}

    async with open_rooms(tmp_path) as rooms:
        rooms.web.page("https://files.example.com/blocks.json", json.dumps(block).encode())
        for name in ("ann", "bob"):
            rooms.web.page(f"https://files.example.com/{name}.txt", f"Only for {name}".encode())
        renderer = rooms.renderer()
        source = letter({"type": "import", "url": "https://files.example.com/blocks.json"})
        for ordinal, name in enumerate(("ann", "bob")):
            made = message(source, ordinal=ordinal, data=json.dumps({"name": name}))
            assert f"Only for {name}" in await text_of(renderer, made)
        assert sorted(await rooms.store.read(resources_of, "A" * 20) or {}) == ["https://files.example.com/blocks.json"]
        assert await rooms.store.read(resources_of, "A" * 20 + "-1") is not None


@in_virtual_time
async def test_what_is_no_file_is_left_out_when_it_is_not_there(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        rooms.web.page(URL, b"", status=503)
        renderer = rooms.renderer()
        made = message(letter({"type": "text", "content": "Hello"}, {"type": "text", "url": URL}))
        assert "Hello" in await text_of(renderer, made)
        rooms.web.page(URL, b"It is back")
        assert "back" not in await text_of(rooms.renderer(), made), "it was settled that it is not there"
        settled = await rooms.store.read(resources_of, made.submission)
        assert settled == {URL: Missed(URL, "http-status", "The host files.example.com answered with status 503.")}


@pytest.mark.parametrize("kind", [SourceKind.PARTS, SourceKind.LETTER])
@in_virtual_time
async def test_missing_file_ends_the_message_and_trouble_does_not(tmp_path: Path, kind: SourceKind) -> None:
    async with open_rooms(tmp_path) as rooms:
        source = call(URL) if kind is SourceKind.PARTS else letter(attachments=[{"url": URL}])
        rooms.web.page(URL, b"", status=500)
        renderer = rooms.renderer()
        with pytest.raises(NotYet, match=r"list\.pdf cannot be fetched: The host .* status 500"):
            await renderer.source(message(source))
        rooms.web.page(URL, b"", status=410)
        with pytest.raises(NotYet):
            await renderer.source(message(source, ordinal=1))
        await asyncio.sleep(TROUBLE_SECONDS + 1)
        for one in (renderer, rooms.renderer()):
            with pytest.raises(CannotRender, match="status 410"):
                await one.source(message(source))
        assert len(rooms.web.calls) == 2


@in_virtual_time
async def test_file_whose_url_cannot_be_filled_in_ends_the_message(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        for source in (
            call("https://a.example/{if $x}", data="{}"),
            letter(attachments=[{"url": "https://a.example/{if $x}"}]),
        ):
            with pytest.raises(CannotRender, match="tags in its URL"):
                await rooms.renderer().source(message(source, submission=source.kind[0].upper() * 20))


@in_virtual_time
async def test_too_many_files_are_refused_and_not_left_out(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        urls = [f"https://files.example.com/{number}" for number in range(201)]
        for url in urls:
            rooms.web.page(url, b"x")
        with pytest.raises(CannotRender, match="too many"):
            await rooms.renderer().source(message(call(*urls)))


@in_virtual_time
async def test_who_is_in_a_hurry_does_not_wait_and_finds_it_later(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        rooms.zone["slow.example.com"] = {"a": ["198.51.100.200"]}
        rooms.network.silence("198.51.100.200", port=443)
        renderer = rooms.renderer()
        made = message(call("https://slow.example.com/"))
        begin = rooms.clock.monotonic()
        for _ in range(3):
            with pytest.raises(UnderWay):
                await renderer.ready(made, 0.5)
        assert rooms.clock.monotonic() - begin == pytest.approx(0.5)
        await asyncio.sleep(40)
        with pytest.raises(NotYet, match="did not answer"):
            await renderer.ready(made, 0.5)


@in_virtual_time
async def test_links_have_numbers_and_images_are_kept_before_a_mail_leaves(tmp_path: Path) -> None:
    image = b"\x89PNG\r\n\x1a\n"
    mail = (
        b"From: news@example.org\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n"
        b'<a href="https://www.example.com/x">go</a><img src="cid:logo">\r\n'
        b"--b\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"iVBORw0KGgo=\r\n--b--\r\n"
    )
    async with open_rooms(tmp_path) as rooms:
        made = message(mime(mail), **{**TRACKED, "features": Features(trackclicks=True, images="hosted")})
        ready = await rooms.renderer().ready(made)
        origins = Origins(rooms.mine, ("https://www.example.com",))
        assert ready.numbers == await rooms.store.read(numbers_of, origins) != {}
        hosted = HostedImage(rooms.mine, sha256(image).digest(), "image/png")  # type: ignore[arg-type]
        assert await rooms.store.read(hosted_image, hosted.key) == hosted
        content = await rooms.renderer().content(made, Transfer.EIGHT_BIT)
        assert b"https://clicks.example.org/x?p=" in content
        assert b"cid:logo" not in content


@in_virtual_time
async def test_large_mail_is_made_the_same_beside_the_loop(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        made = message(mime(MAIL + b"0123456789abcdef\r\n" * (LARGE_BYTES // 16)))
        rendered = await rooms.renderer().render(made, signers=(), now=made.accepted, transfer=Transfer.EIGHT_BIT)
        assert rendered.content == made.source.content


@in_virtual_time
async def test_page_for_browsers_is_that_of_the_message(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        renderer = rooms.renderer()
        rooms.web.page(URL, b"", status=404)
        source = letter({"type": "text", "content": "Hello {$name}"}, data='{"name": "Ann"}')
        assert "Hello Ann" in (await renderer.webversion(message(source)) or "")
        assert await renderer.webversion(message(call(URL), submission="C" * 20)) is None
        assert await renderer.webversion(message(mime(MAIL))) is None


@pytest.mark.parametrize("has_file", [True, False])
@in_virtual_time
async def test_original_is_made_of_what_is_at_hand(tmp_path: Path, has_file: bool) -> None:
    async with open_rooms(tmp_path) as rooms:
        rooms.web.page(URL, b"content" if has_file else b"", status=200 if has_file else 404)
        renderer = rooms.renderer()
        for source in (call(URL), letter(attachments=[{"url": URL}])):
            made = message(source, submission=source.kind[0].upper() * 20)
            before = await renderer.original(made)
            assert before is not None
            assert not before.is_whole
            assert b"Subject: News" in before.content
            try:
                whole = await renderer.source(made)
            except CannotRender:
                assert not has_file
            after = await renderer.original(made)
            assert after is not None
            assert after.is_whole is has_file
            if has_file:
                assert after.content == whole
        assert (await renderer.original(message(mime(MAIL)))).content == MAIL  # type: ignore[union-attr]


@in_virtual_time
async def test_what_cannot_be_filled_in_has_no_original(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as rooms:
        made = message(call(html="{if $x}", data="{}"))
        assert await rooms.renderer().original(made) is None
        assert await rooms.renderer().original(replace(made, source=replace(made.source, data=None))) is not None
