r"""Regular expressions that an operator may write and a hostile host may not make slow.

Python's matcher tries alternatives one after another, and a pattern such as `(a+)+$` takes it more steps than there
are atoms, on a text of 100 letters. So a pattern is read before it is compiled, in a grammar that leaves out what cannot be bounded, and the ways
in which it may be tried on a text of 1 KiB (all that is kept of a reply) are counted: places where it may start, times lengths
of each repeat, times branches. A repeat within a repeat is refused, for there the number has no bound.

    pattern  = branch *("|" branch)
    branch   = *( atom [ repeat ] )
    atom     = character / "." / "^" / "$" / "\" escape / "[" class "]" / "(" [ "?:" / "?=" / "?!" ] pattern ")"
    repeat   = ( "*" / "+" / "?" / "{" m [ "," [ n ] ] "}" ) [ "?" ]

Reading also finds words of which a text must have one; looking for these first spares most texts the pattern. Letters
of ASCII match in any case. Raises ValueError with a sentence that says what to change.
"""

import re
from dataclasses import dataclass

MAX_SOURCE = 600  # characters of a pattern
MAX_TEXT = 1024  # characters that a pattern is tried on (T3)
MAX_WAYS = 1 << 22  # about a tenth of a second when a text is made for it
MAX_DEPTH = 8  # groups within groups
MIN_WORD = 3  # shorter words are in most texts

