"""The sample documents of the format, and what is expected of each."""

import time
from xml.etree import ElementTree

import pytest

from smtpeter.content.template.compile import compile_document, problems_of
from tests.content.template.samples import XHTML, all_of, codes, one_of, sample, styles

NAMES = ["small", "medium", "every_block"]


@pytest.mark.parametrize("name", NAMES)
def test_samples_compile_without_errors_to_well_formed_documents(name):
    result = compile_document(sample(name))
    assert {one.severity for one in result.problems} <= {"warning"}
    for html in (result.unpersonalized.html, result.unpersonalized.webversion):
        assert html.startswith("<!DOCTYPE html PUBLIC ")
        assert ElementTree.fromstring(html).tag == f"{XHTML}html"


@pytest.mark.parametrize("name", NAMES)
def test_the_same_document_gives_the_same_result(name):
    assert compile_document(sample(name)) == compile_document(sample(name))


def test_largest_sample_compiles_within_30_ms():
    document = sample("every_block")
    compile_document(document)
    before = time.process_time()
    for _ in range(10):
        compile_document(document)
    assert (time.process_time() - before) / 10 < 0.03


def test_small_is_escaped_text_and_nothing_else():
    result = compile_document(sample("small"))
    assert ">Today: leek &amp; potato &lt;vegan&gt;</div>" in result.html
    assert not all_of(result.unpersonalized.html, "img")
    assert not all_of(result.unpersonalized.html, "a")
    assert result.text == "Today: leek & potato <vegan>"
    assert one_of(result.unpersonalized.html, "title").text == "Soup of the day"
    assert codes(result) == []


@pytest.fixture(scope="module")
def medium():
    return compile_document(sample("medium"))


def test_medium_negative_margin_is_zero(medium):
    cell = one_of(medium.unpersonalized.html, "tr", "re-block-heading")[0]
    assert styles(cell)["padding"] == "20px 0px 0px 0px"


def test_medium_image_and_columns_have_their_shares(medium):
    image = one_of(medium.unpersonalized.html, "img")
    assert (image.get("width"), styles(image)["width"]) == ("145", "50%")
    cells = all_of(medium.unpersonalized.html, "td", "re-col")
    assert [(cell.get("width"), styles(cell)["width"]) for cell in cells] == [("290", "50%")] * 2


def test_medium_links_are_rewritten_and_keep_their_tags(medium):
    assert 'href="https://www.ferries.example/refund?from=info&amp;via=mail"' in medium.html
    assert 'href="https://www.ferries.example/times?line={$line}&amp;via=mail"' in medium.unpersonalized.html
    assert 'href="https://www.ferries.example/times?line={$line|urlencode}&amp;via=mail"' in medium.html


def test_medium_link_to_the_web_version_is_for_mail_only(medium):
    assert "Open in browser" in medium.html
    assert "Open in browser" not in medium.webversion
    assert 'href="{$webversion}"' in medium.unpersonalized.html


def test_medium_conditions_and_escapes_of_the_author_come_through(medium):
    assert "{if $minutes > 20}" in medium.html
    assert "Sorry, {$firstname|escape}</h2>" in medium.html
    assert "Sorry, {$firstname|escape}</h2>" in medium.unpersonalized.html


@pytest.fixture(scope="module")
def everything():
    return compile_document(sample("every_block"))


@pytest.mark.parametrize(
    "target",
    [
        "https://old.garden.example/?moved=1",
        "https://www.garden.example/trees?campaign=letter&group=woody",
        "#end",
        "https://www.garden.example/shop/tulips?campaign=spring",
        "https://www.garden.example/shop/seeds?x=1&campaign=button",
        "tel:+15550100",
    ],
)
def test_every_block_links_have_the_expected_targets(everything, target):
    assert target in [link.get("href") for link in all_of(everything.unpersonalized.html, "a")]


def test_every_block_widths(everything):
    cells = all_of(everything.unpersonalized.html, "td", "re-col")
    assert [cell.get("width") for cell in cells] == ["386", "194", "193", "193", "194"]
    assert [styles(cell)["width"] for cell in cells][2:] == ["33.3333%"] * 3
    soil = next(one for one in all_of(everything.unpersonalized.html, "img") if one.get("alt") == "Soil")
    assert (soil.get("width"), styles(soil)["width"]) == ("97", "50%")


def test_every_block_font_of_columns_reaches_their_texts(everything):
    found = [one for one in all_of(everything.unpersonalized.html, "div") if one.text == "Compost comes first."]
    assert styles(found[0])["font-size"] == "13px"


def test_every_block_outputs_differ_as_they_should(everything):
    assert "https://stats.garden.example/p.gif" in everything.html
    assert "https://stats.garden.example/p.gif" not in everything.webversion
    assert "This page is the web edition." in everything.webversion
    assert "This page is the web edition." not in everything.html + everything.text
    assert "<iframe" in everything.webversion
    assert "<iframe" not in everything.html


def test_every_block_without_network_warns_of_feed_and_import_only(everything):
    assert codes(everything) == ["fetch-failed", "fetch-failed"]
    assert [one.url.rpartition("/")[2] for one in everything.wanted] == ["feed.xml", "footer.json"]


def test_every_block_head_is_complete(everything):
    assert [one.address for one in everything.to] == ["member@mail.example", "ann@mail.example"]
    assert (everything.bcc[0].address, everything.cc[0].name) == ("archive@garden.example", "Board")
    assert everything.headers == (("x-garden-issue", "42"),)
    (file,) = everything.attachments
    assert (file.name, file.type, file.content[:7]) == ("hours.txt", "text/plain", b"Harbour")


def test_storing_does_not_complain_of_what_was_not_fetched():
    assert problems_of(sample("every_block")) == ()
    assert [one.code for one in problems_of("[")] == ["bad-json"]
