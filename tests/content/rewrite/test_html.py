import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.content.rewrite.address import comparable, detach
from smtpeter.content.rewrite.html import compile_html
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.wire.token import Kind, read
from tests.content.rewrite.letters import ACCOUNT, BASE, CLICKS, LETTERS, MESSAGE, RING, hrefs, origins_of, rewrite
from tests.wire.test_token import NOW

TRACKED = re.compile(r"https://clicks\.example\.com[^\s\"']*[?&](?:amp;)?p=([A-Za-z0-9_-]{40})")
FEATURES = ("clicks", "opens", "images", "inlines_css", "prevents_scam", "plain_text")
every_letter = pytest.mark.parametrize("name", LETTERS)
noise = st.sampled_from(
    [
        "<a ",
        "<a href=",
        "https://x.example/p",
        '"',
        "'",
        ">",
        "</a>",
        "<!--",
        "[if mso]>",
        "<![endif]-->",
        "&amp;",
        "<",
        "\r\n",
        "\n",
        "\r",
        "</body>",
        "<style>",
        "</style>",
        "<script>",
        "=",
        "/",
        "é",
        "😀",
        "\x00",
        "�",
        "href",
        " ",
        "?",
        "#",
        "<noscript>",
        "</noscript>",
        "cid:x",
        "<img src=",
    ]
)


@every_letter
def test_with_all_features_off_nothing_changes(name):
    assert rewrite(LETTERS[name]) == LETTERS[name]
    assert not compile_html(LETTERS[name], Rewriting(BASE)).is_changed


@every_letter
def test_only_the_values_of_links_change_and_lead_back_to_what_stood_there(name):
    html = LETTERS[name]
    out = rewrite(html, clicks=True)
    compiled = compile_html(html, Rewriting(BASE, clicks=True))
    slots = [segment for segment in compiled.segments if not isinstance(segment, str)]
    assert len(slots) == CLICKS[name]
    # octet for octet the same when what stood there is put back
    assert "".join(segment if isinstance(segment, str) else segment.untracked for segment in compiled.segments) == html
    origins = origins_of(html, clicks=True)
    before, after = hrefs(html), hrefs(out)
    for was, now in zip(before, after, strict=True):
        if now != was:
            found = detach(now.removeprefix(BASE).partition("#")[0])
            reference = read(found[1])
            assert (reference.kind, reference.message) == (Kind.CLICK, MESSAGE)
            rest = found[0]
            RING.check(reference, ACCOUNT, NOW, comparable(origins[reference.number], rest))
            cleaned = was.strip().replace("\n", "").replace("\t", "")
            assert origins[reference.number] + rest + "".join(now.partition("#")[1:]) == cleaned


@every_letter
def test_line_ends_make_no_difference_and_stay(name):
    html = LETTERS[name]
    crlf = html.replace("\n", "\r\n")
    assert rewrite(crlf, clicks=True, opens=True, images=True) == rewrite(
        html, clicks=True, opens=True, images=True
    ).replace("\n", "\r\n")


@every_letter
def test_a_text_that_was_rewritten_is_not_rewritten_again(name):
    out = rewrite(LETTERS[name], clicks=True, images=True)
    assert rewrite(out, clicks=True, images=True) == out


@every_letter
def test_the_pixel_stands_once_and_nothing_else_is_added(name):
    html = LETTERS[name]
    out = rewrite(html, opens=True)
    pixel = re.search(r'<img src="https://clicks\.example\.com/o\.gif\?p=([A-Za-z0-9_-]{40})"[^>]*>', out)
    assert out.count("/o.gif") == 1
    assert read(pixel[1]).kind is Kind.OPEN
    assert read(pixel[1]).number == ACCOUNT
    assert out[: pixel.start()] + out[pixel.end() :] == html


def test_the_pixel_stands_before_the_last_end_of_the_body():
    assert re.search(r"px;border:0\"></BODY >", rewrite(LETTERS["two_bodies"], opens=True))
    assert rewrite(LETTERS["fragment"], opens=True).endswith('border:0">')
    # an end of the body in a script or comment is none
    assert 'border:0"></body></html>' in rewrite(LETTERS["scripts_and_raw_text"], opens=True)


def test_links_of_outlook_and_of_readers_without_scripts_are_tracked():
    out = rewrite(LETTERS["outlook_vml_button"], clicks=True)
    assert out.count("https://tickets.example") == 0
    assert "https://raw.example/noscript" not in rewrite(LETTERS["scripts_and_raw_text"], clicks=True)


