"""`smtpeter account`: the tenants, and what holds for all their mail."""

from datetime import UTC, datetime
from typing import Any

from cyclopts import App
from msgspec.structs import replace

from smtpeter.config import Config
from smtpeter.doors.cli.shared import COMMON, Common, account_named, fail, show, table, with_store
from smtpeter.intake.options import MAX_STREAMS, SHIPPED, is_stream
from smtpeter.model.account import Account, AccountSettings, Features
from smtpeter.store.accounts import NewAccount, accounts, put_account
from smtpeter.store.accounts import account_named as find_account
from smtpeter.store.store import Store

SWITCHES = ("inlinecss", "trackclicks", "trackopens", "trackbounces", "preventscam")
SETTINGS = ("autotext", "trackplaintext", "trackimages")
_WORDS = {"on": True, "off": False}

account = App(name="account", help="Accounts: the tenants of the gateway, and what holds for all their mail.")


@account.command(name="create")
def account_create(name: str, common: Common = COMMON) -> None:
    """Makes an account.

    Example: smtpeter account create acme
    """

    async def work(store: Store, config: Config) -> None:
        if await store.read(find_account, name) is not None:
            fail(f"There is an account {name!r} already.")
        made = await store.write(put_account, NewAccount(name, datetime.now(UTC)))
        show(common, {"id": made.id, "name": made.name}, f"Account {made.name} is made (number {made.id}).")

    with_store(common, work)


@account.command(name="list")
def account_list(common: Common = COMMON) -> None:
    """Lists the accounts."""

    async def work(store: Store, config: Config) -> None:
        found = await store.read(accounts, None)
        rows = [(a.id, a.name, a.suspended or "active") for a in found]
        values = [{"id": a.id, "name": a.name, "suspended": a.suspended} for a in found]
        show(common, values, table(("id", "name", "state"), rows))

    with_store(common, work)


@account.command(name="show")
def account_show(*, account: str = "", common: Common = COMMON) -> None:
    """Shows an account: its features, which hold for mail whose login and call say nothing else, and its settings.

    Example: smtpeter account show --account acme
    """

    async def work(store: Store, config: Config) -> None:
        _show(common, await account_named(store, account))

    with_store(common, work)


@account.command(name="set")
def account_set(
    *,
    account: str = "",
    inlinecss: str = "",
    trackclicks: str = "",
    trackopens: str = "",
    trackbounces: str = "",
    preventscam: str = "",
    images: str = "",
    autotext: str = "",
    trackplaintext: str = "",
    trackimages: str = "",
    manageunsubscribe: str | None = None,
    common: Common = COMMON,
) -> None:
    """Changes an account; what is not named stays. It holds for mail that is accepted from then on, within a second.

    Example: smtpeter account set --account acme --trackopens off --manageunsubscribe bulk,news

    Parameters
    ----------
    inlinecss
        on, off, or default: the rules of style sheets go into the elements.
    trackclicks
        on, off, or default: links lead over the gateway, which tells of clicks.
    trackopens
        on, off, or default: a picture of the mail tells when it is opened.
    trackbounces
        on, off, or default: bounces come to the gateway.
    preventscam
        on, off, or default: links whose text is their address stay as they are.
    images
        hosted (embedded images are kept here and linked), inline (they stay in the mail), or default.
    autotext
        on or off: mail with HTML alone gets a text part.
    trackplaintext
        on or off: links in text parts are tracked too.
    trackimages
        on or off: pictures of mail whose opening is told come over the gateway.
    manageunsubscribe
        The streams whose readers leave through the gateway, comma separated; "" for none.
    """
    given = {
        "inlinecss": inlinecss,
        "trackclicks": trackclicks,
        "trackopens": trackopens,
        "trackbounces": trackbounces,
        "preventscam": preventscam,
    }
    features: dict[str, Any] = {n: _word(n, text, has_default=True) for n, text in given.items() if text}
    if images:
        features["images"] = _images(images)
    plain = {"autotext": autotext, "trackplaintext": trackplaintext, "trackimages": trackimages}
    settings: dict[str, Any] = {n: _word(n, text, has_default=False) for n, text in plain.items() if text}
    if manageunsubscribe is not None:
        settings["manageunsubscribe"] = _streams(manageunsubscribe)

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        item = NewAccount(
            owner.name,
            datetime.now(UTC),
            owner.suspended,
            owner.approve_all,
            replace(owner.features, **features),
            replace(owner.settings, **settings),
        )
        _show(common, await store.write(put_account, item))

    with_store(common, work)


def _word(name: str, text: str, *, has_default: bool) -> bool | None:
    if has_default and text == "default":
        return None
    if text not in _WORDS:
        fail(f"--{name} wants {'on, off or default' if has_default else 'on or off'}.", 2)
    return _WORDS[text]


def _images(text: str) -> str | None:
    """Gives the value of the feature: `default` is its word for images that stay in the mail."""
    words = {"hosted": "hosted", "inline": "default", "default": None}
    if text not in words:
        fail("--images wants hosted, inline or default.", 2)
    return words[text]


def _streams(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))
    if len(names) > MAX_STREAMS or not all(is_stream(name) for name in names):
        fail("--manageunsubscribe wants names of streams, of letters a-z, digits and hyphens, with commas.", 2)
    return names


def _show(common: Common, found: Account) -> None:
    features, settings = found.features, found.settings
    rows = [(name, _said(features, name)) for name in (*SWITCHES, "images")]
    rows += [(name, _shown(getattr(settings, name))) for name in SETTINGS]
    rows.append(("manageunsubscribe", ",".join(settings.manageunsubscribe) or "none"))
    value = {
        "id": found.id,
        "name": found.name,
        "suspended": found.suspended,
        "features": {name: getattr(features, name) for name in (*SWITCHES, "images")},
        "settings": _values(settings),
    }
    show(common, value, table((found.name, found.suspended or "active"), rows))


def _values(settings: AccountSettings) -> dict[str, object]:
    return {**{name: getattr(settings, name) for name in SETTINGS}, "manageunsubscribe": settings.manageunsubscribe}


def _said(features: Features, name: str) -> str:
    """Gives what holds for a feature, and whether it is as shipped."""
    value = getattr(features, name)
    return _shown(getattr(SHIPPED, name)) + " (default)" if value is None else _shown(value)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "inline" if value == "default" else str(value)
