"""The OpenAPI document: valid, complete, and true to what the door does."""

import html
import json
import re
import shlex
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from smtpeter.doors.rest.declare import Property, Reading, Route
from smtpeter.doors.rest.openapi import document
from smtpeter.doors.rest.routes import ROUTES
from tests.doors.rest_house import House

DOCUMENT: dict[str, Any] = json.loads(json.dumps(document(ROUTES)))
CALLS = [
    (path, method, call)
    for path, item in DOCUMENT["paths"].items()
    for method, call in item.items()
    if method != "parameters"
]


def properties(route: Route) -> list[Property]:
    found = list(route.arguments)
    for operation in route.methods.values():
        found += operation.query.properties
        found += operation.body.properties if operation.body else ()
    return found


PROPERTIES = {(route.path, known.name): known for route in ROUTES for known in properties(route)}


def test_document_is_valid() -> None:
    validate(DOCUMENT)


def test_every_address_and_method_is_in_it_once() -> None:
    assert len({call["operationId"] for _, _, call in CALLS}) == len(CALLS)
    assert {(path, method) for path, method, _ in CALLS} == {
        (f"/v1/{route.path}", method.lower()) for route in ROUTES for method in route.methods
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_arguments_of_a_path_are_declared_in_their_order(route: Route) -> None:
    assert route.path.endswith("".join(f"/{{{known.name}}}" for known in route.arguments))
    assert route.path.count("{") == len(route.arguments)


@pytest.mark.parametrize("known", PROPERTIES.values(), ids=[f"{path}:{name}" for path, name in PROPERTIES])
def test_example_is_what_its_schema_says_and_what_its_reader_takes(known: Property) -> None:
    assert known.sentence.endswith(".")
    if known.example is not None:
        jsonschema.validate(known.example, dict(known.kind.schema))
        known.kind.read(known.example, known.name, Reading(is_form=not isinstance(known.example, dict | list)))


@pytest.mark.parametrize(("path", "method", "call"), CALLS, ids=[f"{method} {path}" for path, method, _ in CALLS])
def test_examples_of_answers_fit_their_schemas(path: str, method: str, call: dict[str, Any]) -> None:
    for answer in call["responses"].values():
        for content in answer.get("content", {}).values():
            if "example" in content and "schema" in content:
                jsonschema.validate(content["example"], content["schema"])
    body = call.get("requestBody", {"content": {}})["content"].get("application/json", {})
    if "example" in body:
        jsonschema.validate(body["example"], DOCUMENT["components"]["schemas"][call["operationId"]])


@pytest.mark.parametrize(("path", "method", "call"), CALLS, ids=[f"{method} {path}" for path, method, _ in CALLS])
def test_what_every_call_can_meet_is_named(path: str, method: str, call: dict[str, Any]) -> None:
    assert {"400", "401", "403", "429", "500", "503"} <= set(call["responses"])
    assert ("404" in call["responses"]) >= ("{" in path)
    assert ("415" in call["responses"]) == ("requestBody" in call)


async def test_document_and_page_need_no_token_and_nothing_from_elsewhere() -> None:
    house = House()
    told = await house.call("GET", "/openapi.json", token="")
    assert (told.status_code, told.headers["content-type"]) == (200, "application/json")
    assert told.json() == DOCUMENT
    page = await house.call("GET", "/docs/", token="")
    assert page.headers["content-type"].startswith("text/html")
    assert "script" not in page.headers["content-security-policy"]
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page.text)
    assert "<script" not in page.text
    linked = re.findall(r'href="(/[^"]*)"', page.text)
    assert linked == ["/docs/style.css", "/openapi.json"]
    assert [(await house.call("GET", path, token="")).status_code for path in linked] == [200, 200]
    assert all(f'id="{call["operationId"]}"' in page.text for _, _, call in CALLS)
    refused = await house.call("POST", "/docs", token="")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_examples_of_the_page_can_be_pasted() -> None:
    house = House()
    page = html.unescape((await house.call("GET", "/docs", token="")).text)
    example = next(text for text in re.findall(r"<pre>(curl .*?)</pre>", page, re.DOTALL) if '/v1/send"' in text)
    words = shlex.split(example.replace("\\\n", " "))
    assert words[:2] == ["curl", "$GATE/v1/send"]
    answer = await house.send(json.loads(words[words.index("-d") + 1]))
    assert answer.status_code == 200, answer.text
