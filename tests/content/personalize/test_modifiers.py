"""Sections 10 and 11: every modifier with its defaults, its way with arrays, and the function hash."""

import hashlib

import pytest

from smtpeter.content.personalize import Escape
from tests.content.personalize.rendering import RUNTIME, fault_of, render

LIST = [5, 6, 7, 8]
OBJECT = {"a": 5, "b": [6, {"c": 7}]}


@pytest.mark.parametrize(
    ("value", "modifiers", "expected"),
    [
        # base64
        ("plum", "base64_encode", "cGx1bQ=="),
        ("\u00e9", "base64_encode", "w6k="),
        ("x" * 100, "base64_encode|strlen", "136"),
        ("cGx1bQ==", "base64_decode", "plum"),
        ("/+8=", "base64_decode", "\ufffd\ufffd"),
        ("no base64!", "base64_decode", ""),
        ("cGx1bQ", "base64_decode", ""),
        ("\u00e9", "base64_decode", ""),
        ("", "base64_decode", ""),
        # cat
        ("tea", 'cat:"pot"', "teapot"),
        ("a", "cat:1:2.50:true:-3", "a12.5true-3"),
        (None, "cat:'x'", "x"),
        ("a", "cat", "a"),
        (LIST, "cat:'x'", "x"),
        # count
        ([8, 9], "count", "2"),
        (OBJECT, "count", "2"),
        ([], "count", "0"),
        ("abc", "count", "0"),
        (None, "count", "0"),
        (5, "count", "0"),
        # count_characters, count_paragraphs, count_words, strlen
        ("so far", "count_characters", "5"),
        ("so far", "count_characters:true", "6"),
        ("so far", "count_characters:0", "5"),
        (" a\t\u00a0b\n", "count_characters", "2"),
        (LIST, "count_characters:true", "0"),
        ("a\nb", "count_paragraphs", "1"),
        ("a\r\nb\rc\nd", "count_paragraphs", "3"),
        ("one", "count_paragraphs", "0"),
        (LIST, "count_paragraphs", "0"),
        ("up - and away", "count_words", "3"),
        ("_ __ a_ 5 \u00e9", "count_words", "3"),
        (LIST, "count_words", "0"),
        ("ma\u00f1ana", "strlen", "6"),
        ("\U0001f600", "strlen", "1"),
        (12.50, "strlen", "4"),
        (LIST, "strlen", "0"),
        (None, "strlen", "0"),
        # default
        (None, 'default:"all"', "all"),
        ("", 'default:"all"', "all"),
        ([], 'default:"all"', "all"),
        ({}, 'default:"all"', "all"),
        (0, 'default:"all"', "0"),
        (False, 'default:"all"', "false"),
        ("0", 'default:"all"', "0"),
        (" ", 'default:"all"', " "),
        (LIST, 'default:"all"|count', "4"),
        (None, "default:5", "5"),
        (None, "default", ""),
        # escape
        ("\"7\" > 3 & '<'", "escape", "&quot;7&quot; &gt; 3 &amp; &apos;&lt;&apos;"),
        ("&amp;", "escape", "&amp;amp;"),
        ("<", 'escape:"html"', "&lt;"),
        ("x y~z", 'escape:"url"', "x+y%7Ez"),
        ("plum", 'escape:"base64"', "cGx1bQ=="),
        ('a"b', 'escape:"json"', 'a\\"b'),
        ("<", 'escape:"HTML"', "<"),
        ("<", 'escape:"javascript"', "<"),
        (LIST, "escape|count", "4"),
        # indent
        ("a\nb", 'indent:2:"."', "..a\n..b"),
        ("a\nb", "indent", " a\n b"),
        ("a\n", "indent:3", "   a\n   "),
        ("a", "indent:0", "a"),
        ("a", "indent:-2", "a"),
        ("a", 'indent:"2":"ab"', "ababa"),
        (LIST, "indent|count", "4"),
        # letters
        ("\u00c9LAN", "lower", "\u00e9lan"),
        ("\u00c9LAN", "tolower", "\u00e9lan"),
        ("\u00e9lan", "upper", "\u00c9LAN"),
        ("\u00e9lan", "toupper", "\u00c9LAN"),
        ("de Wit", "ucfirst", "De Wit"),
        ("\u00e9A", "ucfirst", "\u00c9A"),
        ("", "ucfirst", ""),
        (True, "upper", "TRUE"),
        (LIST, "upper|count", "4"),
        ("x", "Upper", "x"),
        # digests
        ("pea", "md5", "936d8f0827567bab7e339991107c12ba"),
        (["p", "ea"], "md5", "936d8f0827567bab7e339991107c12ba"),
        ({"k": "p", "l": ["e", {"m": "a"}]}, "md5", "936d8f0827567bab7e339991107c12ba"),
        ({"k": "p", "l": ["e", {"m": "a"}]}, "sha1", hashlib.sha1(b"pea").hexdigest()),
        ([1, None, True, 2.50, "\u00e9"], "md5", hashlib.md5("1true2.5\u00e9".encode()).hexdigest()),
        (None, "md5", hashlib.md5(b"").hexdigest()),
        # nl2br
        ("a\nb", "nl2br", "a<br />b"),
        ("a\r\nb\n\nc", "nl2br", "a<br />b<br /><br />c"),
        ("a\rb", "nl2br", "a\rb"),
        # range
        (LIST, "range:1:3|md5", hashlib.md5(b"67").hexdigest()),
        (LIST, "range:2|md5", hashlib.md5(b"56").hexdigest()),
        (LIST, "range:-5:2|count", "2"),
        (LIST, "range:2:99|count", "2"),
        (LIST, "range:3:1|count", "0"),
        (LIST, "range:0:-1|count", "0"),
        (LIST, "range|count", "4"),
        ("text", "range:0:1", "text"),
        (OBJECT, "range:0:1|count", "1"),
        (OBJECT, "range:5:9|count", "0"),
        # replace
        ("1,2,3", 'replace:",":";"', "1;2;3"),
        ("aaa", 'replace:"aa":"a"', "aa"),
        ("aA", 'replace:"a":"b"', "bA"),
        ("abc", 'replace:"b":""', "ac"),
        ("abc", 'replace:"":"x"', "abc"),
        ("abc", 'replace:"b"', "abc"),
        (121, "replace:2:3", "131"),
        (LIST, "replace:5:6|count", "4"),
        # spacify
        ("abc", 'spacify:"."', "a.b.c"),
        ("abc", "spacify", "a b c"),
        ("a", "spacify", "a"),
        ("", "spacify", ""),
        # strstr
        ("a/b/c", 'strstr:"/"', "/b/c"),
        ("a/b/c", 'strstr:"/":true', "a"),
        ("a/b/c", 'strstr:"x"', ""),
        ("a/b/c", 'strstr:"x"|default:"none"', "none"),
        ("abc", "strstr", "abc"),
        # substr
        ("melon", "substr:1:3", "elo"),
        ("melon", "substr:2", "lon"),
        ("melon", "substr:3:99", "on"),
        ("melon", "substr:5", ""),
        ("melon", "substr:6", "melon"),
        ("melon", "substr:-2", "melon"),
        ("melon", "substr:1:-1", "elon"),
        ("melon", "substr:1:0", ""),
        ("melon", "substr", "melon"),
        (12345, "substr:1:2", "23"),
        ("\U0001f600ab", "substr:1:1", "a"),
        # trim
        (" ok\n", "trim", "ok"),
        ("\0\x0b\t\r ok a\0", "trim", "ok a"),
        ("xyokyx", 'trim:"yx"', "ok"),
        (" ok ", 'trim:"x"', " ok "),
        # truncate
        ("Trains run late today", "truncate:13", "Trains run..."),
        ("Trains run late today", 'truncate:13:"~":true', "Trains run l~"),
        ("Trains run late today", "truncate", "Trains run late today"),
        ("Trains run late today", "truncate:21", "Trains run late today"),
        ("x" * 81, "truncate", "x" * 77 + "..."),
        ("Trains", "truncate:5", "Tr..."),
        ("Trains", "truncate:2", "..."),
        ("Trains", "truncate:0", ""),
        ("Trains", "truncate:-1", ""),
        ("a  b c", 'truncate:4:""', "a  b"),
        ("a  bc d", 'truncate:4:""', "a"),
        ("a   bc", 'truncate:3:""', "a"),
        (" abcdef", 'truncate:4:""', ""),
        (LIST, "truncate:1|count", "4"),
        # urls
        ("x y~z", "urlencode", "x+y%7Ez"),
        ("a_b.c-d", "urlencode", "a_b.c-d"),
        ("\u00e9/?&=+", "urlencode", "%C3%A9%2F%3F%26%3D%2B"),
        ("x+%2B", "urldecode", "x +"),
        ("%c3%A9%zz%", "urldecode", "\u00e9%zz%"),
        ("%FF", "urldecode", "\ufffd"),
        # no effect
        ("<", "raw", "<"),
        (LIST, "raw|count", "4"),
        ("x", "unknown", "x"),
        ("x", 'unknown:1:"a"|upper', "X"),
        (None, 'unknown|default:"d"', "d"),
        ("x", "empty", "x"),
        ("x", "sha256", "x"),
        ("x", "sha512", "x"),
        # surplus parameters
        ("x", "upper:1:2:3", "X"),
        ("abc", 'replace:"b":"c":"d"', "acc"),
        # capitalize
        ("the 2nd day", "capitalize", "The 2nd Day"),
        ("the a2nd day", "capitalize", "The a2nd Day"),
        ("the a2nd\tday", "capitalize:true", "The A2nd\tDay"),
        ("\u00e9l mcX", "capitalize", "\u00c9l McX"),
        # number_format
        (1234567.891, "number_format:2", "1234567.89"),
        (1234567.891, 'number_format:2:",":"."', "1.234.567,89"),
        (1234567.891, 'number_format:1:"<>":"ab"', "1a234a567<9"),
        (1234567.891, "number_format", "1234567.891"),
        (0.5, "number_format:0", "0"),
        (1.5, "number_format:0", "2"),
        (2.5, "number_format:0", "2"),
        (0.125, "number_format:2", "0.12"),
        (-0.001, "number_format:2", "0.00"),
        (-1234.5, 'number_format:1:".":","', "-1,234.5"),
        ("12.5kg", "number_format:2", "12.50"),
        (None, "number_format:2", "0.00"),
        (1, "number_format:-3", "1"),
        (1, "number_format:1200|strlen", "1202"),
        (LIST, "number_format:2|count", "4"),
        # strpos
        ("melon", 'strpos:"l"', "2"),
        ("melon", 'strpos:"x"', "-1"),
        ("melon", "strpos", "melon"),
        # JSON
        ('a"b\\c\n\x01/\u00e9', "jsonencode", 'a\\"b\\\\c\\u000a\\u0001/\u00e9'),
        ("a\\u00e9\\n\\/", "jsondecode", "a\u00e9\n/"),
        ('a"b', "jsondecode", 'a"b'),
        ("a\\x", "jsondecode", "a\\x"),
        ("\\ud800", "jsondecode", "\\ud800"),
    ],
)
def test_modifier_gives_what_the_table_says(value, modifiers, expected):
    assert render("{$v|" + modifiers + "}", {"v": value}) == expected


