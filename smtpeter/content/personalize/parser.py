"""Builds the tree of a template from its tokens (the grammar of personalization.md, section 6).

Expressions are read by precedence climbing; what is loose calls what is tighter, so Python's stack grows only with the
nesting of brackets, which is bounded. Blocks are kept on a stack of our own. Raises PersonalizationError.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import isinf
from typing import Final

from smtpeter.content.personalize.errors import PersonalizationError, quote
from smtpeter.content.personalize.functions import FUNCTIONS
from smtpeter.content.personalize.lexer import Lexer, Token
from smtpeter.content.personalize.limits import Limits
from smtpeter.content.personalize.tree import (
    Assign,
    Branch,
    Call,
    Chain,
    Expression,
    Foreach,
    If,
    Index,
    Link,
    Literal,
    Member,
    Modified,
    Modifier,
    Not,
    Path,
    Print,
    Rank,
    Source,
    Statement,
    Tagged,
    Text,
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


def parse(source: str, limits: Limits) -> Source:
    """Gives the tree of a template."""
    return _Parser(source, limits).parse()


@dataclass(slots=True)
class _OpenIf:
    """An `{if}` whose end has not come. `begin` is the offset of its tag, `outer` the body that it stands in."""

    begin: int
    outer: list[Statement]
    condition: Tagged
    branches: list[Branch] = field(default_factory=list)
    has_else: bool = False


@dataclass(slots=True)
class _OpenForeach:
    """A `{foreach}` whose end has not come; `passes` is its body once `{foreachelse}` came."""

    begin: int
    outer: list[Statement]
    source: Tagged
    key: str
    item: str
    passes: tuple[Statement, ...] | None = None


class _Parser:
    """One parse: the lexer, one token ahead, the open blocks, and what the template reads and sets."""

    __slots__ = ("_ahead", "_blocks", "_body", "_depth", "_lexer", "_limits", "_nodes", "_read", "_set")

    def __init__(self, source: str, limits: Limits) -> None:
        self._lexer = Lexer(source, limits)
        self._limits = limits
        self._ahead: Token | None = None
        self._blocks: list[_OpenIf | _OpenForeach] = []
        self._body: list[Statement] = []
        self._depth = 0
        self._nodes = 0
        self._read: set[str] = set()
        self._set: set[str] = set()

    def parse(self) -> Source:
        """Gives the tree."""
        if len(self._lexer.source) > self._limits.max_source:
            raise self._lexer.error(0, f"The source is longer than {self._limits.max_source} characters")
        mode = ""
        self._text()
        while self._lexer.is_in_tag:
            self._nodes = self._depth = 0
            first = self._peek()
            keyword = first.text.lower() if first.kind in ("name", "symbol") else ""
            if keyword in ("escape", "mode"):
                mode = self._mode(keyword)
            elif handler := _TAGS.get(keyword):
                self._next()
                handler(self)
            else:
                self._print_or_assign()
            self._text()
        if self._blocks:
            block = self._blocks[-1]
            keyword = "if" if isinstance(block, _OpenIf) else "foreach"
            raise self._lexer.error(block.begin, f"{{{keyword}}} is not closed")
        return Source(tuple(self._body), mode, frozenset(self._read))

    # tokens

    def _text(self) -> None:
        text = self._lexer.text()
        if text:
            self._body.append(Text(text))

    def _peek(self) -> Token:
        if self._ahead is None:
            self._ahead = self._lexer.token()
        return self._ahead

    def _next(self) -> Token:
        token = self._peek()
        self._ahead = None
        return token

    def _is_next(self, symbol: str) -> bool:
        token = self._peek()
        return token.kind == "symbol" and token.text == symbol

    def _take(self, symbol: str) -> bool:
        """Passes over the symbol if it is next."""
        if self._is_next(symbol):
            self._ahead = None
            return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._take(symbol):
            raise self._unexpected(f"{quote(symbol)} is expected")

    def _word(self) -> str:
        """Gives the next token in lower case if it is a word, else ""."""
        token = self._peek()
        return token.text.lower() if token.kind == "name" else ""

    def _take_kind(self, kind: str, wanted: str) -> Token:
        if self._peek().kind != kind:
            raise self._unexpected(f"{wanted} is expected")
        return self._next()

    def _unexpected(self, advice: str = "") -> PersonalizationError:
        token = self._peek()
        shown = "$" + token.text if token.kind == "variable" else token.text
        what = "end of the tag" if shown == "}" and token.kind == "symbol" else quote(shown)
        return self._lexer.error(token.start, f"Unexpected {what}" + (f"; {advice}" if advice else ""))

    # tags

    def _misplaced(self, keyword: str) -> PersonalizationError:
        return self._lexer.error(self._lexer.tag, f"{{{keyword}}} does not fit here")

    def _mode(self, keyword: str) -> str:
        """Reads `{escape}` or `{mode=name}`, which are only allowed at the very start."""
        word = self._next()
        if keyword == "mode" and not self._is_next("="):
            raise self._lexer.error(word.start, "Unknown word `mode`")
        if self._lexer.tag > 0:
            raise self._misplaced(keyword)
        mode = "html"
        if keyword == "mode":
            self._expect("=")
            mode = self._take_kind("name", "the name of a mode").text
        self._expect("}")
        return mode

    def _delimiter(self, text: str) -> None:
        self._expect("}")
        self._body.append(Text(text))

    def _print_or_assign(self) -> None:
        was_read = self._peek().text in self._read
        value = self._tagged()
        target = value.expression
        if not isinstance(target, Path) or not self._is_next("="):
            self._expect("}")
            self._body.append(Print(value))
            return
        if target.steps:
            raise self._unexpected("only a plain name can be assigned to")
        self._next()
        if not was_read:
            self._read.discard(target.name)
        value = self._tagged()
        self._close_assign(target.name, value)

    def _assign(self) -> None:
        value = self._tagged()
        if self._word() != "to":
            raise self._unexpected("`to` is expected")
        self._next()
        self._close_assign(self._take_kind("variable", "a variable").text, value)

    def _close_assign(self, name: str, value: Tagged) -> None:
        self._expect("}")
        self._body.append(Assign(name, value))
        self._set.add(name)

    # blocks

    def _open(self, block: _OpenIf | _OpenForeach) -> None:
        if len(self._blocks) == self._limits.max_block_depth:
            raise self._lexer.error(block.begin, f"Blocks are nested more than {self._limits.max_block_depth} deep")
        self._blocks.append(block)
        self._body = []

    def _close(self, outer: list[Statement], statement: Statement) -> None:
        self._blocks.pop()
        outer.append(statement)
        self._body = outer

    def _innermost_if(self, keyword: str) -> _OpenIf:
        block = self._blocks[-1] if self._blocks else None
        if not isinstance(block, _OpenIf) or (block.has_else and keyword != "/if"):
            raise self._misplaced(keyword)
        return block

    def _innermost_foreach(self, keyword: str) -> _OpenForeach:
        block = self._blocks[-1] if self._blocks else None
        if not isinstance(block, _OpenForeach) or (block.passes is not None and keyword != "/foreach"):
            raise self._misplaced(keyword)
        return block

    def _if(self) -> None:
        begin = self._lexer.tag
        condition = self._tagged()
        self._expect("}")
        self._open(_OpenIf(begin, self._body, condition))

    def _elseif(self) -> None:
        block = self._innermost_if("elseif")
        condition = self._tagged()
        self._expect("}")
        block.branches.append(Branch(block.condition, tuple(self._body)))
        block.condition, self._body = condition, []

    def _else(self) -> None:
        block = self._innermost_if("else")
        self._expect("}")
        block.branches.append(Branch(block.condition, tuple(self._body)))
        block.has_else, self._body = True, []

    def _end_if(self) -> None:
        block = self._innermost_if("/if")
        self._expect("}")
        body = tuple(self._body)
        if block.has_else:
            self._close(block.outer, If(tuple(block.branches), body))
        else:
            self._close(block.outer, If((*block.branches, Branch(block.condition, body)), ()))

    def _foreach(self) -> None:
        begin = self._lexer.tag
        first = self._peek()
        was_read = first.text in self._read
        if first.kind != "variable":
            raise self._unexpected("a variable is expected")
        source = self._tagged_path()
        key, item = "", ""
        if self._word() == "in" and source.expression == Path(first.text):
            self._next()
            if not was_read:
                self._read.discard(first.text)
            item = first.text
            if self._peek().kind != "variable":
                raise self._unexpected("a variable is expected")
            source = self._tagged_path()
        elif self._word() == "as":
            self._next()
            item = self._take_kind("variable", "a variable").text
            if self._take("=>"):
                key, item = item, self._take_kind("variable", "a variable").text
        else:
            raise self._unexpected("`in` or `as` is expected")
        self._expect("}")
        self._open(_OpenForeach(begin, self._body, source, key, item))
        self._set.update({key, item} - {""})

    def _foreachelse(self) -> None:
        block = self._innermost_foreach("foreachelse")
        self._expect("}")
        block.passes, self._body = tuple(self._body), []

    def _end_foreach(self) -> None:
        block = self._innermost_foreach("/foreach")
        self._expect("}")
        body = tuple(self._body)
        passes, otherwise = (body, ()) if block.passes is None else (block.passes, body)
        self._close(block.outer, Foreach(block.source, block.key, block.item, passes, otherwise))

    def _end(self) -> None:
        """Reads what follows the slash of a closing tag."""
        if self._peek().start > self._lexer.tag + 2:
            raise self._lexer.error(self._lexer.tag + 1, "White space must not follow `/`")
        match self._word():
            case "if":
                self._next()
                self._end_if()
            case "foreach":
                self._next()
                self._end_foreach()
            case "literal":
                raise self._misplaced("/literal")
            case _:
                raise self._unexpected("`if` or `foreach` is expected")

    # expressions

    def _tagged(self) -> Tagged:
        self._nodes = 0
        expression = self._expression(Rank.OR)
        return Tagged(expression, self._lexer.place(self._lexer.tag), self._nodes)

    def _tagged_path(self) -> Tagged:
        self._nodes = 0
        expression = self._modified(self._path())
        return Tagged(expression, self._lexer.place(self._lexer.tag), self._nodes)

    def _operator(self) -> tuple[Rank, str] | None:
        token = self._peek()
        return _OPERATORS.get(token.text.lower()) if token.kind in ("name", "symbol") else None

    def _is_negation(self) -> bool:
        token = self._peek()
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
                self._next()
                self._nodes += 1
                place = self._lexer.place(self._peek().start)
                links.append(Link(found[1], self._expression(rank + 1), place))
                found = self._operator()
            left = Chain(rank, left, tuple(links))
        return left

    def _negation(self) -> Expression:
        is_odd = False
        while self._is_negation():
            self._next()
            self._nodes += 1
            is_odd = not is_odd
        operand = Not(self._expression(Rank.EQUAL))
        return operand if is_odd else Not(operand)

    def _operand(self) -> Expression:
        self._nodes += 1
        token = self._peek()
        if token.kind == "variable":
            return self._modified(self._path())
        if self._is_next("("):
            return self._group()
        if token.kind == "name" and token.text.lower() not in _BOOLEANS:
            return self._modified(self._call())
        return self._modified(Literal(self._literal("a value")))

    def _group(self) -> Expression:
        self._deeper()
        self._next()
        inner = self._expression(Rank.OR)
        self._expect(")")
        self._depth -= 1
        return inner

    def _deeper(self) -> None:
        if self._depth == self._limits.max_bracket_depth:
            raise self._lexer.error(
                self._peek().start, f"Brackets are nested more than {self._limits.max_bracket_depth} deep"
            )
        self._depth += 1

    def _path(self) -> Path:
        name = self._next().text
        if name not in self._set:
            self._read.add(name)
        steps: list[Member | Index] = []
        while True:
            if self._take("."):
                steps.append(Member(self._take_kind("name", "the name of a member").text))
            elif self._is_next("["):
                self._deeper()
                self._next()
                steps.append(Index(self._expression(Rank.OR)))
                self._expect("]")
                self._depth -= 1
            else:
                return Path(name, tuple(steps))
            self._nodes += 1

    def _call(self) -> Call:
        word = self._next()
        if not self._is_next("("):
            raise self._lexer.error(word.start, f"Unknown word {quote(word.text)}")
        function = FUNCTIONS.get(word.text.lower())
        if not function:
            raise self._lexer.error(word.start, f"Unknown function {quote(word.text)}")
        self._deeper()
        self._next()
        arguments = [self._expression(Rank.OR)]
        while len(arguments) < function.arity:
            self._expect(",")
            arguments.append(self._expression(Rank.OR))
        self._expect(")")
        self._depth -= 1
        return Call(word.text.lower(), tuple(arguments))

    def _modified(self, base: Path | Literal | Call) -> Path | Literal | Call | Modified:
        modifiers = []
        while self._take("|"):
            self._nodes += 1
            name = self._take_kind("name", "the name of a modifier").text
            parameters = []
            while self._take(":"):
                parameters.append(self._literal("a number, string or boolean"))
            modifiers.append(Modifier(name, tuple(parameters)))
        return Modified(base, tuple(modifiers)) if modifiers else base

    def _literal(self, wanted: str) -> Value:
        token = self._peek()
        match token.kind:
            case "string":
                return self._next().text
            case "integer" | "decimal":
                return self._number("")
            case "name" if token.text.lower() in _BOOLEANS:
                return _BOOLEANS[self._next().text.lower()]
            case "symbol" if token.text == "-":
                # only directly before a number: there is no other unary minus
                if self._lexer.source[token.start + 1 : token.start + 2].isdecimal():
                    self._next()
                    return self._number("-")
        raise self._unexpected(f"{wanted} is expected")

    def _number(self, sign: str) -> Value:
        token = self._peek()
        if token.kind not in ("integer", "decimal"):
            raise self._unexpected("a number is expected")
        value = parse_number(sign + token.text)
        if isinf(value):
            raise self._unexpected("the number is too large")
        self._next()
        return value


# the first word of a tag, or its slash -> what reads the rest
_TAGS: Final[Mapping[str, Callable[[_Parser], None]]] = {
    "if": _Parser._if,
    "elseif": _Parser._elseif,
    "else": _Parser._else,
    "endif": _Parser._end_if,
    "foreach": _Parser._foreach,
    "foreachelse": _Parser._foreachelse,
    "assign": _Parser._assign,
    "/": _Parser._end,
    **{word: partial(_Parser._delimiter, text=text) for word, text in (("ldelim", "{"), ("rdelim", "}"))},
}
