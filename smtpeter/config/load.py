"""Reads the configuration: file first, then the environment over it, and all mistakes in one report.

A setting `key` of `[section]` is overridden by `SMTPETER_SECTION__KEY`; deeper tables add `__NAME`. In the
environment a list is comma separated and a table is `a=b,c=d`. A secret may also be the content of a file,
named by `key_file` or `SMTPETER_SECTION__KEY_FILE`.

Raises only `ConfigError`.
"""

import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from smtpeter.config.lines import KeyPath, key_lines
from smtpeter.config.sections import About, Config
from smtpeter.config.values import KINDS, Via, from_text, nearest, read_choice

PREFIX = "SMTPETER_"
_MAX_SECRET_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong. `where` is "FILE line 12" or the name of an environment variable."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


class ConfigError(Exception):
    """The configuration cannot be used; `mistakes` holds everything that is wrong, in the order of the file."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, mistakes)))


@dataclass(frozen=True, slots=True)
class _Given:
    """A value from outside and where it came from; `is_text`: from the environment."""

    value: object
    where: str
    is_text: bool = False


def load(path: Path | str | None, environ: Mapping[str, str], base: Config | None = None) -> Config:
    """Gives `base` (the shipped defaults) with what the file and the environment say. Raises ConfigError."""
    reader = _Reader()
    if path is not None:
        reader.take_file(Path(path))
    reader.take_environment(environ)
    config: Config = reader.build(Config, base or Config(), ())
    reader.report_unused()
    if not reader.mistakes:
        _check_together(config, reader)
    if reader.mistakes:
        raise ConfigError([mistake for _, mistake in sorted(reader.mistakes, key=lambda found: found[0])])
    return config


@lru_cache
def _types(section: type) -> dict[str, Any]:
    return typing.get_type_hints(section)


class _Reader:
    """Collects what is given, takes it out field by field, and keeps the mistakes (with their line, to sort by)."""

    def __init__(self) -> None:
        self.given: dict[KeyPath, _Given] = {}
        self.mistakes: list[tuple[int, Mistake]] = []
        self._file = ""
        self._lines: dict[KeyPath, int] = {}
        self._known: dict[KeyPath, set[str]] = {}

    def take_file(self, path: Path) -> None:
        self._file = path.name
        try:
            text = path.read_text("utf-8")
            values = tomllib.loads(text)
        except OSError as trouble:
            return self.report((), path.name, f"cannot be read: {trouble.strerror}")
        except UnicodeDecodeError as trouble:
            return self.report((), path.name, f"is not UTF-8 at byte {trouble.start}")
        except tomllib.TOMLDecodeError as trouble:
            return self.report((), path.name, f"is not valid TOML: {trouble}")
        self._lines = key_lines(text)
        return self._flatten(values, (), Config)

    def _flatten(self, values: dict[str, Any], path: KeyPath, section: Any) -> None:
        """Notes the values of the tables that are sections; a table that is itself a value stays whole."""
        for name, value in values.items():
            kind = _types(section).get(name)
            if is_dataclass(kind) and isinstance(value, dict):
                self._flatten(value, (*path, name), kind)
            else:
                self.given[(*path, name)] = _Given(value, self.place((*path, name)))

    def take_environment(self, environ: Mapping[str, str]) -> None:
        for name, text in sorted(environ.items()):
            # names without a double underscore (SMTPETER_CONFIG and the like) are not settings
            if name.startswith(PREFIX) and "__" in name:
                path = tuple(name.removeprefix(PREFIX).lower().split("__"))
                self.given[path] = _Given(text, name, is_text=True)
                secret = path[-1].removesuffix("_file")
                if secret != path[-1]:
                    self.given.pop((*path[:-1], secret), None)  # the environment goes before the file
                elif (beside := self.given.get((*path[:-1], f"{secret}_file"))) and not beside.is_text:
                    del self.given[(*path[:-1], f"{secret}_file")]

    def place(self, path: KeyPath) -> str:
        """Gives `FILE line N` of a key, or of the nearest table around it; `configuration` when no line is to blame."""
        line = self._line(path)
        return f"{self._file} line {line}" if line else "configuration"

    def _line(self, path: KeyPath) -> int:
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 0)

    def report(self, path: KeyPath, where: str, text: str) -> None:
        self.mistakes.append((self._line(path), Mistake(where, text)))

    def build(self, section: Any, base: Any, path: KeyPath) -> Any:
        """Gives the section with what was given for it; a value that is wrong is reported and stays at its default."""
        values: dict[str, Any] = {}
        self._known[path] = {f.name for f in fields(section)}
        for f in fields(section):
            here, kind, default = (*path, f.name), _types(section)[f.name], getattr(base, f.name)
            values[f.name] = default
            if is_dataclass(kind) and kind not in KINDS:
                if (whole := self.given.pop(here, None)) is not None:
                    self.report(here, whole.where, f"{'.'.join(here)} must be a table: [{'.'.join(here)}]")
                values[f.name] = self.build(kind, default, here)
                continue
            about: About = f.metadata["about"]
            given = self._take(here, about)
            if given is None:
                continue
            try:
                values[f.name] = _bounded(_convert(kind, given), about)
            except ExceptionGroup as wrongs:
                for wrong in wrongs.exceptions:
                    within = wrong.within if isinstance(wrong, _Wrong) else ()
                    where = given.where if given.is_text else self.place((*here, *within))
                    self.report((*here, *within), where, f"{'.'.join(here)} {wrong}")
        return section(**values)

    def _take(self, path: KeyPath, about: About) -> _Given | None:
        given = self.given.pop(path, None)
        if not about.is_secret:
            return given
        by_file = self.given.pop((*path[:-1], f"{path[-1]}_file"), None)
        self._known[path[:-1]].add(f"{path[-1]}_file")
        if by_file is None:
            return given
        if given is not None:
            self.report(path, by_file.where, f"{'.'.join(path)} is given twice, as value and as file; leave one out")
            return None
        return self._secret(path, by_file)

    def _secret(self, path: KeyPath, by_file: _Given) -> _Given | None:
        name = f"{'.'.join(path)}_file"
        if not isinstance(by_file.value, str):
            self.report(path, by_file.where, f"{name} must be the name of a file in quotes")
            return None
        try:
            with Path(by_file.value).expanduser().open("rb") as file:
                content = file.read(_MAX_SECRET_BYTES).decode("utf-8")
        except (OSError, UnicodeDecodeError) as trouble:
            reason = trouble.strerror if isinstance(trouble, OSError) else "it is not UTF-8 text"
            self.report(path, by_file.where, f"{name}: {by_file.value} cannot be read: {reason}")
            return None
        return _Given(content.rstrip("\r\n"), by_file.where, is_text=True)

    def report_unused(self) -> None:
        """Reports every name that no section knows, with the nearest one that it does know."""
        for path, given in self.given.items():
            parent = path[:-1]
            while parent not in self._known:
                parent = parent[:-1]
            name = path[len(parent)]
            what = "section" if not parent and isinstance(given.value, dict) else "setting"
            unknown = ".".join(path[: len(parent) + 1])
            hint = nearest(name, self._known[parent])
            self.report(path, given.where, f"{unknown} is not a known {what}{hint}")


class _Wrong(ValueError):
    """One value that cannot be used; `within`: its key when it stands in a table."""

    def __init__(self, text: str, within: KeyPath = ()) -> None:
        super().__init__(text)
        self.within = within


def _convert(kind: Any, given: _Given) -> Any:
    """Gives the value of the wanted type. Raises an ExceptionGroup of all that is wrong with it."""
    wrongs: list[_Wrong] = []

    def attempt(wanted: Any, value: object, name: str = "", within: KeyPath = ()) -> Any:
        try:
            return _one(wanted, value, given.is_text)
        except ValueError as wrong:
            wrongs.append(_Wrong(f"{name}{wrong}", within))

    result: Any
    try:
        match typing.get_origin(kind):
            case origin if origin is tuple:
                (wanted, _) = typing.get_args(kind)
                result = tuple(attempt(wanted, each, f"[{n}] ") for n, each in enumerate(_elements(given)))
            case origin if isinstance(origin, type) and issubclass(origin, Mapping):
                to_key, to_value = typing.get_args(kind)
                result = MappingProxyType(
                    {
                        attempt(to_key, key, f"key {key!r} ", (key,)): attempt(to_value, value, f"{key!r} ", (key,))
                        for key, value in _pairs(given)
                    }
                )
            case _:
                result = attempt(kind, given.value)
    except ValueError as wrong:
        wrongs.append(_Wrong(str(wrong)))
    if wrongs:
        raise ExceptionGroup("mistakes", wrongs)
    return result


def _bounded(value: Any, about: About) -> Any:
    """Gives the value back when it, or each of its elements, is within the bounds. Raises as `_convert`."""
    for each in value if isinstance(value, tuple) else (value,):
        if about.low is not None and each < about.low:
            raise ExceptionGroup("mistakes", [_Wrong(f"must be at least {_shown(about.low)}")])
        if about.high is not None and each > about.high:
            raise ExceptionGroup("mistakes", [_Wrong(f"must be at most {_shown(about.high)}")])
    return value


def _shown(bound: Any) -> str:
    return KINDS[type(bound)].show(bound)


def _one(kind: Any, value: object, is_text: bool) -> Any:
    if is_text and isinstance(value, str):
        value = from_text(kind, value)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return read_choice(kind, value)
    return KINDS[kind].read(value)


def _elements(given: _Given) -> list[object]:
    if given.is_text and isinstance(given.value, str):
        return [part.strip() for part in given.value.split(",") if part.strip()]
    if isinstance(given.value, list):
        return given.value
    raise ValueError("must be a list in square brackets")


def _pairs(given: _Given) -> list[tuple[str, object]]:
    if given.is_text and isinstance(given.value, str):
        parts = [part.partition("=") for part in given.value.split(",") if part.strip()]
        if not all(equals for _, equals, _ in parts):
            raise ValueError("must be name=value pairs with commas between them")
        return [(name.strip(), value.strip()) for name, _, value in parts]
    if isinstance(given.value, dict):
        return list(given.value.items())
    raise ValueError("must be a table of name = value")


def _check_together(config: Config, reader: _Reader) -> None:
    """Reports settings that are right one by one and wrong together."""

    def report(path: str, text: str) -> None:
        keys = tuple(path.split("."))
        reader.report(keys, reader.place(keys), f"{path} {text}")

    if bool(config.tls.certificate) != bool(config.tls.key):
        report("tls.certificate" if config.tls.certificate else "tls.key", "needs tls.key and tls.certificate both")
    if not config.store.url.startswith(("sqlite:", "postgresql://", "postgres://")):
        report("store.url", "must begin with sqlite: or postgresql://")
    if Via.SMARTHOST in config.delivery.routes.values() and not config.delivery.smart_host.host:
        report("delivery.routes", "names smarthost, but delivery.smart_host.host is not set")
    if config.delivery.smart_host.password and not config.delivery.smart_host.user:
        report("delivery.smart_host.password", "is of no use without delivery.smart_host.user")
    if not config.delivery.retry_delays:
        report("delivery.retry_delays", "must name at least one wait")
    if not config.server.hostname:
        report("server.hostname", "must not be empty")
