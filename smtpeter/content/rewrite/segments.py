"""Text that is the same for all recipients, with slots for what is not: compiled once, joined per recipient.

A slot is a token. Its kind, the number of its host and the digest of its target are known before the message is, so that
a recipient costs one keyed hash for each slot and one join. Raises nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import AnyStr

from smtpeter.content.rewrite.address import Address, around_token
from smtpeter.wire.token import NO_TARGET, TOKEN_CHARACTERS, Kind, Sealer, head_of, target_digest

Head = tuple[int, bytes]  # what `Sealer.seal_all` takes


@dataclass(frozen=True, slots=True)
class Slot:
    """One tracked address: `before` and `behind` stand around its token; `untracked` is what stands there without.

    `origin` "" for what has no other target than the account. `read` is the address as a reader's program reads it.
    """

    kind: Kind
    origin: str
    target: bytes
    before: str
    behind: str
    untracked: str
    read: str = ""


Segment = str | Slot


@dataclass(frozen=True, slots=True)
class Numbered:
    """Constants and, between each two of them, a token."""

    constants: tuple[str, ...]
    heads: tuple[Head, ...]

    def fill(self, sealer: Sealer) -> str:
        """Gives the text for one message."""
        return "".join(interleave(self.constants, split_tokens(sealer.seal_all(self.heads))))


def target_slot(kind: Kind, base: str, address: Address, untracked: str, read: str) -> Slot:
    """Gives the slot of an address with a target, unescaped."""
    before, behind = around_token(base, address)
    return Slot(kind, address.origin, target_digest(address.comparable), before, behind, untracked, read)


def account_slot(kind: Kind, before: str, behind: str) -> Slot:
    """Gives a slot whose token has the number of the account."""
    return Slot(kind, "", NO_TARGET, before, behind, "")


def number(segments: Iterable[Segment], account: int, numbers: Mapping[str, int]) -> Numbered:
    """Gives the segments with numbers: of origins, and of the account. An origin without one is not tracked."""
    constants: list[list[str]] = [[]]
    heads: list[Head] = []
    for segment in segments:
        if isinstance(segment, str):
            constants[-1].append(segment)
            continue
        found = numbers.get(segment.origin) if segment.origin else account
        if found is None:
            constants[-1].append(segment.untracked)
            continue
        constants[-1].append(segment.before)
        constants.append([segment.behind])
        heads.append((head_of(segment.kind, found), segment.target))
    return Numbered(tuple(["".join(texts) for texts in constants]), tuple(heads))


def split_tokens(tokens: AnyStr) -> list[AnyStr]:
    """Gives the tokens that `Sealer.seal_all` made."""
    return [tokens[at : at + TOKEN_CHARACTERS] for at in range(0, len(tokens), TOKEN_CHARACTERS)]


def interleave(constants: Sequence[AnyStr], tokens: Sequence[AnyStr]) -> list[AnyStr]:
    """Gives constants and tokens in turn; there is one constant more."""
    out = [constants[0]] * (2 * len(tokens) + 1)
    out[::2] = constants
    out[1::2] = tokens
    return out


def origins(segments: Iterable[Segment]) -> tuple[str, ...]:
    """Gives the origins that need a number, each once."""
    return tuple(dict.fromkeys([part.origin for part in segments if isinstance(part, Slot) and part.origin]))
