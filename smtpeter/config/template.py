"""The commented configuration file that `smtpeter init` writes: every setting with its sentence and default."""

import textwrap
import typing
from collections.abc import Iterator
from dataclasses import fields
from enum import StrEnum
from typing import Any

from smtpeter.config.load import PREFIX
from smtpeter.config.sections import Config
from smtpeter.config.setting import About, element_kind, is_section
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
        if f.name in _EXAMPLES or is_section(types[f.name]):
            tables.append(f)
            continue
        about: About = f.metadata["about"]
        yield from _comment(about.sentence)
        yield f"# {f.name} = {_show(types[f.name], getattr(value, f.name))}"
    yield ""
    for f in tables:  # after the plain keys, because a table header ends the table before it
        if is_section(types[f.name]):
            yield from _section((*path, f.name), getattr(value, f.name))
            continue
        yield from _comment(f.metadata["about"].sentence)
        if (inner := element_kind(types[f.name])) is not None:
            yield from _keys(inner)
        yield from (f"#   {line}" for line in _EXAMPLES[f.name].splitlines())
        yield ""


def _keys(kind: Any) -> Iterator[str]:
    """Tells of each key that a table may have."""
    section = kind if is_section(kind) else element_kind(kind)
    for f in fields(section):
        yield from _comment(f"- {f.name}: {f.metadata['about'].sentence}")


# what each table looks like; the defaults of these are empty
_EXAMPLES = {
    "trusted_networks": """\
[smtp.trusted_networks]
"10.1.2.0/24" = "shop"
""",
    "smart_hosts": """\
[delivery.smart_hosts.relay]
host = "relay.example.net"
port = 587
tls = "verified"
user = "us"
password = "secret"
""",
    "routes": """\
[[delivery.routes]]
recipient = "*.internal.example"
via = ["relay"]
[[delivery.routes]]
stream = "bulk"
pool = "bulk"
""",
    "pools": """\
[[delivery.pools.bulk]]
address = "192.0.2.25"
hello = "out1.example.com"
[[delivery.pools.bulk]]
address = "192.0.2.26"
hello = "out2.example.com"
weight = 3
""",
    "limits": """\
[[delivery.limits]]
target = "*.example.net"
connections = 2
per_minute = 60
""",
    "providers": """\
[delivery.providers]
hoster = ["*.mx.hoster.example"]
""",
    "rules": """\
[[delivery.rules]]
name = "our partner is busy"
mta = ".*\\\\.partner\\\\.example"
code = "4.."
verdict = "retry"
scope = "lane"
after = "10m"
""",
}


def _comment(text: str) -> Iterator[str]:
    yield from textwrap.wrap(" ".join(text.split()), 110, initial_indent="# ", subsequent_indent="# ")


def _show(kind: Any, value: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return f"[{', '.join(_show(typing.get_args(kind)[0], each) for each in value)}]"
    if isinstance(value, StrEnum):
        return show_str(value)
    return KINDS[kind].show(value)
