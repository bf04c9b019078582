"""What the shipped table says of replies and accidents, as the sentences of delivery.md promise."""

import re
import time
from datetime import timedelta

import pytest

from smtpeter.delivery.verdict import Effect, Verdict, judge, read_rows, read_rules, shipped_rules
from smtpeter.model.outcome import Deferred, Delivered, Failed, Kind, Result, Scope, State
from tests.delivery.replies import CASES, Case

ABOUT_US = [State.INTRO, State.EHLO, State.HELO, State.STARTTLS, State.AUTH, State.MAILFROM]


def verdict_on(state: State, code: int, status: str = "", text: str = "") -> Deferred | Failed | Delivered:
    kind = Kind.ACCEPTED if code < 400 else Kind.ERROR
    return judge(shipped_rules(), Result(state, kind, code, status, text)).outcome


def test_a_positive_reply_to_the_end_of_data_is_a_delivery() -> None:
    assert isinstance(verdict_on(State.MESSAGE, 250, "2.0.0"), Delivered)


@pytest.mark.parametrize("state", [State.RCPTTO, State.DATA, State.MESSAGE])
@pytest.mark.parametrize("code", [500, 550, 552, 553, 554, 571])
def test_a_permanent_refusal_of_recipient_or_content_is_final(state: State, code: int) -> None:
    assert isinstance(verdict_on(state, code), Failed)


@pytest.mark.parametrize("state", [State.RCPTTO, State.DATA, State.MESSAGE, *ABOUT_US])
@pytest.mark.parametrize("code", [421, 450, 451, 452])
def test_a_transient_reply_is_tried_again_wherever_it_comes(state: State, code: int) -> None:
    assert isinstance(verdict_on(state, code), Deferred)


@pytest.mark.parametrize("state", ABOUT_US)
def test_a_permanent_refusal_of_us_sends_the_message_to_the_next_host(state: State) -> None:
    outcome = verdict_on(state, 554, "5.7.1", "blocked")
    assert isinstance(outcome, Deferred)
    assert outcome.scope is Scope.HOST


def test_a_full_mailbox_is_tried_again_after_a_while_although_the_code_says_never() -> None:
    outcome = verdict_on(State.RCPTTO, 552, "5.2.2", "mailbox full")
    assert isinstance(outcome, Deferred)
    assert outcome.retry_after == timedelta(minutes=30)


def test_a_refused_sender_address_is_final_at_mail() -> None:
    assert isinstance(verdict_on(State.MAILFROM, 550, "5.1.8"), Failed)


@pytest.mark.parametrize("status", ["5.3.4", "5.6.3", "5.6.7"])
def test_a_message_that_does_not_fit_the_host_is_final_without_a_reply(status: str) -> None:
    result = Result(State.MAILFROM, Kind.ERROR, 0, status, "declined by ourselves")
    outcome = judge(shipped_rules(), result).outcome
    assert isinstance(outcome, Failed)
    assert outcome.scope is Scope.MESSAGE


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("kind", [Kind.TIMEOUT, Kind.LOST, Kind.INVALID])
def test_an_accident_never_fails_a_message(state: State, kind: Kind) -> None:
    outcome = judge(shipped_rules(), Result(state, kind)).outcome
    assert isinstance(outcome, Deferred)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("code", [0, 421, 499, 500, 554, 599])
def test_every_result_finds_a_rule(state: State, code: int) -> None:
    assert judge(shipped_rules(), Result(state, Kind.ERROR, code)).rule


def test_the_rule_that_hit_is_named() -> None:
    assert judge(shipped_rules(), Result(State.RCPTTO, Kind.ERROR, 450, "4.7.1", "Greylisted, come back")).rule == (
        "greylisted"
    )


def test_the_first_rule_that_fits_decides() -> None:
    rules = read_rules(
        """
        [[rule]]
        name = "ours"
        mta = ".*\\\\.example\\\\.com"
        verdict = "fail"
        scope = "lane"
        [[rule]]
        name = "rest"
        verdict = "retry"
        scope = "message"
        """
    )
    assert judge(rules, Result(State.DATA, Kind.ERROR, 451, mta="mx.example.com")).rule == "ours"
    assert judge(rules, Result(State.DATA, Kind.ERROR, 451, mta="mx.example.net")).rule == "rest"


@pytest.mark.parametrize(
    "row",
    [
        'name = "x"\nverdict = "maybe"\nscope = "host"',
        'name = "x"\nverdict = "fail"\nscope = "galaxy"',
        'name = "x"\nverdict = "fail"',
        'name = "x"\nverdict = "fail"\nscope = "host"\nstate = ["nowhere"]',
        'name = "x"\nverdict = "fail"\nscope = "host"\ntext = "("',
        'name = "x"\nverdict = "fail"\nscope = "host"\ncolour = "red"',
    ],
)
def test_a_mistake_in_a_table_is_told_with_the_name_of_its_rule(row: str) -> None:
    with pytest.raises(ValueError, match="'x'"):
        read_rules(f"[[rule]]\n{row}")


def verdict_of(case: Case) -> Verdict:
    code, status, text = case.reply.split(" ", 2)
    result = Result(case.state, Kind.ERROR, int(code), "" if status == "-" else status, text, mta=case.mta)
    return judge(shipped_rules(), result)


