"""Characters that end lines, in every place of a send call, on a running gateway: no header is ever added, no answer is a 5xx.

Each hostile call has a harmless twin without the characters. What arrives in the sink is taken apart by a parser that is
not ours, and no part of it may have a header field more than its twin.
"""

import copy
import email
import json
import re
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from email.message import Message
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.content.template.samples import sample
from tests.content.template.test_hostile import places, put
from tests.live.gateway import Answer, Gateway, an_address
from tests.live.waiting import until

ENDS = {
    "CRLF": "\r\n",
    "LF": "\n",
    "CR": "\r",
    "VT and FF": "\v\f",
    "NEL": "\x85",
    "LS": "\u2028",
    "PS": "\u2029",
    "NUL": "\0",
    "encoded": "%0d%0a",
    "encoded word": "=?utf-8?q?=0d=0a?=",
    "surrogate": "\ud800",
}
AT_ONCE = 40  # calls with their twins: the sink shows the last mails only
ENCODING = "content-transfer-encoding"
EVIL = ("x-evil", "bcc")
FINAL = {"delivered", "failed", "cancelled", "quarantined"}
BASE: dict[str, Any] = {"from": "joe@example.com", "subject": "Hello", "text": "x", "html": "<p>x</p>"}
LETTER: dict[str, Any] = {"template": {"from": "joe@example.com", "subject": "Hello", "content": "<p>x</p>"}}
FILE = {"data": "eA==", "name": "a.txt", "type": "text/plain"}
MIME = "From: {} <joe@example.com>\r\nSubject: {}\r\nX-A: {}\r\nContent-Type: text/plain; name={}\r\n\r\n{}\r\n"

# where the text goes, for each property that a send call has
PROPERTIES: dict[str, Callable[[str], dict[str, Any]]] = {
    "recipients' data": lambda v: {"subject": "{$v}", "recipients": {an_address(): {"v": v, v: v}}},
    "envelope": lambda v: {"envelope": f"{v}bounces@example.com"},
    "from": lambda v: {"from": f"Joe{v} <joe@example.com>"},
    "from, quoted": lambda v: {"from": f'"Joe{v}" <joe@example.com>'},
    "from, address": lambda v: {"from": f"joe{v}@example.com"},
    "from, domain": lambda v: {"from": f"joe@example.com{v}"},
    "from, object": lambda v: {"from": {"name": f"Joe{v}", "address": "joe@example.com"}},
    "to": lambda v: {"to": f"Jane{v} <jane@example.org>"},
    "to, object": lambda v: {"to": [{"name": v, "address": f"jane{v}@example.org"}]},
    "cc": lambda v: {"cc": f"Jane{v} <jane@example.org>, ann{v}@example.org"},
    "replyto": lambda v: {"replyto": f"Jane{v} <jane@example.org>"},
    "bcc": lambda v: {"bcc": f"jane{v}@example.org"},
    "subject": lambda v: {"subject": f"Hello{v}there"},
    "text": lambda v: {"text": f"Hello{v}there"},
    "html": lambda v: {"html": f"<p title='{v}'>Hello{v}there <a href='https://www.example.com/{v}'>x</a></p>"},
    "extra, value": lambda v: {"extra": {"x-order": f"a{v}b"}},
    "extra, name": lambda v: {"extra": {f"x-order{v}": "b"}},
    "extra, option": lambda v: {"extra": {"x-smtpeter-tags": f"a{v}b", "x-smtpeter-images": v}},
    "attachment, name": lambda v: {"attachments": [{**FILE, "name": f"a{v}.txt"}]},
    "attachment, type": lambda v: {"attachments": [{**FILE, "type": f"text/plain{v}; charset={v}"}]},
    "attachment, cid": lambda v: {"attachments": [{**FILE, "cid": f"a{v}"}]},
    "attachment, data": lambda v: {"attachments": [{**FILE, "data": f"eA=={v}"}]},
    "attachment, url": lambda v: {"attachments": [{"url": f"http://10.0.0.1/{v}"}]},
    "unsubscribe, url": lambda v: {"unsubscribe": {"url": f"https://www.example.com/{v}", "oneclick": True}},
    "unsubscribe, email": lambda v: {"unsubscribe": {"email": f"leave{v}@example.com"}},
    "tags": lambda v: {"tags": [f"a{v}b"]},
    "metadata": lambda v: {"metadata": {f"a{v}": v}},
    "stream": lambda v: {"stream": f"news{v}"},
    "sendat": lambda v: {"sendat": f"2026-01-01T00:00:00Z{v}"},
    "maxdelivertime": lambda v: {"maxdelivertime": f"2036-01-01 00:00:00{v}"},
    "dsn": lambda v: {"dsn": {"notify": "FAILURE", "ret": "HDRS", "envid": f"a{v}", "orcpt": f"rfc822;a{v}@b.example"}},
    "images": lambda v: {"images": f"hosted{v}"},
    "trackclicks": lambda v: {"trackclicks": f"true{v}"},
    "template": lambda v: {"template": f"welcome{v}"},
    "unknown": lambda v: {f"a{v}b": v},
    "mime": lambda v: {"mime": MIME.format(*["{$v}"] * 5), "data": {"v": f"a{v}b"}},
    "data": lambda v: {
        "data": {"v": v, "name": f"Joe{v}", "url": f"https://www.example.com/{v}"},
        "from": "{$name} <joe@example.com>",
        "to": "{$name} <jane@example.org>",
        "cc": '"{$name}" <ann@example.org>',
        "replyto": "{$v} <help@example.com>",
        "subject": "Hello {$v}",
        "extra": {"x-order": "{$v}"},
        "text": "Hello {$v}",
        "html": "<p title='{$v}'>{$v|raw} <a href='{$url}'>x</a></p>",
        "attachments": [{**FILE, "name": "{$v}.txt"}],
        "trackclicks": True,
    },
    "data, unsubscribe": lambda v: {
        "data": {"v": v},
        "unsubscribe": {"url": "https://www.example.com/{$v}", "email": "leave@example.com"},
    },
    "data, address": lambda v: {"data": {"v": f"jane{v}@example.org"}, "to": "{$v}"},
    "data, address of the sender": lambda v: {"data": {"v": f"joe{v}"}, "from": "{$v}@example.com"},
    "data, file": lambda v: {"data": {"v": v}, "attachments": [{"url": "http://{$v}10.0.0.1/{$v}"}]},
    "document": lambda v: {
        "template": {
            "from": {"name": f"Joe{v}", "address": "joe@example.com"},
            "to": f"Jane{v} <jane@example.org>",
            "cc": [f"Ann{v} <ann@example.org>"],
            "replyTo": f"Help{v} <help@example.com>",
            "subject": f"Hello{v}there",
            "text": f"x{v}",
            "headers": {"X-Order": f"a{v}b", "Feedback-ID": "{$v}"},
            "name": f"n{v}",
            "description": v,
            "content": f"<p title='{v}'>x{v}y</p>",
            "attachments": [{"name": f"a{v}.txt", "data": "eA==", "type": f"text/plain{v}"}],
        },
        "data": {"v": f"a{v}b"},
    },
    "document, name of a header": lambda v: {"template": {**LETTER["template"], "headers": {f"X-Order{v}": "b"}}},
    "document, data": lambda v: {
        "template": {**LETTER["template"], "subject": "{$v}", "headers": {"X-A": "{$v}"}, "data": {"v": f"a{v}b"}}
    },
    "patch": lambda v: {**LETTER, "patch": [{"op": "replace", "path": "/subject", "value": f"a{v}b"}]},
    "patch, path": lambda v: {**LETTER, "patch": [{"op": "add", "path": f"/headers{v}", "value": {f"X-{v}": v}}]},
}


