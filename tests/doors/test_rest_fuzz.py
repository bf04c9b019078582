"""A schema fuzzer over the OpenAPI document and the real rooms: no 5xx, and nothing that the document does not say."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from smtpeter.doors.rest.openapi import document
from smtpeter.doors.rest.routes import ROUTES
from smtpeter.model.message import MessageId
from tests.doors.rest_rooms import WITH_FILES, RestHouse, open_rooms

BASE = "http://gate.example.com"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SCHEMA = schemathesis.openapi.from_dict(json.loads(json.dumps(document(ROUTES))))
OPERATIONS = [result.ok() for result in SCHEMA.get_all_operations()]
MODES = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
EXAMPLES = 6
SEND = {"recipient": "jane@example.org", "from": "joe@example.com", "text": "x"}


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def house(runner: asyncio.Runner, tmp_path: Path) -> Iterator[RestHouse]:
    stack = AsyncExitStack()
    yield runner.run(stack.enter_async_context(open_rooms(tmp_path)))
    runner.run(stack.aclose())


def led_further(case: schemathesis.Case, id: MessageId) -> None:
    """Puts in what the schema cannot know: the id of a message, the name of a template, an approved sender."""
    if case.path.startswith("/v1/template/") and case.method == "GET":
        case.path_parameters["id"] = "soup"
    elif "id" in case.path_parameters and "tokens" not in case.path and "logins" not in case.path:
        case.path_parameters["id"] = id
    if case.path == "/v1/send" and isinstance(case.body, dict):
        case.body = {name: value for name, value in case.body.items() if name not in ("mime", "recipients")} | SEND


def prepared(case: schemathesis.Case) -> requests.PreparedRequest:
    """Gives the request as it would go over the wire, with a token."""
    wanted = case.as_transport_kwargs(base_url=BASE)
    known = ("method", "url", "headers", "params", "data", "json", "files", "cookies")
    request = requests.Request(**{name: wanted[name] for name in known if name in wanted}).prepare()
    request.headers["Authorization"] = "Bearer all"
    return request


async def answer_to(house: RestHouse, request: requests.PreparedRequest) -> httpx2.Response:
    body: Any = request.body or b""
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else body.read()
    headers = [(name, value) for name, value in request.headers.items() if name.lower() != "content-length"]
    async with httpx2.AsyncClient(transport=house.transport) as client:
        return await client.request(request.method or "", request.url or "", headers=headers, content=content)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_no_call_gets_an_answer_that_is_not_in_the_document(
    house: RestHouse, runner: asyncio.Runner, operation: Any, mode: schemathesis.GenerationMode
) -> None:
    (id,) = runner.run(house.accept(content=WITH_FILES))
    runner.run(house.call("POST", "/v1/template", json={"name": "soup", "subject": "{$a}", "text": "{$b}"}))

    @given(operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def tried(case: schemathesis.Case) -> None:
        if mode is schemathesis.GenerationMode.POSITIVE:
            led_further(case, id)
        response = runner.run(answer_to(house, prepared(case)))
        case.validate_response(response, checks=CHECKS)

    tried()


async def test_fuzzer_sees_a_status_that_is_not_in_the_document() -> None:
    async def teapot(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=teapot)) as client:
        response = await client.post(f"{BASE}/v1/send")
    with pytest.raises(FailureGroup) as found:
        OPERATIONS[0].Case().validate_response(response, checks=CHECKS)
    assert "418" in str(found.value.exceptions[0])
