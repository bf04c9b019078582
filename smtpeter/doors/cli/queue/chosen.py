"""What the commands of the queue share: which mail is meant, checked entries, and who is at the shell.

What an operator does is logged with that name.
"""

import getpass
import os
from dataclasses import dataclass
from datetime import UTC, datetime

from cyclopts import Parameter

from smtpeter.config import Config
from smtpeter.doors.cli.shared import account_named, fail
from smtpeter.doors.queue import in_ascii, lanes_meant
from smtpeter.doors.steering import Unusable, WayOut, forget, keep, way_out_of
from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageId, is_message_id
from smtpeter.model.steering import Entry, Steer, Stored
from smtpeter.store.accounts import accounts
from smtpeter.store.store import Store
from smtpeter.store.waiting import Selection

MAX_IDS = 1000
TIME = "%Y-%m-%d %H:%M:%S"


@Parameter(name="*")
@dataclass(frozen=True)
class Chosen:
    """Which mail is meant: what fits all that is given.

    Parameters
    ----------
    lane
        A lane as the list shows it; or a domain, provider or mail host, whose lanes are meant.
    domain
        The domain of the recipients.
    account
        The account that sends.
    """

    lane: str = ""
    domain: str = ""
    account: str = ""


NOTHING = Chosen()


async def selection(store: Store, chosen: Chosen, ids: list[str] | None = None) -> Selection:
    """Gives what is chosen; ends the program when there is no such lane, account or form of id."""
    given = tuple(map(message_id, ids or ()))
    if len(given) > MAX_IDS:
        fail(f"Give at most {MAX_IDS} ids at once.", 2)
    account = await account_number(store, chosen.account)
    lanes: tuple[str, ...] = ()
    if chosen.lane:
        lanes = await lanes_meant(store, chosen.lane, datetime.now(UTC))
        if not lanes:
            fail(f"No mail waits in a lane {chosen.lane}; `smtpeter queue list` shows those there are.")
    return Selection(lanes, in_ascii(chosen.domain), account, given)


def message_id(text: str) -> MessageId:
    """Reads the id of a message; ends the program when it is none."""
    if not is_message_id(text):
        fail(f"{text!r} is not a message id; it has 20 letters and digits, perhaps with -1, -2 … behind.", 2)
    return MessageId(text)


async def account_number(store: Store, name: str) -> AccountId | None:
    """Gives the number of an account, None for no name."""
    return (await account_named(store, name)).id if name else None


async def account_names(store: Store) -> dict[AccountId, str]:
    """Gives the names of all accounts by their numbers."""
    return {account.id: account.name for account in await store.read(accounts, None)}


def way_out(config: Config) -> WayOut:
    """Gives what the configuration says of the way out; ends the program when its rules cannot be read."""
    try:
        return way_out_of(config.delivery)
    except ValueError as wrong:
        fail(f"The rules of the configuration cannot be read: {wrong}", 2)


async def keep_entry(store: Store, config: Config, entry: Entry, position: int | None = None) -> Stored:
    """Stores an entry; ends the program when it cannot be used."""
    try:
        return await keep(store, entry, way_out(config), datetime.now(UTC), position)
    except Unusable as wrong:
        fail(str(wrong), 2)


async def remove(store: Store, kind: Steer, id: int) -> Stored:
    """Removes an entry and gives it; ends the program when there is none."""
    removed = await forget(store, kind, id)
    if removed is None:
        fail(f"There is no {kind} {id}.")
    return removed


def who() -> str:
    """Gives the name of the user at the shell, as the log has it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container a number may have no name
        user = str(os.getuid())
    behind = os.environ.get("SUDO_USER", "")
    return f"shell:{behind} as {user}" if behind else f"shell:{user}"
