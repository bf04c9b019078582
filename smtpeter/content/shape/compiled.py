"""A marked body, compiled: what of it is constant, in its transfer encoding, and what stands between.

Values stand on lines of their own in quoted-printable, as tokens do, so that constants are encoded once. Base64 is made
when all values are there. Raises nothing.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from smtpeter.content.rewrite.parts import Edit, HostedImage, RewrittenMessage, quote, quote_constants
from smtpeter.content.rewrite.segments import Head, Segment, Slot, origins
from smtpeter.content.shape.marks import Marks
from smtpeter.model.account import AccountId
from smtpeter.wire.mime import wrap_base64
from smtpeter.wire.token import head_of

Item: TypeAlias = Segment | int  # a number: what is put into this hole
# what quoted-printable leaves as it is, in one line with the soft break behind it (RFC 2045 6.7)
_PLAIN = re.compile(rb"[!-<>-~](?:[ -<>-~]{0,72}[!-<>-~])?\Z")


@dataclass(frozen=True, slots=True)
class Run:
    """Octets with gaps: `octets` has b"" at the positions of `tokens` and `holes` (position and hole)."""

    octets: tuple[bytes, ...] = field(repr=False)
    tokens: tuple[int, ...]
    holes: tuple[tuple[int, int], ...]
    is_base64: bool = False
    is_ended: bool = True  # base64 ends with a line end of its own

    def join(self, parts: Sequence[bytes]) -> bytes:
        """Gives the octets of a message."""
        data = b"".join(parts)
        if not self.is_base64:
            return data
        encoded = wrap_base64(data)
        return encoded if self.is_ended else encoded[:-2]


@dataclass(frozen=True, slots=True)
class Plan:
    """The runs of a body, and the tokens of its constant addresses in their order."""

    runs: tuple[Run, ...]
    heads: tuple[Head, ...]


@dataclass(slots=True)
class CompiledBody:
    """A body with its holes; `items` belong to the edits that have a text, in their order. It remembers its last plan.

    `fields` are those before the body, as they leave, without the blank line behind them. `reads` are its constant
    addresses, as they are read.
    """

    fields: bytes
    content: bytes = field(repr=False)
    edits: tuple[Edit, ...] = field(repr=False)
    items: tuple[tuple[Item, ...], ...] = field(repr=False)
    origins: tuple[str, ...]
    images: tuple[HostedImage, ...]
    warnings: tuple[str, ...]
    reads: frozenset[str] = field(repr=False)
    _plan: tuple[Hashable, Plan] | None = field(default=None, repr=False)

    def plan(self, account: AccountId, numbers: Mapping[str, int], excluded: frozenset[str]) -> Plan:
        """Gives the runs for these numbers of origins.

        Addresses of an origin without one are not tracked, nor the excluded ones.
        """
        named = excluded & self.reads if excluded else excluded
        key = (account, named, *map(numbers.get, self.origins))
        kept = self._plan
        if kept is None or kept[0] != key:
            kept = self._plan = key, self._planned(account, numbers, named)
        return kept[1]

    def _planned(self, account: AccountId, numbers: Mapping[str, int], excluded: frozenset[str]) -> Plan:
        runs: list[Run] = []
        heads: list[Head] = []
        open_run = _OpenRun()
        at = 0
        given = iter(self.items)
        for edit in self.edits:
            open_run.add(self.content[at : edit.start] + edit.octets)
            at = edit.end
            if edit.text is None:
                continue
            texts, gaps = _gaps(next(given), account, numbers, excluded)
            heads += [gap for gap in gaps if isinstance(gap, tuple)]
            constants = [text.encode() for text in texts]
            if edit.encoding == "base64":
                alone = _OpenRun()
                alone.extend(constants, gaps)
                is_ended = self.content.endswith(b"\r\n", edit.start, edit.end)
                runs += (open_run.run(), alone.run(is_base64=True, is_ended=is_ended))
                open_run = _OpenRun()
            else:
                is_quoted = edit.encoding == "quoted-printable"
                open_run.extend(quote_constants(constants) if is_quoted else constants, gaps)
        open_run.add(self.content[at:])
        return Plan((*runs, open_run.run()), tuple(heads))


class _OpenRun:
    """A run that grows."""

    def __init__(self) -> None:
        self._octets = [b""]
        self._tokens: list[int] = []
        self._holes: list[tuple[int, int]] = []

    def add(self, octets: bytes) -> None:
        self._octets[-1] += octets

    def extend(self, constants: Sequence[bytes], gaps: Sequence[Head | int]) -> None:
        self.add(constants[0])
        for constant, gap in zip(constants[1:], gaps, strict=True):
            if isinstance(gap, int):
                self._holes.append((len(self._octets), gap))
            else:
                self._tokens.append(len(self._octets))
            self._octets += (b"", constant)

    def run(self, *, is_base64: bool = False, is_ended: bool = True) -> Run:
        return Run(tuple(self._octets), tuple(self._tokens), tuple(self._holes), is_base64, is_ended)


def compiled_body(message: RewrittenMessage, marks: Marks, holes: int) -> CompiledBody | None:
    """Gives the body of a marked message, None unless each of its marks has come out once, where a value can stand."""
    found: list[int] = []
    items: list[tuple[Item, ...]] = []
    for edit in message.edits:
        if edit.text is None:
            continue
        row: list[Item] = []
        for segment in edit.text.segments:
            if isinstance(segment, Slot):
                if any(marks.word in text for text in (segment.before, segment.behind, segment.untracked)):
                    return None
                row.append(segment)
                continue
            texts, numbers = marks.split(segment)
            if any(marks.word in text for text in texts):
                return None
            row.append(texts[0])
            for number, text in zip(numbers, texts[1:], strict=True):
                row += (number, text)
            found += numbers
        items.append(tuple(row))
    if sorted(found) != list(range(holes)):
        return None
    slots = [item for row in items for item in row if isinstance(item, Slot)]
    return CompiledBody(
        _fields(message),
        message.content,
        message.edits,
        tuple(items),
        origins(slots),
        message.images,
        message.warnings,
        frozenset([slot.read for slot in slots]) - {""},
    )


def _fields(message: RewrittenMessage) -> bytes:
    end = message.content.find(b"\r\n\r\n") + 2
    out, at = [], 0
    for edit in message.edits:
        if edit.end <= end:
            out += [message.content[at : edit.start], edit.octets]
            at = edit.end
    return b"".join((*out, message.content[at:end]))


def _gaps(
    items: Sequence[Item], account: AccountId, numbers: Mapping[str, int], excluded: frozenset[str]
) -> tuple[list[str], list[Head | int]]:
    """Gives constants and, between each two, a token or a hole."""
    constants: list[list[str]] = [[]]
    gaps: list[Head | int] = []
    for item in items:
        if isinstance(item, str):
            constants[-1].append(item)
        elif isinstance(item, int):
            gaps.append(item)
            constants.append([])
        elif item.read in excluded or (number := numbers.get(item.origin) if item.origin else account) is None:
            constants[-1].append(item.untracked)
        else:
            constants[-1].append(item.before)
            gaps.append((head_of(item.kind, number), item.target))
            constants.append([item.behind])
    return ["".join(texts) for texts in constants], gaps


def quoted(text: str) -> bytes:
    """Gives a value in quoted-printable, to stand on lines of its own."""
    data = text.encode()
    return data if _PLAIN.match(data) else quote(data)
