from dataclasses import replace

import pytest

from smtpeter.content.compose import Files, encode_files, write_body
from smtpeter.content.personalize import Pieces
from smtpeter.content.rewrite.address import comparable, detach, read_address
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.content.shape import Shapes
from smtpeter.content.shape.marks import marks_for
from smtpeter.model.parts import Attachment
from smtpeter.wire.token import Kind, read
from tests.content.rewrite.letters import ACCOUNT, BASE, LETTERS, RING, SEALER, hrefs
from tests.content.shape.both import ALL, NOW, as_whole, by_shape, filled, make_body, parts, pieces

HEAD = "<html><head><title>{$name}, news</title><style>p{ldelim}color:red{rdelim} a{ldelim}top:0{rdelim}</style></head>"
LETTER = f"""{HEAD}<body><p>Dear {{$name}},{{if $vip}} you have {{$points}} points{{/if}}</p>
<p><a href="https://shop.example/x?id={{$id}}&amp;m=1#top" title="For {{$name}}">{{$name}}</a>
<a href="https://{{$shop}}/buy">buy</a> <img src="https://i.example/{{$id}}.png" alt="{{$name}}"></p>
{{foreach $items as $item}}<p>{{$item.name}} <a href="{{$item.link}}">look</a></p>{{/foreach}}
<!--[if mso]><v:roundrect href="https://shop.example/vml/{{$id}}"><center>{{$name}}</center></v:roundrect><![endif]-->
</body></html>"""
TEXT = "Dear {$name},\nhttps://shop.example/x?id={$id}\n"


def someone(name="Zoë", **more):
    items = [{"name": "Tea", "link": "https://tea.example/a?b=1&c=2"}]
    return {"name": name, "id": "42", "shop": "x.example", "vip": 1, "points": 7, "items": items} | more


class Counting:
    """Makes bodies, and knows how many."""

    def __init__(self):
        self.made = 0

    def __call__(self, html, text):
        self.made += 1
        return make_body(html, text)


def is_same(html, data, settings=ALL, text=TEXT):
    found = by_shape(html, text, data, settings)
    return found is not None and parts(found) == parts(as_whole(html, text, data, settings))


EVERYTHING = replace(ALL, images=True, prevents_scam=True, plain_text=True)


@pytest.mark.parametrize("settings", [ALL, EVERYTHING, Rewriting(BASE), Rewriting(BASE, clicks=True)])
@pytest.mark.parametrize("name", ["Zoë", "Anna-Maria von der Heide", "日本語", "x" * 300, "A&amp;B", "O’Brien"])
def test_a_letter_of_the_usual_kind_is_made_by_its_shape(settings, name):
    assert is_same(LETTER.replace("<center>{$name}", "<center>{$id}"), someone(name), settings)


def test_messages_of_one_shape_are_composed_once():
    make = Counting()
    shapes = Shapes(ALL)
    for number in range(20):
        data = someone(f"Jan {number}", id=str(number), shop=f"s{number}.example", points=number)
        found = by_shape(LETTER, TEXT, data, shapes=shapes, make=make)
        assert parts(found) == parts(as_whole(LETTER, TEXT, data))
    assert make.made == 1


def test_messages_of_other_constants_have_other_shapes():
    make = Counting()
    shapes = Shapes(ALL)
    for data in [someone(), someone(vip=0), someone(items=[]), someone(vip=0), someone("Jan"), someone(points="")]:
        assert parts(by_shape(LETTER, TEXT, data, shapes=shapes, make=make)) == parts(as_whole(LETTER, TEXT, data))
    assert make.made == 4


@pytest.mark.parametrize(
    "html",
    [
        "<p style='color:{$name}'>{$id}</p>",
        "<p class='{$name}'>{$id}</p>",
        "<p class='x' data-track='{$name}'>{$id}</p>",
        "<style>p{ldelim}color:{$name}{rdelim}</style><p>{$id}</p>",
        "<style>[title]{ldelim}color:red{rdelim}</style><p title={$name}>{$id}</p>",
        '<style>a[hr\\65 f*="x"]{ldelim}top:0{rdelim}</style><a href="https://a.example/{$name}">{$id}</a>',
        "<p {$name}='x'>{$id}</p>",
        "<{$name}>{$id}",
        "<!-- {$name} -->{$id}",
        "<!--[if {$name}]>x<![endif]-->{$id}",
        "<textarea>{$name}</textarea>{$id}",
        "<noscript>{$name}</noscript>{$id}",
        "<title></ti{$name}</title>{$id}",
        "<a href={$name}>{$id}</a>",
        "<a href='https://example.com'>{$name}.com</a>{$id}",
        "<p>{$id}</p>\x00",
    ],
)
def test_a_value_where_it_may_mean_something_becomes_a_constant(html):
    make = Counting()
    settings = replace(ALL, prevents_scam=True)
    shapes = Shapes(settings)
    for name in ("x", "y", "x"):
        found = by_shape(html, "{$id}", someone(name), settings, shapes, make)
        assert parts(found) == parts(as_whole(html, "{$id}", someone(name), settings))
    assert make.made == (1 if html.endswith("\x00") else 2)


