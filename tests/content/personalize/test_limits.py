"""Section 17: every limit, and what tries to go around them. Nothing here may take long, hang or crash."""

import itertools
import sys
import time
from datetime import timedelta

import pytest

from smtpeter.content.personalize import DEFAULT_LIMITS, Limits, compile_text
from tests.content.personalize.rendering import COMPILE, LIMIT, NOW, fault_of, render

MIB = 1024 * 1024
ALL_RANKS = "(0 or 1 and not 0 == 0 < 1 + 1 * "


def nested(depth: int, opening: str, inside: str, closing: str) -> str:
    return opening * depth + inside + closing * depth


@pytest.mark.parametrize(
    ("limits", "inside", "beyond", "place"),
    [
        (Limits(max_source=5), "{$a}b", "{$a}bc", (1, 1)),
        (Limits(max_tags=2), "{$a}{$b}x", "{$a}{$b}\n{$c}", (2, 1)),
        (Limits(max_tags=2), "{literal}{/literal}{$a}", "{literal}{/literal}{$a}{$b}", (1, 24)),
        (Limits(max_tokens=4), "{$a+1}", "x{$a+1+1}", (1, 2)),
        (Limits(max_block_depth=1), "{if 1}{/if}{if 1}{/if}", "{if 1}\n{if 1}{/if}{/if}", (2, 1)),
        (Limits(max_bracket_depth=1), "{(1)+(1)}", "{((1))}", (1, 3)),
        (Limits(max_bracket_depth=1), "{$a[1][1]}", "{$a[$b[1]]}", (1, 7)),
        (Limits(max_bracket_depth=1), "{hash(1,2)|x}", "{hash((1),2)}", (1, 7)),
        (DEFAULT_LIMITS, "x" * 2 * MIB, "x" * (2 * MIB + 1), (1, 1)),
        (DEFAULT_LIMITS, "", "{$a}" * 50_001, (1, 200_001)),
        (DEFAULT_LIMITS, "{1" + "+1" * 999 + "}", "{1" + "+1" * 1000 + "}", (1, 1)),
        (DEFAULT_LIMITS, nested(64, "{if 1}", "x", "{/if}"), nested(65, "{if 1}", "x", "{/if}"), (1, 64 * 6 + 1)),
        (DEFAULT_LIMITS, "{" + nested(64, "(", "1", ")") + "}", "{" + nested(65, "(", "1", ")") + "}", (1, 66)),
    ],
)
def test_source_beyond_a_limit_is_a_compile_error(limits, inside, beyond, place):
    compile_text(inside, limits=limits)
    kind, *found, _ = fault_of(beyond, limits=limits)
    assert (kind, *found) == (COMPILE, *place)


def test_limits_that_python_cannot_bear_are_refused():
    with pytest.raises(ValueError, match="64"):
        Limits(max_bracket_depth=65)


@pytest.mark.parametrize(
    ("limits", "inside", "beyond", "name"),
    [
        (Limits(max_passes=3), "{foreach $l as $i}{/foreach}", "{foreach $l as $i}{/foreach}" * 2, "3 passes"),
        (
            Limits(max_passes=5),
            "{foreach $l as $i}{/foreach}",
            nested(2, "{foreach $l as $i}", "", "{/foreach}"),
            "5 passes",
        ),
        (Limits(max_nodes=10), "{1+1}{1+1}", "{1+1}{1+1}{1+1}{1+1}", "10 steps"),
        (Limits(max_output=6), "{$six}", "{$six}.", "6 characters"),
        (Limits(max_output=6), "ab{$n}cde", "ab{$n}cdef", "6 characters"),
        (Limits(max_text=8), "{$six|cat:'78'}", "{$six|cat:'789'}", "8 characters"),
        (Limits(max_text=8), "{$six|replace:'a':'123'}", "{$six|replace:'a':'1234'}", "8 characters"),
        (Limits(max_text=8), "{$six|indent:2}", "{$six|indent:3}", "8 characters"),
        (Limits(max_text=11), "{$six|spacify}", "{$six|spacify:'--'}", "11 characters"),
        (Limits(max_text=8), "{$six|regex_replace:'a':'123'}", "{$six|regex_replace:'a':'1234'}", "8 characters"),
        (Limits(max_text=8), "{$six|base64_encode}", "{$six|cat:'7'|base64_encode}", "8 characters"),
        (Limits(max_text=8), "{$n|number_format:6}", "{$n|number_format:9}", "8 characters"),
        (Limits(max_text=12), "{$n|date_format}", "{$n|date_format:'%c'}", "12 characters"),
        (Limits(max_text=8), "{$six|escape}", "{'<<<'|escape}", "8 characters"),
    ],
)
def test_rendering_beyond_a_limit_is_an_error_that_names_it(limits, inside, beyond, name):
    data = {"l": [1, 2, 3], "six": "abcdef", "n": 1}
    render(inside, data, limits=limits)
    kind, _, _, reason = fault_of(beyond, data, limits=limits)
    assert kind == LIMIT
    assert name in reason


