"""DKIM signatures: rsa-sha256 and ed25519-sha256 over relaxed/relaxed content.

Relaxed canonicalisation forgives what relays do to blanks and folding. Most of what leaves here has nothing to be
forgiven, so the text is first asked, at C speed, whether it is canonical already. The body is hashed once for all
signatures of a message. Each listed header name is signed once more than it is present, so that nobody can add a
second Subject or From to a signed message.

RFC 6376, RFC 8463 (ed25519), RFC 8301 (no sha1, no keys under 1024 bits). Raises KeyRefused for keys that may not sign.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from smtpeter.model.address import parse_domain
from smtpeter.wire.headers import Field, read_fields

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

MIN_RSA_BITS = 1024  # RFC 8301 3.2
MADE_RSA_BITS = 2048
LIFE = timedelta(days=14)

# requirement B4; in the order in which they are named in h=
SIGNED = (
    b"from",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"reply-to",
    b"message-id",
    b"mime-version",
    b"content-type",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"feedback-id",
)
_SIGNED = frozenset(SIGNED)
_SELECTOR = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?\Z")  # RFC 6376 3.1, as one or more labels
_PADDING, _HASH = PKCS1v15(), SHA256()
_GOOD_LINE = 74
_LIFE_SECONDS = int(LIFE.total_seconds())


class KeyRefused(ValueError):
    """The key may not sign; `str()` is a sentence that says why."""


class Signer:
    """A domain, a selector and a private key; made once and kept by the caller, since loading a key is dear.

    Raises KeyRefused for a key that is too short or of another kind, AddressError or ValueError for the names.
    """

    __slots__ = ("_sign", "_start", "domain", "selector")

    def __init__(self, domain: str, selector: str, private_key: PrivateKey) -> None:
        _check(private_key)
        if not _SELECTOR.match(selector):
            raise ValueError(f"{selector!r} is not a selector.")
        self.domain = parse_domain(domain)
        self.selector = selector
        self._sign = _signing(private_key)
        lines = ["v=1; a=" + algorithm(private_key) + "; c=relaxed/relaxed;", f"d={self.domain};", f"s={selector};"]
        self._start = _fold("DKIM-Signature:", lines).encode()

    def __repr__(self) -> str:
        return f"Signer(domain={self.domain!r}, selector={self.selector!r})"

    def sign(self, names: bytes, headers: bytes, body_hash: bytes, now: int) -> bytes:
        """Gives the field for header fields that are canonical already, `names` being the folded h=."""
        life = b"t=%d; x=%d;" % (now, now + _LIFE_SECONDS)
        unsigned = b"%b\r\n %b\r\n h=%b;\r\n bh=%b;\r\n b=" % (self._start, life, names, body_hash)
        # RFC 6376 3.7: the field itself comes last, its b= empty, without a line end. It is written with exactly one
        # blank behind each fold, so dropping the folds leaves its relaxed form.
        own = b"dkim-signature:" + unsigned[len("DKIM-Signature: ") :].replace(b"\r\n", b"")
        text = base64.b64encode(self._sign(headers + own))
        lines = [text[at : at + _GOOD_LINE] for at in range(0, len(text), _GOOD_LINE)]
        return unsigned + b"\r\n " + b"\r\n ".join(lines) + b"\r\n"


def sign(signers: Sequence[Signer], head: bytes | Sequence[Field], body: bytes, now: datetime) -> bytes:
    """Gives one DKIM-Signature field per signer, to be put before the header section.

    `head` is the header section, as octets or as fields, `body` what follows the blank line, both as they leave.
    """
    if not signers:
        return b""
    fields = read_fields(head) if isinstance(head, bytes) else head
    names, headers = _canonical_headers(fields)
    body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())
    moment = int(now.timestamp())
    return b"".join([signer.sign(names, headers, body_hash, moment) for signer in signers])


def relaxed_body(body: bytes) -> bytes:
    """Gives the body in the relaxed form of RFC 6376 3.4.4."""
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    if b"\t" in body:
        body = body.replace(b"\t", b" ")
    if b" " in body:  # found much sooner than two octets are: base64 has none
        # each pass halves every run of blanks, so there are few
        while b"  " in body:
            body = body.replace(b"  ", b" ")
        if b" \r\n" in body:
            body = body.replace(b" \r\n", b"\r\n")
    if body.endswith(b"\r\n\r\n") or body == b"\r\n":
        kept = body.rstrip(b"\r\n")
        return kept + b"\r\n" if kept else b""
    return body


def relaxed_field(field: Field) -> bytes:
    """Gives the field in the relaxed form of RFC 6376 3.4.2, with its line end."""
    value = field.raw.partition(b":")[2].replace(b"\r\n", b"")
    if b"\t" in value:
        value = value.replace(b"\t", b" ")
    while b"  " in value:
        value = value.replace(b"  ", b" ")
    return b"%b:%b\r\n" % (field.name, value.strip(b" "))


def _canonical_headers(fields: Sequence[Field]) -> tuple[bytes, bytes]:
    """Gives the value of h=, folded, and the signed fields in their canonical form in that order."""
    present = [field for field in fields if field.name in _SIGNED]
    # RFC 6376 5.4.2: of several fields of one name the last is signed first
    present.reverse()
    present.sort(key=_rank)
    names = _name_list(tuple([field.name for field in present]))
    return names, b"".join([relaxed_field(field) for field in present])


def _rank(field: Field) -> int:
    return _RANKS[field.name]


_RANKS = {name: rank for rank, name in enumerate(SIGNED)}


@lru_cache(maxsize=1024)
def _name_list(present: tuple[bytes, ...]) -> bytes:
    """Gives h= for fields of these names: each once more than it is present (RFC 6376 8.15)."""
    names = [name.decode() for name in SIGNED for _ in range(present.count(name) + 1)]
    return _fold("  h=", [f"{name}:" for name in names[:-1]] + names[-1:], gap="").removeprefix("  h=").encode()


def _fold(start: str, pieces: Sequence[str], gap: str = " ") -> str:
    lines = [start]
    for piece in pieces:
        if len(lines[-1]) + len(gap) + len(piece) > _GOOD_LINE + 2:
            lines.append(" " + piece)
        else:
            lines[-1] += gap + piece
    return "\r\n".join(lines)


def algorithm(key: PrivateKey) -> str:
    """Gives the name of the algorithm as a= writes it."""
    return "rsa-sha256" if isinstance(key, RSAPrivateKey) else "ed25519-sha256"


def generate(name: str) -> bytes:
    """Gives a new private key, as PKCS#8 DER, for "rsa-sha256" (2048 bits) or "ed25519-sha256"."""
    key: PrivateKey
    if name == "rsa-sha256":
        key = generate_private_key(65537, MADE_RSA_BITS)
    elif name == "ed25519-sha256":
        key = Ed25519PrivateKey.generate()
    else:
        raise KeyRefused(f"{name!r} is not a signing algorithm; use rsa-sha256 or ed25519-sha256.")
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def load_private_key(data: bytes, *, is_trusted: bool = True) -> PrivateKey:
    """Gives the key in PEM or DER without a password.

    A trusted key was made or checked by us before: its numbers are not proven again, which would cost a hundred
    signatures. Raises KeyRefused.
    """
    load = load_pem_private_key if data.lstrip().startswith(b"-----BEGIN") else load_der_private_key
    try:
        key = load(data, None, unsafe_skip_rsa_key_validation=is_trusted)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyRefused("This is not a private key in PEM or DER without a password.") from None
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise KeyRefused("Only RSA and Ed25519 keys can sign mail.")
    _check(key)
    return key


def public_record(key: PrivateKey) -> str:
    """Gives the text of the TXT record at `selector._domainkey.domain` (RFC 6376 3.6.1, RFC 8463 4)."""
    if isinstance(key, RSAPrivateKey):
        der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1;k=rsa;p={base64.b64encode(der).decode()}"
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1;k=ed25519;p={base64.b64encode(raw).decode()}"


def _signing(key: PrivateKey) -> Callable[[bytes], bytes]:
    """Gives what makes the signature over canonical octets."""
    if isinstance(key, RSAPrivateKey):
        return lambda data: key.sign(data, _PADDING, _HASH)
    return lambda data: key.sign(hashlib.sha256(data).digest())  # RFC 8463 3: over the hash


def _check(key: PrivateKey) -> None:
    # RFC 8301 3.2: signers must use at least 1024 bits
    if isinstance(key, RSAPrivateKey) and key.key_size < MIN_RSA_BITS:
        raise KeyRefused(f"The RSA key has {key.key_size} bits; use one of at least {MADE_RSA_BITS}.")
