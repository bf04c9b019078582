"""Addresses at the tracking host that are ours alone: pages of a message, and images that we keep.

Each has its token where tracked addresses have it, so that a door finds all of them by `address.detach`; hosted images are
named by their content, the same for all recipients, and may be kept by everybody for long. Raises nothing.
"""

from smtpeter.content.rewrite.settings import ImageAddress
from smtpeter.model.account import AccountId
from smtpeter.wire.mime_types import extension_of
from smtpeter.wire.token import HOSTED_CHARACTERS, Keyring, Kind, Sealer

IMAGE_FOLDER = "/i/"
_PAGES = {Kind.WEBVERSION: "/webversion", Kind.UNSUBSCRIBE: "/unsubscribe"}


def webversion_address(base: str, sealer: Sealer) -> str:
    """Gives where this message can be read in a browser."""
    return _page(base, sealer, Kind.WEBVERSION)


def unsubscribe_address(base: str, sealer: Sealer) -> str:
    """Gives where the recipient of this message leaves the list; it takes RFC 8058 too."""
    return _page(base, sealer, Kind.UNSUBSCRIBE)


def _page(base: str, sealer: Sealer, kind: Kind) -> str:
    return f"{base}{_PAGES[kind]}?p={sealer.seal_own(kind)}"


def image_addresses(base: str, ring: Keyring, account: AccountId) -> ImageAddress:
    """Gives what names the images of an account that we keep, for `Rewriting.image_address`."""

    def address(digest: bytes, kind: str) -> str:
        return f"{base}{IMAGE_FOLDER}{ring.seal_hosted(account, digest)}{extension_of(kind)}"

    return address


def image_token(path: str) -> str | None:
    """Gives the token in the path of an image that we keep, None for any other path."""
    name = path.removeprefix(IMAGE_FOLDER)
    token, dot, extension = name[:HOSTED_CHARACTERS], name[HOSTED_CHARACTERS:][:1], name[HOSTED_CHARACTERS + 1 :]
    return token if name != path and dot == "." and extension.isalnum() else None
