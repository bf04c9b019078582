"""Sealed references: what stands in links, image addresses and return paths, so that what comes back finds its message.

A token is 30 octets: what it is for (its kind), which key sealed it, the message, a number, and 64 bits of a keyed
hash. The hash covers all of that, the account, and the target that the token vouches for, so nobody can make one, turn
one kind into another, use one for another account, or point one at another place. The number is that of a row of the
store: for clicks and images the scheme and host of the target, whose row names the account; else the account itself.
So nothing has to be written for a link, and a token can be checked when its message is long gone.

    4 bits kind | 8 key | 14 ordinal | 30 number | 120 submission id | 64 hash

In links a token is 40 characters of base64url (RFC 4648 5); as a local part 48 of base32 in lower case (RFC 4648 6),
because hosts on the way may change the case of an address. Both divide 240 bits exactly: a token has one spelling.

Requirement B5. Reading is total; `BadToken` is raised for whatever is not a token of ours.
"""

import binascii
import hashlib
import re
from base64 import b32decode, b32encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from hmac import compare_digest

from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageId, is_message_id

TOKEN_CHARACTERS = 40
LOCAL_CHARACTERS = 48
HOSTED_CHARACTERS = 60
MAX_NUMBER = (1 << 30) - 1
MIN_SECRET = 16

_HASH_OCTETS = 8
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # in the order of message ids
_DIGITS = {character: digit for digit, character in enumerate(_ALPHABET)}
_ID_CHARACTERS = 20
_IDS = 62**_ID_CHARACTERS
_MAX_ORDINAL = 9999
_HEAD_OCTETS = 22
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{{TOKEN_CHARACTERS}}}\Z")
_LOCAL = re.compile(rf"[A-Za-z2-7]{{{LOCAL_CHARACTERS}}}\Z")
_HOSTED = re.compile(rf"[A-Za-z0-9_-]{{{HOSTED_CHARACTERS}}}\Z")
_TO_URL, _FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
_HASH_USE, _TARGET_USE = b"smtpeter token", b"smtpeter target"  # at most 16 octets


class BadToken(ValueError):
    """The text is no token of ours, was altered, or its key is too old."""


class Kind(IntEnum):
    """What a token is for. The numbers are in tokens that were sent: never reuse one."""

    CLICK = 1
    OPEN = 2
    IMAGE = 3
    WEBVERSION = 4
    UNSUBSCRIBE = 5
    BOUNCE = 6
    HOSTED = 7


# requirement B5: how long a key that seals no more still opens
LIFE = {kind: timedelta(days=400) for kind in Kind} | {Kind.BOUNCE: timedelta(days=45)}


@dataclass(frozen=True, slots=True)
class Key:
    """A secret of 16 to 64 octets. `id` 0..255 is in each token; `retired` is when it stopped to seal."""

    id: int
    secret: bytes = field(repr=False)
    retired: datetime | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.id <= 255 or not MIN_SECRET <= len(self.secret) <= hashlib.blake2b.MAX_KEY_SIZE:
            raise ValueError("A key has an id from 0 to 255 and a secret of 16 to 64 octets.")


@dataclass(frozen=True, slots=True)
class Reference:
    """What a token says; nothing of it is to be believed before `Keyring.check`."""

    kind: Kind
    key: int
    message: MessageId
    number: int
    _octets: bytes = field(repr=False, compare=False)

    @property
    def accepted(self) -> datetime:
        """When the message was accepted, by its id."""
        value = 0
        for character in self.message[:8]:
            value = value * 62 + _DIGITS[character]
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=value)


@dataclass(frozen=True, slots=True)
class HostedReference:
    """What the token of a hosted image says: the image by the SHA-256 of its octets."""

    key: int
    account: AccountId
    digest: bytes
    _octets: bytes = field(repr=False, compare=False)


class Keyring:
    """The keys of an installation; the first one seals. Raises ValueError when there is none or two have one id."""

    def __init__(self, keys: Iterable[Key]) -> None:
        given = tuple(keys)
        self._keys = {key.id: key for key in given}
        if not given or len(self._keys) < len(given):
            raise ValueError("A keyring needs a key, and each key an id of its own.")
        self._first = given[0]

    def sealer(self, account: AccountId, message: MessageId) -> "Sealer":
        """Gives what makes the tokens of one message."""
        return Sealer(self._first, account, message)

    def seal_hosted(self, account: AccountId, digest: bytes) -> str:
        """Gives the token of a hosted image, 60 characters; the same as long as the key is."""
        head = _hosted_head(self._first.id, account, digest)
        return _to_url(head + _hash(self._first.secret, head))

    def check(self, reference: Reference, account: AccountId, now: datetime, target: str = "") -> None:
        """Raises BadToken unless we sealed this reference for this account and target, with a key still good at `now`."""
        key = self._key(reference.key, reference.kind, now)
        octets = reference._octets
        expected = _hash(key.secret, octets[:_HEAD_OCTETS] + _suffix(account, target_digest(target)))
        if not compare_digest(expected, octets[_HEAD_OCTETS:]):
            raise BadToken("The token was not made here for this.")

    def check_hosted(self, reference: HostedReference, now: datetime) -> None:
        """Raises BadToken unless we sealed this reference, with a key that is still good at `now`."""
        key = self._key(reference.key, Kind.HOSTED, now)
        octets = reference._octets
        if not compare_digest(_hash(key.secret, octets[:-_HASH_OCTETS]), octets[-_HASH_OCTETS:]):
            raise BadToken("The token was not made here.")

    def _key(self, number: int, kind: Kind, now: datetime) -> Key:
        key = self._keys.get(number)
        if key is None or (key.retired is not None and now > key.retired + LIFE[kind]):
            raise BadToken("The key of the token is not in use any more.")
        return key


