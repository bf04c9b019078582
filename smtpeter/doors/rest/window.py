"""Which events a call asks for: the window of time, names, tags, and where the page begins (events.md).

A window is never longer than a month. The place of a cursor (cursor.py) is an event number.
"""

import calendar
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from smtpeter.doors.rest.cursor import read_cursor, write_cursor
from smtpeter.doors.rest.declare import Kind, Property, Reading, Table, wrong
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.gateway import EventView
from smtpeter.doors.rest.kinds import number, text
from smtpeter.model.event import EVENT_CLASSES

MAX_LIMIT = 1000

_DOCUMENTED = frozenset(("attempt", "bounce", "click", "delivery", "failure", "open", "response"))
_LATER = frozenset(("abuse", "unsubscribe", "suppression"))  # names that can be asked for and have no records here
_NAMES = _DOCUMENTED | _LATER | frozenset(EVENT_CLASSES)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


@dataclass(frozen=True, slots=True)
class EventQuery:
    """What to show: `start` ≤ time < `end`, of these names, numbers above `after`, at most `limit`."""

    start: datetime
    end: datetime
    names: frozenset[str]
    tags: frozenset[str]
    after: int
    limit: int

    def pick(self, tags: Iterable[str], events: Iterable[EventView]) -> tuple[list[EventView], bool]:
        """Gives the page of a message's events (its tags given), and whether there are more behind it."""
        if not self.tags <= frozenset(tags):
            return [], False
        found = [
            view
            for view in events
            if view.number > self.after and view.event.name in self.names and self.start <= view.time < self.end
        ]
        return found[: self.limit], len(found) > self.limit


def read_query(parameters: dict[str, Any], accepted: datetime, scope: str, key: bytes) -> EventQuery:
    """Gives the query for a message accepted at this time; `scope` is what a cursor is bound to. Raises Problem."""
    start, end = _window(parameters, accepted)
    return EventQuery(
        start,
        end,
        parameters.get("type", _DOCUMENTED),
        parameters.get("tags", frozenset()),
        int(read_cursor(parameters["cursor"], _question(scope), key)) if "cursor" in parameters else 0,
        parameters.get("limit", MAX_LIMIT),
    )


def behind(number: int, scope: str, key: bytes) -> str:
    """Gives the cursor for the page behind the event of this number."""
    return write_cursor(str(number), _question(scope), key)


def _question(scope: str) -> str:
    return f"events {scope}"


def _window(parameters: dict[str, Any], accepted: datetime) -> tuple[datetime, datetime]:
    start: datetime | None = parameters.get("start")
    end: datetime | None = parameters.get("end")
    if start and end:
        if end < start:
            raise Problem("invalid_parameter", field="end", reason="The end must not be before the start")
        return start, min(end, _months_from(start, 1))
    if start:
        return start, _months_from(start, 1)
    if end:
        return _months_from(end, -1), end
    return accepted.replace(microsecond=0), _months_from(accepted, 1)


def _months_from(moment: datetime, count: int) -> datetime:
    """Gives the same day of another month, or its last day when it has no such day."""
    months = moment.year * 12 + moment.month - 1 + count
    year, month = months // 12, months % 12 + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return moment.replace(year=year, month=month, day=day)


def _read_date(value: Any, name: str, reading: Reading) -> datetime:
    if isinstance(value, str) and _DATE.match(value):
        try:
            moment = datetime.fromisoformat(value).replace(tzinfo=UTC)
        except ValueError:
            moment = None
        if moment and 1 < moment.year < 9999:  # a month either way stays a date
            return moment
    raise wrong(name, f"{name} must be a date written as yyyy-mm-dd.")


def _read_names(value: Any, name: str, reading: Reading) -> frozenset[str]:
    if not isinstance(value, str):
        raise wrong(name, f"{name} must be given once, with commas between the names.")
    if value == "*":
        return _NAMES
    names = frozenset(word.strip() for word in re.split("[,;]", value) if word.strip())
    for word in sorted(names - _NAMES):
        known = ", ".join(sorted(_NAMES))
        raise wrong(name, f"{word!r:.40} is no event; there are {known}, and *.")
    return names or _DOCUMENTED


def _read_tags(value: Any, name: str, reading: Reading) -> frozenset[str]:
    if not isinstance(value, str):
        raise wrong(name, f"{name} must be given once, with semicolons between the tags.")
    return frozenset(tag.strip() for tag in value.split(";") if tag.strip())


_DAY = Kind({"type": "string", "format": "date"}, _read_date)
WINDOW = Table(
    Property("start", _DAY, "The first day that is shown.", "2026-11-01"),
    Property("end", _DAY, "The day before which it ends; at most a month after the start.", "2026-12-01"),
    Property("tags", Kind({"type": "string"}, _read_tags), "Only mail with all of these tags.", "invoice;october"),
    Property(
        "type",
        Kind({"type": "string"}, _read_names),
        "The names of the events, with commas between them; * for all there are.",
        "delivery,failure",
    ),
    Property("limit", number(1, MAX_LIMIT), "How many are shown at once.", 100),
    Property("cursor", text(), "Where the page begins, as the Link header of the page before has it."),
)
