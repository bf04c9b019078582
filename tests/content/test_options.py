from datetime import UTC, datetime

import pytest

from smtpeter.content.options import NOTHING, parse_moment, read_options
from smtpeter.model.account import Features
from smtpeter.model.refusal import Refused


@pytest.mark.parametrize(
    ("name", "prop"),
    [
        ("X-SMTPeter-InlineCSS", "inlinecss"),
        ("x-smtpeter-inlinizecss", "inlinecss"),
        ("x-smtpeter-trackclicks", "trackclicks"),
        ("X-SMTPETER-CLICKTRACKING", "trackclicks"),
        ("x-smtpeter-trackopens", "trackopens"),
        ("x-smtpeter-openstracking", "trackopens"),
        ("x-smtpeter-trackbounces", "trackbounces"),
        ("x-smtpeter-bouncetracking", "trackbounces"),
        ("x-smtpeter-preventscam", "preventscam"),
    ],
)
@pytest.mark.parametrize(
    ("text", "value"), [("true", True), (" YES ", True), ("1", True), ("Off", False), ("no", False), ("0", False)]
)
def test_each_switch_is_known_by_all_its_names_and_values(name, prop, text, value):
    assert read_options([(name, text)]).features == Features(**{prop: value})


def test_tags_stream_and_time_are_read():
    options = read_options(
        [
            ("x-smtpeter-tags", "one, two ,,one"),
            ("x-smtpeter-stream", "bulk"),
            ("x-smtpeter-maxdelivertime", "2026-11-23 01:02:03"),
            ("x-smtpeter-images", "Default"),
            ("Subject", "x"),
        ]
    )
    assert options.tags == ("one", "two")
    assert options.stream == "bulk"
    assert options.max_deliver_time == datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
    assert options.features == Features(images="default")


def test_unknown_names_and_silence_say_nothing():
    assert read_options([("x-smtpeter-new", "x"), ("x-smtpeter-", "y"), ("Subject", "z")]) is NOTHING


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x-smtpeter-trackclicks", "maybe"),
        ("x-smtpeter-trackclicks", ""),
        ("x-smtpeter-images", "remote"),
        ("x-smtpeter-tags", "a b"),
        ("x-smtpeter-tags", "a;b"),
        ("x-smtpeter-tags", "a\u00a0b"),
        ("x-smtpeter-tags", "x" * 129),
        ("x-smtpeter-tags", ",".join(map(str, range(33)))),
        ("x-smtpeter-stream", "a b"),
        ("x-smtpeter-stream", "Bulk"),
        ("x-smtpeter-stream", "-a"),
        ("x-smtpeter-stream", "x" * 33),
        ("x-smtpeter-stream", ""),
        ("x-smtpeter-sendat", "tomorrow"),
        ("x-smtpeter-sendat", ""),
        ("x-smtpeter-sendat", "2026-02-30T00:00:00Z"),
        ("x-smtpeter-sendat", "0001-01-01T00:00:00+23:00"),
        ("x-smtpeter-sendat", "2026-11-23"),
        ("x-smtpeter-metadata", ""),
        ("x-smtpeter-metadata", "[]"),
        ("x-smtpeter-metadata", '"x"'),
        ("x-smtpeter-metadata", "{'a': 1}"),
        ("x-smtpeter-metadata", '{"a": NaN}'),
        ("x-smtpeter-metadata", '{"a": 1e999}'),
        ("x-smtpeter-metadata", '{"a": 1} {}'),
        ("x-smtpeter-metadata", '{"a":"' + "x" * 4089 + '"}'),
        ("x-smtpeter-metadata", '{"a":"' + "\u00eb" * 2045 + '"}'),
        ("x-smtpeter-metadata", '{"a":' + "[" * 64 + "]" * 64 + "}"),
        ("x-smtpeter-metadata", "{" * 100_000),
        ("x-smtpeter-metadata", '{"b":"' + "]" * 1500 + '","a":' + "[" * 1500 + "]" * 1500 + "}"),
        ("x-smtpeter-metadata", '{"a":"\ud800"}'),
        ("x-smtpeter-maxdelivertime", "2026-02-30 00:00:00"),
        ("x-smtpeter-maxdelivertime", "2026-02-03T00:00:00"),
    ],
)
def test_a_malformed_value_is_refused_with_the_name_of_its_header(name, text):
    with pytest.raises(Refused) as refused:
        read_options([(name, text)])
    assert refused.value.refusal.slug == "invalid_header"
    assert f"header {name} has" in str(refused.value)


