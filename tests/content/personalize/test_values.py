"""Sections 4 and 5: paths, look-up, and what values are as text, number and truth."""

import json

import pytest

from tests.content.personalize.rendering import COMPILE, RUNTIME, fault_of, render

DATA = {
    "foo": {
        "bar": "member",
        "4": "four",
        "any key": "any",
        "a-b": "dash",
        "null": None,
        "x": {"y": [10, {"z": "deep"}]},
    },
    "list": ["a", "b", "c", "d", "e"],
    "obj": {"p": 0, "q": 1, "r": 2},
    "text": "scalar",
    "n": 2,
    "key": "bar",
    "nested": {"k": "q", "i": "1"},
    "null": None,
    "first-name": "Dashed",
    "last_name": "Under",
    "last-name": "never",
    "a-b-c": "abc",
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$text", "scalar"),
        ("$foo.bar", "member"),
        ("$list[0]", "a"),
        ("$list[4]", "e"),
        ("$list[5]", ""),
        ("$list[04]", "e"),
        ("$list['3']", "d"),
        ("$list['x']", ""),
        ("$list[-1]", ""),
        ("$list['-1']", ""),
        ("$list[99999999999999999999999999]", ""),
        ("$foo[4]", "four"),
        ("$obj[1]", "1"),
        ("$obj[9]", ""),
        ("$obj[-1]", ""),
        ("$foo['any key']", "any"),
        ("$foo[$key]", "member"),
        ("$list[$n - 1]", "b"),
        ("$list[$n * 1.5]", "d"),
        ("$list[5 / 2]", ""),
        ("$obj[$nested.k]", "1"),
        ("$list[$nested.i]", "b"),
        ("$foo.x.y[1].z", "deep"),
        ("$foo['x'].y[$obj['q']]['z']", "deep"),
        ("$foo[true]", ""),
        ("$list[$list]", ""),
        ("$list[$missing]", ""),
        ("$list[$null]", ""),
        ("$missing", ""),
        ("$missing.a[0].b", ""),
        ("$text.a", ""),
        ("$text[0]", ""),
        ("$n.a", ""),
        ("$null.a", ""),
        ("$foo.null.a", ""),
        ("$Foo.bar", ""),
        ("$foo.Bar", ""),
        ("$first_name", "Dashed"),
        ("$last_name", "Under"),
        ("$a_b_c", "abc"),
        ("$a_b-c", "abc"),
        ("$foo.a_b", "dash"),
        ("$foo['a_b']", ""),
    ],
)
def test_path_gives_the_value_or_nothing(path, expected):
    assert render("{" + path + "}", DATA) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", ""),
        ("x", "x"),
        (1250, "1250"),
        (-3, "-3"),
        (8.75, "8.75"),
        (6.0, "6"),
        (3.14159265, "3.14159"),
        (0.000001, "0"),
        (-0.000001, "0"),
        (-0.0, "0"),
        (100.10, "100.1"),
        (1e20, "100000000000000000000"),
        (2.5e-5, "0.00003"),
        (True, "true"),
        (False, "false"),
        ([1, 2], ""),
        ({"a": 1}, ""),
        (9223372036854775807, "9223372036854775807"),
        (18446744073709551615, "18446744073709551615"),
        (1234567890123456789012345678901234567890, "1234567890123456789012345678901234567890"),
    ],
)
def test_value_is_printed_as_text(value, text):
    assert render("{$v}", {"v": value}) == text
    assert render("{$v|cat:''}", {"v": value}) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (None, "0"),
        ("", "0"),
        ("abc", "0"),
        ("12abc", "12"),
        (" \t\n12", "12"),
        ("12.5kg", "12.5"),
        ("-3.50", "-3.5"),
        ("+4", "4"),
        ("1e3", "1000"),
        ("1e", "1"),
        ("1e+", "1"),
        ("5.", "5"),
        (".5", "0"),
        ("0x1f", "0"),
        ("inf", "0"),
        ("NaN", "0"),
        ("- 5", "0"),
        ("\u0663", "0"),
        (True, "1"),
        (False, "0"),
        ([5], "0"),
        ({"a": 5}, "0"),
        ("9223372036854775806", "9223372036854775806"),
        ("0" * 5000 + "7", "7"),
    ],
)
def test_value_counts_as_number(value, number):
    assert render("{$v + 0}", {"v": value}) == number


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        *((value, "no") for value in (None, "", "0", 0, 0.0, False, [], {})),
        *((value, "yes") for value in ("0.0", " ", "false", "00", 1, -1, 0.1, True, [0], {"": None}, [None])),
    ],
)
def test_value_counts_as_truth(value, truth):
    assert render("{if $v}yes{else}no{/if}", {"v": value}) == truth
    assert render("{if !$v}no{else}yes{/if}", {"v": value}) == truth


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{if '0'}y{else}n{/if}", "n"),
        ("{if ''}y{else}n{/if}", "n"),
        ("{if 0.0}y{else}n{/if}", "n"),
        ("{0.1 + 0.7}", "0.8"),
        ("{9223372036854775807}", "9223372036854775807"),
        ("{9223372036854775807 + 1}", "9223372036854775808"),
        ("{9223372036854775807 * 9223372036854775807 > 0}", "true"),
    ],
)
def test_literals_convert_like_values(source, expected):
    assert render(source) == expected


@pytest.mark.parametrize("text", ['{"v": 12345678901234567890.5}', '{"v": 1e3}', '{"v": 1.0}'])
def test_json_number_with_fraction_or_exponent_is_a_decimal(text):
    data = json.loads(text)
    assert render("{$v}", data) == render("{$v + 0}", data)


@pytest.mark.parametrize("source", ["{$v + 0}", "{$v * 1.0}", "{$v == 1}"])
def test_infinite_number_is_a_runtime_error(source):
    for value in ("1e999", "9" * 400, float("inf"), float("nan"), 10**400):
        if value == 10**400 and source != "{$v * 1.0}":
            continue
        assert fault_of(source, {"v": value})[0] == RUNTIME


def test_infinite_literal_is_a_compile_error():
    assert fault_of("a{1.0e999}") == (COMPILE, 1, 3, "Unexpected `1.0e999`; the number is too large")


@pytest.mark.parametrize(
    ("source", "data", "expected"),
    [
        ("{$recipient}", {}, "r@example.com"),
        ("{$recipient}", {"recipient": "data"}, "data"),
        ("{$recipient}", {"recipient": None}, "r@example.com"),
        ("{$recipient = 'set'}{$recipient}", {}, "set"),
        ("{$recipient = $nothing}{$recipient}", {}, ""),
        ("{$recipient|upper}", {}, "R@EXAMPLE.COM"),
        ("{foreach $l as $recipient}{$recipient}{/foreach}", {"l": [1]}, "1"),
        ("{$smarty.now}", {}, "1795352645"),
        ("{$smarty.now}", {"smarty": {"now": "mine"}}, "mine"),
        ("{$smarty.other}", {}, ""),
        ("{$smarty = $nothing}{$smarty.now}", {}, ""),
        ("{$message_id}", {"message-id": "dashed"}, "dashed"),
    ],
)
def test_names_are_looked_up_in_order(source, data, expected):
    assert render(source, data, automatic={"recipient": "r@example.com"}) == expected
