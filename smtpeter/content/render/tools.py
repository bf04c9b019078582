"""What rendering needs besides messages: names, keys, compiled documents, and the shelf for what was costly to make.

One of each for a process; threads may share them. Nothing on the shelf can show in another message than it was made for:
each entry follows from its key, which has all that it was made of.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from smtpeter.content.filled.letter import LetterPlan
from smtpeter.content.filled.mime import MimePlan
from smtpeter.content.filled.parts import PartsPlan
from smtpeter.content.kept import Kept
from smtpeter.content.letter import Letters
from smtpeter.content.personalize.run import Clock
from smtpeter.content.render.rewriting import Rewritten
from smtpeter.content.shape import Shapes
from smtpeter.content.template.reading import Resource
from smtpeter.model.outcome import State
from smtpeter.wire.token import Keyring

# what was found at a URL, by the URL as it is written; None: there is nothing
Resources = Mapping[str, Resource | None]
NO_RESOURCES: Final[Resources] = {}

_MIB = 2**20


class CannotRender(Exception):
    """No mail can be made of this message, now or later; `str()` is a sentence, `state` is where it ended."""

    def __init__(self, sentence: str, state: State = State.PERSONALIZE) -> None:
        super().__init__(sentence)
        self.state = state


@dataclass(frozen=True, slots=True)
class Shelf:
    """What was made for a submission, kept for its next message.

    There is room for one mail of the largest that are accepted as shipped (limit L1), as stored and as composed.
    """

    parts: Kept[Hashable, PartsPlan] = field(default_factory=lambda: Kept(max_bytes=104 * _MIB, max_entries=64))
    mimes: Kept[Hashable, MimePlan] = field(default_factory=lambda: Kept(max_bytes=32 * _MIB, max_entries=64))
    letters: Kept[Hashable, LetterPlan] = field(default_factory=lambda: Kept(max_bytes=104 * _MIB, max_entries=64))
    data: Kept[str, Mapping[str, Any]] = field(default_factory=lambda: Kept(max_bytes=16 * _MIB, max_entries=64))
    shapes: Kept[Hashable, Shapes] = field(default_factory=lambda: Kept(max_bytes=104 * _MIB, max_entries=256))
    rewritten: Kept[Hashable, Rewritten] = field(default_factory=lambda: Kept(max_bytes=104 * _MIB, max_entries=64))


@dataclass(frozen=True, slots=True)
class Tools:
    """`hostname` is ours, as others know it; `shows_client`: the trace names the client that handed the message in.

    `clock`, when there is one, is looked at while tags are filled in, as `Values.clock`.
    """

    hostname: str
    keyring: Keyring
    letters: Letters
    shows_client: bool = False
    shelf: Shelf = field(default_factory=Shelf, repr=False, compare=False)
    clock: Clock | None = None
