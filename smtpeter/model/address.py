"""Mail addresses: one strict parser for every door.

An address here is an `addr-spec` of RFC 5321 4.1.2 (`Mailbox` without display name), its local part kept as it
was written (RFC 5321 2.4: never change case), its domain as lower-case A-labels (RFC 5890), so that two ways
to write one domain compare equal. Non-ASCII local parts are allowed and need SMTPUTF8 (RFC 6531) later.

Raises only `AddressError`, whose text tells how to mend the address.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import idna

MAX_LOCAL_OCTETS = 64  # RFC 5321 4.5.3.1.1
MAX_DOMAIN_OCTETS = 255  # RFC 5321 4.5.3.1.2
MAX_ADDRESS_OCTETS = 254  # RFC 5321 4.5.3.1.3: a path of 256 with its angle brackets

# atext of RFC 5322 3.2.3, widened by RFC 6531 3.3 with everything above ASCII that is no control
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u00a1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u205e\u2060-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U000effff-]+"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*\Z")
_QUOTED = re.compile(r'"(?:[ !#-\[\]-~\u00a1-\uffef]|\\[ -~])*"\Z')  # RFC 5321 4.1.2 Quoted-string
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
_LITERAL = re.compile(r"\[(?:\d{1,3}(?:\.\d{1,3}){3}|IPv6:[0-9A-Fa-f:.]{2,45})\]\Z")  # RFC 5321 4.1.3
_PLAIN = re.compile(r"[A-Za-z0-9._+=-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+\Z")


class AddressError(ValueError):
    """The text is not an address; `str()` is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox: `local@domain`."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        """False when handing it on needs SMTPUTF8."""
        return self.local.isascii()


@lru_cache(maxsize=4096)
def parse_domain(text: str) -> str:
    """Gives the domain as lower-case A-labels, without a final dot. Raises AddressError."""
    name = text[:-1] if text.endswith(".") else text
    if not name:
        raise AddressError("The domain is empty.")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True, transitional=False).decode("ascii")
        except idna.IDNAError:
            raise AddressError(f"The domain {text!r} is not a valid internationalized name.") from None
    if len(name) > MAX_DOMAIN_OCTETS:
        raise AddressError(f"The domain is longer than {MAX_DOMAIN_OCTETS} characters.")
    for label in name.split("."):
        if not _LABEL.match(label):
            raise AddressError(f"The domain {text!r} has an empty, over-long or malformed part {label!r}.")
    return name.lower()


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address:
    """Gives the address in `text`, which must hold nothing else: no display name, no angle brackets.

    Raises AddressError. Source: RFC 5321 4.1.2 and 4.5.3.1, RFC 6531 3.3.
    """
    local, at, domain = text.rpartition("@")
    if not at:
        raise AddressError(f"{text!r} has no @; an address looks like name@example.com.")
    if not local:
        raise AddressError(f"{text!r} has nothing before the @.")
    # a quick yes for the shape nearly every address has; the rules below give the same answer
    if not (_PLAIN.match(text) and local[0] != "." and local[-1] != "." and ".." not in local):
        if not (_DOT_ATOM.match(local) or _QUOTED.match(local)):
            raise AddressError(f"{text!r} has a character before the @ that must not stand there.")
        if len(local.encode()) > MAX_LOCAL_OCTETS:
            raise AddressError(f"The part before the @ is longer than {MAX_LOCAL_OCTETS} octets.")
    if domain.startswith("["):
        if not _LITERAL.match(domain):
            raise AddressError(f"{domain!r} is not an address literal; write [192.0.2.1] or [IPv6:2001:db8::1].")
        return Address(local, domain)
    name = parse_domain(domain)
    if len(local.encode()) + 1 + len(name) > MAX_ADDRESS_OCTETS:
        raise AddressError(f"The address is longer than {MAX_ADDRESS_OCTETS} octets.")
    return Address(local, name)
