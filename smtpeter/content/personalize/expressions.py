"""Turns expressions of the tree into functions from a rendering to a value.

Everything that the source alone decides is decided here, once: operators, known modifiers with their parameters,
patterns that are literals, how `==` compares. Nothing is evaluated as Python. Raises PersonalizationError for a literal
pattern that is invalid; the functions raise Fault.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias, assert_never

from smtpeter.content.personalize.errors import Fault, Kind, PersonalizationError
from smtpeter.content.personalize.functions import FUNCTIONS
from smtpeter.content.personalize.modifiers import build_effect
from smtpeter.content.personalize.modifiers.effect import Effect
from smtpeter.content.personalize.patterns import Shelf, matches, pattern_from_data
from smtpeter.content.personalize.run import Run
from smtpeter.content.personalize.tree import (
    Call,
    Chain,
    Expression,
    Index,
    Link,
    Literal,
    Member,
    Modified,
    Not,
    Path,
    Rank,
    Value,
)
from smtpeter.content.personalize.values import as_decimal, comparable, normal, number_of, text_of, truth_of

Evaluate: TypeAlias = Callable[[Run], Value]
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
            if expression.rank == Rank.EQUAL:
                return _equality(expression, operands, shelf)
            return _CHAINS[expression.rank](expression, operands)
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


# operators


def _any(_chain: Chain, operands: tuple[Evaluate, ...]) -> Evaluate:
    def evaluate(run: Run) -> Value:
        for operand in operands:  # noqa: SIM110 - a loop takes less of Python's stack than any()
            if truth_of(operand(run)):
                return True
        return False

    return evaluate


def _all(_chain: Chain, operands: tuple[Evaluate, ...]) -> Evaluate:
    def evaluate(run: Run) -> Value:
        for operand in operands:  # noqa: SIM110
            if not truth_of(operand(run)):
                return False
        return True

    return evaluate


def _number(run: Run, value: Value) -> int | float:
    if isinstance(value, str):
        run.read(len(value))
    return number_of(value)


def _folded(chain: Chain, operands: tuple[Evaluate, ...]) -> Evaluate:
    """Makes the evaluation of operators on numbers, from the left."""
    first = operands[0]
    links = tuple(
        [(_ON_NUMBERS[link.operator], operand) for link, operand in zip(chain.links, operands[1:], strict=True)]
    )

    def evaluate(run: Run) -> Value:
        value = first(run)
        for function, operand in links:
            left = _number(run, value)
            value = function(left, _number(run, operand(run)))
        return value

    return evaluate


def _calculated(function: Callable[[Any, Any], int | float]) -> Callable[[int | float, int | float], Value]:
    def calculate(left: int | float, right: int | float) -> Value:
        if isinstance(left, int) and isinstance(right, int):
            return normal(function(left, right))
        return as_decimal(function(as_decimal(left), as_decimal(right)))

    return calculate


def _divide(left: int | float, right: int | float) -> Value:
    if right == 0:
        raise Fault("Division by zero")
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return normal(left // right)
    return as_decimal(as_decimal(left) / as_decimal(right))


def _remainder(left: int | float, right: int | float) -> Value:
    """Both sides are cut to integers; the sign is that of the left side."""
    dividend, divisor = int(left), int(right)
    if divisor == 0:
        raise Fault("Division by zero")
    rest = abs(dividend) % abs(divisor)
    return normal(-rest if dividend < 0 else rest)


_ON_NUMBERS: Final[Mapping[str, Callable[[int | float, int | float], Value]]] = {
    "+": _calculated(operator.add),
    "-": _calculated(operator.sub),
    "*": _calculated(operator.mul),
    "/": _divide,
    "%": _remainder,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

# equality

Compare: TypeAlias = Callable[[Run, Value, Value], bool]


def _equal_numbers(run: Run, left: Value, right: Value) -> bool:
    for side in (left, right):
        run.read(len(side) if isinstance(side, str) else 0)
    first, second = comparable(left), comparable(right)
    return first is not None and first == second


def _equal_truths(_run: Run, left: Value, right: Value) -> bool:
    return truth_of(left) == truth_of(right)


def _equal_texts(run: Run, left: Value, right: Value) -> bool:
    first, second = text_of(left), text_of(right)
    if len(first) != len(second):
        return False
    run.read(len(first))
    return first == second


def _is_number(expression: Expression) -> bool:
    """True for what is a number by its written form."""
    match expression:
        case Literal(value):
            return isinstance(value, int | float) and not isinstance(value, bool)
        case Chain(rank):
            return rank >= Rank.SUM
        case _:
            return False


def _is_truth(expression: Expression) -> bool:
    """True for what is a truth by its written form."""
    match expression:
        case Literal(value):
            return isinstance(value, bool)
        case Chain(rank):
            return rank < Rank.SUM
        case Not():
            return True
        case _:
            return False


def _comparison(left: Expression, right: Expression) -> Compare:
    if _is_number(left) or _is_number(right):
        return _equal_numbers
    return _equal_truths if _is_truth(left) or _is_truth(right) else _equal_texts


def _negated(compare: Compare) -> Compare:
    return lambda run, left, right: not compare(run, left, right)


def _search(link: Link, shelf: Shelf) -> Compare:
    if isinstance(link.operand, Literal):
        pattern = shelf.compile(text_of(link.operand.value))
        if pattern is None:
            raise PersonalizationError(Kind.COMPILE, *link.place, "Invalid regular expression")
        return lambda run, left, _right: matches(run, pattern, text_of(left))
    return lambda run, left, right: matches(run, pattern_from_data(run, text_of(right)), text_of(left))


def _equality(chain: Chain, operands: tuple[Evaluate, ...], shelf: Shelf) -> Evaluate:
    first = operands[0]
    links: list[tuple[Compare, Evaluate]] = []
    left = chain.first
    for link, operand in zip(chain.links, operands[1:], strict=True):
        match link.operator:
            case "=~":
                compare = _search(link, shelf)
            case "==":
                compare = _comparison(left, link.operand)
            case _:
                compare = _negated(_comparison(left, link.operand))
        links.append((compare, operand))
        left = Not(chain.first)  # what stands left of a second operator is a truth
    steps = tuple(links)

    def evaluate(run: Run) -> Value:
        value = first(run)
        for compare, right in steps:
            value = compare(run, value, right(run))
        return value

    return evaluate


_CHAINS: Final[Mapping[Rank, Callable[[Chain, tuple[Evaluate, ...]], Evaluate]]] = {
    Rank.OR: _any,
    Rank.AND: _all,
    Rank.ORDER: _folded,
    Rank.SUM: _folded,
    Rank.PRODUCT: _folded,
}
