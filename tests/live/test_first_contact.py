"""What a newcomer does in the first five minutes, with the clients that they have, and what comes out at the other end."""

import email
import email.policy
import json
import re
import smtplib
import ssl
from urllib.parse import urlencode, urlsplit

import pytest

from tests.live.clients import encoded, logged_in, mail, queued_id, raw_http, simple_message
from tests.live.gateway import Gateway, an_address
from tests.live.programs import program, run
from tests.live.verifiers import assert_verified, development_records, dkimpy_verifies, opendkim_report
from tests.live.waiting import until


def arrives_signed(gateway: Gateway, recipient: str, domain: str = "example.com") -> bytes:
    """Waits for the one mail of a recipient, requires its signature to hold, and gives it."""
    (message,) = gateway.captured(recipient)
    assert_verified(message, development_records(gateway, domain))
    return message


def assert_lookups_answer(gateway: Gateway, id: str, recipient: str, envelope: str, body: str) -> None:
    """Requires every read call of the API to answer for this message."""
    gateway.event(id, "delivery")
    records = gateway.events(id)
    assert [record["event"] for record in records] == ["attempt", "delivery"]
    for record in records:
        assert record["data"]["id"] == id
        assert record["data"]["recipient"] == recipient
        assert record["data"]["envelope"] == envelope
    assert records[1]["data"]["attempt"] == 0
    assert records[1]["data"]["to"] == "127.0.0.1"
    found = gateway.get(f"message/{id}").json
    assert (found["state"], found["recipient"]) == ("delivered", recipient)
    assert [attempt["outcome"] for attempt in found["attempts"]] == ["delivery"]
    assert f"C: RCPT TO:<{recipient}>" in "\n".join(found["attempts"][0]["transcript"])
    assert gateway.get(f"recipient/{id}").text == recipient
    assert gateway.get(f"envelope/{id}").text == envelope
    assert body in gateway.get(f"text/{id}").text
    assert "From: " in gateway.get(f"headers/{id}").text
    mime = gateway.get(f"mime/{id}")
    assert mime.headers["content-type"] == "message/rfc822"
    (arrived,) = gateway.captured(recipient)
    assert mime.body == arrived, "mime/ID is not what was sent"
    assert f"Delivered: the server of {recipient} took it." in gateway.command("why", id)
    assert gateway.command_json("message", id)["message"]["recipient"] == recipient


def require_swaks_with_tls() -> None:
    """Skips the test where swaks lacks what it needs for TLS."""
    if "=== TLS supported" not in run("swaks", "--support"):
        pytest.skip("libnet-ssleay-perl is not installed, without which swaks has no TLS")


