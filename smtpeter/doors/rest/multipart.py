"""Form input with files (multipart/form-data, RFC 7578) to the shapes that other form input gives.

A part with a file name is a `File`; its name makes arrays and objects like any other. The boundaries and the headers of
parts are read by a library; what it may cost is bounded here. Raises only FormError.
"""

from collections.abc import Iterator
from typing import Any

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header  # type: ignore[import-untyped]

from smtpeter.doors.rest.form import File, FormError, gather
from smtpeter.wire.mime_types import OCTETS

MAX_PARTS = 2000
MAX_PART_HEADERS = 8
MAX_PART_HEADER_BYTES = 4096
_MAX_BOUNDARY = 70  # RFC 2046 5.1.1


def boundary_of(content_type: str) -> str:
    """Gives the boundary that a Content-Type of multipart/form-data names, "" when there is none."""
    kind, parameters = parse_options_header(content_type)
    boundary: str = parameters.get("boundary", "") if kind == "multipart/form-data" else ""
    return boundary


def decode_multipart(body: bytes, content_type: str) -> dict[str, Any]:
    """Gives name → string, file, array or object."""
    boundary = boundary_of(content_type)
    if not 0 < len(boundary) <= _MAX_BOUNDARY or not boundary.isascii():
        raise FormError("the Content-Type must name its boundary, in 1 to 70 ASCII characters")
    try:
        return gather(_fields(body, boundary))
    except MultipartError as trouble:
        raise FormError(f"it is no multipart/form-data with this boundary ({str(trouble).rstrip('.')})") from None


def _fields(body: bytes, boundary: str) -> Iterator[tuple[str, str | File, int]]:
    """Yields the name and content of each part, with its number as the position."""
    parser = PushMultipartParser(
        boundary,
        content_length=len(body),
        max_header_count=MAX_PART_HEADERS,
        max_header_size=MAX_PART_HEADER_BYTES,
        max_segment_count=MAX_PARTS,
        max_segment_size=len(body),
        strict=True,
    )
    segment: MultipartSegment | None = None
    content: list[bytes | bytearray] = []
    number = 0
    with parser:
        for event in (*parser.parse(body), *parser.parse(b"")):
            if isinstance(event, MultipartSegment):
                segment, content = event, []
                number += 1
            elif event is not None:
                content.append(event)
            elif segment is not None:
                yield segment.name, _value(segment, b"".join(content), number), number - 1
                segment = None


def _value(segment: MultipartSegment, content: bytes, number: int) -> str | File:
    if segment.filename is not None:
        kind = segment.header("Content-Type") or ""
        # what programs say that do not know; the name tells more
        return File(content, segment.filename, "" if kind.lower() == OCTETS else kind)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as trouble:
        raise FormError(f"part {number} is not UTF-8 at its byte {trouble.start + 1}") from None
