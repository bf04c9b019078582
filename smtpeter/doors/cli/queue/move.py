"""`smtpeter queue flush | drop`: mail that waits is tried now, or not at all."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from smtpeter.config import Config
from smtpeter.doors.cli.queue.chosen import NOTHING, Chosen, selection, who
from smtpeter.doors.cli.shared import COMMON, Common, fail, show, with_store
from smtpeter.doors.queue import drop_all, droppable, flush_all
from smtpeter.store.store import Store
from smtpeter.world.log import log


def flush(
    ids: list[str] | None = None,
    /,
    *,
    chosen: Chosen = NOTHING,
    all: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> None:
    """Makes deferred mail due now. What a worker has at this moment, or a pause holds back, stays as it is.

    Example: smtpeter queue flush --lane example.com

    Example: smtpeter queue flush 01KAbcdefghij0123456

    Parameters
    ----------
    ids
        Only these messages.
    all
        All deferred mail.
    """
    _check(ids, chosen, all)

    async def work(store: Store, config: Config) -> None:
        found = await selection(store, chosen, ids)
        moved = await flush_all(store, found, datetime.now(UTC))
        log("queue.flushed", who=who(), **asdict(found), count=moved.count)
        show(common, {"flushed": moved.count}, f"{_messages(moved.count)} due now.")

    with_store(common, work)


def drop(
    ids: list[str] | None = None,
    /,
    *,
    chosen: Chosen = NOTHING,
    all: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="")] = False,
    reason: str = "dropped by the operator",
    common: Common = COMMON,
) -> None:
    """Cancels mail that waits: it is never delivered, and its events say so. What a worker has stays.

    Without --yes it only tells how many messages it would be.

    Example: smtpeter queue drop --domain example.com

    Example: smtpeter queue drop --domain example.com --account acme --yes --reason "sent by mistake"

    Parameters
    ----------
    ids
        Only these messages.
    all
        All mail that waits.
    yes
        Do it.
    reason
        What the events of the messages say.
    """
    _check(ids, chosen, all)
    if not reason or len(reason) > 200 or not reason.isprintable():
        fail("A reason has 1 to 200 characters, none of them a control character.", 2)

    async def work(store: Store, config: Config) -> None:
        found = await selection(store, chosen, ids)
        now = datetime.now(UTC)
        if not yes:
            count = await droppable(store, found, now)
            text = f"{count} message{'' if count == 1 else 's'} would be dropped; add --yes to do it."
            show(common, {"dropped": 0, "would_be_dropped": count}, text)
            return
        moved = await drop_all(store, found, reason, now)
        log("queue.dropped", who=who(), **asdict(found), reason=reason, count=moved.count)
        show(common, {"dropped": moved.count}, f"{_messages(moved.count)} cancelled.")

    with_store(common, work)


def _check(ids: list[str] | None, chosen: Chosen, is_all: bool) -> None:
    if is_all == bool(ids or chosen != NOTHING):
        fail("Say which mail: ids, --lane, --domain, --account; or --all, alone.", 2)


def _messages(count: int) -> str:
    return "1 message is" if count == 1 else f"{count} messages are"
