"""Reads the configuration: file first, then the environment over it, and all mistakes in one report.

A setting `key` of `[section]` is overridden by `SMTPETER_SECTION__KEY`; deeper tables add `__NAME`. In the
environment a list is comma separated and a table is `a=b,c=d`. A secret may also be the content of a file,
named by `key_file` or `SMTPETER_SECTION__KEY_FILE`. Lists of tables cannot be given by the environment.

Raises only `ConfigError`.
"""

import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from smtpeter.config.convert import Given, Wrong, bounded, convert
from smtpeter.config.lines import KeyPath, dotted, key_lines
from smtpeter.config.sections import Config
from smtpeter.config.setting import About, element_kind, is_named, is_section
from smtpeter.config.together import check_together
from smtpeter.config.values import nearest, read_path

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


def load(path: Path | str | None, environ: Mapping[str, str], base: Config | None = None) -> Config:
    """Gives `base` (the shipped defaults) with what the file and the environment say. Raises ConfigError."""
    reader = _Reader()
    if path is not None:
        reader.take_file(Path(path))
    reader.take_environment(environ)
    config: Config = reader.build(Config, base or Config(), ())
    reader.report_unused()
    if not reader.mistakes:
        check_together(config, reader.blame)
    if reader.mistakes:
        raise ConfigError([mistake for _, mistake in sorted(reader.mistakes, key=lambda found: found[0])])
    return config


_PLAIN = About("")  # of a value without bounds


@lru_cache
def _types(section: type) -> dict[str, Any]:
    return typing.get_type_hints(section)


