"""Images that came with a mail and are served from our host instead: always the same octets under one address.

The token names account and content; the type is that of the extension, and only what was hosted under it is there.
So everybody may keep them for good (RFC 8246). Raises StoreUnavailable.
"""

from smtpeter.doors.track.answers import Answer, Fields
from smtpeter.doors.track.contents import Contents
from smtpeter.doors.track.memory import Memory
from smtpeter.doors.track.pages import MISSING
from smtpeter.doors.track.pictures import SHOWN, picture_fields
from smtpeter.store.contents import Digest
from smtpeter.store.resources import HostedImage, hosted_image
from smtpeter.store.store import Store
from smtpeter.wire.mime_types import type_of
from smtpeter.wire.token import HostedReference
from smtpeter.world.seams import Clock

REMEMBERED = 10_000
REMEMBER_SECONDS = 60.0
_LONG = (b"cache-control", b"public, max-age=31536000, immutable")


class Hosted:
    """The hosted images of a process."""

    def __init__(self, store: Store, clock: Clock, contents: Contents) -> None:
        self._store = store
        self._clock = clock
        self._contents = contents
        self._known: Memory[str, HostedImage] = Memory(REMEMBERED)

    async def answer(self, reference: HostedReference, path: str, if_none_match: bytes) -> Answer:
        """Gives the image of a reference that was checked, under the path that was asked for."""
        for kind in _types(path):
            image = await self._find(HostedImage(reference.account, Digest(reference.digest), kind).key)
            if image is not None:
                return await self._serve(image, if_none_match)
        return MISSING

    async def _serve(self, image: HostedImage, if_none_match: bytes) -> Answer:
        tag = f'"{image.digest.hex()[:32]}"'.encode()
        fields: Fields = (*picture_fields(image.type), _LONG, (b"etag", tag))
        if _is_known(if_none_match, tag):
            return Answer(304, fields)
        held = await self._contents.get(image.digest)
        return Answer(200, fields, held.content) if held is not None else MISSING

    async def _find(self, key: str) -> HostedImage | None:
        now = self._clock.monotonic()
        image = self._known.get(key, now)
        if image is None:
            image = await self._store.read(hosted_image, key)
            if image is not None:
                self._known.put(key, image, now + REMEMBER_SECONDS)
        return image


def _types(path: str) -> list[str]:
    """Gives the types that an extension stands for and that may be shown."""
    named = type_of(path)
    both = [named, "image/jpg"] if named == "image/jpeg" else [named]  # a name of it that mail programs write
    return [kind for kind in both if kind in SHOWN]


def _is_known(if_none_match: bytes, tag: bytes) -> bool:
    """RFC 9110 13.1.2: the client has one of these, compared weakly."""
    given = [one.strip().removeprefix(b"W/") for one in if_none_match.split(b",")]
    return tag in given or given == [b"*"]
