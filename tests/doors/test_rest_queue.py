"""The operator's calls over the real rooms: the queue of all accounts, and the steering."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smtpeter.doors.rest.operating import Operating
from smtpeter.doors.steering import NOT_CONFIGURED, Unusable
from smtpeter.model.event import Cancel
from smtpeter.model.message import MessageId, MessageState
from smtpeter.model.steering import LaneReport, LimitEntry, Limits, RouteEntry
from smtpeter.store.claim import ClaimRequest, claim
from smtpeter.store.credentials import NewToken, put_token, token_digest
from smtpeter.store.events import EventQuery, events_of
from smtpeter.store.lane_reports import LaneReports, put_reports
from smtpeter.store.settle import Settlement, settle
from smtpeter.testing.log import logged
from tests.doors.rest_rooms import MINE, OTHERS, RestHouse, open_rooms
from tests.intake.house import T0

RULE = 'name = "busy"\ncode = "4.."\ntext = "too busy"\nverdict = "retry"\nscope = "lane"\neffect = "slow"\n'
GOOGLE, OTHER = "mx:google", "mx:mail.other.example"
LANES = {"example.org": GOOGLE, "other.example": OTHER}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[RestHouse]:
    async with open_rooms(tmp_path) as opened:
        scopes = frozenset({"operator", "manage"})
        account = opened.accounts[MINE].id
        item = NewToken(account, "operator", "operator", token_digest("operator"), scopes, T0)
        await opened.intake.store.write(put_token, item)
        opened.intake.onward.lane_of.update(LANES)
        yield opened


async def call(house: RestHouse, method: str, path: str, **given: Any) -> Any:
    """Gives what the operator's call answers, which must be 200."""
    answer = await asked(house, method, path, **given)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def asked(house: RestHouse, method: str, path: str, **given: Any) -> Any:
    options = {"params": given} if method == "GET" else {"json": given} if given or method == "POST" else {}
    return await house.call(method, f"/v1/{path}", token="operator", **options)


async def refusal(house: RestHouse, method: str, path: str, **given: Any) -> tuple[int, str, str]:
    answer = await asked(house, method, path, **given)
    error = answer.json()["error"]
    assert error["message"].endswith((".", "?")), error
    return answer.status_code, error["code"], error["field"]


async def waiting(house: RestHouse, address: str = "jane@example.org", account: str = MINE) -> MessageId:
    """Accepts a message, which waits in the lane of its domain."""
    (id,) = await house.accept(address, account=account)
    return id


async def deferred(house: RestHouse, address: str = "jane@example.org", account: str = MINE) -> MessageId:
    id = await waiting(house, address, account)
    now = house.intake.clock.now()
    (message,) = await house.intake.store.write(claim, ClaimRequest(1, now, now + timedelta(seconds=45), 10))
    due = now + timedelta(hours=1)
    await house.intake.store.write(settle, Settlement(id, message.claim, MessageState.DEFERRED, now, 1, due))
    return id


# --- the queue ---


async def test_lanes_of_all_accounts_are_listed_with_how_they_go(house: RestHouse) -> None:
    await deferred(house)
    await waiting(house, account=OTHERS)
    await waiting(house, "joe@other.example")
    report = LaneReport(GOOGLE, 2, 5, 1, 30.0, 12.0, None, "push-back", "421 4.7.28 slower")
    await house.intake.store.write(put_reports, LaneReports(1, house.intake.clock.now(), (report,)))
    google, other = await call(house, "GET", "queue")
    assert (google["lane"], google["queued"], google["deferred"], google["accounts"]) == (GOOGLE, 1, 1, 2)
    assert (google["state"], google["rate_per_minute"], google["connections"]) == ("slowed", 30.0, 2)
    assert (google["oldest_accepted"], google["reason"]) == (f"{T0:%Y-%m-%d %H:%M:%S}", "push-back")
    assert (other["lane"], other["state"], other["rate_per_minute"]) == (OTHER, "ok", None)
    assert [lane["lane"] for lane in await call(house, "GET", "queue", account=OTHERS)] == [GOOGLE]
    assert [lane["lane"] for lane in await call(house, "GET", "queue", lane="*.other.example")] == [OTHER]
    assert [lane["queued"] for lane in await call(house, "GET", "queue", domain="OTHER.example")] == [1]


