"""The top level: header values, styles, aliases, outputs, the pixel, patches, and properties of a call."""

import pytest

from smtpeter.content.template.colors import NAMES, parse_color
from smtpeter.content.template.compile import compile_document
from smtpeter.content.template.problem import TemplateError
from smtpeter.content.template.reading import Resource
from smtpeter.content.template.tags import code, encode_url, escape_html, plain
from smtpeter.model.parts import Mailbox
from tests.content.template.samples import codes, compiled, one_of, styles

TEXT = {"type": "text", "content": "x"}


@pytest.mark.parametrize(
    ("text", "css", "hex_"),
    [
        ("#AbC", "#aabbcc", "#aabbcc"),
        ("#a1b2c3", "#a1b2c3", "#a1b2c3"),
        ("abc", "#aabbcc", "#aabbcc"),
        ("WhiteSmoke", "#f5f5f5", "#f5f5f5"),
        ("rgb( 1, 2,255)", "#0102ff", "#0102ff"),
        ("1,2,255", "#0102ff", "#0102ff"),
        ("rgba(1,2,3,0.5)", "rgba(1,2,3,0.5)", None),
        ("#00000080", "rgba(0,0,0,0.502)", None),
        ("transparent", "transparent", None),
        ("{$color}", "{$color}", None),
    ],
)
def test_colours_in_every_notation(text, css, hex_):
    color = parse_color(text)
    assert (color.css, color.hex) == (css, hex_)


@pytest.mark.parametrize(
    "text", ["", "#12", "reddish", "rgb(1,2,256)", "rgba(1,2,3,2)", "red;x:y", "{$a};x:y", "url(x)"]
)
def test_other_texts_are_no_colours(text):
    assert parse_color(text) is None


def test_there_are_148_names_of_colours():
    assert len(NAMES) == 148


def test_plain_variables_are_escaped_where_the_text_around_them_is():
    text = escape_html('{$a} {$a.b[1]|upper} {$a|escape} {$a|nl2br} {$a + 1} {if $a > "<"}<{/if}')
    assert code(text) == '{$a|escape} {$a.b[1]|upper|escape} {$a|escape} {$a|nl2br} {$a + 1} {if $a > "<"}&lt;{/if}'
    assert plain(text) == '{$a} {$a.b[1]|upper} {$a|escape} {$a|nl2br} {$a + 1} {if $a > "<"}&lt;{/if}'
    assert code(encode_url("a b{$c}{$d|urlencode}")) == "a%20b{$c|urlencode}{$d|urlencode}"


def test_style_sheet_is_protected_from_personalization_only():
    result = compiled(TEXT)
    assert '<style type="text/css">{literal}' in result.html
    assert "{literal}" not in result.unpersonalized.html


def test_values_in_targets_cannot_end_the_attribute():
    assert 'href="{$url|escape}"' in compiled({"type": "link", "label": "x", "link": "{$url}"}).html


def test_old_names_at_the_top_are_taken_with_a_warning():
    result = compile_document({"templateName": "n", "textVersion": "t", "replyto": "a@b.example", "blocks": [TEXT]})
    assert codes(result) == ["alias"] * 4
    assert (result.document.name, result.text, result.reply_to.address) == ("n", "t", "a@b.example")


@pytest.mark.parametrize("version", [24, 0, "x", 1.5, True])
def test_unknown_version_is_taken_as_the_latest(version):
    assert codes(compiled(TEXT, version=version)) == ["bad-value"]
    assert codes(compiled(TEXT, version="7")) == []


@pytest.mark.parametrize(
    ("given", "boxes"),
    [
        ("a@b.example", [("a@b.example", "")]),
        ("Front <a@b.example>, c@d.example", [("a@b.example", "Front"), ("c@d.example", "")]),
        ('"Desk, front" <a@b.example>', [("a@b.example", "Desk, front")]),
        ({"name": "{$n|default:\"a,b\"}", "address": "{$r}"}, [("{$r}", '{$n|default:"a,b"}')]),
        (["a@b.example", {"email": "c@d.example"}], [("a@b.example", ""), ("c@d.example", "")]),
        ("Front <A@B.EXAMPLE>, {$x}@b.example", [("A@b.example", "Front"), ("{$x}@b.example", "")]),
    ],
)  # fmt: skip
def test_addresses_in_every_form(given, boxes):
    assert compiled(TEXT, to=given).to == tuple(Mailbox(*box) for box in boxes)


