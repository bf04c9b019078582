"""Links: where they lead, what is told of them, and what is never followed."""

import asyncio
from pathlib import Path

import pytest

from smtpeter.doors.track.hits import HITS_AT_ONCE
from smtpeter.doors.track.location import ascii_origin, location, readings
from smtpeter.model.account import AccountId
from smtpeter.model.event import Click
from smtpeter.testing.log import logged
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.wire.token import BadToken, Kind
from tests.doors.track.track_house import (
    BASE,
    GATE,
    HOST,
    PROXY,
    READER,
    READER_IP,
    RING,
    SHOP,
    TrackHouse,
    open_track,
)


def assert_missing(answer):
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert "This link does not work" in answer.text


@in_virtual_time
async def test_click_leads_to_the_address_in_the_mail_and_is_told_before(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        link = await house.link(f"{SHOP}/a%20b?x=1&y=2#part")
        answer = await house.ask(link, Referer="https://mail.example/", Cookie="secret=1", Authorization="Basic eA==")
        assert (answer.status_code, answer.headers["location"]) == (302, f"{SHOP}/a%20b?x=1&y=2")
        assert answer.headers["referrer-policy"] == "no-referrer-when-downgrade"
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers
        (click,) = await house.events()
        assert isinstance(click, Click)
        assert (click.url, click.destination) == (link.partition("#")[0], f"{SHOP}/a%20b?x=1&y=2")
        assert (click.ip, click.useragent, click.referer) == (READER_IP, READER, "https://mail.example/")
        assert (click.protocol, click.machine) == ("HTTP/1.1", False)
        assert f"user-agent: {READER}\r\n" in click.headers
        assert "secret" not in click.headers and "Basic" not in click.headers


@in_virtual_time
async def test_head_is_answered_like_get_and_told_as_a_machine(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        link = await house.link(f"{SHOP}/a")
        answer = await house.ask(link, "HEAD")
        assert (answer.status_code, answer.headers["location"], answer.content) == (302, f"{SHOP}/a", b"")
        (click,) = await house.events()
        assert isinstance(click, Click) and click.machine


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_do_not_follow_a_link(tmp_path: Path, method: str) -> None:
    @in_virtual_time
    async def story() -> None:
        async with open_track(tmp_path) as house:
            answer = await house.ask(await house.link(f"{SHOP}/a"), method)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
            assert "location" not in answer.headers
            assert await house.events() == []

    story()


@in_virtual_time
async def test_what_others_add_behind_the_token_changes_nothing(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        link = await house.link(f"{SHOP}/a?p=mine")
        answer = await house.ask(f"{link}&fbclid=1&url=https://evil.example")
        assert answer.headers["location"] == f"{SHOP}/a?p=mine"
        (click,) = await house.events()
        assert isinstance(click, Click) and click.url == link


@in_virtual_time
async def test_altered_address_of_a_link_leads_nowhere(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        link = await house.link(f"{SHOP}/a?x=1")
        token = link.rpartition("p=")[2]
        for rest in ("/", "/b?x=1", "/a/?x=1", "/a?x=2", "/a?x=1&y=2", "/A?x=1", "//a?x=1", "/a%2F?x=1", "/a"):
            sign = "&" if "?" in rest else "?"
            assert_missing(await house.ask(f"{BASE}{rest}{sign}p={token}"))
        assert await house.events() == []


@in_virtual_time
async def test_altered_token_leads_nowhere(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        link = await house.link(f"{SHOP}/a")
        head, _, token = link.rpartition("p=")
        for at, character in enumerate(token):
            other = "A" if character != "A" else "B"
            assert_missing(await house.ask(f"{head}p={token[:at]}{other}{token[at + 1 :]}"))
        assert await house.events() == []


@in_virtual_time
async def test_token_of_another_host_account_message_or_kind_leads_nowhere(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        await house.link(f"{SHOP}/a")
        evil = (await house.link("https://evil.example/a", account=AccountId(2))).rpartition("p=")[2]
        assert (await house.ask(f"{BASE}/a?p={evil}")).headers["location"] == "https://evil.example/a"
        sealer = RING.sealer(house.account, house.message)
        target = f"{SHOP}/a"
        for number in range(4):
            foreign = RING.sealer(AccountId(2), house.message).seal(Kind.CLICK, number, target)
            assert number == 2 or (await house.ask(f"{BASE}/a?p={foreign}")).status_code == 404
            for kind in (Kind.BOUNCE, Kind.OPEN, Kind.WEBVERSION, Kind.UNSUBSCRIBE):
                assert_missing(await house.ask(f"{BASE}/a?p={sealer.seal(kind, number, target)}"))


@in_virtual_time
async def test_request_is_ours_by_its_token_whatever_host_and_path(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        for path in ("/v1/send", "/healthz", "/captured", "/i/x.png"):
            link = await house.link(f"{SHOP}{path}?x=1")
            for host in (HOST, GATE, "old.example", "CLICKS.example.com:8443"):
                assert (await house.ask(link, host=host)).headers["location"] == f"{SHOP}{path}?x=1"


@in_virtual_time
async def test_what_is_not_ours_goes_to_the_other_doors_but_for_our_own_host(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        bad = f"/v1/x?p={'A' * 40}"
        for path in ("/", "/v1/messages?p=1", bad, "/i/x.png"):
            assert (await house.ask(f"https://{GATE}{path}")).text == "another door"
            assert_missing(await house.ask(f"{BASE}{path}"))
            assert_missing(await house.ask(f"https://{GATE}{path}", host="Clicks.Example.com:443"))
        assert (await house.ask(f"{BASE}/healthz")).text == "another door"


@in_virtual_time
async def test_host_that_the_other_doors_have_too_is_not_ours_alone(tmp_path: Path) -> None:
    async with open_track(tmp_path, hostname=HOST) as house:
        assert (await house.ask(f"{BASE}/v1/messages")).text == "another door"
        assert (await house.ask(await house.link(f"{SHOP}/a"))).status_code == 302


@in_virtual_time
async def test_address_of_the_reader_is_believed_from_trusted_proxies_only(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        link = await house.link(f"{SHOP}/a")
        await house.ask(link, client=PROXY, X_Forwarded_For="198.51.100.1, 198.51.100.2")
        await house.ask(link, client=READER_IP, X_Forwarded_For="198.51.100.1")
        assert [event.ip for event in await house.events() if isinstance(event, Click)] == ["198.51.100.2", READER_IP]


@in_virtual_time
async def test_large_headers_are_told_in_part(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        link = await house.link(f"{SHOP}/a")
        more = {f"x-{n}": "é".encode() * 2000 for n in range(20)}
        assert (await house.ask(link, User_Agent="x" * 5000, **more)).status_code == 302
        (click,) = await house.events()
        assert isinstance(click, Click)
        assert len(click.useragent) == 1024 and 1000 < len(click.headers) <= 8192
        assert all(": " in line for line in click.headers.splitlines())


@in_virtual_time
async def test_slow_store_holds_no_reader_up_and_loses_nothing(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        link = await house.link(f"{SHOP}/a")
        house.disk.seconds = 7
        began = house.clock.monotonic()
        answers = await asyncio.gather(*[house.ask(link) for _ in range(3)])
        assert {answer.headers["location"] for answer in answers} == {f"{SHOP}/a"}
        assert 1.9 <= house.clock.monotonic() - began <= 2.1
        await asyncio.sleep(20)
        assert len(await house.events()) == 3


@in_virtual_time
async def test_broken_store_leads_on_at_once_and_the_loss_is_logged(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        link, pixel = await house.link(f"{SHOP}/a"), house.pixel()
        await house.ask(link)
        house.disk.is_broken = True
        with logged(tmp_path / "log") as lines:
            began = house.clock.monotonic()
            assert (await house.ask(link)).headers["location"] == f"{SHOP}/a"
            assert (await house.ask(pixel)).status_code == 200
            assert house.clock.monotonic() - began < 0.5
            lost = lines.lines("track.hit_lost")
        assert [(line["message"], line["what"]) for line in lost] == [(house.message, "click"), (house.message, "open")]
        house.disk.is_broken = False
        await asyncio.sleep(5)
        await house.ask(link)
        assert len(await house.events()) == 2


@in_virtual_time
async def test_event_is_on_disk_when_the_answer_comes(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        link = await house.link(f"{SHOP}/a")
        house.disk.seconds = 1
        commits = house.store.commits
        await house.ask(link)
        assert house.store.commits == commits + 1


@in_virtual_time
async def test_one_message_cannot_fill_the_log(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        link = await house.link(f"{SHOP}/a")
        other = await house.another_message(house.account)
        for _ in range(HITS_AT_ONCE + 50):
            assert (await house.ask(link)).status_code == 302
        await house.ask(await house.link(f"{SHOP}/a", message=other))
        assert HITS_AT_ONCE <= len(await house.events()) < HITS_AT_ONCE + 50
        assert len(await house.events(other)) == 1


@in_virtual_time
async def test_link_works_when_its_message_is_long_gone(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        gone = house.message[:-3] + "zzz"
        answer = await house.ask(await house.link(f"{SHOP}/a", message=type(house.message)(gone)))
        assert answer.headers["location"] == f"{SHOP}/a"


@in_virtual_time
async def test_flood_of_made_up_tokens_reads_nothing_twice(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        reads = counted_reads(house)
        sealer = RING.sealer(house.account, house.message)
        for _ in range(3):
            for number in range(100, 120):
                assert_missing(await house.ask(f"{BASE}/a?p={sealer.seal(Kind.CLICK, number, 'x')}"))
        assert len(reads) == 20
        for text in ("A" * 40, "_" * 40, "EAMf" + "x" * 36):
            assert_missing(await house.ask(f"{BASE}/a?p={text}"))
        assert len(reads) == 20


def counted_reads(house: TrackHouse) -> list[object]:
    """Notes what is read from the store."""
    reads: list[object] = []
    original = house.store.read

    async def read(operation, item):
        reads.append(operation)
        return await original(operation, item)

    house.store.read = read  # type: ignore[method-assign]
    return reads


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://user:p%40s@BÜCHER.example:8443", "https://user:p%40s@xn--bcher-kva.example:8443"),
        ("http://faß.example", "http://xn--fa-hia.example"),
        ("http://☃.example:80", "http://%E2%98%83.example:80"),
        ("http://ü:ö@a.example", "http://%C3%BC:%C3%B6@a.example"),
        ("HTTP://[2001:db8::1]:8080", "HTTP://[2001:db8::1]:8080"),
    ],
)
def test_host_of_a_redirect_is_ascii(origin: str, expected: str) -> None:
    assert ascii_origin(origin) == expected


def test_backslash_in_a_path_is_never_part_of_the_host() -> None:
    assert location(SHOP, "/\\@evil.example\\x?a\\b") == f"{SHOP}//@evil.example/x?a\\b"


@pytest.mark.parametrize("rest", ["", "@evil.example/", ".evil.example", "/a b", "/\r\nSet-Cookie: x", "/ü", "/\x7f"])
def test_what_could_end_the_field_or_continue_the_host_is_no_location(rest: str) -> None:
    with pytest.raises(BadToken):
        location(SHOP, rest)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("q=%FCber&x=%26", "q=über&x=%26"),
        ("q=%C2%E5%F1%ED%E0", "q=Весна"),
        ("q=%1B$B$%22%1B(B", "q=あ"),
        ("q=%B4%BA", "q=春"),
        ("q=%26%23945%3B%FC", "q=αü"),
    ],
)
def test_query_of_an_old_character_set_is_read_again(query: str, text: str) -> None:
    assert f"/s?{text}" in list(readings(f"/s?{query}"))


@pytest.mark.parametrize("rest", ["/a", "/a?b=c", "/%FC", "/a?x=%26%22", f"/a?x={'%FC' * 1000}"])
def test_what_has_one_reading_is_not_read_again(rest: str) -> None:
    assert list(readings(rest)) == []
