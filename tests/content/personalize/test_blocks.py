"""Sections 7 to 9: if, foreach, assign."""

import pytest

from tests.content.personalize.rendering import render

DATA = {
    "list": ["a", "b", "c"],
    "obj": {"z": 1, "y": 2, "x": 3},
    "holes": [1, None, 3],
    "rows": [{"n": "r", "cells": [1, 2]}, {"n": "s", "cells": []}],
    "three": 3,
    "text": "abc",
    "empty": [],
    "item": "outer",
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{if $three > 2}a{else}b{/if}", "a"),
        ("{if $three > 5}a{else}b{/if}", "b"),
        ("{if $three > 5}a{/if}", ""),
        ("{if $three == 1}1{elseif $three == 2}2{elseif $three == 3}3{elseif 1}4{else}5{/if}", "3"),
        ("{if 0}{elseif 0}{else}e{/if}", "e"),
        ("{if !$none}n{/if}", "n"),
        ("{if $list|count > 2}many{/if}", "many"),
        ("{if $three >= 1 AND $three <= 3}in{/if}", "in"),
        ("{if 1}{if 0}a{else}b{/if}{else}c{/if}", "b"),
        ("{if $text|empty}some{else}none{/if}", "some"),
        ("{foreach $item in $list}{$item}{/foreach}", "abc"),
        ("{foreach $list as $item}{$item}{/foreach}", "abc"),
        ("{foreach $list as $k => $v}{$k}{$v}{/foreach}", "0a1b2c"),
        ("{foreach $obj as $k => $v}{$k}{$v}{/foreach}", "z1y2x3"),
        ("{foreach $v in $obj}{$v}{/foreach}", "123"),
        ("{foreach $list|range:1:3 as $v}{$v}{/foreach}", "bc"),
        ("{foreach $v in $list|range:0:1}{$v}{/foreach}", "a"),
        ("{foreach $list|range:1:3 as $k => $v}{$k}{$v}{/foreach}", "0b1c"),
        ("{foreach $obj|range:1:3 as $k => $v}{$k}{$v}{/foreach}", "y2x3"),
        ("{foreach $rows[0].cells as $c}{$c}{/foreach}", "12"),
        ("{foreach $holes as $h}[{$h}]{/foreach}", "[1][][3]"),
        ("{foreach $empty as $e}x{foreachelse}none{/foreach}", "none"),
        ("{foreach $missing as $e}x{foreachelse}none{/foreach}", "none"),
        ("{foreach $text as $e}x{foreachelse}none{/foreach}", "none"),
        ("{foreach $three as $e}x{foreachelse}none{/foreach}", "none"),
        ("{foreach $empty as $e}x{/foreach}", ""),
        ("{foreach $list as $e}{$e}{foreachelse}none{/foreach}", "abc"),
        ("{foreach $rows as $r}{$r.n}:{foreach $r.cells as $c}{$c}{foreachelse}-{/foreach};{/foreach}", "r:12;s:-;"),
        ("{foreach $list as $item}{/foreach}{$item}", "c"),
        ("{foreach $list as $k => $item}{/foreach}{$k}{$item}", "2c"),
        ("{foreach $empty as $item}{/foreach}{$item}", "outer"),
        ("{foreach $holes as $h}{/foreach}{$h}", "3"),
        ("{foreach $list as $list}{$list}{/foreach}{$list}", "abcc"),
        ("{foreach $list as $v}{$list = 5}{$v}{/foreach}{$list}", "abc5"),
        ("{foreach $list as $v}{if $v == 'b'}{$v = 'B'}{/if}{$v}{/foreach}", "aBc"),
        ("{assign 5 to $n}{$n}", "5"),
        ("{assign $three + 1 to $n}{$n}", "4"),
        ("{$n = $three * 2}{$n + 1}", "7"),
        ("{$l = $list}{$l[1]}{$l|count}", "b3"),
        ("{$o = $obj}{foreach $o as $k => $v}{$k}{/foreach}", "zyx"),
        ("{$b = $three > 2}{if $b}yes{/if}{$b}", "yestrue"),
        ("{$b = 1 == 1}{$b}", "true"),
        ("{if 1}{$in = 'set'}{/if}{$in}", "set"),
        ("{foreach $list as $v}{$last = $v}{/foreach}{$last}", "c"),
        ("{$three = 'new'}{$three}", "new"),
        ("{$three = $missing}[{$three}]", "[]"),
        ("{$three = $missing}{$three|default:'gone'}", "gone"),
        ("{$a = 1}{$b = $a}{$a = 2}{$a}{$b}", "21"),
        ("{$first_name = 'x'}{$first-name}", ""),
        ("{foreach $list as $i => $v}{if $i}, {/if}{$v}{/foreach}", "a, b, c"),
        ("{$x = hash('pea', 'md5')|substr:0:4}{$x}", "936d"),
        ("{$x = 'a<b'}{$x|escape}", "a&lt;b"),
    ],
)
def test_blocks_and_assignments(source, expected):
    assert render(source, DATA) == expected
