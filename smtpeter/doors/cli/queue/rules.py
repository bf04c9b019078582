"""`smtpeter queue rules`: how replies of other servers are judged."""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smtpeter.config import Config
from smtpeter.delivery.verdict import Rule, Verdict, judge, shipped_rules
from smtpeter.doors.cli.queue.chosen import keep_entry, remove, way_out, who
from smtpeter.doors.cli.shared import COMMON, Common, fail, show, table, with_store
from smtpeter.doors.steering import all_rules, log_removed, log_stored, rules_in, shown, span, stored_of
from smtpeter.model.outcome import Deferred, Failed, Kind, Result, State
from smtpeter.model.steering import RuleEntry, Steer
from smtpeter.store.store import Store

# RFC 5321 4.2: a code, then perhaps an enhanced status (RFC 3463 2) and text
_REPLY = re.compile(r"([45][0-9]{2})(?:[ -]|\Z)(?:([45]\.[0-9]{1,3}\.[0-9]{1,3})(?: |\Z))?(.*)\Z", re.DOTALL)


def rules_list(*, common: Common = COMMON) -> None:
    """Lists the rules by which replies are judged: what is stored, then the configuration, then what is shipped.

    The first one that fits a reply decides.

    Example: smtpeter queue rules list
    """

    async def work(store: Store, config: Config) -> None:
        lines: list[tuple[str, int | None, Rule]] = []
        for one, entry in await stored_of(store, RuleEntry, datetime.now(UTC)):
            lines += [("stored", one.id, rule) for rule in rules_in(entry)]
        lines += [("configured", None, rule) for rule in way_out(config).rules]
        lines += [("shipped", None, rule) for rule in shipped_rules()]
        rows = [(source, id or "", rule.name, *_decision(rule)) for source, id, rule in lines]
        values = [
            {"from": source, "id": id, "name": rule.name, "decision": " ".join(filter(None, _decision(rule)))}
            for source, id, rule in lines
        ]
        show(common, values, table(("from", "id", "rule", "verdict", "scope", "effect"), rows))

    with_store(common, work)


def rules_add(file: Path, /, *, position: int | None = None, common: Common = COMMON) -> None:
    """Adds a rule before those of the configuration; it holds within a second.

    Example: smtpeter queue rules add rule.toml

    Parameters
    ----------
    file
        A file with one [[rule]] table, as in delivery/verdicts.toml ("-": standard input).
    position
        Its place among the stored ones; behind all of them when absent.
    """
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {error}", 2)

    async def work(store: Store, config: Config) -> None:
        stored = await keep_entry(store, config, RuleEntry(text), position)
        log_stored(stored, {}, who())
        value = shown(stored, {})
        show(common, value, f"Rule {stored.id} is at position {stored.position}.")

    with_store(common, work)


def rules_remove(id: int, /, *, common: Common = COMMON) -> None:
    """Removes a stored rule, by the number that the list shows.

    Example: smtpeter queue rules remove 5
    """

    async def work(store: Store, config: Config) -> None:
        removed = await remove(store, Steer.RULE, id)
        log_removed(removed, {}, who())
        show(common, shown(removed, {}), f"Rule {id} is removed.")

    with_store(common, work)


def rules_test(reply: str, /, *, state: State = State.RCPTTO, mta: str = "", common: Common = COMMON) -> None:
    """Tells how a reply would be judged, and by which rule.

    Example: smtpeter queue rules test "421 4.7.0 Too many connections" --state connect

    Parameters
    ----------
    reply
        What the other server says: code, perhaps the enhanced status, text.
    state
        Where in the conversation it says so.
    mta
        The name of the mail host.
    """
    found = _REPLY.match(reply)
    if found is None:
        fail('Give a reply that is no success, as "421 4.7.0 Too many connections".', 2)
    result = Result(state, Kind.ERROR, int(found[1]), found[2] or "", found[3], mta=mta)

    async def work(store: Store, config: Config) -> None:
        stored = await stored_of(store, RuleEntry, datetime.now(UTC))
        verdict = judge(all_rules(tuple(entry for _, entry in stored), way_out(config)), result)
        value = _shown(verdict)
        show(common, value, "\n".join(f"{name:<8} {said}" for name, said in value.items() if said is not None))

    with_store(common, work)


def _decision(rule: Rule) -> tuple[str, str, str]:
    verdict = "fail" if rule.is_final else "retry" if rule.after is None else f"retry after {span(rule.after)}"
    effect = "" if rule.effect is None else f"{rule.effect} for {span(rule.lasts)}" if rule.lasts else str(rule.effect)
    return verdict, str(rule.scope), effect


def _shown(verdict: Verdict) -> dict[str, Any]:
    outcome = verdict.outcome
    after = outcome.retry_after if isinstance(outcome, Deferred) else None
    return {
        "rule": verdict.rule,
        "verdict": "fail" if isinstance(outcome, Failed) else "retry",
        "scope": str(outcome.scope) if isinstance(outcome, Deferred | Failed) else None,
        "after": None if after is None else span(after),
        "effect": verdict.effect,
        "lasts": None if verdict.lasts is None else span(verdict.lasts),
    }
