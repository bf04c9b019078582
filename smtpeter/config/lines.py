"""Which line of a TOML text a key stands on.

tomllib gives values without positions. This scanner reads only what carries keys: table headers and the left side
of assignments; strings, arrays and inline tables are stepped over. It is meant for text that tomllib has accepted,
so it need not judge; a key inside an inline table has the line of that table's key. The tables of an array are counted
from "0" in the path of their keys.
"""

import re
import tomllib
from collections.abc import Iterator

KeyPath = tuple[str, ...]

# strings (four kinds), comments, brackets, line ends; whatever stands between is of no interest
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}\n]",
    re.DOTALL,
)
_PART = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")


def dotted(path: KeyPath) -> str:
    """Gives a path as people write it: `delivery.routes[0].via`."""
    return "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path).removeprefix(".")


def key_lines(text: str) -> dict[KeyPath, int]:
    """Gives the line (from 1) of every table header and every key; a table that is repeated keeps its first line."""
    lines: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}  # of the tables of an array
    table: KeyPath = ()
    for line, statement in _statements(text):
        found = _KEY.match(statement.lstrip("[ \t"))
        if not found:
            continue
        path = tuple(_plain(part) for part in re.findall(_PART, found[0]))
        if statement.startswith("[["):
            table = _within(path[:-1], counts) + path[-1:]
            lines.setdefault(table, line)
            counts[table] = counts.get(table, 0) + 1
            path = table = (*table, str(counts[table] - 1))
        elif statement.startswith("["):
            path = table = _within(path, counts)
        else:
            path = table + path
        lines.setdefault(path, line)
    return lines


def _within(path: KeyPath, counts: dict[KeyPath, int]) -> KeyPath:
    """Gives the path of a header with the number of the last table for each array in it."""
    within: KeyPath = ()
    for part in path:
        within = (*within, part)
        if within in counts:
            within = (*within, str(counts[within] - 1))
    return within


def _statements(text: str) -> Iterator[tuple[int, str]]:
    line = start_line = 1
    start = depth = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        elif mark == "\n" and depth == 0:
            yield start_line, text[start : token.start()].strip()
            start, start_line = token.end(), line + 1
        line += mark.count("\n")
    yield start_line, text[start:].strip()


def _plain(part: str) -> str:
    if part[0] not in "\"'":
        return part
    return next(iter(tomllib.loads(f"{part} = 0")))
