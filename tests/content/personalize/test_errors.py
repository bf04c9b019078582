"""Section 16: what is an error, where it is, and how it reads."""

import copy
import pickle

import pytest

from smtpeter.content.personalize import PersonalizationError, compile_text
from tests.content.personalize.rendering import COMPILE, RUNTIME, fault_of, render


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        # the list of the specification
        ("{if $a}", 1, 1),
        ("{/if}", 1, 1),
        ("{name}", 1, 2),
        ("{$}", 1, 2),
        ("{$9x}", 1, 2),
        ("{$a b}", 1, 5),
        ("{$a[}", 1, 5),
        ("{2 *}", 1, 5),
        ("{if $a = 1}x{/if}", 1, 8),
        ("{foreach item in $l}{/foreach}", 1, 10),
        ("{assign 1 $x}", 1, 11),
        ("{$a|}", 1, 5),
        ("{$a|cat:$b}", 1, 9),
        ("{hash($a}", 1, 9),
        ("text{escape}", 1, 5),
        # tags
        ("a{", 1, 2),
        ("{}", 1, 2),
        ("{* note *}", 1, 2),
        ("{include file='x'}", 1, 2),
        ("{while 1}", 1, 2),
        ("{iffy}", 1, 2),
        ("{if}", 1, 4),
        ("{if-x}", 1, 2),
        ("{if 1}{else if 2}{/if}", 1, 13),
        ("{/ if}", 1, 2),
        ("{if 1}{/ if}", 1, 8),
        ("{/}", 1, 3),
        ("{/while}", 1, 3),
        ("{assign var=x}", 1, 9),
        ("{assign 1 to x}", 1, 14),
        ("{assign 1 to $x.y}", 1, 16),
        ("{assign to $x}", 1, 9),
        ("{$a.b = 1}", 1, 7),
        ("{$a[0] = 1}", 1, 8),
        ("{$a|upper = 1}", 1, 11),
        ("{$a = }", 1, 7),
        ("{$a = 1 = 2}", 1, 9),
        ("{$a->b}", 1, 6),
        ("{$a ? 1 : 2}", 1, 5),
        ("{$a++}", 1, 5),
        ("{-$a}", 1, 2),
        ("{- 1}", 1, 2),
        ("{1 - - 1}", 1, 6),
        ("{+1}", 1, 2),
        ("{.5}", 1, 2),
        ("{5.}", 1, 3),
        ("{1e5}", 1, 3),
        ("{$_a}", 1, 2),
        ("{$a.}", 1, 5),
        ("{$a._b}", 1, 5),
        ("{$a.5}", 1, 5),
        ("{$a[]}", 1, 5),
        ("{$a[1}", 1, 6),
        ("{$a]}", 1, 4),
        ("{(1}", 1, 4),
        ("{(1))}", 1, 5),
        ("{()}", 1, 3),
        ("{(1)|upper}", 1, 5),
        ("{'a'.b}", 1, 5),
        ("{'a'[0]}", 1, 5),
        ("{(1).b}", 1, 5),
        ("{1 == not 2}", 1, 7),
        ("{not}", 1, 5),
        ("{1 and}", 1, 7),
        ("{and 1}", 1, 2),
        ("{1 < }", 1, 6),
        ("{1 & 2}", 1, 4),
        ("{1 === 2}", 1, 6),
        ("{$a|upper:}", 1, 11),
        ("{$a|'upper'}", 1, 5),
        ("{$a|cat:(1)}", 1, 9),
        ("{$a|cat:- 1}", 1, 9),
        ("{nope(1)}", 1, 2),
        ("{hash()}", 1, 7),
        ("{hash(1)}", 1, 8),
        ("{hash(1,)}", 1, 9),
        ("{hash(1,2,3)}", 1, 10),
        ("{hash}", 1, 2),
        ("{true(1)}", 1, 6),
        ("{$a \u00e9}", 1, 5),
        ("{\u00e9}", 1, 2),
        ("{$a # x}", 1, 5),
        ("{ldelim", 1, 1),
        ("{ldelim x}", 1, 9),
        # strings and ends
        ("a{$b", 1, 2),
        ("a\n{$b\n\n", 2, 1),
        ("{'a}", 1, 1),
        ('x {"a\\"}', 1, 3),
        ("{$a|cat:'x\n", 1, 1),
        # blocks
        ("{if 1}{if 2}{/if}", 1, 1),
        ("{if 1}{foreach $l as $i}", 1, 7),
        ("{if 1}{/foreach}", 1, 7),
        ("{foreach $l as $i}{/if}", 1, 19),
        ("{foreach $l as $i}{endif}", 1, 19),
        ("{foreach $l as $i}{else}{/foreach}", 1, 19),
        ("{if 1}{foreachelse}{/if}", 1, 7),
        ("{if 1}\n{else}\n{else}{/if}", 3, 1),
        ("{if 1}{else}{elseif 2}{/if}", 1, 13),
        ("{foreach $l as $i}{foreachelse}{foreachelse}{/foreach}", 1, 32),
        ("{elseif 1}", 1, 1),
        ("{else}", 1, 1),
        ("{foreachelse}", 1, 1),
        ("{/foreach}", 1, 1),
        ("{foreach $l}{/foreach}", 1, 12),
        ("{foreach $l as}{/foreach}", 1, 15),
        ("{foreach $l as $k =>}{/foreach}", 1, 21),
        ("{foreach $l as $k => $v.x}{/foreach}", 1, 24),
        ("{foreach $l as $a.b}{/foreach}", 1, 18),
        ("{foreach $a.b in $l}{/foreach}", 1, 15),
        ("{foreach $a|upper in $l}{/foreach}", 1, 19),
        ("{foreach $k => $v in $l}{/foreach}", 1, 13),
        ("{foreach $v in 5}{/foreach}", 1, 16),
        ("{foreach 'abc' as $v}{/foreach}", 1, 10),
        ("{foreach $a + $b as $v}{/foreach}", 1, 13),
        ("{foreach ($a) as $v}{/foreach}", 1, 10),
        # literal
        ("a{literal}b", 1, 2),
        ("{literal}{literal}{/literal}{/literal}", 1, 29),
        ("{/literal}", 1, 1),
        # modes
        (" {escape}", 1, 2),
        ("{if 1}{mode=html}{/if}", 1, 7),
        ("{escape}{escape}", 1, 9),
        ("{mode}", 1, 2),
        ("{mode=}", 1, 7),
        ("{mode='html'}", 1, 7),
        ("{escape x}", 1, 9),
        # positions
        ("\n\r\u2028\u0085x\n  {$a b}", 3, 7),
        ("\U0001f600{$a b}", 1, 6),
        ("{$a\n  b}", 2, 3),
        ("{ {$a b}", 1, 7),
    ],
)
def test_error_in_the_source_is_told_with_its_position(source, line, column):
    with pytest.raises(PersonalizationError) as caught:
        compile_text(source)
    error = caught.value
    assert (error.kind, error.line, error.column) == (COMPILE, line, column), error
    assert str(error) == error.message == f"Compile error at line {line}, column {column}: {error.reason}"


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("a\n b{1 / 0}", 2, 3),
        ("{if 1}{elseif 0}{/if}{if 0}{elseif 1 / 0}{/if}", 1, 28),
        ("{$x = 1}\n{foreach $l as $i}\n{$i / 0}\n{/foreach}", 3, 1),
        ("{assign 1 % 0 to $x}", 1, 1),
        ("{$ok}{foreach $l[1 / 0] as $i}{/foreach}", 1, 6),
        ("{$a|upper}{hash($a, 'x')}", 1, 11),
    ],
)
def test_error_while_rendering_is_told_with_the_position_of_the_tag(source, line, column):
    with pytest.raises(PersonalizationError) as caught:
        render(source, {"l": [1]})
    error = caught.value
    assert (error.kind, error.line, error.column) == (RUNTIME, line, column)
    assert error.message.startswith(f"Runtime error at line {line}, column {column}: ")


def test_message_quotes_little_of_the_source_and_nothing_of_the_data():
    reason = fault_of("{1 '" + "s" * 500 + "\n'}")[3]
    assert len(reason) < 100
    assert "\n" not in reason
    assert "secret" not in fault_of("{hash('secret', $a)}", {"a": "secret"})[3]
    assert "secret" not in fault_of("{$a =~ $a}", {"a": "secret("})[3]


def test_error_survives_copies_and_processes():
    error = PersonalizationError(RUNTIME, 2, 3, "Division by zero")
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (other.kind, other.line, other.column, str(other)) == (RUNTIME, 2, 3, str(error))


@pytest.mark.parametrize(
    "source",
    [
        "{$unknown.path[0]}",
        "{$s + $l * $o}",
        "{$s|nothing:1|count}",
        "{foreach $s as $x}{/foreach}",
        "{if $l > $o}{/if}",
    ],
)
@pytest.mark.parametrize("data", [{}, {"s": "x", "l": [1], "o": {"a": 1}}])
def test_unknown_names_and_wrong_types_are_no_errors(source, data):
    render(source, data)
