"""Compiles a source into a template, and renders it: the entrance of the language.

A template is a row of functions, one for each text and tag, that write into a `Run`. It is immutable and may be used by
many threads at once. Rendering reads no clock of its own: the moment "now" comes in, and so does the clock that watches
over time, if there is to be one. Raises PersonalizationError.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from types import MappingProxyType
from typing import Any, Final, TypeAlias, assert_never

from smtpeter.content.personalize.encode import ENCODERS, Escape
from smtpeter.content.personalize.errors import Fault, Kind, PersonalizationError
from smtpeter.content.personalize.expressions import compile_expression
from smtpeter.content.personalize.limits import DEFAULT_LIMITS, Limits
from smtpeter.content.personalize.parser import parse
from smtpeter.content.personalize.patterns import Shelf
from smtpeter.content.personalize.run import Clock, Evaluate, Run
from smtpeter.content.personalize.tree import (
    Assign,
    Call,
    Expression,
    Foreach,
    If,
    Modified,
    Path,
    Print,
    Statement,
    Tagged,
    Text,
    Value,
)
from smtpeter.content.personalize.values import text_of, truth_of

Perform: TypeAlias = Callable[[Run], None]
Encode: TypeAlias = Callable[[str], str]

_MODES: Final = {str(escape): escape for escape in Escape}  # unknown ones change nothing
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Pieces:
    """A rendered text: `texts` as they stand in the template and, at the places `printed` (ascending), values."""

    texts: tuple[str, ...]
    printed: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The text as it is read."""
        return "".join(self.texts)


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled source. `variables` are the names that it reads from the data, automatic variables among them."""

    variables: frozenset[str]
    _body: tuple[Perform, ...]
    _limits: Limits

    def render(
        self,
        data: Mapping[str, Any],
        *,
        now: datetime,
        automatic: Mapping[str, str] = _NOTHING,
        clock: Clock | None = None,
    ) -> str:
        """Gives the text for this data, JSON values that must not change meanwhile.

        `now` is the time of acceptance, with a zone; `automatic` holds `recipient`, `envelope` and the like.
        """
        return self.pieces(data, now=now, automatic=automatic, clock=clock).text

    def pieces(
        self,
        data: Mapping[str, Any],
        *,
        now: datetime,
        automatic: Mapping[str, str] = _NOTHING,
        clock: Clock | None = None,
    ) -> Pieces:
        """Gives what `render` gives, and which of it are values."""
        run = Run(data, automatic, now, self._limits, clock)
        try:
            for perform in self._body:
                perform(run)
        except Fault as fault:
            raise PersonalizationError(fault.kind, *run.at, fault.reason) from None
        except RecursionError:
            # the limits on nesting leave room; only a caller that is very deep itself comes here
            raise PersonalizationError(Kind.LIMIT, *run.at, "Expressions or blocks are nested too deep") from None
        return Pieces(tuple(run.out), tuple(run.printed))


def compile_text(source: str, *, escape: Escape | None = None, limits: Limits = DEFAULT_LIMITS) -> Template:
    """Compiles one field. `escape` overrides what the source says of output encoding in its first tag."""
    tree = parse(source, limits)
    chosen = escape or _MODES.get(tree.mode.lower(), Escape.RAW)
    return Template(tree.variables, _Compiler(ENCODERS.get(chosen)).body(tree.body), limits)


class _Compiler:
    """Turns statements into functions that write; `encode` is what printed values go through, if anything."""

    __slots__ = ("_encode", "_shelf")

    def __init__(self, encode: Encode | None) -> None:
        self._encode = encode
        self._shelf = Shelf()

    def body(self, statements: tuple[Statement, ...]) -> tuple[Perform, ...]:
        """Gives a function for each statement; texts that follow each other become one."""
        performs: list[Perform] = []
        for is_text, group in groupby(statements, lambda statement: isinstance(statement, Text)):
            if is_text:
                performs.append(_write("".join([part.text for part in group if isinstance(part, Text)])))
            else:
                performs += [self._statement(statement) for statement in group]
        return tuple(performs)

    def _statement(self, statement: Statement) -> Perform:
        match statement:
            case Text(text):
                return _write(text)
            case Print(value):
                return self._print(value)
            case Assign(name, value):
                return self._assign(name, value)
            case If():
                return self._if(statement)
            case Foreach():
                return self._foreach(statement)
            case _:
                assert_never(statement)

    def _print(self, value: Tagged) -> Perform:
        evaluate, place, nodes = self._compile(value), value.place, value.nodes
        encode = self._encode if _is_encoded(value.expression) else None

        def show(run: Run) -> None:
            run.at = place
            run.spend(nodes)
            result = evaluate(run)
            if encode and isinstance(result, str):
                run.read(len(result))
                result = encode(result)
            run.show(result if isinstance(result, str) else text_of(result))

        return show

    def _compile(self, value: Tagged) -> Evaluate:
        try:
            return compile_expression(value.expression, self._shelf)
        except Fault as fault:
            raise PersonalizationError(Kind.COMPILE, *value.place, fault.reason) from None

    def _evaluated(self, value: Tagged) -> Evaluate:
        """Gives the evaluation of an expression in its tag: the position is noted, the work counted."""
        evaluate, place, nodes = self._compile(value), value.place, value.nodes

        def at_tag(run: Run) -> Value:
            run.at = place
            run.spend(nodes)
            return evaluate(run)

        return at_tag

    def _condition(self, condition: Tagged) -> Callable[[Run], bool]:
        evaluate = self._evaluated(condition)
        return lambda run: truth_of(evaluate(run))

    def _assign(self, name: str, value: Tagged) -> Perform:
        evaluate = self._evaluated(value)

        def assign(run: Run) -> None:
            run.assigned[name] = evaluate(run)

        return assign

    def _if(self, statement: If) -> Perform:
        branches = tuple([(self._condition(branch.condition), self.body(branch.body)) for branch in statement.branches])
        otherwise = self.body(statement.otherwise)

        def choose(run: Run) -> None:
            for holds, body in branches:
                if holds(run):
                    for perform in body:
                        perform(run)
                    return
            for perform in otherwise:
                perform(run)

        return choose

    def _foreach(self, statement: Foreach) -> Perform:
        source = self._evaluated(statement.source)
        place, key_name, item_name = statement.source.place, statement.key, statement.item
        body, otherwise = self.body(statement.body), self.body(statement.otherwise)

        def loop(run: Run) -> None:
            values = source(run)
            if not values or not isinstance(values, list | dict):
                for perform in otherwise:
                    perform(run)
                return
            for key, item in values.items() if isinstance(values, dict) else enumerate(values):
                run.at = place
                run.begin_pass()
                if key_name:
                    run.assigned[key_name] = key
                run.assigned[item_name] = item
                for perform in body:
                    perform(run)

        return loop


def _write(text: str) -> Perform:
    def write(run: Run) -> None:
        run.spend(1)
        run.write(text)

    return write


def _is_encoded(expression: Expression) -> bool:
    """True for what output encoding concerns: paths, function results and modified values, unless `raw` is used."""
    match expression:
        case Path() | Call():
            return True
        case Modified(_, modifiers):
            return all(modifier.name != "raw" for modifier in modifiers)
        case _:
            return False
