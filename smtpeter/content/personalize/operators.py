"""What operators do: logic, arithmetic, order, equality, patterns (personalization.md, section 6).

A row of operators of one rank becomes one function. How `==` compares is known from the source alone and decided here.
Raises PersonalizationError for a literal pattern that is invalid; the functions raise Fault.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from smtpeter.content.personalize.errors import Fault, Kind, PersonalizationError
from smtpeter.content.personalize.patterns import Shelf, matches, pattern_from_data
from smtpeter.content.personalize.run import Evaluate, Run
from smtpeter.content.personalize.tree import Chain, Expression, Link, Literal, Not, Rank, Value
from smtpeter.content.personalize.values import as_decimal, comparable, normal, number_of, text_of, truth_of

Compare: TypeAlias = Callable[[Run, Value, Value], bool]


def compile_chain(chain: Chain, operands: tuple[Evaluate, ...], shelf: Shelf) -> Evaluate:
    """Gives the function that evaluates a row of operators; `operands` are those of the chain, compiled."""
    if chain.rank == Rank.EQUAL:
        return _equality(chain, operands, shelf)
    return _RANKS[chain.rank](chain, operands)


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


_RANKS: Final[Mapping[Rank, Callable[[Chain, tuple[Evaluate, ...]], Evaluate]]] = {
    Rank.OR: _any,
    Rank.AND: _all,
    Rank.ORDER: _folded,
    Rank.SUM: _folded,
    Rank.PRODUCT: _folded,
}
