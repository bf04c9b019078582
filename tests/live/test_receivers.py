"""Mail that goes to servers of others: what they get, what they say, and what is told of it."""

import email
import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.clients import logged_in, mail, queued_id
from tests.live.gateway import Gateway, an_address, running
from tests.live.programs import program, run
from tests.live.receivers import Dump, Postfix, SmtpSink, smtp_sink
from tests.live.verifiers import assert_verified, development_records, dkimpy_verifies
from tests.live.waiting import free_port, until

JANE = f"jane@{Postfix.DOMAIN}"
JOE = f"joe@{Postfix.DOMAIN}"
NOBODY = f"nobody@{Postfix.DOMAIN}"


def in_mailbox(server: Postfix, user: str, mark: str) -> email.message.EmailMessage:
    """Waits for the mail that holds `mark` and gives it, parsed."""
    return email.message_from_bytes(raw_in_mailbox(server, user, mark), policy=email.policy.default)


def raw_in_mailbox(server: Postfix, user: str, mark: str) -> bytes:
    def look() -> bytes | None:
        return next((found for found in server.mails(user) if mark.encode() in found), None)

    return until(look, f"a mail with {mark} in the mailbox of {user}", tell=server.log)


# --- Postfix


def test_postfix_has_the_body_octet_for_octet_and_a_signature_that_holds(relay, receiver):
    mark = an_address()
    body = "Line\r\n.dot\r\n..\r\n\t tab and blank \r\n" + "x" * 900 + "\r\n\r\nGrüße as they are\r\n"
    with logged_in(relay) as client:
        client.say("MAIL FROM:<joe@example.com> BODY=8BITMIME")
        client.say(f"RCPT TO:<{JANE}>")
        client.say("DATA")
        stuffed = mail("joe@example.com", JANE, mark, body).replace(b"\r\n.", b"\r\n..")
        client.write(stuffed)
        id = queued_id(client.say("."))
    found = raw_in_mailbox(receiver, "jane", mark)
    assert found.partition(b"\r\n\r\n")[2] == body.encode()
    assert b"Return-Path: <joe@example.com>\r\n" in found
    assert_verified(found, development_records(relay, "example.com"))
    assert [one["event"] for one in relay.events(id)] == ["attempt", "delivery"]


def test_events_show_the_encryption_towards_postfix(relay, receiver):
    id = relay.sent(recipient=JANE, **{"from": "joe@example.com"}, text="secret")
    relay.event(id, "delivery")
    (attempt,) = relay.get(f"message/{id}").json["attempts"]
    assert attempt["tls"]["version"] == "TLSv1.3"
    assert attempt["tls"]["cipher"]
    assert attempt["tls"]["verified"] is False, "nobody has signed its certificate"
    assert (attempt["code"], attempt["status"], attempt["state"]) == (250, "2.0.0", "message")
    assert f"queued as {attempt['description'].rsplit(' ', 1)[1]}" in attempt["description"]
    assert "secret" not in "\n".join(attempt["transcript"])


def test_first_message_of_a_connection_tells_how_it_came_about(receiver, new_gateway):
    gateway = new_gateway("--smart-host", receiver.place)
    attempts = []
    for _ in range(2):
        id = gateway.sent(recipient=JANE, **{"from": "joe@example.com"}, text="x")
        gateway.event(id, "delivery")
        attempts += gateway.get(f"message/{id}").json["attempts"]
    gateway.stop()
    first, second = attempts
    assert first["transcript"][0].startswith("S: 220 mx.postfix.example ")
    commands = [line for line in first["transcript"] if line.startswith("C: ")]
    assert [line.split()[1] for line in commands[:4]] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]
    assert {"connect", "intro", "ehlo", "starttls", "mailfrom", "message"} <= first["durations"].keys()
    assert second["transcript"][0].startswith("C: MAIL FROM:"), "it went over the same connection"
    assert second["durations"].keys() == {"mailfrom", "rcptto", "data", "message"}


