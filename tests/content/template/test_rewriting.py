"""Rules for links: which apply, in which order, and what they may change."""

import pytest

from tests.content.template.samples import all_of, codes, compiled

SHOP = [
    {"domain": {"contains": "shop"}, "params": {"src": "mail"}},
    {"unique": True, "params": {"src": "other"}},
]


def target(url, rules, *, params=None, own=None):
    link = {"url": url, "params": params} if params else url
    block = {"type": "link", "label": "x", "link": link}
    if own:
        block["rewrite"] = {"links": own}
    (found,) = all_of(compiled(block, rewrite={"links": rules}).unpersonalized.html, "a")
    return found.get("href")


@pytest.mark.parametrize(
    ("url", "rules", "expected"),
    [
        ("http://shop.example.com/a?x=1#top", SHOP, "http://shop.example.com/a?x=1&src=mail#top"),
        ("http://www.example.com", SHOP, "http://www.example.com?src=other"),
        ("http://shop.example.com?src=own", SHOP, "http://shop.example.com?src=own"),
        ("#top", SHOP, "#top"),
        ("mailto:a@example.com", SHOP, "mailto:a@example.com"),
        ("/relative", SHOP, "/relative"),
        ("{$webversion}", SHOP, "{$webversion}"),
        ("http://{$host}/", SHOP, "http://{$host}/"),
        ("http://A.Example/p", [{"domain": {"equals": "a.example"}, "params": {"a": 1}}], "http://A.Example/p?a=1"),
        ("http://a.example:8080/p", [{"domain": {"equals": "a.example"}, "protocol": "https"}], "https://a.example:8080/p"),
        ("http://a.example/p?q", [{"path": {"equals": "/p"}, "params": {"b": True}}], "http://a.example/p?q&b=true"),
        ("http://a.example/p", [{"domain": {"match": "?.ex*"}, "params": {"a": [1, 2], "n": None}}], "http://a.example/p?a=1&a=2"),
        ("http://a.example/p", [{"domain": {"match": "ex*"}, "params": {"a": 1}}], "http://a.example/p"),
        ("http://a.example/xyz", [{"url": {"regex": "(y|q)z$"}, "params": {"a": "ü &"}}], "http://a.example/xyz?a=%C3%BC%20%26"),
        ("http://a.example/", [{"params": {"a": 1}}, {"params": {"a": 2}}], "http://a.example/?a=2"),
        ("http://a.example/", [{"params": {"a": 1}, "last": True}, {"params": {"b": 2}}], "http://a.example/?a=1"),
        ("http://a.example/", [{"domain": {"equals": "b"}, "path": {"equals": "/"}, "params": {"a": 1}}], "http://a.example/"),
        ("http://a.example/", {"*.example": {"params": {"a": 1}}}, "http://a.example/?a=1"),
        ("http://a.example.org/", {"*.example": {"params": {"a": 1}}}, "http://a.example.org/?a=1"),
        ("http://example/", {"*.example": {"params": {"a": 1}}}, "http://example/?a=1"),
        ("http://badexample/", {"*.example": {"params": {"a": 1}}}, "http://badexample/"),
        ("http://a.example/deep", {"^a.*deep": {"params": {"a": 1}}}, "http://a.example/deep?a=1"),
        ("http://a.example/", [{"contains": "ex", "params": {"a": 1}}], "http://a.example/?a=1"),
    ],
)  # fmt: skip
def test_rules_give_the_expected_target(url, rules, expected):
    assert target(url, rules) == expected


def test_params_of_a_link_overwrite_in_place_and_beat_rules():
    rules = [{"params": {"a": "rule", "c": "rule"}}]
    found = target("http://a.example/?a=url&b=url", rules, params={"a": "own", "d": "own"})
    assert found == "http://a.example/?a=own&b=url&d=own&c=rule"


def test_params_are_added_to_links_that_take_no_part_in_rewriting():
    assert (
        target("mailto:a@example.com", SHOP, params={"subject": "Hi there"})
        == "mailto:a@example.com?subject=Hi%20there"
    )
    assert target("#top", SHOP, params={"a": 1}) == "#top"


def test_nearer_list_wins_over_the_document():
    own = [{"params": {"a": "block"}, "protocol": "ftp"}]
    rules = [{"params": {"a": "top", "b": "top"}, "protocol": "https"}]
    assert target("http://a.example/", rules, own=own) == "ftp://a.example/?a=block&b=top"


def test_rule_whose_pattern_is_none_is_skipped_rather_than_applied_to_all():
    result = compiled(
        {"type": "link", "label": "x", "link": "http://a.example/"},
        rewrite={"links": [{"url": {"regex": "("}, "params": {"a": 1}}, {"url": {"equals": 5}, "params": {"b": 1}}]},
    )
    assert codes(result)[:2] == ["bad-regex", "wrong-type"]
    assert 'href="http://a.example/"' in result.html


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<A HREF='http://a.example/?x=1&amp;y=2'>x</A>", '<A HREF="http://a.example/?x=1&amp;y=2&amp;v=1">x</A>'),
        ("<a href=http://a.example/>x</a>", '<a href="http://a.example/?v=1">x</a>'),
        ('<a data-href="http://a.example/">x</a>', '<a data-href="http://a.example/">x</a>'),
        ('<a title=">" href="http://a.example/">x</a>', '<a title=">" href="http://a.example/?v=1">x</a>'),
        ("<!-- <a href='http://a.example/'> -->", "<!-- <a href='http://a.example/'> -->"),
        ('<area href="http://a.example/" alt="" />', '<area href="http://a.example/?v=1" alt="" />'),
        ('{if $a<b}<a {$attr} href="http://a.example/">x</a>{/if}', '{if $a<b}<a {$attr} href="http://a.example/?v=1">x</a>{/if}'),
        ("<p  class=x >a&b &copy</p>", "<p  class=x >a&b &copy</p>"),
    ],
)  # fmt: skip
def test_markup_is_changed_nowhere_but_in_targets(markup, expected):
    result = compiled({"type": "html", "content": markup}, rewrite={"links": [{"params": {"v": 1}}]})
    assert f">{expected}</div>" in result.html
