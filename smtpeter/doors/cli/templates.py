"""`smtpeter template`: the documents that mail of an account is made of.

What a document names by URL is not fetched here; the calls of the API do that.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from cyclopts import App

from smtpeter.config import Config
from smtpeter.content.letter import Format, Letters, TagError, Values, check, convert
from smtpeter.content.template.problem import Problem, TemplateError
from smtpeter.doors.cli.shared import COMMON, Common, account_named, fail, show, table, with_store
from smtpeter.model.account import Account
from smtpeter.store.store import Store
from smtpeter.store.templates import (
    NewTemplate,
    NewVersion,
    StoredTemplate,
    TemplateEntry,
    TemplateKey,
    TemplateQuery,
    drop_template,
    find_template,
    key_of,
    put_template,
    put_version,
    templates,
)

PAGE = 1000
DOCUMENT = "json"

template = App(name="template", help="Templates: the documents that mail of an account is made of.")


@template.command(name="list")
def template_list(*, account: str = "", common: Common = COMMON) -> None:
    """Lists the templates of an account."""

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        found = await _all_entries(store, owner)
        rows = [
            (one.id, " ".join(one.name.split()), one.version, one.changed.strftime("%Y-%m-%d %H:%M:%S"))
            for one in found
        ]
        text = table(("id", "name", "version", "changed"), rows) if rows else "There are no templates."
        show(common, msgspec.to_builtins(found), text)

    with_store(common, work)


@template.command(name="show")
def template_show(
    called: str,
    format: str = DOCUMENT,
    /,
    *,
    account: str = "",
    version: int | None = None,
    data: Path | None = None,
    common: Common = COMMON,
) -> None:
    """Prints a template, or what it becomes.

    Example: smtpeter template show welcome html --data ann.json

    Parameters
    ----------
    called
        Its number or name.
    format
        json (the document), html, webversion, mime, embedded or text.
    version
        An older version instead of the newest.
    data
        A JSON file with values for its tags; without one they stay as they are.
    """
    if format not in (DOCUMENT, *Format):
        fail(f"The formats are {', '.join([DOCUMENT, *Format])}.", 2)
    values = None if data is None else _values(data)

    async def work(store: Store, config: Config) -> None:
        found = await _find(store, await account_named(store, account), called, version)
        if format == DOCUMENT:
            print(msgspec.json.format(found.document, indent=2))
        else:
            _print_converted(found, Format(format), values, config.server.hostname)

    with_store(common, work)


@template.command(name="put")
def template_put(
    file: Path, /, *, account: str = "", id: int | None = None, new: bool = False, common: Common = COMMON
) -> None:
    """Keeps a document: as the template of its name when there is one, else as a new template.

    Example: smtpeter template put welcome.json

    Parameters
    ----------
    file
        The document, a JSON object; - reads it from standard input.
    id
        Make it the newest version of the template with this number, whatever its name.
    new
        Make a new template in any case; several may share a name.
    """
    if new and id is not None:
        fail("Give --id or --new, not both.", 2)
    try:
        checked = check(_read(file), Letters())
    except TemplateError as error:
        fail("\n".join(str(problem) for problem in error.problems))

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        now = datetime.now(UTC)
        key = TemplateKey(owner.id, id, checked.name)
        made = None if new else await store.write(put_version, NewVersion(key, checked.name, checked.text, now))
        if made is None and id is not None:
            fail(f"{owner.name} has no template {id}; `smtpeter template list` shows those there are.")
        if made is None:
            made = await store.write(put_template, NewTemplate(owner.id, checked.name, checked.text, now)), 1
        number, version = made
        _tell(checked.problems)
        show(common, {"id": number, "version": version}, f"Template {number} is kept (version {version}).")

    with_store(common, work)


@template.command(name="delete")
def template_delete(called: str, /, *, account: str = "", common: Common = COMMON) -> None:
    """Deletes a template with all its versions, for good. Mail that was accepted with it does not change.

    Example: smtpeter template delete 7

    Parameters
    ----------
    called
        Its number or name.
    """

    async def work(store: Store, config: Config) -> None:
        owner = await account_named(store, account)
        found = await _find(store, owner, called)
        await store.write(drop_template, TemplateKey(owner.id, found.id))
        show(common, {"id": found.id, "name": found.name}, f"Template {found.id} {found.name} is deleted.")

    with_store(common, work)


async def _all_entries(store: Store, owner: Account) -> list[TemplateEntry]:
    found: list[TemplateEntry] = []
    while page := await store.read(templates, TemplateQuery(owner.id, len(found), PAGE)):
        found += page
    return found


async def _find(store: Store, owner: Account, called: str, version: int | None = None) -> StoredTemplate:
    found = await store.read(find_template, key_of(owner.id, called, version))
    if found is None:
        which = f"{called!r}" if version is None else f"{called!r} with a version {version}"
        fail(f"{owner.name} has no template {which}; `smtpeter template list` shows those there are.")
    return found


def _print_converted(found: StoredTemplate, wanted: Format, values: Values | None, domain: str) -> None:
    try:
        letter = Letters().get(found.document)
        made = convert(letter, wanted, values, {}, date=datetime.now(UTC), domain=domain)
    except TemplateError as error:
        fail("\n".join(str(problem) for problem in error.problems))
    except TagError as error:
        fail(f"{error.path}: {error}")
    _tell(made.problems)
    sys.stdout.buffer.write(made.content)
    sys.stdout.buffer.flush()


def _tell(problems: tuple[Problem, ...]) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)


def _values(file: Path) -> Values:
    return Values(_read(file), datetime.now(UTC), clock=time.monotonic)


def _read(file: Path) -> dict[str, Any]:
    """Reads a JSON object."""
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        fail(f"{file} is no JSON object: {error}")