def test_limit_is_told_with_the_position_of_the_tag():
    limits = Limits(max_passes=2)
    assert fault_of("x\n {foreach $l as $i}{$i}{/foreach}", {"l": [1, 2, 3]}, limits=limits)[:3] == (LIMIT, 2, 2)


def test_time_of_a_rendering_is_limited_when_there_is_a_clock():
    ticks = itertools.count(0, 1.5)
    source, data = "{foreach $l as $i}{$i}{/foreach}", {"l": [1] * 50_000}
    kind, line, _, reason = fault_of(source, data, clock=lambda: next(ticks))
    assert (kind, line, reason) == (LIMIT, 1, "The template takes more than 2 seconds")
    assert render(source, data, clock=lambda: 0.0)


def test_time_of_a_regular_expression_is_limited_when_there_is_a_clock():
    ticks = itertools.count(0, 0.03)
    limits = Limits(max_render_time=timedelta(hours=1))
    source, data = "{$v|regex_replace:'a':'b'}", {"v": "a" * 100}
    fault = fault_of(source, data, limits=limits, clock=lambda: next(ticks))
    assert (fault[0], fault[3]) == (LIMIT, "A regular expression takes more than 0.1 seconds")


HUGE = "x" * 500_000
BOMBS = [
    ("three loops in each other", nested(3, "{foreach $l as $i}", "x", "{/foreach}"), {"l": [0] * 1000}),
    ("empty loops", nested(5, "{foreach $l as $i}", "", "{/foreach}"), {"l": [0] * 1000}),
    ("a text that doubles", "{$x='aa'}{foreach $l as $i}{$x=$x|replace:'a':'aa'}{/foreach}", {"l": [0] * 99}),
    ("an endless margin", "{'a'|indent:999999999:'xx'}", {}),
    ("an endless decimal", "{1|number_format:999999999}", {}),
    ("a margin by an enormous number", "{'a'|indent:1.0e300}", {}),
    ("wide spaces", "{$h|spacify:'" + "x" * 1000 + "'}", {"h": HUGE}),
    ("a large value again and again", "{foreach $l as $i}{$h}{/foreach}", {"l": [0] * 1000, "h": HUGE}),
    (
        "large texts compared",
        "{foreach $l as $i}{if $h==$k}{/if}{/foreach}",
        {"l": [0] * 99999, "h": HUGE, "k": "x" * 499_999 + "x"},
    ),
    ("large texts as numbers", "{foreach $l as $i}{if $h>1}{/if}{/foreach}", {"l": [0] * 99999, "h": " " * 500_000}),
    (
        "the last member of a large object",
        "{foreach $l as $i}{$o[99999]}{/foreach}",
        {"l": [0] * 99999, "o": {f"k{i}": 1 for i in range(100_000)}},
    ),
    ("large slices", "{foreach $l as $i}{$x=$l|range:0:99999}{/foreach}", {"l": [0] * 99999}),
    ("digests of arrays", "{foreach $l as $i}{$l|md5}{/foreach}", {"l": [0] * 99999}),
    ("many large variables", "".join(f"{{$v{i}=$h|cat:'x'}}" for i in range(1000)), {"h": HUGE}),
    ("a search that is quadratic", "{$h|regex_replace:'x[^y]*y|x':'z'}", {"h": HUGE}),
    ("a search with many states", "{$h|regex_replace:'[xy]*x[xy]{30}c|x':'z'}", {"h": "xy" * 100_000}),
    ("a subject that is too long", "{$h =~ 'a'}", {"h": "x" * (MIB + 1)}),
    (
        "patterns from data",
        "{foreach $l as $p}{$x = 'x' =~ $p}{/foreach}",
        {"l": [rf"(\pL{{9}}){{4}}{i}" for i in range(9999)]},
    ),
    ("tags in loops", "{foreach $l as $i}" + "{$a=5}" * 4000 + "{/foreach}", {"l": [0] * 99999}),
]


