"""The template calls over the real rooms: kept, listed, shown in every format, changed, deleted; and conversion."""

import asyncio
import email
import threading
from collections.abc import AsyncIterator
from email.policy import default
from pathlib import Path
from typing import Any

import httpx2
import pytest

from smtpeter.content.template.reading import Resource
from tests.doors.rest_rooms import RestHouse, open_rooms

SOUP = {
    "name": "soup",
    "from": "kitchen@harbour.example",
    "subject": "Soup, {$who}",
    "content": {
        "blocks": [
            {"type": "text", "content": "Today for {$who}: leek & potato <vegan>"},
            {"type": "text", "content": "web page", "visibility": {"output": "webonly"}},
            {"type": "link", "label": "Open", "link": "{$webversion}", "visibility": {"output": "mailonly"}},
        ]
    },
}
IMAGE = "https://img.example/a.png"


class Web:
    """What there is to fetch; keeps what was asked for."""

    def __init__(self, **pages: Resource) -> None:
        self.pages: dict[str, Resource] = pages
        self.asked: list[tuple[str, int, float]] = []
        self.opens = asyncio.Event()
        self.opens.set()

    async def __call__(self, url: str, max_bytes: int, seconds: float) -> Resource | None:
        self.asked.append((url, max_bytes, seconds))
        await self.opens.wait()
        return self.pages.get(url)


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
async def house(tmp_path: Path, web: Web) -> AsyncIterator[RestHouse]:
    async with open_rooms(tmp_path, fetch=web) as opened:
        yield opened


async def make(house: RestHouse, document: dict[str, Any] | None = None, **options: Any) -> int:
    answer = await house.call("POST", "/v1/template", json=document or SOUP, **options)
    assert answer.status_code == 201, answer.text
    id: int = answer.json()["id"]
    return id


async def get(house: RestHouse, path: str, **options: Any) -> httpx2.Response:
    return await house.call("GET", f"/v1/{path}", **options)


async def shown(house: RestHouse, path: str, **options: Any) -> str:
    answer = await get(house, path, **options)
    assert answer.status_code == 200, answer.text
    return answer.text


async def error_of(answer: httpx2.Response, status: int = 400) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


async def test_template_is_made_and_shown_as_it_was_given(house: RestHouse) -> None:
    made = await house.call("POST", "/v1/template", json=SOUP)
    assert (made.status_code, made.json()) == (201, {"id": made.json()["id"]})
    id = made.json()["id"]
    assert made.headers["location"] == f"/v1/template/{id}/json"
    answer = await get(house, made.headers["location"].removeprefix("/v1/"))
    assert (answer.json(), answer.headers["content-type"]) == (SOUP, "application/json")
    assert answer.headers["template-version"] == "1"
    for path in (f"template/{id}", "template/soup", "template/soup/json", f"template/{id}/JSON/"):
        assert (await get(house, path)).json() == SOUP


@pytest.mark.parametrize("shape", ["html", "webversion", "mime", "embedded", "text", "json"])
async def test_format_of_the_call_shapes_the_location(house: RestHouse, shape: str) -> None:
    made = await house.call("POST", f"/v1/template/{shape.upper()}", json=SOUP)
    assert made.status_code == 201
    assert made.headers["location"].endswith(f"/{shape}")
    assert (await get(house, made.headers["location"].removeprefix("/v1/"))).status_code == 200


