"""What a template means: the tree that the parser builds and the compiler turns into functions.

Groups `( )` leave no trace. A run of operators of one rank is one `Chain`, and runs of `not` are at most two, so that
the depth of a tree is bounded by the nesting of its brackets and blocks, never by the length of a tag.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

from smtpeter.content.personalize.errors import Place

Value: TypeAlias = str | int | float | bool | list[Any] | dict[str, Any] | None


class Rank(IntEnum):
    """How tightly operators bind, from loose to tight; those of one rank group from the left."""

    OR = 1
    AND = 2
    NOT = 3
    EQUAL = 4
    ORDER = 5
    SUM = 6
    PRODUCT = 7


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, string or boolean that is written in the template."""

    value: Value


@dataclass(frozen=True, slots=True)
class Member:
    """The step `.name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """The step `[expression]`."""

    key: "Expression"


@dataclass(frozen=True, slots=True)
class Path:
    """A variable, and the way from it to a value."""

    name: str
    steps: tuple[Member | Index, ...] = ()


@dataclass(frozen=True, slots=True)
class Modifier:
    """A modifier with its parameters, known or not."""

    name: str
    parameters: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Modified:
    """A path, literal or function call with modifiers, of which there is at least one."""

    base: "Path | Literal | Call"
    modifiers: tuple[Modifier, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function (in lower case) with its arguments, the right number of them."""

    function: str
    arguments: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a truth."""

    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Link:
    """An operator in its first spelling of the grammar, what stands right of it, and where that begins."""

    operator: str
    operand: "Expression"
    place: Place


@dataclass(frozen=True, slots=True)
class Chain:
    """Operators of one rank in a row: `first + link + link`."""

    rank: Rank
    first: "Expression"
    links: tuple[Link, ...]


Expression: TypeAlias = Literal | Path | Modified | Call | Not | Chain


@dataclass(frozen=True, slots=True)
class Tagged:
    """An expression in a tag: where the tag begins, and of how many nodes the expression is made."""

    expression: Expression
    place: Place
    nodes: int


@dataclass(frozen=True, slots=True)
class Text:
    """Text as it goes into the output, not empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Print:
    """`{expression}`."""

    value: Tagged


@dataclass(frozen=True, slots=True)
class Assign:
    """`{assign expression to $name}` or `{$name = expression}`."""

    name: str
    value: Tagged


@dataclass(frozen=True, slots=True)
class Branch:
    """A condition and what is rendered when it is the first that holds."""

    condition: Tagged
    body: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class If:
    """`{if}` with its branches; `otherwise` is the part after `{else}`, empty without one."""

    branches: tuple[Branch, ...]
    otherwise: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class Foreach:
    """`{foreach}`; `key` is "" where no key is asked for, `otherwise` the part after `{foreachelse}`."""

    source: Tagged
    key: str
    item: str
    body: "tuple[Statement, ...]"
    otherwise: "tuple[Statement, ...]"


Statement: TypeAlias = Text | Print | Assign | If | Foreach


@dataclass(frozen=True, slots=True)
class Source:
    """A whole template. `mode` is the name in its first tag ("html" for `{escape}`), "" without one.

    `variables` are the names that are read before the template itself gives them a value.
    """

    body: tuple[Statement, ...]
    mode: str
    variables: frozenset[str]
