"""Sections 1, 13 and 17: automatic variables, headers, addresses, the size of data, and templates that are kept."""

import threading

import pytest

from smtpeter.content.personalize import (
    Limits,
    PersonalizationError,
    TemplateCache,
    clean_header,
    compile_addresses,
    compile_text,
    data_fault,
    fill_automatic,
)
from smtpeter.model.address import AddressError
from tests.content.personalize.rendering import COMPILE, NOW, RUNTIME


def mailboxes(source, data=None):
    return [(box.name, box.address) for box in compile_addresses(source).render(data or {}, now=NOW, automatic={})]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{$recipient}, {$envelope}", "r@example.com, {$envelope}"),
        (
            "{ $recipient}{$recipient }{$Recipient}{$recipient|upper}",
            "{ $recipient}{$recipient }{$Recipient}{$recipient|upper}",
        ),
        ("{$other}{if}{", "{$other}{if}{"),
        ("{$webversion}", "{$recipient}"),
        ("[ldelim]$recipient}", "[ldelim]$recipient}"),
        ("{{$recipient}}", "{r@example.com}"),
    ],
)
def test_message_without_data_has_only_its_automatic_tags_replaced(text, expected):
    assert fill_automatic(text, {"recipient": "r@example.com", "webversion": "{$recipient}"}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nBcc: x", "a Bcc: x"),
        ("\t a\0\x01\x7f\x85\u2028\u2029b \n", "a b"),
        ("plain \u00e9", "plain \u00e9"),
        ("\r\n", ""),
    ],
)
def test_header_value_cannot_end_its_field(text, expected):
    assert clean_header(text) == expected


EVIL = 'X" <x@evil.example>, y@evil.example\r\nBcc: z@evil.example'


@pytest.mark.parametrize(
    ("source", "data", "expected"),
    [
        ("a@example.com", {}, [("", "a@example.com")]),
        ("{$n} <a@example.com>", {"n": "J\u00f6rg"}, [("J\u00f6rg", "a@example.com")]),
        ('"{$n}, Inc." <a@example.com>', {"n": "A"}, [("A, Inc.", "a@example.com")]),
        ("{$n} <a@example.com>", {}, [("", "a@example.com")]),
        ("{$n} <{$a}>", {"n": "N", "a": "a@example.com"}, [("N", "a@example.com")]),
        ("{$l}@{$d}", {"l": "a", "d": "EXAMPLE.com"}, [("", "a@example.com")]),
        ("N <{$l}@example.com>", {"l": "a"}, [("N", "a@example.com")]),
        ("info+{$id|cat:', x'|substr:0:2}@example.com", {"id": "42"}, [("", "info+42@example.com")]),
        ("{$all}", {"all": '"A, B" <a@example.com>'}, [("A, B", "a@example.com")]),
        (" {$all} ,b@example.com", {"all": "a@example.com"}, [("", "a@example.com"), ("", "b@example.com")]),
        ("{if $f}Ms{else}Mr{/if} {$n} <a@example.com>", {"n": "Lee"}, [("Mr Lee", "a@example.com")]),
        ("{if $f}a{else}b{/if}@example.com", {"f": 1}, [("", "a@example.com")]),
        ("q0z q1z {$n} <q2z1@example.com>", {"n": "N"}, [("q0z q1z N", "q2z1@example.com")]),
        ("{$n} <a@example.com>", {"n": EVIL}, [(clean_header(EVIL), "a@example.com")]),
        ("{$n|default:', <'} <a@example.com>", {}, [(", <", "a@example.com")]),
    ],
)
def test_values_fill_the_addresses_of_the_template(source, data, expected):
    assert mailboxes(source, data) == expected


@pytest.mark.parametrize(
    "source", ["{$v}", "N <{$v}>", "{$v}@example.com", "a@{$v}", "N <a@{$v}>", "{$v}{$v}", "N <{$v}>, a@b.example"]
)
@pytest.mark.parametrize(
    "value", [EVIL, "a@b.example, c@d.example", "", "a b", "(x)", "x@y@z", "a@b.example (c), d", "\r\n"]
)
def test_value_can_never_add_an_address(source, value):
    with pytest.raises(PersonalizationError) as caught:
        mailboxes(source, {"v": value})
    assert caught.value.kind == RUNTIME
    assert (caught.value.line, caught.value.column) == (1, 1)


