"""The resources beside sending and reading one message, over the real rooms."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from smtpeter.doors.rest.resources.files import disposition, safe_type
from smtpeter.model.message import DISCARD_LANE
from smtpeter.store.records import MessageQuery, message_record
from tests.doors.rest_rooms import MINE, WITH_FILES, RestHouse, open_rooms


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[RestHouse]:
    async with open_rooms(tmp_path) as opened:
        yield opened


def error(answer: Any) -> tuple[int, str, str]:
    found = answer.json()["error"]
    assert found["message"].endswith(".")
    return answer.status_code, found["code"], found["field"]


def next_of(answer: Any) -> str:
    link: str = answer.headers.get("link", "")
    return link[1 : link.index(">")] if link else ""


# --- cancelling ---


async def test_a_waiting_message_is_cancelled_and_its_event_tells(house: RestHouse) -> None:
    (id,) = await house.accept()
    answer = await house.call("DELETE", f"/v1/message/{id}/")
    assert (answer.status_code, answer.json()) == (200, {"id": id, "state": "cancelled"})
    found = (await house.call("GET", f"/v1/message/{id}")).json()
    assert found["state"] == "cancelled"
    assert [view["event"] for view in found["events"]] == ["attempt", "cancel"]


async def test_cancelling_again_is_answered_the_same_and_told_once(house: RestHouse) -> None:
    (id,) = await house.accept()
    first = await house.call("DELETE", f"/v1/message/{id}")
    second = await house.call("DELETE", f"/v1/message/{id}")
    assert (second.status_code, second.json()) == (200, first.json())
    found = (await house.call("GET", f"/v1/message/{id}")).json()
    assert len(found["events"]) == 2


async def test_a_message_that_is_being_delivered_is_not_cancelled(house: RestHouse) -> None:
    (id,) = await house.accept(is_under_way=True)
    answer = await house.call("DELETE", f"/v1/message/{id}")
    assert error(answer) == (409, "not_cancellable", "")
    assert "at this moment" in answer.text
    assert (await house.call("GET", f"/v1/message/{id}")).json()["state"] == "delivering"


async def test_a_failed_message_is_not_cancelled(house: RestHouse) -> None:
    await house.call("POST", "/v1/suppressions", json={"address": "jane@example.org"})
    (id,) = await house.accept()
    answer = await house.call("DELETE", f"/v1/message/{id}")
    assert error(answer) == (409, "not_cancellable", "")
    assert "final state" in answer.text


# --- sending again ---


async def test_a_message_is_sent_again_under_a_new_id(house: RestHouse) -> None:
    (id,) = await house.accept("jane@example.org", subject="Once more", tags=("october",))
    await house.call("DELETE", f"/v1/message/{id}")
    house.intake.clock.passed = 60
    answer = await house.call("POST", "/v1/resend", json={"message": id})
    assert answer.status_code == 200
    ((new, address),) = answer.json().items()
    assert (address, new != id) == ("jane@example.org", True)
    found = (await house.call("GET", f"/v1/message/{new}")).json()
    assert (found["state"], found["subject"], found["tags"]) == ("queued", "Once more", ["october"])
    assert [view["event"] for view in found["events"]] == ["attempt"]
    assert (await house.call("GET", f"/v1/message/{id}")).json()["state"] == "cancelled"
    first, second = [(await house.call("GET", f"/v1/text/{one}")).text for one in (id, new)]
    assert first == second


async def test_a_sandbox_token_sends_again_into_the_sandbox_only(house: RestHouse) -> None:
    (id,) = await house.accept("jane@example.org")
    answer = await house.call("POST", "/v1/resend", data={"message": id}, token="sandbox")
    (new,) = answer.json()
    record = await house.intake.store.read(message_record, MessageQuery(house.accounts[MINE].id, new))
    assert record is not None
    assert record.options.is_sandbox
    assert record.lane == DISCARD_LANE


async def test_sending_again_with_one_key_sends_once(house: RestHouse) -> None:
    one, other = await house.accept("jane@example.org", "bob@example.org")
    key = {"Idempotency-Key": "again-1"}
    first = await house.call("POST", "/v1/resend", json={"message": one}, headers=key)
    second = await house.call("POST", "/v1/resend/", json={"message": one}, headers=key)
    assert (second.status_code, second.content) == (200, first.content)
    assert len((await house.call("GET", "/v1/messages")).json()) == 3
    third = await house.call("POST", "/v1/resend", json={"message": other}, headers=key)
    assert error(third)[:2] == (409, "idempotency_mismatch")


async def test_what_a_sandbox_token_sends_goes_into_the_sandbox(house: RestHouse) -> None:
    given = {"recipient": "jane@example.org", "from": "joe@example.com", "text": "x"}
    for token, is_sandbox in (("sandbox", True), ("all", False)):
        (id,) = (await house.call("POST", "/v1/send", json=given, token=token)).json()
        record = await house.intake.store.read(message_record, MessageQuery(house.accounts[MINE].id, id))
        assert record is not None
        assert record.options.is_sandbox is is_sandbox


async def test_sending_again_needs_a_message(house: RestHouse) -> None:
    assert error(await house.call("POST", "/v1/resend", json={})) == (400, "invalid_request", "message")
    for id in ("0" * 20, "short", "a'b"):
        assert error(await house.call("POST", "/v1/resend", json={"message": id}))[:2] == (404, "not_found")


# --- attachments and embeds ---


async def test_files_are_listed_with_their_facts(house: RestHouse) -> None:
    (id,) = await house.accept(content=WITH_FILES)
    listed = (await house.call("GET", f"/v1/attachments/{id}")).json()
    assert listed[0] == {"number": 0, "name": "invoice.pdf", "type": "application/pdf", "size": 10, "cid": None}
    assert [file["name"] for file in listed] == ["invoice.pdf", "page.html", 'Übersicht "1".csv']
    (embed,) = (await house.call("GET", f"/v1/embeds/{id}")).json()
    assert (embed["name"], embed["type"], embed["cid"]) == ("logo.png", "image/png", "logo")


@pytest.mark.parametrize("which", ["0", "invoice.pdf"])
async def test_a_file_is_a_download_with_its_own_type_that_no_browser_guesses(house: RestHouse, which: str) -> None:
    (id,) = await house.accept(content=WITH_FILES)
    answer = await house.call("GET", f"/v1/attachments/{id}/{which}")
    assert (answer.status_code, answer.content) == (200, b"%PDF-1.7 x")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == 'attachment; filename="invoice.pdf"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox;")


async def test_what_a_browser_could_run_goes_out_as_octets(house: RestHouse) -> None:
    (id,) = await house.accept(content=WITH_FILES)
    answer = await house.call("GET", f"/v1/attachments/{id}/page.html")
    assert answer.content == b"<script>alert(1)</script>"
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_a_file_with_a_name_in_any_script_is_found_and_named(house: RestHouse) -> None:
    (id,) = await house.accept(content=WITH_FILES)
    answer = await house.call("GET", f"/v1/attachments/{id}/%C3%9Cbersicht%20%221%22.csv")
    assert (answer.content, answer.headers["content-type"]) == (b"1;2", "text/csv")
    named = answer.headers["content-disposition"]
    assert named == "attachment; filename=\"_bersicht _1_.csv\"; filename*=UTF-8''%C3%9Cbersicht%20%221%22.csv"


@pytest.mark.parametrize("which", ["9", "nothing.pdf", "logo.png", "..%2F..%2Fetc%2Fpasswd", "%00"])
async def test_a_file_that_is_not_there_is_404(house: RestHouse, which: str) -> None:
    (id,) = await house.accept(content=WITH_FILES)
    assert (await house.call("GET", f"/v1/attachments/{id}/{which}")).status_code == 404


async def test_a_message_without_files_has_empty_lists(house: RestHouse) -> None:
    (id,) = await house.accept()
    for kind in ("attachments", "embeds"):
        assert (await house.call("GET", f"/v1/{kind}/{id}")).json() == []


@pytest.mark.parametrize(
    "kind",
    [
        *("text/html", "TEXT/HTML", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml-dtd"),
        *("text/javascript", "application/ecmascript", "application/x-javascript", "text/vbscript", "text/css"),
        *("application/x-shockwave-flash", "message/rfc822", "multipart/related", "text/xsl", "application/rss+xml"),
        *("", "nothing", "text/plain\r\nX: y", "a b/c", "text/x-scriptlet", "application/x-mimearchive"),
    ],
)
def test_types_that_are_run_or_are_none_become_octets(kind: str) -> None:
    assert safe_type(kind) == "application/octet-stream"


@pytest.mark.parametrize("kind", ["text/plain", "image/png", "application/pdf", "text/csv", "application/zip"])
def test_other_types_stay(kind: str) -> None:
    assert safe_type(kind) == kind


@pytest.mark.parametrize("name", ['a"b', "a\r\nSet-Cookie: x", "a\\", "a;b", "\ud800", "名" * 300, ""])
def test_no_name_ends_the_header_or_its_quotes(name: str) -> None:
    value = disposition(name)
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
    assert "\\" not in value


# --- search ---


async def test_search_finds_newest_first_by_each_condition(house: RestHouse) -> None:
    (first,) = await house.accept("jane@example.org", subject="Invoice 1", tags=("october",))
    house.intake.clock.passed = 60
    (second,) = await house.accept("bob@example.net", subject="100% off_")
    for query, expected in (
        ("", [second, first]),
        ("recipient=jane@example.org", [first]),
        ("recipient=example.net", [second]),
        ("subject=invoice", [first]),
        ("subject=%25%20off_", [second]),
        ("subject=%25i", []),
        ("tag=october", [first]),
        ("tag=octo", []),
        ("state=queued", [second, first]),
        ("state=delivered", []),
        ("from=example.com", [second, first]),
        ("from=example.net", []),
        ("since=2026-11-22%2012:00:30", [second]),
        ("until=2026-11-22T13:00:30%2B01:00", [first]),
        ("since=2026-11-23", []),
    ):
        answer = await house.call("GET", f"/v1/messages?{query}")
        assert answer.status_code == 200, answer.text
        assert [found["id"] for found in answer.json()] == expected, query


async def test_found_messages_look_as_when_asked_for_one(house: RestHouse) -> None:
    (id,) = await house.accept(tags=("october",))
    (found,) = (await house.call("GET", "/v1/messages")).json()
    whole = (await house.call("GET", f"/v1/message/{id}")).json()
    assert found == {name: whole[name] for name in found}


async def test_pages_of_a_search_follow_the_link(house: RestHouse) -> None:
    ids = await house.accept(*(f"user{n}@example.org" for n in range(5)))
    seen, url, pages = [], "/v1/messages?subject=hello&limit=2&access_token=all", 0
    while url:
        answer = await house.call("GET", url)
        seen += [found["id"] for found in answer.json()]
        url, pages = next_of(answer), pages + 1
        assert "access_token" not in url
    assert sorted(seen) == sorted(ids)
    assert len(set(seen)) == 5
    assert pages <= 4


async def test_a_cursor_is_no_good_for_another_question_or_account(house: RestHouse) -> None:
    await house.accept(*(f"user{n}@example.org" for n in range(3)))
    url = next_of(await house.call("GET", "/v1/messages?subject=hello&limit=1"))
    cursor = url.partition("cursor=")[2]
    for asked, token in (("subject=other", "all"), ("subject=hello", "foreign"), ("", "all")):
        answer = await house.call("GET", f"/v1/messages?{asked}&cursor={cursor}", token=token)
        assert error(answer) == (400, "invalid_parameter", "cursor")
    for made_up in ("AAAA", "", "%C3%BC", cursor[:-4]):
        answer = await house.call("GET", f"/v1/messages?subject=hello&cursor={made_up}")
        assert error(answer) == (400, "invalid_parameter", "cursor")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("state=lost", "state"),
        ("since=yesterday", "since"),
        ("since=0001-01-01", "since"),
        ("until=9999-12-31T23:59:59.999999", "until"),
        ("until=2026-02-30", "until"),
        ("since=0001-01-01T00:00:00%2B23:00", "since"),
        ("recipient=%00", "recipient"),
        ("subject=a%0Ab", "subject"),
        ("tag=", "tag"),
        ("from=a&from=b", "from"),
    ],
)
async def test_questions_that_cannot_be_asked_are_refused(house: RestHouse, query: str, field: str) -> None:
    assert error(await house.call("GET", f"/v1/messages?{query}")) == (400, "invalid_parameter", field)


# --- suppressions ---


async def test_a_suppressed_recipient_fails_at_once_until_it_is_removed(house: RestHouse) -> None:
    added = await house.call("POST", "/v1/suppressions", json={"address": "Jane@Example.org", "cause": "by phone"})
    expected = {"entry": "jane@example.org", "stream": "", "cause": "by phone", "message": None}
    (entry,) = added.json()
    assert (added.status_code, entry) == (200, {**expected, "since": "2026-11-22 12:00:00"})
    (id,) = await house.accept("jane@example.org")
    assert (await house.call("GET", f"/v1/message/{id}")).json()["state"] == "failed"
    removed = await house.call("DELETE", "/v1/suppressions/jane@example.org")
    assert (removed.status_code, removed.json()) == (200, ["jane@example.org"])
    (id,) = await house.accept("jane@example.org")
    assert (await house.call("GET", f"/v1/message/{id}")).json()["state"] == "queued"


async def test_suppressions_are_listed_page_by_page(house: RestHouse) -> None:
    names = [f"user{n}@example.org" for n in range(5)] + ["example.net"]
    await house.call("POST", "/v1/suppressions", json={"entries": names})
    await house.call("POST", "/v1/suppressions", json={"domain": "example.net", "stream": "bulk"})
    seen, url = [], "/v1/suppressions?limit=3"
    sizes = []
    while url:
        page = await house.call("GET", url)
        seen += [(one["entry"], one["stream"]) for one in page.json()]
        sizes.append(len(page.json()))
        url = next_of(page)
    assert seen == sorted([*((name, "") for name in names), ("example.net", "bulk")])
    assert sizes == [3, 3, 1]


async def test_the_entry_that_concerns_an_address_is_found(house: RestHouse) -> None:
    await house.call("POST", "/v1/suppressions", json={"domain": "@example.net"})
    await house.call("POST", "/v1/suppressions", json={"address": "bob@example.com", "stream": "bulk"})
    for query, expected in (
        ("address=ann@example.net", ["example.net"]),
        ("address=ann@sub.example.net", []),
        ("address=bob@example.com", []),
        ("address=bob@example.com&stream=bulk", ["bob@example.com"]),
    ):
        answer = await house.call("GET", f"/v1/suppressions?{query}")
        assert [one["entry"] for one in answer.json()] == expected


async def test_an_entry_that_is_there_keeps_its_cause(house: RestHouse) -> None:
    await house.call("POST", "/v1/suppressions", json={"address": "a@example.org", "cause": "first"})
    house.intake.clock.passed = 3600
    (entry,) = (
        await house.call("POST", "/v1/suppressions", json={"address": "a@example.org", "cause": "second"})
    ).json()
    assert (entry["cause"], entry["since"]) == ("first", "2026-11-22 12:00:00")


@pytest.mark.parametrize(
    "options",
    [
        {"json": {"addresses": ["a@example.org", "none@example.org"]}},
        {"data": {"address": "a@example.org"}},
        {"params": {"address": "a@example.org"}},
        {"params": {"entry[]": ["a@example.org", "b@example.org"]}},
    ],
)
async def test_entries_are_removed_by_body_or_query(house: RestHouse, options: dict[str, Any]) -> None:
    await house.call("POST", "/v1/suppressions", data={"address": "a@example.org"})
    answer = await house.call("DELETE", "/v1/suppressions", **options)
    assert (answer.status_code, answer.json()) == (200, ["a@example.org"])
    assert (await house.call("GET", "/v1/suppressions")).json() == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "entries"),
        ({"entries": []}, "entries"),
        ({"entries": ["a@example.org", "jane"]}, "entries[1]"),
        ({"entries": ["a b@example.org"]}, "entries[0]"),
        ({"entries": [7]}, "entries[0]"),
        ({"entries": ["a@example.org"] * 1001}, "entries"),
        ({"address": "a@example.org", "stream": "No Stream"}, "stream"),
        ({"address": "a@example.org", "cause": "a\nb"}, "cause"),
    ],
)
async def test_wrong_entries_are_refused_and_none_is_added(house: RestHouse, given: dict[str, Any], field: str) -> None:
    assert error(await house.call("POST", "/v1/suppressions", json=given)) == (400, "invalid_request", field)
    assert (await house.call("GET", "/v1/suppressions")).json() == []


async def test_adding_with_one_key_adds_once(house: RestHouse) -> None:
    key = {"Idempotency-Key": "k"}
    first = await house.call("POST", "/v1/suppressions", json={"address": "a@example.org"}, headers=key)
    await house.call("DELETE", "/v1/suppressions/a@example.org")
    second = await house.call("POST", "/v1/suppressions", json={"address": "a@example.org"}, headers=key)
    assert second.content == first.content
    assert (await house.call("GET", "/v1/suppressions")).json() == []
    third = await house.call("POST", "/v1/suppressions", json={"address": "b@example.org"}, headers=key)
    assert error(third) == (409, "idempotency_mismatch", "Idempotency-Key")


@pytest.mark.parametrize("name", ["none@example.org", "jane", "a%00b@example.org", "%0A"])
async def test_removing_what_is_not_there_is_404(house: RestHouse, name: str) -> None:
    assert error(await house.call("DELETE", f"/v1/suppressions/{name}"))[:2] == (404, "not_found")


# --- tokens ---


async def test_a_token_shows_its_secret_once_and_works(house: RestHouse) -> None:
    made = await house.call("POST", "/v1/tokens", json={"name": "shop", "scopes": ["read", "manage"]})
    assert made.status_code == 201
    secret = made.json()["token"]
    assert made.json()["prefix"] == secret[:12]
    listed = await house.call("GET", "/v1/tokens", token=secret)
    assert secret not in listed.text
    (shop,) = [token for token in listed.json() if token["name"] == "shop"]
    assert shop["scopes"] == ["read", "manage"]
    assert shop == {name: made.json()[name] for name in shop}
    assert (await house.call("GET", f"/v1/tokens/{shop['id']}")).json() == shop


@pytest.mark.parametrize("way", ["path", "query", "body", "form"])
async def test_a_deleted_token_is_refused(house: RestHouse, way: str) -> None:
    made = (await house.call("POST", "/v1/tokens", json={"name": "shop"})).json()
    path, options = {
        "path": (f"/v1/tokens/{made['id']}", {}),
        "query": (f"/v1/tokens?id={made['id']}", {}),
        "body": ("/v1/tokens", {"json": {"id": made["id"]}}),
        "form": ("/v1/tokens", {"data": {"id": made["id"]}}),
    }[way]
    assert (await house.call("GET", "/v1/tokens", token=made["token"])).status_code == 200
    deleted = await house.call("DELETE", path, **options)
    assert (deleted.status_code, deleted.json()["name"]) == (200, "shop")
    house.intake.clock.passed += 2
    assert (await house.call("GET", "/v1/tokens", token=made["token"])).status_code == 401


@pytest.mark.parametrize(("path", "given"), [("tokens", {"name": "x"}), ("logins", {"user": "x"})])
async def test_a_secret_is_not_kept_to_be_repeated(house: RestHouse, path: str, given: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "k"}
    first = await house.call("POST", f"/v1/{path}", json=given, headers=key)
    assert first.headers["warning-unknown"] == "Idempotency-Key"
    assert error(await house.call("POST", f"/v1/{path}", json=given, headers=key))[:2] == (409, "already_exists")


async def test_a_token_gives_no_scope_that_it_lacks(house: RestHouse) -> None:
    answer = await house.call("POST", "/v1/tokens", json={"name": "x", "scopes": ["send"]}, token="manager")
    assert error(answer) == (403, "not_yours_to_give", "scopes")
    made = await house.call("POST", "/v1/tokens", json={"name": "x"}, token="manager")
    assert made.json()["scopes"] == ["manage"]


async def test_a_sandbox_token_makes_only_sandbox_tokens_and_no_logins(house: RestHouse) -> None:
    made = await house.call("POST", "/v1/tokens", json={"name": "x"}, token="sandbox")
    assert made.json()["sandbox"] is True
    answer = await house.call("POST", "/v1/tokens", json={"name": "y", "sandbox": False}, token="sandbox")
    assert error(answer) == (403, "not_yours_to_give", "sandbox")
    assert error(await house.call("POST", "/v1/logins", json={}, token="sandbox")) == (403, "not_yours_to_give", "")


@pytest.mark.parametrize(
    ("given", "status", "field"),
    [
        ({}, 400, "name"),
        ({"name": ""}, 400, "name"),
        ({"name": "a\0"}, 400, "name"),
        ({"name": "x" * 101}, 400, "name"),
        ({"name": "all"}, 409, "name"),
        ({"name": "x", "scopes": []}, 400, "scopes"),
        ({"name": "x", "scopes": ["fly"]}, 400, "scopes[0]"),
        ({"name": "x", "sandbox": "perhaps"}, 400, "sandbox"),
        ({"name": "x", "id": 1}, 400, "id"),
    ],
)
async def test_wrong_tokens_are_refused(house: RestHouse, given: dict[str, Any], status: int, field: str) -> None:
    answer = error(await house.call("POST", "/v1/tokens", json=given))
    assert (answer[0], answer[2]) == (status, field)


# --- logins ---


async def test_a_login_shows_its_password_once_and_all_settings_are_off(house: RestHouse) -> None:
    made = await house.call("POST", "/v1/logins", json={"user": "app@example.com", "networks": "10.0.0.0/8"})
    assert made.status_code == 201
    password = made.json()["password"]
    listed = await house.call("GET", "/v1/logins")
    assert password not in listed.text
    (login,) = listed.json()
    assert login["settings"] == {
        **dict.fromkeys(("inlinecss", "trackclicks", "trackopens", "trackbounces", "preventscam"), False),
        "images": "default",
    }
    assert login["networks"] == ["10.0.0.0/8"]
    by_password = house.intake.identify.by_password
    assert await by_password("app@example.com", password, "10.1.2.3") is not None
    assert await by_password("app@example.com", password, "192.0.2.1") is None


async def test_a_login_is_changed_by_its_number_and_the_rest_stays(house: RestHouse) -> None:
    given = {"user": "app", "password": "correct horse", "domains": ["Example.COM"], "settings": {"inlinecss": True}}
    made = await house.call("POST", "/v1/logins", json=given)
    assert "password" not in made.json()
    assert "warning-unknown" not in made.headers
    change = {"id": made.json()["id"], "networks": ["2001:db8::/32"], "settings": {"trackopens": True}}
    changed = (await house.call("POST", "/v1/logins", json=change)).json()
    assert changed["domains"] == ["example.com"]
    assert changed["networks"] == ["2001:db8::/32"]
    assert (changed["settings"]["inlinecss"], changed["settings"]["trackopens"]) == (True, True)
    assert await house.intake.identify.by_password("app", "correct horse", "2001:db8::1") is not None


async def test_networks_are_kept_in_the_form_in_which_clients_come(house: RestHouse) -> None:
    given = {"networks": ["10.0.0.1/8", " 192.0.2.7 ", "::ffff:198.51.100.7", "2001:db8::1/32", "10.0.0.0/8"]}
    made = (await house.call("POST", "/v1/logins", json=given)).json()
    assert made["networks"] == ["10.0.0.0/8", "192.0.2.7/32", "198.51.100.7/32", "2001:db8::/32"]
    by_password = house.intake.identify.by_password
    assert await by_password(made["user"], made["password"], "::ffff:198.51.100.7") is not None


async def test_a_new_password_takes_the_place_of_the_old_one(house: RestHouse) -> None:
    made = (await house.call("POST", "/v1/logins", json={"user": "app"})).json()
    await house.call("POST", "/v1/logins", json={"id": made["id"], "password": "battery staple"})
    house.intake.clock.passed += 2
    by_password = house.intake.identify.by_password
    assert await by_password("app", made["password"], "192.0.2.1") is None
    assert await by_password("app", "battery staple", "192.0.2.1") is not None


async def test_a_deleted_login_is_refused(house: RestHouse) -> None:
    made = (await house.call("POST", "/v1/logins", json={"user": "app"})).json()
    assert (await house.call("DELETE", f"/v1/logins?id={made['id']}")).status_code == 200
    house.intake.clock.passed += 2
    assert await house.intake.identify.by_password("app", made["password"], "192.0.2.1") is None
    assert (await house.call("GET", f"/v1/logins/{made['id']}")).status_code == 404


async def test_a_user_name_of_another_account_is_taken(house: RestHouse) -> None:
    await house.call("POST", "/v1/logins", json={"user": "app"}, token="foreign")
    assert error(await house.call("POST", "/v1/logins", json={"user": "app"})) == (409, "already_exists", "user")
    assert len((await house.call("GET", "/v1/logins", token="foreign")).json()) == 1


async def test_a_token_that_cannot_send_makes_no_login(house: RestHouse) -> None:
    answer = await house.call("POST", "/v1/logins", json={}, token="manager")
    assert error(answer) == (403, "not_yours_to_give", "")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"user": "two words"}, "user"),
        ({"user": "apikey"}, "user"),
        ({"user": "a\0"}, "user"),
        ({"password": "short"}, "password"),
        ({"password": "a\0" + "x" * 20}, "password"),
        ({"settings": True}, "settings"),
        ({"settings": {"trackopens": "maybe"}}, "settings.trackopens"),
        ({"settings": {"images": "elsewhere"}}, "settings.images"),
        ({"networks": ["10.0.0.0/8", "10.0.0.0/99"]}, "networks[1]"),
        ({"networks": ["fe80::1%eth0"]}, "networks[0]"),
        ({"domains": ["no domain"]}, "domains[0]"),
        ({"id": "x"}, "id"),
    ],
)
async def test_wrong_logins_are_refused(house: RestHouse, given: dict[str, Any], field: str) -> None:
    answer = error(await house.call("POST", "/v1/logins", json=given))
    assert (answer[0], answer[2]) == (400, field)
    assert (await house.call("GET", "/v1/logins")).json() == []


# --- scopes ---


@pytest.mark.parametrize(
    ("method", "path", "token"),
    [
        ("DELETE", "message/x", "reader"),
        ("POST", "resend", "reader"),
        ("GET", "messages", "sender"),
        ("GET", "attachments/x", "sender"),
        ("GET", "suppressions", "sender"),
        ("POST", "suppressions", "reader"),
        ("DELETE", "suppressions/x", "reader"),
        ("GET", "tokens", "reader"),
        ("POST", "tokens", "sender"),
        ("DELETE", "tokens/1", "reader"),
        ("GET", "logins", "reader"),
        ("POST", "logins", "sender"),
        ("DELETE", "logins/1", "sender"),
    ],
)
async def test_each_method_needs_its_scope(house: RestHouse, method: str, path: str, token: str) -> None:
    assert error(await house.call(method, f"/v1/{path}", token=token))[:2] == (403, "scope_missing")


@pytest.mark.parametrize(
    ("path", "method", "allow"),
    [
        ("tokens", "PUT", "GET, POST, DELETE, HEAD"),
        ("logins/1", "POST", "GET, DELETE, HEAD"),
        ("suppressions/x", "GET", "DELETE"),
        ("message/x", "POST", "GET, DELETE, HEAD"),
        ("attachments/x/y", "DELETE", "GET, HEAD"),
        ("resend", "GET", "POST"),
    ],
)
async def test_other_methods_are_refused_with_those_there_are(
    house: RestHouse, path: str, method: str, allow: str
) -> None:
    answer = await house.call(method, f"/v1/{path}/")
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)


async def test_head_has_the_fields_of_get_and_no_content(house: RestHouse) -> None:
    (id,) = await house.accept(content=WITH_FILES)
    for path in ("messages", "tokens", f"attachments/{id}", f"attachments/{id}/0/"):
        get = await house.call("GET", f"/v1/{path}")
        head = await house.call("HEAD", f"/v1/{path}")
        assert (head.status_code, head.content) == (200, b"")
        assert {**head.headers, "x-request-id": ""} == {**get.headers, "x-request-id": ""}