@pytest.mark.parametrize(
    "name", ["<b>", "</p><style>p{top:0}</style>", "</title>", '"x', "\r\n", "a\nb", "\x01", "\ud800", "--", " ", ""]
)
def test_a_value_that_means_something_becomes_a_constant(name):
    make = Counting()
    shapes = Shapes(ALL)
    for _ in range(2):
        found = by_shape(LETTER, TEXT, someone(name), shapes=shapes, make=make)
        assert parts(found) == parts(as_whole(LETTER, TEXT, someone(name)))
    assert make.made == 1
    # and of the others, nobody sees it
    other = by_shape(LETTER, TEXT, someone("Jan"), shapes=shapes, make=make)
    assert parts(other) == parts(as_whole(LETTER, TEXT, someone("Jan")))


def test_a_message_of_which_every_value_means_something_is_made_as_a_whole():
    assert by_shape("<p>{$name}</p>", "x", someone("<b>")) is None


def test_a_value_that_changes_where_the_others_stand_leads_to_the_whole():
    assert by_shape("<!-- {$a} --><!--[if mso]>{$b}<![endif]-->", "x", {"a": "\x00", "b": "\x00"}) is None
    html = '<p title="{$a}">{$b}</p>'
    assert by_shape(html, "x", {"a": '"><style>', "b": "x"}) is None
    assert is_same(html, {"a": 'x"', "b": "x"})


def test_what_was_kept_changes_nothing():
    shapes = Shapes(ALL, max_entries=2)
    people = [someone(name, vip=vip) for name in ("Zoë", "<b>", "", "&") for vip in (0, 1)]
    first = [by_shape(LETTER, TEXT, one) for one in people]
    assert [by_shape(LETTER, TEXT, one, shapes=shapes) for one in people] == first
    assert [by_shape(LETTER, TEXT, one, shapes=shapes) for one in reversed(people)] == first[::-1]


def test_a_tracked_address_with_values_leads_back_to_what_stood_there():
    html = '<a href="https://{$shop}/a b/{$name}?x={$id}&amp;y=ü&amp;z={$name|urlencode}#{$id}">x</a>'
    data = someone("Zoë & Co", shop="user@shop.example:8443")
    message = Shapes(ALL).fill(*pieces(html, "", data), make_body)
    assert message.origins == ("https://user@shop.example:8443",)
    tracked = hrefs(parts(message.numbered(ACCOUNT, {message.origins[0]: 9}).fill(SEALER))[1][2].decode())[0]
    address = read_address(tracked)
    rest, token = detach(address.rest)
    reference = read(token)
    assert (reference.kind, reference.number) == (Kind.CLICK, 9)
    RING.check(reference, ACCOUNT, NOW, comparable(message.origins[0], rest))
    assert (rest, address.fragment) == ("/a b/Zoë & Co?x=42&y=ü&z=Zo%C3%AB+%26+Co", "#42")


@pytest.mark.parametrize(
    ("link", "is_tracked"),
    [
        ("https://a.example/", True),
        (f"{BASE}/webversion?p=x", False),
        ("https://list.example/leave?u=42", False),
        ("mailto:a@b.example", False),
        ("javascript:alert(1)", False),
        ("#top", False),
        ("https://[::1]:8080/x", True),
        ("https://" + "a" * 400 + ".example/", False),
        ("https://a.example/" + "a" * 9000, False),
    ],
)
def test_an_address_made_of_values_is_judged_for_each_message(link, is_tracked):
    html = '<a href="{$link}">x</a>'
    settings = replace(ALL, excluded=frozenset({"https://list.example/leave?u=42"}))
    assert is_same(html, {"link": link}, settings)
    shown = parts(by_shape(html, "", {"link": link}, settings))[1][2].decode()
    assert (f'href="{link}"' in shown) == (not is_tracked)
    assert (f"{BASE}/?p=" in shown or f"{BASE}/x?p=" in shown) == is_tracked


@pytest.mark.parametrize(
    "link",
    [
        "https://a.example/x.html?uid={$id}&amp;m=1#{$id}",
        "https://a.example/{$id}/../{$id}.png?{$id}",
        "https://a.example/%4{$id}?x=%{$id}&amp;{$id}",
        "https://a.example/&#6{$id};/&cop{$id};",
        "\u00a0https://a.example/{$id}\u00a0",
        "https://a.example/{$id}\u00a0",
        "https://a.example:1{$id}/{$id}",
        "https://a.example/ü\\{$id}?\t{$id}",
        f"{BASE}/{{$id}}",
    ],
)
def test_what_is_known_of_a_link_is_what_is_found_in_each_message(link):
    html = f'<a href="{link}">x</a>'
    shapes = Shapes(ALL)
    for number in ("1", "y", "41", "0a-_", "..", "%41", "x" * 9000, "", "copy", "ü", "1"):
        found = by_shape(html, "", someone(id=number), shapes=shapes)
        assert found == by_shape(html, "", someone(id=number))
        assert parts(found) == parts(as_whole(html, "", someone(id=number)))


