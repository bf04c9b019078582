"""Families of metrics: a name, what it means, its labels; and the cells in which their numbers are counted.

A cell is bound once, where it is used or in the table of a family, so that counting costs one addition. All is counted
on the thread of the event loop.

    SENT = counter("smtpeter_sent_total", "Messages that went out.", "door")
    SENT.of("smtp").add()

Raises ValueError for a name that is given twice, and for labels that are not those of the family.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from smtpeter.world.metrics.cells import Reading, Region, open_region, private_region, read_folder


class Kind(StrEnum):
    """What a family is, in the words of the exposition format."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Cell:
    """One number."""

    __slots__ = ("_at", "_key", "_values")

    def __init__(self, key: str) -> None:
        self._key = key
        self.bind()

    def bind(self) -> None:
        """Counts from now on in the region that is open."""
        self._values, self._at = _state.region.values, _state.region.at(self._key)

    def add(self, amount: float = 1.0) -> None:
        """Adds to the number; a gauge may go down too."""
        self._values[self._at] += amount

    def set(self, value: float) -> None:
        """Sets the number of a gauge."""
        self._values[self._at] = value


class Buckets:
    """One distribution: how many values fell below each bound, and their sum."""

    __slots__ = ("_bounds", "_keys", "_places", "_sum", "_sum_key", "_values")

    def __init__(self, bounds: tuple[float, ...], keys: tuple[str, ...], sum_key: str) -> None:
        self._bounds, self._keys, self._sum_key = bounds, keys, sum_key
        self.bind()

    def bind(self) -> None:
        """Counts from now on in the region that is open."""
        region = _state.region
        self._values = region.values
        self._places = tuple(region.at(key) for key in self._keys)
        self._sum = region.at(self._sum_key)

    def observe(self, value: float) -> None:
        """Counts a value."""
        values = self._values
        values[self._places[bisect_left(self._bounds, value)]] += 1.0
        values[self._sum] += value


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Numbers under one name. `is_per_worker`: shown for each worker, not as a sum."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    is_per_worker: bool = False
    _cells: dict[tuple[str, ...], Cell] = field(default_factory=dict)

    def of(self, *values: str) -> Cell:
        """Gives the cell for values of the labels, in their order."""
        cell = self._cells.get(values)
        if cell is None:
            cell = self._cells[values] = _bound(Cell(self.key(*values)))
        return cell

    def key(self, *values: str) -> str:
        """Gives name and labels as they stand in the exposition."""
        return self.name + labelled(self.labels, values)


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Histograms under one name, all with the same bounds."""

    name: str
    help: str
    bounds: tuple[float, ...]
    labels: tuple[str, ...] = ()
    kind: Kind = Kind.HISTOGRAM
    is_per_worker: bool = False
    _buckets: dict[tuple[str, ...], Buckets] = field(default_factory=dict)

    def of(self, *values: str) -> Buckets:
        """Gives the distribution for values of the labels, in their order."""
        found = self._buckets.get(values)
        if found is None:
            names = (*self.labels, "le")
            keys = [f"{self.name}_bucket{labelled(names, (*values, f'{bound:g}'))}" for bound in self.bounds]
            keys.append(f"{self.name}_bucket{labelled(names, (*values, '+Inf'))}")
            total = f"{self.name}_sum{labelled(self.labels, values)}"
            found = self._buckets[values] = _bound(Buckets(self.bounds, tuple(keys), total))
        return found


AnyFamily = Family | Distribution
Counted = TypeVar("Counted", Cell, Buckets)
Declared = TypeVar("Declared", Family, Distribution)


class _State:
    """The region that is open, in which folder, and all that counts in it."""

    def __init__(self) -> None:
        self.region: Region = private_region()
        self.folder: Path | None = None
        self.bound: list[Cell | Buckets] = []
        self.families: dict[str, AnyFamily] = {}


_state = _State()


def counter(name: str, help: str, *labels: str, is_per_worker: bool = False) -> Family:
    """Declares a number that only grows."""
    return _declared(Family(name, Kind.COUNTER, help, labels, is_per_worker))


def gauge(name: str, help: str, *labels: str, is_per_worker: bool = False) -> Family:
    """Declares a number that goes up and down."""
    return _declared(Family(name, Kind.GAUGE, help, labels, is_per_worker))


def distribution(name: str, help: str, bounds: tuple[float, ...], *labels: str) -> Distribution:
    """Declares histograms."""
    return _declared(Distribution(name, help, bounds, labels))


def families() -> dict[str, AnyFamily]:
    """Gives all families by name, in the order of their declaration."""
    return _state.families


def open_metrics(folder: Path | None) -> int:
    """Counts from now on in a file of the folder, or for this process alone; gives the number of this worker.

    Counters go on where a worker that has ended left them; gauges begin at 0. Raises OSError.
    """
    region = private_region() if folder is None else open_region(folder)
    for key, _ in list(region.items()):
        family = _state.families.get(key.partition("{")[0])
        if family is not None and family.kind is Kind.GAUGE:
            region.values[region.at(key)] = 0.0
    _state.region, _state.folder = region, folder
    for bound in _state.bound:
        bound.bind()
    return region.worker


def read_metrics() -> list[Reading]:
    """Gives what all workers of this machine have counted."""
    if _state.folder is None:
        return [Reading(_state.region.worker, True, dict(_state.region.items()))]
    return read_folder(_state.folder)


def labelled(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Gives labels in braces, nothing when there are none. Raises ValueError when the numbers differ."""
    if not names and not values:
        return ""
    pairs = zip(names, values, strict=True)
    return "{" + ",".join([f'{name}="{_escaped(value)}"' for name, value in pairs]) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _bound(counted: Counted) -> Counted:
    _state.bound.append(counted)
    return counted


def _declared(family: Declared) -> Declared:
    if family.name in _state.families:
        raise ValueError(f"there are two metrics {family.name}")
    _state.families[family.name] = family
    return family
