"""What both clients do, against a server that follows a script."""

import inspect
import ssl
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from smtpeter.client import (
    AsyncClient,
    Attachment,
    BadAnswer,
    Client,
    Conflict,
    Forbidden,
    InvalidInput,
    Mail,
    Mailbox,
    NotFound,
    Refusal,
    Retry,
    Sent,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unreachable,
    Unsubscribe,
    Window,
)
from tests.client.asking import BOTH, HASTY, TOKEN, Ask, ask_async, ask_sync
from tests.client.script_server import GONE, answer, refusal, script_server
from tests.live.waiting import free_port

MAIL = Mail(recipients="jane@example.org", sender="joe@example.com", text="Hello.")
ACCEPTED = answer(value={"0VbhJDAc7ZoTmyipBFHq": "jane@example.org"})
MESSAGE = {
    "id": "0VbhJDAc7ZoTmyipBFHq",
    "state": "delivered",
    "envelope": None,
    "recipient": "jane@example.org",
    "tags": ["news"],
    "subject": "Hello",
    "size": 512,
    "accepted": "2026-11-22 10:42:59",
    "expires": "2026-11-23 10:42:59",
    "nextattempt": None,
    "settled": "2026-11-22 10:43:00",
    "attempts": [
        {
            "attempt": 0,
            "time": "2026-11-22 10:43:00",
            "outcome": "delivery",
            "from": "127.0.0.1",
            "to": "127.0.0.2",
            "mta": "mx.example.org",
            "state": "",
            "type": "",
            "code": 250,
            "status": "2.0.0",
            "description": "Ok",
            "uncertain": False,
            "tls": {"version": "TLSv1.3", "cipher": "A", "verified": True},
            "durations": {"connect": 0.003},
            "transcript": ["S: 220 hello"],
            "something": "newer",
        }
    ],
    "events": [],
}

both = pytest.mark.parametrize("ask", BOTH)


def send(client: Any) -> Any:
    return client.send(MAIL)


def message(client: Any) -> Any:
    return client.message("0VbhJDAc7ZoTmyipBFHq")


@both
def test_send_hands_over_and_gives_the_ids_in_order(ask: Ask) -> None:
    with script_server(answer(value={"b": "x@example.org", "a": "y@example.org"})) as server:
        receipt = ask(server.url, send)
    assert receipt.messages == (Sent("b", "x@example.org"), Sent("a", "y@example.org"))
    (asked,) = server.asked
    assert (asked.method, asked.target) == ("POST", "/v1/send")
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["content-type"] == "application/json"
    assert asked.json == {"recipients": ["jane@example.org"], "from": "joe@example.com", "text": "Hello."}


@both
def test_what_the_gateway_did_not_know_is_in_the_receipt(ask: Ask) -> None:
    with script_server(answer(value={"a": "x@example.org"}, Warning_Unknown="subjct, b%2Cc")) as server:
        assert ask(server.url, send).unknown == ("subjct", "b,c")


@both
def test_a_message_is_read_into_types(ask: Ask) -> None:
    with script_server(answer(value=MESSAGE)) as server:
        found = ask(server.url, message)
    assert (found.state, found.envelope, found.size, found.next_attempt) == ("delivered", "", 512, None)
    assert found.accepted == datetime(2026, 11, 22, 10, 42, 59, tzinfo=UTC)
    (attempt,) = found.attempts
    assert (attempt.code, attempt.tls.is_verified, attempt.durations) == (250, True, {"connect": 0.003})


@both
def test_every_property_reaches_the_gateway_in_its_form(ask: Ask) -> None:
    mail = Mail(
        recipients=["a@example.org", "b@example.org"],
        sender=Mailbox("joe@example.com", "Joe"),
        cc=[Mailbox("c@example.org"), "d@example.org"],
        subject="Käse",
        html="<img src='cid:x'>",
        headers={"x-order": "7"},
        attachments=[Attachment(b"\x00\xff", "a.bin", cid="x")],
        unsubscribe=Unsubscribe(url="https://example.com/u", is_one_click=True),
        tags=("news",),
        metadata={"order": 7},
        send_at=datetime(2027, 1, 31, 19, 30, tzinfo=UTC),
        trackopens=False,
    )
    with script_server(ACCEPTED) as server:
        ask(server.url, lambda client: client.send(mail))
    assert server.asked[0].json == {
        "recipients": ["a@example.org", "b@example.org"],
        "from": {"name": "Joe", "address": "joe@example.com"},
        "cc": [{"name": "", "address": "c@example.org"}, "d@example.org"],
        "subject": "Käse",
        "html": "<img src='cid:x'>",
        "extra": {"x-order": "7"},
        "attachments": [{"data": "AP8=", "name": "a.bin", "cid": "x"}],
        "unsubscribe": {"url": "https://example.com/u", "oneclick": True},
        "tags": ["news"],
        "metadata": {"order": 7},
        "sendat": "2027-01-31 19:30:00",
        "trackopens": False,
    }


