"""W1: what another account owns is answered exactly as what does not exist, by every address that there is.

The calls are made from the declarations of the routes: an address that is added without a line in these tables fails
here, so that nobody forgets it.
"""

import string
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from smtpeter.doors.rest.declare import Route
from smtpeter.doors.rest.gateway import OPERATOR
from smtpeter.doors.rest.routes import ROUTES
from tests.doors.rest_rooms import OTHERS, WITH_FILES, RestHouse, open_rooms

# by the name of an argument or property that names something: an unknown one of the right form, and a malformed one
UNKNOWN = {
    "message": ("0" * 20, "no id"),
    "number": (999_999, 10**15),
    "entry": ("nobody@example.org", "example.test"),
    "template": (999_999, "nobody's"),
}
# which kind of thing the arguments of an address name
KINDS = {
    **dict.fromkeys(("message", "recipient", "envelope", "text", "html", "headers", "header", "mime"), "message"),
    **dict.fromkeys(("events/messageid", "attachments", "embeds"), "message"),
    **dict.fromkeys(("tokens", "logins"), "number"),
    "suppressions": "entry",
    "template": "template",
}
# what the other arguments of an address are, when it is no number of a file
FURTHER = {"format": "html"}
# properties of bodies that name something, by address and method
NAMING = {
    ("resend", "POST"): ("message", "message"),
    ("tokens", "DELETE"): ("id", "number"),
    ("logins", "DELETE"): ("id", "number"),
    ("logins", "POST"): ("id", "number"),
    ("suppressions", "DELETE"): ("entries", "entry"),
    ("template", "PUT"): ("id", "number"),
}
# addresses whose calls name nothing that somebody owns
NAMELESS = {
    *(("send", "POST"), ("send/batch", "POST"), ("messages", "GET")),
    *(("suppressions", "GET"), ("suppressions", "POST"), ("tokens", "GET"), ("tokens", "POST"), ("logins", "GET")),
    *(("templates", "GET"), ("templates/{start}", "GET"), ("templates/{start}/{length}", "GET"), ("template", "POST")),
    *(("template/{id}", "POST"), ("template/{id}", "PUT")),  # the argument of these is a format
    *((name, "POST") for name in ("html", "webversion", "mime", "embedded", "text")),
}
EVERY_CALL = [(route, method) for route in ROUTES for method in route.methods]
# the operator sees what all accounts have, so that nothing is foreign there
CALLS = [(route, method) for route, method in EVERY_CALL if route.methods[method].scope != OPERATOR]


def name_of(route: Route) -> str:
    return route.path.partition("/{")[0]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[RestHouse]:
    async with open_rooms(tmp_path) as opened:
        yield opened


async def foreign_things(house: RestHouse) -> dict[str, dict[str, Any]]:
    """Gives the name of one thing of each kind that the other account has."""
    (message,) = await house.accept(account=OTHERS, content=WITH_FILES)
    login = (await house.call("POST", "/v1/logins", json={"user": "theirs"}, token="foreign")).json()
    token = (await house.call("GET", "/v1/tokens", token="foreign")).json()[0]
    await house.call("POST", "/v1/suppressions", json={"address": "jane@example.org"}, token="foreign")
    soup = (await house.call("POST", "/v1/template", json={"name": "soup"}, token="foreign")).json()
    numbers = {"tokens": token["id"], "logins": login["id"], "template": soup["id"]}
    return {
        "message": dict.fromkeys([*KINDS, "resend"], message),
        "number": numbers,
        "entry": {"suppressions": "jane@example.org"},
        "template": {"template": soup["id"]},
    }


def path_of(route: Route, name: object) -> str:
    """Gives the address with `name` for its first argument, and the first file for the second."""
    first = True
    path = route.path
    for _, field, _, _ in string.Formatter().parse(route.path):
        if field:
            path = path.replace(f"{{{field}}}", str(name) if first else FURTHER.get(field, "0"))
            first = False
    return f"/v1/{path}"


def test_every_address_is_in_these_tables() -> None:
    for route, method in CALLS:
        if not route.methods[method].scope:  # for everybody, whoever calls
            continue
        known = (route.path, method) in NAMELESS | set(NAMING) or (route.arguments and name_of(route) in KINDS)
        assert known, f"{method} {route.path} is in no table of this file"


@pytest.mark.parametrize(
    ("route", "method"),
    [(route, method) for route, method in CALLS if route.arguments and (route.path, method) not in NAMELESS],
    ids=lambda x: x if isinstance(x, str) else x.path,
)
async def test_a_foreign_name_in_the_path_is_as_unknown(house: RestHouse, route: Route, method: str) -> None:
    kind = KINDS[name_of(route)]
    foreign = (await foreign_things(house))[kind][name_of(route)]
    answers = {}
    for name in (foreign, *UNKNOWN[kind]):
        answer = await house.call(method, path_of(route, name))
        answers[name] = (answer.status_code, answer.content, sorted(answer.headers.keys()))
    assert answers[foreign][0] == 404
    assert len({str(answer) for answer in answers.values()}) == 1, answers
    # and its owner has it, so that the test looks at something that is there
    assert (await house.call(method, path_of(route, foreign), token="foreign")).status_code == 200


# only DELETE takes its properties from the query too
@pytest.mark.parametrize(
    ("path", "method", "place"),
    [
        (path, method, place)
        for path, method in NAMING
        for place in ("json", "data", "params")[: 3 - (method != "DELETE")]
    ],
)
async def test_a_foreign_name_in_what_is_given_is_as_unknown(
    house: RestHouse, path: str, method: str, place: str
) -> None:
    field, kind = NAMING[path, method]
    foreign = (await foreign_things(house))[kind][path]
    answers = {}
    for name in (foreign, *UNKNOWN[kind]):
        answer = await house.call(method, f"/v1/{path}", **{place: {field: name}})
        answers[name] = (answer.status_code, answer.content, sorted(answer.headers.keys()))
    assert answers[foreign][0] == 404
    assert len({str(answer) for answer in answers.values()}) == 1, answers
    answer = await house.call(method, f"/v1/{path}", token="foreign", **{place: {field: foreign}})
    assert answer.status_code in (200, 201)


async def test_no_list_shows_what_another_account_has(house: RestHouse) -> None:
    await foreign_things(house)
    for path in ("messages", "logins", "templates", "suppressions", "suppressions?address=jane@example.org"):
        assert (await house.call("GET", f"/v1/{path}")).json() == []
        assert len((await house.call("GET", f"/v1/{path}", token="foreign")).json()) == 1
    names = [token["name"] for token in (await house.call("GET", "/v1/tokens")).json()]
    assert "foreign" not in names


@pytest.mark.parametrize("secret", ["all", "sender", "reader", "manager"])
async def test_no_call_goes_without_its_scope(house: RestHouse, secret: str) -> None:
    has = {"all": ("send", "read", "manage"), "sender": ("send",), "reader": ("read",), "manager": ("manage",)}[secret]
    for route, method in EVERY_CALL:
        scope = route.methods[method].scope
        if scope in ("", *has):
            continue
        answer = await house.call(method, path_of(route, "x"), token=secret)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "scope_missing"), (method, route.path)
