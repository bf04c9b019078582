"""Pictures that our host shows: of which kind they are, and how they go out so that nothing in them is ever run.

The kind is told by the first octets, not by what a server says. SVG is none: as a document it runs scripts (W6). The
fields below take away all rights even from a picture that some program takes for a page. Raises nothing.
"""

from dataclasses import dataclass, field

from smtpeter.doors.track.answers import NOSNIFF, Fields

# MIME Sniffing Standard 6.1; for AVIF ISO/IEC 14496-12 4.3 with the brands of AVIF 1.1 6
_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBPVP", "image/webp"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypavis", "image/avif"),
    (0, b"BM", "image/bmp"),
    (0, b"\x00\x00\x01\x00", "image/vnd.microsoft.icon"),
)
SHOWN = frozenset({kind for _, _, kind in _SIGNATURES} | {"image/jpg"})

# transparent, 1 by 1: the smallest that all programs show (GIF89a specification, with a graphic control extension)
PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00"  # one by one, two colours, both black
    b"!\xf9\x04\x01\x00\x00\x00\x00"  # colour 0 is transparent
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


@dataclass(frozen=True, slots=True)
class Picture:
    """Octets and what they are, as "image/png"."""

    type: str
    content: bytes = field(repr=False)


def kind_of(content: bytes) -> str:
    """Gives the type of a picture that may be shown, "" for anything else."""
    return next((kind for at, mark, kind in _SIGNATURES if content.startswith(mark, at)), "")


def picture_fields(kind: str) -> Fields:
    """Gives the fields with which a picture goes out."""
    return (
        (b"content-type", kind.encode("ascii")),
        NOSNIFF,
        (b"content-security-policy", b"default-src 'none'; sandbox"),
        (b"cross-origin-resource-policy", b"cross-origin"),  # mail is read on pages of others
    )