async def test_a_lane_shows_its_messages_page_by_page(house: RestHouse) -> None:
    ids = [await deferred(house), await waiting(house), await waiting(house)]
    path, found = "/v1/queue/lane?lane=example.org&limit=2", []
    while path:
        answer = await house.call("GET", path, token="operator")
        assert answer.status_code == 200, answer.text
        found += [message["id"] for message in answer.json()["messages"]]
        link = answer.headers.get("link", "")
        path = link[1 : link.index(">")] if link else ""
    assert found == [*sorted(ids[1:]), ids[0]]
    whole = await call(house, "GET", "queue/lane", lane=GOOGLE, state="deferred")
    assert [(one["id"], one["account"], one["attempt"]) for one in whole["messages"]] == [(ids[0], MINE, 1)]
    assert whole["lanes"][0]["limits"]["connections"] is not None


async def test_flush_makes_due_what_is_deferred(house: RestHouse) -> None:
    await deferred(house)
    id = await deferred(house, "joe@other.example", OTHERS)
    assert await call(house, "POST", "queue/flush", account=OTHERS) == {"flushed": 1, "complete": True}
    assert await call(house, "POST", "queue/flush", ids=[id]) == {"flushed": 0, "complete": True}
    assert await call(house, "POST", "queue/flush", all=True) == {"flushed": 1, "complete": True}


async def test_drop_cancels_with_the_reason_in_the_events(house: RestHouse, tmp_path: Path) -> None:
    id = await waiting(house, account=OTHERS)
    await waiting(house, "joe@other.example")
    with logged(tmp_path / "log") as log:
        told = await call(house, "POST", "queue/drop", lane=GOOGLE, reason="a mistake")
        (line,) = log.lines("queue.dropped")
    assert told == {"dropped": 1, "complete": True}
    assert line["who"].startswith("token:")
    found = await house.intake.store.read(events_of, EventQuery(house.accounts[OTHERS].id, id))
    assert found[-1].event == Cancel("a mistake")
    assert [lane["lane"] for lane in await call(house, "GET", "queue")] == [OTHER]