@pytest.mark.parametrize(
    "source", ["", "x", "N <x>", "a@b.example,", "a@b.example b@c.example", "N <{$v}> x", "@{$v}", "{$v} <x>"]
)
def test_field_that_is_no_address_list_is_refused(source):
    with pytest.raises((AddressError, PersonalizationError)):
        mailboxes(source, {"v": "a"})


def test_error_in_an_address_field_has_its_position():
    with pytest.raises(PersonalizationError) as caught:
        compile_addresses("a@b.example,\n {$x y} <c@d.example>")
    assert (caught.value.kind, caught.value.line, caught.value.column) == (COMPILE, 2, 6)
    field = compile_addresses("{$n} <a@b.example>,\n  {$v}@d.example")
    with pytest.raises(PersonalizationError) as caught:
        field.render({"n": "long enough to matter"}, now=NOW, automatic={})
    assert (caught.value.kind, caught.value.line, caught.value.column) == (RUNTIME, 2, 3)


def test_block_over_several_addresses_is_refused():
    with pytest.raises(PersonalizationError, match="A block must begin and end"):
        compile_addresses("{if $x}a@b.example, {/if}c@d.example")


def test_field_with_very_many_tags_takes_linear_time():
    field = compile_addresses(", ".join(f"{{$a}}q{number}z{{$b}}@example.com" for number in range(1_000)))
    assert len(field.render({"a": "x", "b": "y"}, now=NOW, automatic={})) == 1_000


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ({}, False),
        ({"a": "x" * (1024 * 1024 - 8)}, False),
        ({"a": "x" * (1024 * 1024 - 7)}, True),
        ({"a": "\u00e9" * (512 * 1024)}, True),
    ],
)
def test_data_has_a_size(data, fault):
    assert bool(data_fault(data)) == fault


def test_data_has_a_depth():
    deep: dict[str, object] = {}
    for _ in range(63):
        deep = {"a": deep}
    assert data_fault(deep) == ""
    assert "64" in data_fault({"a": deep})
    endless: list[object] = []
    for _ in range(100_000):
        endless = [endless]
    assert "64" in data_fault({"a": endless})


def test_cache_gives_the_same_template_for_the_same_source():
    cache = TemplateCache()
    assert cache.get("{$a}") is cache.get("{" + "$a}")
    assert cache.get("{$a}") is not cache.get("{$b}")
    assert len(cache) == 2


def test_cache_forgets_what_was_used_longest_ago():
    cache = TemplateCache(max_size=3_100)
    first, second = cache.get("{$a}"), cache.get("{$b}")
    cache.get("{$c}")
    assert cache.get("{$a}") is first
    cache.get("{$d}")
    assert len(cache) == 3
    assert cache.get("{$a}") is first
    assert cache.get("{$b}") is not second


def test_cache_does_not_keep_what_is_larger_than_itself_nor_faults():
    cache = TemplateCache(max_size=2_000, limits=Limits(max_tags=5))
    assert cache.get("x" * 5_000).render({}, now=NOW) == "x" * 5_000
    for _ in range(2):
        with pytest.raises(PersonalizationError):
            cache.get("{$a}" * 6)
    assert len(cache) == 0


def test_cache_and_templates_are_shared_by_threads():
    cache = TemplateCache(max_size=5_000)
    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(300):
            name = f"v{(number + turn) % 9}"
            source = "{$n = 0}{foreach $l as $i}{$n = $n + $i}{/foreach}{$" + name + "}{$n}"
            result = cache.get(source).render({name: number, "l": [1, 2, number]}, now=NOW)
            if result != f"{number}{3 + number}":
                wrong.append(result)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert 0 < len(cache) <= 5


def test_template_renders_the_same_bytes_each_time():
    source = "{foreach $o as $k => $v}{$k}={$v|md5} {/foreach}{$smarty.now}{''|date_format}"
    data = {"o": {"z": [1.5, {"y": None}], "a": "b"}}
    assert len({compile_text(source).render(data, now=NOW) for _ in range(20)}) == 1