def test_text_that_only_looks_like_a_link_stays():
    out = rewrite(LETTERS["scripts_and_raw_text"], clicks=True)
    for place in ("title", "style", "script", "textarea", "comment", "xmp"):
        assert f"https://raw.example/{place}" in out


def test_links_that_opt_out_lead_to_us_or_leave_the_list_stay():
    html = LETTERS["data_track"]
    out = rewrite(html, clicks=True, images=True, excluded=frozenset(["https://bank.example/leave?u=1&l=2"]))
    assert [now for was, now in zip(hrefs(html), hrefs(out), strict=True) if was != now] == [
        now for now in hrefs(out) if "/terms" in now
    ]
    assert 'src="https://bank.example/logo.png"' in out
    assert 'src="https://clicks.example.com/hero.png?p=' in out


def test_a_link_that_shows_its_own_host_stays_when_scam_is_prevented():
    html = LETTERS["preventscam"]
    out = rewrite(html, clicks=True, prevents_scam=True)
    changed = [was for was, now in zip(hrefs(html), hrefs(out), strict=True) if was != now]
    assert changed == [f"https://museum.example/{path}" for path in "xyzw"]


def test_images_are_tracked_where_they_stand():
    out = rewrite(LETTERS["preheader"], images=True)
    assert 'background="https://clicks.example.com/bg.jpg?p=' in out
    assert 'src="https://clicks.example.com/hero@2x.jpg?p=' in out
    assert read(TRACKED.search(out)[1]).kind is Kind.IMAGE
    assert "https://mode.example/sale" in out


def test_a_host_without_a_number_is_left_as_it_was():
    html = LETTERS["digest_many_links"]
    assert rewrite(html, clicks=True, numbers={}) == html
    some = rewrite(html, clicks=True, numbers={"http://feed.example": 7})
    assert some.count("https://clicks.example.com") == 30


def test_references_to_hosted_images_are_exchanged_wherever_they_show_one():
    addresses = {name: f"{BASE}/i/{name[:4]}" for name in ("hero@mail", "logo@mail", "paper")}
    out = rewrite(LETTERS["embedded_images"], hosted=addresses)
    assert out.count("cid:") == 2  # the visible text, and the image that is missing
    assert "text cid:paper is" in out
    assert 'src="cid:missing"' in out
    assert f'url("{BASE}/i/hero")' in out
    assert f'<v:fill type="tile" src="{BASE}/i/pape"' in out


@given(st.lists(noise, max_size=60).map("".join), st.sets(st.sampled_from(FEATURES)))
@settings(max_examples=400)
def test_any_text_is_rewritten_without_error_and_changes_only_in_slots(html, features):
    # invariant: total; without style sheets, what stood in the slots put back gives the same text
    compiled = compile_html(html, Rewriting(BASE, **dict.fromkeys(features - {"inlines_css"}, True)))
    assert "".join(part if isinstance(part, str) else part.untracked for part in compiled.segments) == html
    compile_html(html, Rewriting(BASE, **dict.fromkeys(features, True)))


@given(st.sampled_from(sorted(LETTERS)), st.data())
@settings(max_examples=150)
def test_a_letter_that_was_cut_or_damaged_changes_only_in_slots(name, data):
    html = LETTERS[name]
    place = data.draw(st.integers(0, len(html)))
    damaged = (
        html[:place]
        + data.draw(st.lists(noise, max_size=3).map("".join))
        + html[place + data.draw(st.integers(0, 5)) :]
    )
    compiled = compile_html(damaged, Rewriting(BASE, clicks=True, opens=True, images=True, prevents_scam=True))
    assert "".join(part if isinstance(part, str) else part.untracked for part in compiled.segments) == damaged


HOSTILE = [
    "<a ",
    "<a href=https://x.example/ ",
    "<!--[if mso]>",
    "<a href=https://x.example/>",
    "<noscript>",
    "&",
    "</a>",
    "<a href='",
]
HOSTILE += [
    "<!--[if mso]><a href=https://x.example><![endif]-->",
    '<a href="https://x.example/%2e%2e/">',
    "\r\n",
    "<style>",
    "<div>",
]


@pytest.mark.parametrize("bait", HOSTILE)
def test_hostile_text_costs_linear_time(bait):
    everything = Rewriting(BASE, clicks=True, opens=True, images=True, prevents_scam=True, inlines_css=True)
    times = []
    for size in (25_000, 100_000):
        html = bait * (size // len(bait))
        takes = []
        for _ in range(3):  # the collector of cycles may run in one of them
            start = time.process_time()
            compile_html(html, everything)
            takes.append(time.process_time() - start)
        times.append(min(takes))
    assert times[1] < max(0.1, 10 * times[0])
    assert times[1] < 1.0