@pytest.mark.parametrize("path", ["queue/flush", "queue/drop"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (400, "invalid_request", "all")),
        ({"all": True, "domain": "example.org"}, (400, "invalid_request", "all")),
        ({"all": False}, (400, "invalid_request", "all")),
        ({"ids": ["no id"]}, (400, "invalid_request", "ids[0]")),
        ({"ids": []}, (400, "invalid_request", "ids")),
        ({"account": "nobody"}, (400, "invalid_request", "account")),
        ({"lane": "nowhere"}, (404, "not_found", "")),
    ],
)
async def test_which_mail_is_meant_must_be_said(
    house: RestHouse, path: str, given: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    await waiting(house)
    assert await refusal(house, "POST", path, **given) == expected
    assert len(await call(house, "GET", "queue")) == 1


async def test_a_lane_without_mail_is_not_found(house: RestHouse) -> None:
    assert await refusal(house, "GET", "queue/lane", lane=GOOGLE) == (404, "not_found", "")
    assert await refusal(house, "GET", "queue/lane") == (400, "invalid_parameter", "lane")
    assert await refusal(house, "GET", "queue/lane", lane=GOOGLE, state="lost") == (400, "invalid_parameter", "state")


# --- pauses ---


async def test_a_pause_is_made_listed_and_removed(house: RestHouse) -> None:
    await waiting(house)
    (made,) = await call(house, "POST", "queue/pauses", lane="google", reason="trouble", **{"for": "2h"})
    until = f"{T0 + timedelta(hours=2):%Y-%m-%d %H:%M:%S}"
    assert (made["lane"], made["reason"], made["until"]) == ("google", "trouble", until)
    assert await call(house, "GET", "queue/pauses") == [made]
    (lane,) = await call(house, "GET", "queue")
    assert (lane["state"], lane["pause"]) == ("paused", made["id"])
    assert await call(house, "DELETE", f"queue/pauses/{made['id']}") == [made]
    assert await call(house, "GET", "queue/pauses") == []
    assert (await call(house, "GET", "queue"))[0]["state"] == "ok"


async def test_pauses_name_accounts_and_end_all_together(house: RestHouse) -> None:
    (made,) = await call(house, "POST", "queue/pauses", account=OTHERS, stream="bulk", domain="*.Example.org")
    assert (made["account"], made["domain"], made["until"]) == (OTHERS, "*.example.org", None)
    await call(house, "POST", "queue/pauses", all=True, until="2030-01-01 00:00:00")
    assert len(await call(house, "DELETE", "queue/pauses", all=True)) == 2
    assert await call(house, "DELETE", "queue/pauses", all=True) == []


async def test_a_pause_is_over_at_its_time(house: RestHouse) -> None:
    await call(house, "POST", "queue/pauses", tag="x", **{"for": 60})
    house.intake.clock.passed += 60
    assert await call(house, "GET", "queue/pauses") == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "all"),
        ({"reason": "why"}, "all"),
        ({"all": True, "tag": "x"}, "all"),
        ({"domain": "a_b@c"}, "domain"),
        ({"address": "192.0.2"}, "address"),
        ({"account": "nobody"}, "account"),
        ({"tag": "x", "for": "soon"}, "for"),
        ({"tag": "x", "for": "999999999d"}, "for"),
        ({"tag": "x", "for": 60, "until": "2030-01-01"}, "until"),
        ({"tag": "x", "until": "2001-01-01"}, "until"),
        ({"tag": "a\nb"}, "tag"),
    ],
)
async def test_a_pause_that_makes_no_sense_is_refused(house: RestHouse, given: dict[str, Any], field: str) -> None:
    assert await refusal(house, "POST", "queue/pauses", **given) == (400, "invalid_request", field)
    assert await call(house, "GET", "queue/pauses") == []


# --- limits, routes, rules ---


async def test_limits_are_set_replaced_and_removed_before_the_shipped_ones(house: RestHouse) -> None:
    await waiting(house)
    (first,) = await call(house, "POST", "queue/limits", target="Google", connections=2, recovery="5m")
    (again,) = await call(house, "POST", "queue/limits", target="google", connections=3, per_minute=60)
    assert first["id"] == again["id"]
    listed = await call(house, "GET", "queue/limits")
    assert listed[0] == again
    assert (again["from"], again["connections"], again["per_minute"], again["recovery"]) == ("stored", 3, 60, None)
    assert listed[1]["from"] == "shipped"
    (lane,) = (await call(house, "GET", "queue/lane", lane=GOOGLE))["lanes"]
    assert lane["limits"]["connections"] == 3
    assert await call(house, "DELETE", "queue/limits", id=again["id"]) == [again]
    assert (await call(house, "GET", "queue/limits"))[0]["from"] == "shipped"


