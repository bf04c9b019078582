"""Compiled templates in a real browser: widths at a desk, stacking on a phone, never a horizontal scroll bar.

The browser is asked for the document after scripts ran: a page frames the mail at several widths, measures it, and
writes what it found into itself. Screenshots show whether anything is painted where it should be.
"""

import base64
import html
import itertools
import json
import re
import shutil
import subprocess
import zlib

import pytest

from smtpeter.content.template.compile import compile_document
from tests.content.template.samples import compiled, sample

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

DESK, PHONE = 900, 360
PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAAP8AAP///ywAAAAAAQABAAACAkQBADs="
MEASURE = """
const found = {};
for (const frame of document.querySelectorAll('iframe')) {
  const page = frame.contentDocument, box = one => { const r = one.getBoundingClientRect();
    return {tag: one.tagName, class: one.className, text: one.textContent.slice(0, 20), alt: one.alt || '',
      left: r.left, top: r.top, width: r.width, height: r.height, shown: r.height > 0}; };
  found[frame.id] = {scroll: page.documentElement.scrollWidth, width: frame.clientWidth, mode: page.compatMode,
    boxes: [...page.querySelectorAll('.re-content, .re-col, .re-block, .re-button, .re-button a, img, h1, h2')].map(box)};
}
document.body.innerHTML = '<pre id="found">' + btoa(unescape(encodeURIComponent(JSON.stringify(found)))) + '</pre>';
"""


def chromium(folder, *arguments):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    command += ["--no-first-run", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += [f"--user-data-dir={folder / 'profile'}", "--force-device-scale-factor=1", *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, check=True).stdout


def measured(folder, page, widths=(DESK, PHONE)):
    """Gives what the browser found at each width."""
    frames = "".join(
        f'<iframe id="w{width}" style="width:{width}px;height:2000px;border:0" srcdoc="{html.escape(page)}"></iframe>'
        for width in widths
    )
    outer = folder / "outer.html"
    outer.write_text(f"<!DOCTYPE html><body>{frames}<script>window.onload = () => {{{MEASURE}}}</script></body>")

    dumped = chromium(folder, "--virtual-time-budget=5000", "--dump-dom", outer.as_uri()).decode()
    return json.loads(base64.b64decode(re.search(r'<pre id="found">([^<]*)<', dumped)[1]))


def boxes(found, width, class_="", tag=""):
    return [
        one
        for one in found[f"w{width}"]["boxes"]
        if (not class_ or class_ in one["class"].split()) and (not tag or one["tag"] == tag)
    ]


LAYOUT = [
    {"type": "heading", "content": "A heading whose wordsareverylongandcannotbebrokenanywhereatall" * 2},
    {"type": "image", "src": PICTURE, "alt": "half", "width": "290px"},
    {
        "type": "columns",
        "columns": [
            {"size": 8, "padding": 10, "blocks": [{"type": "text", "content": "left " * 30}]},
            {"size": 4, "blocks": [{"type": "image", "src": PICTURE, "alt": "column", "width": "100%"}]},
        ],
    },
    {"type": "columns", "columns": [{"size": 3, "blocks": [{"type": "text", "content": "short row"}]}]},
    {"type": "button", "label": "Press", "link": "https://a.example/", "align": "center", "corners": "round"},
    {"type": "text", "content": "at a desk", "visibility": {"device": "desktop"}},
    {"type": "text", "content": "on a phone", "visibility": {"device": "mobile"}},
    {"type": "text", "content": "https://a.example/" + "x" * 300},
]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return measured(tmp_path_factory.mktemp("layout"), compiled(*LAYOUT).unpersonalized.html)


def test_centre_column_is_580_wide_at_a_desk_and_as_wide_as_a_phone(found):
    (desk,), (phone,) = boxes(found, DESK, "re-content"), boxes(found, PHONE, "re-content")
    assert (desk["width"], desk["left"]) == (580, (DESK - 580) / 2)
    assert (phone["width"], phone["left"]) == (PHONE, 0)


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_nothing_has_to_be_scrolled_sideways(found, width):
    assert found[f"w{width}"]["scroll"] <= width


def test_columns_stand_beside_each_other_at_a_desk(found):
    left, right, short, rest = boxes(found, DESK, "re-col")
    assert left["width"] == pytest.approx(580 * 8 / 12, abs=1)
    assert right["width"] == pytest.approx(580 * 4 / 12, abs=1)
    assert (left["top"], left["left"] + left["width"]) == (right["top"], pytest.approx(right["left"], abs=1))
    assert (short["width"], rest["width"]) == (pytest.approx(145, abs=1), pytest.approx(435, abs=1))


def test_columns_stack_on_a_phone_with_the_leftmost_on_top(found):
    left, right, short, rest = boxes(found, PHONE, "re-col")
    assert [one["width"] for one in (left, right, short)] == [PHONE] * 3
    assert right["top"] >= left["top"] + left["height"]
    assert rest["height"] == 0


def test_images_keep_their_share_and_never_leave_their_cell(found):
    half, column = boxes(found, DESK, tag="IMG")
    assert half["width"] == 290
    assert column["width"] == pytest.approx(580 / 3, abs=1)
    half, column = boxes(found, PHONE, tag="IMG")
    assert (half["width"], column["width"]) == (PHONE / 2, PHONE)


def test_device_blocks_are_seen_only_there(found):
    for width, device, other in ((DESK, "re-desktop", "re-mobile"), (PHONE, "re-mobile", "re-desktop")):
        assert boxes(found, width, device)[0]["shown"]
        assert not boxes(found, width, other)[0]["shown"]


def test_button_is_as_wide_as_its_label_centred_and_pressed_everywhere(found):
    for width in (DESK, PHONE):
        (cell,) = boxes(found, width, "re-button")
        (link,) = [one for one in boxes(found, width, tag="A") if one["text"] == "Press"]
        assert cell["width"] < 200
        assert cell["left"] + cell["width"] / 2 == pytest.approx(width / 2, abs=1)
        assert (link["width"], link["height"]) == (
            pytest.approx(cell["width"], abs=1),
            pytest.approx(cell["height"], abs=1),
        )


def test_images_in_the_middle_have_no_gap_below_them_and_icons_stand_five_pixels_apart(tmp_path):
    page = compiled(
        {"type": "image", "src": PICTURE, "alt": "middle", "width": "50%", "align": "center"},
        {"type": "image", "src": PICTURE, "alt": "right", "width": "50%", "align": "right"},
        {"type": "follow", "platforms": {"twitter": "@me", "facebook": "me", "linkedin": "me"}, "icon": {"size": 24}},
        icons="https://icons.example",
    )
    found = measured(tmp_path, page.unpersonalized.html)
    for width in (DESK, PHONE):
        middle, right, *icons = boxes(found, width, tag="IMG")
        rows = boxes(found, width, "re-block-image")
        assert [row["height"] for row in rows] == [middle["height"], right["height"]]
        assert [one["width"] for one in icons] == [24] * 3
        assert [other["left"] - one["left"] for one, other in itertools.pairwise(icons)] == [24 + 5] * 2
        (row,) = boxes(found, width, "re-block-follow")
        assert row["height"] == 24 + 5


@pytest.mark.parametrize("name", ["small", "medium", "every_block"])
def test_samples_need_no_sideways_scrolling_in_either_output(tmp_path, name):
    result = compile_document(sample(name), icons="https://icons.example").unpersonalized
    for number, page in enumerate((result.html, result.webversion)):
        (tmp_path / str(number)).mkdir()
        for width, one in measured(tmp_path / str(number), page, (DESK, 600, PHONE, 320)).items():
            assert one["scroll"] <= one["width"], width


def pixels(png):
    """Gives width, height and rows of (r, g, b) of a PNG with 8 bits and no interlacing, as the browser writes it."""
    at, data, head = 8, b"", b""
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        head, data = (body, data) if kind == b"IHDR" else (head, data + body if kind == b"IDAT" else data)
        at += 12 + length
    width, height, step = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big"), {2: 3, 6: 4}[head[9]]
    raw, rows, before = zlib.decompress(data), [], bytearray(width * step)
    for y in range(height):
        start = y * (width * step + 1)
        row = unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + width * step]), before, step)
        rows.append([tuple(row[x : x + 3]) for x in range(0, len(row), step)])
        before = row
    return width, height, rows


