"""Large bodies: on disk while they arrive, understood beside the event loop, a few at a time, within linear time."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpeter.doors.rest import decode, large
from smtpeter.doors.rest.decode import ClientGone, decode_json, read_body
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.large import Large
from smtpeter.intake import workshop
from smtpeter.model.account import AccountId
from smtpeter.world import smtp_spool
from tests.cpu import assert_cpu_below
from tests.doors.rest_rooms import RestHouse, open_rooms

CALL = {"recipient": "jane@example.org", "from": "joe@example.com", "subject": "Hello"}
STRING = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RestHouse]:
    """A house where 1000 octets are large."""
    monkeypatch.setattr(smtp_spool, "MAX_MEMORY_OCTETS", 1000)
    monkeypatch.setattr(workshop, "SMALL_BYTES", 1000)
    async with open_rooms(tmp_path) as house:
        yield house


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-10, 10**9) | st.text(st.sampled_from('a"\\{}[],:é\n')),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.sampled_from('a"\\')), inner),
    ),
    piece=st.integers(1, 7),
)
def test_what_is_left_without_strings_is_the_same_in_pieces_of_any_size(value: Any, piece: int) -> None:
    body = json.dumps(value, ensure_ascii=False).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "_PIECE_BYTES", piece)
        assert decode._without_strings(body) == STRING.sub(b"", body)


@given(parts=st.lists(st.sampled_from([b'"', b"\\", b"{", b"[", b",", b"1", b"a"])), piece=st.integers(1, 5))
def test_any_octets_are_an_object_or_a_problem(parts: list[bytes], piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "_PIECE_BYTES", piece)
        try:
            assert isinstance(decode_json(b"".join(parts)), dict)
        except Problem as problem:
            assert problem.status == 400


@pytest.mark.parametrize("shift", range(0, 90, 7))
def test_long_number_is_found_wherever_the_pieces_end(shift: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "_PIECE_BYTES", 100)
    blanks = b" " * shift
    with pytest.raises(Problem, match="more than 40 digits"):
        decode_json(b'{"a":' + blanks + b"1" * 41 + b"}")
    assert decode_json(b'{"a":' + blanks + b"1" * 19 + b"}") == {"a": int("1" * 19)}


@pytest.mark.parametrize(
    "part",
    [
        b"\\u0001",
        b"\\\\",
        b'\\"',
        b"\\",
        b'"',
        b"1",
        b"[",
        b"{",
        b",",
        b'",',
        b'","',
        b"[]",
        b"{},",
        b" ",
        b"\xff",
        b"e1",
    ],
)
def test_time_grows_with_length_only(part: bytes) -> None:
    def decode(octets: bytes) -> None:
        try:
            decode_json(octets)
        except Problem as problem:
            assert problem.status == 400

    for before in (b'{"a":', b'{"a":"', b'{"a":['):
        assert_cpu_below(1.5, partial(decode, before + part * (4 * 2**20 // len(part))))


async def test_large_body_rests_on_disk_and_goes_when_its_client_does(tmp_path: Path) -> None:
    seen = []

    async def receive() -> dict[str, Any]:
        if len(seen) == 100:
            return {"type": "http.disconnect"}
        seen.append(None)
        return {"type": "http.request", "body": bytes(2**16), "more_body": True}

    with pytest.raises(ClientGone):
        await read_body(receive, {}, 50 * 2**20, tmp_path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir()), "a file without a name goes with its last user"


async def test_large_mail_is_taken_like_a_small_one(house: RestHouse) -> None:
    text = 'Grüße, \\" {[,1]}\n' * 3000
    answer = await house.call("POST", "/v1/send", json=CALL | {"text": text})
    assert answer.status_code == 200, answer.text
    (stored,) = house.intake.onward.taken
    assert json.loads(stored.source.content)["text"] == text


async def test_refusals_of_large_calls_are_those_of_small_ones(house: RestHouse) -> None:
    filler = {"text": "x" * 2000}
    for change, code in (
        ({"recipient": "jane"}, "invalid_recipient"),
        ({"data": {"a": 1}, "subject": "{$"}, "invalid_personalization"),
        ({"from": "joe"}, "invalid_sender"),
        ({"attachments": [{"data": "?"}]}, "invalid_request"),
    ):
        answer = await house.call("POST", "/v1/send", json=CALL | filler | change)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), answer.text
    body = b'{"recipient":"jane@example.org","text":"' + b"x" * 2000
    answer = await house.call("POST", "/v1/send", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


async def test_an_account_has_few_large_calls_at_once_and_leaves_turns_to_others() -> None:
    calls = Large()
    inside: list[int] = []
    most = 0
    end = asyncio.Event()

    async def call(account: int) -> None:
        nonlocal most
        async with calls.turn(AccountId(account)):
            inside.append(account)
            most = max(most, len(inside))
            await end.wait()
            inside.remove(account)

    tasks = [asyncio.create_task(call(1)) for _ in range(10)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(call(2)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert inside.count(1) == large.AT_ONCE_OF_ACCOUNT
    assert inside.count(2) == 1
    end.set()
    await asyncio.gather(*tasks)
    assert most <= large.AT_ONCE