@both
def test_a_template_with_data_for_each_recipient_reaches_the_gateway(ask: Ask) -> None:
    mail = Mail(
        recipients={"a@example.org": {"firstname": "Ann"}, "b@example.org": None},
        template="welcome",
        patch=[{"op": "remove", "path": "/text"}],
        data={},
        attachments=[Attachment(url="https://example.com/a.pdf", name="a.pdf")],
        images="hosted",
        autotext=False,
    )
    with script_server(ACCEPTED) as server:
        ask(server.url, lambda client: client.send(mail))
    assert server.asked[0].json == {
        "recipients": {"a@example.org": {"firstname": "Ann"}, "b@example.org": None},
        "template": "welcome",
        "patch": [{"op": "remove", "path": "/text"}],
        "data": {},
        "attachments": [{"url": "https://example.com/a.pdf", "name": "a.pdf"}],
        "images": "hosted",
        "autotext": False,
    }
    assert Mail(template={"subject": "x"}).properties()["template"] == {"subject": "x"}


@both
def test_pages_are_followed_to_the_end_and_only_to_the_same_place(ask: Ask) -> None:
    record = {"event": "delivery", "data": {"id": "a", "time": "2026-11-22 10:43:00", "recipient": "x@example.org"}}
    first = answer(value=[record], Link='<https://elsewhere.example/v1/events/messageid/a?cursor=Zm8%3D>; rel="next"')
    with script_server(first, answer(value=[record, record])) as server:
        window = Window(start=date(2026, 11, 1), tags=("a", "b"), names=("delivery", "failure"))
        found = ask(server.url, lambda client: client.events("a", window))
    assert [event.name for event in found] == ["delivery"] * 3
    assert [asked.target for asked in server.asked] == [
        "/v1/events/messageid/a?start=2026-11-01&tags=a%3Bb&type=delivery%2Cfailure",
        "/v1/events/messageid/a?cursor=Zm8%3D",
    ]


@both
def test_arguments_in_paths_cannot_leave_their_place(ask: Ask) -> None:
    with script_server(answer(body=b"x")) as server:
        ask(server.url, lambda client: client.text("../x?y=z\r\nA: b"))
    assert server.asked[0].target == "/v1/text/..%2Fx%3Fy%3Dz%0D%0AA%3A%20b?version=composed"


@both
def test_connections_are_kept(ask: Ask) -> None:
    with script_server(ACCEPTED) as server:
        ask(server.url, send, send, send)
    assert [asked.connection for asked in server.asked] == [0, 0, 0]


@both
def test_connection_that_the_server_closes_is_not_kept(ask: Ask) -> None:
    with script_server(answer(value={"a": "x"}, Connection="close")) as server:
        ask(server.url, send, send)
    assert [asked.connection for asked in server.asked] == [0, 1]


@both
def test_kept_connection_that_died_costs_no_try(ask: Ask) -> None:
    with script_server(ACCEPTED, GONE, ACCEPTED) as server:
        ask(server.url, send, send, retry=Retry(tries=1))
    assert [asked.connection for asked in server.asked] == [0, 0, 1]


@both
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_passes_is_tried_again_under_the_same_key(ask: Ask, status: int) -> None:
    with script_server(refusal(status, "busy"), GONE, ACCEPTED) as server:
        assert ask(server.url, send).id == "0VbhJDAc7ZoTmyipBFHq"
    keys = {asked.headers["idempotency-key"] for asked in server.asked}
    assert len(server.asked) >= 3
    assert len(keys) == 1
    assert len({asked.body for asked in server.asked}) == 1


@both
@pytest.mark.parametrize("said", [GONE, refusal(502, ""), refusal(504, "")])
def test_call_that_would_act_twice_is_not_repeated_when_it_may_have_acted(ask: Ask, said: bytes) -> None:
    with script_server(ACCEPTED, said) as server, pytest.raises((Unreachable, Unavailable)):
        ask(server.url, send, lambda client: client.resend("a"))
    # nor is it risked on a connection that was kept
    assert [asked.connection for asked in server.asked] == [0, 1]
    assert "idempotency-key" not in server.asked[1].headers


