"""Reads the expressions in tags, and gives the statements their tokens (personalization.md, sections 3, 4 and 6).

Precedence climbing: what is loose calls what is tighter, so Python's stack grows only with the nesting of brackets,
which is bounded. Raises PersonalizationError.
"""

from math import isinf
from typing import Final

from smtpeter.content.personalize.errors import PersonalizationError, quote
from smtpeter.content.personalize.functions import FUNCTIONS
from smtpeter.content.personalize.lexer import Lexer, Token
from smtpeter.content.personalize.limits import Limits
from smtpeter.content.personalize.tree import (
    Call,
    Chain,
    Expression,
    Index,
    Link,
    Literal,
    Member,
    Modified,
    Modifier,
    Not,
    Path,
    Rank,
    Tagged,
    Value,
)
from smtpeter.content.personalize.values import parse_number

# every spelling -> its rank and the spelling that the tree holds; words in lower case
_OPERATORS: Final = {
    **dict.fromkeys(("||", "or"), (Rank.OR, "||")),
    **dict.fromkeys(("&&", "and"), (Rank.AND, "&&")),
    **dict.fromkeys(("==", "eq"), (Rank.EQUAL, "==")),
    **dict.fromkeys(("!=", "<>", "ne"), (Rank.EQUAL, "!=")),
    "=~": (Rank.EQUAL, "=~"),
    **dict.fromkeys(("<", "lt"), (Rank.ORDER, "<")),
    **dict.fromkeys(("<=", "le", "lte"), (Rank.ORDER, "<=")),
    **dict.fromkeys((">", "gt"), (Rank.ORDER, ">")),
    **dict.fromkeys((">=", "ge", "gte"), (Rank.ORDER, ">=")),
    **{sign: (Rank.SUM, sign) for sign in "+-"},
    **{sign: (Rank.PRODUCT, sign) for sign in "*/%"},
}
_BOOLEANS: Final = {"true": True, "false": False}


