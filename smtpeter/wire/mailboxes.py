"""Address lists of header fields: the one parser that the sender check, the display and the API share (S12).

It is strict: what it accepts has one reading. Display names, quoted strings, comments between the parts, and (where
allowed) groups are understood; obsolete routes, blanks or comments inside an address, empty list entries and unquoted
specials are refused, since receivers disagree about them. It is linear and has no recursion.

RFC 5322 3.4 with RFC 6531 3.3 (addresses) and RFC 2047 5 (3) (names). Raises only AddressError.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.parts import Mailbox
from smtpeter.wire.encoded_words import clean, decode_text, decode_unlabelled, encode_words
from smtpeter.wire.headers import fold

_MAX_CACHED = 256
_MAX_PLAIN_NAME = 200

# the tokens of RFC 5322 3.2.3, 3.2.4 and 3.4; an atom may hold dots (a dot-atom, or the obsolete phrase "John Q. Doe")
_TOKEN = re.compile(
    r"(?P<blank>[ \t]++)"
    r'|(?P<quoted>"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*")'
    r"|(?P<atom>[^\x00-\x20\x7f()<>\[\]:;@\\,\"]++)"
    r"|(?P<literal>\[[^\x00-\x20\x7f\[\]\\]*+\])"
    r"|(?P<open>\()"
    r"|(?P<special>[<>@,:;])"
)
_COMMENT = re.compile(r"[^()\\]++|\\.|[()]", re.DOTALL)
# a quick yes for the two shapes nearly every value has; the rules below give the same answer
_SIMPLE = re.compile(
    r"[ \t]*+(?:(?P<name>[A-Za-z0-9][A-Za-z0-9 .'-]*+|\"[A-Za-z0-9 .,'@()&-]*+\"[ ]?)?"
    r"<(?P<inner>[A-Za-z0-9._+-]++@[A-Za-z0-9.-]++)>|(?P<bare>[A-Za-z0-9._+-]++@[A-Za-z0-9.-]++))[ \t]*+\Z"
)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_ADVICE = 'write Name <name@example.com>, the name in "double quotes" when it has special characters'


class _Token(NamedTuple):
    """Kind (a group of _TOKEN, a special itself, "end"; comments count as blanks), text, and where it begins."""

    kind: str
    text: str
    start: int


def parse_mailboxes(text: str, *, allows_groups: bool = False) -> tuple[Mailbox, ...]:
    """Gives the mailboxes of an unfolded address list, at least one; a group gives its members, perhaps none.

    Addresses are in their normal form (model.address), names are decoded for display. Raises AddressError.
    """
    return _parse_short(text, allows_groups) if len(text) <= _MAX_CACHED else _parse(text, allows_groups)


def parse_mailbox(text: str) -> Mailbox:
    """Gives the one mailbox in the text. Raises AddressError."""
    boxes = parse_mailboxes(text)
    if len(boxes) != 1:
        raise AddressError(f"There are {len(boxes)} addresses where one is expected.")
    return boxes[0]


def parse_field(value: bytes, *, allows_groups: bool = False) -> tuple[Mailbox, ...]:
    """Gives the mailboxes in the unfolded value of a header field, as `parse_mailboxes`. Raises AddressError."""
    return parse_mailboxes(decode_unlabelled(value), allows_groups=allows_groups)


def write_mailbox(box: Mailbox) -> str:
    """Gives the mailbox for a header field: `a@b`, `Name <a@b>`, `"Name, X" <a@b>` or with encoded words.

    Encoded words are one space apart, so that `write_list` may fold between them.
    """
    return f"{_write_name(box.name)} <{box.address}>" if box.name else box.address


def write_list(name: str, boxes: Iterable[Mailbox]) -> bytes:
    """Gives the whole field, folded between mailboxes and between the parts of one."""
    items = ", ".join([write_mailbox(box) for box in boxes])
    line = f"{name}: {items}\r\n"
    return line.encode() if len(line) <= 80 else fold(name, items.split(" "))


@lru_cache(maxsize=1024)
def _write_name(name: str) -> str:
    # a name can only be folded at its blanks, so a long one goes as encoded words
    if name.isascii() and "=?" not in name and len(name) <= _MAX_PLAIN_NAME:
        if _ATOMS.match(name):
            return name
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'  # RFC 5322 3.2.4
    return " ".join(encode_words(name))


@lru_cache(maxsize=4096)
def _parse_short(text: str, allows_groups: bool) -> tuple[Mailbox, ...]:
    return _parse(text, allows_groups)


def _parse(text: str, allows_groups: bool) -> tuple[Mailbox, ...]:
    if (simple := _SIMPLE.match(text)) and "  " not in text:
        name = (simple["name"] or "").strip(' "')
        if "=?" not in name:
            return (Mailbox(str(parse_address(simple["inner"] or simple["bare"])), name),)
    return _read_list(_tokenize(text), allows_groups)


def _tokenize(text: str) -> list[_Token]:
    """Cuts the text into tokens, with one of kind "end" behind the last. Raises AddressError."""
    tokens, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found or not found.lastgroup:
            raise AddressError(
                f"Character {at + 1} of the address list, {text[at]!r}, must not stand there; {_ADVICE}."
            )
        end = _skip_comment(text, at) if found.lastgroup == "open" else found.end()
        kind = "blank" if found.lastgroup == "open" else found[0] if found.lastgroup == "special" else found.lastgroup
        tokens.append(_Token(kind, found[0], at))
        at = end
    tokens.append(_Token("end", "", at))
    return tokens


def _skip_comment(text: str, at: int) -> int:
    """Gives the position behind the comment that begins at `at` (RFC 5322 3.2.2: comments nest)."""
    depth = 0
    while piece := _COMMENT.match(text, at):
        at = piece.end()
        depth += (piece[0] == "(") - (piece[0] == ")")
        if depth == 0:
            return at
    raise AddressError("A comment in the address list has no closing parenthesis.")


def _read_list(tokens: list[_Token], allows_groups: bool) -> tuple[Mailbox, ...]:
    """Reads mailboxes and groups (RFC 5322 3.4 address-list)."""
    boxes: list[Mailbox] = []
    words: list[_Token] = []
    is_done, in_group, at = False, False, 0  # is_done: the entry has its address, or its group is closed
    while True:
        kind, _, start = token = tokens[at]
        at += 1
        if kind == "blank":
            continue
        if kind in ("atom", "quoted") and not is_done:
            if tokens[at].kind == "@" and not words:
                address, at = _read_address(tokens, at - 1)
                boxes.append(Mailbox(address))
                is_done = True
            else:
                words.append(token)
        elif kind == "<" and not is_done:
            address, at = _read_address(tokens, at)
            if tokens[at].kind != ">":
                raise AddressError(f"The address {address} has no closing > right behind it; {_ADVICE}.")
            boxes.append(Mailbox(address, _display(words)))
            words, is_done, at = [], True, at + 1
        elif kind == ":" and words and allows_groups and not in_group and not is_done:
            words, in_group = [], True
        elif kind == ";" and in_group and not words:
            in_group, is_done = False, True
        elif kind == "," and is_done:
            is_done = False
        elif kind == "end" and is_done and not in_group:
            return tuple(boxes)
        elif kind == "end":
            raise AddressError(f"The address list ends where an address is expected; {_ADVICE}.")
        else:
            raise AddressError(
                f"Character {start + 1} of the address list, {token.text!r:.40}, is unexpected; {_ADVICE}."
            )


def _read_address(tokens: list[_Token], at: int) -> tuple[str, int]:
    """Reads local part, @ and domain, which touch each other; gives the normal form and the position behind."""
    kinds = [token.kind for token in tokens[at : at + 3]]
    if len(kinds) < 3 or kinds[0] not in ("atom", "quoted") or kinds[1] != "@" or kinds[2] not in ("atom", "literal"):
        raise AddressError(f"There is no address name@example.com at character {tokens[at].start + 1}; {_ADVICE}.")
    return str(parse_address("".join([token.text for token in tokens[at : at + 3]]))), at + 3


def _display(words: list[_Token]) -> str:
    """Gives the display name: atoms with their encoded words read, quoted strings without quotes and backslashes."""
    parts: list[str] = []
    atoms: list[str] = []
    for kind, text, _ in words:
        if kind == "atom":
            atoms.append(text)
            continue
        parts.append(decode_text(" ".join(atoms)))
        parts.append(clean(re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)))
        atoms = []
    parts.append(decode_text(" ".join(atoms)))
    return " ".join([kept for part in parts if (kept := part.strip(" "))])