def hostile(end: str) -> str:
    """Gives a text that adds header fields and parts where the characters end a line."""
    return f"{end}X-Evil: 1{end}Bcc: eve@example.net{end}{end}--0{end}"


def call(properties: dict[str, Any]) -> dict[str, Any]:
    """Gives the properties with those that every call needs, for a recipient of its own."""
    base = {} if {"mime", "template"} & properties.keys() else BASE
    people = {} if "recipients" in properties else {"recipient": an_address()}
    return {"envelope": "bounces@example.com", **base, **people, **properties}


def post(gateway: Gateway, properties: dict[str, Any]) -> tuple[Answer, list[str]]:
    """Makes a call; gives the answer, and the ids of what was accepted."""
    # with lone surrogates as escapes
    answer = gateway.http(
        "POST",
        "/v1/send",
        json.dumps(properties),
        Authorization=f"Bearer {gateway.token}",
        Content_Type="application/json",
    )
    assert answer.status in (200, 400, 404), (answer.status, answer.text, properties)
    error = {} if answer.status == 200 else answer.error
    assert not error or error["code"], answer.text
    assert "X-Evil" not in "".join(answer.headers)
    return answer, list(answer.json) if answer.status == 200 else []


def parts_of(content: bytes) -> list[list[str]]:
    """Gives the names of the header fields of each part, of that of the whole mail first.

    Without the encoding, which is told when there is anything but ASCII.
    """
    made: Message = email.message_from_bytes(content)
    return [sorted(name.lower() for name in part if name.lower() != ENCODING) for part in made.walk()]


