"""The judgement of what a remote host said: a table, read from verdicts.toml, and one function that looks it up.

No other file decides whether a reply is final. The table is data so that an operator can read it, and a rule that hit is
named in the event.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from smtpeter.config.values import read_duration
from smtpeter.model.outcome import Deferred, Delivered, Failed, Kind, Outcome, Result, Scope, State


class Effect(StrEnum):
    """What a reply asks of more than its own message."""

    SLOW = "slow"  # halve the rate of the lane
    PAUSE = "pause"  # let the lane rest
    NEXT_ADDRESS = "next address"  # set the local address aside for the lane, try again from another


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: conditions (None: any) and the decision. `is_final`: no further attempt."""

    name: str
    states: frozenset[State] | None
    kinds: frozenset[Kind] | None
    code: re.Pattern[str] | None
    status: re.Pattern[str] | None
    text: re.Pattern[str] | None
    mta: re.Pattern[str] | None
    is_final: bool
    scope: Scope
    after: timedelta | None
    effect: Effect | None
    lasts: timedelta | None

    def fits(self, result: Result) -> bool:
        """True when every condition of the row holds for the result."""
        return (
            (self.states is None or result.state in self.states)
            and (self.kinds is None or result.kind in self.kinds)
            and (self.code is None or bool(result.code and self.code.fullmatch(str(result.code))))
            and (self.status is None or bool(self.status.fullmatch(result.status)))
            and (self.text is None or bool(self.text.search(result.description)))
            and (self.mta is None or bool(self.mta.fullmatch(result.mta)))
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome, the name of the rule that led to it, and what else it asks for.

    `lasts`: how long the lane rests, or the address is set aside; None with every other effect.
    """

    outcome: Outcome
    rule: str
    effect: Effect | None = None
    lasts: timedelta | None = None


def read_rules(text: str) -> tuple[Rule, ...]:
    """Reads a table. Raises ValueError (tomllib.TOMLDecodeError is one, and re.error becomes one) naming the rule."""
    return read_rows(tomllib.loads(text).get("rule", ()))


def read_rows(rows: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Reads tables that were parsed already, as those of the configuration. Raises ValueError naming the rule."""
    return tuple(_rule(row) for row in rows)


@cache
def shipped_rules() -> tuple[Rule, ...]:
    """Gives the table that comes with the program."""
    return read_rules(resources.files("smtpeter.delivery").joinpath("verdicts.toml").read_text("utf-8"))


def judge(rules: tuple[Rule, ...], result: Result) -> Verdict:
    """Gives the verdict on a result: the first rule that fits. A table must end in a rule that fits everything."""
    if result.kind is Kind.ACCEPTED:
        return Verdict(Delivered(result), "")
    rule = next(rule for rule in rules if rule.fits(result))
    if rule.is_final:
        return Verdict(Failed(result, rule.scope), rule.name, rule.effect, rule.lasts)
    return Verdict(Deferred(result, rule.scope, rule.after), rule.name, rule.effect, rule.lasts)


_LASTING = (Effect.PAUSE, Effect.NEXT_ADDRESS)


def _rule(row: Mapping[str, Any]) -> Rule:
    name = row.get("name", "")
    unknown = set(row) - {
        "name",
        "state",
        "kind",
        "code",
        "status",
        "text",
        "mta",
        "verdict",
        "scope",
        "after",
        "effect",
        "lasts",
    }
    if unknown or row.get("verdict") not in {"fail", "retry"}:
        raise ValueError(f"rule {name!r}: {', '.join(sorted(unknown)) or 'verdict'} is not known")
    try:
        effect = Effect(row["effect"]) if "effect" in row else None
        return Rule(
            name=name,
            states=frozenset(State(s) for s in row["state"]) if "state" in row else None,
            kinds=frozenset(Kind(k) for k in row["kind"]) if "kind" in row else None,
            code=_pattern(row.get("code")),
            status=_pattern(row.get("status")),
            text=_pattern(row.get("text")),
            mta=_pattern(row.get("mta")),
            is_final=row["verdict"] == "fail",
            scope=Scope(row["scope"]),
            after=read_duration(row["after"]) if "after" in row else None,
            effect=effect,
            lasts=read_duration(row.get("lasts", "30m")) if effect in _LASTING else None,
        )
    except (KeyError, ValueError, re.error) as error:
        raise ValueError(f"rule {name!r}: {error}") from None


def _pattern(source: str | None) -> re.Pattern[str] | None:
    return None if source is None else re.compile(source, re.IGNORECASE)