@both
@pytest.mark.parametrize("status", [429, 503])
def test_call_that_would_act_twice_is_repeated_when_nothing_was_done(ask: Ask, status: int) -> None:
    with script_server(refusal(status, "busy"), ACCEPTED) as server:
        ask(server.url, lambda client: client.resend("a"))
    assert len(server.asked) == 2


@both
def test_batch_gives_a_receipt_or_a_refusal_for_each_mail(ask: Ask) -> None:
    error = {"code": "invalid_recipient", "message": "Mend it.", "field": "messages[1].recipients[0]"}
    results = {"results": [{"ids": {"a": "jane@example.org"}}, {"error": error}]}
    with script_server(answer(207, results, Warning_Unknown="messages[0].trackopens")) as server:
        accepted, refused = ask(server.url, lambda client: client.send_batch([MAIL, Mail(recipients="x")]))
    assert (accepted.id, accepted.unknown) == ("a", ("trackopens",))
    assert (refused.code, refused.field) == ("invalid_recipient", "recipients[0]")
    assert server.asked[0].target == "/v1/send/batch"
    assert [one["recipients"] for one in server.asked[0].json["messages"]] == [["jane@example.org"], ["x"]]
    assert server.asked[0].headers["idempotency-key"]


@both
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidInput),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (413, InvalidInput),
        (415, InvalidInput),
        (500, Unavailable),
    ],
)
def test_what_stays_refused_is_told_once_and_by_its_class(ask: Ask, status: int, kind: type[Refusal]) -> None:
    said = refusal(status, "some_code", "Mend it.", "recipients[2]", X_Request_Id="0123456789abcdef")
    with script_server(said) as server, pytest.raises(kind) as caught:
        ask(server.url, send)
    assert len(server.asked) == 1
    refused = caught.value
    assert (refused.status, refused.code, refused.message) == (status, "some_code", "Mend it.")
    assert (refused.field, refused.request_id) == ("recipients[2]", "0123456789abcdef")
    assert str(refused) == "Mend it. (some_code, recipients[2])"


@both
def test_patience_ends_with_the_tries_and_tells_the_last_answer(ask: Ask) -> None:
    said = refusal(429, "too_many_requests", Retry_After="0")
    with script_server(said) as server, pytest.raises(TooManyRequests) as caught:
        ask(server.url, send, retry=Retry(3, timedelta(milliseconds=1)))
    assert len(server.asked) == 3
    assert caught.value.retry_after == timedelta()


@both
def test_gateway_that_asks_for_more_patience_than_there_is_gets_no_further_try(ask: Ask) -> None:
    said = refusal(429, "too_many_requests", Retry_After="3600")
    with script_server(said) as server, pytest.raises(TooManyRequests) as caught:
        ask(server.url, send)
    assert len(server.asked) == 1
    assert caught.value.retry_after == timedelta(hours=1)


@both
def test_own_key_is_sent_as_it_is(ask: Ask) -> None:
    with script_server(ACCEPTED) as server:
        ask(server.url, lambda client: client.send(MAIL, idempotency_key="order-7"))
    assert server.asked[0].headers["idempotency-key"] == "order-7"


@both
@pytest.mark.parametrize("key", ["a b", "a\r\nB: c", "ä", "x" * 256])
def test_key_that_no_header_carries_is_refused_before_anything_is_sent(ask: Ask, key: str) -> None:
    with script_server(ACCEPTED) as server, pytest.raises(ValueError, match="printable ASCII"):
        ask(server.url, lambda client: client.send(MAIL, idempotency_key=key))
    assert not server.asked


@both
def test_nobody_there_is_unreachable_and_nothing_was_done(ask: Ask) -> None:
    with pytest.raises(Unreachable, match="There is no connection to") as caught:
        ask(f"http://127.0.0.1:{free_port()}", send)
    assert not caught.value.is_uncertain


@both
def test_silence_ends_with_the_timeout_and_is_uncertain(ask: Ask) -> None:
    with script_server(b"HTTP/1.1 200 O") as server, pytest.raises(Unreachable, match=r"within 0\.2 s") as caught:
        ask(server.url, send, timeout=timedelta(seconds=0.2))
    assert caught.value.is_uncertain
    assert len(server.asked) == 1


