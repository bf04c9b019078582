"""Numbers, health and log of a gateway with several workers."""

import os
import signal

from prometheus_client.parser import text_string_to_metric_families

from tests.live.gateway import Gateway, an_address
from tests.live.waiting import until

SENDER = {"from": "joe@example.com"}


def number(gateway: Gateway, name: str, **labels: str) -> float:
    """Gives the sum of the samples with these labels."""
    answer = gateway.http("GET", "/metrics")
    assert answer.status == 200
    samples = [one for family in text_string_to_metric_families(answer.text) for one in family.samples]
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def test_numbers_of_all_workers_are_told_by_any_and_outlive_them(new_gateway):
    gateway = new_gateway("--workers", "2")
    ids = [gateway.sent(recipient=an_address(), **SENDER, text="x") for _ in range(10)]
    for id in ids:
        gateway.event(id, "delivery")

    def accepted() -> float:
        return number(gateway, "smtpeter_accepted_messages_total", door="rest")

    # each question is a connection of its own, so both workers are asked
    assert {accepted() for _ in range(10)} == {10}
    until(lambda: number(gateway, "smtpeter_attempts_total", result="delivered") == 10, "deliveries are counted")
    assert number(gateway, "smtpeter_delivery_seconds_count") == 10
    assert number(gateway, "smtpeter_store_healthy") == 2

    died = gateway.facts("intake.accepted")[0]["worker"]
    os.kill(gateway.workers()[died], signal.SIGKILL)
    until(lambda: len(gateway.facts("worker.ready")) == 3, "the worker is replaced", tell=gateway.log)
    assert {accepted() for _ in range(5)} == {10}
    gateway.sent(recipient=an_address(), **SENDER, text="x")
    assert accepted() == 11
    gateway.stop()


def test_gateway_says_that_it_is_alive_and_ready_on_plain_and_tls(gateway):
    for path, body in (("/healthz", "ok"), ("/readyz", "[]")):
        answer = gateway.http("GET", path)
        assert (answer.status, answer.text) == (200, body)
    assert gateway.http("GET", "/metrics", X_Forwarded_For="203.0.113.9").status == 404


def test_log_tells_each_message_by_its_id_from_the_door_to_the_end(new_gateway):
    gateway = new_gateway()
    recipient = an_address()
    id = gateway.sent(recipient=recipient, **SENDER, text="x")
    gateway.event(id, "delivery")
    (accepted,) = until(lambda: gateway.facts("intake.accepted"), "it is logged")
    (delivered,) = until(lambda: gateway.facts("delivery.delivery"), "it is logged")
    assert accepted["message"] == delivered["message"] == id
    assert (accepted["client"], accepted["recipients"]) == ("127.0.0.1", 1)
    assert delivered["reply"].startswith("250 ")
    assert {"timestamp", "level", "worker", "node"} <= accepted.keys() & delivered.keys()
    assert gateway.token not in gateway.log()
    gateway.stop()


def test_lines_about_all_mail_can_be_switched_off(new_gateway):
    gateway = new_gateway(LOG__MAIL="false")
    id = gateway.sent(recipient=an_address(), **SENDER, text="x")
    gateway.event(id, "delivery")
    gateway.stop()
    assert id not in gateway.log()


def test_secrets_of_calls_do_not_reach_the_log(new_gateway):
    gateway = new_gateway()
    gateway.http("GET", f"/v1/messages?access_token={gateway.token}")
    gateway.http("GET", f"/metrics?access_token={gateway.token}")
    gateway.http("GET", f"/readyz?access_token={gateway.token}", X_Forwarded_For="203.0.113.9")
    gateway.stop()
    assert gateway.token not in gateway.log()
    assert "access_token" not in gateway.log()
