"""Who sends: accounts, their credentials, their sender domains and keys."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from msgspec import Struct
from msgspec.structs import astuple

AccountId = NewType("AccountId", int)


class Features(Struct, frozen=True, omit_defaults=True):
    """The six settings of a login or message. None: not said here, ask the next level (account, then shipped default)."""

    inlinecss: bool | None = None
    trackclicks: bool | None = None
    trackopens: bool | None = None
    trackbounces: bool | None = None
    preventscam: bool | None = None
    images: str | None = None  # "default" or "hosted"

    def over(self, lower: "Features") -> "Features":
        """Gives these settings, with what is not said here taken from `lower`."""
        return Features(*(b if a is None else a for a, b in zip(astuple(self), astuple(lower), strict=True)))


class AccountSettings(Struct, frozen=True):
    """What concerns all mail of an account. `manageunsubscribe` names the streams whose readers leave through us."""

    autotext: bool = True  # a mail with HTML alone gets a text part
    trackplaintext: bool = False
    trackimages: bool = True
    manageunsubscribe: tuple[str, ...] = ()


class Account(Struct, frozen=True):
    """The tenant. A suspended account has `suspended` set to the reason."""

    id: AccountId
    name: str
    suspended: str = ""
    approve_all: bool = False  # every From domain counts as approved (development mode)
    features: Features = Features()
    settings: AccountSettings = AccountSettings()


@dataclass(frozen=True, slots=True)
class Login:
    """An SMTP login: `password_hash` is an argon2id string, never the password."""

    id: int
    account: AccountId
    user: str
    password_hash: str
    features: Features
    networks: tuple[str, ...] = ()  # empty: from anywhere
    sender_domains: tuple[str, ...] = ()  # empty: all of the account

    def __repr__(self) -> str:
        return f"Login(id={self.id}, account={self.account}, user={self.user!r})"


class Token(Struct, frozen=True):
    """A REST token: only its SHA-256 is known; `prefix` are its first characters, for recognition."""

    id: int
    account: AccountId
    name: str
    prefix: str
    scopes: frozenset[str]
    is_sandbox: bool = False


class Role(StrEnum):
    """What a user may do in an account."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class User:
    """A person. `email` is in lower case; `password_hash` is an argon2id string, never the password."""

    id: int
    email: str
    password_hash: str

    def __repr__(self) -> str:
        return f"User(id={self.id}, email={self.email!r})"


class Identity(Struct, frozen=True):
    """Who knocked: the account and what its credential adds. `login` is None for a token and a user."""

    account: Account
    credential: str  # "login:3", "token:7", "user:2", "network:10.0.0.0/8"
    features: Features
    login: Login | None = None
    scopes: frozenset[str] = frozenset({"send"})
    is_sandbox: bool = False  # what it sends is accepted and told, but never leaves


class SenderDomain(Struct, frozen=True):
    """A domain that an account may use in From. `subdomains`: names below it are covered too."""

    id: int
    account: AccountId
    name: str
    approved: datetime | None
    subdomains: bool = True


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A signing key; `sealed` is the private key (PKCS#8 DER) under the master key (K3)."""

    id: int
    domain: int
    name: str
    selector: str
    algorithm: str  # "rsa-sha256" or "ed25519-sha256"
    sealed: bytes
    created: datetime

    def __repr__(self) -> str:
        return f"DkimKey(id={self.id}, name={self.name!r}, selector={self.selector!r})"
