"""The log: one JSON object a line on standard error, one line per fact.

Names are `room.fact` (`delivery.deferred`), values are data; control characters of foreign text are escaped by the JSON.
Every line has `timestamp`, `level` and `event`, then `worker` and `node` in a gateway, then the fields; `message` is the
id on every line that concerns a message. `level` is `error` where somebody has to look, else `info`; what matters is the
name. What other libraries say by `logging` comes as lines of the same form.

Secrets and bodies are never passed in (K4, P5). In case something slips through, in a traceback or a text of somebody
else, what looks like a credential is blotted out of each line.

Raises nothing.
"""

import atexit
import logging
import re
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from smtpeter.world.lines import LineWriter
from smtpeter.world.metrics.gateway import LOG_LOST

_SECRET_FIELDS = frozenset({"password", "token", "secret", "access_token", "authorization", "master_key"})
_BLOT = "[secret]"
# what each begins with is looked for first, which is all that a line without secrets costs
_MARKS = (b"smtpeter_", b"access_token", b"earer ", b"asic ", b"AUTH ", b"://", b"PRIVATE KEY")
_SECRETS = (
    (re.compile(rb"\b(smtpeter_[A-Za-z0-9_-]{3})[A-Za-z0-9_-]{16,}"), rb"\1"),  # a token; its visible prefix stays
    (re.compile(rb"(access_token=)[^&\s\"'\\]+"), rb"\1"),
    (re.compile(rb"(\b(?:[Bb]earer|[Bb]asic) +)[^\s\"'\\]+"), rb"\1"),  # RFC 9110 11.4
    (re.compile(rb"(\bAUTH [A-Z0-9_-]+ +)[^\s\"'\\]+"), rb"\1"),  # RFC 4954 4
    (re.compile(rb"(://[^:/@\s\"'\\]*:)[^@/\s\"'\\]+(?=@)"), rb"\1"),  # RFC 3986 3.2.1
    (re.compile(rb"(-----BEGIN [A-Z ]*PRIVATE KEY-----)[A-Za-z0-9+/=\\\s]+"), rb"\1"),  # RFC 7468
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")

_encoder = msgspec.json.Encoder(enc_hook=str)


class _Log:
    """How and where lines are written. Before `open_log`: as JSON to whatever `sys.stderr` is at the moment."""

    def __init__(self) -> None:
        self.writer: LineWriter | None = None
        self.form: Callable[[dict[str, Any]], bytes] = _json
        self.bound: dict[str, Any] = {}
        self.has_mail = True


def open_log(is_pretty: bool = False, *, handle: int = 2, **bound: object) -> None:
    """Sets the log up; `is_pretty` for a person at a terminal, else JSON lines. `bound` fields are on every line."""
    close_log()
    _log.form = _pretty() if is_pretty else _json
    _log.bound = bound
    _log.writer = LineWriter(handle, _lost)
    root = logging.getLogger()
    root.handlers = [*[one for one in root.handlers if not isinstance(one, _Handler)], _Handler(logging.WARNING)]
    logging.captureWarnings(True)


def bind_log(*, has_mail: bool = True, **bound: object) -> None:
    """Puts fields on every line from now on. `has_mail`: what goes well is told too, message by message."""
    _log.bound = {**_log.bound, **bound}
    _log.has_mail = has_mail


def close_log() -> None:
    """Writes what waits. What is logged later is written still."""
    if _log.writer is not None:
        _log.writer.close()


def log(fact: str, **fields: object) -> None:
    """Writes one line."""
    _write("info", fact, fields)


def log_mail(fact: str, **fields: object) -> None:
    """Writes one line about a message that fares well, unless only trouble is to be told."""
    if _log.has_mail:
        _write("info", fact, fields)


def log_trouble(fact: str, **fields: object) -> None:
    """Writes one line with the traceback of the exception at hand."""
    # the lines of code only, never the values of variables (K4)
    _write("error", fact, {**fields, "exception": traceback.format_exc()})


def _write(level: str, fact: str, fields: dict[str, Any]) -> None:
    if not _SECRET_FIELDS.isdisjoint(fields):
        fields = {name: _BLOT if name in _SECRET_FIELDS else value for name, value in fields.items()}
    log = _log
    line = log.form({"timestamp": datetime.now(UTC), "level": level, "event": fact, **log.bound, **fields})
    for mark in _MARKS:
        if mark in line:
            line = _blotted(line)
            break
    if log.writer is not None:
        log.writer.put(line)
    elif sys.stderr is not None:
        sys.stderr.write(line.decode())


def _blotted(line: bytes) -> bytes:
    for pattern, kept in _SECRETS:
        line = pattern.sub(kept + _BLOT.encode(), line)
    return line


def _json(line: dict[str, Any]) -> bytes:
    try:
        return _encoder.encode(line) + b"\n"
    except Exception:  # half a surrogate pair, an object that cannot be shown, a loop: all that a caller may pass
        return _encoder.encode({name: _as_text(value) for name, value in line.items()}) + b"\n"


def _as_text(value: object) -> str:
    try:
        text = value.isoformat() if isinstance(value, datetime) else str(value)
    except Exception:
        text = f"({type(value).__name__})"
    return text.encode("utf-8", "backslashreplace").decode()


def _pretty() -> Callable[[dict[str, Any]], bytes]:
    # it is not needed where nobody looks on
    from structlog.dev import ConsoleRenderer

    render = ConsoleRenderer(colors=sys.stderr is not None and sys.stderr.isatty())

    def form(line: dict[str, Any]) -> bytes:
        # a terminal obeys control characters, and much of what is logged was written by strangers
        shown = {name: _CONTROL.sub(_escaped, _as_text(value)) for name, value in line.items()}
        return f"{render(None, '', shown)}\n".encode()

    return form


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _lost(count: int) -> bytes:
    LOG_LOST.of().add(count)
    return _log.form({"timestamp": datetime.now(UTC), "level": "error", "event": "log.lost", "lines": count})


class _Handler(logging.Handler):
    """Takes what libraries log, and our own rooms where they do so."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:
            text = str(record.msg)
        is_ours = record.name.startswith("smtpeter.")
        fields = {"exception": "".join(traceback.format_exception(*record.exc_info))} if record.exc_info else {}
        fact = text if is_ours else record.name
        _write(record.levelname.lower(), fact, fields if is_ours else {"text": text, **fields})


_log = _Log()
atexit.register(close_log)
