"""What a send call may ask for beside what every draft has: a template to make the content of, and a text part."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smtpeter.model.message import Draft
from smtpeter.model.parts import Attachment, Unsubscribe


@dataclass(frozen=True, slots=True)
class LetterWish:
    """A mail that is made of a template: its number, its name, or a document; changed by `patch`, then `properties`.

    `properties` has values as documents have them, under their names there; files that are at hand are in `attachments`, so
    that they do not count as a part of the document. `unsubscribe` and `blind` as in `model.parts.Parts`; `to` is the one
    address that To shows when the document names nobody.
    """

    template: int | str | Mapping[str, Any]
    patch: Any = None
    properties: Mapping[str, Any] = field(default_factory=dict, repr=False)
    unsubscribe: Unsubscribe | None = None
    blind: tuple[str, ...] = ()
    to: str = ""
    attachments: tuple[Attachment, ...] = ()


class CallDraft(Draft, frozen=True):
    """The draft of a send call. With a `letter` the content of its source is empty: it is made of that template.

    `autotext`: whether mail with HTML alone gets a text part; None leaves it to the account.
    """

    letter: LetterWish | None = None
    autotext: bool | None = None
