"""Section 6: ranks, arithmetic, equality by written form, order, patterns."""

import pytest

from tests.content.personalize.rendering import COMPILE, RUNTIME, fault_of, render


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 4 - 3", "3"),
        ("100 / 10 / 2", "5"),
        ("7 / 2", "3.5"),
        ("6 / 2", "3"),
        ("6.0 / 2", "3"),
        ("1 / 3", "0.33333"),
        ("0 / 5", "0"),
        ("-9 % 4", "-1"),
        ("9 % -4", "1"),
        ("9.9 % 4.9", "1"),
        ("2 * 3 % 4", "2"),
        ("1 + 1.5", "2.5"),
        ("0.1 + 0.2", "0.3"),
        ("$none + 5", "5"),
        ("$list + 5", "5"),
        ("'abc' + 5", "5"),
        ("'2.5' * 2", "5"),
        ("'4' + '5'", "9"),
        ("true + true", "2"),
        ("$s|strlen + 1", "6"),
        ("1 + $s|strlen", "6"),
        ("$a + $b|strlen", "8"),
    ],
)
def test_arithmetic_gives_numbers(expression, expected):
    assert render("{" + expression + "}", {"list": [9], "s": "hello", "a": 7, "b": 5}) == expected


@pytest.mark.parametrize("expression", ["1 / 0", "1 % 0", "1 / $none", "5 % 0.5", "1 / 'x'", "1.5 / 0.0", "0 / 0"])
def test_division_by_zero_is_a_runtime_error(expression):
    assert fault_of(f"line\n  {{{expression}}}") == (RUNTIME, 2, 3, "Division by zero")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("true OR $boom", "true"),
        ("1 OR 0 AND 0", "true"),
        ("(1 OR 0) AND 0", "false"),
        ("0 OR 0", "false"),
        ("1 AND 2", "true"),
        ("not 0 AND 0", "false"),
        ("not 1 == 2", "true"),
        ("!1 == 2", "true"),
        ("not not 5", "true"),
        ("!!!5", "false"),
        ("not (1 AND 0)", "true"),
        ("0 || 1 && 1", "true"),
        ("1 < 2 == true", "true"),
        ("3 > 2 > 1", "false"),
        ("3 > 2 >= 1", "true"),
        ("1 == 1 == 1", "true"),
        ("2 == 2 == 2", "false"),
        ("1 + 1 == 2", "true"),
        ("1 + 1 < 2 * 2", "true"),
        ("1 lt 2", "true"),
        ("2 le 2", "true"),
        ("2 LTE 2", "true"),
        ("2 gt 2", "false"),
        ("2 ge 2", "true"),
        ("2 gte 2", "true"),
        ("2 eq 2", "true"),
        ("2 ne 2", "false"),
        ("2 <> 3", "true"),
        ("2 != 3", "true"),
        ("'a' < 'b'", "false"),
        ("'a' <= 'b'", "true"),
        ("'10' > '9'", "true"),
        ("$none < 1", "true"),
        ("'2.5' > 2", "true"),
    ],
)
def test_logic_and_order_give_booleans(expression, expected):
    assert render("{" + expression + "}") == expected


def test_what_stands_right_is_only_evaluated_when_it_matters():
    assert render("{1 OR 1 / 0}{0 AND 1 / 0}{if 1}a{elseif 1 / 0}{/if}") == "truefalsea"


@pytest.mark.parametrize("expression", ["0 OR 1 / 0", "1 AND 1 / 0"])
def test_what_stands_right_is_evaluated_when_it_matters(expression):
    assert fault_of("{" + expression + "}")[0] == RUNTIME


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        # paths: as texts
        (7, "7", True),
        (7, "7.0", False),
        (7.0, "7", True),
        ("a", "A", False),
        (True, "true", True),
        (None, "", True),
        (None, 0, False),
        ([1], "", True),
        ([1], [2], True),
        ("x ", "x", False),
        (1.5, "1.5", True),
    ],
)
def test_paths_are_compared_as_texts(left, right, expected):
    data = {"a": left, "b": right}
    assert render("{$a == $b}{$a != $b}", data) == ("truefalse" if expected else "falsetrue")


