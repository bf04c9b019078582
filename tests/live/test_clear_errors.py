"""What is not accepted is answered with a sentence that tells how to mend it, and leaves nothing behind."""

import json
import re
import socket
from collections.abc import Iterator

import pytest

from tests.live.clients import RawClient, encoded, logged_in, mail, queued_id, raw_http
from tests.live.gateway import Gateway, an_address, running
from tests.live.verifiers import assert_verified

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
SENDER = {"from": "joe@example.com"}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that is asked for nothing but what it must refuse; at the end nothing may be in it."""
    folder = tmp_path_factory.mktemp("untouched")
    small = Gateway(folder, SMTP__MAX_MESSAGE_BYTES="100000", HTTP__MAX_BODY_BYTES="200000")
    with running(small) as started:
        yield started
        # one look for all tests of this gateway: whatever was queued, by whichever call, is still counted
        assert started.queue_counts() == {}
        assert started.http("GET", "/captured.json").json == []


def post(gateway: Gateway, body: str, kind: str = JSON, token: str | None = None, **headers: str):
    authorization = f"Bearer {gateway.token if token is None else token}"
    return gateway.http("POST", "/v1/send", body, Authorization=authorization, Content_Type=kind, **headers)


def said(gateway: Gateway, **properties: object) -> dict[str, object]:
    """Gives a send call that would be accepted, changed by `properties`; None leaves one out."""
    whole = {"recipient": "jane@example.org", **SENDER, "text": "x", **properties}
    return {name: value for name, value in whole.items() if value is not None}


def test_wrong_token_is_401_with_the_scheme(untouched):
    answer = post(untouched, json.dumps(said(untouched)), token="smtpeter_" + "x" * 32)
    assert (answer.status, answer.error["code"]) == (401, "token_invalid")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])


def test_missing_token_is_401_and_says_where_to_put_it(untouched):
    status, _, body = raw_http(
        untouched.host, b"POST /v1/send HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert " 401 " in status
    assert "access_token" in json.loads(body)["error"]["message"]


def test_bad_json_is_400_and_names_the_byte(untouched):
    answer = post(untouched, '{"recipient": "a@example.org", oops}')
    assert (answer.status, answer.error["code"]) == (400, "invalid_json")
    assert "byte 32" in answer.error["message"]


def test_cut_json_is_400_and_names_its_end(untouched):
    answer = post(untouched, '{"recipient": "a@example.org"')
    assert answer.status == 400
    assert "byte 29" in answer.error["message"]


def test_bad_percent_escape_is_400_and_names_the_position(untouched):
    body = "from=joe%40example.com&text=x&recipient=john%doe.com"
    answer = post(untouched, body, FORM)
    assert (answer.status, answer.error["code"]) == (400, "invalid_form")
    assert f"position {body.index('%doe') + 1} " in answer.error["message"]


def test_no_recipient_is_400_and_names_the_property(untouched):
    answer = post(untouched, json.dumps(said(untouched, recipient=None)))
    assert (answer.status, answer.error["code"]) == (400, "no_recipient")
    assert "`recipient`" in answer.error["message"]


def test_one_bad_recipient_refuses_the_call_and_names_its_index(untouched):
    answer = post(untouched, json.dumps(said(untouched, recipient=["a@example.org", "b@example.org", "c"])))
    assert (answer.status, answer.error["code"]) == (400, "invalid_recipient")
    assert answer.error["field"] == "recipient[2]"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("template", 7),
        ("template", "no such template"),
        ("data", ["Jane"]),
        ("patch", [{"op": "remove", "path": "/a"}]),
        ("images", "elsewhere"),
    ],
)
def test_what_is_wrong_with_templates_and_data_is_400_and_named(untouched, name, value):
    answer = post(untouched, json.dumps(said(untouched, **{name: value})))
    assert (answer.status, answer.error["field"]) == (400, name)


def test_a_faulty_tag_is_400_with_its_line_and_column(untouched):
    answer = post(untouched, json.dumps(said(untouched, text="Dear\n  {$name|}", data={})))
    assert (answer.status, answer.error["code"], answer.error["field"]) == (400, "invalid_personalization", "text")
    assert (answer.error["line"], answer.error["column"]) == (2, 10)


def test_over_large_request_is_413(untouched):
    answer = post(untouched, json.dumps(said(untouched, text="x" * 300_000)))
    assert (answer.status, answer.error["code"]) == (413, "body_too_large")


def test_over_large_message_is_413(untouched):
    answer = post(untouched, json.dumps(said(untouched, text="x" * 150_000)))
    assert (answer.status, answer.error["code"]) == (413, "message_too_large")


def test_other_media_types_are_415(untouched):
    assert post(untouched, "<mail/>", "text/xml").status == 415


def test_other_methods_are_405_with_allow(untouched):
    answer = untouched.get("send")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def test_unknown_ids_and_addresses_are_404(untouched):
    for call in ("message/01KAbcdefghij0123456", "events/messageid/nonsense", "nothing"):
        assert untouched.get(call).status == 404, call


def test_a_client_that_asks_for_text_gets_the_sentence_alone(untouched):
    answer = post(untouched, "{", Accept="text/plain")
    assert answer.status == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith("The body is not usable JSON")


def test_line_breaks_in_properties_do_not_make_headers(untouched):
    answer = post(untouched, json.dumps(said(untouched, **{"from": "joe@example.com\r\nBcc: eve@example.net"})))
    assert answer.status == 400


# --- by SMTP


def greeted(place: dict[str, object], gateway: Gateway) -> RawClient:
    client = RawClient(place, gateway.ready["ca"])
    client.line()
    client.say("EHLO client")
    return client


def test_declared_size_over_the_limit_is_552_at_mail(untouched):
    with logged_in(untouched) as client:
        assert client.say("MAIL FROM:<joe@example.com> SIZE=100001").startswith("552 5.3.4 ")


def test_seen_size_over_the_limit_is_552_at_the_end_of_data(untouched):
    with logged_in(untouched) as client:
        client.say("MAIL FROM:<joe@example.com>")
        client.say("RCPT TO:<jane@example.org>")
        assert client.say("DATA").startswith("354 ")
        client.write(mail("joe@example.com", "jane@example.org", text=("x" * 70 + "\r\n") * 1500))
        assert client.say(".").startswith("552 5.3.4 ")
        # the session goes on
        assert client.say("MAIL FROM:<joe@example.com>") == "250 2.1.0 Sender OK"


@pytest.mark.parametrize("header", ["x-smtpeter-template: 7", "X-SMTPeter-Data: {", "x-smtpeter-images: elsewhere"])
def test_headers_that_ask_for_what_there_is_not_are_550(untouched, header):
    name, _, value = header.partition(": ")
    with logged_in(untouched) as client:
        client.say("MAIL FROM:<joe@example.com>")
        client.say("RCPT TO:<jane@example.org>")
        client.say("DATA")
        client.write(mail("joe@example.com", "jane@example.org", **{name: value}))
        assert client.say(".").startswith("550 5.6.0 ")


def test_malformed_option_header_is_550_with_its_name(untouched):
    with logged_in(untouched) as client:
        client.say("MAIL FROM:<joe@example.com>")
        client.say("RCPT TO:<jane@example.org>")
        client.say("DATA")
        client.write(mail("joe@example.com", "jane@example.org", **{"X-SMTPeter-TrackOpens": "perhaps"}))
        reply = client.say(".")
        assert reply.startswith("550 5.6.0 ")
        assert "x-smtpeter-trackopens" in reply


def test_bad_address_is_refused_at_rcpt(untouched):
    with logged_in(untouched) as client:
        client.say("MAIL FROM:<joe@example.com>")
        assert re.match(r"(501 5\.1\.3|553 5\.1\.3) ", client.say("RCPT TO:<jane@@example.org>"))


def test_mail_without_auth_is_530(untouched):
    with greeted(untouched.ready["smtp"], untouched) as client:
        client.say("STARTTLS")
        client.start_tls()
        client.say("EHLO client")
        assert client.say("MAIL FROM:<joe@example.com>") == "530 5.7.0 Authentication required"


def test_third_wrong_password_closes_the_connection(untouched):
    place = untouched.ready["smtp"]
    wrong = encoded("\0somebody\0not the password")
    with RawClient(untouched.ready["smtps"], untouched.ready["ca"], implicit=True) as client:
        client.line()
        client.say("EHLO client")
        for _ in range(3):
            assert client.say(f"AUTH PLAIN {wrong}").startswith("535 5.7.8 ")
        assert client.line().startswith("421 ")
        assert client.line() == ""
    # others are not concerned
    with logged_in(untouched) as client:
        assert client.say(f"AUTH PLAIN {wrong}").startswith("503 ")
    assert place["user"] != "somebody"


def test_cancelled_login_is_501(untouched):
    with RawClient(untouched.ready["smtps"], untouched.ready["ca"], implicit=True) as client:
        client.line()
        client.say("EHLO client")
        assert client.say("AUTH LOGIN") == "334 VXNlcm5hbWU6"
        assert client.say("*").startswith("501 ")


def test_http_on_the_smtp_port_is_shown_out(untouched):
    place = untouched.ready["smtp"]
    with socket.create_connection((place["host"], place["port"]), timeout=20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@example.com>\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.split(b"\r\n")[1].startswith(b"421 ")
    assert b"250" not in received


# --- what is accepted with a warning


def test_what_has_no_effect_is_named_in_warning_unknown(gateway):
    recipient = an_address()
    answer = gateway.send(
        recipient=recipient, **SENDER, text="x", trackclicks=True, inlinecss=False, subjct="typo", recpient="y"
    )
    assert answer.status == 200
    assert set(answer.headers["warning-unknown"].split(", ")) == {"subjct", "recpient"}
    gateway.captured(recipient)


def test_nothing_is_warned_about_in_a_plain_call(gateway):
    answer = gateway.send(recipient=an_address(), **SENDER, text="x")
    assert "warning-unknown" not in answer.headers


# --- a gateway where not everybody may do everything


def test_auth_before_starttls_is_538_and_mail_530(strict_gateway):
    with greeted(strict_gateway.ready["smtp"], strict_gateway) as client:
        assert client.say(f"AUTH PLAIN {encoded('x')}").startswith("538 5.7.11 ")
        assert client.say("MAIL FROM:<joe@example.com>") == "530 5.7.0 Must issue a STARTTLS command first"


def test_auth_is_not_offered_before_starttls(strict_gateway):
    with RawClient(strict_gateway.ready["smtp"], strict_gateway.ready["ca"]) as client:
        client.line()
        client.write(b"EHLO client\r\n")
        assert not any("AUTH" in line for line in client.reply())


def test_development_mode_takes_a_password_without_tls_from_loopback(gateway):
    place, recipient = gateway.ready["smtp"], an_address()
    with greeted(place, gateway) as client:
        assert client.say(f"AUTH LOGIN {encoded(place['user'])}") == "334 UGFzc3dvcmQ6"
        assert client.say(encoded(place["password"])) == "235 2.7.0 Welcome back"
        client.say("MAIL FROM:<joe@example.com>")
        client.say(f"RCPT TO:<{recipient}>")
        client.say("DATA")
        client.write(mail("joe@example.com", recipient))
        id = queued_id(client.say("."))
    gateway.event(id, "delivery")


def test_unapproved_domain_is_refused_until_it_is_added_and_then_signs_with_its_key(strict_gateway):
    domain = an_address().replace("@", ".")
    sender, recipient = f"joe@{domain}", an_address()

    def by_smtp() -> str:
        with logged_in(strict_gateway) as client:
            client.say(f"MAIL FROM:<{sender}>")
            client.say(f"RCPT TO:<{recipient}>")
            client.say("DATA")
            client.write(mail(sender, recipient))
            return client.say(".")

    before = strict_gateway.queue_counts()
    refused = strict_gateway.send(recipient=recipient, **{"from": sender}, text="x")
    assert (refused.status, refused.error["code"]) == (403, "sender_domain_not_approved")
    assert f"smtpeter domain add {domain}" in refused.error["message"]
    reply = by_smtp()
    assert reply.startswith("550 5.7.1 ")
    assert f"smtpeter domain add {domain}" in reply
    assert strict_gateway.queue_counts() == before

    records = strict_gateway.approve(domain)
    assert strict_gateway.send(recipient=recipient, **{"from": sender}, text="x").status == 200
    queued_id(by_smtp())
    for message in strict_gateway.captured(recipient, 2):
        assert b"d=" + domain.encode() in message
        assert_verified(message, records)


def test_domain_that_is_added_without_approval_is_still_refused(strict_gateway):
    domain = an_address().replace("@", ".")
    strict_gateway.command("domain", "add", domain)
    assert strict_gateway.send(recipient=an_address(), **{"from": f"joe@{domain}"}, text="x").status == 403


def test_address_list_in_from_is_judged_by_every_domain(strict_gateway):
    known = an_address().replace("@", ".")
    strict_gateway.approve(known)
    both = mail(f"joe@{known}, eve@stranger.example", "jane@example.org")
    answer = strict_gateway.send(recipient=an_address(), mime=both.decode())
    assert (answer.status, answer.error["code"]) in ((403, "sender_domain_not_approved"), (400, "invalid_message"))
