"""POST /v1/send with data and with templates, over the real rooms: what is kept with the mail, and what is refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from smtpeter.model.account import AccountSettings, Features
from smtpeter.model.message import Message, SourceKind
from smtpeter.model.parts import Attachment, LetterParts, Mailbox, Parts, Unsubscribe, decode, decode_letter
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.records import MessageQuery, message_record
from tests.doors.rest_rooms import MINE, RestHouse, open_rooms
from tests.intake.house import T0

CALL = {"recipient": "jane@example.org", "from": "Joe <joe@example.com>", "subject": "Hello"}
SOUP = {
    "name": "soup",
    "subject": "Soup for {$firstname}",
    "from": "{$cook} <kitchen@example.com>",
    "content": {"blocks": [{"type": "text", "content": "Dear {$firstname}, it is served from noon."}]},
    "data": {"cook": "Ann", "firstname": "guest"},
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[RestHouse]:
    async with open_rooms(tmp_path) as house:
        yield house


async def sent(house: RestHouse, *, drop: tuple[str, ...] = (), **properties: Any) -> list[Message]:
    """Sends what CALL says, with other properties, and gives the messages as delivery got them."""
    call = {name: value for name, value in (CALL | properties).items() if name not in drop}
    house.intake.onward.taken.clear()
    answer = await house.call("POST", "/v1/send", json=call)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == [message.id for message in house.intake.onward.taken]
    return house.intake.onward.taken


async def refused(house: RestHouse, status: int = 400, **properties: Any) -> dict[str, Any]:
    """Gives the error of a call that is refused, of which nothing is left."""
    house.intake.onward.taken.clear()
    answer = await house.call("POST", "/v1/send", json=CALL | properties)
    assert answer.status_code == status, answer.text
    assert not house.intake.onward.taken
    error: dict[str, Any] = answer.json()["error"]
    return error


async def stored(house: RestHouse, document: dict[str, Any] = SOUP) -> int:
    made = await house.call("POST", "/v1/template", json=document)
    assert made.status_code == 201, made.text
    number: int = made.json()["id"]
    return number


def letter(message: Message) -> tuple[LetterParts, dict[str, Any]]:
    import msgspec

    made = decode_letter(message.source.content)
    return made, msgspec.json.decode(made.document)


async def subject(house: RestHouse, message: Message) -> str:
    record = await house.intake.store.read(message_record, MessageQuery(message.account, message.id))
    assert record is not None
    return record.subject


@pytest.mark.parametrize(
    "recipients",
    [
        {"jane@example.org": {"firstname": "Jane"}, "john@example.org": None},
        [{"jane@example.org": {"firstname": "Jane"}}, "john@example.org"],
        [{"jane@example.org": {"firstname": "Jane"}, "john@example.org": None}],
        ["john@example.org", {"jane@example.org": {"firstname": "Jane"}}],
    ],
)
async def test_each_recipient_has_data_of_its_own(house: RestHouse, recipients: Any) -> None:
    messages = await sent(house, drop=("recipient",), recipients=recipients, text="Dear {$firstname}")
    assert {m.recipient.address: m.recipient.data for m in messages} == {
        "jane@example.org": '{"firstname":"Jane"}',
        "john@example.org": "",
    }
    assert {m.source.data for m in messages} == {"{}"}


async def test_data_of_the_call_is_kept_once_with_the_content(house: RestHouse) -> None:
    (message,) = await sent(house, text="Dear {$firstname}", data={"firstname": "Jane", "n": 1.5, "list": [1, None]})
    assert message.source.data == '{"firstname":"Jane","n":1.5,"list":[1,null]}'
    assert message.recipient.data == ""


@pytest.mark.parametrize("data", [{}, []])
async def test_an_empty_object_is_data_too(house: RestHouse, data: Any) -> None:
    (message,) = await sent(house, text="Dear {$firstname}", data=data)
    assert message.source.data == "{}"


async def test_without_data_braces_are_text(house: RestHouse) -> None:
    (message,) = await sent(house, text="{if}", subject="{", html="{$x|")
    assert message.source.data is None
    assert message.options.template is None


async def test_a_recipient_listed_twice_keeps_the_data_that_it_has(house: RestHouse) -> None:
    people = [{"jane@EXAMPLE.org": {"a": 1}}, {"jane@example.org": {"a": 2}}]
    (message,) = await sent(house, recipients=people, text="x")
    assert message.recipient.data == '{"a":1}'


async def test_form_input_carries_data_as_php_writes_it(house: RestHouse) -> None:
    form = (
        "recipients[jane@example.org][firstname]=Jane&recipients[john@example.org]=&from=joe@example.com&text=x"
        "&data[city][name]=Oslo&data[days][]=Mo&data[days][]=Tu"
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await house.call("POST", "/v1/send", content=form.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    jane, john = house.intake.onward.taken
    assert (jane.recipient.data, john.recipient.data) == ('{"firstname":"Jane"}', "")
    assert jane.source.data == '{"city":{"name":"Oslo"},"days":["Mo","Tu"]}'


async def test_form_input_carries_a_document_and_a_patch_as_json_text(house: RestHouse) -> None:
    form = {
        "recipient": "jane@example.org",
        "template": '{"from": "joe@example.com", "subject": "a", "content": "<p>x</p>"}',
        "patch": '[{"op": "replace", "path": "/subject", "value": "b"}]',
        "data": '{"a": "b"}',
    }
    answer = await house.call("POST", "/v1/send", data=form)
    assert answer.status_code == 200, answer.text
    (message,) = house.intake.onward.taken
    assert letter(message)[1]["subject"] == "b"
    assert message.source.data == '{"a":"b"}'


@pytest.mark.parametrize("called", ["number", "digits", "name", "document"])
async def test_a_template_is_called_by_number_name_or_document(house: RestHouse, called: str) -> None:
    number = await stored(house)
    template = {"number": number, "digits": str(number), "name": "soup", "document": SOUP}[called]
    (message,) = await sent(house, drop=("from", "subject"), template=template)
    assert message.source.kind is SourceKind.LETTER
    assert letter(message)[1] == SOUP
    assert message.options.template == (0 if called == "document" else number)
    assert message.from_domain == "example.com"
    assert await subject(house, message) == "Soup for guest"
    (event, *_) = (await house.call("GET", f"/v1/events/messageid/{message.id}")).json()
    assert event["data"]["templateid"] == message.options.template


async def test_how_to_leave_may_have_tags_beside_a_template(house: RestHouse) -> None:
    leave = {"url": "https://example.com/leave?who={$recipient|urlencode}"}
    (message,) = await sent(house, drop=("from", "subject"), template=SOUP, unsubscribe=leave)
    assert letter(message)[0].unsubscribe == Unsubscribe(url=leave["url"])
    call = {"recipient": "jane@example.org", "template": SOUP, "unsubscribe": {"url": "https://example.com/{$"}}
    answer = await house.call("POST", "/v1/send", json=call)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "unsubscribe.url")


async def test_of_templates_with_one_name_the_one_changed_last_is_meant(house: RestHouse) -> None:
    first = await stored(house)
    house.intake.clock.passed += 1
    second = await stored(house, SOUP | {"subject": "Second"})
    house.intake.clock.passed += 1
    assert (await sent(house, template="soup"))[0].options.template == second
    await house.call("PUT", "/v1/template", json=SOUP | {"id": first})
    assert (await sent(house, template="soup"))[0].options.template == first


async def test_what_happens_to_a_template_later_shows_in_no_mail(house: RestHouse) -> None:
    number = await stored(house)
    (message,) = await sent(house, drop=("from", "subject"), template=number)
    await house.call("DELETE", f"/v1/template/{number}")
    again = await house.call("POST", "/v1/resend", json={"message": message.id})
    assert again.status_code == 200, again.text
    assert house.intake.onward.taken[-1].source == message.source
    assert house.intake.onward.taken[-1].options.template == number
    assert (await refused(house, template=number))["code"] == "unknown_template"


async def test_patch_comes_first_and_then_the_properties(house: RestHouse) -> None:
    document = SOUP | {"headers": {"x-a": "1", "x-b": "2"}, "attachments": [{"data": "eA==", "name": "a.txt"}]}
    (message,) = await sent(
        house,
        template=document,
        patch=[
            {"op": "replace", "path": "/subject", "value": "Patched"},
            {"op": "add", "path": "/text", "value": "Patched {$firstname}"},
        ],
        subject="Called",
        to="Jane <jane@example.org>, {$other} <other@example.org>",
        cc={"name": "Ann", "address": "ann@example.org"},
        replyto="help@example.com",
        headers={"X-B": "3", "Feedback-ID": "f"},
        attachments=[{"url": "https://example.com/b.pdf"}],
    )
    made = letter(message)[1]
    assert (made["subject"], made["text"]) == ("Called", "Patched {$firstname}")
    assert made["from"] == {"name": "Joe", "address": "joe@example.com"}
    assert made["to"] == [
        {"name": "Jane", "address": "jane@example.org"},
        {"name": "{$other}", "address": "other@example.org"},
    ]
    assert made["cc"] == [{"name": "Ann", "address": "ann@example.org"}]
    assert made["replyTo"] == {"address": "help@example.com"}
    assert made["headers"] == {"x-a": "1", "X-B": "3", "Feedback-ID": "f"}
    assert made["attachments"] == [{"data": "eA==", "name": "a.txt"}, {"url": "https://example.com/b.pdf"}]


async def test_files_of_a_call_go_beside_the_document_of_a_template(house: RestHouse) -> None:
    files = [{"data": "eA==", "name": "a.txt"}, {"data": "eQ==", "name": "logo.png", "cid": "logo"}]
    document = SOUP | {"attachments": [{"data": "eg==", "name": "z.txt"}]}
    (message,) = await sent(house, template=document, attachments=files)
    made, kept = letter(message)
    assert kept["attachments"] == document["attachments"]
    assert made.attachments == (
        Attachment(b"x", "a.txt", "text/plain"),
        Attachment(b"y", "logo.png", "image/png", "logo"),
    )


async def test_an_operation_that_fails_is_named_by_its_index(house: RestHouse) -> None:
    patch = [{"op": "add", "path": "/a", "value": 1}, {"op": "remove", "path": "/nothing"}]
    error = await refused(house, template=SOUP, patch=patch)
    assert (error["code"], error["field"]) == ("invalid_template", "patch[1]")
    assert "Operation 1 " in error["message"]
    assert error["problems"][0]["path"] == "/patch/1"


async def test_options_among_the_headers_of_a_template_call_act_and_stay_out_of_the_document(house: RestHouse) -> None:
    extra = {"x-smtpeter-tags": "a,b", "x-smtpeter-metadata": '{"order": 1}', "x-smtpeter-data": '{"firstname": "Jo"}'}
    (message,) = await sent(house, template=SOUP, extra=extra, data={"firstname": "Al", "a": 1}, drop=("subject",))
    assert (message.options.tags, message.options.metadata) == (("a", "b"), '{"order":1}')
    assert message.source.data == '{"firstname":"Jo","a":1}'
    assert not letter(message)[1].get("headers")
    assert await subject(house, message) == "Soup for Jo"


@pytest.mark.parametrize(
    ("properties", "field", "line", "column"),
    [
        ({"text": "a\nb {if $x}", "data": {}}, "text", 2, 3),
        ({"html": "<p>{$x|}</p>", "data": {}}, "html", 1, 8),
        ({"text": "x", "subject": "{name}", "data": {}}, "subject", 1, 2),
        ({"text": "x", "extra": {"x-a": "{$"}, "data": {}}, "extra.x-a", 1, 2),
        ({"text": "x", "from": "{if $x} <joe@example.com>", "data": {}}, "from", 1, 1),
        ({"text": "x", "to": "{$a.} <a@example.com>", "data": {}}, "to", 1, 5),
        ({"text": "x", "attachments": [{"url": "https://example.com/{$"}], "data": {}}, "attachments[0].url", 1, 22),
        ({"text": "x", "unsubscribe": {"url": "https://example.com/{$"}, "data": {}}, "unsubscribe.url", 1, 22),
        ({"template": SOUP | {"subject": "{/if}"}}, "subject", 1, 1),
        ({"template": SOUP | {"text": "x\n {foreach}"}}, "template", 2, 10),
    ],
)
async def test_tags_that_cannot_be_compiled_are_refused_with_their_place(
    house: RestHouse, properties: dict[str, Any], field: str, line: int, column: int
) -> None:
    if field == "subject" and "template" in properties:
        properties, field = properties | {"subject": None}, "template"
    error = await refused(house, **properties)
    assert (error["code"], error["field"]) == ("invalid_personalization", field)
    assert (error["line"], error["column"]) == (line, column)
    assert f"line {line}, column {column}" in error["message"]
    if "template" in properties:
        assert error["problems"][0]["path"] in ("/subject", "/text")


async def test_tags_of_a_whole_message_are_compiled_too(house: RestHouse) -> None:
    mime = "From: joe@example.com\r\nSubject: {$a}\r\nContent-Type: text/plain\r\n\r\nDear {$x|}\r\n"
    error = await refused(house, **{"from": None, "subject": None, "mime": mime, "data": {}})
    assert (error["code"], error["field"], error["line"]) == ("invalid_personalization", "mime", 1)
    (message,) = await sent(house, drop=("from", "subject"), mime=mime.replace("|", ""), data={"a": "Hi"})
    assert (message.source.kind, message.source.data) == (SourceKind.MIME, '{"a":"Hi"}')
    assert await subject(house, message) == "Hi"


async def test_addresses_are_checked_for_every_recipient_before_anything_is_stored(house: RestHouse) -> None:
    people = {"jane@example.org": {"boss": "ann@example.org"}, "john@example.org": {"boss": "nobody"}}
    error = await refused(house, recipient=None, recipients=people, text="x", cc="{$boss}")
    assert (error["code"], error["field"]) == ("invalid_personalization", "cc")
    assert "john@example.org" in error["message"]
    people["john@example.org"] = {"boss": "Bob <bob@example.org>"}
    assert len(await sent(house, drop=("recipient",), recipients=people, text="x", cc="{$boss}")) == 2


@pytest.mark.parametrize("kind", ["parts", "template", "mime"])
async def test_the_domain_of_a_sender_made_by_tags_must_be_approved(house: RestHouse, kind: str) -> None:
    sender = "{$name} <joe@{$domain}>"
    content: dict[str, Any] = {
        "parts": {"text": "x", "from": sender},
        "template": {"template": SOUP, "from": sender},
        "mime": {"from": None, "subject": None, "mime": f"From: {sender}\r\nSubject: x\r\n\r\nx\r\n"},
    }[kind]
    good, bad = {"domain": "example.com", "name": "Joe"}, {"domain": "elsewhere.example", "name": "Joe"}
    error = await refused(house, 403, **content, data=bad)
    assert error["code"] == "sender_domain_not_approved"
    (message,) = await sent(house, **content, data=good, drop=tuple(n for n in content if content[n] is None))
    assert message.from_domain == "example.com"
    people = {"jane@example.org": good, "john@example.org": bad}
    error = await refused(house, **content, recipient=None, recipients=people)
    assert error["code"] == "invalid_sender"
    assert "john@example.org" in error["message"]
    error = await refused(house, **content, data={"domain": "two words"})
    assert error["code"] == "invalid_personalization"


async def test_a_domain_that_differs_by_recipient_is_refused_even_when_all_are_approved(house: RestHouse) -> None:
    people = {"jane@example.org": {"s": "a.example.com"}, "john@example.org": {"s": "b.example.com"}}
    error = await refused(house, recipient=None, recipients=people, text="x", **{"from": "joe@{$s}"})
    assert (error["code"], error["field"]) == ("invalid_sender", "from")
    assert "different calls" in error["message"]


@pytest.mark.parametrize("bad", ["a\r\nBcc: b@example.net", "a\nb", "a, b@example.net", "<b@example.net>, x"])
async def test_no_value_adds_an_address_or_a_field(house: RestHouse, bad: str) -> None:
    for name in ("from", "to", "cc", "replyto"):
        for source in (SOUP, None):
            content: dict[str, Any] = {"text": "x"} if source is None else {"template": source}
            error = await refused(house, **content | {name: "{$v}", "data": {"v": f"joe@example.com{bad}"}})
            assert error["code"] == "invalid_personalization", (name, error)
            error = await refused(house, **content | {name: "X <{$v}@example.com>", "data": {"v": f"joe {bad}"}})
            assert error["code"] == "invalid_personalization", (name, error)


async def test_a_recipient_may_stand_in_an_address_without_data(house: RestHouse) -> None:
    (message,) = await sent(house, text="x", to="Dear reader <{$recipient}>")
    made = decode(message.source.content)
    assert (made.to, message.source.data) == ((Mailbox("{$recipient}", "Dear reader"),), None)
    assert (await refused(house, text="x", to="{$envelope}"))["code"] == "invalid_personalization"


async def test_a_smtputf8_sender_made_by_tags_needs_smtputf8(house: RestHouse) -> None:
    (message,) = await sent(house, **{"from": "{$who}@example.com"}, text="x", data={"who": "jürgen"})
    assert message.options.is_utf8


async def test_data_of_one_recipient_has_a_limit_with_all_that_is_below_it(house: RestHouse) -> None:
    half = "x" * 600_000
    await sent(house, text="x", data={"a": half})
    await sent(house, text="x", data={"a": half}, recipients={"jane@example.org": {"a": half}})
    error = await refused(house, text="x", data={"a": half}, recipients={"john@example.org": {"b": half}})
    assert (error["code"], error["field"]) == ("invalid_request", "recipients")
    error = await refused(house, template=SOUP | {"data": {"c": "x" * 90_000}}, data={"a": "x" * 960_000})
    assert (error["code"], error["field"]) == ("invalid_request", "data")


async def test_attachments_by_url_are_kept_as_they_were_given(house: RestHouse) -> None:
    files = [{"url": "https://example.com/a.pdf"}, {"url": "http://example.com/b", "name": "c.pdf", "type": "text/csv"}]
    (message,) = await sent(house, text="x", attachments=files)
    assert decode(message.source.content).attachments == (
        Attachment(b"", url="https://example.com/a.pdf"),
        Attachment(b"", "c.pdf", "text/csv", "", "http://example.com/b"),
    )


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/a",
        "/a.pdf",
        "https://me:secret@example.com/",
        "https://exa mple.com/",
        "https://example.com/a\r\nb",
        "http://0x7f000001/",
        "https://example.com:22/",
        "http://127.0.0.1/",
        "http://10.0.0.1:8080/",
        "http://[::1]/",
        "http://[::ffff:169.254.169.254]/latest",
        "http://localhost/",
    ],
)
async def test_files_that_nothing_can_come_from_are_refused_at_once(house: RestHouse, url: str) -> None:
    files = [{"url": url}]
    error = await refused(house, text="x", attachments=files)
    assert (error["code"], error["field"]) == ("invalid_request", "attachments[0].url")
    assert (await refused(house, template=SOUP, attachments=files))["field"] == "attachments"
    assert (await refused(house, template=SOUP | {"attachments": files}))["code"] == "invalid_request"


async def test_switches_of_account_login_and_call_are_laid_over_the_shipped_ones(house: RestHouse) -> None:
    (message,) = await sent(house, text="x", preventscam=True)
    assert message.options.features == Features(False, True, True, True, True, "default")
    item = NewAccount(
        MINE,
        T0,
        features=Features(trackopens=False, images="hosted"),
        settings=AccountSettings(autotext=False, trackplaintext=True, trackimages=False, manageunsubscribe=("bulk",)),
    )
    await house.intake.store.write(put_account, item)
    house.intake.clock.passed += 2
    (message,) = await sent(house, text="x", stream="bulk", trackclicks=False)
    options = message.options
    assert options.features == Features(False, False, False, True, False, "hosted")
    assert (options.adds_text, options.tracks_text, options.tracks_images) == (False, True, False)
    assert options.manages_unsubscribe
    (message,) = await sent(house, text="x", autotext=True)
    assert (message.options.adds_text, message.options.manages_unsubscribe) == (True, False)


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"from": None}, "invalid_template", "/from"),
        ({"content": 5}, "invalid_template", "/content"),
        ({"attachments": [{"data": "#"}]}, "invalid_template", "/attachments/0/data"),
        ({"dkim": {"domain": "example.com", "selector": "s", "key": "eA=="}}, "invalid_template", "/dkim"),
        ({"dkim": {"domain": "example.com"}}, "invalid_template", "/dkim"),
        ({"to": "{$nobody"}, "invalid_personalization", "/to"),
    ],
)
async def test_documents_that_cannot_be_sent_are_refused_with_their_problems(
    house: RestHouse, change: dict[str, Any], code: str, path: str
) -> None:
    error = await refused(house, **{"from": None, "template": SOUP | change})
    assert (error["code"], error["field"]) == (code, "template")
    assert path in [problem["path"] for problem in error["problems"]]


async def test_blind_recipients_of_a_template_are_shown_to_nobody(house: RestHouse) -> None:
    messages = await sent(house, template=SOUP, bcc="archive@example.org")
    assert len(messages) == 2
    made, document = letter(messages[0])
    assert (document["to"], made.blind) == ("jane@example.org", ("archive@example.org",))
    messages = await sent(house, template=SOUP | {"to": "list@example.org"}, bcc="archive@example.org")
    assert letter(messages[0])[1]["to"] == "list@example.org"


async def test_a_whole_message_may_name_a_template_in_its_header(house: RestHouse) -> None:
    number = await stored(house)
    mime = (
        "From: Joe <joe@example.com>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nX-SMTPeter-Template: soup\r\n"
        'X-SMTPeter-Data: {"firstname": "Jane"}\r\nX-SMTPeter-Tags: a\r\nMIME-Version: 1.0\r\n'
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nnot this\r\n"
        "--b\r\nContent-Type: text/csv; name=a.csv\r\nContent-Disposition: attachment\r\n\r\n1;2\r\n--b--\r\n"
    )
    (message,) = await sent(house, drop=("from", "subject"), mime=mime)
    made, document = letter(message)
    assert (document["from"], document["subject"]) == ("Joe <joe@example.com>", "Grüße")
    assert made.attachments == (Attachment(b"1;2", "a.csv", "text/csv"),)
    assert (message.options.template, message.options.tags) == (number, ("a",))
    assert message.source.data == '{"firstname":"Jane"}'


async def test_a_batch_tells_what_is_wrong_with_the_tags_of_one_send(house: RestHouse) -> None:
    sends = [CALL | {"text": "{$x|}", "data": {}}, CALL | {"template": SOUP}, CALL | {"template": 99}]
    answer = await house.call("POST", "/v1/send/batch", json={"messages": sends})
    assert answer.status_code == 207
    first, second, third = answer.json()["results"]
    assert (first["error"]["field"], first["error"]["line"]) == ("messages[0].text", 1)
    assert "ids" in second
    assert third["error"]["code"] == "unknown_template"


async def test_parts_with_tags_are_kept_as_they_were_written(house: RestHouse) -> None:
    (message,) = await sent(
        house, **{"from": "{$who} <joe@example.com>"}, text="x", to="{$t}", data={"t": "a@b.example"}
    )
    assert decode(message.source.content) == Parts(
        sender=Mailbox("joe@example.com", "{$who}"), to=(Mailbox("{$t}"),), subject="Hello", text="x"
    )
