"""The REST door over the real rooms and a real store, with two accounts that hold the same kinds of things."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from msgspec.structs import replace

from smtpeter.content.letter import Letters
from smtpeter.content.render import Tools
from smtpeter.doors.rest.app import build_app
from smtpeter.doors.rest.rooms import Rooms
from smtpeter.doors.rest.settings import RestSettings
from smtpeter.model import parts
from smtpeter.model.account import Account, Identity
from smtpeter.model.message import MessageId, Options, Source, SourceKind
from smtpeter.model.parts import Attachment, Mailbox, Parts
from smtpeter.prepare.fetching import Fetching
from smtpeter.prepare.gather import Fetch, fetch_nothing
from smtpeter.prepare.renderer import Renderer
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.credentials import NewToken, put_token, token_digest
from smtpeter.store.sender_domains import NewDomain, put_domain
from smtpeter.testing.network import Network
from smtpeter.testing.web import Web
from smtpeter.testing.zone import Zone
from smtpeter.wire.token import Key, Keyring
from tests.intake.house import T0, House, draft, open_intake, recipient

MINE, OTHERS = "mine", "others"
SECRETS = {
    "all": (MINE, "send,read,manage", False),
    "sender": (MINE, "send", False),
    "reader": (MINE, "read", False),
    "manager": (MINE, "manage", False),
    "sandbox": (MINE, "send,read,manage", True),
    "foreign": (OTHERS, "send,read,manage", False),
}
FILES = (
    Attachment(b"%PDF-1.7 x", "invoice.pdf", "application/pdf"),
    Attachment(b"<script>alert(1)</script>", "page.html", "text/html"),
    Attachment(b"1;2", 'Übersicht "1".csv', "text/csv"),
    Attachment(b"\x89PNG", "logo.png", "image/png", "logo"),
)
WITH_FILES = Parts(
    Mailbox("joe@example.com"), subject="Files", text="x", html='<img src="cid:logo">', attachments=FILES
)


@dataclass
class RestHouse:
    """A door, the intake behind it, and its accounts. Messages wait in the queue unless `delivers` says otherwise."""

    intake: House
    accounts: dict[str, Account]
    transport: httpx2.ASGITransport

    async def call(self, method: str, path: str, *, token: str = "all", **options: Any) -> httpx2.Response:
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        async with httpx2.AsyncClient(transport=self.transport, base_url="http://gate.example.com") as client:
            return await client.request(method, path, headers=headers, **options)

    async def accept(
        self,
        *addresses: str,
        account: str = MINE,
        subject: str = "Hello",
        tags: tuple[str, ...] = (),
        content: Parts | None = None,
        is_under_way: bool = False,
    ) -> list[MessageId]:
        """Accepts a message; `is_under_way`: a worker holds it at once."""
        self.intake.onward.has_room = is_under_way
        source = parts.encode(content or Parts(Mailbox("joe@example.com"), subject=subject, text="Good morning."))
        given = draft(b"", *map(recipient, addresses or ("jane@example.org",)), options=Options(tags=tags))
        identity = Identity(self.accounts[account], "token:0", self.accounts[account].features)
        return await self.intake.intake.accept(identity, replace(given, source=Source(SourceKind.PARTS, source)))


@asynccontextmanager
async def open_rooms(folder: Path, fetch: Fetch | None = None) -> AsyncIterator[RestHouse]:
    """Opens the door; the store is closed at the end. `fetch` is the web of templates."""
    intake = await open_intake(folder)
    try:
        accounts = {name: await intake.store.write(put_account, NewAccount(name, T0)) for name in (MINE, OTHERS)}
        for account in accounts.values():
            await intake.store.write(put_domain, NewDomain(account.id, "example.com", T0, approved=T0))
        for secret, (owner, scopes, is_sandbox) in SECRETS.items():
            wanted = frozenset(scopes.split(","))
            item = NewToken(accounts[owner].id, secret, secret, token_digest(secret), wanted, T0, is_sandbox)
            await intake.store.write(put_token, item)
        tools = Tools("gate.example.com", Keyring([Key(0, bytes(32))]), Letters())
        web = Web(Network(), Zone())
        renderer = Renderer(intake.store, intake.clock, tools, Fetching(intake.store, intake.clock, web.client))
        rooms = Rooms(
            intake.store,
            intake.intake,
            intake.identify,
            intake.clock,
            "gate.example.com",
            renderer,
            fetch_for=lambda account: fetch or fetch_nothing,
        )
        settings = RestSettings(b"key", allows_loopback_http=True)
        app = build_app(rooms, settings, intake.clock.monotonic)
        yield RestHouse(intake, accounts, httpx2.ASGITransport(app=app, client=("127.0.0.1", 1)))
    finally:
        intake.identify.close()
        await intake.store.close()