_REPEAT = re.compile(r"(?:([*+?])|\{([0-9]{1,4})(,([0-9]{0,4}))?\})(\??)")
_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\\[]|\\.)*\]")
_SIMPLE = {"*": (0, MAX_TEXT), "+": (1, MAX_TEXT), "?": (0, 1)}
_ESCAPES = "dDwWsSbBAZ"  # of letters; every other escaped letter or digit would mean something else


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled pattern, and words (small letters) of which every text that it is found in has one; (): unknown."""

    pattern: re.Pattern[str]
    words: tuple[str, ...]

    def is_found_in(self, text: str, lowered: str) -> bool:
        """True when the pattern matches somewhere in the text; `lowered` is the same text in small letters."""
        if self.words:
            for word in self.words:
                if word in lowered:
                    break
            else:
                return False
        return self.pattern.search(text) is not None

    def is_all_of(self, text: str) -> bool:
        """True when the pattern matches the whole text."""
        return self.pattern.fullmatch(text) is not None


def read_expression(source: object) -> Expression:
    """Reads and compiles a pattern. Raises ValueError when it cannot be read or could be slow."""
    if not isinstance(source, str):
        raise ValueError("a pattern must be text")
    if len(source) > MAX_SOURCE:
        raise ValueError(f"a pattern has at most {MAX_SOURCE} characters")
    reader = _Reader(source)
    shape = reader.pattern(0)
    if reader.place < len(source):
        raise reader.trouble("there is a ) without a (")
    if shape.ways * MAX_TEXT > MAX_WAYS:
        raise ValueError(
            f"the pattern {source!r} could be slow: use fewer repeats or shorter ones, as .{{0,40}} for .*"
        )
    try:
        return Expression(re.compile(source, re.IGNORECASE | re.ASCII), shape.words)
    except (re.error, OverflowError) as error:
        raise ValueError(f"the pattern {source!r} cannot be read: {error}") from None


@dataclass(frozen=True, slots=True)
class _Shape:
    """What reading finds of a part: in how many ways it may match at one place, and words of which it needs one.

    `letter`: the part is this one character (small), and nothing else.
    """

    ways: int = 1
    has_repeat: bool = False
    words: tuple[str, ...] = ()
    letter: str = ""


class _Reader:
    """A place in a pattern, and a function for each line of the grammar."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.place = 0

    def trouble(self, what: str) -> ValueError:
        """Gives the error to raise."""
        return ValueError(f"the pattern {self.source!r}, character {self.place + 1}: {what}")

    def pattern(self, depth: int) -> _Shape:
        """Reads branches up to the end or a closing parenthesis."""
        branches = [self._branch(depth)]
        while self._next() == "|":
            self.place += 1
            branches.append(self._branch(depth))
        is_one_needed = all(branch.words for branch in branches)
        return _Shape(
            ways=sum(branch.ways for branch in branches),
            has_repeat=any(branch.has_repeat for branch in branches),
            words=tuple(word for branch in branches for word in branch.words) if is_one_needed else (),
        )

    def _branch(self, depth: int) -> _Shape:
        ways, has_repeat, run = 1, False, ""
        words: tuple[str, ...] = ()
        while self._next() not in ("", "|", ")"):
            atom = self._atom(depth)
            least, most = self._repeat()
            if (least, most) == (1, 1):
                ways *= atom.ways
                has_repeat |= atom.has_repeat
            else:
                ways *= self._ways_of_repeat(atom, least, most)
                has_repeat = True
            if least and atom.letter:
                run += atom.letter
                words = _better(words, (run,))
            if not atom.letter or (least, most) != (1, 1):
                run = ""
            if least:
                words = _better(words, atom.words)
        return _Shape(ways, has_repeat, words)

    def _ways_of_repeat(self, atom: _Shape, least: int, most: int) -> int:
        if most <= 1:
            return atom.ways + 1
        if atom.has_repeat or atom.ways > 1:
            raise self.trouble("what is repeated must not have repeats or alternatives itself")
        return min(most - least + 1, MAX_TEXT)

    def _repeat(self) -> tuple[int, int]:
        """Reads how often the atom before may come: (least, most), (1, 1) when nothing is said."""
        found = _REPEAT.match(self.source, self.place)
        if found is None:
            return 1, 1
        self.place = found.end()
        if self._next() in ("*", "+", "?", "{"):
            raise self.trouble("only one repeat may follow")
        if found[1]:
            return _SIMPLE[found[1]]
        least = int(found[2])
        most = least if found[3] is None else int(found[4] or MAX_TEXT)
        if most > MAX_TEXT or least > most:
            raise self.trouble(f"a repeat goes from few to many, {MAX_TEXT} at most")
        return least, most

    def _atom(self, depth: int) -> _Shape:
        return _ATOMS.get(self._next(), _Reader._character)(self, depth)

    def _character(self, _depth: int) -> _Shape:
        character = self._next()
        if character in "*+?{":
            raise self.trouble(f"write \\{character} for the character itself")
        self.place += 1
        return _letter(character)

    def _anything(self, _depth: int) -> _Shape:
        self.place += 1
        return _Shape()

    def _escape(self, _depth: int) -> _Shape:
        self.place += 2
        escaped = self.source[self.place - 1 : self.place]
        if escaped.isalnum() or not escaped:
            if escaped and escaped in _ESCAPES:
                return _Shape()
            raise self.trouble(f"\\{escaped} is not known here")
        return _letter(escaped)

    def _class(self, _depth: int) -> _Shape:
        found = _CLASS.match(self.source, self.place)
        if found is None:
            raise self.trouble("a [ needs its ], and \\[ within it")
        self.place = found.end()
        return _Shape()

    def _group(self, depth: int) -> _Shape:
        if depth == MAX_DEPTH:
            raise self.trouble(f"groups go {MAX_DEPTH} deep at most")
        self.place += 1
        kind = self.source[self.place : self.place + 2]
        if kind[:1] == "?":
            if kind not in ("?:", "?=", "?!"):
                raise self.trouble("of groups with ? only (?: (?= (?! are known")
            self.place += 2
        inner = self.pattern(depth + 1)
        if self._next() != ")":
            raise self.trouble("a ( needs its )")
        self.place += 1
        return _Shape(inner.ways, inner.has_repeat) if kind in ("?=", "?!") else inner

    def _next(self) -> str:
        return self.source[self.place : self.place + 1]


_ATOMS = {
    "(": _Reader._group,
    "[": _Reader._class,
    "\\": _Reader._escape,
    ".": _Reader._anything,
    "^": _Reader._anything,
    "$": _Reader._anything,
}


def _letter(character: str) -> _Shape:
    # lower() of a whole text may change what is not ASCII in ways that depend on its neighbours
    return _Shape(letter=character.lower()) if character.isascii() else _Shape()


def _better(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """Gives the words that fewer texts have: those whose shortest is longer."""
    return max(first, second, key=_weight)


def _weight(words: tuple[str, ...]) -> int:
    shortest = min(map(len, words), default=0)
    return shortest if shortest >= MIN_WORD else 0
