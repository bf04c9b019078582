"""Whatever a document says: a result or TemplateError, in bounded time and size, and no value leaves its place."""

import copy
import json
import time
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smtpeter.content.template.blocks import READERS
from smtpeter.content.template.compile import Compiled, compile_document
from smtpeter.content.template.problem import TemplateError
from smtpeter.content.template.reading import Resource
from tests.content.template.samples import compiled, sample

HOSTILE = [
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    "</style></title></td></table><img src=x onerror=alert(1)>",
    "a\r\nBcc: eve@example.org\u2028\u0085\x00x",
    "]]><!-- --><![endif]-->",
    '{$x}"><script>{if $a > 1}',
    "red;position:fixed;background:url(javascript:alert(1))",
    "javascript:alert(1)",
    " java\tscript:alert(1)",
    "&#106;avascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "\ufdd0\ufdd4\ufdd5\ufdd6\ufdef\ud800",
    "%0d%0a\\",
]


def places(value, path=()):
    """Gives the path of each string of a document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))
    elif isinstance(value, str):
        yield path


def put(document, path, value):
    changed = copy.deepcopy(document)
    target = changed
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return changed


def holder(document, path):
    for step in path[:-1]:
        document = document[step]
    return document


def check(result: Compiled) -> None:
    for html in (result.unpersonalized.html, result.unpersonalized.webversion):
        root = ElementTree.fromstring(html)
        for element in root.iter():
            name = str(element.tag).rpartition("}")[2]
            assert name not in {"script", "form", "object", "b"}
            assert not [one for one in element.attrib if one.startswith("on")]
            for target in (element.get("href"), element.get("src")):
                flat = (target or "").replace("\t", "").strip().lower()
                assert not flat.startswith(("javascript:", "data:text", "vbscript:")), target
            declared = [part.partition(":")[0] for part in element.get("style", "").split(";")]
            assert "position" not in declared
    for text in (result.subject or "", *(value for _, value in result.headers)):
        assert not any(mark in text for mark in "\r\n\0\u0085\u2028\u2029")


DOCUMENT = sample("every_block")
PATHS = [
    path
    for path in places(DOCUMENT)
    if not (path[-1] == "content" and holder(DOCUMENT, path).get("type") == "html")
    and "css" not in path
    and "feed" not in path
]


@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_value_of_any_property_leaves_its_place(text, part):
    for path in PATHS[part::3]:
        try:
            check(compile_document(put(DOCUMENT, path, text)))
        except TemplateError as error:
            assert error.problems
        except (AssertionError, ElementTree.ParseError) as error:
            raise AssertionError(f"{path} with {text!r}: {error}") from error


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_values_of_styles_stay_within_their_attribute(text):
    extra = {"css": {"color": text, text: "red"}, "attributes": {"title": text, "class": text, text: "x"}}
    block = {"type": "text", "content": "x", **extra, "container": extra}
    result = compiled(block, css=extra["css"], attributes=extra["attributes"])
    root = ElementTree.fromstring(result.unpersonalized.html)
    assert not [one for one in root.iter() if str(one.tag).endswith("}script") or "onerror" in one.attrib]


def json_values():
    words = st.sampled_from(
        [*READERS, "left", "center", "50%", "10px", "#fff", "navy", "https://a.example/?x=1#y", "{$a}", *HOSTILE, ""]
    )
    names = st.sampled_from(
        [
            "type",
            "content",
            "blocks",
            "columns",
            "size",
            "src",
            "url",
            "link",
            "label",
            "title",
            "params",
            "align",
            "width",
            "height",
            "margin",
            "padding",
            "background",
            "color",
            "font",
            "family",
            "css",
            "attributes",
            "container",
            "visibility",
            "device",
            "output",
            "rewrite",
            "links",
            "domain",
            "match",
            "regex",
            "platforms",
            "icon",
            "from",
            "to",
            "subject",
            "headers",
            "attachments",
            "data",
            "dkim",
            "tracking",
            "pixel",
            "force",
            "text",
            "description",
            "top",
            "left",
        ]
    )
    leaf = st.none() | st.booleans() | st.integers() | st.floats() | words | st.text(max_size=20)
    return st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6), max_leaves=25
    )


@given(
    document=st.dictionaries(
        st.sampled_from(["content", "blocks", "from", "to", "rewrite", "font", "text"]), json_values()
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_gives_a_result_or_template_error(document):
    try:
        result = compile_document(document)
    except TemplateError as error:
        assert error.problems[0].is_fatal
    else:
        assert result.html.encode() is not None
        assert result.text.encode() is not None


@given(
    block=st.fixed_dictionaries(
        {"type": st.sampled_from(sorted(READERS))},
        optional={
            name: json_values()
            for name in [
                "content",
                "link",
                "url",
                "src",
                "label",
                "columns",
                "blocks",
                "platforms",
                "font",
                "margin",
                "rewrite",
                "visibility",
            ]
        },
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_block_gives_a_result_or_template_error(block):
    try:
        compiled(block)
    except TemplateError as error:
        assert error.problems[0].is_fatal


@given(text=st.text() | st.binary())
@settings(max_examples=60, deadline=None)
def test_any_text_as_document_gives_template_error_or_result(text):
    try:
        compile_document(text)
    except TemplateError as error:
        assert error.problems


@given(content=st.binary(max_size=200))
@settings(max_examples=40, deadline=None)
def test_any_octets_from_a_url_give_a_result(content):
    blocks = [{"type": kind, "url": "https://a.example/"} for kind in ("feed", "import", "text", "html")]
    blocks.append({"type": "image", "src": "https://a.example/"})
    compiled(
        *blocks, {"type": "video", "url": "https://vimeo.com/1"}, resources={"https://a.example/": Resource(content)}
    )


def nested(levels):
    block = {"type": "text", "content": "x"}
    for _ in range(levels):
        block = {"type": "container", "blocks": [block]}
    return block


@pytest.mark.parametrize(
    "document",
    [
        {"content": {"blocks": [{"type": "spacer"}] * 1001}},
        {"content": {"blocks": [nested(21)]}},
        {"content": {"blocks": [{"type": "text", "content": "x" * 5_000_001}]}},
        "[" * 100_000,
        '{"a":' * 100_000,
        {
            "content": {"blocks": [{"type": "html", "content": "<a href='http://a.example/'>" * 10_000}]},
            "rewrite": {"links": [{"params": {"a": 1}}] * 200},
        },
        {
            "content": {"blocks": [{"type": "html", "content": "<a href='http://a.example/'>" * 10_000}]},
            "rewrite": {"links": [{"params": {"a": "x" * 10_000}}]},
        },
    ],
    ids=["blocks", "levels", "size", "arrays", "objects", "rules", "parameters"],
)
def test_bombs_are_refused_soon(document):
    before = time.process_time()
    with pytest.raises(TemplateError):
        compile_document(document)
    assert time.process_time() - before < 2


def test_twenty_levels_are_taken():
    assert "x" in compiled(nested(20)).text


@pytest.mark.parametrize(
    "part",
    [
        '{"\\"',
        "{'{\"",
        "<a",
        "<a href=",
        "{$a|",
        "<!--",
        "<p>",
        "<a><b ",
        "&#",
        "{literal}",
        "<li>",
        '<a "',
        "</p>",
        "x?a&",
    ],
)
def test_time_grows_with_length_only(part):
    blocks = [{"type": "text", "content": part * 20_000}, {"type": "html", "content": part * 20_000}]
    blocks += [{"type": "link", "label": "x", "link": part * 3_000}, {"type": "video", "url": part * 20_000}]
    before = time.process_time()
    compiled(*blocks, subject=part * 20_000, **{"from": part * 20_000, "to": part * 20_000})
    assert time.process_time() - before < 3


def test_imports_that_import_themselves_end():
    url = "https://a.example/"
    own = json.dumps([{"type": "import", "url": url}, {"type": "text", "content": "x"}]).encode()
    result = compiled({"type": "import", "url": url}, resources={url: Resource(own)})
    assert result.text == "x\n\nx\n\nx"


@pytest.mark.parametrize(
    "part", ["<div>", "<i>x</p>", "<table><tr><td>", "<b><p>", "<li>", "<svg><a>", "<a><b>", "<!--", "{$a}"]
)
def test_time_for_downloaded_markup_grows_with_length_only(part):
    resources = {"https://a.example/": Resource(part.encode() * (200_000 // len(part)))}
    before = time.process_time()
    compiled({"type": "html", "url": "https://a.example/"}, resources=resources)
    assert time.process_time() - before < 3
