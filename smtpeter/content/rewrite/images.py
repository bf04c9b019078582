"""References of an HTML text to images that come with it (`cid:`), found and exchanged.

They stand in attributes (`src`, `background`, `style`), in style sheets, and in the markup for Outlook. RFC 2392.
Linear; raises nothing.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from smtpeter.content.rewrite.markup import Attribute, Piece, Role

_REFERENCE = re.compile(r"cid:([^\s\"'<>()\\,;]{1,400})", re.IGNORECASE)


def cids_of(html: str, pieces: list[Piece]) -> set[str]:
    """Gives the Content-IDs (without angle brackets) that are referred to where a reference can be exchanged."""
    in_attributes = [unquote(cid) for attribute in _attributes(pieces) for cid in _REFERENCE.findall(attribute.value)]
    return {*in_attributes, *[cid for _, _, cid in _in_sheets(html, pieces)]}


def exchange(html: str, pieces: list[Piece], addresses: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    """Gives where references to these Content-IDs stand, and what to write there instead."""

    def address(found: re.Match[str]) -> str:
        return addresses.get(unquote(found[1]), found[0])

    for attribute in _attributes(pieces):
        changed = _REFERENCE.sub(address, attribute.value)
        if changed != attribute.value:
            yield attribute.start, attribute.end, attribute.replacement(changed)
    for start, end, cid in _in_sheets(html, pieces):
        if cid in addresses:
            yield start, end, addresses[cid]


def _attributes(pieces: list[Piece]) -> Iterator[Attribute]:
    for piece in pieces:
        if any("cid:" in value.lower() for value in piece.values):
            yield from piece.attributes.values()


def _in_sheets(html: str, pieces: list[Piece]) -> Iterator[tuple[int, int, str]]:
    for piece in pieces:
        if piece.role is Role.TEXT and piece.name == "style":
            for found in _REFERENCE.finditer(html, piece.start, piece.end):
                yield found.start(), found.end(), unquote(found[1])
