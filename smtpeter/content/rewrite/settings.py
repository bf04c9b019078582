"""What is to be changed in a message, and where tracked addresses lead."""

from collections.abc import Callable
from dataclasses import dataclass, field

from smtpeter.content.rewrite.address import host_of

# the octets' SHA-256 and the type of an image -> the address under which we serve it
ImageAddress = Callable[[bytes, str], str]


# octets of a text that is looked at; larger ones, which no mail program shows, are left as they are
MAX_TEXT = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Rewriting:
    """All off by default. `base` is scheme and host of tracked addresses, as "https://clicks.example.com".

    `excluded` are addresses that are never tracked: those of List-Unsubscribe. `image_address`: embedded images are
    taken out and referred to by it. `plain_text`: links in text parts are tracked as well.
    """

    base: str
    clicks: bool = False
    opens: bool = False
    images: bool = False
    inlines_css: bool = False
    prevents_scam: bool = False
    plain_text: bool = False
    excluded: frozenset[str] = frozenset()
    image_address: ImageAddress | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """The tracking host, to which links are left alone."""
        return host_of(self.base.partition("//")[2])

    @property
    def changes_html(self) -> bool:
        """True when an HTML part may change."""
        return self.clicks or self.opens or self.images or self.inlines_css or self.image_address is not None
