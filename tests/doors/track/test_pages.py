"""Pages that readers see: the web version, leaving a list, and what is not there."""

import asyncio
import base64
import re
from hashlib import sha256
from pathlib import Path

import pytest

from smtpeter.content.render.tools import CannotRender
from smtpeter.doors.track.machines import MACHINES, is_machine, read_table
from smtpeter.doors.track.pages import GONE, MISSING, NOT_SO, TROUBLE, confirm_page, left_page, masked
from smtpeter.doors.track.unsubscribe import MAX_BODY_BYTES
from smtpeter.model.event import Suppression, Unsubscribe
from smtpeter.model.message import MessageId
from smtpeter.store.suppressions import SuppressionCheck, find_suppressions
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.wire.token import Kind
from tests.doors.track.track_house import BASE, READER, READER_IP, RING, TrackHouse, open_track

FORM = "application/x-www-form-urlencoded"
ONE_CLICK = b"List-Unsubscribe=One-Click"
MULTIPART = b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'
ADDRESS = "user0@example.net"


def policy(answer) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in answer.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


async def suppressed(house: TrackHouse, stream: str = "news") -> bool:
    found = await house.store.read(find_suppressions, SuppressionCheck(house.account, stream, (ADDRESS,)))
    return ADDRESS in found


# ---- the web version


