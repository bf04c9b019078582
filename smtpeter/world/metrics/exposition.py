"""The text that a scrape gets: the exposition format of Prometheus, version 0.0.4.

Counters and histograms are summed over all workers of the machine, those that have ended included; gauges over those
that live, or shown for each of them.
"""

from collections.abc import Iterable, Mapping

from smtpeter.world.metrics.cells import Reading
from smtpeter.world.metrics.families import AnyFamily, Distribution, Family, Kind, families

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(readings: Iterable[Reading], others: Mapping[str, float] | None = None) -> str:
    """Gives the text. `others` are samples that nobody counts, by the key that their family gives them."""
    known = families()
    sums: dict[str, dict[str, float]] = {name: {} for name in known}  # by family, then by key
    owners = _owners(known)
    for reading in readings:
        for key, value in reading.values.items():
            family = owners.get(key.partition("{")[0])
            if family is None or (family.kind is Kind.GAUGE and not reading.is_live):
                continue
            shown = _with_worker(key, reading.worker) if family.is_per_worker else key
            samples = sums[family.name]
            samples[shown] = samples.get(shown, 0.0) + value
    for key, value in (others or {}).items():
        sums[owners[key.partition("{")[0]].name][key] = value
    lines: list[str] = []
    for name, family in known.items():
        lines += [f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind.value}"]
        match family:
            case Family():
                lines += [f"{key} {_number(value)}" for key, value in sums[name].items()]
            case Distribution():
                lines += _histogram(name, sums[name])
    return "\n".join(lines) + "\n"


def _owners(known: Mapping[str, AnyFamily]) -> dict[str, AnyFamily]:
    """Gives the families by the names of their samples."""
    owners: dict[str, AnyFamily] = {}
    for name, family in known.items():
        match family:
            case Family():
                owners[name] = family
            case Distribution():
                owners[f"{name}_bucket"] = owners[f"{name}_sum"] = family
    return owners


def _histogram(name: str, samples: Mapping[str, float]) -> list[str]:
    """Gives the lines of a histogram. What is counted by bucket is shown as counts of all up to its bound."""
    buckets: dict[str, list[tuple[float, str, float]]] = {}  # by the labels without the bound
    for key, value in samples.items():
        if key.startswith(f"{name}_bucket{{"):
            labels, _, bound = key[len(name) + 8 : -2].rpartition('le="')
            buckets.setdefault(labels.rstrip(","), []).append((float(bound), key, value))
    lines = []
    for labels, found in buckets.items():
        count = 0.0
        for _, key, value in sorted(found):
            count += value
            lines.append(f"{key} {_number(count)}")
        braces = f"{{{labels}}}" if labels else ""
        lines.append(f"{name}_sum{braces} {_number(samples.get(f'{name}_sum{braces}', 0.0))}")
        lines.append(f"{name}_count{braces} {_number(count)}")
    return lines


def _with_worker(key: str, worker: int) -> str:
    name, brace, labels = key.partition("{")
    return f'{name}{{worker="{worker}"{"," + labels if brace else "}"}'


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
