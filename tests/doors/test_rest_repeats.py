"""Idempotency-Key: a call that is made again gets its first answer and sends nothing again, also after a restart."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doors.rest_rooms import RestHouse, open_rooms

SEND = {"recipient": "jane@example.org", "from": "joe@example.com", "text": "x"}
BATCH = {"messages": [SEND, SEND | {"recipient": "nobody"}]}
KEY = {"Idempotency-Key": "5f0c6c1e-order-1234"}


def shown(answer: httpx2.Response) -> tuple[int, str, Any]:
    return answer.status_code, answer.headers["content-type"], answer.json()


async def found(house: RestHouse) -> list[Any]:
    answer = (await house.call("GET", "/v1/messages")).json()
    return answer if isinstance(answer, list) else answer["messages"]


@pytest.mark.parametrize(("path", "properties"), [("/v1/send", SEND), ("/v1/send/batch", BATCH)])
async def test_repeated_call_gets_the_first_answer_also_after_a_restart(
    tmp_path: Path, path: str, properties: dict[str, Any]
) -> None:
    async with open_rooms(tmp_path) as house:
        first = await house.call("POST", path, json=properties, headers=KEY)
        assert first.status_code in (200, 207), first.text
        again = await house.call("POST", path, json=properties, headers=KEY)
        assert shown(again) == shown(first)
        assert len(await found(house)) == 1
    async with open_rooms(tmp_path) as house:
        again = await house.call("POST", path, json=properties, headers=KEY)
        assert shown(again) == shown(first)
        assert len(await found(house)) == 1


async def test_two_calls_with_a_key_at_the_same_moment_make_one_mail(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as house:
        calls = [house.call("POST", "/v1/send", json=SEND, headers=KEY) for _ in range(8)]
        answers = await asyncio.gather(*calls)
        assert len({answer.text for answer in answers}) == 1
        assert len(await found(house)) == 1


@pytest.mark.parametrize(
    ("path", "properties"), [("/v1/send", SEND | {"text": "y"}), ("/v1/send/batch", {"messages": [SEND]})]
)
async def test_key_with_another_request_is_refused(tmp_path: Path, path: str, properties: dict[str, Any]) -> None:
    async with open_rooms(tmp_path) as house:
        assert (await house.call("POST", "/v1/send", json=SEND, headers=KEY)).status_code == 200
        answer = await house.call("POST", path, json=properties, headers=KEY)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_mismatch")
        assert len(await found(house)) == 1


async def test_key_belongs_to_its_account(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as house:
        mine = await house.call("POST", "/v1/send", json=SEND, headers=KEY)
        theirs = await house.call("POST", "/v1/send", json=SEND, headers=KEY, token="foreign")
        assert (mine.status_code, theirs.status_code) == (200, 200)
        assert mine.json() != theirs.json()


async def test_refused_call_leaves_its_key_free(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as house:
        wrong = await house.call("POST", "/v1/send", json=SEND | {"from": "joe@example.net"}, headers=KEY)
        assert wrong.status_code == 403
        assert (await house.call("POST", "/v1/send", json=SEND, headers=KEY)).status_code == 200


@pytest.mark.parametrize("key", ["a b", "x" * 256, "ä"])
async def test_key_that_cannot_be_one_is_refused(tmp_path: Path, key: str) -> None:
    async with open_rooms(tmp_path) as house:
        headers = {"Idempotency-Key": key.encode("latin-1"), "Content-Type": "application/json"}
        answer = await house.call("POST", "/v1/send", content=json.dumps(SEND).encode(), headers=headers)
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "Idempotency-Key")


async def test_form_with_a_new_boundary_is_the_same_call(tmp_path: Path) -> None:
    async with open_rooms(tmp_path) as house:
        files = {"attachments[]": ("a.txt", b"x", "text/plain")}
        first = await house.call("POST", "/v1/send", data=SEND, files=files, headers=KEY)
        again = await house.call("POST", "/v1/send", data=SEND, files=files, headers=KEY)
        assert first.request.headers["content-type"] != again.request.headers["content-type"]
        assert shown(again) == shown(first)
        assert len(await found(house)) == 1
