"""What values are as text, as number and as truth (personalization.md, section 5).

Pure functions of JSON values; None is both null and what is missing. Raises Fault when a number is infinite.
"""

import re
from math import isfinite

from smtpeter.content.personalize.errors import Fault
from smtpeter.content.personalize.tree import Value

_MAX_EXACT_DIGITS = 40  # longer runs of digits are read as decimals; the digits of a JSON number are limited anyway
_MAX_INTEGER = 2**63  # a result of this size or more becomes a decimal
_MAX_EXACT_BITS = 256  # of an integer that is printed with all its digits
_NUMBER = r"[+-]?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_LEADING = re.compile(rf"[ \t\n\r\v\f]*+({_NUMBER})")
_WHOLE = re.compile(rf"[ \t\n\r\v\f]*+({_NUMBER})[ \t\n\r\v\f]*+\Z")


def text_of(value: Value) -> str:
    """Gives the value as it is printed."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, list | dict):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() <= _MAX_EXACT_BITS:
        return str(value)
    digits = f"{as_decimal(value):.5f}".rstrip("0").rstrip(".")
    return "0" if digits == "-0" else digits


def truth_of(value: Value) -> bool:
    """Gives the value as a condition: of texts only the empty one and exactly `0` are false."""
    return value != "0" if isinstance(value, str) and value else bool(value)


def number_of(value: Value) -> int | float:
    """Gives the value as a number: of a text what it begins with, 0 for what is none."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return as_decimal(value)
    if isinstance(value, str) and (found := _LEADING.match(value)):
        return _finite(parse_number(found[1]))
    return 0


def comparable(value: Value) -> int | float | None:
    """Gives the value as a number for `==`, None for a text that equals no number."""
    if isinstance(value, str) and value:
        found = _WHOLE.match(value)
        return _finite(parse_number(found[1])) if found else None
    return number_of(value)


def parse_number(digits: str) -> int | float:
    """Gives the number that these digits write: with a fraction or exponent, or too large, a decimal, perhaps infinite."""
    if len(digits) > _MAX_EXACT_DIGITS or not digits.lstrip("+-").isdecimal():
        return float(digits)
    return normal(int(digits))


def normal(result: int | float) -> int | float:
    """Gives the result of a calculation as the language has it: small integers, finite decimals."""
    if isinstance(result, int) and -_MAX_INTEGER < result < _MAX_INTEGER:
        return result
    return as_decimal(result)


def as_decimal(number: int | float) -> float:
    """Gives the number as a finite decimal."""
    try:
        return float(_finite(number))
    except OverflowError:
        raise Fault("A number is infinite") from None


def _finite(number: int | float) -> int | float:
    if isinstance(number, float) and not isfinite(number):
        raise Fault("A number is infinite")
    return number
