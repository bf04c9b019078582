"""Modifiers that write numbers and dates (personalization.md, section 10)."""

from collections.abc import Mapping
from types import MappingProxyType

from smtpeter.content.personalize.dates import format_moment, parse_moment
from smtpeter.content.personalize.modifiers.effect import Build, Effect, Parameters
from smtpeter.content.personalize.run import Run
from smtpeter.content.personalize.tree import Value
from smtpeter.content.personalize.values import as_decimal, number_of, text_of

_MAX_FRACTION = 1_100  # digits; no double has more, what is asked for beyond them is zeros


def _number_format(parameters: Parameters) -> Effect | None:
    if len(parameters) == 0:
        return None
    decimals = max(0, parameters.integer(0, 0))
    point, thousands = parameters.text(1, ".")[:1], parameters.text(2)[:1]
    exact = min(decimals, _MAX_FRACTION)

    def effect(run: Run, value: Value) -> Value:
        if isinstance(value, list | dict):
            return value
        run.make(decimals)
        if isinstance(value, str):
            run.read(len(value))
        digits = f"{as_decimal(number_of(value)):,.{exact}f}"
        if digits.startswith("-") and not digits.strip("-0.,"):
            digits = digits[1:]
        whole, _, fraction = digits.partition(".")
        whole = whole.replace(",", thousands)
        return whole + point + fraction + "0" * (decimals - exact) if decimals else whole

    return effect


def _date_format(parameters: Parameters) -> Effect:
    layout = parameters.text(0, "%b %e, %Y")

    def effect(run: Run, value: Value) -> Value:
        if isinstance(value, list | dict):
            return value
        text = text_of(value)
        run.read(len(text) + len(layout))
        moment = parse_moment(text) if text else run.now
        if moment is None:
            return value
        result = format_moment(moment, layout)
        run.make(len(result))
        return result

    return effect


FORMATS: Mapping[str, Build] = MappingProxyType({"date_format": _date_format, "number_format": _number_format})