@pytest.mark.parametrize(
    ("text", "pattern", "replacement", "expected"),
    [
        ("x5y66", r"\d+", "_", "x_y_"),
        ("abc", "b", "[$&]", "a[b]c"),
        ("ab", "(a)(b)", "$2$1", "ba"),
        ("ab", "(a)(x)?b", "<$1|$2|$3>", "<a||>"),
        ("ab", "(a)", "${1}2", "a2b"),
        ("ab", "(a)", "$12", "a2b"),
        ("ab", "a", "$$1", "$1b"),
        ("ab", "a", "$x$ $0 \\1 ${x}", "$x$ $0 \\1 ${x}b"),
        ("ab", "a", "${99}", "b"),
        ("abc", "", "-", "-a-b-c-"),
        ("abxd", "x*", "-", "-a-b--d-"),
        ("a\u00e9\U0001f600", "", "-", "-a-\u00e9-\U0001f600-"),
        (" ab", r"\b", "|", " |ab|"),
        ("aaa", "^a", "b", "baa"),
        ("aaa", "a$", "b", "aab"),
        ("Aa", "(?i)a", "x", "xx"),
        ("aaa", "a+?", "b", "bbb"),
        ("abc", "x", "y", "abc"),
        ("abc", "(", "y", "abc"),
        ("a.b", r"\.", "", "ab"),
        ("", "^$", "empty", "empty"),
        ("\u00e9", r"\C", "$&-", "\ufffd-\ufffd-"),
        (12.50, r"\.", ",", "12,5"),
    ],
)
def test_every_match_of_a_pattern_is_replaced(text, pattern, replacement, expected):
    source = "{$v|regex_replace:" + f"'{pattern}':'{replacement}'" + "}"
    assert render(source, {"v": text}) == expected


