"""From the template that a draft names to the source that is kept: the document as it is now, changed for this mail.

Raises Refused for a template that is not there or cannot be changed so, and StoreUnavailable.
"""

from collections.abc import Mapping
from typing import Any

from smtpeter.content.letter import for_sending
from smtpeter.content.template.problem import TemplateError
from smtpeter.intake.personal import SMALL_BYTES, unusable
from smtpeter.intake.wish import LetterWish
from smtpeter.intake.workshop import Workshop
from smtpeter.model.account import AccountId
from smtpeter.model.message import Source, SourceKind
from smtpeter.model.parts import LetterParts, encode
from smtpeter.model.refusal import Refused
from smtpeter.store.store import Store
from smtpeter.store.templates import find_template, key_of


class LetterSources:
    """Makes sources of templates; what another account owns is not there (W1)."""

    def __init__(self, store: Store, workshop: Workshop) -> None:
        self._store = store
        self._workshop = workshop

    async def make(self, account: AccountId, wish: LetterWish, *, data: str | None) -> tuple[Source, int]:
        """Gives the source, and the number of the template, 0 for a document of the call's own."""
        document, number = await self._document(account, wish.template)
        if isinstance(document, str) and wish.patch is None and len(document) <= SMALL_BYTES:
            return _made(document, wish, data), number
        async with self._workshop.turn(account):
            return await self._workshop.run(lambda: _made(document, wish, data)), number

    async def _document(
        self, account: AccountId, template: int | str | Mapping[str, Any]
    ) -> tuple[str | Mapping[str, Any], int]:
        if isinstance(template, Mapping):
            return template, 0
        found = await self._store.read(find_template, key_of(account, template))
        if found is None:
            which = f"{template}" if isinstance(template, int) else f"{template[:100]!r}"
            raise Refused("unknown_template", field="template", which=which)
        return found.document, found.id


def _made(document: str | Mapping[str, Any], wish: LetterWish, data: str | None) -> Source:
    try:
        text = for_sending(document, wish.patch, wish.properties, wish.to)
    except TemplateError as error:
        first = error.problems[0]
        if first.code != "bad-patch":
            raise unusable(error.problems) from None
        # /patch/3 is the place in the call that its own names write as patch[3]
        number = first.path.removeprefix("/patch/")
        name = f"patch[{number}]" if number.isdigit() else "patch"
        raise unusable(error.problems, field=name) from None
    return Source(SourceKind.LETTER, encode(LetterParts(text, wish.unsubscribe, wish.blind, wish.attachments)), data)