@pytest.mark.parametrize("case", CASES, ids=lambda case: re.sub(r"[^A-Za-z0-9]+", " ", case.reply)[:60])
def test_reply_of_a_receiver_is_judged_by_the_rule_for_it(case: Case) -> None:
    verdict = verdict_of(case)
    assert not isinstance(verdict.outcome, Delivered)
    decision = "fail" if isinstance(verdict.outcome, Failed) else "retry"
    assert (verdict.rule, decision, verdict.outcome.scope, verdict.effect) == (
        case.rule,
        case.decision,
        case.scope,
        case.effect,
    )


def test_every_shipped_rule_has_a_reply_that_it_fits() -> None:
    accidents = [Result(state, Kind.LOST) for state in State] + [Result(State.PROCESS, Kind.ERROR)]
    hit = {case.rule for case in CASES} | {judge(shipped_rules(), accident).rule for accident in accidents}
    assert {rule.name for rule in shipped_rules()} == hit
    assert len({rule.name for rule in shipped_rules()}) == len(shipped_rules())


def test_block_of_us_never_counts_as_a_bad_recipient() -> None:
    for case in CASES:
        if case.effect in (Effect.PAUSE, Effect.NEXT_ADDRESS):
            assert isinstance(verdict_of(case).outcome, Deferred)
            assert case.scope is Scope.LANE


def test_pause_and_set_aside_address_have_an_end_and_other_effects_none() -> None:
    for rule in shipped_rules():
        is_lasting = rule.effect in (Effect.PAUSE, Effect.NEXT_ADDRESS)
        assert (rule.lasts is not None) is is_lasting
        assert rule.lasts is None or timedelta(minutes=10) <= rule.lasts <= timedelta(hours=4)


def row(**more: object) -> dict[str, object]:
    return {"name": "x", "verdict": "retry", "scope": "lane", **more}


def test_rows_of_the_configuration_are_read_as_the_table_is() -> None:
    (rule,) = read_rows([row(effect="pause", lasts="2h", code="4..", text=["slow down", "too fast"])])
    assert (rule.effect, rule.lasts) == (Effect.PAUSE, timedelta(hours=2))
    verdict = judge(
        (rule, *shipped_rules()), Result(State.DATA, Kind.ERROR, 451, description="You are TOO FAST for us")
    )
    assert (verdict.rule, verdict.effect, verdict.lasts) == ("x", Effect.PAUSE, timedelta(hours=2))


def test_effect_that_lasts_does_so_for_half_an_hour_when_nothing_is_said() -> None:
    assert [rule.lasts for rule in read_rows([row(effect="next address"), row(effect="slow")])] == [
        timedelta(minutes=30),
        None,
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        row(effect="explode"),
        row(effect="slow", lasts="1h"),
        row(lasts="1h"),
        row(effect="pause", lasts="soon"),
        row(verdict="fail", effect="next address"),
        row(verdict="fail", after="1h"),
        row(verdict=["fail"]),
        row(text=7),
        row(text=["a", 7]),
        row(text="(a+)+$"),
        row(text=".*.*.*x"),
        row(code="9.."),
        row(state=7),
    ],
)
def test_mistake_in_a_row_is_told_with_the_name_of_its_rule(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="'x'"):
        read_rows([wrong])


@pytest.mark.parametrize(
    "text", ["rule = 7", "[rule]\nname = 'x'", "rules = []", "[[rule]", "[[rule]]\nverdict = 'fail'"]
)
def test_text_that_is_no_table_of_rules_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_rules(text)


def test_what_a_host_says_beyond_the_first_kibibyte_is_not_looked_at() -> None:
    rules = (*read_rows([row(text="needle")]), *shipped_rules())
    assert judge(rules, Result(State.DATA, Kind.ERROR, 451, description="x" * 1000 + "needle")).rule == "x"
    assert judge(rules, Result(State.DATA, Kind.ERROR, 451, description="x" * 1024 + "needle")).rule == "put off"


def fastest(result: Result) -> float:
    """Gives the time of one judgement in seconds, as the fastest of many."""
    times = []
    for _ in range(300):
        start = time.perf_counter()
        judge(shipped_rules(), result)
        times.append(time.perf_counter() - start)
    return min(times)


def test_reply_that_no_receiver_rule_fits_is_judged_in_microseconds() -> None:
    text = "Temporary lookup failure of the address in our directory, see ticket 8127361 at mx3.example.com"
    assert fastest(Result(State.RCPTTO, Kind.ERROR, 451, "4.3.0", text)) < 50e-6


def test_delivery_is_not_compared_with_any_rule() -> None:
    accepted = Result(State.MESSAGE, Kind.ACCEPTED, 250, "2.0.0", "OK")
    assert judge((), accepted).outcome == Delivered(accepted)


def test_text_made_to_be_slow_is_judged_quickly() -> None:
    pieces = [
        "exceed ",
        "mailbox ",
        "too many ",
        "ip ",
        "client host ",
        "dynamic ",
        "reverse ",
        "blocked ",
        "recipient ",
    ]
    for piece in pieces:
        assert fastest(Result(State.RCPTTO, Kind.ERROR, 550, "5.0.0", piece * (1024 // len(piece)))) < 0.05