class ExpressionParser:
    """The tokens of a source with one token ahead. `read` are the names read before they were `assigned`."""

    __slots__ = ("_ahead", "_depth", "_limits", "_nodes", "assigned", "lexer", "read")

    def __init__(self, source: str, limits: Limits) -> None:
        self.lexer = Lexer(source, limits)
        self.read: set[str] = set()
        self.assigned: set[str] = set()
        self._limits = limits
        self._ahead: Token | None = None
        self._depth = 0
        self._nodes = 0

    # tokens

    def peek(self) -> Token:
        """Gives the next token of the tag and leaves it."""
        if self._ahead is None:
            self._ahead = self.lexer.token()
        return self._ahead

    def next(self) -> Token:
        """Takes the next token."""
        token = self.peek()
        self._ahead = None
        return token

    def is_next(self, symbol: str) -> bool:
        """True if the next token is this symbol."""
        token = self.peek()
        return token.kind == "symbol" and token.text == symbol

    def take(self, symbol: str) -> bool:
        """Passes over the symbol if it is next."""
        if self.is_next(symbol):
            self._ahead = None
            return True
        return False

    def expect(self, symbol: str) -> None:
        """Passes over the symbol, which must be next."""
        if not self.take(symbol):
            raise self.unexpected(f"{quote(symbol)} is expected")

    def word(self) -> str:
        """Gives the next token in lower case if it is a word, else ""."""
        token = self.peek()
        return token.text.lower() if token.kind == "name" else ""

    def take_kind(self, kind: str, wanted: str) -> Token:
        """Takes the next token, which must be of this kind; `wanted` says so in an error."""
        if self.peek().kind != kind:
            raise self.unexpected(f"{wanted} is expected")
        return self.next()

    def unexpected(self, advice: str = "") -> PersonalizationError:
        """Makes the error for the next token."""
        token = self.peek()
        shown = "$" + token.text if token.kind == "variable" else token.text
        what = "end of the tag" if shown == "}" and token.kind == "symbol" else quote(shown)
        return self.lexer.error(token.start, f"Unexpected {what}" + (f"; {advice}" if advice else ""))

    # expressions

    def tagged(self) -> Tagged:
        """Reads an expression of any kind."""
        self._nodes = 0
        expression = self._expression(Rank.OR)
        return Tagged(expression, self.lexer.place(self.lexer.tag), self._nodes)

    def tagged_path(self) -> Tagged:
        """Reads a path, perhaps with modifiers; a variable must be next."""
        self._nodes = 0
        expression = self._modified(self._path())
        return Tagged(expression, self.lexer.place(self.lexer.tag), self._nodes)

    def _operator(self) -> tuple[Rank, str] | None:
        token = self.peek()
        return _OPERATORS.get(token.text.lower()) if token.kind in ("name", "symbol") else None

    def _is_negation(self) -> bool:
        token = self.peek()
        return token.kind in ("name", "symbol") and token.text.lower() in ("not", "!")

    def _expression(self, loosest: int) -> Expression:
        """Reads operands and the operators between them that bind as tightly as `loosest`, or tighter."""
        if loosest <= Rank.NOT and self._is_negation():
            left = self._negation()
        else:
            left = self._operand()
        while (found := self._operator()) and found[0] >= loosest:
            rank, links = found[0], []
            while found and found[0] == rank:
                self.next()
                self._nodes += 1
                place = self.lexer.place(self.peek().start)
                links.append(Link(found[1], self._expression(rank + 1), place))
                found = self._operator()
            left = Chain(rank, left, tuple(links))
        return left

    def _negation(self) -> Expression:
        is_odd = False
        while self._is_negation():
            self.next()
            self._nodes += 1
            is_odd = not is_odd
        operand = Not(self._expression(Rank.EQUAL))
        return operand if is_odd else Not(operand)

    def _operand(self) -> Expression:
        self._nodes += 1
        token = self.peek()
        if token.kind == "variable":
            return self._modified(self._path())
        if self.is_next("("):
            return self._group()
        if token.kind == "name" and token.text.lower() not in _BOOLEANS:
            return self._modified(self._call())
        return self._modified(Literal(self._literal("a value")))

    def _group(self) -> Expression:
        self._deeper()
        self.next()
        inner = self._expression(Rank.OR)
        self.expect(")")
        self._depth -= 1
        return inner

    def _deeper(self) -> None:
        if self._depth == self._limits.max_bracket_depth:
            raise self.lexer.error(
                self.peek().start, f"Brackets are nested more than {self._limits.max_bracket_depth} deep"
            )
        self._depth += 1

    def _path(self) -> Path:
        name = self.next().text
        if name not in self.assigned:
            self.read.add(name)
        steps: list[Member | Index] = []
        while True:
            if self.take("."):
                steps.append(Member(self.take_kind("name", "the name of a member").text))
            elif self.is_next("["):
                self._deeper()
                self.next()
                steps.append(Index(self._expression(Rank.OR)))
                self.expect("]")
                self._depth -= 1
            else:
                return Path(name, tuple(steps))
            self._nodes += 1

    def _call(self) -> Call:
        word = self.next()
        if not self.is_next("("):
            raise self.lexer.error(word.start, f"Unknown word {quote(word.text)}")
        function = FUNCTIONS.get(word.text.lower())
        if not function:
            raise self.lexer.error(word.start, f"Unknown function {quote(word.text)}")
        self._deeper()
        self.next()
        arguments = [self._expression(Rank.OR)]
        while len(arguments) < function.arity:
            self.expect(",")
            arguments.append(self._expression(Rank.OR))
        self.expect(")")
        self._depth -= 1
        return Call(word.text.lower(), tuple(arguments))

    def _modified(self, base: Path | Literal | Call) -> Path | Literal | Call | Modified:
        modifiers = []
        while self.take("|"):
            self._nodes += 1
            name = self.take_kind("name", "the name of a modifier").text
            parameters = []
            while self.take(":"):
                parameters.append(self._literal("a number, string or boolean"))
            modifiers.append(Modifier(name, tuple(parameters)))
        return Modified(base, tuple(modifiers)) if modifiers else base

    def _literal(self, wanted: str) -> Value:
        token = self.peek()
        match token.kind:
            case "string":
                return self.next().text
            case "integer" | "decimal":
                return self._number("")
            case "name" if token.text.lower() in _BOOLEANS:
                return _BOOLEANS[self.next().text.lower()]
            case "symbol" if token.text == "-":
                # only directly before a number: there is no other unary minus
                if self.lexer.source[token.start + 1 : token.start + 2].isdecimal():
                    self.next()
                    return self._number("-")
        raise self.unexpected(f"{wanted} is expected")

    def _number(self, sign: str) -> Value:
        token = self.peek()
        if token.kind not in ("integer", "decimal"):
            raise self.unexpected("a number is expected")
        value = parse_number(sign + token.text)
        if isinf(value):
            raise self.unexpected("the number is too large")
        self.next()
        return value
