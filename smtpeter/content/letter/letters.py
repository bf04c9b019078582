"""Letters that were compiled before, by the hash of what they were made of.

Who renders owns one and passes it on; it may be shared by threads. Raises TemplateError.
"""

import hashlib
from collections.abc import Mapping

from smtpeter.content.kept import Kept
from smtpeter.content.letter.letter import Letter
from smtpeter.content.template.compile import NO_RESOURCES, compile_document
from smtpeter.content.template.reading import Resource

_PIECES = 12  # html, page, text and marked forms, and the compiled sources of the first three: by their length, about


class Letters:
    """Keeps the letters used last, within a bound of octets."""

    def __init__(self, *, max_bytes: int = 64 * 2**20, max_entries: int = 256, icons: str = "") -> None:
        self._icons = icons
        self._kept: Kept[bytes, Letter] = Kept(max_bytes=max_bytes, max_entries=max_entries)

    def get(
        self, document: str, *, resources: Mapping[str, Resource | None] = NO_RESOURCES, key: bytes = b""
    ) -> Letter:
        """Gives the letter of a document, which is JSON, made with these resources.

        `key` stands for document and resources where the caller knows something shorter than their hash.
        """
        digest = key or _digest(document, resources)
        letter = self._kept.get(digest)
        if letter is None:
            letter = Letter(compile_document(document, resources=resources, icons=self._icons))
            self._kept.keep(digest, letter, _size(letter))
        return letter


def _digest(document: str, resources: Mapping[str, Resource | None]) -> bytes:
    digest = hashlib.sha256(hashlib.sha256(document.encode("utf-8", "surrogatepass")).digest())
    for url, resource in sorted(resources.items()):
        parts = (url, "", "", b"") if resource is None else (url, resource.type, resource.name, resource.content)
        for part in (*parts, b"" if resource is None else b"1"):
            octets = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            digest.update(hashlib.sha256(octets).digest())
    return digest.digest()


def _size(letter: Letter) -> int:
    compiled = letter.compiled
    files = sum(len(file.content or b"") for file in compiled.attachments)
    return _PIECES * (len(compiled.html) + len(compiled.text)) + files + 10_000
