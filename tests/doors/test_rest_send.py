"""POST /v1/send: what a call may say, what draft it becomes, and what is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.doors.rest.client import Client
from smtpeter.doors.rest.declare import Reading
from smtpeter.doors.rest.send import read_draft
from smtpeter.model.account import Features
from smtpeter.model.message import Dsn, Notify, SourceKind
from smtpeter.model.parts import Attachment, Mailbox, Parts, Unsubscribe, decode
from smtpeter.model.refusal import Refused
from tests.doors.rest_house import House


async def parts(house: House, **properties: Any) -> Parts:
    return decode((await house.draft(**properties)).source.content)


async def test_answer_names_the_recipients_as_given_in_their_order() -> None:
    answer = await House().send(
        {"recipients": ["Zoe@Example.NET", "ann@münchen.example"], "from": "ann@example.com", "text": "x"}
    )
    assert list(answer.json().items()) == [("S" * 20, "Zoe@Example.NET"), (f"{'S' * 20}-1", "ann@münchen.example")]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"recipient": "a@x.example"}, ["a@x.example"]),
        ({"recipient": " a@x.example , b@x.example"}, ["a@x.example", "b@x.example"]),
        ({"recipient": ["a@x.example", "b@x.example,c@x.example"]}, ["a@x.example", "b@x.example", "c@x.example"]),
        ({"recipient": '"a,b"@x.example'}, ['"a,b"@x.example']),
        ({"recipient": ["a@x.example", "a@X.EXAMPLE", "A@x.example"]}, ["a@x.example", "A@x.example"]),
        ({"recipient": None, "recipients": ["a@x.example"]}, ["a@x.example"]),
        ({"recipient": None, "recipients": {"a@x.example": {}, "b@x.example": None}}, ["a@x.example", "b@x.example"]),
        ({"recipient": None, "recipients": [{"a@x.example": {}}, "b@x.example"]}, ["a@x.example", "b@x.example"]),
        ({"recipient": "a@x.example", "recipients": ["b@x.example"]}, ["a@x.example", "b@x.example"]),
        ({"recipient": "a@x.example", "bcc": "Boss <b@x.example>, a@x.example"}, ["a@x.example", "b@x.example"]),
    ],
)
async def test_every_way_to_name_recipients(properties: dict[str, Any], expected: list[str]) -> None:
    draft = await House().draft(**properties)
    assert [recipient.address for recipient in draft.recipients] == expected


@pytest.mark.parametrize(
    ("properties", "code", "field"),
    [
        ({"recipient": None}, "no_recipient", "recipient"),
        ({"recipient": ""}, "invalid_recipient", "recipient"),
        ({"recipient": 5}, "invalid_recipient", "recipient"),
        ({"recipient": ["a@x.example", "b"]}, "invalid_recipient", "recipient[1]"),
        ({"recipient": ["a@x.example", "b@x.example,,c@x.example"]}, "invalid_recipient", "recipient[1]"),
        ({"recipient": "Bob <a@x.example>"}, "invalid_recipient", "recipient"),
        (
            {"recipients": ["a@x.example", "b@x.example", "@x"]},
            "invalid_recipient",
            "recipients[2]",
        ),
        ({"recipients": [["a@x.example"]]}, "invalid_recipient", "recipients[0]"),
        ({"recipients": 1}, "invalid_recipient", "recipients"),
        ({"recipients": {"a@x.example": {"name": "A"}, "b": {}}}, "invalid_recipient", "recipients[1]"),
        ({"bcc": ["b@x.example", "nobody"]}, "invalid_recipient", "bcc[1]"),
        ({"recipients": [f"r{n}@x.example" for n in range(1000)]}, "too_many_recipients", "recipients"),
        ({"recipient": "a@x.example," * 2000}, "too_many_recipients", "recipient"),
        ({"recipient": "a\r\nRCPT TO:<b@x.example>@x.example"}, "invalid_recipient", "recipient"),
    ],
)
async def test_one_bad_recipient_refuses_the_whole_call(properties: dict[str, Any], code: str, field: str) -> None:
    assert await House().refusal(**properties) == (code, field)


async def test_a_thousand_recipients_are_accepted() -> None:
    draft = await House().draft(recipient=None, recipients=[f"r{n}@x.example" for n in range(1000)])
    assert len(draft.recipients) == 1000


async def test_properties_become_parts() -> None:
    house = House()
    made = await parts(
        house,
        **{"from": "Änn <ann@example.com>", "to": ["Bob <bob@example.net>, c@x.example", {"address": "d@x.example"}]},
        cc={"name": "E, F", "address": "e@x.example"},
        replyTo="r@x.example",
        subject="Grüße",
        text="t",
        html="<p>h",
        headers={"x-a": "1"},
        extra={"X-B": "2"},
    )
    assert made == Parts(
        sender=Mailbox("ann@example.com", "Änn"),
        to=(Mailbox("bob@example.net", "Bob"), Mailbox("c@x.example"), Mailbox("d@x.example")),
        cc=(Mailbox("e@x.example", "E, F"),),
        replyto=(Mailbox("r@x.example"),),
        subject="Grüße",
        text="t",
        html="<p>h",
        headers=tuple(made.headers),
    )
    assert sorted(made.headers) == [("X-B", "2"), ("x-a", "1")]


@pytest.mark.parametrize(
    ("properties", "to", "blind"),
    [
        ({"recipient": "a@x.example", "bcc": "b@x.example"}, ["a@x.example"], ()),
        ({"recipient": ["a@x.example", "A@X.example", "a@X.EXAMPLE"], "bcc": "b@x.example"}, [], ("b@x.example",)),
        ({"recipient": ["a@x.example", "c@x.example"], "bcc": ["a@x.example", "b@x.example"]}, [], ("b@x.example",)),
        ({"recipient": None, "bcc": "b@x.example, c@x.example"}, [], ("b@x.example", "c@x.example")),
        ({"recipient": "a@x.example", "bcc": "b@x.example", "to": "c@x.example"}, ["c@x.example"], ()),
        ({"recipient": ["a@x.example", "c@x.example"]}, [], ()),
    ],
)
async def test_to_never_shows_a_blind_recipient(
    properties: dict[str, Any], to: list[str], blind: tuple[str, ...]
) -> None:
    made = await parts(House(), **properties)
    assert ([box.address for box in made.to], made.blind) == (to, blind)


async def test_sender_may_be_an_object() -> None:
    made = await parts(House(), **{"from": {"name": "Ann", "address": "ann@Example.com"}})
    assert made.sender == Mailbox("ann@example.com", "Ann")


async def test_mime_is_kept_with_its_line_ends_made_whole() -> None:
    draft = await House().draft(
        **{"from": None, "text": None, "mime": "From: a@example.com\nSubject: ü\r\n\r\nbody\r.\n"}
    )
    assert draft.source.kind is SourceKind.MIME
    assert draft.source.content == "From: a@example.com\r\nSubject: ü\r\n\r\nbody\r\n.\r\n".encode()
    assert draft.options.is_8bit


async def test_options_of_a_call() -> None:
    house = House()
    draft = await house.draft(
        envelope="Bounces@Example.com",
        tags="invoice, march;invoice",
        maxdelivertime="2027-01-31 18:30:00",
        images="default",
        trackopens=False,
        dsn={"notify": "success, failure", "ret": "full", "envid": "e 1", "orcpt": "o@x.example"},
    )
    assert draft.envelope == "Bounces@example.com"
    assert draft.options.tags == ("invoice", "march")
    assert draft.options.max_deliver_time == datetime(2027, 1, 31, 18, 30, tzinfo=UTC)
    assert draft.options.features == Features(trackopens=False, images="default")
    wanted = Dsn(frozenset((Notify.SUCCESS, Notify.FAILURE)), "FULL", "e 1", "rfc822;o@x.example")
    assert draft.recipients[0].dsn == wanted
    assert (draft.options.ret, draft.options.envid) == ("FULL", "e 1")


async def test_notification_wishes_default_to_failure_and_headers() -> None:
    draft = await House().draft(dsn={"orcpt": "rfc822;o@x.example"})
    assert draft.recipients[0].dsn == Dsn(frozenset((Notify.FAILURE,)), "HDRS", "", "rfc822;o@x.example")
    assert (await House().draft()).recipients[0].dsn == Dsn()
    assert (await House().draft()).envelope is None


async def test_switches_are_taken_as_they_are_said() -> None:
    house = House()
    call = {"recipient": "bob@example.net", "from": "ann@example.com", "text": "x"}
    answer = await house.send(call | {"trackclicks": True, "inlinecss": False, "images": "hosted"})
    assert "warning-unknown" not in answer.headers
    assert house.gateway.drafts[0].options.features == Features(trackclicks=True, inlinecss=False, images="hosted")


async def test_local_part_beyond_ascii_needs_smtputf8() -> None:
    assert (await House().draft(recipient="jürgen@x.example")).options.is_utf8
    assert (await House().draft(**{"from": "jürgen@x.example"})).options.is_utf8
    assert not (await House().draft(recipient="j@münchen.example")).options.is_utf8


async def test_empty_forms_of_what_is_not_meant_are_harmless() -> None:
    draft = await House().draft(template="", data=None, attachments=[], patch=[], metadata="", stream="transactional")
    assert (draft.source.kind, draft.source.data) == (SourceKind.PARTS, None)


@pytest.mark.parametrize(
    ("properties", "code", "field"),
    [
        ({"from": None}, "invalid_request", "from"),
        ({"from": "nobody"}, "invalid_sender", "from"),
        ({"from": "a@x.example, b@x.example"}, "invalid_sender", "from"),
        ({"from": {"name": "x"}}, "invalid_request", "from"),
        ({"from": {"name": 1, "address": "a@x.example"}}, "invalid_request", "from"),
        ({"text": None}, "invalid_request", "text"),
        ({"text": 1}, "invalid_request", "text"),
        ({"subject": ["x"]}, "invalid_request", "subject"),
        ({"to": "Bob <"}, "invalid_request", "to"),
        ({"to": ["b@x.example", 5]}, "invalid_request", "to[1]"),
        ({"cc": "b@x.example," * 1001 + "b@x.example"}, "invalid_request", "cc"),
        ({"envelope": "<a@x.example>"}, "invalid_sender", "envelope"),
        ({"envelope": 1}, "invalid_request", "envelope"),
        ({"mime": "From: a@x.example\r\n\r\n"}, "invalid_request", "from"),
        ({"mime": "", "from": None, "text": None}, "invalid_request", "mime"),
        ({"mime": "Subject: x\r\n\r\n", "from": None}, "invalid_request", "text"),
        ({"extra": {"Subject": "x"}}, "invalid_request", "extra.Subject"),
        ({"extra": {"x-a": 1}}, "invalid_request", "extra.x-a"),
        ({"extra": ["x-a: 1"]}, "invalid_request", "extra"),
        ({"replyto": "a@x.example", "replyTo": "b@x.example"}, "invalid_request", "replyTo"),
        ({"tags": ["two words"]}, "invalid_request", "tags[0]"),
        ({"tags": ["a", "b;c"]}, "invalid_request", "tags[1]"),
        ({"tags": ["a", ""]}, "invalid_request", "tags[1]"),
        ({"tags": [f"t{n}" for n in range(33)]}, "invalid_request", "tags"),
        ({"tags": ["x" * 129]}, "invalid_request", "tags[0]"),
        ({"tags": {"a": 1}}, "invalid_request", "tags"),
        ({"trackopens": "true"}, "invalid_request", "trackopens"),
        ({"trackopens": 1}, "invalid_request", "trackopens"),
        ({"images": "inline"}, "invalid_request", "images"),
        ({"maxdelivertime": "2027-02-30 00:00:00"}, "invalid_request", "maxdelivertime"),
        ({"maxdelivertime": "2027-02-03"}, "invalid_request", "maxdelivertime"),
        ({"maxdelivertime": "2027-02-03T00:00:00"}, "invalid_request", "maxdelivertime"),
        ({"dsn": "NEVER"}, "invalid_request", "dsn"),
        ({"dsn": {"notify": "NEVER,FAILURE"}}, "invalid_request", "dsn.notify"),
        ({"dsn": {"notify": "ALWAYS"}}, "invalid_request", "dsn.notify"),
        ({"dsn": {"notify": [1]}}, "invalid_request", "dsn.notify"),
        ({"dsn": {"ret": "ALL"}}, "invalid_request", "dsn.ret"),
        ({"dsn": {"envid": "a\r\nb"}}, "invalid_request", "dsn.envid"),
        ({"dsn": {"orcpt": "x" * 501}}, "invalid_request", "dsn.orcpt"),
        ({"attachments": "a.pdf"}, "invalid_request", "attachments"),
        ({"attachments": ["a.pdf"]}, "invalid_request", "attachments[0]"),
        ({"attachments": [{"name": "a.pdf"}]}, "invalid_request", "attachments[0].data"),
        ({"attachments": [{"data": 5}]}, "invalid_request", "attachments[0].data"),
        ({"attachments": [{"data": "eA=="}, {"data": "eA="}]}, "invalid_request", "attachments[1].data"),
        ({"attachments": [{"data": "eA==", "name": "a\r\nb"}]}, "invalid_request", "attachments[0].name"),
        ({"attachments": [{"data": "eA==", "type": "pdf"}]}, "invalid_request", "attachments[0].type"),
        ({"attachments": [{"data": "eA==", "cid": "a b"}]}, "invalid_request", "attachments[0].cid"),
        ({"attachments": [{"url": "https://example.com/", "data": "eA=="}]}, "invalid_request", "attachments[0].url"),
        ({"template": True}, "invalid_request", "template"),
        ({"template": 0}, "invalid_request", "template"),
        ({"template": 1.5}, "invalid_request", "template"),
        ({"template": [1]}, "invalid_request", "template"),
        ({"template": '{"from":'}, "invalid_request", "template"),
        ({"template": 5, "html": "<p>"}, "invalid_request", "html"),
        ({"template": 5, "mime": "From: a@x.example\r\n\r\n"}, "invalid_request", "template"),
        ({"patch": [{"op": "remove", "path": "/a"}]}, "invalid_request", "patch"),
        ({"patch": {"op": "remove"}}, "invalid_request", "patch"),
        ({"data": "x"}, "invalid_request", "data"),
        ({"data": [1]}, "invalid_request", "data"),
        ({"recipients": {"a@x.example": "x"}}, "invalid_request", "recipients[0]"),
        ({"attachments": [{"data": ""}] * 501}, "invalid_request", "attachments"),
        ({"unsubscribe": "https://example.com/"}, "invalid_request", "unsubscribe"),
        ({"unsubscribe": {"email": "nobody"}}, "invalid_request", "unsubscribe.email"),
        ({"unsubscribe": {"url": 5}}, "invalid_request", "unsubscribe.url"),
        ({"unsubscribe": {"url": "https://x", "oneclick": "true"}}, "invalid_request", "unsubscribe.oneclick"),
        ({"sendat": "tomorrow"}, "invalid_request", "sendat"),
        ({"sendat": "2027-01-31T25:00:00Z"}, "invalid_request", "sendat"),
        ({"sendat": "0001-01-01T00:00:00+12:00"}, "invalid_request", "sendat"),
        ({"sendat": 1801440000}, "invalid_request", "sendat"),
        ({"metadata": [1]}, "invalid_request", "metadata"),
        ({"metadata": "a"}, "invalid_request", "metadata"),
        ({"metadata": {"a": "x" * 4090}}, "invalid_request", "metadata"),
        ({"stream": "Bulk"}, "invalid_request", "stream"),
        ({"stream": "x" * 33}, "invalid_request", "stream"),
        ({"stream": "a\r\nb"}, "invalid_request", "stream"),
        (
            {"mime": "From: a@x.example\r\n\r\n", "from": None, "text": None, "attachments": [{"data": "eA=="}]},
            "invalid_request",
            "attachments",
        ),
    ],
)
async def test_wrong_properties_are_refused_with_their_names(properties: dict[str, Any], code: str, field: str) -> None:
    assert await House().refusal(**properties) == (code, field)


async def test_form_input_says_the_same_as_json() -> None:
    house = House()
    form = (
        "recipients[]=a%40x.example&recipients[]=b@x.example&from=Ann+<ann@example.com>&subject=Gr%C3%BC%C3%9Fe"
        "&text=1+%2B+1&tags[0]=one&tags[1]=two&extra[x-a]=1&trackopens=off&trackclicks=yes&dsn[notify]=NEVER"
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await house.call("POST", "/v1/send", content=form.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert "warning-unknown" not in answer.headers
    draft = house.gateway.drafts[0]
    assert [recipient.address for recipient in draft.recipients] == ["a@x.example", "b@x.example"]
    assert draft.recipients[0].dsn.notify == {Notify.NEVER}
    assert draft.options.tags == ("one", "two")
    assert draft.options.features == Features(trackopens=False, trackclicks=True)
    made = decode(draft.source.content)
    assert (made.sender, made.subject, made.text) == (Mailbox("ann@example.com", "Ann"), "Grüße", "1 + 1")
    assert made.headers == (("x-a", "1"),)


async def test_unescaped_percent_in_a_form_is_refused_with_its_position() -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await House().call("POST", "/v1/send", content=b"recipient=john%doe.com", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_form")
    assert "position 15" in answer.json()["error"]["message"]


async def test_files_embeds_and_ways_to_unsubscribe_become_parts() -> None:
    made = await parts(
        House(),
        attachments=[
            {"data": "eA=="},
            {"data": "eH\r\nk=\r\n", "name": "a.pdf"},
            {"data": "", "name": "b.bin", "type": "image/png", "cid": "<logo>"},
        ],
        unsubscribe={"email": "Leave@Example.COM", "url": "https://example.com/", "one-click": True},
    )
    assert made.attachments == (
        Attachment(b"x", "attachment-1.bin", "application/octet-stream"),
        Attachment(b"xy", "a.pdf", "application/pdf"),
        Attachment(b"", "b.bin", "image/png", "logo"),
    )
    assert made.unsubscribe == Unsubscribe("Leave@example.com", "https://example.com/", True)


async def test_when_what_and_where_a_mail_belongs() -> None:
    options = (
        await House().draft(
            sendat="2027-01-31T18:30:00.5+01:00", metadata={"ö": [1, None]}, stream="bulk", maxdelivertime=None
        )
    ).options
    assert options.send_at == datetime(2027, 1, 31, 17, 30, 0, 500_000, tzinfo=UTC)
    assert (options.metadata, options.stream) == ('{"ö":[1,null]}', "bulk")
    assert (await House().draft(sendat="2027-01-31 18:30:00")).options.send_at == datetime(
        2027, 1, 31, 18, 30, tzinfo=UTC
    )
    assert (await House().draft(sendat="2027-01-31T18:30")).options.send_at == datetime(2027, 1, 31, 18, 30, tzinfo=UTC)
    plain = (await House().draft()).options
    assert (plain.send_at, plain.metadata, plain.stream) == (None, "", "transactional")


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_metadata_holds_4096_bytes(over: int) -> None:
    call = {"recipient": "bob@example.net", "from": "ann@example.com", "text": "x"}
    answer = await House().send(call | {"metadata": {"a": "x" * (4096 - 8 + over)}})
    assert answer.status_code == (400 if over > 0 else 200)


async def test_address_of_http_to_unsubscribe_is_taken_and_named_because_receivers_ignore_it() -> None:
    house = House()
    call = {"recipient": "bob@example.net", "from": "ann@example.com", "text": "x"}
    answer = await house.send(call | {"unsubscribe": {"url": "http://example.com/leave"}})
    assert answer.headers["warning-unknown"] == "unsubscribe.url"
    unsubscribe = decode(house.gateway.drafts[0].source.content).unsubscribe
    assert unsubscribe is not None
    assert unsubscribe.url == "http://example.com/leave"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("eA==!", "'!' at position 5"),
        ("e-A=", "'-' at position 2"),
        ("eA\n=\n", "1 = stand at its end, position 3, where 2 must be"),
        ("eHh4eA", "0 = stand at its end, position 7, where 2 must be"),
        ("eHh4e", "missing at its end, position 6"),
        ("eA==eA==", "'=' at position 3"),
        ("ä", "'ä' at position 1"),
    ],
)
async def test_fault_in_base64_is_told_with_its_position(data: str, told: str) -> None:
    call = {"recipient": "bob@example.net", "from": "ann@example.com", "text": "x"}
    answer = await House().send(call | {"attachments": [{"data": data}]})
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]


async def test_form_carries_files_in_base64_and_metadata_as_json_too() -> None:
    house = House()
    form = (
        "recipient=a%40x.example&from=b@x.example&text=x&attachments[0][data]=Pj4%2B&attachments[0][name]=a.txt"
        "&metadata=%7B%22a%22%3A1%7D&unsubscribe[url]=https://example.com/&unsubscribe[oneclick]=1"
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await house.call("POST", "/v1/send", content=form.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    made = decode(house.gateway.drafts[0].source.content)
    assert made.attachments == (Attachment(b">>>", "a.txt", "text/plain"),)
    assert made.unsubscribe == Unsubscribe("", "https://example.com/", True)
    assert house.gateway.drafts[0].options.metadata == '{"a":1}'
    unescaped = form.replace("%2B", "+")
    answer = await house.call("POST", "/v1/send", content=unescaped.encode(), headers=headers)
    assert "write + as %2B" in answer.json()["error"]["message"]


async def test_multipart_form_carries_files_as_they_are() -> None:
    house = House()
    files = [
        ("attachments[]", ("Bericht ü.pdf", b"%PDF\r\n\0", "application/octet-stream")),
        ("attachments[]", ("b.csv", b"1;2", "text/csv")),
        ("attachments[9][data]", ("logo.png", b"\x89PNG", "image/png")),
        ("html", ("body.html", "<p>ü".encode(), "text/html")),
    ]
    values = {"recipients[]": ["a@x.example", "b@x.example"], "from": "b@x.example", "attachments[9][cid]": "logo"}
    answer = await house.call("POST", "/v1/send", data=values, files=files)
    assert answer.status_code == 200, answer.text
    assert [recipient.address for recipient in house.gateway.drafts[0].recipients] == ["a@x.example", "b@x.example"]
    made = decode(house.gateway.drafts[0].source.content)
    assert made.html == "<p>ü"
    assert made.attachments == (
        Attachment(b"\x89PNG", "logo.png", "image/png", "logo"),
        Attachment(b"%PDF\r\n\0", "Bericht ü.pdf", "application/pdf"),
        Attachment(b"1;2", "b.csv", "text/csv"),
    )


async def test_multipart_form_carries_a_whole_message_octet_for_octet() -> None:
    house = House()
    mime = b"From: a@example.com\r\nSubject: x\r\n\r\n\xfc\r\n"
    files = {"mime": ("mail.eml", mime, "message/rfc822")}
    answer = await house.call("POST", "/v1/send", data={"recipient": "a@x.example"}, files=files)
    assert answer.status_code == 200, answer.text
    assert house.gateway.drafts[0].source.content == mime


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=12), st.sampled_from(["a@x.example", "b"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)
_ADDRESSED = ("recipient", "recipients", "envelope", "from", "to", "cc", "bcc", "replyto", "replyTo")
_OTHERS = (
    "subject",
    "text",
    "html",
    "mime",
    "extra",
    "headers",
    "tags",
    "dsn",
    "images",
    "maxdelivertime",
    "data",
    "odd",
    "attachments",
    "unsubscribe",
    "sendat",
    "metadata",
)
_NAMES = st.sampled_from([*_ADDRESSED, *_OTHERS, "trackopens", "template", "stream"])
_BASE = {"recipient": "a@x.example", "from": "b@x.example", "text": "x"}


@given(st.dictionaries(_NAMES, _JSON, max_size=4), st.booleans())
@settings(max_examples=250)
def test_any_properties_give_a_draft_or_a_refusal(properties: dict[str, Any], is_form: bool) -> None:
    try:
        draft = read_draft(_BASE | properties, Reading(is_form), Client("192.0.2.1", True))
    except Refused as refused:
        assert refused.refusal.http_status == 400
        assert refused.field
    else:
        assert draft.recipients
        assert draft.source.content or draft.letter