@pytest.mark.parametrize(
    "given",
    [
        "a@b.example\r\nBcc: c@d.example",
        "somebody",
        "a@",
        "a@b..example",
        "boss@bank.example @b.example",
        "boss@bank.example> <a@b.example",
        {"name": "Front", "address": "boss@bank.example, a@b.example"},
        {"address": "X-Evil: 1 Bcc: a@b.example --0"},
    ],
)
def test_what_is_no_address_is_left_out(given):
    result = compiled(TEXT, to=[given, "c@d.example"], **{"from": given})
    assert result.to == (Mailbox("c@d.example"),)
    assert result.from_ is None
    assert "missing-from" in [problem.code for problem in result.stops_sending]
    assert "bad-value" in codes(result)


def test_sender_given_as_array_is_its_first_entry():
    result = compiled(TEXT, **{"from": ["a@b.example", "c@d.example"]})
    assert result.from_ == Mailbox("a@b.example")
    assert codes(result) == ["wrong-type"]
    assert [one.code for one in compiled(TEXT).stops_sending] == ["missing-from"]


def test_headers_are_checked_and_kept_on_one_line():
    headers = {
        "x-a": "1\r\nBcc: x",
        "X-N": 5,
        "bad name": "x",
        "Content-Type": "x",
        "Subject": "lost",
        "To": "kept",
        "x-l": ["a", "b"],
    }
    result = compiled(TEXT, subject="s", headers=headers)
    assert result.headers == (("x-a", "1 Bcc: x"), ("X-N", "5"), ("To", "kept"), ("x-l", "a"), ("x-l", "b"))
    assert codes(result) == ["bad-value", "bad-value"]


def test_attachments_are_decoded_fetched_or_stop_sending():
    files = [
        {"data": "!"},
        {"url": "https://a.example/f.txt?x"},
        {"url": "https://a.example/gone"},
        {},
        {"url": "https://a.example/later"},
    ]
    resources = {"https://a.example/f.txt?x": Resource(b"1", "text/plain"), "https://a.example/gone": None}
    result = compiled(TEXT, attachments=files, resources=resources)
    assert codes(result) == ["attachment-failed", "attachment-failed", "missing-property"]
    assert [(one.name, one.content) for one in result.attachments][1] == ("f.txt", b"1")
    assert [one.url for one in result.wanted] == ["https://a.example/later"]
    assert len(result.stops_sending) == 3


def test_signatures_are_ordered_by_priority_and_bad_ones_stop_sending():
    key = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"
    one = {"domain": "a.example", "selector": "s", "key": key, "algorithm": "sha1", "expire": "2030-01-02 03:04:05"}
    result = compiled(TEXT, dkim=[{**one, "priority": 5}, {**one, "selector": "first"}, {"domain": "a.example"}])
    assert [signature.selector for signature in result.signatures] == ["first", "s"]
    assert codes(result) == ["weak-dkim", "weak-dkim", "dkim-invalid"]
    assert "MIIB" not in repr(result)


def test_page_styles_reach_body_and_wrapper_and_the_id_only_the_body():
    result = compiled(
        TEXT, background="#eee", css={"margin": "9px"}, attributes={"id": "i", "lang": "en", "class": "c"}
    )
    html = result.unpersonalized.html
    body, outer = one_of(html, "body"), one_of(html, "table", "re-outer")
    assert (body.get("id"), outer.get("id"), body.get("lang"), outer.get("lang")) == ("i", None, "en", "en")
    assert (body.get("bgcolor"), styles(outer)["background-color"], styles(body)["margin"]) == (
        "#eeeeee",
        "#eeeeee",
        "9px",
    )
    assert outer.get("class") == "re-outer c"


