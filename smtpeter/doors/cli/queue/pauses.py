"""`smtpeter queue pause | pauses | resume`: mail that is held back until somebody lets it go."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from smtpeter.config import Config
from smtpeter.config.values import read_duration
from smtpeter.doors.cli.queue.chosen import TIME, account_names, account_number, keep_entry, remove, who
from smtpeter.doors.cli.shared import COMMON, Common, fail, show, table, with_store
from smtpeter.doors.steering import log_removed, log_stored, pauses_of_lane, shown, stored_of
from smtpeter.model.account import AccountId
from smtpeter.model.steering import Pause, Steer, Stored
from smtpeter.store.store import Store

_CRITERIA = ("lane", "domain", "pool", "address", "account", "stream", "tag")


def pause(
    *,
    lane: str = "",
    domain: str = "",
    pool: str = "",
    address: str = "",
    account: str = "",
    stream: str = "",
    tag: str = "",
    duration: Annotated[str, Parameter(name="--for")] = "",
    reason: str = "",
    all_mail: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> None:
    """Holds back mail that fits all that is given, until it is resumed or the time is over. What is on its way goes on.

    A second pause of the same mail lengthens the first one.

    Example: smtpeter queue pause --lane google --for 2h --reason "they are in trouble"

    Example: smtpeter queue pause --account acme --stream bulk

    Parameters
    ----------
    lane
        A lane, a provider, a mail host or *.example.com; or a domain that has mail waiting: its lanes.
    domain
        A recipient domain or *.example.com.
    pool
        What leaves from this pool of local addresses.
    address
        What would leave from this local address.
    account
        What this account sends.
    stream
        What is in this stream.
    tag
        What has this tag.
    duration
        How long, as 90s, 30m, 2h or 1d; without it until it is resumed.
    reason
        Why, in a few words.
    all_mail
        All mail of the installation.
    """
    is_bound = any((lane, domain, pool, address, account, stream, tag))
    if is_bound == all_mail:
        fail(f"Say which mail with --{', --'.join(_CRITERIA)}; or --all-mail, alone.", 2)

    async def work(store: Store, config: Config) -> None:
        now = datetime.now(UTC)
        until = _until(duration, now)
        wish = Pause(lane, domain, pool, address, await account_number(store, account), stream, tag, reason, until)
        wishes = await pauses_of_lane(store, wish, now)
        made = [await keep_entry(store, config, one) for one in wishes]
        names = await account_names(store)
        for stored in made:
            log_stored(stored, names, who())
        hint = "\n--domain holds back only what goes to the domain." if wishes != [wish] else ""
        text = "\n".join(f"Pause {one.id}: {_of(one, names)}, {_ends(one)}." for one in made)
        show(common, [shown(one, names) for one in made], text + hint)

    with_store(common, work)


def pauses(*, common: Common = COMMON) -> None:
    """Lists the pauses in force.

    Example: smtpeter queue pauses
    """

    async def work(store: Store, config: Config) -> None:
        names = await account_names(store)
        found = [stored for stored, _ in await stored_of(store, Pause, datetime.now(UTC))]
        rows = [(one.id, _of(one, names), _ends(one), f"{one.created:{TIME}}", _reason(one)) for one in found]
        text = table(("id", "mail", "until", "since", "reason"), rows) if rows else "Nothing is paused."
        show(common, [shown(one, names) for one in found], text)

    with_store(common, work)


def resume(
    ids: list[int] | None = None,
    /,
    *,
    all: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> None:
    """Ends pauses; what they held back goes on within a second or two.

    Example: smtpeter queue resume 3

    Parameters
    ----------
    ids
        The numbers that `smtpeter queue pauses` shows.
    all
        All of them.
    """
    if all == bool(ids):
        fail("Say which pauses by their numbers; or --all, alone.", 2)

    async def work(store: Store, config: Config) -> None:
        names = await account_names(store)
        known = {stored.id for stored, _ in await stored_of(store, Pause, datetime.now(UTC))}
        wanted = sorted(known if all else {*(ids or ())})
        if unknown := ", ".join([str(id) for id in wanted if id not in known]):
            fail(f"There is no pause {unknown}; `smtpeter queue pauses` shows those there are.")
        ended = [await remove(store, Steer.PAUSE, id) for id in wanted]
        for one in ended:
            log_removed(one, names, who())
        text = "\n".join(f"Pause {one.id} is over: {_of(one, names)}." for one in ended)
        show(common, [shown(one, names) for one in ended], text or "Nothing is paused.")

    with_store(common, work)


def _until(duration: str, now: datetime) -> datetime | None:
    if not duration:
        return None
    try:
        return now + read_duration(duration)
    except (ValueError, OverflowError):
        fail("--for is a duration, as 90s, 30m, 2h or 1d.", 2)


def _of(stored: Stored, names: dict[AccountId, str]) -> str:
    about = shown(stored, names)
    said = [f"{name} {about[name]}" for name in _CRITERIA if about[name]]
    return ", ".join(said) or "all mail"


def _ends(stored: Stored) -> str:
    until = stored.entry.until if isinstance(stored.entry, Pause) else None
    return "until it is resumed" if until is None else f"until {until:{TIME}}"


def _reason(stored: Stored) -> str:
    return stored.entry.reason if isinstance(stored.entry, Pause) else ""