def test_refused_recipient_fails_with_the_words_of_the_host_and_the_envelope_is_told(relay, receiver):
    mark = an_address()
    id = relay.sent(
        recipient=NOBODY,
        envelope=JOE,
        **{"from": "joe@example.com"},
        subject=mark,
        text="x",
        dsn={"envid": "order-7", "ret": "FULL"},
    )
    failure = relay.event(id, "failure")
    assert (failure["state"], failure["type"], failure["code"], failure["status"]) == ("rcptto", "error", 550, "5.1.1")
    assert "User unknown" in failure["description"]
    assert (failure["attempt"], failure["recipient"], failure["to"]) == (0, NOBODY, "127.0.0.1")
    assert relay.get(f"message/{id}").json["state"] == "failed"

    report = in_mailbox(receiver, "joe", mark)
    assert report["Return-Path"] == "<>"
    assert report["Auto-Submitted"] == "auto-replied"
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    words, status, original = report.get_payload()
    assert NOBODY in words.get_content()
    about_message, about_recipient = status.get_payload()
    assert about_message["Original-Envelope-Id"] == "order-7"
    assert about_recipient["Final-Recipient"] == f"rfc822; {NOBODY}"
    assert (about_recipient["Action"], about_recipient["Status"]) == ("failed", "5.1.1")
    assert about_recipient["Diagnostic-Code"].startswith("smtp; 550 ")
    assert original.get_content_type() == "message/rfc822"
    assert original.get_payload()[0]["Subject"] == mark


def test_nobody_is_told_of_a_failure_when_the_envelope_is_null_or_wants_no_word(relay, receiver):
    silent, null = an_address(), an_address()
    ids = [
        relay.sent(recipient=NOBODY, **{"from": JOE}, subject=null, text="x"),
        relay.sent(recipient=NOBODY, envelope=JOE, **{"from": JOE}, subject=silent, text="x", dsn={"notify": "NEVER"}),
    ]
    for id in ids:
        relay.event(id, "failure")
    # what would have been told has been told once this later failure is
    last = an_address()
    relay.sent(recipient=NOBODY, envelope=JOE, **{"from": JOE}, subject=last, text="x")
    in_mailbox(receiver, "joe", last)
    assert not any(mark.encode() in found for mark in (silent, null) for found in receiver.mails("joe"))


def test_refused_recipient_leaves_the_others_of_the_call_alone(relay, receiver):
    mark = an_address()
    answer = relay.send(recipient=[NOBODY, JANE], **{"from": "joe@example.com"}, subject=mark, text="x")
    ids = {recipient: id for id, recipient in answer.json.items()}
    relay.event(ids[NOBODY], "failure")
    relay.event(ids[JANE], "delivery")
    raw_in_mailbox(receiver, "jane", mark)


def test_international_text_arrives_readable(relay, receiver):
    mark = an_address()
    relay.sent(
        recipient=JANE,
        **{"from": {"name": "Jürgen Œ, Jr.", "address": "joe@bücher.example"}},
        subject="Grüße 🦊",
        text="Schöne Grüße\nfrom 東京\n",
        html="<p>Schöne Grüße</p>",
        extra={"X-Mark": mark},
    )
    found = in_mailbox(receiver, "jane", mark)
    assert found["Subject"] == "Grüße 🦊"
    assert found["From"].addresses[0].display_name == "Jürgen Œ, Jr."
    assert found["From"].addresses[0].domain == "xn--bcher-kva.example"
    assert found.get_body(("plain",)).get_content().splitlines() == ["Schöne Grüße", "from 東京"]


# --- smtp-sink