@in_virtual_time
async def test_web_version_is_the_mail_with_no_rights_on_our_host(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        house.pages.html[house.message] = "<p>Grüße\ud800</p><script>alert(1)</script>"
        answer = await house.ask(house.page())
        assert (answer.status_code, answer.content) == (200, "<p>Grüße?</p><script>alert(1)</script>".encode())
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        rules = policy(answer)
        assert rules["default-src"] == rules["frame-ancestors"] == rules["form-action"] == "'none'"
        assert "script-src" not in rules and "allow-scripts" not in rules["sandbox"]
        assert "allow-same-origin" not in rules["sandbox"]
        assert "'unsafe-inline'" in rules["style-src"] and "https:" in rules["img-src"]
        assert await house.events() == []


@in_virtual_time
async def test_player_of_a_film_may_run_in_its_frame_and_nothing_else(tmp_path: Path) -> None:
    player = '<iframe src="https://www.youtube.com/embed/abc" width="100%"></iframe><script>evil()</script>'
    async with open_track(tmp_path) as house:
        house.pages.html[house.message] = f"<p>Film</p>{player}"
        answer = await house.ask(house.page())
        rules = policy(answer)
        assert rules["frame-src"] == "https://www.youtube.com https://player.vimeo.com"
        assert "script-src" not in rules and rules["default-src"] == "'none'"
        assert answer.headers["referrer-policy"] == "strict-origin"


async def test_web_version_is_made_once_for_all_who_ask_at_a_time(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        house.pages.html[house.message] = "<p>x</p>"
        answers = await asyncio.gather(*[house.ask(house.page()) for _ in range(10)])
        assert {answer.text for answer in answers} == {"<p>x</p>"}
        assert house.pages.made == [house.message]
        house.pages.html[house.message] = "<p>y</p>"
        await asyncio.sleep(31)
        assert (await house.ask(house.page())).text == "<p>y</p>"


@in_virtual_time
async def test_web_version_of_what_has_none_or_is_not_kept_is_gone(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        answer = await house.ask(house.page())
        assert (answer.status_code, "not kept any more" in answer.text) == (404, True)
        gone = MessageId(house.message[:-3] + "zzz")
        sealer = RING.sealer(house.account, gone)
        answer = await house.ask(f"{BASE}/webversion?p={sealer.seal_own(Kind.WEBVERSION)}")
        assert (answer.status_code, "not kept any more" in answer.text) == (404, True)


@in_virtual_time
async def test_web_version_that_cannot_be_made_is_trouble_without_its_cause(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        house.pages.html[house.message] = ValueError("secret cause")
        answer = await house.ask(house.page())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert "secret" not in answer.text
        house.pages.html[house.message] = "<p>x</p>"
        assert (await house.ask(house.page())).status_code == 200


@in_virtual_time
async def test_web_version_that_never_can_be_made_is_a_link_that_does_not_work(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        house.pages.html[house.message] = CannotRender("The template is broken.")
        answer = await house.ask(house.page())
        assert (answer.status_code, answer.content) == (404, MISSING.body)


# ---- leaving


@in_virtual_time
async def test_asking_to_leave_changes_nothing_however_often_it_is_looked_at(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        for method in ("GET", "HEAD", "GET"):
            answer = await house.ask(house.unsubscribe(), method)
            assert answer.status_code == 200
        assert "u•••@example.net" in answer.text and ADDRESS not in answer.text
        assert re.search(r'<form method="post">', answer.text)
        assert not await suppressed(house) and await house.events() == []


@pytest.mark.parametrize(
    ("body", "kind", "way"),
    [
        (ONE_CLICK, FORM, "oneclick"),
        (b"unsubscribe=yes", FORM, "page"),
        (MULTIPART, "multipart/form-data; boundary=x", "oneclick"),
        (ONE_CLICK, "", "oneclick"),
    ],
)
def test_leaving_acts_at_once_and_is_told_once(tmp_path: Path, body: bytes, kind: str, way: str) -> None:
    @in_virtual_time
    async def story() -> None:
        async with open_track(tmp_path) as house:
            for _ in range(3):
                answer = await house.ask(house.unsubscribe(), "POST", body=body, Content_Type=kind)
                assert answer.status_code == 200 and "You are unsubscribed" in answer.text
            assert await suppressed(house) and not await suppressed(house, "transactional")
            assert await house.events() == [Suppression("unsubscribe"), Unsubscribe(READER_IP, READER, way)]

    story()


@pytest.mark.parametrize(
    "body",
    [b"", b"List-Unsubscribe=no", b"x=y", b"unsubscribe=", b"%zz", b"\xff", b"{}", b"List-Unsubscribe[]=One-Click"],
)
def test_post_that_does_not_say_so_only_asks(tmp_path: Path, body: bytes) -> None:
    @in_virtual_time
    async def story() -> None:
        async with open_track(tmp_path) as house:
            answer = await house.ask(house.unsubscribe(), "POST", body=body, Content_Type=FORM)
            assert (answer.status_code, "Yes, unsubscribe me" in answer.text) == (200, True)
            answer = await house.ask(
                house.unsubscribe(), "POST", body=body, Content_Type="multipart/form-data; boundary=x"
            )
            assert answer.status_code == 200
            assert not await suppressed(house) and await house.events() == []

    story()


@in_virtual_time
async def test_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        body = ONE_CLICK + b"&x=" + b"x" * MAX_BODY_BYTES
        assert (await house.ask(house.unsubscribe(), "POST", body=body, Content_Type=FORM)).status_code == 413
        assert not await suppressed(house)


@in_virtual_time
async def test_leaving_is_not_said_to_be_done_when_it_is_not(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        house.disk.is_broken = True
        answer = await house.ask(house.unsubscribe(), "POST", body=ONE_CLICK, Content_Type=FORM)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        house.disk.is_broken = False
        await asyncio.sleep(5)
        assert not await suppressed(house)
        answer = await house.ask(house.unsubscribe(), "POST", body=ONE_CLICK, Content_Type=FORM)
        assert answer.status_code == 200 and await suppressed(house)


@in_virtual_time
async def test_token_of_another_kind_takes_nobody_off(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        for address in (house.page(), house.pixel(), await house.link("https://shop.example/unsubscribe")):
            url = f"{BASE}/unsubscribe?p={address.rpartition('p=')[2]}"
            answer = await house.ask(url, "POST", body=ONE_CLICK, Content_Type=FORM)
            assert answer.status_code in (404, 405)
        assert not await suppressed(house)


@in_virtual_time
async def test_link_of_a_message_that_is_gone_says_so(tmp_path: Path) -> None:
    async with open_track(tmp_path) as house:
        sealer = RING.sealer(house.account, MessageId(house.message[:-3] + "zzz"))
        url = f"{BASE}/unsubscribe?p={sealer.seal_own(Kind.UNSUBSCRIBE)}"
        assert (await house.ask(url)).status_code == 404
        assert (await house.ask(url, "POST", body=ONE_CLICK, Content_Type=FORM)).status_code == 404


# ---- what all pages have


@pytest.mark.parametrize("page", [MISSING, GONE, TROUBLE, NOT_SO, confirm_page('"<b>"@x.example'), left_page("a@b.c")])
def test_page_runs_and_loads_nothing_and_stands_in_no_frame(page) -> None:
    text = page.body.decode()
    fields = dict(page.fields)
    rules = fields[b"content-security-policy"].decode()
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(sha256(style[1].encode()).digest()).decode()
    assert rules.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "frame-ancestors 'none'" in rules and "script" not in rules
    assert fields[b"x-content-type-options"] == b"nosniff" and fields[b"cache-control"] == b"no-store"
    assert fields[b"referrer-policy"] == b"same-origin"
    assert not re.search(r"<script|\bsrc=|\bhref=|url\(|@import|style=|<b>", text)
    assert '<html lang="en">' in text and "width=device-width" in text and "prefers-color-scheme: dark" in text
    assert text.count("<h1>") == 1 and "<title></title>" not in text


def test_masked_address_is_known_by_its_owner_only() -> None:
    assert masked("jane.doe@example.org") == "j•••@example.org"
    assert masked("ü@example.org") == "ü•••@example.org"


# ---- machines


@pytest.mark.parametrize(
    ("useragent", "expected"),
    [
        ("Mozilla/5.0", True),
        ("", True),
        ("Barracuda Sentinel (EE)", True),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", True),
        ("curl/8.5.0", True),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 "
            "Safari/537.36 Edge/12.246 Mozilla/5.0",
            True,
        ),
        ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", False),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", False),
        ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17126; Pro)", False),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)", False),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)", False),
        ("Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36", False),
        (READER, False),
    ],
)
def test_machine_is_known_by_its_user_agent(useragent: str, expected: bool) -> None:
    assert is_machine(useragent, {}) is expected


def test_browser_that_loads_ahead_of_its_reader_is_a_machine() -> None:
    assert is_machine(READER, {b"sec-purpose": b"prefetch;prerender"})
    assert not is_machine(READER, {b"sec-purpose": b"", b"purpose": b"reading"})


def test_each_machine_has_a_source_and_is_written_in_lower_case() -> None:
    assert len(MACHINES) > 10
    for machine in MACHINES:
        for text in (*machine.equals, *machine.contains):
            assert text == text.lower() and (text or machine.equals)


@pytest.mark.parametrize(
    "table",
    ['[[machine]]\nname = "x"\nequals = ["x"]', '[[machine]]\nname = "x"\nsource = "y"', "[[machine]]\nregex = 1"],
)
def test_table_without_source_or_sign_is_refused(table: str) -> None:
    with pytest.raises(ValueError, match=r"needs a source|is no property"):
        read_table(table)
