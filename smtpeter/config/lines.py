"""Which line of a TOML text a key stands on.

tomllib gives values without positions. This scanner reads only what carries keys: table headers and the left side
of assignments; strings, arrays and inline tables are stepped over. It is meant for text that tomllib has accepted,
so it need not judge; a key inside an inline table has the line of that table's key.
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


def key_lines(text: str) -> dict[KeyPath, int]:
    """Gives the line (from 1) of every table header and every key; a table that is repeated keeps its first line."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, statement in _statements(text):
        is_header = statement.startswith("[")
        found = _KEY.match(statement.lstrip("[ \t"))
        if not found:
            continue
        path = tuple(_plain(part) for part in re.findall(_PART, found[0]))
        if is_header:
            table = path
        else:
            path = table + path
        lines.setdefault(path, line)
    return lines


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
