"""A store, a web and what fetches from it, in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from smtpeter.model.account import AccountId
from smtpeter.prepare.fetching import Fetching
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.executor import InlineExecutor
from smtpeter.store.store import Store, open_store
from smtpeter.testing.network import Network
from smtpeter.testing.virtual_time import VirtualClock
from smtpeter.testing.web import Web
from smtpeter.testing.zone import Zone


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


@asynccontextmanager
async def open_rooms(folder: Path) -> AsyncIterator[Rooms]:
    clock, zone, network = VirtualClock(), Zone(), Network()
    web = Web(network, zone)
    store = await open_store(f"sqlite:{folder}/mail.sqlite", commits=InlineExecutor(), reads=InlineExecutor())
    made = [await store.write(put_account, NewAccount(name, clock.now())) for name in ("mine", "others")]
    fetching = Fetching(store, clock, web.client)
    try:
        yield Rooms(store, clock, zone, network, web, fetching, made[0].id, made[1].id)
    finally:
        await fetching.close()
        await store.close()
        await network.close()
