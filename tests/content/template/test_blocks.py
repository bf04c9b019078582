"""Each block type: what is written for it, its defaults, its aliases, and what is left out with a warning."""

import pytest

from smtpeter.content.template.reading import Resource
from tests.content.template.samples import all_of, block_html, codes, compiled, one_of, styles

GIF_20x10 = b"GIF89a\x14\x00\x0a\x00"
PICTURE = "https://a.example/i.gif"


@pytest.mark.parametrize(
    ("block", "code"),
    [
        ({"type": "text"}, "missing-property"),
        ({"type": "html"}, "missing-property"),
        ({"type": "html", "content": "<p>"}, "unbalanced-html"),
        ({"type": "heading"}, "missing-property"),
        ({"type": "heading", "content": "x", "size": 9}, "bad-value"),
        ({"type": "image"}, "missing-property"),
        ({"type": "image", "src": "javascript:x"}, "bad-url"),
        ({"type": "image", "src": PICTURE, "width": "0"}, "bad-length"),
        ({"type": "button"}, "missing-property"),
        ({"type": "button", "label": "x"}, "missing-property"),
        ({"type": "link", "label": "x", "link": "javascript:x"}, "bad-url"),
        ({"type": "link", "label": "x", "url": "https://a.example/"}, "alias"),
        ({"type": "columns"}, "missing-property"),
        ({"type": "container"}, "missing-property"),
        ({"type": "seperator"}, "alias"),
        ({"type": "separator", "style": "wavy"}, "bad-value"),
        ({"type": "separator", "height": -1}, "bad-length"),
        ({"type": "spacer", "height": 0}, "bad-length"),
        ({"type": "follow"}, "missing-property"),
        ({"type": "follow", "platforms": {"nowhere": "https://a.example/"}}, "bad-value"),
        ({"type": "share", "platforms": ["facebook"]}, "missing-property"),
        ({"type": "share", "platforms": ["googleplus"], "link": "https://a.example/"}, "obsolete-platform"),
        ({"type": "video"}, "missing-property"),
        ({"type": "video", "url": "https://a.example/v"}, "bad-url"),
        ({"type": "feed"}, "missing-property"),
        ({"type": "import"}, "missing-property"),
        ({"type": "nothing"}, "unknown-block"),
        ({"content": "x"}, "missing-type"),
        ("x", "not-a-block"),
        ({"type": "text", "content": "x", "colour": "red"}, "unknown-property"),
        ({"type": "text", "content": 5}, "wrong-type"),
        ({"type": "text", "source": "x"}, "alias"),
        ({"type": "text", "content": "x", "background": "reddish"}, "bad-color"),
        ({"type": "text", "content": "x", "margin": "3em"}, "bad-length"),
        ({"type": "text", "content": "x", "align": "middle"}, "bad-value"),
        ({"type": "text", "content": "x", "visibility": {"client": "a"}}, "unknown-property"),
    ],
)
def test_what_is_wrong_is_told_and_neighbours_stay(block, code):
    result = compiled(block, {"type": "text", "content": "neighbour"})
    assert code in codes(result)
    assert all(problem.path.startswith("/content/blocks/0") for problem in result.problems)
    assert ">neighbour</div>" in result.html


def test_null_is_absent():
    assert codes(compiled({"type": "text", "content": "x", "align": None, "strange": None})) == []


def test_text_breaks_lines_and_escapes_values_of_variables():
    result = compiled({"type": "text", "content": 'a\r\n"b" {$c} {$d|nl2br} { $e }'})
    assert "a<br />\n&quot;b&quot; {$c|escape} {$d|nl2br} { $e }" in result.html
    assert "{$c} {$d|nl2br}" in result.unpersonalized.html
    assert "{$c} {$d|nl2br}" in result.text


def test_heading_takes_size_line_height_and_weight_of_its_own_only():
    html = block_html({"type": "heading", "content": "x", "size": "3"}, font={"size": 9, "weight": 100, "color": "red"})
    style = styles(one_of(html, "h3"))
    assert [style[name] for name in ("font-size", "line-height", "font-weight", "color")] == [
        "32px",
        "1.3",
        "bold",
        "#ff0000",
    ]
    html = block_html({"type": "heading", "content": "x", "font": {"size": 9}})
    assert styles(one_of(html, "h1"))["font-size"] == "9px"


