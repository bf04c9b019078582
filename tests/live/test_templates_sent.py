"""Mail made of templates, as it left the gateway, is read without complaint by parsers and judges that are not ours."""

import email
import email.policy
import hashlib
import subprocess
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import turbohtml

from tests.live.browser import CHROMIUM, browsing
from tests.live.gateway import Gateway, running
from tests.live.looks import lines, show
from tests.live.markup import blamed
from tests.live.programs import program
from tests.live.rspamd import rspamd
from tests.live.template_mails import Sent, calls, picture, sent, web

READER = Path(__file__).with_name("mime_parser.pl")
TRACKING = "https://clicks.example.com"
NAMES = sorted(calls(""))

# what rspamd says of the content of these mails, or of a choice that the call made
NOT_OF_FORM = {
    "R_MIXED_CHARSET",  # words that have letters with accents beside plain ones, as in German
    "URI_COUNT_ODD",  # the picture that tells of opening has no likeness in the text; nor has what a condition shows
}
NOT_OF_FORM_THERE = {
    # a text file that is attached goes as base64, so that it arrives octet for octet
    "every_block": {"MIME_BASE64_TEXT", "MIME_BASE64_TEXT_BOGUS"},
    "embedded, with files": {"MIME_BASE64_TEXT"},
    "without a text part": {"MIME_HTML_ONLY"},  # as the call asked
}


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    """All mails, sent through a gateway that may ask the web of the test."""
    folder = tmp_path_factory.mktemp("templates")
    settings = {"FETCH__NETWORKS": "127.0.0.0/8", "FETCH__ALLOW_HIGH_PORTS": "true", "TRACKING__BASE": TRACKING}
    with web() as base, running(Gateway(folder, **settings)) as gateway:
        yield sent(gateway, base)


