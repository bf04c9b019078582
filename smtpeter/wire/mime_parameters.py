"""Parameters of MIME header fields: types, dispositions and the names of files, read and written.

A file name that is not plain ASCII is written as RFC 2231 has it, `filename*=utf-8''…`, in pieces when it is long.
Beside it stands no plain `filename=`: Python's email package and other readers take that one and never look at the
real name. For readers that do not know RFC 2231, the `name` parameter of Content-Type holds an ASCII form of the
name; not an encoded word, which RFC 2047 5 (3) forbids in a parameter and which some readers show as it is.

Reading takes what is seen in mail: RFC 2231 in one or more pieces, encoded words, octets of an unnamed character set,
unquoted blanks. It is linear, raises nothing, and what it gives holds no control character.

RFC 2045 5.1, RFC 2183 2, RFC 2231 3 and 4, RFC 2047 5.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from smtpeter.wire.encoded_words import clean, decode_charset, decode_text, decode_unlabelled

_MAX_PIECE = 60  # characters of a value in one parameter, so that its line stays within 78

_TYPE = re.compile(r"[ \t]*([A-Za-z0-9!#$&^_.+*'`{|}~%-]{1,127}/[A-Za-z0-9!#$&^_.+*'`{|}~%-]{1,127})")
_TOKEN = re.compile(r"[ \t]*([A-Za-z0-9!#$&^_.+*'`{|}~%-]{1,127})")
# name = "quoted" | token and, behind a token, what a careless writer left unquoted
_PARAMETER = re.compile(
    r"[ \t]*([A-Za-z0-9!#$&^_.+*'`{|}~%-]+)[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;\"]*+)([^;]*+))"
)
_ESCAPED = re.compile(r"\\(.)")
_PLAIN_NAME = re.compile(r"[ !#-\[\]-~]*\Z")  # printable ASCII without quote and backslash: no escapes are needed
_NOT_PLAIN = re.compile(r"[^ !#-\[\]-~]")


@dataclass(frozen=True, slots=True)
class ContentType:
    """Type as "text/plain" in lower case, and its parameters by their lower-case names."""

    name: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Disposition:
    """RFC 2183: "inline", "attachment" or another word in lower case, "" when there is none; and its parameters."""

    name: str
    parameters: dict[str, str]


# --- reading


def parse_content_type(value: bytes | None, default: str = "text/plain") -> ContentType:
    """Gives type and parameters of a Content-Type value; what cannot be read is as if it were not there."""
    text = decode_unlabelled(value) if value else ""
    found = _TYPE.match(text)
    if not found:
        return ContentType(default, {})
    return ContentType(found[1].lower(), _read_parameters(text, found.end()))


def parse_disposition(value: bytes | None) -> Disposition:
    """Gives the word and the parameters of a Content-Disposition value."""
    text = decode_unlabelled(value) if value else ""
    found = _TOKEN.match(text)
    return Disposition(found[1].lower() if found else "", _read_parameters(text, 0))


def _read_parameters(text: str, start: int) -> dict[str, str]:
    """Gives the parameters behind the first semicolon from `start`, the first of each name."""
    parameters: dict[str, str] = {}
    at = text.find(";", start)
    while at >= 0:
        item = _PARAMETER.match(text, at + 1)
        if item:
            name, quoted, token, rest = item[1].lower(), item[2], item[3], item[4]
            if quoted is not None:
                parameters.setdefault(name, _ESCAPED.sub(r"\1", quoted))
            else:
                # only file names are seen with unquoted blanks; behind other values it is a comment
                parameters.setdefault(name, (token + rest).rstrip() if name in ("name", "filename") else token)
        at = text.find(";", item.end() if item else at + 1)
    return parameters


def read_parameter(parameters: Mapping[str, str], name: str) -> str:
    """Gives the text of a parameter in whichever form it came, "" when it is not there; no control is in it."""
    whole = parameters.get(f"{name}*")
    pieces = [(whole, True)] if whole is not None else list(_pieces(parameters, name))
    if not pieces:
        return decode_text(parameters.get(name, ""))
    charset = ""
    first, is_first_encoded = pieces[0]
    if is_first_encoded and first.count("'") >= 2:
        # RFC 2231 4: character set, language and text, with a quote between
        charset, _, text = first.split("'", 2)
        pieces[0] = (text, True)
    data = b"".join([unquote_to_bytes(text) if is_encoded else text.encode() for text, is_encoded in pieces])
    text = decode_charset(data, charset) if charset else decode_unlabelled(data)
    return clean(text) if is_first_encoded else decode_text(text)


def _pieces(parameters: Mapping[str, str], name: str) -> Iterator[tuple[str, bool]]:
    """Gives the pieces of a continued parameter up to the first gap (RFC 2231 3), and whether each is encoded."""
    for number in range(len(parameters)):
        encoded = parameters.get(f"{name}*{number}*")
        piece = encoded if encoded is not None else parameters.get(f"{name}*{number}")
        if piece is None:
            return
        yield piece, encoded is not None


# --- writing


def write_filename(name: str) -> tuple[str, ...]:
    """Gives the parameters of Content-Disposition that carry a file name, "" none; each fits a line of 998 octets.

    `name` has at most 255 characters and no controls.
    """
    if not name:
        return ()
    if is_plain_name(name):
        return (f'filename="{name}"',)
    pieces = ["utf-8''"]
    for character in name:
        # a piece ends with a whole character, for readers that decode piece by piece
        written = quote(character, safe="")
        if len(pieces[-1]) + len(written) > _MAX_PIECE:
            pieces.append("")
        pieces[-1] += written
    if len(pieces) == 1:
        return (f"filename*={pieces[0]}",)
    return tuple([f"filename*{number}*={piece}" for number, piece in enumerate(pieces)])


def is_plain_name(name: str) -> bool:
    """True for what can stand in a quoted string as it is, and means itself to readers that know encoded words."""
    return _PLAIN_NAME.match(name) is not None and "=?" not in name


def ascii_name(name: str) -> str:
    """Gives the name in plain ASCII: accents dropped, each other character an underscore; the extension is kept."""
    if is_plain_name(name):
        return name
    text = "".join([c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)])
    text = _NOT_PLAIN.sub("_", text).replace("=?", "__")
    stem, dot, extension = text.rpartition(".")
    if not dot:
        stem, extension = text, ""
    return text if stem.strip(" ._") else f"attachment{dot}{extension}"
