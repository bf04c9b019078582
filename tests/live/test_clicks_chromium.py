"""Every link of real-world newsletters, followed by a real Chromium, ends where it would have ended without us.

What an address means is the browser's to say: it reads the newsletter as it was, and as it was rewritten, and follows
each address of the second to its end, which must be the address of the first. The door answers behind the real HTTP
listener; the rest of the web is the test's.
"""

import email
import email.policy
import html
import json
import re
from pathlib import Path

import pytest

from smtpeter.content.rewrite.address import around_token, read_address
from smtpeter.content.rewrite.html import PIXEL_PATH
from smtpeter.model.account import AccountId
from smtpeter.model.event import Click, Open
from smtpeter.store.origins import Origins, number_origins
from smtpeter.wire.token import Kind
from tests.live.browser import CHROMIUM, Page, Tab
from tests.live.track_site import BASE, HOST, RING, Site, site

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

LETTER = "http://mail.test/letter"  # where the browser reads newsletters
FOLDER = Path(__file__).parent.parent / "data" / "newsletters"
# how many links and pictures of each are tracked
TRACKED = {
    "base64_receipt": (4, 1),
    "base_href": (1, 1),
    "broken_markup": (13, 0),
    "chinese_big5": (2, 0),
    "chinese_gb18030": (4, 0),
    "digest": (30, 0),
    "entities_without_semicolon": (10, 0),
    "idn_hosts": (14, 0),
    "image_map_and_tables": (4, 2),
    "japanese_iso_2022_jp": (4, 0),
    "japanese_shift_jis": (2, 0),
    "koi8_russian": (4, 0),
    "latin1_umlauts": (6, 0),
    "long_tracking_queries": (7, 0),
    "no_charset": (2, 0),
    "odd_paths": (23, 0),
    "other_schemes": (2, 0),
    "outlook_buttons": (5, 1),
    "own_parameter_p": (8, 0),
    "ports_users_addresses": (14, 0),
    "responsive_shop": (4, 1),
    "single_quotes_and_entities": (12, 0),
    "turkish_and_hebrew": (3, 0),
    "uppercase_and_bare": (8, 1),
    "utf16_export": (0, 0),  # a character set in which nothing is rewritten
}
ADDRESSES = """(async () => {
  if (document.readyState === 'loading')
    await new Promise(done => document.addEventListener('DOMContentLoaded', done));
  const all = [];
  for (const one of document.querySelectorAll('a[href], area[href]')) all.push(one.href);
  for (const one of document.querySelectorAll('img[src]')) all.push(one.src);
  for (const one of document.querySelectorAll('[background]'))
    all.push(new URL(one.getAttribute('background'), document.baseURI).href);
  return all;
})()"""
HIDDEN = re.compile(r"<v:\w+[^>]*? href=(?:\"([^\"]*)\"|'([^']*)')")


def page_of(content: bytes) -> Page:
    """Gives the HTML part of a mail as a server would, in its own character set."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    part = message.get_body(("html",))
    assert part is not None
    charset = part.get_content_charset("")
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return Page(octets, f"text/html; charset={charset}" if charset else "text/html")


def hidden_in(page: Page) -> list[str]:
    """Gives the addresses that only Outlook sees."""
    return [html.unescape(one or other) for one, other in HIDDEN.findall(page.content.decode("latin-1"))]


async def addresses(tab: Tab, page: Page) -> list[str]:
    """Gives all addresses of a page as the browser understands them."""
    tab.pages[LETTER] = page
    await tab.go(LETTER)
    found: list[str] = await tab.evaluate(ADDRESSES)
    return found + hidden_in(page)


async def follow(tab: Tab, before: list[str], after: list[str]) -> list[str]:
    """Follows the addresses that were changed; gives a line for each that ends elsewhere."""
    wrong = []
    for original, tracked in zip(before, after, strict=True):
        if tracked == original:
            continue
        ended = await tab.go(tracked)
        if not await tab.evaluate(f"URL.canParse({json.dumps(original)})"):
            # an address that leads nowhere leads nowhere through us
            is_right = (ended.url, ended.status) == (tracked, 0)
        else:
            # an empty fragment names the page itself and does not outlive a redirect
            is_right = ended.url == original.removesuffix("#") and len(ended.requests) == 2
        if not is_right:
            wrong.append(f"{original} -> {tracked} -> {ended}")
    return wrong


async def test_every_link_of_every_newsletter_ends_where_it_did(tmp_path: Path) -> None:
    letters = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.eml"))}
    wrong: list[str] = []
    tracked: dict[str, tuple[int, int]] = {}
    async with site(tmp_path) as place:
        tab = await place.browser.tab(HOST)
        for name, content in letters.items():
            rewritten, clicks, pictures = await place.rewritten(content)
            tracked[name] = clicks, pictures
            before = await addresses(tab, page_of(content))
            after = await addresses(tab, page_of(rewritten))
            after = [one for one in after if f"{PIXEL_PATH}?p=" not in one]
            assert len(before) == len(after), name
            changed = sum(one != other for one, other in zip(before, after, strict=True))
            if changed != clicks + pictures:
                wrong.append(f"{name}: {changed} of {clicks + pictures} were found")
            wrong += [f"{name}: {line}" for line in await follow(tab, before, after)]
        events = await place.happened()
    assert not wrong, "\n".join(wrong)
    assert tracked == TRACKED
    assert len([event for event in events if isinstance(event, Click)]) == sum(one for one, _ in tracked.values())
    assert all(event.machine for event in events if isinstance(event, Click | Open))  # a browser without a window


async def link_to(place: Site, url: str, account: AccountId | None = None) -> str:
    """Gives the tracked form of an address."""
    address = read_address(url)
    assert address is not None
    owner = account or place.account
    numbers = await place.store.write(number_origins, Origins(owner, (address.origin,)))
    token = RING.sealer(owner, place.message).seal(Kind.CLICK, numbers[address.origin], address.comparable)
    before, behind = around_token(BASE, address)
    return before + token + behind


async def test_forged_and_altered_links_end_on_the_page_that_says_so(tmp_path: Path) -> None:
    async with site(tmp_path) as place:
        tab = await place.browser.tab(HOST)
        good = await link_to(place, "https://shop.example/a?x=1")
        head, _, token = good.rpartition("p=")
        others = [
            await link_to(place, "https://shop.example/b?x=1"),
            await link_to(place, "https://other.example/a?x=2"),
            await link_to(place, "https://shop.example/a?x=3", place.accounts[1]),
        ]
        forged = [f"{head}p={token[:at]}{flipped(token[at])}{token[at + 1 :]}" for at in range(len(token))]
        forged += [head + "p=" + other.rpartition("p=")[2] for other in others]
        forged += [
            f"{BASE}{rest}p={token}"
            for rest in ("/b?x=1&", "/a?x=2&", "/a?", "/?", "/a/../b?x=1&", "//evil.example/a?")
        ]
        forged += [f"{BASE}/a?x=1&p={token[:-1]}", f"{BASE}/a?x=1&p={token}A", f"{BASE}/a?x=1", f"{BASE}/"]
        for url in forged:
            ended = await tab.load(url)
            assert (ended.url, ended.status) == (ended.requests[0], 404), url
            assert len(ended.requests) == 1
        assert await tab.evaluate("document.title") == "This link does not work"
        assert await place.happened() == []
        assert (await tab.go(good)).url == "https://shop.example/a?x=1"


def flipped(character: str) -> str:
    return "B" if character != "B" else "C"
