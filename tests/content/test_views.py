import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.content.views import attachments_of, embeds_of, html_of, part_bytes, text_of
from tests.cpu import assert_cpu_below

TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nthe text"
HTML = b'Content-Type: text/html\r\n\r\n<img src="cid:a%40b"><img src=CID:x&amp;y>'
CLOSED = b"\r\n--%b--\r\n"


def tree(kind, *parts, boundary=b"b1"):
    head = b'Content-Type: multipart/%b; boundary="%b"\r\n\r\n' % (kind, boundary)
    return head + b"".join([b"\r\n--%b\r\n%b" % (boundary, part) for part in parts]) + CLOSED % boundary


def leaf(kind, data=b"QUJD", *fields):
    head = [b"Content-Type: " + kind, b"Content-Transfer-Encoding: base64", *fields]
    return b"".join([field + b"\r\n" for field in head]) + b"\r\n" + data


def names(views):
    return [view.name for view in views]


def test_an_image_without_cid_and_a_second_text_are_attachments():
    content = tree(b"mixed", TEXT, leaf(b"image/png", b"QUJD", b"Content-Disposition: inline"), TEXT, HTML)
    assert [(v.name, v.type, v.size) for v in attachments_of(content)] == [
        ("attachment-1.png", "image/png", 3),
        ("attachment-2.txt", "text/plain", 8),
    ]
    assert embeds_of(content) == [] and text_of(content) == "the text" and html_of(content)


def test_an_embed_is_referred_to_or_stands_in_related_and_has_a_cid():
    by_place = leaf(b"image/gif; name=place.gif", b"QUJD", b"Content-ID: <unused>")
    by_reference = leaf(b"image/gif; name=ref.gif", b"QUJD", b"Content-Id: <a@b>", b"Content-Disposition: attachment")
    by_entity = leaf(b"image/gif; name=ent.gif", b"QUJD", b"Content-ID:  <x&y> ")
    neither = leaf(b"application/pdf; name=neither.pdf", b"QUJD", b"Content-ID: <else@b>")
    no_cid = leaf(b"image/gif; name=no-cid.gif")
    inner = tree(b"related", HTML, by_place, no_cid, boundary=b"b2")
    content = tree(b"mixed", TEXT, inner, by_reference, by_entity, neither)
    assert [(v.name, v.cid) for v in embeds_of(content)] == [
        ("place.gif", "unused"),
        ("ref.gif", "a@b"),
        ("ent.gif", "x&y"),
    ]
    assert [(v.number, v.name, v.cid) for v in attachments_of(content)] == [
        (0, "no-cid.gif", ""),
        (1, "neither.pdf", "else@b"),
    ]


def test_a_text_that_is_a_file_is_not_shown_as_the_text():
    file = TEXT.replace(b"\r\n\r\n", b"\r\nContent-Disposition: inline; filename=notes.txt\r\n\r\n")
    assert text_of(tree(b"mixed", file)) is None
    content = tree(b"mixed", file, HTML)
    assert text_of(content) is None and names(attachments_of(content)) == ["notes.txt"]
    assert names(attachments_of(b"Content-Disposition: attachment; filename=a.txt\r\n\r\nx")) == ["a.txt"]


def test_a_message_within_is_one_attachment_with_all_that_is_in_it():
    inner = b"From: x@example.com\r\n" + tree(b"mixed", TEXT, leaf(b"application/pdf"), boundary=b"b2")
    content = tree(b"mixed", b"Content-Type: message/rfc822\r\n\r\n" + inner, TEXT)
    assert [(v.name, v.type, v.size) for v in attachments_of(content)] == [
        ("attachment-1.eml", "message/rfc822", len(inner))
    ]
    assert part_bytes(content, "attachment", 0)[1] == inner
    assert text_of(content) == "the text"


def test_a_file_is_found_by_number_by_digits_and_by_name():
    one = leaf(b"x/y", b"QQ==", b'Content-Disposition: attachment; filename="C:\\\\dir\\\\one.txt"')
    two = leaf(b"x/y", b"Qg==", b"Content-Disposition: attachment; filename=../two.txt")
    same = leaf(b"x/y", b"Qw==", b"Content-Disposition: attachment; filename=one.txt")
    digits = leaf(b"x/y", b"RA==", b"Content-Disposition: attachment; filename=7")
    content = tree(b"mixed", TEXT, one, two, same, digits)
    assert names(attachments_of(content)) == ["one.txt", "two.txt", "one.txt", "7"]
    for which, data in [(0, b"A"), ("1", b"B"), ("one.txt", b"A"), ("two.txt", b"B"), (2, b"C"), ("7", b"D")]:
        assert part_bytes(content, "attachment", which)[1] == data
    assert part_bytes(content, "attachment", 3)[0] == attachments_of(content)[3]
    for which in (4, -1, 7, "x", "", "../two.txt", "٣", "99999"):
        assert part_bytes(content, "attachment", which) is None
    assert part_bytes(content, "embed", 0) is None


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b"", 0),
        (b"Subject: x\r\n\r\nplain", 0),
        (b"Content-Type: multipart/mixed\r\n\r\nno boundary", 0),
        (tree(b"mixed"), 0),
        (leaf(b"application/pdf", b"!!broken!!"), 1),
        (leaf(b"application/pdf", b""), 1),
        (b"Content-Type: nonsense\r\nContent-Disposition: attachment\r\n\r\n", 1),
        (tree(b"mixed", *[TEXT] * 998), 997),
        (tree(b"mixed", *[TEXT] * 1001), 0),
    ],
)
def test_any_tree_has_its_files(content, count):
    assert len(attachments_of(content)) == count


def test_a_tree_that_is_too_deep_shows_nothing():
    deep = TEXT
    for number in range(101):
        deep = tree(b"mixed", deep, boundary=b"n%03d" % number)
    assert (text_of(deep), attachments_of(deep), embeds_of(deep)) == (None, [], [])


pieces = st.lists(
    st.sampled_from(
        [
            b"--a\r\n",
            b"\r\n--a--",
            b"\r\n",
            b"\r\n\r\n",
            b"Content-Type: multipart/related; boundary=a\r\n",
            b"Content-Type: message/rfc822\r\n",
            b"Content-Type: image/png; name*=utf-8''%0A%0D\r\n",
            b"Content-ID: <x\xff>\r\n",
            b'Content-Disposition: attachment; filename="=?utf-8?b?AAAA?="\r\n',
            b"Content-Transfer-Encoding: base64\r\n",
            HTML,
            b"\x00\xff",
        ]
    ),
    max_size=20,
).map(b"".join)


@settings(max_examples=200, deadline=None)
@given(pieces | st.binary(max_size=200))
def test_any_octets_have_views_whose_names_hold_no_control(content):
    for kind, views in (("attachment", attachments_of(content)), ("embed", embeds_of(content))):
        for view in views:
            assert view.name and not any(ord(c) < 32 for c in view.name + view.cid) and "/" not in view.name
            assert len(part_bytes(content, kind, view.number)[1]) == view.size


def test_hostile_references_take_linear_time():
    html = b"Content-Type: text/html\r\n\r\n" + b"cid:" * 250_000
    content = tree(b"related", html, *[leaf(b"image/png", b"QUJD", b"Content-ID: <x>")] * 900)
    assert len(embeds_of(content)) == 900
    assert_cpu_below(1.5, lambda: embeds_of(content))
