"""What tags are filled in with: the data of one reader, the automatic variables, the moment that is "now"."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from smtpeter.content.personalize.run import Clock

# a page that belongs to no message has no address to tell (templates.md 8.3)
PREVIEW: Final[Mapping[str, str]] = MappingProxyType({"webversion": "{$webversion}"})


@dataclass(frozen=True, slots=True)
class Values:
    """Values of one reader. `data` goes over the document's own, by its top-level names; `now` has a zone.

    `clock` gives seconds that only grow, for the limit on time; None: work is limited, time is not looked at.
    """

    data: Mapping[str, Any] = field(repr=False)
    now: datetime
    automatic: Mapping[str, str] = field(default_factory=lambda: PREVIEW)
    clock: Clock | None = None
