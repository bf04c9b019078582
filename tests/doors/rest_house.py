"""A REST door over a small gateway in memory, and a client that calls it without a socket."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from smtpeter.doors.rest.app import build_app
from smtpeter.doors.rest.gateway import EventView, MessageView, Version
from smtpeter.doors.rest.settings import RestSettings
from smtpeter.intake.accept import Outcome
from smtpeter.intake.repeats import Idempotency
from smtpeter.model.account import Account, AccountId, Features, Identity
from smtpeter.model.event import Accepted, Cancel, Deferral, Delivery, Failure
from smtpeter.model.message import Draft, MessageId, MessageState, message_id
from smtpeter.model.refusal import Refused
from smtpeter.store.answers import Answer

MINE, OTHERS = AccountId(1), AccountId(2)
SENT = MessageId("A" * 20)
FOREIGN = MessageId("B" * 20)
TEXT_ONLY = MessageId("C" * 20)
MORNING = datetime(2026, 3, 31, 8, 0, 0, 250_000, tzinfo=UTC)
MIME = (
    b"From: ann@example.com\r\nTo: bob@example.net\r\nSubject: Hi\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative; boundary="x"\r\n\r\n'
    b"--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
    b"--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<b>Hi</b>\r\n--x--\r\n"
)


def identity(number: AccountId, *scopes: str) -> Identity:
    return Identity(Account(number, "name"), f"token:{number}", Features(), scopes=frozenset(scopes))


def view(id: MessageId) -> MessageView:
    return MessageView(
        id,
        MessageState.DELIVERED,
        "bounces@example.com",
        "bob@example.net",
        ("invoice", "march"),
        "Hi",
        len(MIME),
        MORNING,
        MORNING + timedelta(days=1),
        None,
        MORNING + timedelta(seconds=75),
    )


def dialogue(cls: type[Any], attempt: int, code: int, **more: Any) -> Any:
    facts = {"local_ip": "192.0.2.1", "remote_ip": "192.0.2.2", "type": "error", "status": "4.7.1", "state": "rcptto"}
    facts |= {"description": "come back later", "mta": "mx.example.net", "transcript": "C: EHLO x\nS: 250 ok"}
    return cls(attempt=attempt, code=code, **{**facts, **more})


EVENTS = [
    EventView(11, MORNING, Accepted("trackopens")),
    EventView(
        12,
        MORNING + timedelta(seconds=1),
        dialogue(Deferral, 0, 451, tls_version="TLSv1.3", tls_cipher="C", durations="connect=0.003 rcptto=0.010"),
    ),
    EventView(15, MORNING + timedelta(seconds=75), dialogue(Delivery, 1, 250, type="accepted", state="message")),
    EventView(16, MORNING + timedelta(days=40), Cancel("late")),
    EventView(17, MORNING + timedelta(days=40), dialogue(Failure, 2, 0, type="timeout", state="process")),
]


@dataclass
class MemoryGateway:
    """Knows three tokens and three messages; keeps the drafts it accepts. `refusal` is raised by accept when set."""

    drafts: list[Draft] = field(default_factory=list)
    refusal: Exception | None = None
    identities: dict[str, Identity] = field(
        default_factory=lambda: {
            "all": identity(MINE, "send", "read"),
            "sender": identity(MINE, "send"),
            "reader": identity(MINE, "read"),
        }
    )

    async def identify(self, token: str) -> Identity | None:
        return self.identities.get(token)

    async def accept(
        self, identity: Identity, draft: Draft, idempotency: Idempotency[list[MessageId]] | None = None
    ) -> list[MessageId] | Answer:
        if self.refusal:
            raise self.refusal
        self.drafts.append(draft)
        return [message_id("S" * 20, n) for n in range(len(draft.recipients))]

    async def accept_batch(
        self, identity: Identity, drafts: Sequence[Draft | Refused], idempotency: Idempotency[list[Outcome]] | None
    ) -> list[Outcome] | Answer:
        outcomes: list[Outcome] = []
        for draft in drafts:
            try:
                found = draft if isinstance(draft, Refused) else await self.accept(identity, draft)
            except Refused as refused:
                found = refused
            assert not isinstance(found, Answer)
            outcomes.append(found)
        return outcomes

    async def message(self, account: AccountId, id: MessageId) -> MessageView | None:
        return view(id) if (account, id) in {(MINE, SENT), (MINE, TEXT_ONLY), (OTHERS, FOREIGN)} else None

    async def events(self, account: AccountId, id: MessageId) -> list[EventView] | None:
        return EVENTS if await self.message(account, id) else None

    async def content(self, account: AccountId, id: MessageId, version: Version) -> bytes | None:
        if await self.message(account, id) is None:
            return None
        if id == TEXT_ONLY:
            return b"Subject: only\r\n\r\nwords\r\n"
        return b"Received: from x\r\n" + MIME if version is Version.SENT else MIME


class House:
    """The door with its gateway. `call` answers one request, with the token of all scopes unless told otherwise."""

    def __init__(self, client: tuple[str, int] = ("127.0.0.1", 1), **settings: Any) -> None:
        self.gateway = MemoryGateway()
        self.seconds = 0.0
        chosen = {"allows_loopback_http": True, **settings}
        self.app = build_app(self.gateway, RestSettings(b"key", **chosen), lambda: self.seconds)
        self._transport = httpx2.ASGITransport(app=self.app, client=client)

    async def call(self, method: str, path: str, *, token: str = "all", **options: Any) -> httpx2.Response:
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        base = options.pop("base", "http://gate.example.com")
        async with httpx2.AsyncClient(transport=self._transport, base_url=base) as client:
            return await client.request(method, path, headers=headers, **options)

    async def send(self, properties: dict[str, Any]) -> httpx2.Response:
        return await self.call("POST", "/v1/send", json=properties)

    async def draft(self, **properties: Any) -> Draft:
        """Gives the draft that a complete call with these properties makes."""
        answer = await self.send({"recipient": "bob@example.net", "from": "ann@example.com", "text": "x"} | properties)
        assert answer.status_code == 200, answer.text
        return self.gateway.drafts[-1]

    async def refusal(self, **properties: Any) -> tuple[str, str]:
        """Gives code and field of the 400 that a call with these properties gets, which must leave no draft."""
        answer = await self.send({"recipient": "bob@example.net", "from": "ann@example.com", "text": "x"} | properties)
        assert answer.status_code == 400, answer.text
        assert not self.gateway.drafts
        error = answer.json()["error"]
        assert error["message"][0].isprintable()
        assert error["message"].endswith((".", "}"))
        return error["code"], error["field"]


def refused(slug: str, **fields: object) -> Refused:
    return Refused(slug, **fields)  # type: ignore[arg-type]
