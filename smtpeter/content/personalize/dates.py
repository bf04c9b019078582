"""Dates for `date_format`: what is read as one, and strftime in English and UTC, whatever the locale of the process.

The layout characters are those of POSIX strftime. Total: what is no date gives None.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_MAX_UNIX_DIGITS = 12  # 9999-12-31 has 12
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?\Z"
)


def parse_moment(text: str) -> datetime | None:
    """Gives the moment that Unix seconds or an ISO 8601 date name; without a zone it is UTC."""
    try:
        if text.isascii() and text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC) if len(text) <= _MAX_UNIX_DIGITS else None
        if not _DATE.match(text):
            return None
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def format_moment(moment: datetime, layout: str) -> str:
    """Writes a moment by a strftime layout; characters after `%` that mean nothing stay as they are."""
    return _DIRECTIVE.sub(lambda found: _DIRECTIVES[found[1]](moment), layout)


def _hour12(moment: datetime) -> int:
    return moment.hour % 12 or 12


def _half(moment: datetime) -> str:
    return "PM" if moment.hour >= 12 else "AM"


def _week(moment: datetime, first_weekday: int) -> int:
    """Gives the week of the year; week 1 begins at the first such weekday (0 is Monday), before it is week 0."""
    return (moment.timetuple().tm_yday + 6 - (moment.weekday() - first_weekday) % 7) // 7


def _composed(layout: str) -> Callable[[datetime], str]:
    return lambda moment: format_moment(moment, layout)


_DIRECTIVES: Mapping[str, Callable[[datetime], str]] = MappingProxyType(
    {
        "%": lambda _: "%",
        "A": lambda m: _DAYS[m.weekday()],
        "B": lambda m: _MONTHS[m.month - 1],
        "C": lambda m: f"{m.year // 100:02}",
        "D": _composed("%m/%d/%y"),
        "F": _composed("%Y-%m-%d"),
        "G": lambda m: f"{m.isocalendar().year:04}",
        "H": lambda m: f"{m.hour:02}",
        "I": lambda m: f"{_hour12(m):02}",
        "M": lambda m: f"{m.minute:02}",
        "P": lambda m: _half(m).lower(),
        "R": _composed("%H:%M"),
        "S": lambda m: f"{m.second:02}",
        "T": _composed("%H:%M:%S"),
        "U": lambda m: f"{_week(m, 6):02}",
        "V": lambda m: f"{m.isocalendar().week:02}",
        "W": lambda m: f"{_week(m, 0):02}",
        "X": _composed("%H:%M:%S"),
        "Y": lambda m: f"{m.year}",
        "Z": lambda _: "UTC",
        "a": lambda m: _DAYS[m.weekday()][:3],
        "b": lambda m: _MONTHS[m.month - 1][:3],
        "c": _composed("%a %b %e %H:%M:%S %Y"),
        "d": lambda m: f"{m.day:02}",
        "e": lambda m: f"{m.day:2}",
        "g": lambda m: f"{m.isocalendar().year % 100:02}",
        "h": lambda m: _MONTHS[m.month - 1][:3],
        "j": lambda m: f"{m.timetuple().tm_yday:03}",
        "k": lambda m: f"{m.hour:2}",
        "l": lambda m: f"{_hour12(m):2}",
        "m": lambda m: f"{m.month:02}",
        "n": lambda _: "\n",
        "p": _half,
        "r": _composed("%I:%M:%S %p"),
        "s": lambda m: str(int(m.timestamp())),
        "t": lambda _: "\t",
        "u": lambda m: str(m.isoweekday()),
        "w": lambda m: str(m.isoweekday() % 7),
        "x": _composed("%m/%d/%y"),
        "y": lambda m: f"{m.year % 100:02}",
        "z": lambda _: "+0000",
    }
)
_DIRECTIVE = re.compile("%([" + "".join(_DIRECTIVES) + "])")