async def test_routes_and_rules_are_kept_in_their_order(house: RestHouse) -> None:
    await call(house, "POST", "queue/routes", recipient="*.Example.org", via="mx")
    await call(house, "POST", "queue/routes", account=OTHERS, via=["one", "two"], position=0)
    routes = await call(house, "GET", "queue/routes")
    assert [(one["position"], one["recipient"], one["via"]) for one in routes] == [
        (0, "", ["one", "two"]),
        (1, "*.example.org", ["mx"]),
    ]
    (rule,) = await call(house, "POST", "queue/rules", text=RULE)
    assert rule["text"] == f"[[rule]]\n{RULE}"
    rules = await call(house, "GET", "queue/rules")
    assert rules[0] == rule
    assert {one["from"] for one in rules[1:]} == {"shipped"}
    assert await refusal(house, "DELETE", f"queue/routes/{rule['id']}") == (404, "not_found", "")
    assert await call(house, "DELETE", f"queue/rules/{rule['id']}") == [rule]


@pytest.mark.parametrize(
    ("path", "given", "field"),
    [
        ("limits", {"connections": 1}, "target"),
        ("limits", {"target": "google"}, ""),
        ("limits", {"target": "google", "connections": 0}, "connections"),
        ("limits", {"target": "google", "recovery": "30d"}, "recovery"),
        ("routes", {"recipient": "a.example"}, "via"),
        ("routes", {"recipient": "a b", "via": "mx"}, "recipient"),
        ("routes", {"via": ["mx", "discard"]}, "via"),
        ("routes", {"via": "mx", "account": "nobody"}, "account"),
        ("routes", {"via": []}, "via"),
        ("rules", {}, "text"),
        ("rules", {"text": RULE + 'colour = "red"\n'}, "text"),
        ("rules", {"text": RULE.replace("too busy", "((")}, "text"),
        ("rules", {"text": "x" * 10_001}, "text"),
    ],
)
async def test_an_entry_that_cannot_be_used_is_refused_by_its_property(
    house: RestHouse, path: str, given: dict[str, Any], field: str
) -> None:
    before = await call(house, "GET", f"queue/{path}")
    assert await refusal(house, "POST", f"queue/{path}", **given) == (400, "invalid_request", field)
    assert await call(house, "GET", f"queue/{path}") == before


async def test_names_are_checked_against_the_configuration_where_it_is_known(house: RestHouse) -> None:
    way_out = replace(NOT_CONFIGURED, destinations=frozenset({"backup"}), pools=frozenset({"bulk"}))
    operating = Operating(house.intake.store, house.intake.clock, way_out)
    await operating.keep(RouteEntry(via=("backup",), pool="bulk"), None)
    with pytest.raises(Unusable, match="did you mean backup") as caught:
        await operating.keep(RouteEntry(via=("backups",)), None)
    assert caught.value.field == "via"
    with pytest.raises(Unusable, match="no pool 'bilk'") as caught:
        await operating.keep(LimitEntry("*", Limits(1), "bilk"), None)
    assert caught.value.field == "pool"


@pytest.mark.parametrize("path", ["pauses", "limits", "routes", "rules"])
async def test_what_is_not_there_is_not_removed(house: RestHouse, path: str) -> None:
    assert await refusal(house, "DELETE", f"queue/{path}/7") == (404, "not_found", "")
    assert await refusal(house, "DELETE", f"queue/{path}", id=7) == (404, "not_found", "")
    assert await refusal(house, "DELETE", f"queue/{path}") == (400, "invalid_request", "id")


# --- the scope ---


async def test_only_a_token_with_the_scope_of_the_operator_passes_it_on(house: RestHouse) -> None:
    wanted = {"name": "next", "scopes": ["operator"]}
    answer = await house.call("POST", "/v1/tokens", json=wanted)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_yours_to_give")
    made = await house.call("POST", "/v1/tokens", json=wanted, token="operator")
    assert made.status_code == 201
    assert (await house.call("GET", "/v1/queue", token=made.json()["token"])).status_code == 200


async def test_a_new_token_is_no_operator_unless_it_is_asked_for(house: RestHouse) -> None:
    made = await house.call("POST", "/v1/tokens", json={"name": "next"}, token="operator")
    assert made.json()["scopes"] == ["manage"]
    answer = await house.call("GET", "/v1/queue", token=made.json()["token"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "scope_missing")
