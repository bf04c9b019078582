"""What holds for every call of the REST API: way, token, methods, errors, sizes."""

import asyncio
import logging
import socket
import time
from ipaddress import ip_network
from typing import Any

import pytest
import uvicorn

from smtpeter.model.refusal import Refused
from tests.doors.rest_house import SENT, House

CALL = {"recipient": "bob@example.net", "from": "ann@example.com", "text": "x"}


async def test_answer_is_exactly_json_and_has_a_request_id() -> None:
    answer = await House().send(CALL)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.headers["x-request-id"]) == 16


@pytest.mark.parametrize("path", ["/v1/send", "/v1/send/", "/send", "/send/"])
async def test_send_is_found_under_each_of_its_addresses(path: str) -> None:
    assert (await House().call("POST", path, json=CALL)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v2/send", "/v1/send//", "/v1/nothing", "/v1/message", "/v1/recipient/"]
)
async def test_other_addresses_are_not_found(path: str) -> None:
    answer = await House().call("POST", path, json=CALL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_wrong_method_is_told_what_is_allowed() -> None:
    house = House()
    answer = await house.call("DELETE", f"/v1/recipient/{SENT}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    answer = await house.call("GET", "/v1/send")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_token_may_stand_in_the_query_or_in_the_header() -> None:
    house = House()
    assert (await house.call("POST", "/v1/send?access_token=all", token="", json=CALL)).status_code == 200
    assert (await house.call("POST", "/v1/send?access_token=%61ll", token="", json=CALL)).status_code == 200
    bearer = {"Authorization": "bearer all"}
    assert (await house.call("POST", "/v1/send", token="", headers=bearer, json=CALL)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "query", "code"),
    [
        ({}, "", "token_missing"),
        ({"Authorization": "Basic YWxsOg=="}, "", "token_missing"),
        ({"Authorization": "Bearer wrong"}, "", "token_invalid"),
        ({}, "?access_token=wrong", "token_invalid"),
        ({}, "?access_token=%ff%zz", "token_invalid"),
        ({"Authorization": "Bearer wrong"}, "?access_token=all", "token_invalid"),
    ],
)
async def test_without_a_good_token_the_answer_is_401(headers: dict[str, str], query: str, code: str) -> None:
    house = House()
    answer = await house.call("POST", f"/v1/send{query}", token="", headers=headers, json=CALL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not house.gateway.drafts


async def test_token_without_the_scope_gets_403() -> None:
    house = House()
    answer = await house.call("POST", "/v1/send", token="reader", json=CALL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "scope_missing")
    assert (await house.call("GET", f"/v1/message/{SENT}", token="sender")).status_code == 403


async def test_token_is_gone_from_the_scope_that_a_server_would_log() -> None:
    scope: dict[str, Any] = {
        "type": "http",
        "scheme": "https",
        "method": "GET",
        "path": f"/v1/recipient/{SENT}",
        "query_string": b"a=1&access_token=all&b=2&access_token=old",
        "headers": [],
        "client": ("192.0.2.9", 1),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    house = House()
    house.gateway.identities["old"] = house.gateway.identities["all"]
    await house.app(scope, receive, send)
    assert scope["query_string"] == b"a=1&b=2"
    assert sent[0]["status"] == 200


async def test_our_own_trouble_tells_and_logs_no_secret(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    house = House()
    house.gateway.identities["s3cr3t-token"] = house.gateway.identities["all"]
    house.gateway.refusal = RuntimeError("database on fire")
    with caplog.at_level(logging.DEBUG):
        answer = await house.call("POST", "/v1/send", token="s3cr3t-token", json=CALL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "fire" not in answer.text
    logged = "".join(capsys.readouterr()) + caplog.text
    assert answer.headers["x-request-id"] in logged
    assert "database on fire" in logged
    assert "s3cr3t-token" not in logged


async def test_plain_http_is_refused_from_afar() -> None:
    house = House(client=("192.0.2.9", 1))
    answer = await house.call("POST", "/v1/send", json=CALL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "https_required")
    assert (await house.call("POST", "/v1/send", base="https://gate.example.com", json=CALL)).status_code == 200
    assert house.gateway.drafts[0].received.protocol == "HTTPS"


async def test_plain_http_from_loopback_needs_development_mode() -> None:
    assert (await House(allows_loopback_http=False).send(CALL)).status_code == 400
    assert (await House(allows_loopback_http=False, requires_https=False).send(CALL)).status_code == 200


async def test_forwarded_headers_count_only_from_a_trusted_proxy() -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7, 198.51.100.4, 192.0.2.8"}
    believing = House(client=("192.0.2.9", 1), trusted_proxies=(ip_network("192.0.2.0/24"),))
    assert (await believing.call("POST", "/v1/send", headers=forwarded, json=CALL)).status_code == 200
    received = believing.gateway.drafts[0].received
    assert (received.protocol, received.client_ip) == ("HTTPS", "198.51.100.4")
    plain = {"X-Forwarded-Proto": "http"}
    assert (await believing.call("POST", "/v1/send", headers=plain, json=CALL)).status_code == 400
    doubting = House(client=("192.0.2.9", 1))
    assert (await doubting.call("POST", "/v1/send", headers=forwarded, json=CALL)).status_code == 400


async def test_loopback_proxy_that_says_http_is_believed() -> None:
    house = House(trusted_proxies=(ip_network("127.0.0.0/8"),))
    answer = await house.call("POST", "/v1/send", headers={"X-Forwarded-Proto": "http"}, json=CALL)
    assert answer.status_code == 400
    assert (await house.send(CALL)).status_code == 200


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("application/json; charset=latin1", 415),
        ("text/plain", 415),
        ("multipart/mixed; boundary=x", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=x", 400),
        ("", 415),
    ],
)
async def test_content_type_decides_how_the_body_is_read(kind: str, status: int) -> None:
    body = b'{"recipient": "bob@example.net", "from": "ann@example.com", "text": "x"}'
    answer = await House().call("POST", "/v1/send", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status


async def test_compressed_body_is_refused() -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert (await House().call("POST", "/v1/send", content=b"\x1f\x8b", headers=headers)).status_code == 415


async def test_body_beyond_the_limit_gets_413_announced_or_not() -> None:
    house = House(max_body_bytes=200)
    answer = await house.send(CALL | {"text": "x" * 200})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")

    async def stream() -> Any:
        for _ in range(5):
            yield b" " * 50

    headers = {"Content-Type": "application/json"}
    assert (await house.call("POST", "/v1/send", content=stream(), headers=headers)).status_code == 413
    assert (await house.send(CALL)).status_code == 200


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "byte 0"),
        (b'{"a": 1,}', "byte 9"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 8"),
        (b'{"a": "\\ud800"}', "byte"),
        (b"[1]", "must be an object"),
        (b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}", "deeper than 64"),
        (b'{"a": ' + b"[" * 100_000, "deeper than 64"),
        (b'{"a": [' + b"0," * 200_000 + b"0]}", "more than 200000 members"),
        (b'{"a": ' + b"1" * 41 + b"}", "more than 40 digits"),
        (b'{"a": 0.' + b"1" * 40 + b"e5}", "more than 40 digits"),
        (b'{"a": 1e999}', "too large"),
    ],
)
async def test_bad_json_is_refused_with_its_position(body: bytes, told: str) -> None:
    answer = await House().call("POST", "/v1/send", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_json"
    assert told in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("json", b'{"a": "' + b'\\"' * 1_000_000),
        ("json", b'{"a": "' + b"\\" * 1_000_001),
        ("json", b"[" * 100 + b"]" * 2_000_000),
        ("json", b'{"recipient": "' + b"a@b.example," * 150_000 + b'"}'),
        ("json", b'{"recipient": "a@b.example", "from": "a@b.example", "text": "", "cc": "' + b"((" * 500_000 + b'"}'),
        ("x-www-form-urlencoded", b"&" * 2_000_000),
        ("x-www-form-urlencoded", b"%41" * 700_000 + b"%ff"),
        ("x-www-form-urlencoded", b"a" + b"[" * 2_000_000),
        ("x-www-form-urlencoded", b"a[" * 100_000 + b"&" + b"a]" * 100_000),
    ],
)
async def test_hostile_body_is_refused_in_time_that_grows_with_its_length_only(kind: str, body: bytes) -> None:
    began = time.process_time()
    answer = await House().call("POST", "/v1/send", content=body, headers={"Content-Type": f"application/{kind}"})
    assert answer.status_code == 400
    assert time.process_time() - began < 1.0 * max(1, len(body) / 2**20)  # B3; quadratic ones take minutes


async def test_brackets_and_digits_inside_a_string_are_only_text() -> None:
    text = '[{,"\\' * 70_000 + "1" * 50
    assert (await House().send(CALL | {"text": text})).status_code == 200


async def test_plain_text_gets_the_sentence_alone() -> None:
    house = House()
    answer = await house.call("GET", "/v1/nothing", headers={"Accept": "text/plain"})
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith("There is nothing at this address")
    both = {"Accept": "application/json, text/plain, */*"}
    assert (await house.call("GET", "/v1/nothing", headers=both)).headers["content-type"] == "application/json"


async def test_refusal_from_below_becomes_its_http_status() -> None:
    house = House()
    house.gateway.refusal = Refused("sender_domain_not_approved", field="from", domain="example.com")
    answer = await house.send(CALL)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "sender_domain_not_approved"
    assert answer.json()["error"]["field"] == "from"
    house.gateway.refusal = Refused("store_unavailable")
    answer = await house.send(CALL)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


async def test_huge_input_is_not_repeated_in_the_error() -> None:
    answer = await House().send(CALL | {"recipient": "x" * 100_000})
    assert answer.status_code == 400
    assert len(answer.content) < 2000


async def test_head_has_the_headers_of_get_and_no_body() -> None:
    house = House()
    got = await house.call("GET", f"/v1/recipient/{SENT}")
    head = await house.call("HEAD", f"/v1/recipient/{SENT}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"] == "15"


async def test_too_many_calls_get_429_until_time_passes() -> None:
    house = House(requests_per_second=2, request_burst=3)
    assert [(await house.send(CALL)).status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = await house.send(CALL)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert (await house.call("POST", "/v1/send", token="wrong", json=CALL)).status_code == 401
    house.seconds += 0.5
    assert [(await house.send(CALL)).status_code for _ in range(2)] == [200, 429]


async def test_unknown_names_are_reported_and_have_no_effect() -> None:
    house = House()
    answer = await house.call("POST", "/v1/send?debug=1", json=CALL | {"subjct": "typo", "bäd,\r\nname": 1})
    assert answer.status_code == 200
    assert answer.headers["warning-unknown"] == "debug, subjct, b%C3%A4d%2C%0D%0Aname"
    assert "warning-unknown" not in (await house.send(CALL)).headers


async def test_client_that_leaves_gets_no_answer_and_stores_nothing() -> None:
    house = House()
    scope = {"type": "http", "scheme": "https", "method": "POST", "path": "/v1/send", "query_string": b""}
    headers = [(b"authorization", b"Bearer all"), (b"content-type", b"application/json")]

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    await house.app({**scope, "headers": headers, "client": None}, receive, send)
    assert not house.gateway.drafts


async def test_life_cycle_messages_are_answered() -> None:
    asked = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": next(asked)}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await House().app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_http_1_0_is_answered_by_a_real_server() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(House().app, loop="none", http="httptools", access_log=False, log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    body = b'{"recipient": "bob@example.net", "from": "ann@example.com", "text": "x"}'
    head = b"POST /send?access_token=all HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(body) + body)
    answer = await reader.read()
    writer.close()
    server.should_exit = True
    await serving
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-type: application/json\r\n" in answer
    assert answer.endswith(b'\r\n\r\n{"SSSSSSSSSSSSSSSSSSSS":"bob@example.net"}')


@pytest.mark.parametrize(
    "path",
    ["/v1/message/%ff", "/v1/message/a%2Fb", "/v1/message/%2e%2e", "/v1/attachments/a%2Fb/c%2Fd%00", "/v1/%73end%00"],
)
async def test_escapes_in_a_path_lead_to_nothing_and_harm_nothing(path: str) -> None:
    answer = await House().call("GET", path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_address_in_a_path_may_be_escaped_or_raw() -> None:
    house = House()
    for path in (f"/v1/recipient/{SENT}", f"/v1/recipient/%41{SENT[1:]}", f"/v1/%72ecipient/{SENT}/"):
        assert (await house.call("GET", path)).text == "bob@example.net"