@dataclass(frozen=True, slots=True)
class Station:
    """A gateway that hands everything to one port, where each test starts the host that it needs."""

    gateway: Gateway
    port: int

    @contextmanager
    def host(self, folder: Path, *options: str) -> Iterator[SmtpSink]:
        """Gives a running smtp-sink at that port."""
        sink = SmtpSink(folder / "-".join(("sink", *options)).replace(" ", "_"), *options, port=self.port).start()
        try:
            yield sink
        finally:
            sink.stop()


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    program("smtp-sink")
    port = free_port()
    # hosts come and go: a lane that rests because of one is soon there for the next
    often = {"DELIVERY__RETRY_DIVISOR": "600"}
    place = f"127.0.0.1:{port}"
    with running(Gateway(tmp_path_factory.mktemp("station"), "--smart-host", place, **often)) as started:
        yield Station(started, port)


def arrived(sink: SmtpSink, recipient: str) -> list[Dump]:
    return [dump for dump in sink.mails() if recipient in dump.recipients]


def test_trusted_network_sends_two_hundred_messages_without_tls_and_auth(new_gateway, open_path):
    with smtp_sink(open_path / "sink") as sink:
        trusted = {"SMTP__TRUSTED_NETWORKS": "127.0.0.0/8=development", "SMTP__ALLOW_INSECURE_AUTH": "false"}
        gateway = new_gateway("--smart-host", sink.place, **trusted)
        place = gateway.ready["smtp"]
        sending = ("-s", "10", "-m", "200", "-l", "4096", "-d", "-N")
        addresses = ("-f", "joe@example.com", "-t", "jane@sink.example")
        run("smtp-source", *sending, *addresses, f"{place['host']}:{place['port']}")
        mails = until(lambda: len(sink.mails()) >= 200 and sink.mails(), "200 mails in the sink", 30)
        gateway.stop()
        assert gateway.queue_counts() == {"delivered": 200}
        records = development_records(gateway, "example.com")
    assert len(mails) == 200
    assert len({dump.recipients for dump in mails}) == 200
    assert {dump.sender for dump in mails} == {"joe@example.com"}
    assert all(dkimpy_verifies(dump.content, records) for dump in mails)


def test_recipient_that_is_put_off_is_tried_again_and_arrives_once(station, open_path):
    gateway, recipient = station.gateway, an_address()
    with station.host(open_path, "-r", "RCPT", "-b", "451 4.7.1 Greylisted, come back later"):
        id = gateway.sent(recipient=recipient, **{"from": "joe@example.com"}, text="x")
        deferral = gateway.event(id, "deferral")
        assert (deferral["state"], deferral["type"], deferral["code"]) == ("rcptto", "error", 451)
        assert (deferral["status"], deferral["description"]) == ("4.7.1", "Greylisted, come back later")
        assert "greylisted" in gateway.command("why", id)
    with station.host(open_path) as sink:
        delivery = gateway.event(id, "delivery")
        assert delivery["attempt"] >= 1
        names = [one["event"] for one in gateway.events(id)]
        assert names == ["attempt", *["deferral"] * delivery["attempt"], "delivery"]
        assert len(arrived(sink, recipient)) == 1


@pytest.mark.parametrize(
    ("options", "state", "type", "code"),
    [
        (("-r", "MAIL"), "mailfrom", "error", 450),
        (("-r", "DATA"), "data", "error", 450),
        (("-r", "."), "message", "error", 450),
        (("-Q", "RCPT"), "rcptto", "error", 421),
        (("-q", "."), "message", "lost", 0),
        (("-q", "EHLO"), "ehlo", "lost", 0),
        (("-f", "CONNECT"), "intro", "error", 500),
    ],
    ids=lambda value: "".join(value) if isinstance(value, tuple) else str(value),
)
def test_trouble_of_the_host_defers_with_its_stage(station, open_path, options, state, type, code):
    with station.host(open_path, *options):
        id = station.gateway.sent(recipient=an_address(), **{"from": "joe@example.com"}, text="x")
        deferral = station.gateway.event(id, "deferral")
        (attempt, *_) = station.gateway.get(f"message/{id}").json["attempts"]
    assert (deferral["state"], deferral["type"], deferral["code"]) == (state, type, code)
    assert attempt["uncertain"] is (state == "message" and type == "lost")


