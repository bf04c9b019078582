import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpeter.content.rewrite.address import around_token, comparable, detach, original, read_address
from smtpeter.wire.token import BadToken, Kind
from tests.content.rewrite.letters import BASE, SEALER

SHOP = "https://shop.example"
paths = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="#"), max_size=60).map(
    lambda text: "/" + text
)


def tracked(url, number=7):
    address = read_address(url)
    before, behind = around_token(BASE, address)
    return before + SEALER.seal(Kind.CLICK, number, address.comparable) + behind


@given(paths, st.none() | paths, st.sampled_from(["", "/", "http://other.example"]))
def test_there_and_back_gives_the_address_as_it_stood(path, fragment, more):
    url = SHOP + path + more + (f"#{fragment}" if fragment else "")
    url = url.rstrip(" ")
    assert original(tracked(url), {7: SHOP}) == url


@given(st.text(max_size=200))
def test_any_text_is_an_address_or_none(text):
    # invariant: an address put together again is the text without what clients drop
    address = read_address(text)
    if address is not None:
        assert address.origin + address.rest + address.fragment in text.translate({9: None, 10: None, 13: None})
        assert address.comparable


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("", "/"),
        ("?a", "/?a"),
        ("/a b", "/a%20b"),
        ("/é?ü=ö", "/%C3%A9?%C3%BC=%C3%B6"),
        ("/a/../b/./c/", "/b/c/"),
        ("/a/..", "/"),
        ("/a\\b", "/a/b"),
        ("/%7euser", "/~user"),
        ("/%c3%a9", "/%C3%A9"),
        ("/a?x={1}|[2]'()!*", "/a?x=%7B1%7D%7C%5B2%5D%27%28%29%21%2A"),
        ("/100%", "/100%25"),
        ('/"<>', "/%22%3C%3E"),
    ],
)
def test_spellings_that_clients_do_not_tell_apart_are_one(written, sent):
    assert comparable(SHOP, written) == comparable(SHOP, sent)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/a%2Fb", "/a/b"),
        ("/a%3Fb", "/a?b"),
        ("/a?b%26c", "/a?b&c"),
        ("/a?b+c", "/a?b%20c"),
        ("/a?b%3Dc", "/a?b=c"),
        ("/A", "/a"),
        ("/a", "/a/"),
        ("/a?", "/a"),
        ("/a?x\\y", "/a?x/y"),
        ("/a%25", "/a%2525"),
        ("/a//b", "/a/b"),
    ],
)
def test_addresses_that_lead_elsewhere_are_never_one(one, other):
    assert comparable(SHOP, one) != comparable(SHOP, other)


@pytest.mark.parametrize("rest", ["@evil.example/", ".evil.example/", ":80@evil.example", "evil"])
def test_what_would_continue_the_host_has_no_comparable_form(rest):
    with pytest.raises(BadToken):
        comparable(SHOP, rest)


def test_what_others_add_behind_the_token_is_dropped():
    url = tracked(f"{SHOP}/a?b=1")
    assert original(f"{url}&fbclid=x&utm=y#z", {7: SHOP}) == f"{SHOP}/a?b=1#z"


def test_a_parameter_of_the_same_name_stays_with_the_original():
    own = "x" * 40
    assert original(tracked(f"{SHOP}/?p={own}&p=2"), {7: SHOP}) == f"{SHOP}/?p={own}&p=2"


@pytest.mark.parametrize(
    "url", ["", BASE, f"{BASE}/a", f"{BASE}/a?p=short", f"{BASE}/?p={'!' * 40}", f"{BASE}/?p={'A' * 41}"]
)
def test_without_a_token_there_is_no_original(url):
    with pytest.raises(BadToken):
        original(url, {7: SHOP})


def test_a_number_that_is_not_known_has_no_original():
    with pytest.raises(BadToken):
        original(tracked(f"{SHOP}/"), {8: SHOP})


def test_the_token_is_found_in_what_a_client_requests():
    assert detach("/a?b=1&p=" + "t" * 40) == ("/a?b=1", "t" * 40)
    assert detach("/a?b=1") is None