@pytest.mark.parametrize(
    ("value", "literal", "expected"),
    [
        (7, "7", True),
        ("7", "7", True),
        ("7.0", "7", True),
        (" 7 ", "7", True),
        ("+7", "7", True),
        ("7e0", "7", True),
        ("7a", "7", False),
        ("abc", "0", False),
        (" ", "0", False),
        ("", "0", True),
        (None, "0", True),
        ([], "0", True),
        ({"a": 1}, "0", True),
        (True, "1", True),
        (1.5, "1", False),
        (1.5, "1.5", True),
        ("-3", "-3", True),
        ("abc", "1 - 1", False),
        ("8", "(2 * 4)", True),
    ],
)
def test_number_literals_and_arithmetic_compare_as_numbers(value, literal, expected):
    for expression in (f"$v == {literal}", f"{literal} == $v", f"not $v != {literal}"):
        assert render("{" + expression + "}", {"v": value}) == ("true" if expected else "false"), expression


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$word == true", "true"),
        ("$zero == false", "true"),
        ("$word == (1 < 2)", "true"),
        ("$none == (1 AND 0)", "true"),
        ("$word == (not 0)", "true"),
        ("true == 1", "true"),
        ("true == 2", "false"),
        ("'true' == $yes", "true"),
        ("5|cat:'' == '5.0'", "false"),
        ("'5.0' == '5'", "false"),
        ("$word|upper == 'WORD'", "true"),
        ("hash('pea','md5') == '936d8f0827567bab7e339991107c12ba'", "true"),
        ("$zero|default:'x' == '0'", "true"),
    ],
)
def test_other_forms_compare_as_truths_or_texts(expression, expected):
    assert render("{" + expression + "}", {"word": "word", "zero": "0", "yes": True}) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('$v =~ "^NL\\d"', "true"),
        ('$v =~ "nl"', "false"),
        ('$v =~ "(?i)nl"', "true"),
        ('$v =~ "82$"', "true"),
        ('$v =~ "^82"', "false"),
        ('$v =~ ""', "true"),
        ("$v =~ 82", "true"),
        ("$v =~ $pattern", "true"),
        ("$n =~ '^12\\.5$'", "true"),
        ("$none =~ '^$'", "true"),
        ("$list =~ '^$'", "true"),
        ("$lines =~ '^b'", "false"),
        ("$lines =~ '(?m)^b'", "true"),
        ("$lines =~ 'a.b'", "false"),
        ("$lines =~ '(?s)a.b'", "true"),
        ("$lines =~ 'b$'", "false"),
        ("$accent =~ '^.$'", "true"),
        ("$accent =~ '\\w'", "false"),
        ("not $v =~ 'x' AND 1", "true"),
        ("$v =~ 'x' == false", "true"),
    ],
)
def test_pattern_is_searched_in_the_text_of_the_value(expression, expected):
    data = {"v": "NL82", "pattern": "L8+", "n": 12.5, "list": [1], "lines": "a\nb\n", "accent": "\u00e9"}
    assert render("{" + expression + "}", data) == expected


@pytest.mark.parametrize(
    "pattern", ["(", "a**", "(?=a)", r"(a)\1", "(?<=a)b", "[", "a{2,1}", "x" * 1001, "(?R)", "a++"]
)
def test_invalid_pattern_is_an_error_where_it_is_known(pattern):
    assert fault_of(f'{{if $v =~ "{pattern}"}}{{/if}}')[:3] == (COMPILE, 1, 11)
    assert fault_of("{if $v =~ $p}{/if}", {"p": pattern})[:3] == (RUNTIME, 1, 1)
    assert render(f'{{"v"|regex_replace:"{pattern}":"w"}}') == "v"