def read(content: bytes) -> EmailMessage:
    """Gives a mail as Python reads it."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def html_of(content: bytes) -> str:
    part = read(content).get_body(("html",))
    assert part is not None
    return str(part.get_content())


def shape(message: EmailMessage) -> Any:
    """Gives the types of the parts, as they stand inside each other."""
    if message.is_multipart():
        return {message.get_content_subtype(): [shape(part) for part in message.iter_parts()]}
    return message.get_content_type()


@pytest.mark.parametrize("name", NAMES)
def test_python_finds_no_defect_in_any_part(mails: Sent, name: str) -> None:
    message = read(mails.mails[name])
    for part in message.walk():
        assert part.defects == []
        for field, value in part.items():
            assert getattr(value, "defects", ()) == (), f"{field}: {value}"
        if not part.is_multipart():
            part.get_content()  # decodes; what cannot be decoded raises
            assert part.defects == []
    assert message["From"].addresses and message["Subject"] and message["Date"].datetime and message["Message-ID"]


def test_mime_parser_reads_the_same_parts_and_complains_of_nothing(mails: Sent, tmp_path: Path) -> None:
    perl = program("perl")
    if subprocess.run([perl, "-MMIME::Parser", "-e1"], capture_output=True, check=False).returncode != 0:
        pytest.skip("MIME::Parser is not installed (libmime-tools-perl)")
    bad = b"From: a@example.com\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nwithout an end\n"
    for number, content in enumerate([*mails.mails.values(), bad]):
        (tmp_path / str(number)).write_bytes(content)
    paths = [str(number) for number in range(len(mails.mails) + 1)]
    done = subprocess.run([perl, READER, *paths], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    told: dict[str, list[list[str]]] = {path: [] for path in paths}
    for line in done.stdout.splitlines():
        path, *fields = line.split("\t")
        told[path].append(fields)
    assert "said" in [fields[0] for fields in told.pop(paths[-1])]  # the parser is awake
    for (name, content), found in zip(mails.mails.items(), told.values(), strict=True):
        assert found == seen_by_python(read(content)), name


def seen_by_python(message: EmailMessage, depth: int = 0) -> list[list[str]]:
    """Gives the parts as mime_parser.pl tells them."""
    octets = message.get_payload(decode=True)
    content = b"" if octets is None else octets.replace(b"\r\n", b"\n")  # type: ignore[union-attr]
    digest = "-" if message.is_multipart() else hashlib.md5(content).hexdigest()
    lines = [["part", str(depth), message.get_content_type(), digest, message.get_filename() or "-"]]
    for part in message.iter_parts() if message.is_multipart() else ():
        assert isinstance(part, EmailMessage)
        lines += seen_by_python(part, depth + 1)
    return lines


def test_rspamd_blames_no_form(mails: Sent, tmp_path: Path) -> None:
    faults = {}
    with rspamd(tmp_path) as judge:
        assert "MISSING_MID" in judge.blames(b"From: joe@example.com\n\nHello.\n")  # the judge is awake
        for name, content in mails.mails.items():
            there = [symbols for start, symbols in NOT_OF_FORM_THERE.items() if name.startswith(start)]
            if symbols := judge.blames(content).keys() - NOT_OF_FORM.union(*there):
                faults[name] = symbols
    assert faults == {}, faults


@pytest.mark.parametrize("name", NAMES)
def test_html_is_valid_as_it_left(mails: Sent, name: str) -> None:
    assert blamed(html_of(mails.mails[name])) == set()


def test_levels_of_a_mail_are_those_that_it_needs(mails: Sent) -> None:
    text, html, png = "text/plain", "text/html", "image/png"
    both = {"alternative": [text, html]}
    shapes = {name: shape(read(content)) for name, content in mails.mails.items()}
    assert shapes["small"] == shapes["medium"] == shapes["page"] == both
    assert shapes["every_block"] == {"mixed": [both, text]}
    assert shapes["embedded"] == {"related": [both, png]}
    assert shapes["hosted"] == {"related": [both]}  # the image was taken out, the rest is as it was
    assert shapes["embedded, with files"] == {"mixed": [{"related": [both, png]}, "application/pdf", text]}
    assert shapes["without a text part"] == html


def test_images_are_in_the_mail_or_where_its_html_says(mails: Sent) -> None:
    logo = picture(60, 20)
    for name, content in mails.mails.items():
        if not name.startswith(("embedded", "hosted")):
            continue
        sources = image_sources(content)
        assert len(sources) == 2, name
        for source in sources:
            if name.startswith("embedded"):
                assert part_named(content, source) == logo
            else:
                assert source.startswith(f"{TRACKING}/i/")
                assert mails.gateway.http("GET", source.removeprefix(TRACKING)).body == logo


def image_sources(content: bytes) -> list[str]:
    """Gives the addresses of the logo in the HTML, that of a picture elsewhere and of the pixel left out."""
    images = turbohtml.parse(html_of(content)).select("img[src]")
    found = [str(image.attrs["src"]) for image in images]
    return [source for source in found if source.startswith("cid:") or "/i/" in source]


def part_named(content: bytes, source: str) -> bytes:
    """Gives what a `cid:` address names."""
    (part,) = [part for part in read(content).walk() if part["Content-ID"] == f"<{source.removeprefix('cid:')}>"]
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets


def test_tracked_links_lead_where_they_led(mails: Sent) -> None:
    plain, tracked = (links(mails.mails[name]) for name in ("medium", "medium tracked and inlined"))
    assert len(plain) == len(tracked) == 3
    for before, after in zip(plain[1:], tracked[1:], strict=True):  # the first leads to the web version
        assert before.startswith("https://www.ferries.example/")
        assert after.startswith(f"{TRACKING}/")
        answer = mails.gateway.http("GET", after.removeprefix(TRACKING))
        assert (answer.status, answer.headers["location"]) == (302, before)


def links(content: bytes) -> list[str]:
    """Gives the targets of all links of the HTML."""
    return [str(link.attrs["href"]) for link in turbohtml.parse(html_of(content)).select("a[href]")]


@pytest.mark.parametrize("name", ["medium", "medium with data", "medium with data tracked and inlined"])
def test_web_version_is_the_page_for_browsers_and_valid(mails: Sent, name: str) -> None:
    address = links(mails.mails[name])[0]
    page = mails.gateway.http("GET", address.removeprefix(TRACKING))
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Open in browser" in html_of(mails.mails[name])
    assert "Open in browser" not in page.text
    assert ("Sorry, Ann &lt;&quot;&amp;ë&gt;" in page.text) == ("with data" in name)
    assert blamed(page.text) == set()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
async def test_columns_still_stack_on_a_phone_in_mail_that_was_tracked_and_inlined(mails: Sent, tmp_path: Path) -> None:
    columns = "[...document.querySelectorAll('.re-col')].map(one => one.getBoundingClientRect()).map(one => [one.left, one.top])"
    async with browsing(tmp_path) as browser:
        tab = await browser.tab("")
        for name in ("medium tracked and inlined", "every_block with data tracked and inlined"):
            html = html_of(mails.mails[name])
            for width, is_phone in ((1024, False), (375, True)):
                await show(tab, html, width)
                assert await tab.evaluate("document.documentElement.scrollWidth") <= width
                left, right, *_ = await tab.evaluate(columns)
                assert (left[0] == right[0], left[1] == right[1]) == (is_phone, not is_phone), (name, width)
                assert [line for line in await lines(tab) if line.contrast < 3] == []
