"""Modifiers that count, choose and cut: of texts, of arrays, of missing values (personalization.md, section 10)."""

import re
from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType

from smtpeter.content.personalize.modifiers.effect import (
    Build,
    Effect,
    Parameters,
    measure,
    on_text,
)
from smtpeter.content.personalize.run import Run
from smtpeter.content.personalize.tree import Value

_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_ELEMENTS_A_NODE = 8


def _count(_run: Run, value: Value) -> Value:
    return len(value) if isinstance(value, list | dict) else 0


def _count_characters(parameters: Parameters) -> Effect:
    if parameters.truth(0):
        return measure(len)
    return measure(lambda text: sum(map(len, text.split())))


def _count_line_breaks(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _count_words(text: str) -> int:
    return sum(1 for piece in text.split() if _LETTER_OR_DIGIT.search(piece))


def _strpos(parameters: Parameters) -> Effect | None:
    needle = parameters.text(0)
    return on_text(lambda text: text.find(needle)) if len(parameters) > 0 else None


def _default(parameters: Parameters) -> Effect | None:
    if len(parameters) == 0:
        return None
    fallback = parameters.values[0]

    def effect(_run: Run, value: Value) -> Value:
        # 0 and false are values
        return fallback if value is None or (isinstance(value, str | list | dict) and not value) else value

    return effect


def _range(parameters: Parameters) -> Effect | None:
    """One parameter is the end, two are start and end (counted from 0, without the end)."""
    if len(parameters) == 0:
        return None
    start = max(0, parameters.integer(0, 0)) if len(parameters) > 1 else 0
    end = max(0, parameters.integer(min(1, len(parameters) - 1), 0))

    def effect(run: Run, value: Value) -> Value:
        if not isinstance(value, list | dict):
            return value
        run.spend(min(end, len(value)) // _ELEMENTS_A_NODE)
        if isinstance(value, list):
            return value[start:end]
        return dict(islice(value.items(), min(start, len(value)), min(end, len(value))))

    return effect


COUNTS: Mapping[str, Build] = MappingProxyType(
    {
        "count": lambda _: _count,
        "count_characters": _count_characters,
        "count_paragraphs": lambda _: measure(_count_line_breaks),
        "count_words": lambda _: measure(_count_words),
        "default": _default,
        "range": _range,
        "strlen": lambda _: measure(len),
        "strpos": _strpos,
    }
)
