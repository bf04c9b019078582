"""What becomes of links, images, opens and style sheets of a message, compiled once for all that have the same body.

The body is rewritten without the header, as an entity of its own with its Content fields, so that one compiled form
serves a whole submission. A mail for which nothing is switched on is not looked at. Raises nothing.
"""

import re
from collections.abc import Mapping, Sequence

from smtpeter.content.rewrite.ours import image_addresses
from smtpeter.content.rewrite.parts import HostedImage, NumberedMessage, RewrittenMessage, compile_message
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.model.account import AccountId
from smtpeter.model.message import Message
from smtpeter.wire.headers import Field, join
from smtpeter.wire.token import Keyring, Sealer

_TARGET = re.compile(rb"<([^<>]*)>")
_BLANKS = re.compile(rb"[ \t\r\n]+")


def settings_of(message: Message, fields: Sequence[Field], ring: Keyring) -> Rewriting | None:
    """Gives what is to be changed in a message with these header fields; None when nothing is.

    Without a tracking host only style sheets can be inlined. The addresses of List-Unsubscribe are never tracked.
    """
    options, features = message.options, message.options.features
    base = options.tracking
    clicks, opens = bool(base and features.trackclicks), bool(base and features.trackopens)
    hosts = bool(base) and features.images == "hosted"
    if not (clicks or opens or hosts or features.inlinecss):
        return None
    return Rewriting(
        base,
        clicks=clicks,
        opens=opens,
        images=opens and options.tracks_images,
        inlines_css=features.inlinecss is True,
        prevents_scam=features.preventscam is True,
        plain_text=clicks and options.tracks_text,
        excluded=_unsubscribing(fields) if clicks else frozenset(),
        image_address=image_addresses(base, ring, message.account) if hosts else None,
    )


def page_settings_of(message: Message, ring: Keyring) -> Rewriting | None:
    """Gives what is to be changed where a browser shows the message: only images that it hosts have another place."""
    base = message.options.tracking
    if not base or message.options.features.images != "hosted":
        return None
    return Rewriting(base, image_address=image_addresses(base, ring, message.account))


def _unsubscribing(fields: Sequence[Field]) -> frozenset[str]:
    """Gives the addresses by which readers leave the list (RFC 2369 3.2), without blanks that folding put in."""
    return frozenset(
        [
            _BLANKS.sub(b"", target).decode("utf-8", "replace")
            for field in fields
            if field.name == b"list-unsubscribe"
            for target in _TARGET.findall(field.value)
        ]
    )


class Rewritten:
    """A body with the places of its tokens, and the form with numbers that was asked for last."""

    __slots__ = ("_message", "_numbered", "_start")

    def __init__(self, fields: Sequence[Field], body: bytes, settings: Rewriting) -> None:
        head = join([field for field in fields if field.name.startswith(b"content-")])
        self._start = len(head) + 2
        self._message: RewrittenMessage = compile_message(b"%b\r\n%b" % (head, body), settings)
        self._numbered: tuple[tuple[int | None, ...], NumberedMessage] | None = None

    @property
    def is_changed(self) -> bool:
        """False when nothing was found to be rewritten."""
        return self._message.is_changed

    @property
    def origins(self) -> tuple[str, ...]:
        """Schemes and hosts that need a number before `body` can track them."""
        return self._message.origins

    @property
    def images(self) -> tuple[HostedImage, ...]:
        """Images that were taken out, to be served by us."""
        return self._message.images

    @property
    def size(self) -> int:
        """About the octets that it holds, both forms."""
        return 4 * len(self._message.content) + sum([len(image.data) for image in self.images])

    def body(self, sealer: Sealer, account: AccountId, numbers: Mapping[str, int]) -> bytes:
        """Gives the body for one message; links to a host without a number are not tracked."""
        wanted = tuple([numbers.get(origin) for origin in self.origins])
        kept = self._numbered
        if kept is None or kept[0] != wanted:
            kept = self._numbered = (wanted, self._message.numbered(account, numbers))
        return kept[1].fill(sealer)[self._start :]