def test_content_that_the_host_refuses_fails_at_once(station, open_path):
    with station.host(open_path, "-f", ".", "-B", "554 5.7.1 Spam"):
        id = station.gateway.sent(recipient=an_address(), **{"from": "joe@example.com"}, text="x")
        failure = station.gateway.event(id, "failure")
    assert (failure["state"], failure["code"], failure["status"]) == ("message", 554, "5.7.1")


def test_host_without_esmtp_gets_mail_after_helo(station, open_path):
    recipient = an_address()
    with station.host(open_path, "-e") as sink:
        id = station.gateway.sent(recipient=recipient, **{"from": "joe@example.com"}, text="Grüße")
        station.gateway.event(id, "delivery")
        (dump,) = arrived(sink, recipient)
    assert dump.content.isascii(), "it did not announce 8BITMIME"
    assert dkimpy_verifies(dump.content, development_records(station.gateway, "example.com"))


def test_eight_bit_mail_is_rewritten_for_a_host_that_cannot_take_it(station, open_path):
    recipient, body = an_address(), "Schöne Grüße\r\n" * 20
    plain = {"MIME_Version": "1.0", "Content_Type": "text/plain; charset=utf-8", "Content_Transfer_Encoding": "8bit"}
    with station.host(open_path, "-8") as sink, logged_in(station.gateway) as client:
        client.say("MAIL FROM:<joe@example.com> BODY=8BITMIME")
        client.say(f"RCPT TO:<{recipient}>")
        client.say("DATA")
        client.write(mail("joe@example.com", recipient, text=body, **plain))
        station.gateway.event(queued_id(client.say(".")), "delivery")
        (dump,) = arrived(sink, recipient)
    assert dump.content.isascii()
    found = email.message_from_bytes(dump.content, policy=email.policy.default)
    assert found.get_content().splitlines() == body.splitlines()
    assert_verified(dump.content, development_records(station.gateway, "example.com"))


def test_no_host_at_all_defers_at_connect_and_arrives_when_it_is_there(station, open_path):
    recipient = an_address()
    id = station.gateway.sent(recipient=recipient, **{"from": "joe@example.com"}, text="x")
    deferral = station.gateway.event(id, "deferral")
    assert (deferral["state"], deferral["code"]) == ("connect", 0)
    with station.host(open_path) as sink:
        station.gateway.event(id, "delivery")
        assert len(arrived(sink, recipient)) == 1


def test_addresses_on_the_wire_are_those_of_the_call(station, open_path):
    recipients = ["Jane.Q+tag@Example.ORG", "x@BÜCHER.example"]
    with station.host(open_path) as sink:
        answer = station.gateway.send(
            recipient=recipients, envelope="Bounces@example.com", **{"from": "joe@example.com"}, text="x"
        )
        for id in answer.json:
            station.gateway.event(id, "delivery")
        envelopes = {(dump.sender, dump.recipients) for dump in sink.mails() if dump.sender == "Bounces@example.com"}
    assert list(answer.json.values()) == recipients
    assert envelopes == {
        ("Bounces@example.com", ("Jane.Q+tag@example.org",)),
        ("Bounces@example.com", ("x@xn--bcher-kva.example",)),
    }


def test_blind_copies_arrive_and_are_not_shown(station, open_path):
    seen, blind = an_address(), an_address()
    with station.host(open_path) as sink:
        answer = station.gateway.send(recipient=seen, to=seen, bcc=blind, **{"from": "joe@example.com"}, text="x")
        assert list(answer.json.values()) == [seen, blind]
        for id in answer.json:
            station.gateway.event(id, "delivery")
        copies = [*arrived(sink, seen), *arrived(sink, blind)]
    assert len(copies) == 2
    for dump in copies:
        assert blind.encode() not in dump.content
        assert f"To: {seen}\r\n".encode() in dump.content