@pytest.mark.parametrize(("source", "data"), [bomb[1:] for bomb in BOMBS], ids=[bomb[0] for bomb in BOMBS])
def test_bomb_ends_in_an_error_of_the_same_kind_each_time(source, data):
    limits = Limits(max_nodes=500_000)
    begin = time.process_time()
    fault = fault_of(source, data, limits=limits)
    assert fault[0] == LIMIT
    assert time.process_time() - begin < 3  # a tenth of it on a machine of its own
    assert fault_of(source, data, limits=limits) == fault


def test_bomb_ends_with_the_limits_that_hold_by_default():
    assert fault_of("{foreach $l as $i}" + "{$a=5}" * 4000 + "{/foreach}", {"l": [0] * 99999})[0] == LIMIT


@pytest.mark.parametrize(
    "source",
    [
        "{" * MIB,
        "{if 1}" * 170_000,
        "{foreach $l as $i}" * 50_000,
        "{$a[" * 250_000,
        "{" + "(" * MIB,
        "{" + "not " * 250_000,
        "{'" + "\\'" * 500_000,
        "{literal}" * 100_000,
        "{literal}" + "{/literal " * 100_000,
        "{" + "9" * MIB + "}",
        "{$" + "a" * MIB + "|" + "b" * 500_000 + " x}",
        "{$a" + "\n" * MIB,
        "{'a'=~'" + "(" * MIB + "'}",
        "".join(rf"{{'a'=~'\pL{{{i % 9 + 20}}}{i}'}}" for i in range(20_000)),
        "".join(rf"{{'a'|regex_replace:'\pL{{{i % 9 + 20}}}{i}':''}}" for i in range(20_000)),
        "".join(rf"{{'a'|regex_replace:'(\pL{{900}}){{900}}{i}':''}}" for i in range(20_000)),
    ],
    ids=range(16),
)
def test_hostile_source_is_refused_in_time_that_is_linear(source):
    begin = time.process_time()
    assert fault_of(source)[0] == COMPILE
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    "source",
    [
        "{ " * (MIB // 2),
        "[ldelim]" * 100_000,
        "[ldelim" * 100_000,
        "{" + "not " * 1990 + "1}",
        "{1" + "==1" * 990 + "}",
        "{$a" + "[0]" * 660 + "}",
        "{'a'" + "|upper" * 990 + "}",
        "{$a" + "|cat:1" * 490 + "}",
        "{if 0}" + "{elseif 0}" * 5_000 + "{/if}",
    ],
    ids=range(9),
)
def test_long_source_is_compiled_and_rendered_in_time_that_is_linear(source):
    begin = time.process_time()
    render(source)
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("opening", ["{if 1}", "{foreach $l as $i}"])
@pytest.mark.parametrize(
    "expression",
    [
        nested(64, ALL_RANKS, "1", ")"),
        nested(64, "$l[0 or 0 and not 1 == 0 < 1 + 1 * ", "0", "]"),
        nested(64, "hash(0 or 0 and not 1 == 0 < 1 + 1 * ", "0", ", 'md5')|upper"),
        nested(63, "$l[0 or 0 and not 1 == 0 < 1 + 1 * ", "$l[$i]", "]|upper|lower"),
    ],
    ids=["groups", "indexes", "functions", "modified"],
)
def test_deepest_nesting_that_is_allowed_fits_on_the_stack(opening, expression):
    closing = "{/if}" if opening == "{if 1}" else "{/foreach}"
    source = nested(64, opening, "{" + expression + "}", closing)
    assert sys.getrecursionlimit() <= 1000
    render(source, {"l": [1]})


def test_caller_who_is_deep_itself_gets_an_orderly_error():
    source = "{" + nested(64, ALL_RANKS, "1", ")") + "}"
    template = compile_text(source)

    def deeper(frames: int) -> str:
        if frames:
            return deeper(frames - 1)
        return template.render({}, now=NOW)

    with pytest.raises(Exception, match="nested too deep"):
        deeper(700)


def test_data_of_any_depth_is_rendered():
    data = deep = {}
    for _ in range(100_000):
        deep["a"] = [deep := {}]
    assert len(render("{$a|md5}{$a|count}{$a[0].a[0].a|count}", data)) == 34