def test_pattern_without_replacement_has_no_effect():
    assert render("{$v|regex_replace:'a'}{$l|regex_replace:'a':'b'|count}", {"v": "a", "l": [1]}) == "a1"


@pytest.mark.parametrize(
    ("value", "layout", "expected"),
    [
        (0, "", "Jan  1, 1970"),
        ("1795352645", ':"%Y-%m-%d %H:%M:%S"', "2026-11-22 13:04:05"),
        (
            "2026-11-22",
            ':"%A %a %B %b %h %d %e %j %u %w %y %Y %C"',
            "Sunday Sun November Nov Nov 22 22 326 7 0 26 2026 20",
        ),
        (
            "2026-01-02 15:04",
            ':"%H %I %k %l %M %S %p %P %R %T %r"',
            "15 03 15  3 04 00 PM pm 15:04 15:04:00 03:04:00 PM",
        ),
        ("2026-01-02T00:04:09Z", ':"%I %l %p %D %F %s %z %Z"', "12 12 AM 01/02/26 2026-01-02 1767312249 +0000 UTC"),
        ("2026-01-02 01:30:00+02:00", ':"%c"', "Thu Jan  1 23:30:00 2026"),
        ("2026-01-02T01:30-0130", ':"%R"', "03:00"),
        ("2027-01-01", ':"%G %g %V %U %W"', "2026 26 53 00 00"),
        ("2026-01-05", ':"%U %W %x %X"', "01 01 01/05/26 00:00:00"),
        ("2026-01-05", ':"%n%t%%%Q%"', "\n\t%%Q%"),
        ("", ':"%Y-%m-%d"', "2026-11-22"),
        (None, ':"%T"', "13:04:05"),
        ("tomorrow", "", "tomorrow"),
        ("2026-02-30", "", "2026-02-30"),
        ("2026-1-2", "", "2026-1-2"),
        ("-5", "", "-5"),
        ("9" * 30, "", "9" * 30),
        ("999999999999", "", "999999999999"),
        ("0001-01-01 00:00+10:00", "", "0001-01-01 00:00+10:00"),
        ("\u0663", "", "\u0663"),
    ],
)
def test_date_is_written_in_english_and_utc(value, layout, expected):
    assert render("{$v|date_format" + layout + "}", {"v": value}) == expected


