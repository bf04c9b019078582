"""Modifiers that encode, decode and digest (personalization.md, section 10)."""

from collections.abc import Mapping
from types import MappingProxyType

from smtpeter.content.personalize import encode
from smtpeter.content.personalize.digests import digest
from smtpeter.content.personalize.encode import ENCODERS, Escape
from smtpeter.content.personalize.modifiers.effect import Build, Effect, Parameters, on_text, plain

_KINDS = {str(escape): encoder for escape, encoder in ENCODERS.items()}


def _escape(parameters: Parameters) -> Effect | None:
    encoder = _KINDS.get(parameters.text(0, Escape.HTML))
    return on_text(encoder) if encoder else None


ENCODINGS: Mapping[str, Build] = MappingProxyType(
    {
        "base64_decode": plain(encode.from_base64),
        "base64_encode": plain(encode.base64),
        "escape": _escape,
        "jsondecode": plain(encode.from_json),
        "jsonencode": plain(encode.json),
        "md5": lambda _: lambda run, value: digest(run, value, "md5"),
        "sha1": lambda _: lambda run, value: digest(run, value, "sha1"),
        "urldecode": plain(encode.from_url),
        "urlencode": plain(encode.url),
    }
)
