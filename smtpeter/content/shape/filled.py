"""A message with its values, ready to be numbered and sealed; it has the interface of `rewrite.parts.RewrittenMessage`.

Raises nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from smtpeter.content.rewrite.parts import HostedImage, quote_constants
from smtpeter.content.rewrite.segments import Head, Numbered, Segment, Slot, interleave, number, split_tokens
from smtpeter.content.shape.compiled import CompiledBody, Plan, Run, quoted
from smtpeter.model.account import AccountId
from smtpeter.wire.token import Sealer

Put: TypeAlias = str | tuple[Segment, ...]  # into a hole: a value, or an address


@dataclass(frozen=True, slots=True)
class FilledMessage:
    """The body of one message: its Content-* fields, a blank line, and what follows, with its tokens left out."""

    _body: CompiledBody = field(repr=False)
    _puts: tuple[Put, ...] = field(repr=False)
    _excluded: frozenset[str] = frozenset()

    @property
    def fields(self) -> bytes:
        """Its Content-* fields, without the blank line behind them."""
        return self._body.fields

    @property
    def origins(self) -> tuple[str, ...]:
        """Schemes and hosts that need a number before tokens can be made, perhaps some more."""
        own = [part.origin for put in self._puts if isinstance(put, tuple) for part in put if isinstance(part, Slot)]
        return tuple(dict.fromkeys([*self._body.origins, *own])) if own else self._body.origins

    @property
    def images(self) -> tuple[HostedImage, ...]:
        """The images that it refers to at our host."""
        return self._body.images

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be done, in sentences."""
        return self._body.warnings

    @property
    def is_changed(self) -> bool:
        """True: such a message is always put together anew."""
        return True

    def body(self, sealer: Sealer, account: AccountId, numbers: Mapping[str, int]) -> bytes:
        """Gives what follows the blank line, for one message; links to a host without a number are not tracked."""
        return self.numbered(account, numbers).fill(sealer)[len(self.fields) + 2 :]

    def numbered(self, account: AccountId, numbers: Mapping[str, int]) -> "NumberedFill":
        """Gives what makes the message; links to a host without a number are not tracked."""
        heads: list[Head] = []
        fills: list[_Fill] = []
        for put in self._puts:
            if isinstance(put, str):
                fills.append(put)
                continue
            found = number(put, account, numbers)
            fills.append((found, len(heads)))
            heads += found.heads
        return NumberedFill(self._body.plan(account, numbers, self._excluded), tuple(fills), tuple(heads))


_Fill: TypeAlias = str | tuple[Numbered, int]  # an address with the place of its first token


@dataclass(frozen=True, slots=True)
class NumberedFill:
    """A message of which only the tokens are missing."""

    _plan: Plan = field(repr=False)
    _fills: tuple[_Fill, ...] = field(repr=False)
    _heads: tuple[Head, ...] = field(repr=False)

    def fill(self, sealer: Sealer) -> bytes:
        """Gives the octets."""
        heads = (*self._plan.heads, *self._heads)
        tokens = split_tokens(sealer.seal_all(heads).encode("ascii"))
        own = tokens[len(self._plan.heads) :]
        values: dict[str, bytes] = {}  # most stand in several places
        out = []
        at = 0
        for run in self._plan.runs:
            parts = list(run.octets)
            for place, token in zip(run.tokens, tokens[at : at + len(run.tokens)], strict=True):
                parts[place] = token
            at += len(run.tokens)
            for place, hole in run.holes:
                parts[place] = _octets(self._fills[hole], own, run, values)
            out.append(run.join(parts))
        return b"".join(out)


def _octets(fill: _Fill, tokens: Sequence[bytes], run: Run, values: dict[str, bytes]) -> bytes:
    """Gives what is put into a hole in the transfer encoding of its part; `values` are those quoted so far."""
    if isinstance(fill, str):
        if run.is_base64:
            return fill.encode()
        if fill not in values:
            values[fill] = quoted(fill)
        return values[fill]
    numbered, first = fill
    constants = [text.encode() for text in numbered.constants]
    between = tokens[first : first + len(numbered.heads)]
    return b"".join(interleave(constants if run.is_base64 else quote_constants(constants), between))
