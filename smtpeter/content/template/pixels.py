"""The natural size of an image, read from the first octets of its file: PNG, GIF, JPEG and WebP.

PNG (RFC 2083 4.1.1), GIF89a section 18, JPEG (ITU T.81 B.2.2), WebP container specification. Total: any octets give a
size or None.
"""

_MAX = 65_535
# start of frame, all but the three numbers that mean something else: DHT, JPG, DAC
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def natural_size(content: bytes) -> tuple[int, int] | None:
    """Gives width and height in pixels; None for what is no image that we know."""
    size = None
    if content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR":
        size = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    elif content[:6] in {b"GIF87a", b"GIF89a"}:
        size = int.from_bytes(content[6:8], "little"), int.from_bytes(content[8:10], "little")
    elif content.startswith(b"\xff\xd8"):
        size = _jpeg(content)
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        size = _webp(content)
    return size if size and 0 < size[0] <= _MAX and 0 < size[1] <= _MAX else None


def _jpeg(content: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker in _FRAMES:
            return int.from_bytes(content[at + 7 : at + 9], "big"), int.from_bytes(content[at + 5 : at + 7], "big")
        # fill bytes, and markers that stand alone (TEM, RSTn), have no length
        at += 1 if marker == 0xFF else 2 if marker == 0x01 or 0xD0 <= marker <= 0xD7 else 2 + _length(content, at)
    return None


def _length(content: bytes, at: int) -> int:
    return max(2, int.from_bytes(content[at + 2 : at + 4], "big"))


def _webp(content: bytes) -> tuple[int, int] | None:
    kind = content[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
    if kind == b"VP8L" and content[20:21] == b"\x2f":
        bits = int.from_bytes(content[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and content[23:26] == b"\x9d\x01\x2a":
        return int.from_bytes(content[26:28], "little") & 0x3FFF, int.from_bytes(content[28:30], "little") & 0x3FFF
    return None