class _Reader:
    """Collects what is given, takes it out field by field, and keeps the mistakes (with their line, to sort by)."""

    def __init__(self) -> None:
        self.given: dict[KeyPath, Given] = {}
        self.mistakes: list[tuple[int, Mistake]] = []
        self._file = ""
        self._lines: dict[KeyPath, int] = {}
        self._known: dict[KeyPath, set[str]] = {}
        self._elements: dict[KeyPath, dict[str, Any]] = {}  # of tables that the file has, with the type of each element

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

    def _flatten(self, value: Any, path: KeyPath, kind: Any) -> None:
        """Notes the values within tables that are sections, or hold sections; another table is a value and stays whole."""
        within: dict[str, Any] = {}
        if is_section(kind) and isinstance(value, dict):
            within = {name: _types(kind).get(name) for name in value}
        elif (inner := element_kind(kind)) and isinstance(value, dict if is_named(kind) else list):
            value = value if isinstance(value, dict) else {str(n): each for n, each in enumerate(value)}
            within = self._elements[path] = dict.fromkeys(value, inner)
        else:
            self.given[path] = Given(value, self.place(path))
        for name, wanted in within.items():
            self._flatten(value[name], (*path, name), wanted)

    def take_environment(self, environ: Mapping[str, str]) -> None:
        for name, text in sorted(environ.items()):
            # names without a double underscore (SMTPETER_CONFIG and the like) are not settings
            if name.startswith(PREFIX) and "__" in name:
                path = tuple(name.removeprefix(PREFIX).lower().split("__"))
                self.given[path] = Given(text, name, is_text=True)
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

    def blame(self, path: KeyPath, text: str) -> None:
        """Reports what is wrong with the setting of this path."""
        self.report(path, self.place(path), f"{dotted(path)} {text}")

    def build(self, section: Any, base: Any, path: KeyPath) -> Any:
        """Gives the section with what was given for it; a value that is wrong is reported and stays at its default."""
        values: dict[str, Any] = {}
        self._known[path] = {f.name for f in fields(section)}
        for f in fields(section):
            here, kind, default = (*path, f.name), _types(section)[f.name], getattr(base, f.name)
            values[f.name] = default
            if is_section(kind):
                self._refuse_whole(here, f"must be a table: [{dotted(here)}]")
                values[f.name] = self.build(kind, default, here)
            elif element_kind(kind):
                values[f.name] = self._elements_of(kind, default, here)
            elif (given := self._take(here, f.metadata["about"])) is not None:
                values[f.name] = self._value(kind, given, default, here, f.metadata["about"])
            elif f.metadata["about"].is_needed:
                self.blame(here, "must be given")
        return section(**values)

    def _value(self, kind: Any, given: Given, default: Any, path: KeyPath, about: About) -> Any:
        try:
            return bounded(convert(kind, given), about)
        except ExceptionGroup as wrongs:
            for wrong in wrongs.exceptions:
                within = wrong.within if isinstance(wrong, Wrong) else ()
                where = given.where if given.is_text else self.place((*path, *within))
                self.report((*path, *within), where, f"{dotted(path)} {wrong}")
        return default

    def _elements_of(self, kind: Any, default: Any, path: KeyPath) -> Any:
        """Gives a list of tables, or tables by name, each of which is a section or again a list."""
        inner = element_kind(kind)
        if is_named(kind):
            self._refuse_whole(path, f"must be tables by name: [{dotted(path)}.NAME]")
            names = [*self._elements.get(path, ()), *self._in_environment(path)]
            self._known[path] = set(names)
            (wanted, _) = typing.get_args(kind)
            for name in names:
                self._value(wanted, Given(name, self.place((*path, name))), None, (*path, name), _PLAIN)
            built = {name: self._element(inner, (*path, name)) for name in dict.fromkeys(names)}
            return MappingProxyType({**default, **built})
        self._refuse_whole(path, f"must be a list of tables: [[{dotted(path)}]]")
        for name in self._in_environment(path):
            for key in [key for key in self.given if key[: len(path) + 1] == (*path, name)]:
                if self.given[key].is_text:
                    self.report(key, self.given.pop(key).where, f"{dotted(path)} can only be given by the file")
        if path not in self._elements:
            return default
        return tuple(self._element(inner, (*path, name)) for name in self._elements[path])

    def _element(self, kind: Any, path: KeyPath) -> Any:
        if not is_section(kind):
            return self._elements_of(kind, (), path)
        self._refuse_whole(path, "must be a table")
        return self.build(kind, kind(), path)

    def _in_environment(self, path: KeyPath) -> list[str]:
        """Gives the names below a path that the environment has settings of."""
        depth = len(path)
        found = (key[depth] for key, given in self.given.items() if given.is_text and key[:depth] == path != key)
        return list(dict.fromkeys(found))

    def _refuse_whole(self, path: KeyPath, text: str) -> None:
        """Reports a value that stands where tables are wanted."""
        if (whole := self.given.pop(path, None)) is not None:
            self.report(path, whole.where, f"{dotted(path)} {text}")

    def _take(self, path: KeyPath, about: About) -> Given | None:
        given = self.given.pop(path, None)
        if not about.is_secret:
            return given
        by_file = self.given.pop((*path[:-1], f"{path[-1]}_file"), None)
        self._known[path[:-1]].add(f"{path[-1]}_file")
        if by_file is None:
            return given
        if given is not None:
            self.report(path, by_file.where, f"{dotted(path)} is given twice, as value and as file; leave one out")
            return None
        return self._secret(path, by_file)

    def _secret(self, path: KeyPath, by_file: Given) -> Given | None:
        name = f"{dotted(path)}_file"
        if not isinstance(by_file.value, str):
            self.report(path, by_file.where, f"{name} must be the name of a file in quotes")
            return None
        try:
            with read_path(by_file.value).open("rb") as file:
                content = file.read(_MAX_SECRET_BYTES).decode("utf-8")
        except (OSError, ValueError) as trouble:  # UnicodeDecodeError is one of the latter
            reason = trouble.strerror if isinstance(trouble, OSError) else trouble
            reason = "it is not UTF-8 text" if isinstance(trouble, UnicodeDecodeError) else reason
            self.report(path, by_file.where, f"{name}: {by_file.value} cannot be read: {reason}")
            return None
        return Given(content.rstrip("\r\n"), by_file.where, is_text=True)

    def report_unused(self) -> None:
        """Reports every name that no section knows, with the nearest one that it does know."""
        for path, given in self.given.items():
            parent = path[:-1]
            while parent not in self._known:
                parent = parent[:-1]
            name = path[len(parent)]
            what = "section" if not parent and isinstance(given.value, dict) else "setting"
            unknown = dotted(path[: len(parent) + 1])
            hint = nearest(name, self._known[parent])
            self.report(path, given.where, f"{unknown} is not a known {what}{hint}")
