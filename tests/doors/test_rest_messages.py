"""GET of messages and their events."""

from typing import Any

import pytest

from tests.doors.rest_house import FOREIGN, MIME, SENT, TEXT_ONLY, House

RESOURCES = ["message", "recipient", "envelope", "text", "html", "headers", "header", "mime", "events/messageid"]
EVENTS = f"/v1/events/messageid/{SENT}"


async def names(house: House, query: str) -> list[str]:
    answer = await house.call("GET", f"{EVENTS}?{query}")
    assert answer.status_code == 200, answer.text
    return [found["event"] for found in answer.json()]


@pytest.mark.parametrize("resource", RESOURCES)
async def test_foreign_unknown_and_malformed_ids_are_answered_alike(resource: str) -> None:
    house = House()
    answers = [await house.call("GET", f"/v1/{resource}/{id}") for id in (FOREIGN, "Z" * 20, "short", "%00", "a'b")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        ("recipient", "bob@example.net"),
        ("envelope", "bounces@example.com"),
        ("text", "Grüße"),
        ("html", "<b>Hi</b>"),
    ],
)
async def test_parts_of_a_message_are_plain_text(resource: str, text: str) -> None:
    answer = await House().call("GET", f"/v1/{resource}/{SENT}/")
    assert (answer.status_code, answer.text.strip()) == (200, text)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_headers_come_as_composed_or_as_sent() -> None:
    house = House()
    composed = await house.call("GET", f"/v1/headers/{SENT}")
    assert composed.text.startswith("From: ann@example.com\r\n")
    assert composed.text.endswith('boundary="x"\r\n')
    sent = await house.call("GET", f"/v1/header/{SENT}?version=sent")
    assert sent.text == "Received: from x\r\n" + composed.text
    assert (await house.call("GET", f"/v1/headers/{SENT}?version=old")).status_code == 400


async def test_mime_is_the_message_as_sent() -> None:
    answer = await House().call("GET", f"/v1/mime/{SENT}")
    assert answer.headers["content-type"] == "message/rfc822"
    assert answer.content.startswith(b"Received: from x\r\n")


async def test_part_that_is_not_there_is_404() -> None:
    house = House()
    assert (await house.call("GET", f"/v1/text/{TEXT_ONLY}")).text.strip() == "words"
    answer = await house.call("GET", f"/v1/html/{TEXT_ONLY}")
    assert (answer.status_code, "no HTML part" in answer.text) == (404, True)


async def test_message_tells_its_state_and_every_attempt() -> None:
    found = (await House().call("GET", f"/v1/message/{SENT}")).json()
    assert {name: found[name] for name in list(found)[:11]} == {
        "id": SENT,
        "state": "delivered",
        "envelope": "bounces@example.com",
        "recipient": "bob@example.net",
        "tags": ["invoice", "march"],
        "subject": "Hi",
        "size": len(MIME),
        "accepted": "2026-03-31 08:00:00",
        "expires": "2026-04-01 08:00:00",
        "nextattempt": None,
        "settled": "2026-03-31 08:01:15",
    }
    assert [(attempt["attempt"], attempt["outcome"]) for attempt in found["attempts"]] == [
        (0, "deferral"),
        (1, "delivery"),
    ]
    first = found["attempts"][0]
    assert first["transcript"] == ["C: EHLO x", "S: 250 ok"]
    assert first["tls"] == {"version": "TLSv1.3", "cipher": "C", "verified": False}
    assert first["durations"] == {"connect": 0.003, "rcptto": 0.01}
    assert [found["event"] for found in found["events"]] == ["attempt", "deferral", "delivery", "cancel", "failure"]


async def test_records_have_their_fields_in_the_order_of_the_log_files() -> None:
    answer = await House().call("GET", f"{EVENTS}?type=*&start=2026-03-31")
    records: dict[str, Any] = {found["event"]: found["data"] for found in answer.json()}
    assert list(records["attempt"]) == ["id", "time", "envelope", "recipient", "properties", "tags", "templateid"]
    head = ["id", "time", "envelope", "recipient"]
    assert list(records["delivery"]) == [*head, "from", "to", "attempt", "tags", "templateid"]
    result = ["attempt", "from", "to", "type", "code", "status", "description", "state"]
    assert list(records["deferral"]) == [*head, *result, "tags", "templateid"]
    late = (await House().call("GET", f"{EVENTS}?type=*&start=2026-05-01")).json()
    assert [list(found["data"]) for found in late] == [
        [*head, "reason", "tags", "templateid"],
        [*head, *result, "tags", "templateid"],
    ]
    assert records["delivery"]["time"] == "2026-03-31 08:01:15"
    assert records["delivery"]["templateid"] == 0


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["attempt", "delivery"]),
        ("type=*", ["attempt", "deferral", "delivery"]),
        ("type=deferral,cancel", ["deferral"]),
        ("type=click", []),
        ("start=2026-03-31", ["attempt", "delivery"]),
        ("start=2026-04-01", []),
        ("start=2026-05-10&type=*", ["cancel", "failure"]),
        ("start=2026-05-10&end=2026-05-10", []),
        ("end=2026-03-31", []),
        ("end=2026-04-01", ["attempt", "delivery"]),
        ("end=2026-05-02", []),
        ("end=2026-05-11&type=*", ["cancel", "failure"]),
        ("start=2026-03-31&end=2027-01-01", ["attempt", "delivery"]),
        ("tags=invoice", ["attempt", "delivery"]),
        ("tags=invoice;march", ["attempt", "delivery"]),
        ("tags=invoice;april", []),
    ],
)
async def test_window_and_filters(query: str, expected: list[str]) -> None:
    assert await names(House(), query) == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("start=31-03-2026", "start"),
        ("start=2026-02-30", "start"),
        ("start=0001-01-01", "start"),
        ("end=9999-12-31", "end"),
        ("start=", "start"),
        ("start=2026-03-31&end=2026-03-30", "end"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("limit=1001", "limit"),
        ("type=deliverd", "type"),
        ("cursor=AAAA", "cursor"),
        ("cursor=%C3%BC", "cursor"),
        ("start=2026-01-01&start=2026-01-02", "start"),
    ],
)
async def test_bad_parameters_are_refused(query: str, field: str) -> None:
    answer = await House().call("GET", f"{EVENTS}?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


async def test_pages_follow_the_link_until_the_end() -> None:
    house = House()
    url, seen = f"{EVENTS}?type=*&limit=2&access_token=all", []
    for _ in range(2):
        answer = await house.call("GET", url, token="" if "access_token" in url else "all")
        seen.append([found["event"] for found in answer.json()])
        link = answer.headers.get("link", "")
        if link:
            assert link.endswith('>; rel="next"')
            assert "access_token" not in link
            url = link[1 : link.index(">")]
    assert seen == [["attempt", "deferral"], ["delivery"]]
    assert link == ""


async def test_cursor_of_one_message_is_no_good_for_another() -> None:
    house = House()
    link = (await house.call("GET", f"{EVENTS}?limit=1")).headers["link"]
    cursor = link.partition("cursor=")[2].partition(">")[0]
    answer = await house.call("GET", f"/v1/events/messageid/{TEXT_ONLY}?cursor={cursor}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "cursor")


async def test_unknown_parameter_is_reported() -> None:
    answer = await House().call("GET", f"{EVENTS}?tag=x")
    assert answer.headers["warning-unknown"] == "tag"