class Sent:
    """Calls that were accepted, and the mails that came of them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._ids: dict[str, str] = {}  # by recipient

    def make(self, properties: dict[str, Any]) -> str:
        """Makes a call; gives its recipient, "" when it was refused."""
        answer, ids = post(self._gateway, properties)
        if answer.status != 200:
            return ""
        first = str(next(iter(answer.json.values())))
        self._ids[first] = ids[0]
        return first

    def mails(self) -> dict[str, bytes]:
        """Waits until everything is final; gives the mails by recipient."""
        gateway = self._gateway
        for id in self._ids.values():
            until(
                lambda id=id: gateway.get(f"message/{id}").json["state"] in FINAL,
                f"{id} is final",
                tell=lambda id=id: "\n".join([line for line in gateway.log().splitlines() if id in line]),
            )  # type: ignore[misc]
        found = {}
        for one in gateway.http("GET", "/captured.json").json:
            for recipient in one["recipients"]:
                if recipient in self._ids:
                    found[recipient] = gateway.http("GET", f"/captured/{one['number']}/source").body
        return found


@pytest.fixture
def own(new_gateway: Callable[..., Gateway]) -> Gateway:
    return new_gateway(DEVELOPMENT__MAX_CAPTURED="5000")


def check_all(gateway: Gateway, pairs: Iterator[tuple[str, dict[str, Any], dict[str, Any]]]) -> int:
    """Makes hostile calls, each with its harmless twin, and compares what arrives; gives how many pairs arrived."""
    compared = 0
    while some := list(islice(pairs, AT_ONCE)):
        compared += check_some(Sent(gateway), some)
    assert not gateway.facts("rest.failed")
    assert not gateway.facts("delivery.trouble")
    return compared


def check_some(sent: "Sent", pairs: list[tuple[str, dict[str, Any], dict[str, Any]]]) -> int:
    made = [(name, sent.make(call(bad)), sent.make(call(good))) for name, bad, good in pairs]
    mails = sent.mails()
    compared = 0
    for name, bad, good in made:
        if bad not in mails:
            continue
        names = parts_of(mails[bad])
        assert not [field for part in names for field in part if field.startswith(EVIL)], (name, mails[bad])
        if good in mails:
            twin = parts_of(mails[good])
            assert len(names) == len(twin), (name, mails[bad])
            added = [Counter(its) - Counter(others) for its, others in zip(names, twin, strict=True)]
            assert not any(added), (name, added, mails[bad])
            compared += 1
    return compared


def test_no_property_and_no_value_adds_a_header(own: Gateway) -> None:
    def pairs() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        for place, make in PROPERTIES.items():
            for kind, end in ENDS.items():
                yield f"{place}: {kind}", make(hostile(end)), make("a" * 20)

    assert check_all(own, pairs()) > 50


def test_no_string_of_a_document_adds_a_header(own: Gateway) -> None:
    # nothing is asked of an address that is not public
    text = re.sub(r"(?i)https?://[^/\"{?]+", "http://10.0.0.1", json.dumps(sample("every_block")))
    document = json.loads(text) | {"from": "Joe <joe@example.com>", "subject": "Hello"}
    document["attachments"] = [FILE]
    bad_texts = [hostile("\r\n"), hostile("\r") + hostile("\n"), hostile("\x85\u2028\u2029\v"), hostile("\0")]

    def pairs() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        for path in places(copy.deepcopy(document)):
            for number, text in enumerate(bad_texts):
                if number == 0 or len(path) <= 3:
                    bad, good = put(document, path, text), put(document, path, "a" * 20)
                    yield f"{path}: {number}", {"template": bad}, {"template": good}

    assert check_all(own, pairs()) > 50


def test_form_and_multipart_say_the_same(own: Gateway, tmp_path: Path) -> None:
    sent = Sent(own)
    for end in [*ENDS.values()][:-1]:
        for name in ("subject", "from", "to", "extra[x-order]", "attachments[0][name]", "tags", "data[v]", "envelope"):
            base = {"recipient": an_address(), "from": "joe@example.com", "text": "x", "subject": "{$v}"}
            form = base | {"attachments[0][data]": "eA==", name: f"a{hostile(end)}b <joe@example.com>"}
            encoded = urllib.parse.urlencode(form)
            boundary = "b0undary"
            lines = [
                f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
                for key, value in form.items()
            ]
            file = f'--{boundary}\r\nContent-Disposition: form-data; name="attachments[1]"; filename="a%0d%0aX-Evil: 1"\r\n'
            multipart = "".join([*lines, file, "\r\nx\r\n", f"--{boundary}--\r\n"])
            for content, kind in (
                (encoded, "application/x-www-form-urlencoded"),
                (multipart, f"multipart/form-data; boundary={boundary}"),
            ):
                answer = own.http(
                    "POST", "/v1/send", content.encode(), Authorization=f"Bearer {own.token}", Content_Type=kind
                )
                assert answer.status in (200, 400), answer.text
                if answer.status == 200:
                    (id,) = answer.json
                    sent._ids[str(answer.json[id])] = id
    for mail in sent.mails().values():
        assert not [field for part in parts_of(mail) for field in part if field.startswith(EVIL)], mail


def test_half_a_character_in_utf_8_is_refused(own: Gateway) -> None:
    for body in (b'"\xed\xa0\x80"', b'"\xff"', b'"\\ud800"', b'"\\udc00\\ud800"'):
        content = b'{"recipient": "jane@example.org", "from": "joe@example.com", "text": "x", "subject": %b}' % body
        answer = own.http(
            "POST", "/v1/send", content, Authorization=f"Bearer {own.token}", Content_Type="application/json"
        )
        assert (answer.status, answer.error["code"]) == (400, "invalid_json")
