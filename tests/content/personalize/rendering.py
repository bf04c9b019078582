"""One call that compiles and renders, at a moment that never changes."""

from datetime import UTC, datetime

from smtpeter.content.personalize import DEFAULT_LIMITS, Kind, PersonalizationError, compile_text

NOW = datetime(2026, 11, 22, 13, 4, 5, tzinfo=UTC)


def render(source, data=None, *, escape=None, limits=DEFAULT_LIMITS, automatic=None, clock=None):
    template = compile_text(source, escape=escape, limits=limits)
    return template.render(data or {}, now=NOW, automatic=automatic or {}, clock=clock)


def fault_of(source, data=None, *, limits=DEFAULT_LIMITS, clock=None):
    """Gives kind, line, column and reason of the error; fails when there is none."""
    try:
        result = render(source, data, limits=limits, clock=clock)
    except PersonalizationError as error:
        return error.kind, error.line, error.column, error.reason
    raise AssertionError(f"rendered {result[:80]!r}")


COMPILE, RUNTIME, LIMIT = Kind.COMPILE, Kind.RUNTIME, Kind.LIMIT
