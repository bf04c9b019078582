"""The judgement of what a remote host said: a table, read from verdicts.toml, and one function that looks it up.

No other file decides whether a reply is final, or what it asks of the lane. The table is data so that an operator can
read it and put rules of its own before it, and a rule that hit is named in the event. Rules are tried in order on every
reply that is not positive, so each tests what is cheap first and a pattern on the text last.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from msgspec import Struct

from smtpeter.config.values import read_duration
from smtpeter.delivery.expression import MAX_TEXT, Expression, read_expression
from smtpeter.model.outcome import Deferred, Delivered, Failed, Kind, Outcome, Result, Scope, State

_CODES = range(200, 600)  # RFC 5321 4.2
_LASTS = "30m"


class Effect(StrEnum):
    """What a reply asks of more than its own message."""

    SLOW = "slow"  # halve the rate of the lane
    PAUSE = "pause"  # let the lane rest
    NEXT_ADDRESS = "next address"  # set the local address aside for the lane, try again from another


_LASTING = (Effect.PAUSE, Effect.NEXT_ADDRESS)
_KEYS = frozenset(
    ("name", "state", "kind", "code", "status", "text", "mta", "verdict", "scope", "after", "effect", "lasts")
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: conditions (None: any) and the decision. `is_final`: no further attempt; `lasts` as in `Verdict`."""

    name: str
    states: frozenset[State] | None
    kinds: frozenset[Kind] | None
    codes: frozenset[int] | None
    status: Expression | None
    text: Expression | None
    mta: Expression | None
    is_final: bool
    scope: Scope
    after: timedelta | None
    effect: Effect | None
    lasts: timedelta | None

    def fits(self, result: Result, text: str, lowered: str) -> bool:
        """True when every condition holds; `text` is the part of the description that counts, and in small letters."""
        return (
            (self.codes is None or result.code in self.codes)
            and (self.states is None or result.state in self.states)
            and (self.kinds is None or result.kind in self.kinds)
            and (self.text is None or self.text.is_found_in(text, lowered))
            and (self.status is None or self.status.is_all_of(result.status))
            and (self.mta is None or self.mta.is_all_of(result.mta))
        )


class Verdict(Struct, frozen=True):
    """An outcome, the name of the rule that led to it, and what else it asks for.

    `lasts`: how long the lane rests, or the address is set aside; None with every other effect. A rule that fails a
    message may slow or pause its lane as well.
    """

    outcome: Outcome
    rule: str
    effect: Effect | None = None
    lasts: timedelta | None = None


def read_rules(text: str) -> tuple[Rule, ...]:
    """Reads `[[rule]]` tables. Raises ValueError (tomllib.TOMLDecodeError is one), naming the rule where there is one."""
    tables = tomllib.loads(text)
    rows = tables.pop("rule", [])
    if tables or not isinstance(rows, list):
        raise ValueError(f"rules are written as [[rule]] tables; {', '.join(sorted(tables)) or '[rule]'} is not known")
    return read_rows(rows)


def read_rows(rows: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Reads tables that were parsed already, as those of the configuration. Raises ValueError naming the rule."""
    return tuple(_rule(row) for row in rows)


@cache
def shipped_rules() -> tuple[Rule, ...]:
    """Gives the table that comes with the program; it ends in a rule that fits everything."""
    return read_rules(resources.files("smtpeter.delivery").joinpath("verdicts.toml").read_text("utf-8"))


def judge(rules: tuple[Rule, ...], result: Result) -> Verdict:
    """Gives the verdict on a result: the first rule that fits. The rules must end in `shipped_rules()`."""
    if result.kind is Kind.ACCEPTED:
        return Verdict(Delivered(result), "")
    text = result.description[:MAX_TEXT]
    lowered = text.lower()
    rule = next(rule for rule in rules if rule.fits(result, text, lowered))
    outcome = Failed(result, rule.scope) if rule.is_final else Deferred(result, rule.scope, rule.after)
    return Verdict(outcome, rule.name, rule.effect, rule.lasts)


def _rule(row: Mapping[str, Any]) -> Rule:
    name = row.get("name", "")
    if unknown := set(row) - _KEYS:
        raise ValueError(f"rule {name!r}: {', '.join(sorted(unknown))} is not known")
    try:
        return _read(row, name)
    except KeyError as missing:
        raise ValueError(f"rule {name!r}: {missing.args[0]} is missing") from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"rule {name!r}: {error}") from None


def _read(row: Mapping[str, Any], name: str) -> Rule:
    if not name or not isinstance(name, str):
        raise ValueError("a rule needs a name")
    if row["verdict"] not in ("fail", "retry"):
        raise ValueError("verdict is fail or retry")
    is_final = row["verdict"] == "fail"
    effect = Effect(row["effect"]) if "effect" in row else None
    if is_final and ("after" in row or effect is Effect.NEXT_ADDRESS):
        raise ValueError("what fails is not tried again, neither after a while nor from the next address")
    if "lasts" in row and effect not in _LASTING:
        raise ValueError('lasts needs effect = "pause" or "next address"')
    return Rule(
        name=name,
        states=frozenset(State(s) for s in row["state"]) if "state" in row else None,
        kinds=frozenset(Kind(k) for k in row["kind"]) if "kind" in row else None,
        codes=_codes(row["code"]) if "code" in row else None,
        status=_expression(row, "status"),
        text=_expression(row, "text"),
        mta=_expression(row, "mta"),
        is_final=is_final,
        scope=Scope(row["scope"]),
        after=read_duration(row["after"]) if "after" in row else None,
        effect=effect,
        lasts=read_duration(row.get("lasts", _LASTS)) if effect in _LASTING else None,
    )


def _codes(source: object) -> frozenset[int]:
    """Gives the codes that a pattern stands for, so that a look into a set does for a match."""
    expression = read_expression(source)
    codes = frozenset(code for code in _CODES if expression.is_all_of(str(code)))
    if not codes:
        raise ValueError(f"no code from 200 to 599 is {source}")
    return codes


def _expression(row: Mapping[str, Any], key: str) -> Expression | None:
    if key not in row:
        return None
    given = row[key]
    if isinstance(given, list) and all(isinstance(one, str) for one in given):
        given = "|".join(given)
    return read_expression(given)
