"""Compares three books, the client's, the receiver's and the gateway's, and lists what does not agree.

The rules are those of reliability-security: what was acknowledged arrives (D1), what was not acknowledged with a
refusal never does (D4), a second copy exists only when the process was halted between the end of data and the record
of the reply, and says so (D5), and each message has one end (D6, D7).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.kill.receiver import Copy
from tests.kill.records import Record
from tests.kill.submitter import Fate, Handed

COURIERS = 20  # delivery.concurrency_per_lane as shipped: the transactions that can be under way at a kill
_LAG_SECONDS = 3.0  # in which a receiver on a busy machine reads what was sent to it before


@dataclass(frozen=True, slots=True)
class Halt:
    """Processes that stood still from `at` to `until` (monotonic), and then went on or, if it `is_death`, were gone.

    `hello` is the name of their node, when there are others.
    """

    at: float
    until: float
    is_death: bool = True
    hello: str = ""

    def explains(self, before: Copy, following: Copy | None) -> bool:
        """True when a copy may have been under way in them: their reply came, if ever, when it could not be recorded."""
        connection = before.connection
        if before.at > self.at + _LAG_SECONDS or (self.hello and connection.hello != self.hello):
            return False
        if self.is_death:
            is_theirs = connection.is_broken and connection.ended is not None
            return is_theirs and self.at <= (connection.ended or 0.0) <= self.until + _LAG_SECONDS and following is None
        return following is None or following.at >= self.until


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run showed. `complaints` is empty when the gateway kept its word."""

    counts: dict[str, int]
    complaints: list[str]

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        return "\n".join([counts, *self.complaints[:30]])


def compare(
    handed: Sequence[Handed], copies: Sequence[Copy], records: Sequence[Record], halts: Sequence[Halt]
) -> Findings:
    """Gives the findings on a run in which processes were halted in these ways and that then came to rest."""
    arrived: defaultdict[tuple[str, str], list[Copy]] = defaultdict(list)
    for copy in copies:
        arrived[copy.key].append(copy)
    by_key = {record.key: record for record in records}
    second = [(a, b) for several in arrived.values() for a, b in pairwise(several)]
    complaints = [
        *_promises(handed, set(arrived), set(by_key)),
        *_ends(records, set(arrived)),
        *_duplicates(second, copies, halts),
        *_marks({copy.key for _, copy in second}, by_key),
    ]
    fates = Counter(one.fate for one in handed)
    counts = {
        "halts": len(halts),
        **{fate.value: fates[fate] for fate in Fate},
        "doubtful but stored": len({r.id for r in records} & {h.id for h in handed if h.fate is Fate.DOUBTFUL}),
        "copies received": len(copies),
        "duplicates": len(second),
        "allowed": len(halts) * COURIERS,
    }
    return Findings(counts, complaints)


def _promises(handed: Sequence[Handed], arrived: set[tuple[str, str]], stored: set[tuple[str, str]]) -> Iterator[str]:
    """D1, D4: acknowledged means delivered, refused and unsent mean nothing at all."""
    for one in handed:
        keys = [(one.id, recipient) for recipient in one.recipients]
        for key in keys:
            if one.fate is Fate.ACKNOWLEDGED and key not in arrived:
                yield f"lost: {key} was acknowledged and never arrived"
            if one.fate in {Fate.REFUSED, Fate.UNSENT} and key in arrived | stored:
                yield f"not wanted: {key} was {one.fate.value} and is there all the same"
        # D1: with several recipients all or none are accepted
        if len({key in stored for key in keys}) > 1:
            yield f"torn: {one.id} was stored for some of its recipients only"
    unknown = arrived - {(one.id, recipient) for one in handed for recipient in one.recipients}
    yield from (f"invented: {key} was never handed in" for key in unknown)


def _ends(records: Sequence[Record], arrived: set[tuple[str, str]]) -> Iterator[str]:
    """D6, D7: one beginning and one end for each message, and the end is a delivery that took place."""
    for record in records:
        names = [name for name, _ in record.events]
        if names.count("attempt") != 1:
            yield f"{record.key} has {names.count('attempt')} attempt events"
        if [name for name, _ in record.terminal] != ["delivery"] or record.state != "delivered":
            yield f"{record.key} is {record.state} with the events {names}"
        if record.key not in arrived:
            yield f"{record.key} is recorded as {record.state} and never arrived"


def _duplicates(second: Sequence[tuple[Copy, Copy]], copies: Sequence[Copy], halts: Sequence[Halt]) -> Iterator[str]:
    """D5: the copy before was under way in what was halted, and was the last of its connection then, so there are few."""
    following: dict[int, Copy] = {}
    last: dict[int, Copy] = {}
    for copy in copies:
        if (before := last.get(copy.connection.number)) is not None and before.key != copy.key:
            following[id(before)] = copy
        last[copy.connection.number] = copy
    by_halt: Counter[Halt] = Counter()
    for before, after in second:
        guilty = [halt for halt in halts if halt.explains(before, following.get(id(before)))]
        if guilty:
            by_halt[guilty[-1]] += 1
        else:
            yield f"duplicate: {before} and {after}, and nothing was halted in between that had it under way"
    for halt, count in by_halt.items():
        if count > COURIERS:
            yield f"{count} duplicates because of {halt}, at most {COURIERS} were under way"


def _marks(duplicated: set[tuple[str, str]], by_key: dict[tuple[str, str], Record]) -> Iterator[str]:
    """D5: the attempt after the one of unknown end carries the mark, be it the one that made the second copy or not."""
    for key in duplicated:
        record = by_key.get(key)
        if record is not None and not any(fields.get("uncertain") for _, fields in record.events):
            yield f"unmarked: {key} came twice and no event says `uncertain`: {record.events}"
