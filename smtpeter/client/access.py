"""Who may send, and who gets nothing: tokens, logins and suppressions as values, and their form in the API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Token:
    """A REST token as the list shows it; `prefix` are its first characters."""

    id: int
    name: str
    prefix: str
    scopes: tuple[str, ...]
    is_sandbox: bool


@dataclass(frozen=True, slots=True)
class NewToken(Token):
    """A token that was just made. Its secret is not shown again."""

    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWish:
    """A token to be made. `scopes` None: those of the calling token; `is_sandbox` None: as the calling token."""

    name: str
    scopes: Sequence[str] | None = None
    is_sandbox: bool | None = None

    def properties(self) -> dict[str, Any]:
        """Gives its form in the API."""
        scopes = None if self.scopes is None else list(self.scopes)
        return _given({"name": self.name, "scopes": scopes, "sandbox": self.is_sandbox})


@dataclass(frozen=True, slots=True)
class Login:
    """An SMTP login as the list shows it. A setting that is None is left to the account."""

    id: int
    user: str
    settings: Mapping[str, bool | str | None]
    networks: tuple[str, ...]
    sender_domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewLogin(Login):
    """A login that was just made. Its password is not shown again, and "" when the caller chose it."""

    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginWish:
    """A login to be made, or what is to be changed of one. What is None or "" is left to the gateway, or as it is."""

    user: str = ""
    password: str = field(default="", repr=False)
    settings: Mapping[str, bool | str] | None = None
    networks: Sequence[str] | None = None  # empty: from anywhere
    sender_domains: Sequence[str] | None = None  # empty: all of the account

    def properties(self) -> dict[str, Any]:
        """Gives its form in the API."""
        return _given(
            {
                "user": self.user or None,
                "password": self.password or None,
                "settings": None if self.settings is None else dict(self.settings),
                "networks": None if self.networks is None else list(self.networks),
                "domains": None if self.sender_domains is None else list(self.sender_domains),
            }
        )


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address or domain that gets no mail: in which stream ("": in all), why, since when, because of which message."""

    entry: str
    stream: str
    cause: str
    since: datetime
    message: str


def _given(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None}
