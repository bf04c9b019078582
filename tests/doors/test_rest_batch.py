"""POST /v1/send/batch: many sends in one call."""

from typing import Any

import pytest

from tests.doors.rest_house import House


async def test_batch_accepts_what_it_can_and_tells_why_it_refuses_the_rest() -> None:
    house = House()
    good = {"recipient": "Bob@Example.net", "from": "ann@example.com", "text": "x"}
    answer = await house.call(
        "POST",
        "/v1/send/batch",
        json={"messages": [good, good | {"recipient": ["a@x.example", "b"]}, 5, good | {"odd": 1}]},
    )
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [list(result) for result in results] == [["ids"], ["error"], ["error"], ["ids"]]
    assert results[0] == {"ids": {"S" * 20: "Bob@Example.net"}}
    assert [result["error"]["field"] for result in results[1:3]] == ["messages[1].recipient[1]", "messages[2]"]
    assert results[1]["error"]["code"] == "invalid_recipient"
    assert answer.headers["warning-unknown"] == "messages[3].odd"
    assert len(house.gateway.drafts) == 2


async def test_batch_without_a_fault_is_answered_with_200() -> None:
    house = House()
    good = {"recipient": "bob@example.net", "from": "ann@example.com", "text": "x"}
    answer = await house.call("POST", "/v1/send/batch", json={"messages": [good] * 1000})
    assert (answer.status_code, len(answer.json()["results"]), len(house.gateway.drafts)) == (200, 1000, 1000)
    assert (await house.call("POST", "/v1/send/batch/", json={"messages": [good]})).status_code == 200


@pytest.mark.parametrize("messages", [None, [], {}, "x", [{}] * 1001])
async def test_batch_has_1_to_1000_sends(messages: Any) -> None:
    answer = await House().call("POST", "/v1/send/batch", json={"messages": messages})
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == "messages"


async def test_recipients_of_a_batch_are_counted_together() -> None:
    house = House()
    many = {"recipients": [f"r{n}@x.example" for n in range(1000)], "from": "ann@example.com", "text": "x"}
    answer = await house.call("POST", "/v1/send/batch", json={"messages": [many] * 11})
    results = answer.json()["results"]
    assert ["ids" in result for result in results] == [True] * 10 + [False]
    assert results[10]["error"]["code"] == "too_many_recipients"
