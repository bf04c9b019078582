"""What a lane learns: few connections at first, more with success, rests that grow with failure."""

from datetime import timedelta

from smtpeter.delivery.lanes.health import FAILURES_TO_REST, RESTS, START, Health


def test_unknown_site_gets_one_connection_and_a_handful_once_it_answers() -> None:
    health = Health()
    assert health.connections == 1
    health.connected()
    assert health.connections == START


def test_each_message_taken_adds_a_connection_up_to_the_limit() -> None:
    health = Health()
    health.connected()
    grew = [health.delivered(8) for _ in range(10)]
    assert health.connections == 8
    assert grew == [True] * 3 + [False] * 7


def test_failures_in_a_row_halve_the_connections_and_lead_to_a_rest() -> None:
    health = Health()
    health.connected()
    for _ in range(15):
        health.delivered(20)
    seen = []
    for _ in range(FAILURES_TO_REST):
        seen.append((health.failed(100.0, 0.5), health.connections))
    assert seen == [(False, 10), (False, 5), (True, 1)]
    assert health.rests(100.0 + 59.9)
    assert not health.rests(100.0 + 60.0)


def test_rests_grow_until_a_message_is_taken() -> None:
    health, now, rests = Health(), 0.0, []
    for _ in range(8):
        while not health.failed(now, 0.5):
            pass
        rests.append(timedelta(seconds=round(health.rests_until - now)))
        now = health.rests_until
    assert rests == [*RESTS, *[RESTS[-1]] * 3]
    health.delivered(20)
    assert not any(health.failed(now, 0.5) for _ in range(FAILURES_TO_REST - 1))
    assert health.failed(now, 0.5)
    assert round(health.rests_until - now) == RESTS[0].total_seconds()


def test_after_a_rest_one_failure_is_enough_for_the_next() -> None:
    health = Health()
    for _ in range(FAILURES_TO_REST):
        health.failed(0.0, 0.5)
    assert health.failed(health.rests_until, 0.5)


def test_rests_are_jittered_and_shorter_in_development() -> None:
    ends = set()
    for randomness in (0.0, 0.25, 0.999):
        health = Health(divisor=60)
        while not health.failed(0.0, randomness):
            pass
        ends.add(round(health.rests_until, 3))
    assert ends == {0.8, 0.9, 1.2}


def test_operator_ends_a_rest() -> None:
    health = Health()
    while not health.failed(0.0, 0.5):
        pass
    health.wake()
    assert not health.rests(1.0)
