"""Character sets in which a part can be written again, octet for octet where nothing changes.

A list, not a codec registry (B2): all of them have ASCII as it is, so that what is put in (ASCII only) needs no care.
Octets that are none in their character set come back as they were. Raises nothing.
"""

_CODECS = {
    **dict.fromkeys(["utf-8", "utf8"], "utf-8"),
    **dict.fromkeys(["", "us-ascii", "ascii", "iso-8859-1", "iso8859-1", "latin1", "latin-1"], "cp1252"),
    **{f"iso-8859-{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-9": "cp1254",
    **dict.fromkeys(["iso-8859-11", "tis-620", "windows-874"], "cp874"),
    **{f"windows-{n}": f"cp{n}" for n in range(1250, 1259)},
    **{f"cp{n}": f"cp{n}" for n in range(1250, 1259)},
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "macintosh": "mac-roman",
    "cp866": "cp866",
    "ibm866": "cp866",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs",
    "euc-jp": "euc_jp",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "windows-31j": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "iso-2022-jp": "iso2022_jp_1",
}
# what is labelled so is often UTF-8
_DOUBTFUL = "cp1252"


def read_text(data: bytes, charset: str) -> tuple[str, str] | None:
    """Gives the text and its codec (for `write_text`), None when it could not be written again as it was."""
    codec = _CODECS.get(charset.strip().lower())
    for candidate in ("utf-8", codec) if codec == _DOUBTFUL else (codec,):
        if candidate is None:
            return None
        errors = "strict" if codec == _DOUBTFUL and candidate == "utf-8" else "surrogateescape"
        try:
            text = data.decode(candidate, errors)
            if text.encode(candidate, "surrogateescape") == data:
                return text, candidate
        except UnicodeError:
            continue
    return None


def write_text(text: str, codec: str) -> bytes:
    """Gives the octets of a text that `read_text` gave, or of a stretch of it."""
    return text.encode(codec, "surrogateescape")
