"""The dialogue of the submission protocol's documentation, word for word over real sockets."""

import re

import pytest

from tests.live.clients import RawClient, encoded, mail, queued_id
from tests.live.gateway import an_address

EXTENSIONS = [
    "PIPELINING",
    "8BITMIME",
    "SIZE 52428800",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "SMTPUTF8",
    "CHUNKING",
    "LIMITS MAILMAX=999999 RCPTMAX=1000",
]


def offered(lines: list[str], host: str) -> set[str]:
    """Gives the extensions in a reply to EHLO, whose form it checks."""
    assert lines[0] == f"250-{host}"
    assert all(line.startswith("250-") for line in lines[1:-1])
    assert lines[-1].startswith("250 ")
    return {line[4:] for line in lines[1:]}


def ehlo(client: RawClient, host: str) -> set[str]:
    client.write(b"EHLO client\r\n")
    return offered(client.reply(), host)


def send_one(client: RawClient, recipient: str) -> str:
    """Sends a message and gives its id."""
    assert client.say("MAIL FROM:<joe@example.com>") == "250 2.1.0 Sender OK"
    assert client.say(f"RCPT TO:<{recipient}>") == "250 2.1.5 Recipient OK"
    assert client.say("DATA").startswith("354 ")
    client.write(mail("joe@example.com", recipient))
    return queued_id(client.say("."))


def test_documented_dialogue_with_starttls_and_auth_login(strict_gateway):
    gateway, recipients = strict_gateway, [an_address(), an_address()]
    gateway.approve("example.com")
    place = gateway.ready["smtp"]
    with RawClient(place, gateway.ready["ca"]) as client:
        greeting = client.line()
        host = re.fullmatch(r"220 (\S+) ESMTP", greeting)[1]
        assert ehlo(client, host) == {*EXTENSIONS, "STARTTLS"}
        assert client.say("STARTTLS") == "220 Ready to start TLS"
        client.start_tls()
        assert ehlo(client, host) == {*EXTENSIONS, "AUTH PLAIN LOGIN"}
        assert client.say(f"AUTH LOGIN {encoded(place['user'])}") == "334 UGFzc3dvcmQ6"
        assert client.say(encoded(place["password"])) == "235 2.7.0 Welcome back"
        ids = [send_one(client, recipient) for recipient in recipients]
        assert client.say("QUIT").startswith("221 ")
        assert client.line() == ""
    assert len(set(ids)) == 2
    for id in ids:
        assert re.fullmatch("[0-9A-Za-z]{20}", id)
        gateway.event(id, "delivery")


def test_tls_from_the_first_byte_has_the_same_dialogue(gateway):
    place = gateway.ready["smtps"]
    with RawClient(place, gateway.ready["ca"], implicit=True) as client:
        host = re.fullmatch(r"220 (\S+) ESMTP", client.line())[1]
        assert ehlo(client, host) == {*EXTENSIONS, "AUTH PLAIN LOGIN"}
        assert client.say("STARTTLS").startswith("503 ")
        assert client.say("AUTH LOGIN") == "334 VXNlcm5hbWU6"
        assert client.say(encoded(place["user"])) == "334 UGFzc3dvcmQ6"
        assert client.say(encoded(place["password"])) == "235 2.7.0 Welcome back"
        gateway.event(send_one(client, an_address()), "delivery")


@pytest.mark.parametrize("has_initial_response", [True, False])
def test_auth_plain_works_in_both_forms(gateway, has_initial_response):
    place = gateway.ready["smtps"]
    secret = encoded(f"\0{place['user']}\0{place['password']}")
    with RawClient(place, gateway.ready["ca"], implicit=True) as client:
        client.line()
        client.say("EHLO client")
        if has_initial_response:
            assert client.say(f"AUTH PLAIN {secret}") == "235 2.7.0 Welcome back"
        else:
            assert re.fullmatch("334 ?", client.say("AUTH PLAIN"))
            assert client.say(secret) == "235 2.7.0 Welcome back"


def test_small_commands_are_answered(gateway):
    with RawClient(gateway.ready["smtp"], gateway.ready["ca"]) as client:
        client.line()
        assert client.say("HELO client").startswith("250 ")
        for command, code in (
            ("NOOP", "250"),
            ("RSET", "250"),
            ("VRFY jane", "252"),
            ("HELP", "214"),
            ("NONSENSE", "500"),
        ):
            assert client.say(command).startswith(code), command
        assert client.say("QUIT").startswith("221 ")
        assert client.line() == ""


def test_commands_that_stand_behind_starttls_in_the_clear_are_forgotten(gateway):
    with RawClient(gateway.ready["smtp"], gateway.ready["ca"]) as client:
        client.line()
        client.say("EHLO client")
        client.write(b"STARTTLS\r\nEHLO injected.example\r\nNOOP\r\n")
        assert client.line() == "220 Ready to start TLS"
        client.start_tls()
        # RFC 3207 4.2: what was learned before counts no more, and nothing of it is answered now
        assert client.say("MAIL FROM:<joe@example.com>").startswith("503 ")


def test_delivery_notification_parameters_are_taken_and_checked(gateway):
    with RawClient(gateway.ready["smtp"], gateway.ready["ca"]) as client:
        place = gateway.ready["smtp"]
        client.line()
        client.say("EHLO client")
        client.say("AUTH PLAIN " + encoded(f"\0{place['user']}\0{place['password']}"))
        assert client.say("MAIL FROM:<joe@example.com> RET=HDRS ENVID=q+2B1") == "250 2.1.0 Sender OK"
        assert client.say("RCPT TO:<a@example.org> NOTIFY=NEVER,FAILURE").startswith("501 ")
        assert client.say("RCPT TO:<a@example.org> NOTIFY=SUCCESS ORCPT=rfc822;a+ZZ@example.org").startswith("501 ")
        assert client.say("RCPT TO:<a@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@example.org").startswith(
            "250 "
        )
        assert client.say("RSET").startswith("250 ")