class Sealer:
    """Makes the tokens of one message. Raises ValueError for what is no message id, or an account below 0."""

    __slots__ = ("_account", "_base", "_secret")

    def __init__(self, key: Key, account: AccountId, message: MessageId) -> None:
        submission, ordinal = _numbers(message)
        self._secret = key.secret
        self._account = account
        self._base = (key.id << 164) | (ordinal << 150) | submission

    def seal(self, kind: Kind, number: int = 0, target: str = "") -> str:
        """Gives a token for links; `target` is the address that it vouches for, in the one form used to check it."""
        return _to_url(self._octets(kind, number, target_digest(target)))

    def seal_own(self, kind: Kind) -> str:
        """Gives a token for a page or picture of ours, which has no other target than the account."""
        return self.seal(kind, self._account)

    def seal_all(self, wanted: Iterable[tuple[int, bytes]]) -> str:
        """Gives many tokens as one text, 40 characters each: per token `head_of` and the `target_digest`.

        A newsletter has some seventy links and goes to many: this is the loop that has to be quick.
        """
        base, secret, account = self._base, self._secret, _suffix(self._account, b"")
        blake2b = hashlib.blake2b
        out = []
        for head, target in wanted:
            octets = (base | head).to_bytes(_HEAD_OCTETS, "big")
            out.append(octets)
            out.append(
                blake2b(octets + account + target, digest_size=_HASH_OCTETS, key=secret, person=_HASH_USE).digest()
            )
        return _to_url(b"".join(out))

    def seal_local_part(self) -> str:
        """Gives the local part of the return path of this message, 48 characters of a to z and 2 to 7."""
        return b32encode(self._octets(Kind.BOUNCE, self._account, NO_TARGET)).decode().lower()

    def _octets(self, kind: Kind, number: int, target: bytes) -> bytes:
        head = (self._base | head_of(kind, number)).to_bytes(_HEAD_OCTETS, "big")
        return head + _hash(self._secret, head + _suffix(self._account, target))


def head_of(kind: Kind, number: int) -> int:
    """Gives the bits of a token that are known before its message is. Raises ValueError for a number out of range."""
    if not 0 <= number <= MAX_NUMBER:
        raise ValueError(f"{number} is no number for a token.")
    return (kind << 172) | (number << 120)


def target_digest(target: str) -> bytes:
    """Gives what of a target goes into the hash of a token; it can be made once for many tokens."""
    return hashlib.blake2b(target.encode("utf-8", "surrogatepass"), digest_size=32, person=_TARGET_USE).digest()


def read(token: str) -> Reference:
    """Gives what a token in a link says. Raises BadToken."""
    if not _TOKEN.match(token):
        raise BadToken("This is no token.")
    return _reference(_from_url(token))


def read_local_part(local: str) -> Reference:
    """Gives what the local part of a return path says, whatever its case has become. Raises BadToken."""
    if not _LOCAL.match(local):
        raise BadToken("This is no token.")
    reference = _reference(b32decode(local.upper()))
    if reference.kind is not Kind.BOUNCE:
        raise BadToken("This token is not for a return path.")
    return reference


def read_hosted(token: str) -> HostedReference:
    """Gives what the token of a hosted image says. Raises BadToken."""
    if not _HOSTED.match(token):
        raise BadToken("This is no token.")
    octets = _from_url(token)
    if octets[0] >> 4 != Kind.HOSTED or octets[0] & 15:
        raise BadToken("This token is for no image.")
    account = AccountId(int.from_bytes(octets[2:5], "big"))
    return HostedReference(octets[1], account, octets[5:37], octets)


def _reference(octets: bytes) -> Reference:
    head = int.from_bytes(octets[:_HEAD_OCTETS], "big")
    number, submission, ordinal = head >> 120 & MAX_NUMBER, head & ((1 << 120) - 1), head >> 150 & 0x3FFF
    try:
        kind = Kind(head >> 172)
    except ValueError:
        raise BadToken("This is no token.") from None
    if submission >= _IDS or ordinal > _MAX_ORDINAL or kind is Kind.HOSTED:
        raise BadToken("This is no token.")
    return Reference(kind, head >> 164 & 0xFF, _message(submission, ordinal), number, octets)


def _hosted_head(key: int, account: AccountId, digest: bytes) -> bytes:
    if not 0 <= account < 1 << 24 or len(digest) != 32:
        raise ValueError("A hosted image has an account and a digest of 32 octets.")
    return bytes([Kind.HOSTED << 4, key]) + account.to_bytes(3, "big") + digest


def _hash(secret: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_HASH_OCTETS, key=secret, person=_HASH_USE).digest()


def _suffix(account: AccountId, target: bytes) -> bytes:
    return account.to_bytes(8, "big") + target


def _to_url(octets: bytes) -> str:
    return binascii.b2a_base64(octets, newline=False).translate(_TO_URL).decode("ascii")


def _from_url(token: str) -> bytes:
    return binascii.a2b_base64(token.encode("ascii").translate(_FROM_URL))


def _numbers(message: MessageId) -> tuple[int, int]:
    """Gives a message id as two numbers: its submission and its ordinal."""
    if not is_message_id(message):
        raise ValueError(f"{message!r} is no message id.")
    value = 0
    for character in message[:_ID_CHARACTERS]:
        value = value * 62 + _DIGITS[character]
    return value, int(message[_ID_CHARACTERS + 1 :] or 0)


def _message(submission: int, ordinal: int) -> MessageId:
    digits = []
    for _ in range(_ID_CHARACTERS):
        submission, digit = divmod(submission, 62)
        digits.append(_ALPHABET[digit])
    name = "".join(reversed(digits))
    return MessageId(f"{name}-{ordinal}" if ordinal else name)


NO_TARGET = target_digest("")