@pytest.mark.parametrize(
    ("given", "width", "style", "height"),
    [
        ({"width": "50%"}, "290", "50%", "auto"),
        ({"width": 290}, "290", "50%", "auto"),
        ({"width": "900px"}, "580", "100%", "auto"),
        ({"width": "150%"}, "580", "100%", "auto"),
        ({"width": 100, "height": 30}, "100", "17.24%", "30px"),
        ({}, "20", "3.45%", "auto"),
        ({"height": 100}, "200", "34.48%", "auto"),
    ],
)
def test_image_width_is_a_share_of_its_place(given, width, style, height):
    block = {"type": "image", "src": PICTURE, **given}
    result = compiled(block, resources={PICTURE: Resource(GIF_20x10)})
    image = one_of(result.unpersonalized.html, "img")
    found = styles(image)
    assert (image.get("width"), found["width"], found["height"], image.get("alt")) == (width, style, height, "")


def test_image_of_unknown_size_fills_its_place_and_is_wanted():
    result = compiled({"type": "image", "src": PICTURE}, {"type": "image", "src": PICTURE, "height": 10})
    first, second = all_of(result.unpersonalized.html, "img")
    assert styles(first)["width"] == "100%"
    assert (styles(second)["width"], second.get("height")) == ("auto", "10")
    assert [(one.url, one.purpose) for one in result.wanted] == [(PICTURE, "image")]


def test_images_can_be_embedded():
    html = {"type": "html", "content": f'<img src="{PICTURE}"><img src=other.png>'}
    result = compiled({"type": "image", "src": PICTURE, "width": 10}, html)
    assert result.images == (PICTURE, "other.png")
    assert result.embedded({PICTURE: "cid:1"}).count('src="cid:1"') == 2
    assert "src=other.png" in result.embedded({PICTURE: "cid:1"})


def test_button_is_bulletproof_and_ignores_colour_around_it():
    html = block_html(
        {"type": "button", "label": "<Go>", "link": {"url": "https://a.example/", "title": "t"}, "corners": "round"},
        font={"color": "red", "family": "Arial"},
    )
    cell, link = one_of(html, "td", "re-button"), one_of(html, "a")
    assert (cell.get("bgcolor"), styles(cell)["mso-padding-alt"]) == ("#2ba6cb", "10px 25px 10px 25px")
    style = styles(link)
    assert (style["color"], style["line-height"], style["border-radius"]) == ("#ffffff", "120%", "500px")
    assert (link.text, link.get("title"), style["font-family"]) == ("<Go>", "t", "Arial")
    assert not all_of(html, "button")


@pytest.mark.parametrize(
    ("sizes", "widths", "warns"),
    [
        ([None, None], ["50%", "50%"], False),
        ([6, None, None], ["50%", "25%", "25%"], False),
        ([3], ["25%", "75%"], True),
        ([12, 12], ["50%", "50%"], True),
        ([0, 11], ["8.3333%", "91.6667%"], True),
        ([None] * 13, ["7.6923%"] * 13, True),
    ],
)
def test_sizes_of_columns(sizes, widths, warns):
    block = {"type": "columns", "columns": [{"size": size, "blocks": [{"type": "spacer"}]} for size in sizes]}
    result = compiled(block)
    assert [styles(cell)["width"] for cell in all_of(result.unpersonalized.html, "td", "re-col")] == widths
    assert ("column-sizes" in codes(result)) == warns


def test_columns_in_a_column_are_left_out_at_any_depth_as_an_error():
    inner = {
        "type": "container",
        "blocks": [{"type": "columns", "columns": [{}]}, {"type": "text", "content": "stays"}],
    }
    result = compiled({"type": "columns", "columns": [{"blocks": [inner]}]})
    assert [(one.code, one.severity) for one in result.problems] == [("nested-columns", "error")]
    assert "stays" in result.html
    assert not result.problems[0].is_fatal


def test_columns_in_a_container_are_fine():
    assert codes(compiled({"type": "container", "blocks": [{"type": "columns", "columns": [{}]}]})) == []


def test_separator_and_spacer_defaults():
    html = block_html({"type": "separator"}, {"type": "spacer"})
    assert "border-top:4px solid #cccccc" in html
    assert "height:50px;line-height:50px;font-size:1px" in html