def test_form_request_of_an_http_1_0_client_arrives_signed(gateway):
    recipient = an_address()
    body = urlencode(
        {
            "recipient": recipient,
            "from": "Joe <joe@example.com>",
            "subject": "Käse",
            "text": "50 % off",
            "html": "<b>x</b>",
        }
    ).encode()
    request = (
        f"POST /v1/send?access_token={gateway.token} HTTP/1.0\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    status, headers, answer = raw_http(gateway.host, request + body)
    assert re.match(r"HTTP/1\.[01] 200 ", status)
    assert headers["content-type"] == "application/json"
    ((id, given),) = json.loads(answer).items()
    assert given == recipient
    message = email.message_from_bytes(arrives_signed(gateway, recipient), policy=email.policy.default)
    assert message["Subject"] == "Käse"
    assert message["To"] == recipient
    assert message.get_body(("plain",)).get_content().strip() == "50 % off"
    assert gateway.get(f"html/{id}").text.strip() == "<b>x</b>"
    assert_lookups_answer(gateway, id, recipient, "", "50 % off")


def test_json_request_by_curl_arrives_signed_for_each_recipient(gateway):
    recipients = [an_address(), an_address("example.net")]
    body = {
        "recipients": recipients,
        "envelope": "bounces@example.com",
        "from": {"name": "Joe", "address": "joe@example.com"},
        "to": "Everybody <all@example.com>",
        "subject": "News",
        "text": "Good news.",
        "tags": ["news", "october"],
    }
    url = f"{gateway.ready['rest']}/send?access_token={gateway.token}"
    answer = json.loads(run("curl", "-sS", "-f", url, "-H", "Content-Type: application/json", "-d", json.dumps(body)))
    assert list(answer.values()) == recipients
    for id, recipient in answer.items():
        message = email.message_from_bytes(arrives_signed(gateway, recipient), policy=email.policy.default)
        assert message["To"] == "Everybody <all@example.com>"
        assert_lookups_answer(gateway, id, recipient, "bounces@example.com", "Good news.")
        assert gateway.events(id)[0]["data"]["tags"] == ["news", "october"]


def test_curl_by_https_trusts_the_authority_of_the_ready_file(gateway):
    recipient = an_address()
    body = {"recipient": recipient, "from": "joe@example.com", "html": "<p>Hello</p>"}
    trusting = ("--cacert", gateway.ready["ca"], "-H", f"Authorization: Bearer {gateway.token}")
    call = ("-H", "Content-Type: application/json", "-d", json.dumps(body), f"{gateway.ready['https']}/send")
    (id,) = json.loads(run("curl", "-sS", "-f", *trusting, *call))
    arrives_signed(gateway, recipient)
    assert "HTTPS" in gateway.get(f"headers/{id}?version=sent").text


def test_curl_without_the_authority_refuses_the_certificate(gateway):
    run("curl", "-sS", f"{gateway.ready['https']}/send", exit_code=60)  # the certificate cannot be authenticated


def test_swaks_with_starttls_and_auth_login_arrives_signed(gateway):
    recipient, place = an_address(), gateway.ready["smtp"]
    require_swaks_with_tls()
    server = ("--server", f"{place['host']}:{place['port']}", "--tls", "--tls-verify")
    login = ("--auth", "LOGIN", "--auth-user", place["user"], "--auth-password", place["password"])
    trusting = ("--tls-ca-path", gateway.ready["ca"])
    path = ("--from", "joe@example.com", "--to", recipient)
    printed = run("swaks", *server, *login, *trusting, *path, "--header", "Subject: By swaks")
    found = re.search(r"250 2\.0\.0 Ok, queued as (\w+)", printed)
    assert found, printed
    assert b"Subject: By swaks\r\n" in arrives_signed(gateway, recipient)
    assert_lookups_answer(gateway, found[1], recipient, "joe@example.com", "This is a test mailing")


def test_curl_with_auth_login_and_an_initial_response_arrives_signed(gateway, tmp_path):
    recipient, place = an_address(), gateway.ready["smtp"]
    (tmp_path / "mail").write_bytes(mail("joe@example.com", recipient, "By curl"))
    login = ("--sasl-ir", "--login-options", "AUTH=LOGIN", "--user", f"{place['user']}:{place['password']}")
    path = ("--mail-from", "joe@example.com", "--mail-rcpt", recipient)
    server = (
        "--ssl-reqd",
        "--cacert",
        gateway.ready["ca"],
        f"smtp://{place['host']}:{place['port']}/client.example.com",
    )
    run("curl", "-sS", *login, *path, "--upload-file", tmp_path / "mail", *server)
    assert b"Subject: By curl\r\n" in arrives_signed(gateway, recipient)


def test_smtplib_sends_two_messages_on_one_connection(gateway):
    recipients, place = [an_address(), an_address()], gateway.ready["smtp"]
    context = ssl.create_default_context(cafile=gateway.ready["ca"])
    with smtplib.SMTP(place["host"], place["port"], timeout=20) as client:
        client.starttls(context=context)
        client.login(place["user"], place["password"])
        for recipient in recipients:
            assert client.send_message(simple_message("joe@example.com", recipient)) == {}
    for recipient in recipients:
        arrives_signed(gateway, recipient)


def test_smtplib_with_tls_from_the_first_byte_arrives_signed(gateway):
    recipient, place = an_address(), gateway.ready["smtps"]
    context = ssl.create_default_context(cafile=gateway.ready["ca"])
    with smtplib.SMTP_SSL(place["host"], place["port"], context=context, timeout=20) as client:
        client.login(place["user"], place["password"])
        client.send_message(simple_message("joe@example.com", recipient))
    message = arrives_signed(gateway, recipient)
    assert re.search(rb"^Received:(.|\r\n[ \t])*\bESMTPSA\b", message, re.MULTILINE)


def test_a_token_is_a_password_of_the_user_apikey(gateway):
    recipient, place = an_address(), gateway.ready["smtps"]
    context = ssl.create_default_context(cafile=gateway.ready["ca"])
    with smtplib.SMTP_SSL(place["host"], place["port"], context=context, timeout=20) as client:
        client.login("apikey", gateway.token)
        client.send_message(simple_message("joe@example.com", recipient))
    arrives_signed(gateway, recipient)


def test_pipelined_commands_send_two_messages_on_one_connection(gateway):
    first, second = an_address(), an_address()
    with logged_in(gateway) as client:
        client.write(f"MAIL FROM:<joe@example.com>\r\nRCPT TO:<{first}>\r\nDATA\r\n".encode())
        assert [client.line()[:3] for _ in range(3)] == ["250", "250", "354"]
        # RFC 2920 3.1: the next transaction may stand right behind the end of data
        client.write(mail("joe@example.com", first) + b"..\r\n.\r\n")
        client.write(f"MAIL FROM:<>\r\nRCPT TO:<{second}>\r\nDATA\r\n".encode())
        id = queued_id(client.line())
        assert [client.line()[:3] for _ in range(3)] == ["250", "250", "354"]
        client.write(mail("joe@example.com", second) + b".\r\nQUIT\r\n")
        other_id = queued_id(client.line())
        assert client.line().startswith("221 ")
        assert client.line() == ""
    assert id != other_id
    assert arrives_signed(gateway, first).endswith(b"Good day.\r\n.\r\n")
    arrives_signed(gateway, second)
    assert_lookups_answer(gateway, id, first, "joe@example.com", "Good day.")
    assert_lookups_answer(gateway, other_id, second, "", "Good day.")


def test_command_line_tells_what_became_of_a_message(gateway):
    recipient = an_address()
    id = gateway.sent(recipient=recipient, **{"from": "joe@example.com"}, subject="Asked for", text="x")
    gateway.event(id, "delivery")
    story = gateway.command("why", id)
    assert f"Delivered: the server of {recipient} took it." in story
    assert f"C: RCPT TO:<{recipient}>" in story
    shown = gateway.command_json("message", id)
    assert (shown["message"]["id"], shown["message"]["subject"]) == (id, "Asked for")
    assert [event["name"] for event in shown["events"]] == ["attempt", "delivery"]
    assert isinstance(gateway.command_json("queue", "list"), list)


def test_command_line_sends_through_the_running_gateway(gateway):
    recipient = an_address()
    printed = gateway.command("send", recipient, "--from", "joe@example.com", "--subject", "By command")
    queued_id(printed.strip())
    assert b"Subject: By command\r\n" in arrives_signed(gateway, recipient)


def test_mime_of_a_send_call_leaves_as_it_was_written(gateway):
    recipient = an_address()
    written = mail(
        "joe@example.com", recipient, "Whole", "Line one\r\n\r\n.two\r\n", X_Kept="yes", X_SMTPeter_Tags="a,b"
    )
    id = gateway.sent(recipient=recipient, mime=written.decode())
    message = arrives_signed(gateway, recipient)
    assert message.endswith(b"\r\n\r\nLine one\r\n\r\n.two\r\n")
    assert b"X-Kept: yes\r\n" in message
    assert b"x-smtpeter-tags" not in message.lower()
    assert gateway.events(id)[0]["data"]["tags"] == ["a", "b"]


def test_commands_of_the_printed_quick_start_work_as_they_are_printed(gateway):
    printed = gateway.printed()
    commands = printed.replace("\\\n", "").replace('",\n', '",')
    by_curl = next(line for line in commands.splitlines() if line.strip().startswith("curl "))
    by_swaks = next(line for line in commands.splitlines() if line.strip().startswith("swaks "))
    why = printed.partition("What became of it:")[2].splitlines()[0].removesuffix("ID")
    program("curl")
    require_swaks_with_tls()
    before = gateway.http("GET", "/captured.json").json
    (id,) = json.loads(run("sh", "-c", by_curl + " -sS").split("\n")[-1])
    run("sh", "-c", by_swaks)
    gateway.event(id, "delivery")
    assert "Delivered" in run("sh", "-c", why + id)
    known = {one["number"] for one in before}

    def look() -> list[str] | None:
        new = [one for one in gateway.http("GET", "/captured.json").json if one["number"] not in known]
        return [one["subject"] for one in new] if len(new) == 2 else None

    assert until(look, "both mails in the sink") == ["Hello", "Hello"]
    assert (
        gateway.http(
            "GET", printed.partition("Look at it:")[2].split()[0].removeprefix("http://" + gateway.host)
        ).status
        == 200
    )


def test_large_message_arrives_whole(gateway):
    recipient = an_address()
    lines = (f"{number:06}. {'abcdefghij' * 6}\r\n" for number in range(170_000))
    body = "".join(lines)  # 12 MB
    with logged_in(gateway) as client:
        client.say("MAIL FROM:<joe@example.com>")
        client.say(f"RCPT TO:<{recipient}>")
        client.say("DATA")
        client.write(mail("joe@example.com", recipient, text=body))
        queued_id(client.say("."))
    (message,) = gateway.captured(recipient)
    assert message.partition(b"\r\n\r\n")[2] == body.encode()
    assert dkimpy_verifies(message, development_records(gateway, "example.com"))


def test_verifiers_of_these_tests_reject_a_changed_mail(gateway):
    recipient = an_address()
    gateway.sent(recipient=recipient, **{"from": "joe@example.com"}, text="Pay 10 euro")
    message = arrives_signed(gateway, recipient)
    changed = message.replace(b"10 euro", b"99 euro")
    assert changed != message
    records = development_records(gateway, "example.com")
    assert not dkimpy_verifies(changed, records)
    assert "dkim=pass" not in opendkim_report(changed, records)


def test_ready_file_is_for_its_owner_only_and_names_what_runs(gateway):
    ready_file = gateway.folder / "ready.json"
    assert ready_file.stat().st_mode & 0o077 == 0
    assert urlsplit(gateway.ready["rest"]).hostname == "127.0.0.1"
    assert set(gateway.ready) >= {"rest", "https", "token", "smtp", "smtps", "sink", "ca", "pid"}


def test_secrets_are_not_in_the_log(gateway):
    with logged_in(gateway) as client:
        client.say("QUIT")
    gateway.http("GET", f"/v1/message/none?access_token={gateway.token}")
    log = gateway.log()
    for secret in (gateway.token, gateway.ready["smtp"]["password"], encoded(gateway.ready["smtp"]["password"])):
        assert secret not in log
