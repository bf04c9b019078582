"""Every property of a send call at its limit, below and above it; and nothing in one that could break a header (B1)."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smtpeter.content.compose import check_parts, compose
from smtpeter.doors.rest.client import Client
from smtpeter.doors.rest.declare import Reading
from smtpeter.doors.rest.send import read_draft
from smtpeter.model.message import Draft
from smtpeter.model.parts import decode
from smtpeter.model.refusal import Refused
from smtpeter.wire.headers import read_fields, split
from tests.doors.rest_rooms import open_rooms

SEND = {"recipient": "jane@example.org", "from": "joe@example.com", "text": "x"}
LIMITS: list[tuple[str, int, Callable[[int], dict[str, Any]]]] = [
    ("number of tags", 32, lambda n: {"tags": [f"t{i}" for i in range(n)]}),
    ("length of a tag", 128, lambda n: {"tags": ["x" * n]}),
    ("bytes of metadata", 4096, lambda n: {"metadata": {"a": "x" * (n - 8)}}),
    ("length of a stream", 32, lambda n: {"stream": "x" * n}),
    ("length of dsn.envid", 100, lambda n: {"dsn": {"envid": "x" * n}}),
    ("length of dsn.orcpt", 500, lambda n: {"dsn": {"orcpt": "rfc822;" + "x" * (n - 7)}}),
    ("length of an attachment's name", 255, lambda n: {"attachments": [{"data": "", "name": "x" * n}]}),
    ("length of a cid", 250, lambda n: {"attachments": [{"data": "", "cid": "x" * n}]}),
    ("number of attachments", 500, lambda n: {"attachments": [{"data": ""}] * n}),
    ("length of a web address", 900, lambda n: {"unsubscribe": {"url": "https://x.example/".ljust(n, "x")}}),
    ("length of the name of an extra field", 60, lambda n: {"extra": {"x-".ljust(n, "x"): "1"}}),
    ("number of extra fields", 500, lambda n: {"extra": {f"x-{i}": "1" for i in range(n)}}),
    ("length of a subject", 8192, lambda n: {"subject": "x" * n}),
    ("length of a local part", 64, lambda n: {"recipient": "x" * n + "@example.org"}),
    ("addresses in cc", 1000, lambda n: {"cc": ["a@x.example"] * n}),
]


@pytest.mark.parametrize(("name", "limit", "make"), LIMITS, ids=[name for name, _, _ in LIMITS])
async def test_a_property_is_taken_up_to_its_limit_and_refused_above(
    tmp_path: Path, name: str, limit: int, make: Callable[[int], dict[str, Any]]
) -> None:
    async with open_rooms(tmp_path) as house:
        answers = [await house.call("POST", "/v1/send", json=SEND | make(limit + over)) for over in (-1, 0, 1)]
    assert [answer.status_code for answer in answers] == [200, 200, 400], answers[-1].text
    error = answers[-1].json()["error"]
    assert error["field"].partition("[")[0].partition(".")[0] == next(iter(make(limit)))


BAD = ["\r\nBcc: x@example.com", "\n", "\r", "\0", "\x0b", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"]
PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "subject": lambda bad: {"subject": f"a{bad}b"},
    "from": lambda bad: {"from": f"joe{bad}@example.com"},
    "name in from": lambda bad: {"from": {"name": f"a{bad}b", "address": "joe@example.com"}},
    "list in from": lambda bad: {"from": f"A{bad} <joe@example.com>"},
    "to": lambda bad: {"to": [{"name": f"a{bad}b", "address": "jane@example.org"}]},
    "cc": lambda bad: {"cc": f'"a{bad}b" <jane@example.org>'},
    "replyto": lambda bad: {"replyto": f"jane{bad}@example.org"},
    "bcc": lambda bad: {"bcc": f"boss{bad}@example.org"},
    "recipient": lambda bad: {"recipient": f"jane{bad}@example.org"},
    "envelope": lambda bad: {"envelope": f"joe@exam{bad}ple.com"},
    "extra": lambda bad: {"extra": {"x-a": f"a{bad}b"}},
    "name in extra": lambda bad: {"extra": {f"x-a{bad}b": "1"}},
    "attachment's name": lambda bad: {"attachments": [{"data": "eA==", "name": f"a{bad}b"}]},
    "attachment's type": lambda bad: {"attachments": [{"data": "eA==", "type": f"text/plain{bad}"}]},
    "attachment's cid": lambda bad: {"attachments": [{"data": "eA==", "cid": f"a{bad}b"}]},
    "unsubscribe.email": lambda bad: {"unsubscribe": {"email": f"a{bad}b@example.com"}},
    "unsubscribe.url": lambda bad: {"unsubscribe": {"url": f"https://example.com/a{bad}b"}},
    "dsn.envid": lambda bad: {"dsn": {"envid": f"a{bad}b"}},
    "dsn.orcpt": lambda bad: {"dsn": {"orcpt": f"rfc822;a{bad}b"}},
    "stream": lambda bad: {"stream": f"a{bad}b"},
    "text": lambda bad: {"text": f"a{bad}b"},
    "html": lambda bad: {"html": f"a{bad}b"},
}
EXPECTED = {
    *(b"from", b"to", b"cc", b"reply-to", b"subject", b"date", b"message-id", b"mime-version", b"x-a"),
    *(b"content-type", b"content-transfer-encoding", b"list-unsubscribe"),
}


def composed(properties: dict[str, Any]) -> tuple[Draft, bytes] | None:
    """Gives the draft and its mail, None when the call is refused."""
    try:
        draft = read_draft(SEND | properties, Reading(), Client("192.0.2.1", True))
        parts = decode(draft.source.content)
        check_parts(parts)
    except Refused as refused:
        assert refused.refusal.http_status == 400
        return None
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    return draft, compose(parts, recipient=draft.recipients[0].address, message_id="0abc", date=moment)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("bad", BAD, ids=ascii)
def test_no_control_gets_from_a_property_into_a_header_or_a_command(place: str, bad: str) -> None:
    made = composed(PLACES[place](bad))
    if place in ("text", "html"):
        assert made is not None
    if made is None:
        return
    draft, mail = made
    head = split(mail)[0]
    assert {field.name for field in read_fields(head)} <= EXPECTED
    assert not any(
        ord(c) < 32 or c in "\x7f\x85\u2028\u2029" for c in head.decode().replace("\r\n", "").replace("\t", "")
    )
    commands = [draft.envelope or "", draft.options.envid, draft.options.stream]
    commands += [text for recipient in draft.recipients for text in (recipient.address, recipient.dsn.orcpt)]
    assert "".join(commands).isprintable()


def test_every_place_is_one_that_takes_the_text_without_the_bad_character() -> None:
    assert [place for place, make in PLACES.items() if composed(make("")) is None] == []
