"""What the template calls ask of the rooms below: documents kept, read, and converted into what they become.

Compiling and filling in are done in the workshop; the store and the web are asked from here. A document is checked before
it is kept, without fetching anything. Raises Refused for what cannot be kept or converted.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from smtpeter.content.letter import (
    Checked,
    Converted,
    Format,
    Letter,
    Letters,
    TagError,
    Values,
    check,
    convert,
    shown,
    to_json,
)
from smtpeter.content.personalize import data_fault
from smtpeter.content.template.problem import Problem as Flaw
from smtpeter.content.template.problem import Severity, TemplateError
from smtpeter.content.template.reading import Purpose, Wanted
from smtpeter.doors.rest.errors import Problem
from smtpeter.intake.repeats import HEADER, Idempotency, first_answer
from smtpeter.intake.workshop import Workshop
from smtpeter.model.account import AccountId
from smtpeter.model.refusal import Refused
from smtpeter.prepare.gather import FetchFor, Gathering, Resources, fetch_nothing
from smtpeter.store.answers import Answer, IdempotencyKey, KeyMismatch, Repeated
from smtpeter.store.store import Store
from smtpeter.store.templates import (
    NewTemplate,
    NewVersion,
    StoredTemplate,
    TemplateEntry,
    TemplateKey,
    TemplateQuery,
    VersionEntry,
    drop_template,
    find_template,
    key_of,
    put_template,
    put_version,
    templates,
    versions_of,
)
from smtpeter.world.seams import Clock

_IN_PLACE = ("cid:", "data:")  # images that are not elsewhere
_NO_FILES = frozenset({Purpose.ATTACHMENT})


@dataclass(frozen=True, slots=True)
class Kept:
    """A template that was made or changed, and what is wrong with its document."""

    id: int
    version: int
    flaws: tuple[Flaw, ...]


class Templates:
    """The templates of all accounts; what another account owns is not there (W1).

    `workshop` and `letters` are those of the process, so that all that takes long has one thread; without them there are
    own ones.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        hostname: str,
        fetch_for: FetchFor | None = None,
        *,
        workshop: Workshop | None = None,
        letters: Letters | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._hostname = hostname
        self._fetch_for = fetch_for or (lambda account: fetch_nothing)
        self._letters = letters or Letters()
        self._workshop = workshop or Workshop()

    async def listed(self, account: AccountId, start: int, length: int) -> list[TemplateEntry]:
        """Gives templates by number."""
        return await self._store.read(templates, TemplateQuery(account, start, length))

    async def versions(self, account: AccountId, called: str) -> list[VersionEntry]:
        """Gives the versions of a template, newest first; none when there is no such template."""
        return await self._store.read(versions_of, key_of(account, called))

    async def template_of(
        self, account: AccountId, called: int | str, version: int | None = None
    ) -> StoredTemplate | None:
        """Gives a template by its number or name."""
        return await self._store.read(find_template, key_of(account, called, version))

    async def create(
        self, account: AccountId, document: Mapping[str, Any], idempotency: Idempotency[Kept] | None
    ) -> Kept | Answer:
        """Keeps a new template, or gives what the same call was answered before."""
        now = self._clock.now()
        if idempotency is not None:
            known = await first_answer(self._store, account, idempotency, now)
            if known is not None:
                return known
        checked = await self._checked(account, document)

        def answer(id: int) -> IdempotencyKey | None:
            if idempotency is None:
                return None
            return idempotency.with_answer(account, Kept(id, 1, checked.problems), now)

        try:
            id = await self._store.write(put_template, NewTemplate(account, checked.name, checked.text, now, answer))
            return Kept(id, 1, checked.problems)
        except Repeated as repeated:
            return repeated.answer
        except KeyMismatch:
            raise Refused("idempotency_mismatch", field=HEADER) from None

    async def update(self, key: TemplateKey, document: Mapping[str, Any]) -> Kept | None:
        """Makes the document the newest version of a template; None when there is none."""
        checked = await self._checked(key.account, document)
        item = NewVersion(key, checked.name, checked.text, self._clock.now())
        made = await self._store.write(put_version, item)
        return None if made is None else Kept(*made, checked.problems)

    async def delete(self, account: AccountId, id: int) -> bool:
        """Deletes a template with its versions; False when there is none."""
        return await self._store.write(drop_template, TemplateKey(account, id))

    async def convert(
        self, account: AccountId, document: str | Mapping[str, Any], wanted: Format, data: Mapping[str, Any] | None
    ) -> Converted:
        """Gives what a document becomes, filled in with its own data and `data` over it; None: tags stay."""
        values = None if data is None else Values(data, self._clock.now(), clock=self._clock.monotonic)
        try:
            async with self._workshop.viewing(account):
                return await self._convert(account, document, wanted, values)
        except TemplateError as error:
            raise _unusable(error.problems) from None
        except TagError as error:
            place = {"line": error.error.line, "column": error.error.column}
            raise Refused("invalid_personalization", field=error.path, reason=error.error.message, more=place) from None

    async def _convert(
        self, account: AccountId, document: str | Mapping[str, Any], wanted: Format, values: Values | None
    ) -> Converted:
        run = self._workshop.run
        text = document if isinstance(document, str) else await run(functools.partial(to_json, document))

        async def make(resources: Resources) -> Letter:
            return await run(lambda: self._letters.get(text, resources=resources))

        async def fill(letter: Letter, url: str) -> str | None:
            return await run(lambda: letter.url(url, values))

        gathering = Gathering(self._fetch_for(account), fill)
        if values is not None:
            first = await make({})
            fault = await run(lambda: data_fault({**(first.compiled.data or {}), **values.data}))
            if fault:
                raise Problem("invalid_parameter", field="data", reason=f"The {fault}; give less")
        letter = await gathering.complete(make, frozenset() if wanted.is_message else _NO_FILES)
        if wanted is Format.EMBEDDED:
            images = [url for url in letter.compiled.images if not url.lower().startswith(_IN_PLACE)]
            await gathering.get(letter, [Wanted(url, Purpose.IMAGE) for url in images])
        date, domain = self._clock.now(), self._hostname
        return await run(lambda: convert(letter, wanted, values, gathering.resources, date=date, domain=domain))

    async def _checked(self, account: AccountId, document: Mapping[str, Any]) -> Checked:
        """Gives what is known of a document. Raises Refused when it cannot be kept."""
        async with self._workshop.viewing(account):
            try:
                return await self._workshop.run(lambda: check(document, self._letters))
            except TemplateError as error:
                raise _unusable(error.problems) from None


def shown_kept(flaws: Iterable[Flaw]) -> list[dict[str, str]]:
    """Gives the problems of a document that is kept all the same: faults of tags are but warnings (templates.md 12)."""
    return [
        {**told, "severity": Severity.WARNING.value} if told["code"] == "personalization" else told
        for told in shown(flaws)
    ]


def _unusable(flaws: tuple[Flaw, ...]) -> Refused:
    """Gives the refusal of a document: the first problem that is fatal says why, or else the first."""
    first = next((flaw for flaw in flaws if flaw.is_fatal), flaws[0])
    return Refused("invalid_template", field=first.path, reason=first.sentence, more={"problems": shown(flaws)})