def test_follow_leads_to_profiles_and_mail():
    platforms = {
        "facebook": "@me",
        "twitter": {"identifier": "you", "attributes": {"class": "tw"}},
        "mail": "a@b.example",
    }
    result = compiled({"type": "follow", "platforms": platforms, "label": "Here"}, icons="https://icons.example/")
    links = all_of(result.unpersonalized.html, "a")
    assert [one.get("href") for one in links] == [
        "https://www.facebook.com/me",
        "https://twitter.com/you",
        "mailto:a@b.example",
    ]
    assert links[1].get("class") == "tw"
    assert "https://icons.example/rounded/32/twitter.png" in result.images
    assert result.text.startswith("Here\nFacebook: https://www.facebook.com/me\n")


def test_share_names_what_is_shared():
    block = {"type": "share", "link": {"url": "https://a.example/?x=1", "title": "A b"}, "facebook": {"appid": "7"}}
    result = compiled({**block, "platforms": ["facebook", "twitter", "mail", "whatsapp"]})
    shared = "https%3A%2F%2Fa.example%2F%3Fx%3D1"
    assert [one.get("href") for one in all_of(result.unpersonalized.html, "a")] == [
        f"https://www.facebook.com/dialog/share?app_id=7&display=page&href={shared}&redirect_uri={shared}",
        f"https://twitter.com/intent/tweet?url={shared}&text=A%20b",
        f"mailto:?subject=A%20b&body=A%20b%20{shared}",
        f"https://api.whatsapp.com/send?text=A%20b%20{shared}",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://youtu.be/AbCdEfGhIjK?t=1",
        "https://www.youtube.com/watch?a=b&v=AbCdEfGhIjK",
        "youtube.com/shorts/AbCdEfGhIjK",
    ],
)
def test_video_is_a_still_in_mail_and_a_player_on_the_web(url):
    result = compiled({"type": "video", "url": url, "embed": True})
    assert "https://img.youtube.com/vi/AbCdEfGhIjK/hqdefault.jpg" in result.html
    assert 'src="https://www.youtube.com/embed/AbCdEfGhIjK"' in result.webversion
    assert "<iframe" not in compiled({"type": "video", "url": url}).webversion


def test_mobile_blocks_are_hidden_and_not_in_the_text():
    result = compiled({"type": "text", "content": "x", "visibility": {"device": "mobile"}})
    row = one_of(result.unpersonalized.html, "tr", "re-mobile")
    assert row.get("style") == "display:none;mso-hide:all"
    assert result.text == ""


RSS = b"""<rss><channel><item><title>{$evil} &amp; co</title><link>https://f.example/1</link>
<description>&lt;p onclick="x"&gt;Hi {if} &lt;a href="/more"&gt;more&lt;/a&gt;&lt;script&gt;x&lt;/script&gt;&lt;/p&gt;</description>
<enclosure type="image/png" url="/p.png"/></item></channel></rss>"""


def test_feed_is_sanitized_resolved_and_no_code():
    feed = {"type": "feed", "url": "https://f.example/", "heading": {"size": 5}, "blocks": ["heading", "html"]}
    result = compiled(feed, resources={"https://f.example/": Resource(RSS)})
    assert "<h5" in result.html
    assert "{ldelim}$evil} &amp; co" in result.html
    assert "{$evil} &amp; co" in result.unpersonalized.html
    assert '<p>Hi {ldelim}if} <a href="https://f.example/more">more</a></p>' in result.html


def test_import_takes_a_block_an_object_or_an_array():
    for content in (
        b'{"type":"text","content":"in"}',
        b'{"blocks":[{"type":"text","content":"in"}]}',
        b'[{"type":"text","content":"in"}]',
    ):
        result = compiled(
            {"type": "import", "url": "https://i.example/"}, resources={"https://i.example/": Resource(content)}
        )
        assert result.text == "in"
        assert codes(result) == []


def test_downloaded_markup_loses_what_acts_and_keeps_tags():
    page = b"<html><body><p style='color:red;position:fixed'>{$name|default:\"x\"}<script>x</script><iframe></iframe></p></body></html>"
    result = compiled({"type": "html", "url": "https://i.example/"}, resources={"https://i.example/": Resource(page)})
    assert '<p style="color:red">{$name|default:"x"}</p>' in result.html


def test_text_of_markup_follows_its_structure():
    markup = '<h1>Ti&amp;tle</h1><p>a<br>b <a href="https://a.example/">https://a.example/</a></p><ul><li>one<li>two</ul><img alt="pic">'
    assert (
        compiled({"type": "html", "content": markup}).text == "Ti&tle\n\na\nb https://a.example/\n\n- one\n- two\npic"
    )
