"""That the benchmark measures what it says, on gateways of its own. What the figures are is no matter here."""

from dataclasses import replace

import pytest

from bench.__main__ import MEASURES, table
from bench.processes import postfix_tool
from bench.rounds import Bench, Line


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Gives rounds of a fifth of a second, with nothing but the repository."""
    # CPU is counted in hundredths of a second, and an idle gateway takes that for three messages
    return Bench(tmp_path_factory.mktemp("bench"), rounds=1, seconds=0.2, depths=(0, 2000), idle_messages=30)


def assert_has_figures(line: Line) -> None:
    assert all(each.messages > 0 and each.messages_per_second > 0 for each in line.rounds)
    assert all(each.cpu_ms is not None and each.cpu_ms > 0 for each in line.rounds)
    assert line.usage is not None and line.usage.peak_bytes > 10 << 20


@pytest.mark.parametrize("name", [name for name in MEASURES if name != "depth"])
def test_a_measure_gives_figures(bench: Bench, name: str) -> None:
    lines = list(MEASURES[name].run(bench))
    assert lines[0].workers == 1
    for line in lines:
        assert_has_figures(line)


def test_postfix_programs_take_the_place_of_ours(bench: Bench) -> None:
    source, sink = postfix_tool("smtp-source"), postfix_tool("smtp-sink")
    if source is None or sink is None:
        pytest.skip("Postfix's smtp-source and smtp-sink are not installed")
    with_them = replace(bench, smtp_source=source, smtp_sink=sink)
    for line in MEASURES["relay-fresh"].run(with_them):
        assert_has_figures(line)


def test_a_deep_queue_is_compared_with_the_first(bench: Bench) -> None:
    empty, deep = MEASURES["depth"].run(bench)
    assert_has_figures(empty)
    assert_has_figures(deep)
    assert "of the first" not in empty.result
    assert (
        "of the first, CPU" in deep.result
        and "memory" in deep.result
        and "filled at" in deep.result
        and "after SIGKILL" in deep.result
    )


def test_the_table_has_a_line_for_each_measure() -> None:
    text = table([Line.HEADINGS, Line("relay", 2, 50, "1,800 a second", (), None).cells()])
    assert text.splitlines()[2].split(" | ")[0] == "| relay"
    assert len({line.count("|") for line in text.splitlines()}) == 1
