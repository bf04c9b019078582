"""Templates, patches and data made to do harm: a clear refusal, in bounded time, while other calls are answered."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from smtpeter.content.letter import Letters, Values
from smtpeter.intake import personal
from smtpeter.model.parts import decode_letter
from tests.doors.rest_rooms import RestHouse, open_rooms
from tests.intake.house import T0

CALL = {"recipient": "jane@example.org", "from": "joe@example.com", "subject": "Hello"}
DOCUMENT = {"from": "joe@example.com", "subject": "Hello", "content": "<p>x</p>"}
LOOPS = "{foreach $a as $x}{foreach $a as $y}{foreach $a as $z}{/foreach}{/foreach}{/foreach}"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[RestHouse]:
    async with open_rooms(tmp_path) as house:
        house.intake.clock.monotonic = time.monotonic  # type: ignore[method-assign]
        yield house


async def error_of(house: RestHouse, **properties: Any) -> dict[str, Any]:
    answer = await house.call("POST", "/v1/send", json=CALL | properties)
    assert answer.status_code == 400, answer.text
    assert not house.intake.onward.taken
    error: dict[str, Any] = answer.json()["error"]
    return error


def nested(levels: int) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "content": "x"}
    for _ in range(levels):
        block = {"type": "container", "blocks": [block]}
    return {"content": {"blocks": [block]}}


@pytest.mark.parametrize(
    "change",
    [
        nested(21),
        {"content": {"blocks": [{"type": "text", "content": "x"}] * 1001}},
        {"subject": "{" * 60_000 + "$x"},
        {"text": "{if $x}" * 65},
        {"text": "{" + "(" * 65 + "1"},
        {"subject": "{$x" + ".y" * 2001 + "}"},
    ],
)
async def test_bombs_of_documents_are_refused(house: RestHouse, change: dict[str, Any]) -> None:
    error = await error_of(house, template=DOCUMENT | change, subject=None)
    assert error["code"] in ("invalid_template", "invalid_personalization")
    assert error["problems"]


async def test_a_patch_that_doubles_the_document_is_stopped_at_the_operation(house: RestHouse) -> None:
    bomb = [{"op": "copy", "from": "", "path": f"/x{n}"} for n in range(40)]
    error = await error_of(house, template=DOCUMENT | {"text": "x" * 1000}, patch=bomb)
    assert error["code"] == "invalid_template"
    assert error["field"].startswith("patch[")
    assert "too large" in error["message"]


async def test_a_patch_that_nests_the_document_in_itself_is_stopped(house: RestHouse) -> None:
    bomb = [{"op": "copy", "from": "", "path": "/x" * (2**n)} for n in range(12)]
    error = await error_of(house, template={**DOCUMENT, "x": {}}, patch=bomb)
    assert error["code"] == "invalid_template"


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "test", "path": "/subject", "value": "Goodbye"}],
        [{"op": "add", "path": "subject", "value": 1}],
        [{"op": "replace", "path": "", "value": [1]}],
        [{"op": "remove", "path": ""}],
        [{"op": "nothing", "path": "/a"}],
        [{"path": "/a"}],
        [{"op": "copy", "from": 5, "path": "/a"}],
        [{"op": "move", "from": "/content", "path": "/content/blocks"}],
        [{"op": "add", "path": "/a~2b", "value": 1}],
        [{"op": "add", "path": "/a", "value": 1}] * 501,
    ],
)
async def test_a_patch_that_cannot_be_applied_is_refused(house: RestHouse, patch: list[Any]) -> None:
    error = await error_of(house, template=DOCUMENT, patch=patch)
    assert error["code"] == "invalid_template"


@pytest.mark.parametrize("where", ["from", "to"])
async def test_loops_in_an_address_end_at_their_limit(house: RestHouse, where: str) -> None:
    tag = f"Joe <{LOOPS}joe@example.com>"
    error = await error_of(house, **{where: tag, "text": "x", "data": {"a": list(range(1000))}})
    assert error["code"] == "invalid_personalization"
    assert "passes" in error["message"]


@pytest.mark.parametrize("pattern", ["^(x+)+$", "(x|xx)*y", "(.*)(.*)(.*)[a-z]9"])
async def test_patterns_that_explode_elsewhere_end_soon(house: RestHouse, pattern: str) -> None:
    tag = 'Joe <{$v|regex_replace:"' + pattern + '":"a"|truncate:10}@example.com>'
    begun = time.monotonic()
    answer = await house.call(
        "POST", "/v1/send", json=CALL | {"from": tag, "text": "x", "data": {"v": "x" * 50_000 + "!"}}
    )
    assert answer.status_code in (200, 400), answer.text
    assert time.monotonic() - begun < 3


async def test_deep_data_is_refused(house: RestHouse) -> None:
    body = b'{"recipient":"jane@example.org","from":"joe@example.com","text":"x","data":{"a":'
    deep = body + b"[" * 63 + b"]" * 63 + b"}}"
    answer = await house.call("POST", "/v1/send", content=deep, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


PLACES: dict[str, Any] = {
    "subject": {"subject": "{$v}"},
    "from": {"from": "{$v} <joe@example.com>"},
    "address": {"to": "x <{$v}@example.com>"},
    "to": {"to": "{$v} <jane@example.org>"},
    "cc": {"cc": {"name": "{$v}", "address": "ann@example.org"}},
    "replyto": {"replyto": '"{$v}" <ann@example.org>'},
    "headers": {"headers": {"x-a": "{$v}", "Feedback-ID": "{$v}"}},
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("bad", ["a\r\nBcc: b@example.net", "a\n\nb", "a\rb", "a\u2028b", "a\x85b", "a\0b"], ids=ascii)
async def test_no_value_and_no_property_ends_a_line_of_the_header(house: RestHouse, place: str, bad: str) -> None:
    properties = CALL | {"template": DOCUMENT} | PLACES[place]
    answer = await house.call("POST", "/v1/send", json=properties | {"data": {"v": bad}})
    if place == "address":
        assert answer.status_code == 400
        return
    assert answer.status_code == 200, answer.text
    mail = (
        Letters().get(decode_letter(house.intake.onward.taken[-1].source.content).document).mail(Values({"v": bad}, T0))
    )
    boxes = [box for box in (mail.sender, mail.reply_to, *mail.to, *mail.cc) if box]
    texts = [mail.subject or "", *[box.name + box.address for box in boxes], *[value for _, value in mail.headers]]
    assert not [text for text in texts if any(ord(c) < 32 or c in "\x7f\x85\u2028\u2029" for c in text)]
    if not bad.isascii():
        return
    raw = {
        name: {k: v.replace("{$v}", bad) for k, v in value.items()}
        if isinstance(value, dict)
        else value.replace("{$v}", bad)
        for name, value in PLACES[place].items()
    }
    answer = await house.call("POST", "/v1/send", json=CALL | {"text": "x"} | raw | {"headers": None})
    assert answer.status_code == (200 if place == "headers" else 400)


async def test_a_call_that_takes_long_is_ended_and_holds_up_nobody(
    house: RestHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal, "MAX_SECONDS", 0.5)
    people = {f"r{n}@example.org": {"n": n} for n in range(5)}
    slow = "{$n} <{foreach $a as $x}{foreach $a as $y}{/foreach}{/foreach}joe@example.com>"
    call = CALL | {"from": slow, "text": "x", "data": {"a": list(range(300))}, "recipients": people}
    del call["recipient"]
    waits = []
    attempts = [asyncio.create_task(house.call("POST", "/v1/send", json=call, token="foreign")) for _ in range(2)]
    for _ in range(10):
        begun = time.monotonic()
        answer = await house.call("POST", "/v1/send", json=CALL | {"text": "x"})
        waits.append(time.monotonic() - begun)
        assert answer.status_code == 200
        await asyncio.sleep(0.01)
    assert sorted(waits)[5] < 0.25
    for answer in await asyncio.gather(*attempts):
        assert answer.status_code in (200, 400), answer.text


async def test_a_thousand_recipients_without_tags_in_addresses_are_looked_at_once(house: RestHouse) -> None:
    looks = 0
    values = personal.Personal._values

    def counted(*given: Any) -> Any:
        nonlocal looks
        for one in values(*given):
            looks += 1
            yield one

    people = {f"r{n}@example.org": {"firstname": f"R{n}"} for n in range(5)}
    call = {
        "from": "{$firstname} <joe@example.com>",
        "to": "{$firstname} <list@example.org>",
        "subject": "Dear {$firstname}",
        "text": "x",
    }
    call["recipients"] = people
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(personal.Personal, "_values", counted)
        assert (await house.call("POST", "/v1/send", json=call)).status_code == 200
    assert looks == 1
