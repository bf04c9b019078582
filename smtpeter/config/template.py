"""The commented configuration file that `smtpeter init` writes: every setting with its sentence and default."""

import textwrap
import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any

from smtpeter.config.load import PREFIX
from smtpeter.config.sections import About, Config
from smtpeter.config.values import KINDS, show_str

_HEAD = f"""\
# Configuration of smtpeter. Every setting is shown with its default; take the # away to change it.
# Each one can also be given by the environment: {PREFIX}SECTION__KEY, as {PREFIX}SMTP__MAX_RECIPIENTS=500.
# A secret can be put in a file of its own: KEY_file = "NAME".
"""


def template() -> str:
    """Gives the whole file as TOML in which every assignment is a comment."""
    lines = [_HEAD]
    for section in fields(Config):
        lines.extend(_section((section.name,), getattr(Config(), section.name)))
    return "\n".join(lines)


def _section(path: tuple[str, ...], value: Any) -> Iterator[str]:
    yield from _comment((type(value).__doc__ or "").strip())
    yield f"[{'.'.join(path)}]"
    types = typing.get_type_hints(type(value))
    tables = []
    for f in fields(value):
        here = getattr(value, f.name)
        if isinstance(here, Mapping) or (is_dataclass(here) and types[f.name] not in KINDS):
            tables.append(f)
            continue
        about: About = f.metadata["about"]
        yield from _comment(about.sentence)
        yield f"# {f.name} = {_show(types[f.name], here)}"
    yield ""
    for f in tables:  # after the plain keys, because a table header ends the table before it
        here = getattr(value, f.name)
        if is_dataclass(here):
            yield from _section((*path, f.name), here)
            continue
        yield from _comment(f.metadata["about"].sentence)
        yield f"[{'.'.join((*path, f.name))}]"
        yield f"# {_EXAMPLES[f.name]}"
        yield ""


# what a line of a table looks like; the defaults of these are empty
_EXAMPLES = {
    "trusted_networks": '"10.1.2.0/24" = "shop"',
    "routes": '"*.internal.example" = "discard"',
}


def _comment(text: str) -> Iterator[str]:
    yield from textwrap.wrap(" ".join(text.split()), 110, initial_indent="# ", subsequent_indent="# ")


def _show(kind: Any, value: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return f"[{', '.join(_show(typing.get_args(kind)[0], each) for each in value)}]"
    if isinstance(value, StrEnum):
        return show_str(value)
    return KINDS[kind].show(value)
