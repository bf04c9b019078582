"""Turns expressions of the tree into functions from a rendering to a value.

Everything that the source alone decides is decided once: operators, known modifiers with their parameters, patterns that
are literals. Nothing is evaluated as Python. Raises PersonalizationError for a literal pattern that is invalid; the
functions raise Fault.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, TypeAlias, assert_never

from smtpeter.content.personalize.functions import FUNCTIONS
from smtpeter.content.personalize.modifiers import build_effect
from smtpeter.content.personalize.modifiers.effect import Effect
from smtpeter.content.personalize.operators import compile_chain
from smtpeter.content.personalize.patterns import Shelf
from smtpeter.content.personalize.run import Evaluate, Run
from smtpeter.content.personalize.tree import (
    Call,
    Chain,
    Expression,
    Index,
    Literal,
    Member,
    Modified,
    Not,
    Path,
    Value,
)
from smtpeter.content.personalize.values import text_of, truth_of

Step: TypeAlias = Callable[[Run, Value], Value]
_MAX_INDEX_DIGITS: Final = 12
_ELEMENTS_A_NODE: Final = 64


def compile_expression(expression: Expression, shelf: Shelf) -> Evaluate:
    """Gives the function that evaluates the expression; its patterns come from the shelf.

    Works from the leaves up, without recursion: the operands of a node are compiled when its own turn comes.
    """
    done: list[Evaluate] = []
    waiting = [(expression, False)]
    while waiting:
        node, has_operands = waiting.pop()
        operands = _operands(node)
        if operands and not has_operands:
            waiting.append((node, True))
            waiting += [(operand, False) for operand in reversed(operands)]
            continue
        first = len(done) - len(operands)
        done[first:] = [_compile(node, tuple(done[first:]), shelf)]
    return done[0]


def _operands(expression: Expression) -> tuple[Expression, ...]:
    match expression:
        case Literal():
            return ()
        case Path(_, steps):
            return tuple([step.key for step in steps if isinstance(step, Index)])
        case Modified(base, _):
            return (base,)
        case Call(_, arguments):
            return arguments
        case Not(operand):
            return (operand,)
        case Chain(_, first, links):
            return (first, *[link.operand for link in links])
        case _:
            assert_never(expression)


def _compile(expression: Expression, operands: tuple[Evaluate, ...], shelf: Shelf) -> Evaluate:
    match expression:
        case Literal(value):
            return lambda _run: value
        case Path():
            return _path(expression, operands)
        case Modified(_, modifiers):
            return _modified([effect for used in modifiers if (effect := build_effect(used, shelf))], operands[0])
        case Call(name, _):
            call = FUNCTIONS[name].call
            return lambda run: call(run, tuple([operand(run) for operand in operands]))
        case Not():
            inner = operands[0]
            return lambda run: not truth_of(inner(run))
        case Chain():
            return compile_chain(expression, operands, shelf)
        case _:
            assert_never(expression)


# paths


def _path(path: Path, keys: tuple[Evaluate, ...]) -> Evaluate:
    read = _variable(path.name)
    if not path.steps:
        return read
    left = iter(keys)
    steps = tuple([_member(step.name) if isinstance(step, Member) else _index(next(left)) for step in path.steps])

    def evaluate(run: Run) -> Value:
        value = read(run)
        for step in steps:
            if value is None:
                return None
            value = step(run, value)
        return value

    return evaluate


def _variable(name: str) -> Evaluate:
    dashed = name.replace("_", "-") if "_" in name else ""

    def read(run: Run) -> Value:
        if name in run.assigned:
            return run.assigned[name]
        value: Value = run.data.get(name)
        if value is None:
            value = run.automatic.get(name)
            if value is None and dashed:
                value = run.data.get(dashed)
        return value

    def read_moment(run: Run) -> Value:
        value = read(run)
        return {"now": int(run.now.timestamp())} if value is None and name not in run.assigned else value

    return read_moment if name == "smarty" else read


def _member(name: str) -> Step:
    dashed = name.replace("_", "-")

    def member(_run: Run, value: Value) -> Value:
        if not isinstance(value, dict):
            return None
        found: Value = value.get(name)
        if found is None and dashed != name:
            found = value.get(dashed)
        return found

    return member


def _index(key: Evaluate) -> Step:
    return lambda run, value: _element(run, value, key(run))


def _element(run: Run, value: Value, key: Value) -> Value:
    """Digits count elements from 0, of an object where no member has that name; other texts name members."""
    if key is None or isinstance(key, list | dict) or not isinstance(value, list | dict):
        return None
    name = text_of(key)
    if isinstance(value, dict) and (found := value.get(name)) is not None:
        member: Value = found
        return member
    if not (name.isascii() and name.isdecimal()) or len(name.lstrip("0")) > _MAX_INDEX_DIGITS:
        return None
    number = int(name.lstrip("0") or "0")
    if number >= len(value):
        return None
    if isinstance(value, list):
        element: Value = value[number]
        return element
    run.spend(number // _ELEMENTS_A_NODE)
    nth: Value = next(islice(value.values(), number, None))
    return nth


# modifiers


def _modified(effects: Sequence[Effect], base: Evaluate) -> Evaluate:
    if not effects:
        return base
    if len(effects) == 1:
        only = effects[0]
        return lambda run: only(run, base(run))

    def evaluate(run: Run) -> Value:
        value = base(run)
        for effect in effects:
            value = effect(run, value)
        return value

    return evaluate
