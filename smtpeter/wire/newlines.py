"""Line ends of content: finds and mends bare CR and bare LF, measures lines.

Mail has one line end, CRLF (RFC 5322 2.3, RFC 5321 2.3.8). Content that came in with others is either refused or made
whole here, before anybody else reads it, so that no two programs can see different lines in it. All functions are
total and take time linear in the length, at the speed of the bytes type.
"""

_WINDOW_OCTETS = 65536
_NO_BREAKS = bytes(octet for octet in range(256) if octet not in b"\r\n")


def has_bare(content: bytes) -> bool:
    """True when a CR without LF or an LF without CR stands in the content."""
    return 2 * content.count(b"\r\n") != len(content.translate(None, _NO_BREAKS))


def normalize(content: bytes) -> bytes:
    """Gives the content with every bare CR and bare LF turned into CRLF; the same object when there is none."""
    if not has_bare(content):
        return content
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def longest_line(content: bytes) -> int:
    """Gives the octets of the longest line, its CRLF not counted; 0 for empty content."""
    longest = start = 0
    total = len(content)
    while start < total:
        # whole lines of one window at a time, so that the list of lines stays small
        end = content.rfind(b"\r\n", start, start + _WINDOW_OCTETS)
        if end < 0:
            end = content.find(b"\r\n", start + _WINDOW_OCTETS - 1)
            if end < 0:
                end = total
        longest = max(longest, max(map(len, content[start:end].split(b"\r\n"))))
        start = end + 2
    return longest


def has_line_over(content: bytes, limit: int) -> bool:
    """True when a line has more than `limit` octets, its CRLF not counted. Touches two places per `limit` octets."""
    start = 0
    total = len(content)
    while total - start > limit:
        # the last line end at which no line before it can be too long
        end = content.rfind(b"\r\n", start, start + limit + 2)
        if end < 0:
            return True
        start = end + 2
    return False