def unfiltered(kind, row, before, step):
    for x in range(len(row)):
        a, b, c = (row[x - step] if x >= step else 0), before[x], (before[x - step] if x >= step else 0)
        guess = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
        row[x] = (row[x] + (0, a, b, (a + b) // 2, guess)[kind]) & 255
    return row


@pytest.mark.parametrize("width", [600, 500])
def test_screenshot_shows_colours_where_they_belong(tmp_path, width):
    page = compiled(
        {"type": "columns", "columns": [
            {"background": {"color": "red"}, "blocks": [{"type": "spacer", "height": 100}]},
            {"background": {"color": "blue"}, "blocks": [{"type": "spacer", "height": 100}]},
        ]},
        background="#00ff00",
    )  # fmt: skip
    (tmp_path / "mail.html").write_text(page.unpersonalized.html)
    picture = tmp_path / "picture.png"
    chromium(tmp_path, f"--screenshot={picture}", f"--window-size={width},400", (tmp_path / "mail.html").as_uri())
    _, _, rows = pixels(picture.read_bytes())
    assert rows[50][100] == (255, 0, 0)
    assert rows[150][100] == (0, 0, 255)  # both are phones: the second column is below the first
    assert rows[390][100] == (0, 255, 0)


def test_screenshot_at_a_desk_shows_columns_beside_each_other(tmp_path):
    colors = [
        {"background": {"color": color}, "blocks": [{"type": "spacer", "height": 100}]} for color in ("red", "blue")
    ]
    page = compiled({"type": "columns", "columns": colors}, background="#00ff00").unpersonalized.html
    (tmp_path / "mail.html").write_text(page)
    picture = tmp_path / "picture.png"
    chromium(tmp_path, f"--screenshot={picture}", "--window-size=800,300", (tmp_path / "mail.html").as_uri())
    _, _, rows = pixels(picture.read_bytes())
    assert [rows[50][x] for x in (50, 200, 600, 750)] == [(0, 255, 0), (255, 0, 0), (0, 0, 255), (0, 255, 0)]
