"""Form input: names with brackets, escapes, limits; and that nothing in it is too much for the door."""

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.doors.rest.form import FormError, decode_form
from tests.doors.rest_house import House


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a&b=&&=c", {"a": "", "b": "", "": "c"}),
        (b"a=1=2", {"a": "1=2"}),
        (b"a=x+y%20z%2B", {"a": "x y z+"}),
        ("a=ü".encode(), {"a": "ü"}),
        (b"a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        (b"a[]=1&a[]=2", {"a": ["1", "2"]}),
        (b"a%5B%5D=1&a%5B%5D=2", {"a": ["1", "2"]}),
        (b"a[0]=x&a[1]=y", {"a": ["x", "y"]}),
        (b"a[1]=x&a[0]=y", {"a": {"1": "x", "0": "y"}}),
        (b"a[5]=x&a[]=y", {"a": {"5": "x", "6": "y"}}),
        (b"a[x]=1&a[y][z]=2", {"a": {"x": "1", "y": {"z": "2"}}}),
        (b"a[x][]=1&a[x][]=2", {"a": {"x": ["1", "2"]}}),
        (b"a[][x]=1&a[][x]=2", {"a": [{"x": "1"}, {"x": "2"}]}),
        (b"r[j@x.example]=", {"r": {"j@x.example": ""}}),
        (b"a[=1&b]=2&c[d=3&[e]=4", {"a[": "1", "b]": "2", "c[d": "3", "[e]": "4"}),
    ],
)
def test_shapes(body: bytes, expected: dict[str, Any]) -> None:
    assert decode_form(body) == expected


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"a=%", "position 3"),
        (b"a=1&b=john%doe.com", "position 11"),
        (b"%zz=1", "position 1"),
        (b"a=1&b=x\xffy", "not UTF-8 at position 8"),
        (b"a=%41%42%ff", "not UTF-8 at position 9"),
        (b"a=%C3", "not UTF-8 at position 3"),
        (b"a=1&a[b]=2", "both a value and a list"),
        (b"a[b]=1&a=2", "both a value and a list"),
        (b"a" + b"[b]" * 64 + b"=1", "nested deeper"),
        (b"a&" * 200_001, "more than 200000"),
    ],
)
def test_mistakes_are_told_with_their_place(body: bytes, told: str) -> None:
    with pytest.raises(FormError, match=told):
        decode_form(body)


@given(st.lists(st.tuples(st.text(alphabet=st.characters(exclude_characters="[]", codec="utf-8")), st.text())))
@settings(max_examples=100)
def test_flat_form_is_read_as_it_was_written(pairs: list[tuple[str, str]]) -> None:
    expected: dict[str, Any] = {}
    for name, value in pairs:
        expected.setdefault(name, []).append(value)
    read = decode_form(urlencode(pairs).encode())
    assert read == {name: values[0] if len(values) == 1 else values for name, values in expected.items()}


_PIECES = st.sampled_from([b"a", b"[", b"]", b"=", b"&", b"%", b"%41", b"%ff", b"+", b"0", b"recipient", b"\xc3", b";"])


@given(st.one_of(st.binary(max_size=60), st.lists(_PIECES, max_size=25).map(b"".join)))
@settings(max_examples=300)
def test_any_bytes_give_a_form_or_a_sentence(body: bytes) -> None:
    try:
        read = decode_form(body)
    except FormError as wrong:
        assert str(wrong)
    else:
        assert all(isinstance(name, str) for name in read)


@given(st.one_of(st.binary(max_size=60), st.lists(_PIECES, max_size=25).map(b"".join)), st.booleans())
@settings(max_examples=60, deadline=None)
async def test_no_form_body_or_query_makes_a_server_error(body: bytes, in_query: bool) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    house = House()
    if not in_query:
        answer = await house.call("POST", "/v1/send", content=body, headers=headers)
        assert answer.status_code == 400
        return
    statuses: list[int] = []
    scope = {"type": "http", "scheme": "https", "method": "GET", "path": "/v1/events/messageid/" + "A" * 20}
    await house.app(
        {**scope, "query_string": body, "headers": [(b"authorization", b"Bearer all")], "client": None},
        _never,
        _collect(statuses),
    )
    assert statuses[0] in (200, 400)


async def _never() -> Any:
    raise AssertionError("a GET has no body")


def _collect(statuses: list[int]) -> Any:
    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))

    return send