def test_attributes_replace_append_and_remove():
    attributes = {"align": False, "title": True, "style": "x:y", "data-n": 5, "on click": "x", "href": "javascript:x"}
    result = compiled({**TEXT, "container": {"attributes": attributes, "css": {"padding": "1px"}}})
    cell = one_of(result.unpersonalized.html, "tr", "re-block")[0]
    style = "padding:0;text-align:left;padding:1px;x:y"
    assert cell.attrib == {"valign": "top", "title": "title", "data-n": "5", "style": style}
    assert codes(result) == ["bad-value", "bad-url"]


def test_colours_of_the_author_are_not_turned_dark():
    assert 'name="color-scheme" content="light dark"' in compiled(TEXT).html
    assert 'name="color-scheme" content="light only"' in compiled({**TEXT, "background": "honeydew"}).html


def test_string_content_is_the_body_with_links_rewritten():
    result = compile_document(
        {"content": '<p>a <a href="http://a.example/">b</a></p>', "rewrite": {"links": [{"params": {"v": 1}}]}}
    )
    assert result.html == '<p>a <a href="http://a.example/?v=1">b</a></p>'
    assert result.text == "a b (http://a.example/?v=1)"


def test_pixel_is_only_there_without_other_images_unless_forced():
    pixel = {"pixel": "https://p.example/p.gif"}
    image = {"type": "html", "content": "<IMG src=x>"}
    assert "p.gif" in compiled(TEXT, tracking=pixel).html
    assert "p.gif" not in compiled(TEXT, tracking=pixel).webversion
    assert "p.gif" not in compiled(image, tracking=pixel).html
    assert compiled(image, tracking={**pixel, "force": True}).html.endswith("</body>\n</html>\n")
    assert "p.gif" in compiled(image, tracking={**pixel, "force": "1"}).html
    assert compiled(TEXT, tracking=pixel).images == ()


def test_empty_text_means_no_text_part():
    assert compiled(TEXT, text="").text == ""
    assert compiled(TEXT, text="own {$x}").text == "own {$x}"


def test_document_without_blocks_is_empty_with_a_warning():
    assert codes(compile_document({})) == ["missing-property"]


@pytest.mark.parametrize(
    ("document", "code"),
    [("{", "bad-json"), ("[]", "not-an-object"), ({"content": 5}, "bad-content"), (b"\xff", "bad-json")],
)  # fmt: skip
def test_what_is_no_document_is_refused(document, code):
    with pytest.raises(TemplateError) as caught:
        compile_document(document)
    assert [one.code for one in caught.value.problems] == [code]


def test_patch_comes_before_properties_and_leaves_the_template_alone():
    document = {"subject": "old", "headers": {"x-a": "1", "x-b": "1"}, "content": {"blocks": [TEXT]}}
    patch = [
        {"op": "replace", "path": "/content/blocks/0/content", "value": "patched"},
        {"op": "remove", "path": "/subject"},
    ]
    call = {"subject": "new", "headers": {"X-A": "2"}, "replyTo": "a@b.example"}
    result = compile_document(document, patch=patch, properties=call)
    assert (result.text, result.subject, result.headers) == ("patched", "new", (("x-b", "1"), ("X-A", "2")))
    assert document["subject"] == "old"


@pytest.mark.parametrize(
    "patch",
    [
        {"op": "add"},
        [{"op": "test", "path": "/subject", "value": "other"}],
        [{"op": "remove", "path": "/nothing"}],
        [{"op": "strange", "path": "/subject"}],
        ["x"],
        [{"op": "add", "path": "/a", "value": {}}, {"op": "copy", "from": "/b", "path": "/c"}],
        [{"op": "copy", "from": "", "path": "/x"}] * 200,
        [{"op": "copy", "from": "", "path": f"/x{number}"} for number in range(60)],
        [{"op": "test", "path": "", "value": {}}] * 501,
    ],
)
def test_patch_that_fails_rejects_the_call(patch):
    with pytest.raises(TemplateError) as caught:
        compile_document({"subject": "s" * 1000, "content": {"blocks": [TEXT]}}, patch=patch)
    assert caught.value.problems[0].code in {"bad-patch", "too-large"}
