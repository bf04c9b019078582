"""What the shipped table says of replies and accidents, as the sentences of delivery.md promise."""

from datetime import timedelta

import pytest

from smtpeter.delivery.verdict import judge, read_rules, shipped_rules
from smtpeter.model.outcome import Deferred, Delivered, Failed, Kind, Result, Scope, State

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
