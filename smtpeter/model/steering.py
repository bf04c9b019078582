"""What an operator says about the way out while the gateway runs: pauses, limits, routes and rules. Values only.

All of it can stand in the configuration too; what is stored goes before it, and every process follows it within a second.
"""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from smtpeter.model.account import AccountId

PauseId = NewType("PauseId", int)


class Steer(StrEnum):
    """The kinds of entry."""

    PAUSE = "pause"
    LIMIT = "limit"
    ROUTE = "route"
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class Limits:
    """How a lane may be used, over all processes. None: not said here; 0 of a pace: no limit.

    `recovery` is how long a rate that was halved once takes to be whole again.
    """

    connections: int | None = None
    messages_per_connection: int | None = None
    per_second: int | None = None
    per_minute: int | None = None
    per_hour: int | None = None
    recovery: timedelta | None = None

    def over(self, lower: "Limits") -> "Limits":
        """Gives these limits, with what is not said here taken from `lower`."""
        return Limits(
            *(
                getattr(self, f.name) if getattr(self, f.name) is not None else getattr(lower, f.name)
                for f in fields(self)
            )
        )


@dataclass(frozen=True, slots=True)
class LimitEntry:
    """Limits of some lanes. `target`: a provider's name, a mail host or `*.example.com`, a whole lane, or `*`.

    `pool` "": whatever the pool.
    """

    target: str
    limits: Limits
    pool: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """Mail that is held back while it fits all that is given here. `until` None: until somebody resumes it.

    `lane` is a whole lane or, as in `LimitEntry`, a provider or mail host; `address` a local address; `domain` a
    recipient domain or `*.example.com`.
    """

    lane: str = ""
    domain: str = ""
    pool: str = ""
    address: str = ""
    account: AccountId | None = None
    stream: str = ""
    tag: str = ""
    reason: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """One line of the routing table; what is "" fits everything.

    `recipient` is a pattern as `example.com`, `*.example.com` or `name@example.com`; `sender` one of the From domain.
    `via` names smart hosts, each tried when the one before fails, or is ("mx",), ("discard",), ("capture",); empty: the
    next line that fits decides. `pool` "" likewise.
    """

    recipient: str = ""
    sender: str = ""
    stream: str = ""
    account: str = ""  # name
    via: tuple[str, ...] = ()
    pool: str = ""


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """One response rule, as the text of a `[[rule]]` table of delivery/verdicts.toml."""

    text: str


Entry = Pause | LimitEntry | RouteEntry | RuleEntry

KINDS: dict[Steer, type[Entry]] = {
    Steer.PAUSE: Pause,
    Steer.LIMIT: LimitEntry,
    Steer.ROUTE: RouteEntry,
    Steer.RULE: RuleEntry,
}


def kind_of(entry: Entry) -> Steer:
    """Gives the kind of an entry."""
    return next(kind for kind, of in KINDS.items() if isinstance(entry, of))


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as it is stored. Entries of a kind go by `position`, then by number; the first that fits counts."""

    id: int
    entry: Entry
    position: int
    created: datetime


@dataclass(frozen=True, slots=True)
class Steering:
    """All entries at one moment, in their order; `version` grows with every change."""

    version: int
    entries: tuple[Stored, ...] = ()


@dataclass(frozen=True, slots=True)
class LaneReport:
    """How a lane goes in one worker. `max_connections` and `rate_per_minute` are the worker's share; rate None: no limit.

    `sent_per_minute` is measured. `reason` says in words why it is slow or rests, "" when all is well; `last_reply` is
    the last text of the remote host that was not a plain acceptance.
    """

    lane: str
    connections: int
    max_connections: int
    waiting: int  # messages in the worker's memory
    rate_per_minute: float | None = None
    sent_per_minute: float = 0.0
    resting_until: datetime | None = None
    reason: str = ""
    last_reply: str = ""
