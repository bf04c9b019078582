"""Any text compiles or is refused, and any template renders or is refused; whatever happens, it is orderly."""

from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.content.personalize import AUTOMATIC, Escape, Limits, PersonalizationError, compile_text, fill_automatic
from smtpeter.content.personalize.dates import format_moment, parse_moment
from smtpeter.content.personalize.header import clean_header
from smtpeter.content.personalize.modifiers import MODIFIERS
from tests.content.personalize.rendering import NOW

LIMITS = Limits(max_passes=200, max_nodes=20_000, max_text=20_000, max_output=50_000)
WORDS = [
    *("{", "}", "{$a}", "{if $a}", "{/if}", "{else}", "{elseif $b}", "{foreach $l as $k => $v}", "{foreachelse}"),
    *("{/foreach}", "{literal}", "{/literal}", "{$x = $a}", "{assign $b to $a}", "{escape}", "{mode=json}", "{ldelim}"),
    *(
        "$a",
        "$l",
        "$o.k",
        "$o[0]",
        "[",
        "]",
        "(",
        ")",
        "|",
        ":",
        "==",
        "=~",
        "<",
        "+",
        "-",
        "*",
        "/",
        "%",
        "not ",
        " and ",
    ),
    *(
        " or ",
        "1",
        "-2.5",
        "'x'",
        '"(a|b)*"',
        "true",
        "hash($a,'md5')",
        "[ldelim]",
        " ",
        "\n",
        "\\",
        "'",
        '"',
        "$",
        "é",
    ),
    *(f"|{name}" for name in MODIFIERS),
    *(
        "|truncate:5",
        "|range:1:2",
        "|replace:'a':'bb'",
        "|regex_replace:'a*':'$&-'",
        "|indent:3:'x'",
        "|number_format:2",
    ),
]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
)
DATA = st.dictionaries(st.sampled_from(["a", "b", "l", "o", "k", "v", "a-b"]), VALUES, max_size=6)
SOURCES = st.lists(st.sampled_from(WORDS), max_size=25).map("".join)
EXPRESSIONS = st.recursive(
    st.sampled_from(["$a", "$l", "$o.k", "$l[1]", "1", "2.5", "-3", "'x<y'", "true", "$o[$a]", "hash($l, 'sha1')"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%", "<", ">=", "==", "!=", "and", "or"]), inner).map(
            lambda parts: "(" + " ".join(parts) + ")"
        )
        | inner.map(lambda part: f"(not {part})")
    ),
    max_leaves=8,
)
PARAMETERS = st.lists(st.sampled_from(["0", "1", "-1", "5", "2.5", "'a'", "'.'", "true", "'html'", "''"]), max_size=3)
MODIFIED = st.tuples(
    st.sampled_from(["$a", "$l", "$o", "'a b'", "12"]),
    st.lists(st.tuples(st.sampled_from([*MODIFIERS]), PARAMETERS), max_size=4),
).map(lambda used: used[0] + "".join("|" + ":".join([name, *parameters]) for name, parameters in used[1]))


def outcome(source, data, escape=None):
    """Gives the text, or the error; anything else that is raised fails the test."""
    try:
        return compile_text(source, escape=escape, limits=LIMITS).render(data, now=NOW)
    except PersonalizationError as error:
        lines = source.split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        return str(error)


@given(st.text(max_size=200), DATA)
def test_any_text_gives_a_result_or_an_error_with_a_position_inside_it(source, data):
    assert outcome(source, data) == outcome(source, data)


@settings(max_examples=150)
@given(SOURCES, DATA, st.none() | st.sampled_from(Escape))
def test_any_row_of_tags_gives_a_result_or_an_error_with_a_position_inside_it(source, data, escape):
    result = outcome(source, data, escape)
    assert len(result) <= LIMITS.max_output
    assert outcome(source, data, escape) == result


@given(EXPRESSIONS, DATA)
def test_expression_always_compiles_and_its_truth_is_that_of_if(expression, data):
    compile_text("{" + expression + "}")
    printed = outcome("{if " + expression + "}yes{else}no{/if}", data)
    negated = outcome("{if not (" + expression + ")}no{else}yes{/if}", data)
    assert printed == negated or "error" in printed


@settings(max_examples=150)
@given(MODIFIED, DATA)
def test_modifiers_in_any_order_take_any_value(source, data):
    result = outcome("{" + source + "}", data)
    assert "error at" not in result or "characters" in result or "steps" in result or "infinite" in result


@given(st.text().filter(lambda text: "{" not in text and "delim]" not in text))
def test_text_without_braces_is_copied(text):
    assert outcome(text, {}) == text


@given(st.text())
def test_value_is_printed_as_it_is(text):
    assert outcome("<{$v}>", {"v": text}) == f"<{text}>"


@given(st.text())
def test_escaped_value_has_nothing_that_html_would_read(text):
    assert not set("<>\"'") & set(outcome("{escape}{$v}", {"v": text}))


@given(st.text())
def test_encodings_can_be_undone(text):
    encodable = text.encode("utf-8", "replace").decode()
    for pair in ("urlencode|urldecode", "base64_encode|base64_decode", "jsonencode|jsondecode"):
        assert outcome("{$v|" + pair + "}", {"v": encodable}) == encodable


@given(st.text())
def test_header_value_stays_in_its_line(text):
    cleaned = clean_header(text)
    assert len((cleaned + "x").splitlines()) == 1
    assert clean_header(cleaned) == cleaned


@given(st.text(alphabet="{}$recipntvlo |"), st.dictionaries(st.sampled_from(sorted(AUTOMATIC)), st.text()))
def test_automatic_tags_cannot_fail(text, values):
    fill_automatic(text, values)


@given(st.text(), st.text())
def test_any_text_is_a_date_or_none_and_any_layout_is_written(text, layout):
    format_moment(parse_moment(text) or NOW, layout)
