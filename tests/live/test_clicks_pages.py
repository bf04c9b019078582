"""Our own pages and pictures in a real Chromium: what is shown, what a press does, and that nothing is run."""

from pathlib import Path

import pytest

from smtpeter.content.rewrite.html import PIXEL_PATH
from smtpeter.content.rewrite.ours import unsubscribe_address, webversion_address
from smtpeter.model.event import Open, Suppression, Unsubscribe
from smtpeter.wire.token import Kind
from tests.live.browser import CHROMIUM, Page, Tab
from tests.live.track_site import BASE, HOST, RING, site

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

MAIL = """<!doctype html><html><head><title>News</title><style>h1 { color: rgb(1, 2, 3) }</style>
<script>document.title = 'run'</script></head><body onload="document.title = 'run'"><h1>News</h1>
<img src="https://img.shop.example/a.gif" onerror="document.title = 'run'">
<a href="https://shop.example/x" id="link">x</a><iframe src="https://evil.example/"></iframe></body></html>"""


async def on_a_phone(tab: Tab) -> None:
    await tab.command("Emulation.setDeviceMetricsOverride", width=320, height=640, deviceScaleFactor=2, mobile=True)


async def is_too_wide(tab: Tab) -> bool:
    width: int = await tab.evaluate("document.documentElement.scrollWidth")
    return width > 320


async def test_leaving_takes_one_press_on_a_phone_at_night(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        tab = await place.browser.tab(HOST)
        await on_a_phone(tab)
        await tab.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        await tab.command("Emulation.setScriptExecutionDisabled", value=True)
        url = unsubscribe_address(BASE, RING.sealer(place.account, place.message))
        assert (await tab.load(url)).status == 200
        assert not await is_too_wide(tab)
        assert await tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)"
        assert await tab.evaluate("document.querySelector('button').getBoundingClientRect().height >= 44")
        assert await place.happened() == []
        await tab.press("button")
        assert await tab.evaluate("document.title") == "You are unsubscribed"
        suppression, left = await place.happened()
        assert (suppression, left.way) == (Suppression("unsubscribe"), "page")
        assert isinstance(left, Unsubscribe)


async def test_page_for_what_is_not_there_fits_a_phone(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        tab = await place.browser.tab(HOST)
        await on_a_phone(tab)
        assert (await tab.load(f"{BASE}/nothing")).status == 404
        assert not await is_too_wide(tab)


async def test_web_version_looks_right_and_runs_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        place.page.html = MAIL
        tab = await place.browser.tab(HOST)
        tab.pages["https://img.shop.example/a.gif"] = Page(b"GIF89a", "image/gif")
        url = webversion_address(BASE, RING.sealer(place.account, place.message))
        ended = await tab.load(url)
        assert (ended.status, ended.requests) == (200, (url,))  # the frame was not even asked for
        assert await tab.evaluate("document.title") == "News"
        assert await tab.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(1, 2, 3)"
        assert "https://img.shop.example/a.gif" in tab.asked
        assert "https://evil.example/" not in tab.asked
        assert await tab.evaluate("self.origin") == "null"
        await tab.press("#link")
        assert await tab.evaluate("location.href") == "https://shop.example/x"


async def test_pixel_is_a_picture_of_one_by_one(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        tab = await place.browser.tab(HOST)
        pixel = f"{BASE}{PIXEL_PATH}?p={RING.sealer(place.account, place.message).seal_own(Kind.OPEN)}"
        tab.pages["http://mail.test/"] = Page(f'<img src="{pixel}">'.encode())
        await tab.load("http://mail.test/")
        size = "(one => [one.complete, one.naturalWidth, one.naturalHeight])(document.querySelector('img'))"
        assert await tab.evaluate(size) == [True, 1, 1]
        assert [type(event) for event in await place.happened()] == [Open]
