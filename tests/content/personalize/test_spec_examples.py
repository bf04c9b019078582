"""The worked examples of the specification, word for word."""

from datetime import UTC, datetime

import pytest

from smtpeter.content.personalize import compile_text

NOW = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("source", "data", "expected"),
    [
        ('Hoi {$first|default:"klant"|ucfirst}!', {}, "Hoi Klant!"),
        ("{$fare.adult * 2 + $fare.child}", {"fare": {"adult": 7.5, "child": 4}}, "19"),
        ("{$gates[1]}{$gates[9]}.", {"gates": ["A4", "B2"]}, "B2."),
        ('{$plan["night bus"]}', {"plan": {"night bus": "N7"}}, "N7"),
        ("{$n % 4 == 1 AND not $late}", {"n": 13}, "true"),
        (
            "{foreach $pets as $i => $p}{if $i}, {/if}{$p}{foreachelse}none{/foreach}",
            {"pets": ["Rex", "Mia"]},
            "Rex, Mia",
        ),
        ("em { top: 0 } {ldelim}{$k}{rdelim}", {"k": 5}, "em { top: 0 } {5}"),
        ("{literal}{$k}{/literal}={$k}", {"k": 5}, "{$k}=5"),
        ("{$s + 1}/{$s|cat:1}", {"s": "41"}, "42/411"),
        (r'{if $v =~ "^NL\d"}nl{/if}{$u}', {"v": "NL82"}, "nl"),
        ("{if $seats > 1}{$seats} seats{elseif $seats}one seat{else}sold out{/if}", {"seats": 1}, "one seat"),
        (
            "{foreach $depth as $lake => $m}{$lake} {$m} m; {foreachelse}dry{/foreach}",
            {"depth": {"Como": 410, "Garda": 346}},
            "Como 410 m; Garda 346 m; ",
        ),
        (
            "{foreach $days as $d}{assign $km + $d.km to $km}{/foreach}{$km}",
            {"days": [{"km": 12}, {"km": 9.5}]},
            "21.5",
        ),
        ("{escape}<p>{$q}</p>{$q|raw}", {"q": "a<b"}, "<p>a&lt;b</p>a<b"),
    ],
)
def test_worked_example_gives_what_the_specification_says(source, data, expected):
    assert compile_text(source).render(data, now=NOW) == expected
