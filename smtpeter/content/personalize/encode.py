"""The encodings that both modifiers and whole templates use: HTML, URL, base64, the inside of a JSON string.

Plain functions from text to text, total and linear. Texts are UTF-8 where octets count; half surrogate pairs, which are
no characters, become a question mark there.
"""

import re
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

import msgspec

_URL_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
_URL = [chr(octet) if octet in _URL_SAFE else "+" if octet == 0x20 else f"%{octet:02X}" for octet in range(256)]
_JSON = {code: f"\\u{code:04x}" for code in range(0x20)} | {ord('"'): '\\"', ord("\\"): "\\\\"}
_HTML_SPECIAL = re.compile("[&<>\"']")


class Escape(StrEnum):
    """How printed values are encoded."""

    RAW = "raw"
    HTML = "html"
    URL = "url"
    BASE64 = "base64"
    JSON = "json"


def octets_of(text: str) -> bytes:
    """Gives the text in UTF-8."""
    return text.encode("utf-8", "replace")


def html(text: str) -> str:
    """Encodes the five characters that mean something in HTML."""
    if not _HTML_SPECIAL.search(text):
        return text
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&apos;")


def url(text: str) -> str:
    """Encodes for a query: letters, digits and `_ . -` stay, a space becomes `+`, other octets `%XX`."""
    return "".join([_URL[octet] for octet in octets_of(text)])


def from_url(text: str) -> str:
    """Decodes `+` and `%XX`; any other `%` stays."""
    return unquote_to_bytes(octets_of(text.replace("+", " "))).decode("utf-8", "replace")


def base64(text: str) -> str:
    """Gives standard base64 with padding, in one line (RFC 4648 4)."""
    return b64encode(octets_of(text)).decode("ascii")


def from_base64(text: str) -> str:
    """Decodes base64; "" when it is none."""
    try:
        return a2b_base64(octets_of(text), strict_mode=True).decode("utf-8", "replace")
    except Base64Error:
        return ""


def json(text: str) -> str:
    """Gives what stands between the quotes of a JSON string (RFC 8259 7)."""
    return text.translate(_JSON)


def from_json(text: str) -> str:
    """Decodes what stands between the quotes of a JSON string; gives it unchanged when it is none."""
    try:
        return msgspec.json.decode(octets_of(f'"{text}"'), type=str)
    except (msgspec.DecodeError, UnicodeError):
        return text


ENCODERS: Mapping[Escape, Callable[[str], str]] = MappingProxyType(
    {Escape.HTML: html, Escape.URL: url, Escape.BASE64: base64, Escape.JSON: json}
)
