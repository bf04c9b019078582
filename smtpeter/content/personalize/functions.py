"""The functions of the language (personalization.md, section 11). Each may raise Fault."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from smtpeter.content.personalize.digests import digest
from smtpeter.content.personalize.run import Run
from smtpeter.content.personalize.tree import Value
from smtpeter.content.personalize.values import text_of


@dataclass(frozen=True, slots=True)
class Function:
    """How many arguments it takes, and what it does with them."""

    arity: int
    call: Callable[[Run, tuple[Value, ...]], Value]


def _hash(run: Run, arguments: tuple[Value, ...]) -> Value:
    value, algorithm = arguments
    return digest(run, value, text_of(algorithm).lower())


FUNCTIONS: Mapping[str, Function] = MappingProxyType({"hash": Function(2, _hash)})
