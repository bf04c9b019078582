"""A store, a web, what fetches from it and what makes mail, in virtual time; and messages to make."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from smtpeter.content.letter import Letters
from smtpeter.content.render import Tools
from smtpeter.model import parts
from smtpeter.model.account import AccountId
from smtpeter.model.message import Message, Options, Received, Recipient, Source, SourceKind, message_id
from smtpeter.model.parts import Attachment, LetterParts, Mailbox, Parts
from smtpeter.prepare.fetching import Fetching
from smtpeter.prepare.renderer import Renderer
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.executor import InlineExecutor
from smtpeter.store.store import Store, open_store
from smtpeter.testing.network import Network
from smtpeter.testing.virtual_time import VirtualClock
from smtpeter.testing.web import Web
from smtpeter.testing.zone import Zone
from smtpeter.wire.token import Key, Keyring


@dataclass
class Rooms:
    """`mine` and `others` are accounts."""

    store: Store
    clock: VirtualClock
    zone: Zone
    network: Network
    web: Web
    fetching: Fetching
    mine: AccountId
    others: AccountId
    tools: Tools

    def renderer(self) -> Renderer:
        """Gives the renderer of one more process."""
        return Renderer(self.store, self.clock, self.tools, Fetching(self.store, self.clock, self.web.client))


@asynccontextmanager
async def open_rooms(folder: Path) -> AsyncIterator[Rooms]:
    clock, zone, network = VirtualClock(), Zone(), Network()
    web = Web(network, zone)
    store = await open_store(f"sqlite:{folder}/mail.sqlite", commits=InlineExecutor(), reads=InlineExecutor())
    made = [await store.write(put_account, NewAccount(name, clock.now())) for name in ("mine", "others")]
    fetching = Fetching(store, clock, web.client)
    try:
        tools = Tools("gate.example.com", Keyring([Key(0, bytes(32))]), Letters())
        yield Rooms(store, clock, zone, network, web, fetching, made[0].id, made[1].id, tools)
    finally:
        await fetching.close()
        await store.close()
        await network.close()


def message(source: Source, *, ordinal: int = 0, data: str = "", submission: str = "A" * 20, **options: Any) -> Message:
    """Gives a message of the first account."""
    accepted = datetime(2026, 3, 31, 8, tzinfo=UTC)
    return Message(
        id=message_id(submission, ordinal),
        account=AccountId(1),
        submission=submission,
        ordinal=ordinal,
        recipient=Recipient(f"user{ordinal}@example.net", "example.net", data=data),
        envelope="news@example.org",
        options=Options(**options),
        received=Received("HTTPS"),
        from_domain="example.org",
        accepted=accepted,
        expires=accepted + timedelta(days=1),
        lane="mx:mx.example.net",
        claim=1,
        attempt=0,
        unsettled=0,
        source=source,
    )


def mime(content: bytes) -> Source:
    return Source(SourceKind.MIME, content)


def call(*urls: str, html: str | None = None, data: str | None = None, **more: Any) -> Source:
    """Gives a send call with files by URL."""
    files = tuple(Attachment(b"", url=url) for url in urls)
    made = Parts(Mailbox("news@example.org"), subject="News", text="Hello", html=html, attachments=files, **more)
    return Source(SourceKind.PARTS, parts.encode(made), data)


def letter(*blocks: dict[str, Any], data: str = "{}", **document: Any) -> Source:
    """Gives a document with these blocks."""
    whole = {"from": "news@example.org", "subject": "News", "content": {"blocks": list(blocks)}, **document}
    return Source(SourceKind.LETTER, parts.encode(LetterParts(json.dumps(whole))), data)
