"""`python -m bench.clicks_server FOLDER`: one process that answers clicks durably, or `--constant` a fixed redirect.

The door, its listener and its store are those of the gateway; the store holds an account with messages whose links are
written to FOLDER/links, one a line. The constant is the least that an application on the same server can do. The port
stands on the first line of the output. It ends when its input does.
"""

import argparse
import asyncio
import gc
import secrets
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from smtpeter.content.rewrite.address import around_token, read_address
from smtpeter.doors.track.door import TrackRooms, build_track
from smtpeter.doors.web import mount
from smtpeter.model.account import AccountId
from smtpeter.model.message import (
    Message,
    Options,
    Received,
    Recipient,
    Source,
    SourceKind,
    Submission,
    message_id,
    new_submission_id,
)
from smtpeter.store.accept import AcceptItem, accept
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.origins import Origins, number_origins
from smtpeter.store.store import Store, open_store
from smtpeter.wire.token import Key, Keyring, Kind
from smtpeter.world import http_listener, metrics
from smtpeter.world.clock import SystemClock
from smtpeter.world.fetch.request import Fetched, Request
from smtpeter.world.fetch.trouble import FetchTrouble, Slug

BASE = "http://127.0.0.1"
MESSAGES = 500
LINKS = 4  # of each message
TARGET = "https://www.shop.example/offers/autumn?id={number}&utm_source=letter&utm_campaign=2026-11"
_ANSWER = [(b"location", TARGET.format(number=1).encode()), (b"content-length", b"0"), (b"cache-control", b"no-store")]


class NoWeb:
    """No picture is asked for here."""

    async def fetch(self, request: Request) -> Fetched:
        raise FetchTrouble(Slug.CONNECT)


class NoPages:
    """Nor a page."""

    async def webversion(self, message: Message) -> str | None:
        return None


async def constant(scope: Any, receive: Any, send: Any) -> None:
    """Answers every request with the same redirect."""
    await receive()
    await send({"type": "http.response.start", "status": 302, "headers": _ANSWER})
    await send({"type": "http.response.body", "body": b""})


async def _links(store: Store, ring: Keyring, account: AccountId) -> list[str]:
    """Accepts messages and gives the path and query of their links."""
    now = SystemClock().now()
    recipients = tuple(Recipient(f"user{n}@dest.test", "dest.test") for n in range(MESSAGES))
    made = Submission(
        id=new_submission_id(int(now.timestamp() * 1000), secrets.randbits(71)),
        account=account,
        accepted=now,
        envelope="news@bench.test",
        recipients=recipients,
        source=Source(SourceKind.MIME, b"Subject: news\r\n\r\nNews.\r\n"),
        options=Options(),
        received=Received("HTTP"),
        from_domain="bench.test",
    )
    await store.write(accept, AcceptItem(made, ("lane",) * MESSAGES, "trackclicks", None))
    links = []
    for number in range(LINKS):
        address = read_address(TARGET.format(number=number))
        assert address is not None
        numbers = await store.write(number_origins, Origins(account, (address.origin,)))
        before, _ = around_token("", address)
        for ordinal in range(MESSAGES):
            sealer = ring.sealer(account, message_id(made.id, ordinal))
            links.append(before + sealer.seal(Kind.CLICK, numbers[address.origin], address.comparable))
    return links


async def _serve_door(folder: Path) -> None:
    metrics.open_metrics(folder / "metrics")
    store = await open_store(f"sqlite:{folder}/mail.sqlite")
    clock, ring = SystemClock(), Keyring([Key(0, secrets.token_bytes(32))])
    account = (await store.write(put_account, NewAccount("bench", clock.now()))).id
    (folder / "links").write_text("\n".join(await _links(store, ring, account)))
    track = build_track(TrackRooms(store, clock, ring, NoPages(), NoWeb(), BASE))
    listener = await http_listener.start(mount(constant, [], constant, track), _listening(), None, 5)
    gc.freeze()
    await _until_the_end(listener.port)
    await listener.close()
    await track.close()
    await store.close()


async def _serve_constant() -> None:
    listening = _listening()
    config = uvicorn.Config(constant, http="httptools", lifespan="off", access_log=False, log_level="warning")
    task = asyncio.create_task(uvicorn.Server(config).serve(sockets=[listening]))
    await _until_the_end(listening.getsockname()[1])
    task.cancel()


def _listening() -> socket.socket:
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listening.setblocking(False)
    return listening


async def _until_the_end(port: int) -> None:
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Serves until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m bench.clicks_server")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--constant", action="store_true")
    options = parser.parse_args()
    uvloop.run(_serve_constant() if options.constant else _serve_door(options.folder))


if __name__ == "__main__":
    main()
