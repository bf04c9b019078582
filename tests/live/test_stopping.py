"""A gateway that is told to stop ends what it has begun, and the next one goes on where it was."""

import socket
import time

import pytest

from tests.live.clients import RawClient, logged_in, mail, queued_id
from tests.live.gateway import an_address
from tests.live.receivers import SmtpSink, smtp_sink
from tests.live.waiting import until

SENDER = {"from": "joe@example.com"}


def test_message_that_is_being_sent_is_taken_and_delivered_once(new_gateway):
    gateway = new_gateway()
    recipient, first = an_address(), gateway.ready
    with logged_in(gateway) as slow, RawClient(first["smtp"], first["ca"]) as idle:
        idle.line()
        slow.say("MAIL FROM:<joe@example.com>")
        slow.say(f"RCPT TO:<{recipient}>")
        assert slow.say("DATA").startswith("354 ")
        slow.write(mail("joe@example.com", recipient))
        gateway.terminate()
        assert idle.line().startswith("421 4.3.2 ")
        assert idle.line() == ""
        slow.write(b"The rest.\r\n")
        id = queued_id(slow.say("."))
        assert slow.line().startswith("421 4.3.2 ")
        assert slow.line() == ""
    assert gateway.exit_code() == 0, gateway.log()

    gateway.start()
    assert gateway.token == first["token"]
    assert gateway.ready["smtp"]["password"] == first["smtp"]["password"]
    gateway.event(id, "delivery")
    (message,) = gateway.captured(recipient)
    assert message.endswith(b"Good day.\r\nThe rest.\r\n")
    assert [one["event"] for one in gateway.events(id)] == ["attempt", "delivery"]
    gateway.stop()


def test_client_that_leaves_within_data_leaves_nothing(new_gateway):
    gateway = new_gateway()
    with logged_in(gateway) as client:
        client.say("MAIL FROM:<joe@example.com>")
        client.say("RCPT TO:<jane@example.org>")
        client.say("DATA")
        client.write(mail("joe@example.com", "jane@example.org"))
    gateway.stop()
    assert gateway.queue_counts() == {}


def test_delivery_in_flight_is_finished_before_the_end(new_gateway, open_path):
    with smtp_sink(open_path / "sink", "-W", ".:1") as sink:
        gateway = new_gateway("--smart-host", sink.place, DELIVERY__IDLE_TIME="5m")
        id = gateway.sent(recipient=an_address(), **SENDER, text="x")
        until(sink.mails, "the sink has the mail and keeps us waiting for its reply")
        assert [one["event"] for one in gateway.events(id)] == ["attempt"]
        began = time.monotonic()
        gateway.stop()
        assert time.monotonic() - began < 20, "connections that have nothing to do are not waited for"
        gateway.start()
        assert [one["event"] for one in gateway.events(id)] == ["attempt", "delivery"]
        gateway.stop()
        assert len(sink.mails()) == 1


def test_what_waits_is_delivered_once_after_a_restart(new_gateway, open_path):
    sink = SmtpSink(open_path / "sink").start()
    sink.stop()
    gateway = new_gateway("--smart-host", sink.place)
    ids = [gateway.sent(recipient=an_address(), **SENDER, text="x") for _ in range(5)]
    gateway.event(ids[0], "deferral")  # not all are tried: the lane rests after some
    gateway.stop()
    counts = gateway.queue_counts()
    assert sum(counts.values()) == 5
    assert "delivered" not in counts
    sink.start()
    try:
        gateway.start()
        for id in ids:
            gateway.event(id, "delivery")
            names = [one["event"] for one in gateway.events(id)]
            assert (names[0], names[-1], names.count("delivery")) == ("attempt", "delivery", 1)
        assert len(sink.mails()) == 5
        gateway.stop()
    finally:
        sink.stop()


def test_ports_are_free_after_the_end(new_gateway):
    gateway = new_gateway()
    place = gateway.ready["smtp"]
    gateway.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((place["host"], place["port"]), timeout=5).close()


def test_second_signal_does_not_break_the_drain(new_gateway):
    gateway = new_gateway()
    recipient = an_address()
    with logged_in(gateway) as client:
        client.say("MAIL FROM:<joe@example.com>")
        client.say(f"RCPT TO:<{recipient}>")
        client.say("DATA")
        gateway.terminate()
        until(lambda: "stop.draining" in gateway.log(), "it drains")
        gateway.terminate()
        client.write(mail("joe@example.com", recipient))
        queued_id(client.say("."))
    assert gateway.exit_code() == 0, gateway.log()
    gateway.start()
    assert len(gateway.captured(recipient)) == 1
    gateway.stop()
