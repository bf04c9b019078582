"""Builds the tree of a template from its tokens (the grammar of personalization.md, section 6).

Blocks are kept on a stack of our own, so their nesting takes none of Python's. Raises PersonalizationError.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from smtpeter.content.personalize.errors import PersonalizationError
from smtpeter.content.personalize.expression_parser import ExpressionParser
from smtpeter.content.personalize.limits import Limits
from smtpeter.content.personalize.tree import (
    Assign,
    Branch,
    Foreach,
    If,
    Path,
    Print,
    Source,
    Statement,
    Tagged,
    Text,
)


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


class _Parser(ExpressionParser):
    """One parse: the blocks that are open, and the body that statements go to now."""

    __slots__ = ("_blocks", "_body")

    def __init__(self, source: str, limits: Limits) -> None:
        super().__init__(source, limits)
        self._blocks: list[_OpenIf | _OpenForeach] = []
        self._body: list[Statement] = []

    def parse(self) -> Source:
        """Gives the tree."""
        if len(self.lexer.source) > self._limits.max_source:
            raise self.lexer.error(0, f"The source is longer than {self._limits.max_source} characters")
        mode = ""
        self._text()
        while self.lexer.is_in_tag:
            first = self.peek()
            keyword = first.text.lower() if first.kind in ("name", "symbol") else ""
            if keyword in ("escape", "mode"):
                mode = self._mode(keyword)
            elif handler := _TAGS.get(keyword):
                self.next()
                handler(self)
            else:
                self._print_or_assign()
            self._text()
        if self._blocks:
            block = self._blocks[-1]
            keyword = "if" if isinstance(block, _OpenIf) else "foreach"
            raise self.lexer.error(block.begin, f"{{{keyword}}} is not closed")
        return Source(tuple(self._body), mode, frozenset(self.read))

    def _text(self) -> None:
        text = self.lexer.text()
        if text:
            self._body.append(Text(text))

    # tags

    def _misplaced(self, keyword: str) -> PersonalizationError:
        return self.lexer.error(self.lexer.tag, f"{{{keyword}}} does not fit here")

    def _mode(self, keyword: str) -> str:
        """Reads `{escape}` or `{mode=name}`, which are only allowed at the very start."""
        word = self.next()
        if keyword == "mode" and not self.is_next("="):
            raise self.lexer.error(word.start, "Unknown word `mode`")
        if self.lexer.tag > 0:
            raise self._misplaced(keyword)
        mode = "html"
        if keyword == "mode":
            self.expect("=")
            mode = self.take_kind("name", "the name of a mode").text
        self.expect("}")
        return mode

    def _delimiter(self, text: str) -> None:
        self.expect("}")
        self._body.append(Text(text))

    def _print_or_assign(self) -> None:
        was_read = self.peek().text in self.read
        value = self.tagged()
        target = value.expression
        if not isinstance(target, Path) or not self.is_next("="):
            self.expect("}")
            self._body.append(Print(value))
            return
        if target.steps:
            raise self.unexpected("only a plain name can be assigned to")
        self.next()
        if not was_read:
            self.read.discard(target.name)
        value = self.tagged()
        self._close_assign(target.name, value)

    def _assign(self) -> None:
        value = self.tagged()
        if self.word() != "to":
            raise self.unexpected("`to` is expected")
        self.next()
        self._close_assign(self.take_kind("variable", "a variable").text, value)

    def _close_assign(self, name: str, value: Tagged) -> None:
        self.expect("}")
        self._body.append(Assign(name, value))
        self.assigned.add(name)

    # blocks

    def _open(self, block: _OpenIf | _OpenForeach) -> None:
        if len(self._blocks) == self._limits.max_block_depth:
            raise self.lexer.error(block.begin, f"Blocks are nested more than {self._limits.max_block_depth} deep")
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
        begin = self.lexer.tag
        condition = self.tagged()
        self.expect("}")
        self._open(_OpenIf(begin, self._body, condition))

    def _elseif(self) -> None:
        block = self._innermost_if("elseif")
        condition = self.tagged()
        self.expect("}")
        block.branches.append(Branch(block.condition, tuple(self._body)))
        block.condition, self._body = condition, []

    def _else(self) -> None:
        block = self._innermost_if("else")
        self.expect("}")
        block.branches.append(Branch(block.condition, tuple(self._body)))
        block.has_else, self._body = True, []

    def _end_if(self) -> None:
        block = self._innermost_if("/if")
        self.expect("}")
        body = tuple(self._body)
        if block.has_else:
            self._close(block.outer, If(tuple(block.branches), body))
        else:
            self._close(block.outer, If((*block.branches, Branch(block.condition, body)), ()))

    def _foreach(self) -> None:
        begin = self.lexer.tag
        first = self.peek()
        was_read = first.text in self.read
        if first.kind != "variable":
            raise self.unexpected("a variable is expected")
        source = self.tagged_path()
        key, item = "", ""
        if self.word() == "in" and source.expression == Path(first.text):
            self.next()
            if not was_read:
                self.read.discard(first.text)
            item = first.text
            if self.peek().kind != "variable":
                raise self.unexpected("a variable is expected")
            source = self.tagged_path()
        elif self.word() == "as":
            self.next()
            item = self.take_kind("variable", "a variable").text
            if self.take("=>"):
                key, item = item, self.take_kind("variable", "a variable").text
        else:
            raise self.unexpected("`in` or `as` is expected")
        self.expect("}")
        self._open(_OpenForeach(begin, self._body, source, key, item))
        self.assigned.update({key, item} - {""})

    def _foreachelse(self) -> None:
        block = self._innermost_foreach("foreachelse")
        self.expect("}")
        block.passes, self._body = tuple(self._body), []

    def _end_foreach(self) -> None:
        block = self._innermost_foreach("/foreach")
        self.expect("}")
        body = tuple(self._body)
        passes, otherwise = (body, ()) if block.passes is None else (block.passes, body)
        self._close(block.outer, Foreach(block.source, block.key, block.item, passes, otherwise))

    def _end(self) -> None:
        """Reads what follows the slash of a closing tag."""
        if self.peek().start > self.lexer.tag + 2:
            raise self.lexer.error(self.lexer.tag + 1, "White space must not follow `/`")
        match self.word():
            case "if":
                self.next()
                self._end_if()
            case "foreach":
                self.next()
                self._end_foreach()
            case "literal":
                raise self._misplaced("/literal")
            case _:
                raise self.unexpected("`if` or `foreach` is expected")


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