def test_the_limits_of_tags_themselves_are_taken():
    assert len(read_options([("x-smtpeter-tags", ",".join(str(n).rjust(128, "t") for n in range(32)))]).tags) == 32


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23 01:02:03", datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)),
        ("2026-11-23T01:02:03Z", datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)),
        ("2026-11-23T01:02:03+01:00", datetime(2026, 11, 23, 0, 2, 3, tzinfo=UTC)),
        ("2026-11-23T01:02:03,5-0130", datetime(2026, 11, 23, 2, 32, 3, 500000, tzinfo=UTC)),
        ("2026-11-23T01:02", datetime(2026, 11, 23, 1, 2, tzinfo=UTC)),
    ],
)
def test_a_time_to_send_is_read_in_both_forms(text, moment):
    assert read_options([("X-SMTPeter-SendAt", text)]).send_at == moment


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        (' {"order": 1234, "who": ["jo\u00eb", null]} ', '{"order":1234,"who":["jo\u00eb",null]}'),
        ('{"a":"\\u00eb"}', '{"a":"\u00eb"}'),
        ('{"a":"' + "x" * 4088 + '"}', '{"a":"' + "x" * 4088 + '"}'),
        ('{"a":' + "[" * 63 + "]" * 63 + "}", '{"a":' + "[" * 63 + "]" * 63 + "}"),
        ("{}", ""),
    ],
)
def test_metadata_is_kept_as_json(text, stored):
    assert read_options([("x-smtpeter-metadata", text)]).metadata == stored


def test_template_and_its_data_are_named_by_the_header():
    asked = read_options([("X-SMTPeter-Template", "welcome"), ("x-smtpeter-data", '{ "name": "Jane" }')])
    assert (asked.template, asked.data) == ("welcome", '{"name":"Jane"}')
    assert read_options([("x-smtpeter-data", "{}")]).data == "{}"  # an empty object is data


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data", "1"),
        ("data", '{"a"'),
        ("data", '{"a":' + "[" * 64 + "]" * 64 + "}"),
        ("data", '{"a":"' + "x" * 2**20 + '"}'),
        ("template", " "),
    ],
)
def test_templates_and_data_that_cannot_be_read_are_refused(name, text):
    with pytest.raises(Refused) as refused:
        read_options([(f"x-smtpeter-{name}", text)])
    assert refused.value.refusal.slug == "invalid_header"


def test_images_are_hosted_when_the_header_says_so():
    assert read_options([("x-smtpeter-images", "Hosted")]).features.images == "hosted"


def test_what_is_said_goes_over_what_is_said_below():
    upper = read_options([("x-smtpeter-tags", "a"), ("x-smtpeter-trackclicks", "no")])
    lower = read_options([("x-smtpeter-tags", "b"), ("x-smtpeter-stream", "bulk"), ("x-smtpeter-trackopens", "yes")])
    both = upper.over(lower)
    assert (both.tags, both.stream) == (("a",), "bulk")
    assert (both.features.trackclicks, both.features.trackopens) == (False, True)


def test_one_option_with_two_values_is_refused_whatever_the_spelling():
    assert read_options([("x-smtpeter-trackopens", "1"), ("x-smtpeter-openstracking", "1")]).features.trackopens
    with pytest.raises(Refused, match="more than once"):
        read_options([("x-smtpeter-trackopens", "1"), ("x-smtpeter-openstracking", "0")])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-1-01 00:00:00",
        "2026-01-01 24:00:00",
        "2026-01-01 00:00:00Z",
        "٢٠٢٦-01-01 00:00:00",
        "2026-01-01 00:00:00\n",
    ],
)
def test_only_the_one_form_of_a_moment_is_read(text):
    assert parse_moment(text) is None
