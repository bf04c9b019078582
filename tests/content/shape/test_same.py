"""Whatever template and data are: what a shape makes reads as what is made as a whole."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.content.shape import Shapes
from smtpeter.wire.headers import has_long_line
from tests.content.rewrite.letters import BASE
from tests.content.shape.both import as_whole, by_shape, parts

NAMES = ["a", "b", "c", "d"]


def lines(text):
    return st.sampled_from(text.strip("\n").split("\n"))


plain_values = lines("""
Zoë
Tom Smith
x
0
42
日本語
a-b
x@y.example
41
e4
copy
lt
-
_a
x-y_z
5 €
two  words
""")
odd_values = st.one_of(
    st.sampled_from(["", " ", "\u00a0", " x ", "\t", "\r\n", "\n", "\x00", "\x1b", "\ud800", "\u2028", "\x85"]),
    st.sampled_from(["x" * 90, "é" * 90, "word " * 30, "From ", "😀"]),
    lines("""
&
&lt;
&amp;
&copy
;
<b>
</a>
</title>
tle>
"
'
`
>
-
-->
--
->
!
]]>
]
=
=3D
.
..
%
%20
/
\\
//
:
://
http
https://v.example/q?a=1&b=2#c
http://w.example
javascript:x
a.example
example.com
www.example.com
?
#
[
cid:
d:
body
class
{
}
{$b}
q0q0z
--=_
"""),
)
values = st.one_of(plain_values, plain_values, odd_values)
data = st.fixed_dictionaries(
    dict.fromkeys(NAMES, values) | {"n": st.integers(0, 2), "list": st.lists(values, max_size=3)}
)

prints = lines("""
{$a}
{$b}
{$c}
{$d}
{$a|escape}
{$b|escape}
{$c|urlencode}
{$item}
""")
snippets = st.one_of(
    st.sampled_from(["text ", " ", "\n", "\u2028"]),
    lines("""
&
&#
<
</
<!
-
--
>
"
'
=
http
s://
://
?
/
.
é
https://t.example/
<b>
</b>
<p class=x>
</p>
<p>
<br>
<table>
<tr><td>
</td></tr>
</table>
<a href='https://a.example/
<a href="https://b.example/?x=1&amp;y=
">
'>
</a>
<a href="
<a href=
<a title=
<img src="https://i.example/
<img alt="
<td background="
<p title="
<p id="
<p style="color:
<p class="
<title>
</title>
<style>
</style>
p{ldelim}color:red{rdelim}
.x:empty{ldelim}margin:0{rdelim}
a[href*='q']{ldelim}top:0{rdelim}
[title]{ldelim}left:0{rdelim}
<!--[if mso]>
<![endif]-->
<v:rect href="https://v.example/
<!--
-->
<noscript>
</noscript>
<textarea>
</textarea>
<svg>
</svg>
<math>
<![CDATA[
]]>
<script>
</script>
<head>
<a data-track="off" href="https://o.example/
 data-track="
<select><option>
<body>
</body>
cid:
<a href="https://example.com">
example.com
www.
<area href='https://m.example/
"""),
)
html_units = lines("""
<p>Dear {$a}, {$b}</p>
<a href="https://a.example/{$c}?x={$d|urlencode}">{$a}</a>
<a href="{$b}">go</a>
<a href='https://{$a}.example/?m=1&amp;n={$b}#f'>x</a>
<img src="https://i.example/{$c}.png" alt="{$a|escape}">
<title>{$a}</title>
<style>p{ldelim}color:{$c}{rdelim} .x{ldelim}top:1px{rdelim}</style>
<p id='{$a}'>{$b}</p>
<style>p{ldelim}margin:0{rdelim} p:empty{ldelim}margin:1px{rdelim}</style>
<p>{$d}</p><p class=x>{$a}</p>
<!--[if mso]><v:roundrect href="https://b.example/{$c}"><center>{$d}</center></v:roundrect><![endif]-->
<table>{$a}<tr><td>{$b}</td></tr></table>
<a href="https://example.com/">{$c}</a>
<b><p></b>{$d}</p>
<p title="{$a}">x</p>
<p style='color:{$b}'>x</p>
<a href={$c}>x</a>
<{$d}>x
<!-- {$a} --><i>{$b}</i>
<p style="top:2px">see <a href="https://c.example/a b?ü={$a}&{$b}=&amp{$c}">w</a></p>
{$list[0]}{$a}{$b}
<a href="https://b.example/%4{$a}/..{$b}/./{$c}?x=1&cop{$d}y=&#6{$a}#{$b}">x</a>
<a href=" https://b.example/a.b/%{$a}{$b} ">x</a><a href='HTTPS://B.example?{$c}&amp;d'>x</a>
<area href="https://b.example:8{$a}/{$b}\\{$c}?%zz%{$d}=%e4€{$a}"><a href="https://b.example{$a}">x</a>
""")
leaves = st.one_of(html_units, html_units, prints, snippets)


def blocks(inner):
    body = st.lists(inner, max_size=4).map("".join)
    return st.one_of(
        st.tuples(st.sampled_from(NAMES), body, body).map(
            lambda p: f"{{if ${p[0]} == 'x'}}{p[1]}{{else}}{p[2]}{{/if}}"
        ),
        body.map(lambda text: f"{{foreach $list as $item}}{text}{{/foreach}}"),
        body,
    )


html_templates = st.lists(st.one_of(leaves, leaves, blocks(leaves)), max_size=8).map("".join)
text_templates = st.lists(
    st.one_of(
        prints,
        st.sampled_from(["Dear ", "\n", " ", "https://t.example/", "(", ")", ".", "?x=", "é", "http", "://", "<"]),
    ),
    max_size=8,
).map("".join)
rewritings = st.builds(
    Rewriting,
    base=st.just(BASE),
    clicks=st.booleans(),
    opens=st.booleans(),
    images=st.booleans(),
    inlines_css=st.booleans(),
    prevents_scam=st.booleans(),
    plain_text=st.booleans(),
    excluded=st.sampled_from(
        [frozenset(), frozenset({"https://b.example/"}), frozenset({"https://a.example/x?x=42", "http://w.example"})]
    ),
    image_address=st.sampled_from([None, None, lambda digest, kind: f"{BASE}/i/{digest.hex()}"]),
)


@given(html_templates, text_templates, st.lists(data, min_size=1, max_size=3), rewritings)
@settings(max_examples=150, deadline=None)
def test_a_shape_makes_what_is_made_as_a_whole(html, text, recipients, rewriting):
    shapes = Shapes(replace(rewriting, excluded=frozenset()))
    for one in recipients:
        found = by_shape(html, text, one, rewriting, shapes)
        if found is not None:
            assert parts(found) == parts(as_whole(html, text, one, rewriting))
            assert not has_long_line(found)
        # what was kept changes nothing, nor what is known from the second message on
        assert found == by_shape(html, text, one, rewriting)
        assert found == by_shape(html, text, one, rewriting, shapes)


@pytest.mark.parametrize("value", ["-->", "--!>", "-", "<b>", "]]>", '"', "&lt;", "Zoë"])
@pytest.mark.parametrize(
    "html",
    [
        '<!--[if mso]><a href="https://b.example/x">{$d}</a><![endif]-->',
        '<!--[if mso]><v:roundrect href="https://b.example/{$c}"><center>{$d}</center></v:roundrect><![endif]-->',
        '<svg><![CDATA[<a href="https://b.example/x">{$d}</a>]]></svg>',
        '<a href="https://b.example/x"><img alt="{$d}"><title>{$d}</title></a>',
    ],
)
def test_what_a_guarded_link_shows_may_not_end_what_it_stands_in(html, value):
    """`preventscam` asks more of what a link shows, and not less of it."""
    rewriting = Rewriting(BASE, clicks=True, prevents_scam=True)
    shapes = Shapes(rewriting)
    for d in ("Zoë", value):
        one = {"c": "Zoë", "d": d}
        found = by_shape(html, "", one, rewriting, shapes)
        if found is not None:
            assert parts(found) == parts(as_whole(html, "", one, rewriting))


@given(st.lists(html_units, min_size=1, max_size=6).map("".join), text_templates, data, rewritings)
@settings(max_examples=150, deadline=None)
def test_a_shape_of_usual_mail_makes_what_is_made_as_a_whole(html, text, recipient, rewriting):
    found = by_shape(html, text, recipient, rewriting)
    if found is not None:
        assert parts(found) == parts(as_whole(html, text, recipient, rewriting))