def test_a_link_that_shows_its_own_host_is_left_alone_for_that_host_only():
    html = '<a href="https://{$shop}/x">www.shop.example</a>'
    settings = replace(ALL, prevents_scam=True)
    assert is_same(html, someone(shop="shop.example"), settings)
    assert is_same(html, someone(shop="other.example"), settings)
    assert (
        BASE.encode()
        not in parts(by_shape(html, "", someone(shop="shop.example"), replace(settings, opens=False)))[1][2]
    )


def test_an_excluded_address_is_left_alone_in_every_message_that_excludes_it():
    html = '<a href="https://list.example/leave">{$name}</a><a href="https://list.example/{$id}">x</a>'
    shapes = Shapes(ALL)
    for excluded in ["https://list.example/leave", "https://list.example/42", "https://list.example/43"]:
        settings = replace(ALL, excluded=frozenset({excluded}))
        found = by_shape(html, "", someone(), settings, shapes)
        assert parts(found) == parts(as_whole(html, "", someone(), settings))
        assert (excluded.encode() + b'"' in parts(found)[1][2]) == (not excluded.endswith("43"))


@pytest.mark.parametrize("language", ["news ", "новости ", "ニュース"])
def test_lines_are_short_in_every_encoding(language):
    html = LETTER.replace("Dear", language * 200)
    for name in ("Zoë", "é" * 500, "x" * 75, "x" * 76, "= " * 40, "x" * 74 + "ü", " x. "):
        found = by_shape(html, "Dear {$name},\n" + language * 100, someone(name))
        assert parts(found) == parts(as_whole(html, "Dear {$name},\n" + language * 100, someone(name)))
        assert max(map(len, found.split(b"\r\n"))) <= 76
        assert found.isascii()


def test_files_and_hosted_images_are_those_of_the_message():
    png = b"\x89PNG\r\n\x1a\n" + bytes(300)
    files = encode_files(
        [Attachment(png, "a.png", "image/png", "logo"), Attachment(b"%PDF", "b.pdf", "application/pdf")]
    )
    html = '<p>{$name}</p><img src="cid:logo" alt="{$name}"><a href="https://a.example/{$id}">x</a>'
    settings = replace(ALL, image_address=lambda digest, kind: f"{BASE}/i/{digest.hex()}.png")

    def make(html, text):
        return write_body(text, html, files)

    message = Shapes(settings).fill(*pieces(html, TEXT, someone()), make)
    assert [image.data for image in message.images] == [png]
    assert parts(filled(message)) == parts(as_whole(html, TEXT, someone(), settings, make))
    assert b"%PDF" in [content for _, _, content in parts(filled(message))]


def test_a_text_that_comes_out_twice_is_made_as_a_whole():
    def make(html, text):
        return write_body(html, html, Files())

    assert by_shape("{$name}", "", someone(), make=make) is None


def test_a_part_that_takes_only_some_letters_is_made_as_a_whole():
    def make(html, text):
        return b"Content-Type: text/html; charset=iso-8859-1\r\n\r\n" + html.encode()

    assert Shapes(ALL).fill(*pieces("{$name}", "", someone()), make) is None


def test_a_message_of_one_text_has_a_shape_of_its_own():
    shapes = Shapes(ALL)
    pieces = Pieces(("Dear ", "Zoë"), (1,))
    for html, text in [(pieces, None), (None, pieces), (pieces, pieces)]:
        message = shapes.fill(html, text, make_body)
        content = message.fields + b"\r\n" + message.body(SEALER, ACCOUNT, {})
        assert content == filled(message)
        assert [found.startswith("Dear Zoë".encode()) for _, _, found in parts(content)] == [True] * (
            (html is not None) + (text is not None)
        )
        assert message.fields.count(b"quoted-printable") == (html is None or text is None)


def test_a_message_of_very_many_values_is_made_as_a_whole():
    assert Shapes(ALL).fill(Pieces(("x",) * 5_001, tuple(range(5_001))), None, make_body) is None


@pytest.mark.parametrize("name", LETTERS)
def test_newsletters_are_made_by_their_shapes(name):
    html = LETTERS[name].replace("{", "{ldelim}").replace("}}", "{rdelim}").replace("<p>", "<p>{$name} ")
    html = html + '<p>{$name}</p><a href="https://a.example/{$id}">x</a>'
    found = by_shape(html, TEXT, someone(), EVERYTHING)
    assert found is None or parts(found) == parts(as_whole(html, TEXT, someone(), EVERYTHING))
    assert found is not None or name in ("scripts_and_raw_text", "unclosed_style")


def test_marks_follow_from_all_constants():
    one, other = marks_for(["a", "b"]), marks_for(["a", "c"])
    assert one.word != other.word
    assert one.word.isalnum()
    assert one.numbers(f"x{one.mark(1)}{one.mark(12)}y{other.mark(3)}") == [1, 12]
    assert one.split(f"x{one.mark(1)}y") == (["x", "y"], [1])