@pytest.mark.parametrize(
    ("shape", "type", "holds", "lacks"),
    [
        ("html", "text/html; charset=utf-8", "{$who}: leek &amp; potato &lt;vegan&gt;", "web page"),
        ("webversion", "text/html; charset=utf-8", "web page", "{$webversion}"),
        ("Web", "text/html; charset=utf-8", "web page", "{$webversion}"),
        ("text", "text/plain; charset=utf-8", "Today for {$who}: leek & potato <vegan>", "web page"),
        ("mime", "multipart/mixed", "Subject: Soup, {$who}\r\n", "Reply-To"),
        ("embedded", "multipart/mixed", "From: kitchen@harbour.example\r\n", "Reply-To"),
    ],
)
async def test_each_format_has_its_type_and_content(
    house: RestHouse, shape: str, type: str, holds: str, lacks: str
) -> None:
    answer = await get(house, f"template/{await make(house)}/{shape}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, type)
    assert holds in answer.text
    assert lacks not in answer.text


async def test_parameters_fill_in_tags_and_the_page_address_stays_one(house: RestHouse) -> None:
    id = await make(house, {**SOUP, "data": {"who": "nobody", "x": 1}})
    assert "{$who}" in await shown(house, f"template/{id}/html")
    html = await shown(house, f"template/{id}/html?who=%3CAnn%3E")
    assert "Today for &lt;Ann&gt;" in html
    assert 'href="{$webversion}"' in html
    assert "Today for nobody" in await shown(house, f"template/{id}/text?other=1")
    assert (await get(house, f"template/{id}/json?who=Ann")).headers["warning-unknown"] == "who"


async def test_token_in_the_address_is_no_value(house: RestHouse) -> None:
    id = await make(house)
    assert "{$who}" in await shown(house, f"template/{id}/html?access_token=all", token="")
    document = {"content": "<p>{$access_token}.</p>"}
    page = await shown(house, f"template/{await make(house, document)}/html?x=1&access_token=all", token="")
    assert "<p>.</p>" in page


async def test_structured_parameters_are_objects_and_arrays(house: RestHouse) -> None:
    id = await make(house, {"text": "{$order.id}: {foreach $items as $i}{$i};{/foreach}"})
    assert await shown(house, f"template/{id}/text?order[id]=7&items[]=a&items[]=b") == "7: a;b;"


async def test_update_replaces_the_document_and_keeps_the_former(house: RestHouse) -> None:
    id = await make(house)
    answer = await house.call("PUT", "/v1/template/html", json={"id": id, "subject": "two", "name": "stew"})
    assert (answer.status_code, answer.json()) == (201, {"id": id, "problems": answer.json()["problems"]})
    assert answer.headers["location"] == f"/v1/template/{id}/html"
    assert (await get(house, f"template/{id}")).json() == {"subject": "two", "name": "stew"}
    former = await get(house, f"template/{id}?version=1")
    assert (former.json(), former.headers["template-version"]) == (SOUP, "1")
    assert "potato" in await shown(house, "template/stew/html?version=1")
    versions = (await get(house, f"template/{id}/versions")).json()
    assert [one["version"] for one in versions] == [2, 1]
    for version, status in (("3", 404), ("0", 400), ("x", 400)):
        assert (await get(house, f"template/{id}/html?version={version}")).status_code == status


@pytest.mark.parametrize("number", ["id", "text"])
async def test_update_finds_the_template_by_number_or_by_name(house: RestHouse, number: str) -> None:
    id = await make(house)
    named = await house.call("PUT", "/v1/template", json={**SOUP, "subject": "by name"})
    assert named.json() == {"id": id}
    given: int | str = id if number == "id" else str(id)
    assert (await house.call("PUT", "/v1/template", json={**SOUP, "id": given, "subject": "x"})).json() == {"id": id}
    assert (await get(house, "template/soup")).json()["subject"] == "x"


async def test_of_templates_that_share_a_name_the_one_changed_last_is_meant(house: RestHouse) -> None:
    first, second = await make(house), await make(house)
    assert first != second
    house.intake.clock.passed += 1
    await house.call("PUT", "/v1/template", json={**SOUP, "id": first, "subject": "newest"})
    assert (await get(house, "template/soup")).json()["subject"] == "newest"
    assert [one["id"] for one in (await get(house, "templates")).json()] == [first, second]


@pytest.mark.parametrize(
    ("document", "status", "field"),
    [
        ({"subject": "x"}, 400, "id"),
        ({"id": "x", "subject": "x"}, 400, "id"),
        ({"id": 0}, 400, "id"),
        ({"id": [1]}, 400, "id"),
        ({"id": True}, 400, "id"),
        ({"name": ""}, 400, "id"),
        ({"id": 999_999}, 404, ""),
        ({"name": "unknown"}, 404, ""),
    ],
)
async def test_update_that_names_no_template_is_refused(
    house: RestHouse, document: dict[str, Any], status: int, field: str
) -> None:
    await make(house)
    assert (await error_of(await house.call("PUT", "/v1/template", json=document), status))["field"] == field


async def test_deleted_template_is_gone(house: RestHouse) -> None:
    id = await make(house)
    assert (await house.call("DELETE", "/v1/template/soup")).status_code == 404
    answer = await house.call("DELETE", f"/v1/template/{id}")
    assert (answer.status_code, answer.headers["x-deleted"]) == (200, f"template {id}")
    for path in (f"template/{id}", "template/soup", f"template/{id}/versions"):
        assert (await get(house, path)).status_code == 404
    assert (await house.call("DELETE", f"/v1/template/{id}")).status_code == 404


async def test_list_is_cut_by_start_and_length(house: RestHouse) -> None:
    ids = [await make(house, {"name": f"t{number}"}) for number in range(3)]
    whole = [{"id": id, "name": f"t{number}"} for number, id in enumerate(ids)]
    for path, expected in (("", whole), ("/1", whole[1:]), ("/0/2", whole[:2]), ("/2/5", whole[2:]), ("/0/0", [])):
        assert (await get(house, f"templates{path}")).json() == expected
    for path in ("/x", "/-1", "/0/1001", "/0/x"):
        assert (await error_of(await get(house, f"templates{path}")))["code"] == "invalid_parameter"


async def test_formats_that_there_are_not_are_not_found(house: RestHouse) -> None:
    id = await make(house)
    for method, path in (("GET", f"template/{id}/pdf"), ("POST", "template/pdf"), ("PUT", "template/pdf")):
        answer = await house.call(method, f"/v1/{path}", json=SOUP if method != "GET" else None)
        assert "the formats of a template are" in (await error_of(answer, 404))["message"]


@pytest.mark.parametrize(
    ("document", "code", "path"),
    [
        ({"content": 5}, "bad-content", "/content"),
        ({"name": "x" * 501}, "too-large", "/name"),
        ({"content": {"blocks": [{"type": "spacer"}] * 1001}}, "too-large", "/content/blocks/1000"),
        ({"text": "x" * 5_000_001}, "too-large", ""),
    ],
)
async def test_document_of_which_nothing_can_be_made_is_not_kept(
    house: RestHouse, document: dict[str, Any], code: str, path: str
) -> None:
    for method, target in (("POST", "template"), ("PUT", "template"), ("POST", "html")):
        if target == "html" and path == "/name":
            continue
        if method == "PUT":
            document = {**document, "id": 1}
        error = await error_of(await house.call(method, f"/v1/{target}", json=document))
        assert (error["code"], error["field"]) == ("invalid_template", path)
        fatal = [one for one in error["problems"] if one["severity"] == "error"]
        assert [(one["code"], one["path"]) for one in fatal] == [(code, path)]
    assert (await get(house, "templates")).json() == []


async def test_problems_are_told_and_the_template_is_kept(house: RestHouse, web: Web) -> None:
    document = {
        "subject": "{if $x}",
        "background": "no colour",
        "content": {"blocks": [{"type": "text", "url": "https://a.example/"}, {"type": "maze"}]},
    }
    answer = await house.call("POST", "/v1/template", json=document)
    assert answer.status_code == 201
    told = {(one["severity"], one["code"], one["path"]) for one in answer.json()["problems"]}
    assert told == {
        ("warning", "bad-color", "/background"),
        ("warning", "unknown-block", "/content/blocks/1/type"),
        ("warning", "personalization", "/subject"),
    }
    assert web.asked == []  # nothing is fetched to keep a document
    shown = await get(house, f"template/{answer.json()['id']}/html")
    assert "unknown-block /content/blocks/1/type" in shown.headers["template-problems"]
    assert "{if $x}" in shown.text


async def test_fault_in_a_tag_is_refused_with_its_position_when_it_is_filled_in(house: RestHouse) -> None:
    id = await make(house, {"subject": "a\n{if $x}", "text": "{1 / $zero}"})
    error = await error_of(await get(house, f"template/{id}/mime?x=1"))
    assert (error["code"], error["field"]) == ("invalid_personalization", "/subject")
    assert (error["line"], error["column"]) == (1, 3)
    error = await error_of(await get(house, f"template/{id}/text?zero=0"))
    assert (error["field"], error["message"]) == ("/text", "Runtime error at line 1, column 1: Division by zero.")


@pytest.mark.parametrize("shape", ["html", "webversion", "mime", "embedded", "text"])
async def test_posted_document_is_converted_and_not_kept(house: RestHouse, shape: str) -> None:
    answer = await house.call("POST", f"/v1/{shape}", json=SOUP)
    assert answer.status_code == 200
    assert "{$who}" in answer.text
    filled = await house.call("POST", f"/v1/{shape}", json={**SOUP, "data": {"who": "Ann"}})
    assert "Today for Ann" in filled.text
    assert filled.headers["content-type"] == answer.headers["content-type"]
    assert (await get(house, "templates")).json() == []


async def test_document_may_come_as_a_form(house: RestHouse) -> None:
    form = {"subject": "x", "content[blocks][0][type]": "text", "content[blocks][0][content]": "from a form"}
    assert "from a form" in (await house.call("POST", "/v1/text", data=form)).text


async def test_html_of_a_document_runs_nothing_under_our_name(house: RestHouse) -> None:
    answer = await house.call("POST", "/v1/html", json={"content": "<script>alert(1)</script>"})
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups; default-src 'none'")
    assert "script" not in policy
    assert (answer.headers["x-content-type-options"], answer.headers["referrer-policy"]) == ("nosniff", "no-referrer")


async def test_what_a_document_names_is_fetched_until_nothing_is_wanted(house: RestHouse, web: Web) -> None:
    web.pages = {
        "https://a.example/blocks.json": Resource(b'[{"type": "text", "url": "https://a.example/t.txt"}]'),
        "https://a.example/t.txt": Resource(b"from afar"),
    }
    document = {"content": {"blocks": [{"type": "import", "url": "https://a.example/blocks.json"}]}}
    answer = await house.call("POST", "/v1/text", json=document)
    assert answer.text == "from afar"
    assert web.asked == [(url, 2**20, 10) for url in web.pages]
    assert "template-problems" not in answer.headers


async def test_url_with_tags_is_filled_in_before_it_is_fetched(house: RestHouse, web: Web) -> None:
    web.pages = {"https://a.example/ann.txt": Resource(b"for Ann")}
    document = {"content": {"blocks": [{"type": "text", "url": "https://a.example/{$who}.txt"}]}}
    answer = await house.call("POST", "/v1/text", json=document)
    assert (answer.text, web.asked) == ("", [])
    assert "template-problems" not in answer.headers
    assert (await house.call("POST", "/v1/text", json={**document, "data": {"who": "ann"}})).text == "for Ann"


async def test_image_is_embedded_once_and_keeps_its_address_when_it_is_not_there(house: RestHouse, web: Web) -> None:
    web.pages = {IMAGE: Resource(b"\x89PNG", "image/png"), f"{IMAGE}.html": Resource(b"<p>", "text/html")}
    sources = (IMAGE, f"{IMAGE}.html", IMAGE, f"{IMAGE}x", "data:image/png;base64,iVBORw==", "cid:logo")
    blocks = [{"type": "image", "src": src, "width": "50%"} for src in sources]
    answer = await house.call("POST", "/v1/embedded", json={"content": {"blocks": blocks}})
    message = email.message_from_bytes(answer.content, policy=default)
    images = [part for part in message.walk() if part.get_content_maintype() == "image"]
    assert [part.get_content() for part in images] == [b"\x89PNG"]
    html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert html.count(f"cid:{images[0]['content-id'].strip('<>')}") == 2
    assert html.count(f'src="{IMAGE}x"') == html.count(f'src="{IMAGE}.html"') == 1
    assert answer.headers["template-problems"].count("fetch-failed") == 2
    assert all(url.startswith("https:") for url, _, _ in web.asked)
    assert f'src="{IMAGE}"' in (await house.call("POST", "/v1/mime", json={"content": {"blocks": blocks}})).text


async def test_attachment_comes_along_or_the_message_is_refused(house: RestHouse, web: Web) -> None:
    web.pages = {"https://a.example/a.pdf": Resource(b"%PDF", "application/pdf", "b.pdf")}
    document = {"text": "x", "attachments": [{"url": "https://a.example/a.pdf"}]}
    message = email.message_from_bytes((await house.call("POST", "/v1/mime", json=document)).content, policy=default)
    (file,) = message.iter_attachments()
    assert (file.get_filename(), file.get_content(), web.asked[0][1:]) == ("b.pdf", b"%PDF", (25 * 2**20, 30))
    document["attachments"] = [{"url": "https://a.example/none"}]
    error = await error_of(await house.call("POST", "/v1/mime", json=document))
    assert (error["problems"][0]["code"], error["field"]) == ("attachment-failed", "/attachments/0")
    assert (await house.call("POST", "/v1/html", json=document)).status_code == 200
    document["attachments"] = [{"data": "no base64!"}]
    assert (await error_of(await house.call("POST", "/v1/mime", json=document)))["field"] == "/attachments/0"


async def test_template_is_made_once_for_a_key(house: RestHouse) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = await house.call("POST", "/v1/template/html", json=SOUP, headers=headers)
    again = await house.call("POST", "/v1/template/html", json=SOUP, headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["location"] == first.headers["location"]
    other = await house.call("POST", "/v1/template/html", json={**SOUP, "subject": "x"}, headers=headers)
    assert (await error_of(other, 409))["code"] == "idempotency_mismatch"
    assert len((await get(house, "templates")).json()) == 1


async def test_large_data_in_a_document_is_refused(house: RestHouse) -> None:
    answer = await house.call("POST", "/v1/html", json={"text": "{$a}", "data": {"a": "x" * 2**20}})
    assert (await error_of(answer))["field"] == "data"


async def test_other_calls_are_answered_while_a_document_is_compiled(house: RestHouse) -> None:
    blocks = [{"type": "text", "content": "word " * 500}] * 900
    large = asyncio.create_task(house.call("POST", "/v1/html", json={"content": {"blocks": blocks}}))
    answered = 0
    while not large.done():
        assert (await get(house, "templates")).status_code == 200
        await asyncio.sleep(0)
        answered += 1
    assert (await large).status_code == 200
    assert answered > 3
    assert any(thread.name.startswith("workshop") for thread in threading.enumerate())


async def test_account_that_asks_for_too_much_at_once_waits_or_is_told_to(house: RestHouse, web: Web) -> None:
    web.opens.clear()
    document = {"content": {"blocks": [{"type": "text", "url": "https://a.example/"}]}}
    calls = [asyncio.create_task(house.call("POST", "/v1/text", json=document)) for _ in range(40)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    other = await house.call("POST", "/v1/text", json=SOUP, token="foreign")
    assert other.status_code == 200
    web.opens.set()
    codes = [answer.status_code for answer in await asyncio.gather(*calls)]
    assert (codes.count(200), codes.count(429)) == (36, 4)