def test_modifiers_go_from_left_to_right_and_belong_to_the_operand_before_them():
    assert render("{$v|upper|replace:'A':'b'}{$v|replace:'A':'b'|upper}", {"v": "a"}) == "bA"
    assert render("{'abc'|upper}{5|cat:'x'}{true|upper}{-2|cat:1}") == "ABC5xTRUE-21"


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha224", "sha256", "sha384", "sha512", "SHA256", "Sha512"])
def test_hash_gives_the_digest_of_the_text(algorithm):
    expected = hashlib.new(algorithm.lower(), "12.5\u00e9".encode()).hexdigest()
    data = {"v": ["12.5", "\u00e9"], "s": "12.5\u00e9", "a": algorithm}
    assert render("{hash($s, $a)}{Hash($v, '" + algorithm + "')}", data) == expected * 2


@pytest.mark.parametrize("algorithm", ["", "crc32", "sha3_256", "shake_128", "md5 "])
def test_unknown_algorithm_is_a_runtime_error(algorithm):
    assert fault_of("x{hash(1, $a)}", {"a": algorithm}) == (RUNTIME, 1, 2, "Unknown hash algorithm")


def test_function_stands_wherever_an_operand_may():
    assert render("{if hash('pea', 'md5')|substr:0:3 == '936'}{hash(1 + 1, 'md5')|strlen + 1}{/if}") == "33"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{$q}", "a<b"),
        ("{escape}{$q}", "a&lt;b"),
        ("{ESCAPE }{$q}", "a&lt;b"),
        ("{mode=html}{$q}", "a&lt;b"),
        ("{mode=raw}{$q}", "a<b"),
        ("{mode=unknown}{$q}", "a<b"),
        ("{mode=url}{$q}", "a%3Cb"),
        ("{mode=base64}{$q}{$n}{$t}", "YTxi5true"),
        ("{mode=json}{$quote}", 'say \\"'),
        ("{escape}<{$q|raw}>", "<a<b>"),
        ("{escape}{$q|upper|raw}", "A<B"),
        ("{escape}{$q|escape}", "a&amp;lt;b"),
        ("{escape}{($q)}", "a&lt;b"),
        ("{escape}{'<'}{('<')}", "<<"),
        ("{escape}{'<'|cat:''}", "&lt;"),
        ("{escape}{$n + 1}{1 < 2}", "6true"),
        ("{escape}{if $q == 'a<b'}same{/if}", "same"),
        ("{escape}{$c = $q}{$c}", "a&lt;b"),
        ("{escape}{hash($q,'md5')}", hashlib.md5(b"a<b").hexdigest()),
        ("{escape}{foreach $l as $i}{$i}{/foreach}", "&lt;&gt;"),
        ("{escape}{literal}<{$q}{/literal}{ldelim}", "<{$q}{"),
        ("{escape}\n{$none}", "\n"),
    ],
)
def test_printed_values_are_encoded_as_the_first_tag_says(source, expected):
    data = {"q": "a<b", "n": 5, "t": True, "quote": 'say "', "l": ["<", ">"]}
    assert render(source, data) == expected


@pytest.mark.parametrize(
    ("escape", "expected"),
    [("raw", "<"), ("html", "&lt;"), ("url", "%3C"), ("base64", "PA=="), ("json", "<"), (None, "&lt;")],
)
def test_caller_overrides_the_encoding_of_the_template(escape, expected):
    assert render("{escape}{$v}", {"v": "<"}, escape=escape and Escape(escape)) == expected
