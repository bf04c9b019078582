"""The log: one JSON object a line on standard error, one line per fact.

Names are `room.fact` (`delivery.deferred`), values are data; control characters of foreign text are escaped by the JSON.
Secrets and bodies are never passed in (K4, P5).
"""

import sys
from typing import Any

import msgspec
import structlog


def _encode(_logger: object, _name: str, fields: Any) -> bytes:
    return msgspec.json.encode(fields)


def open_log(is_pretty: bool = False) -> None:
    """Sets the log up; `is_pretty` for a person at a terminal, else JSON lines."""
    processors: list[Any] = [structlog.processors.TimeStamper(fmt="iso", utc=True)]
    if is_pretty:
        structlog.configure(
            processors=[*processors, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())],
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
            cache_logger_on_first_use=True,
        )
        return
    structlog.configure(
        processors=[*processors, structlog.processors.format_exc_info, _encode],
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )


_logger = structlog.get_logger()


def log(fact: str, **fields: object) -> None:
    """Writes one line."""
    _logger.msg(fact, **fields)


def log_trouble(fact: str, **fields: object) -> None:
    """Writes one line with the traceback of the exception at hand."""
    _logger.msg(fact, exc_info=True, **fields)