@both
def test_answer_that_is_cut_is_uncertain(ask: Ask) -> None:
    cut = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 99\r\n\r\n{"
    with script_server(cut) as server, pytest.raises(Unreachable) as caught:
        ask(server.url, send)
    assert caught.value.is_uncertain
    assert len(server.asked) == HASTY.tries


@both
@pytest.mark.parametrize(
    "said",
    [
        answer(body=b"<html>"),
        answer(value=[]),
        answer(302, Location="https://login.example/"),
        answer(value={"id": 1}),
    ],
)
def test_what_is_no_gateway_is_a_bad_answer(ask: Ask, said: bytes) -> None:
    with script_server(said) as server, pytest.raises(BadAnswer):
        ask(server.url, message)


@both
@pytest.mark.parametrize(
    "said", [b"220 mail.example.com ESMTP\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 500 + b"\r\n"]
)
def test_what_is_no_http_is_a_bad_answer_and_asked_once(ask: Ask, said: bytes) -> None:
    with script_server(said) as server, pytest.raises(BadAnswer, match="speak HTTP"):
        ask(server.url, message)
    assert len(server.asked) == 1


@both
def test_refusal_of_a_proxy_without_our_words_has_its_status(ask: Ask) -> None:
    with script_server(answer(403, body=b"<h1>Forbidden</h1>")) as server, pytest.raises(Forbidden, match="status 403"):
        ask(server.url, send)


@both
def test_chunks_and_information_before_the_answer_are_read(ask: Ask) -> None:
    chunked = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"5;x=y\r\nHello\r\n1\r\n.\r\n0\r\nTrailer: x\r\n\r\n"
    with script_server(chunked) as server:
        assert ask(server.url, *[lambda client: client.text("a")] * 2) == "Hello."
    assert [asked.connection for asked in server.asked] == [0, 0]


@both
def test_answer_without_length_ends_with_the_connection(ask: Ask) -> None:
    with script_server(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nHello.") as server:
        assert ask(server.url, *[lambda client: client.text("a")] * 2) == "Hello."


@both
def test_gateway_below_a_path_of_a_proxy_is_found_and_paged(ask: Ask) -> None:
    first = answer(value=[], Link='</mail/v1/events/messageid/a?cursor=x>; rel="next"')
    with script_server(first, answer(value=[])) as server:
        ask(server.url.replace("/v1", "/mail/v1/"), lambda client: client.events("a"))
    assert [asked.target for asked in server.asked] == [
        "/mail/v1/events/messageid/a?type=%2A",
        "/mail/v1/events/messageid/a?cursor=x",
    ]


@pytest.mark.parametrize("make", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mail.example.com/v1", "not the address of a gateway"),
        ("ftp://mail.example.com", "not the address of a gateway"),
        ("https://user@mail.example.com", "not the address of a gateway"),
        ("http://mail.example.com/v1", "unencrypted"),
    ],
)
def test_address_that_cannot_be_right_is_refused_at_once(make: Any, url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make(url, TOKEN)


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: y", "ä"])
def test_token_that_cannot_be_right_is_refused_at_once(token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        Client("https://mail.example.com", token)


def test_token_is_in_no_repr() -> None:
    with script_server(refusal(401, "token_invalid")) as server, pytest.raises(Unauthorized) as caught:
        ask_sync(server.url, send)
    assert TOKEN not in repr(caught.value)
    client = Client("https://mail.example.com", TOKEN)
    assert TOKEN not in repr(vars(client)) + repr(client._connections._place)


@pytest.mark.parametrize("ask", [ask_sync, ask_async])
def test_tls_to_a_plain_port_is_unreachable(ask: Ask) -> None:
    with script_server(b"HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n") as server, pytest.raises(Unreachable):
        ask(server.url.replace("http:", "https:"), send)


def test_both_clients_have_the_same_calls() -> None:
    def calls(kind: type) -> dict[str, str]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: str(inspect.signature(call)) for name, call in found if not name.startswith("_")}

    sync = calls(Client)
    assert {name: text.replace("AsyncIterator", "Iterator") for name, text in calls(AsyncClient).items()} == sync
    assert len(sync) > 10


def test_mime_that_is_not_text_is_refused_with_its_place() -> None:
    with pytest.raises(ValueError, match="byte 9"):
        Mail(recipients="jane@example.org", mime=b"Subject: \xff").properties()


def test_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no zone"):
        Mail(recipients="jane@example.org", send_at=datetime(2027, 1, 1)).properties()


def test_file_becomes_an_attachment_with_its_name_and_type(tmp_path: Any) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    (tmp_path / "a.txt.gz").write_bytes(b"\x1f\x8b")
    assert Attachment.from_file(tmp_path / "a.pdf") == Attachment(b"%PDF", "a.pdf", "application/pdf")
    assert Attachment.from_file(tmp_path / "a.txt.gz").type == ""


def test_secure_context_checks_names_and_certificates() -> None:
    context = Client("https://mail.example.com", TOKEN)._connections._place.context
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
