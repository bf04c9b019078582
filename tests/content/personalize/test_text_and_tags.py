"""Sections 1 to 3: where tags begin, what stays text, what the tokens of a tag are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpeter.content.personalize import compile_text
from tests.content.personalize.rendering import NOW, render


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ""),
        ("plain\r\ntext \u00e9\U0001f600\n", "plain\r\ntext \u00e9\U0001f600\n"),
        ("a { b", "a { b"),
        ("a {\tb", "a {\tb"),
        ("a {\rb", "a {\rb"),
        ("p {\n color: red;\n}\n", "p {\n color: red;\n}\n"),
        ("}{ }", "}{ }"),
        ("{ {$x}", "{ 5"),
        ("{$x}{$x}", "55"),
        ("  {if 1}\n  a\n  {/if}\n", "  \n  a\n  \n"),
        ("[ldelim]$x[rdelim]", "{$x}"),
        ("[LDELIM][ldelim ]", "[LDELIM][ldelim ]"),
        ("{$x}[ldelim]{$x}[rdelim]", "5{5}"),
        ("{ldelim}$x{rdelim}", "{$x}"),
        ("{LDelim }", "{"),
        ("{literal}[ldelim]{$x} { {if}{/literal}", "[ldelim]{$x} { {if}"),
        ("{LITERAL }{literal}{/Literal }{$x}", "{literal}5"),
        ("{literal}{/literal}{literal}a{/literal}", "a"),
        ("{if 1}{/if}", ""),
        ("{if 1}{else}{/if}", ""),
        ("{foreach $l as $i}{foreachelse}{/foreach}", ""),
    ],
)
def test_text_is_copied_and_only_tags_are_replaced(source, expected):
    assert render(source, {"x": 5}) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{IF $x}y{/IF}",
        "{If $x}y{EndIf}",
        "{if($x)}y{/if }",
        "{if!$no}y{/if\n}",
        "{if\n$x\t}y{endif}",
        "{if $no}n{ELSEIF $x}y{/if}",
        "{if $no}n{elseif($x)}y{/if}",
        "{if $no}n{Else }y{/if}",
        "{if TRUE AND Not False}y{/if}",
        "{if True && !fALSE Or 1 EQ 2}y{/if}",
        "{FOREACH $one AS $i}y{/FOREACH}",
        "{foreach $i IN $one}y{/foreach}",
        "{foreach $none in $nothing}n{ForeachElse}y{/Foreach}",
        "{ASSIGN 'y' TO $y}{$y}",
        "{$y='y'}{$y}",
        "{$y\n=\t'y'\r}{$y}",
        "{$why }",
        "{$obj . why}",
        "{$obj [ 'why' ]}",
        "{$up | lower}",
        "{$up|lower : 1 : 'x'}",
        "{HASH($x,'md5')|replace:'e4da3b7fbbce2345d7772b0674a318d5':'y'}",
    ],
)
def test_keywords_have_any_case_and_blanks_stand_around_tokens(source):
    data = {"x": 5, "no": 0, "one": [1], "why": "y", "obj": {"why": "y"}, "up": "Y"}
    assert render(source, data) == "y"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{$a-1}", "name"),
        ("{$a - 1}", "6"),
        ("{$a -1}", "6"),
        ("{$a-b}", "dashed"),
        ("{$A}", "upper"),
        ("{$a_b2}", "under"),
        ("{$a-}", "trailing"),
        ("{5}", "5"),
        ("{007}", "7"),
        ("{1.50}", "1.5"),
        ("{1.5e2}", "150"),
        ("{1.5E-1}", "0.15"),
        ("{2.0e+3}", "2000"),
        ("{-5}", "-5"),
        ("{3 - -5}", "8"),
        ("{3--5}", "8"),
        ("{3-5}", "-2"),
        ("{true}", "true"),
        ("{FALSE}", "false"),
        ('{"x"}', "x"),
        ("{'x'}", "x"),
        ('{"a\nb { } | : \' c"}', "a\nb { } | : ' c"),
        (r'{"\n\d\\x"}', r"\n\d\\x"),
        (r'{"say \"hi\""}', 'say "hi"'),
        (r"{'it\'s \"'}", r"it's \""),
        (r'{"\\""}', '\\"'),
        ("{''}", ""),
    ],
)
def test_tokens_have_the_forms_of_the_specification(source, expected):
    data = {"a": 7, "a-1": "name", "a-b": "dashed", "A": "upper", "a_b2": "under", "a-": "trailing"}
    assert render(source, data) == expected


def test_what_values_contain_is_never_code():
    data = {"x": "{$y}[ldelim]{literal}{if}", "y": "secret"}
    assert render("{$x}{$x|upper}", data) == data["x"] + data["x"].upper()


def test_a_template_can_be_rendered_again_and_again_without_memory():
    template = compile_text("{$n = $n + 1}{$n}")
    assert [template.render({"n": n}, now=NOW) for n in (1, 1, 5)] == ["2", "2", "6"]


def test_rendering_leaves_the_data_as_it_was():
    data = {"l": [1, 2], "o": {"k": [3]}}
    render("{$o = 5}{foreach $l as $l}{$l = 'x'}{/foreach}", data)
    assert data == {"l": [1, 2], "o": {"k": [3]}}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("{$a}{$b.c}{$d[$e.f]}", {"a", "b", "d", "e"}),
        ("{foreach $l as $k => $v}{$k}{$v}{$w}{/foreach}", {"l", "w"}),
        ("{foreach $v in $l}{$v}{/foreach}", {"l"}),
        ("{$x = 1}{$x}", set()),
        ("{$x = $x + 1}{$x}", {"x"}),
        ("{assign $y to $x}{$x}", {"y"}),
        ("{$x}{$x = 1}", {"x"}),
        ("{literal}{$a}{/literal}", set()),
        ("{hash($a, $b)|cat:'$c'}", {"a", "b"}),
    ],
)
def test_variables_are_the_names_that_the_data_should_have(source, names):
    assert compile_text(source).variables == names


@given(st.lists(st.sampled_from(["text ", "{$a}", "{$b}", "{if $a}yes{/if}", "{foreach $l as $i}{$i},{/foreach}"])))
def test_the_pieces_of_a_text_are_the_text_and_its_values_are_told(parts):
    data = {"a": "Zoë", "b": "", "l": [1, "x"]}
    template = compile_text("".join(parts))
    pieces = template.pieces(data, now=NOW)
    assert pieces.text == template.render(data, now=NOW)
    values = {"{$a}": ["Zoë"], "{$b}": [""], "{foreach $l as $i}{$i},{/foreach}": ["1", "x"]}
    assert [pieces.texts[at] for at in pieces.printed] == [value for part in parts for value in values.get(part, [])]
