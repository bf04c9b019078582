"""Text in header fields that is not plain ASCII: encoded words, and the list of character sets that we read.

Reading is tolerant, since it serves display: what cannot be decoded becomes U+FFFD, and what could end a line or a
field becomes a space, so that text which is decoded here and encoded again can never bring a line break back.
Character sets are looked up in the list below and not in a codec registry, which holds things that are none.

RFC 2047 (encoded words), RFC 2231 5 (language suffix), RFC 1468 and the registrations of the names listed. Reading
raises nothing, writing ValueError for text with control characters.
"""

import binascii
import re
from functools import lru_cache

MAX_WORD = 75  # RFC 2047 2
_OVERHEAD = len("=?utf-8?q??=")

# name as it is written in mail -> codec that reads it. Supersets are taken where senders use one under the name of its
# subset (WHATWG Encoding 4.2 lists the same confusions).
_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "ansi_x3.4-1968": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    **{f"iso-8859-{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    **{f"windows-{n}": f"cp{n}" for n in range(1250, 1259)},
    **{f"cp{n}": f"cp{n}" for n in range(1250, 1259)},
    "cp437": "cp437",
    "cp850": "cp850",
    "cp866": "cp866",
    "ibm866": "cp866",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "macintosh": "mac-roman",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs",
    "euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp_1",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "windows-31j": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "iso-2022-kr": "iso2022_kr",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}

# RFC 2047 2: =?charset?encoding?text?=, charset perhaps with *language (RFC 2231 5); blanks in the text are tolerated
_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]{0,20})?\?([bBqQ])\?([^?]*)\?=")
# what may not come out of decoding: C0 and C1 controls, DEL, U+2028, U+2029, and halves of surrogate pairs
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# RFC 2047 5 (3): what stands for itself in a phrase; the strictest of the three contexts serves everywhere
_Q = [
    "_" if n == 32 else chr(n) if chr(n).isascii() and (chr(n).isalnum() or chr(n) in "!*+-/") else f"={n:02X}"
    for n in range(256)
]
_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def decode_charset(data: bytes, charset: str) -> str:
    """Gives the text; bytes that are none in this character set become U+FFFD. Unknown names are read as UTF-8."""
    codec = _CODECS.get(charset.lower(), "utf-8")
    if codec in ("utf-8", "cp1252"):
        return decode_unlabelled(data) if codec == "cp1252" else data.decode("utf-8", "replace")
    return data.decode(codec, "replace")


def decode_unlabelled(data: bytes) -> str:
    """Gives text of bytes whose character set is not known for sure: UTF-8 when it is that, else Windows-1252."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def decode_base64(data: bytes) -> bytes:
    """Gives what base64 holds, whatever stands between its characters; a broken end loses at most two octets."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        kept = data.translate(None, _BASE64)
        kept = kept[: len(kept) - (len(kept) % 4 == 1)]
        return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


def decode_text(text: str) -> str:
    """Gives the text of an unfolded header value with its encoded words read and controls replaced by spaces."""
    if "=?" in text:
        text = _decode_words(text)
    return clean(text)


def clean(text: str) -> str:
    """Gives the text with each control, line separator and half of a surrogate pair replaced by a space."""
    return text if text.isascii() and text.isprintable() else CONTROLS.sub(" ", text)


def decode_value(value: bytes) -> str:
    """Gives the text of the octets of an unfolded header value, as `decode_text`."""
    return decode_text(decode_unlabelled(value))


def _decode_words(text: str) -> str:
    """Reads encoded words; neighbours of one character set are joined first, as some split inside a character."""
    out: list[str] = []
    held, charset, at = b"", "", 0
    for word in _WORD.finditer(text):
        gap = text[at : word.start()]
        joins = charset != "" and not gap.strip()  # RFC 2047 6.2: blanks between encoded words are not shown
        if not joins or word[1].lower() != charset:
            out.append(decode_charset(held, charset))
            held = b""
        if not joins:
            out.append(gap)
        charset, at = word[1].lower(), word.end()
        held += _unpack(word[2], word[3])
    return "".join((*out, decode_charset(held, charset), text[at:]))


def _unpack(encoding: str, text: str) -> bytes:
    octets = text.encode("utf-8", "replace")
    return decode_base64(octets) if encoding in "bB" else binascii.a2b_qp(octets, header=True)


@lru_cache(maxsize=512)
def encode_words(text: str, first_room: int = MAX_WORD) -> tuple[str, ...]:
    """Gives the text as UTF-8 encoded words of at most 75 characters, the first at most `first_room` (30 or more).

    Each is Q or B, whichever makes the whole shorter, and none ends inside a character (RFC 2047 5). Raises ValueError
    for a control character: hidden in an encoded word it would come back when somebody decodes it (B2).
    """
    if CONTROLS.search(text):
        raise ValueError("A header value holds a control character.")
    data = text.encode()
    is_q = len(data) + 2 * sum(map(_is_escaped, data)) <= (len(data) + 2) // 3 * 4
    words = []
    room = max(30, min(first_room, MAX_WORD)) - _OVERHEAD
    start = 0
    while start < len(data):
        end = _fit_q(data, start, room) if is_q else start + room // 4 * 3
        if end < len(data):
            while data[end] & 0xC0 == 0x80:
                end -= 1
        piece = data[start:end]
        words.append(_q_word(piece) if is_q else f"=?utf-8?b?{binascii.b2a_base64(piece, newline=False).decode()}?=")
        start, room = end, MAX_WORD - _OVERHEAD
    return tuple(words)


def _is_escaped(octet: int) -> bool:
    return len(_Q[octet]) == 3


def _q_word(piece: bytes) -> str:
    return f"=?utf-8?q?{''.join([_Q[octet] for octet in piece])}?="


def _fit_q(data: bytes, start: int, room: int) -> int:
    """Gives the end of the longest piece from `start` that takes at most `room` characters in Q."""
    for end in range(start, len(data)):
        room -= len(_Q[data[end]])
        if room < 0:
            return end
    return len(data)
