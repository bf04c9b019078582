"""Modifiers that change a text: its letters, its parts, its layout (personalization.md, section 10)."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from smtpeter.content.personalize.modifiers.effect import (
    Build,
    Effect,
    Parameters,
    on_text,
    plain,
)
from smtpeter.content.personalize.patterns import parse_replacement, replace_all
from smtpeter.content.personalize.run import Run
from smtpeter.content.personalize.tree import Value
from smtpeter.content.personalize.values import text_of

_BLANKS = " \t\n\r\v\0"
_LINE_BREAK = re.compile(r"\r?\n")
_WORD = re.compile(r"\S++")
_DIGIT = re.compile(r"[0-9]")


def _cat(parameters: Parameters) -> Effect | None:
    """Unlike the others it makes a text of an array, an empty one."""
    if len(parameters) == 0:
        return None
    tail = "".join([text_of(parameter) for parameter in parameters.values])

    def effect(run: Run, value: Value) -> Value:
        text = text_of(value)
        run.make(len(text) + len(tail))
        return text + tail

    return effect


def _ucfirst(text: str) -> str:
    return text[:1].upper() + text[1:]


def _capitalize(parameters: Parameters) -> Effect:
    with_digits = parameters.truth(0)

    def word(found: re.Match[str]) -> str:
        return _ucfirst(found[0]) if with_digits or not _DIGIT.search(found[0]) else found[0]

    return on_text(lambda text: _WORD.sub(word, text))


def _indent(parameters: Parameters) -> Effect:
    count, char = max(0, parameters.integer(0, 1)), parameters.text(1, " ")
    width = count * len(char)

    def change(text: str) -> str:
        margin = char * count if width else ""
        return margin + text.replace("\n", "\n" + margin)

    return on_text(change, size=lambda text: len(text) + width * (text.count("\n") + 1))


def _replace(parameters: Parameters) -> Effect | None:
    old, new = parameters.text(0), parameters.text(1)
    if len(parameters) < 2 or not old:
        return None
    growth = len(new) - len(old)
    return on_text(lambda text: text.replace(old, new), size=lambda text: len(text) + growth * text.count(old))


def _regex_replace(parameters: Parameters) -> Effect | None:
    pattern = parameters.shelf.compile(parameters.text(0)) if len(parameters) >= 2 else None
    if not pattern:
        return None
    replacement = parse_replacement(parameters.text(1))

    def effect(run: Run, value: Value) -> Value:
        if isinstance(value, list | dict):
            return value
        return replace_all(run, pattern, replacement, text_of(value))

    return effect


def _spacify(parameters: Parameters) -> Effect:
    separator = parameters.text(0, " ")
    return on_text(separator.join, size=lambda text: len(text) + len(separator) * max(0, len(text) - 1))


def _strstr(parameters: Parameters) -> Effect | None:
    if len(parameters) == 0:
        return None
    needle, is_before = parameters.text(0), parameters.truth(1)

    def change(text: str) -> str | None:
        at = text.find(needle)
        if at < 0:
            return None
        return text[:at] if is_before else text[at:]

    return on_text(change)


def _substr(parameters: Parameters) -> Effect | None:
    if len(parameters) == 0:
        return None
    start, length = parameters.integer(0, 0), parameters.integer(1, -1)
    if start < 0:
        return None

    def effect(run: Run, value: Value) -> Value:
        if isinstance(value, list | dict) or start > len(text := text_of(value)):
            return value
        run.read(len(text))
        return text[start:] if length < 0 else text[start : start + length]

    return effect


def _trim(parameters: Parameters) -> Effect:
    chars = parameters.text(0, _BLANKS)
    return on_text(lambda text: text.strip(chars))


def _truncate(parameters: Parameters) -> Effect:
    length, etc = parameters.integer(0, 80), parameters.text(1, "...")
    breaks_words = parameters.truth(2)
    room = length - min(len(etc), max(0, length))

    def change(text: str) -> str:
        if length <= 0:
            return ""
        if len(text) <= length:
            return text
        head = text[: room + 1]
        return (head if breaks_words else _without_last_word(head))[:room] + etc

    return on_text(change)


def _without_last_word(text: str) -> str:
    """Takes the last white space away with what follows it; nothing from a text without white space."""
    if text[-1:].isspace():
        return text.rstrip()
    head, *tail = text.rsplit(None, 1) or [""]
    if tail:
        return head
    return "" if text[:1].isspace() else text


TEXTS: Mapping[str, Build] = MappingProxyType(
    {
        "capitalize": _capitalize,
        "cat": _cat,
        "indent": _indent,
        "lower": plain(str.lower),
        "nl2br": plain(lambda text: _LINE_BREAK.sub("<br />", text)),
        "regex_replace": _regex_replace,
        "replace": _replace,
        "spacify": _spacify,
        "strstr": _strstr,
        "substr": _substr,
        "tolower": plain(str.lower),
        "toupper": plain(str.upper),
        "trim": _trim,
        "truncate": _truncate,
        "ucfirst": plain(_ucfirst),
        "upper": plain(str.upper),
    }
)
