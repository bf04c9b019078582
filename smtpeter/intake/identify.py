"""From a credential to an identity: SMTP logins, users, REST tokens, trusted networks.

Passwords are argon2id hashes (K2): a check costs tens of milliseconds and 19 MiB on purpose, so checks run in a small
pool of threads, and a verified login is remembered for ten minutes as an HMAC under a key of this process. An unknown
user costs as much as a wrong password (S10). Tokens are random, so a SHA-256 look-up is enough (K1).

A user's e-mail address and password send for the one account where the user may send; who may in several could mean
any of them, so an SMTP login of the right account is needed there. Viewers do not send.
"""

import asyncio
import hmac
import secrets
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial

import argon2
from msgspec.structs import replace

from smtpeter.intake.remember import Remembered
from smtpeter.model.account import Account, AccountId, Features, Identity, Login, Role, Token
from smtpeter.store.accounts import account_by_id
from smtpeter.store.credentials import find_login, find_token, tokens_of
from smtpeter.store.store import Store
from smtpeter.store.users import UserRecord, find_user
from smtpeter.world.networks import in_any, parse_networks
from smtpeter.world.seams import Clock

REMEMBER_SECONDS = 1.0
VERIFIED_SECONDS = 600.0  # K2
HASHING_THREADS = 2
TOKEN_USERS = frozenset({"apikey", "token"})  # user names under which a REST token is a password
TOKEN_PREFIX = "smtpeter_"  # noqa: S105 - the visible prefix of every token, not a secret
TOKEN_BYTES = 24  # 192 random bits (K1)
PASSWORD_BYTES = 18

# of mail that a user sends: all off, unless its headers switch them on (smtp-api.md)
USER_FEATURES = Features(False, False, False, False, False, "default")

_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@dataclass(frozen=True, slots=True)
class TooManyFailures:
    """The address failed too often with this login; nothing was checked (L12)."""


@dataclass(frozen=True, slots=True)
class _Verified:
    mac: bytes = field(repr=False)
    password_hash: str = field(repr=False)
    until: float


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """Failed logins of one address and login after which nothing is checked any more (L12)."""

    per_minute: int = 10
    per_day: int = 100


class Identify:
    """Finds out who knocks."""

    def __init__(self, store: Store, clock: Clock, limits: LoginLimits | None = None) -> None:
        self._store = store
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._pool = ThreadPoolExecutor(HASHING_THREADS, thread_name_prefix="password")
        self._verified: OrderedDict[str, _Verified] = OrderedDict()
        self._failures = FailureCount(clock, limits or LoginLimits())
        self._logins: Remembered[str, tuple[Account, Login] | None] = Remembered(
            partial(store.read, find_login), clock, REMEMBER_SECONDS
        )
        self._tokens: Remembered[str, tuple[Account, Token] | None] = Remembered(
            partial(store.read, find_token), clock, REMEMBER_SECONDS
        )
        self._tokens_of: Remembered[AccountId, list[Token]] = Remembered(
            partial(store.read, tokens_of), clock, REMEMBER_SECONDS
        )
        self._accounts: Remembered[AccountId, Account | None] = Remembered(
            partial(store.read, account_by_id), clock, REMEMBER_SECONDS
        )
        self._users: Remembered[str, UserRecord | None] = Remembered(
            partial(store.read, find_user), clock, REMEMBER_SECONDS
        )

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def forget(self) -> None:
        """Drops what is remembered of credentials: one of them was changed or deleted just now (K2)."""
        self._logins.forget_all()
        self._tokens.forget_all()
        self._users.forget_all()
        self._verified.clear()

    async def by_password(self, user: str, password: str, peer_ip: str) -> Identity | TooManyFailures | None:
        """Gives the identity of an SMTP client that authenticates, or None when the credentials are wrong."""
        if self._failures.is_too_many(peer_ip, user):
            return TooManyFailures()
        if user in TOKEN_USERS:
            identity = await self.by_token(password)
        else:
            identity = await self._by_login_or_user(user, password, peer_ip)
        if identity is None:
            self._failures.add(peer_ip, user)
        else:
            self._failures.clear(peer_ip, user)
        return identity

    async def by_token(self, secret: str) -> Identity | None:
        """Gives the identity of a REST token."""
        found = await self._tokens.get(secret)
        if found is None:
            return None
        account, token = found
        return Identity(account, f"token:{token.id}", Features(), scopes=token.scopes, is_sandbox=token.is_sandbox)

    async def by_network(self, network: str, user: str) -> Identity | None:
        """Gives the identity that the configuration ties a trusted network to; None when there is no such login."""
        found = await self._logins.get(user)
        if found is None:
            return None
        account, login = found
        return Identity(account, f"network:{network}", login.features, login)

    async def renewed(self, identity: Identity) -> Identity | None:
        """Gives what an SMTP session that logged in some time ago may do now; None when its credential is gone.

        A login is gone with its password too. Of a user only the account is looked at.
        """
        login = identity.login
        if login is not None:
            found = await self._logins.get(login.user)
            if found is None or (found[1].id, found[1].password_hash) != (login.id, login.password_hash):
                return None
            account, features, login = found[0], found[1].features, found[1]
            return replace(identity, account=account, features=features, login=login)
        now = await self._accounts.get(identity.account.id)
        if now is None:
            return None
        kind, _, number = identity.credential.partition(":")
        if kind == "token" and not any(str(token.id) == number for token in await self._tokens_of.get(now.id)):
            return None
        return replace(identity, account=now)

    async def _by_login_or_user(self, name: str, password: str, peer_ip: str) -> Identity | None:
        found = await self._logins.get(name)
        if found is None and "@" in name:
            return await self._by_user(name, password)
        if not await self._is_password_right(name, found[1].password_hash if found else None, password):
            return None
        if found is None:
            return None
        account, login = found
        if login.networks and not in_any(peer_ip, parse_networks(login.networks)):
            return None
        return Identity(account, f"login:{login.id}", login.features, login)

    async def _by_user(self, email: str, password: str) -> Identity | None:
        found = await self._users.get(email.lower())
        if not await self._is_password_right(email, found.user.password_hash if found else None, password):
            return None
        if found is None:
            return None
        accounts = [account for account, role in found.memberships if role is not Role.VIEWER]
        if len(accounts) != 1:
            return None
        return Identity(accounts[0], f"user:{found.user.id}", USER_FEATURES)

    async def _is_password_right(self, name: str, password_hash: str | None, password: str) -> bool:
        mac = hmac.digest(self._key, f"{name}\0{password}".encode(), "sha256")
        known = self._verified.get(name)
        now = self._clock.monotonic()
        if (
            known is not None
            and known.until > now
            and known.password_hash == password_hash
            and hmac.compare_digest(known.mac, mac)
        ):
            return True
        right = await asyncio.get_running_loop().run_in_executor(self._pool, _check, password_hash, password)
        if not right or password_hash is None:
            return False
        self._verified[name] = _Verified(mac, password_hash, now + VERIFIED_SECONDS)
        if len(self._verified) > 10_000:
            self._verified.popitem(last=False)
        return True


class FailureCount:
    """Failed logins by address and login, in windows of a minute and a day. Bounded: the oldest are forgotten."""

    def __init__(self, clock: Clock, limits: LoginLimits) -> None:
        self._clock = clock
        self._limits = limits
        self._times: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    def is_too_many(self, peer_ip: str, user: str) -> bool:
        """True when a further try must not be checked."""
        now = self._clock.monotonic()
        times = [t for t in self._times.get((peer_ip, user), ()) if t > now - 86_400]
        last_minute = sum(t > now - 60 for t in times)
        return len(times) >= self._limits.per_day or last_minute >= self._limits.per_minute

    def add(self, peer_ip: str, user: str) -> None:
        """Counts a failure."""
        times = self._times.setdefault((peer_ip, user), [])
        times.append(self._clock.monotonic())
        del times[: -self._limits.per_day]
        if len(self._times) > 10_000:
            self._times.popitem(last=False)

    def clear(self, peer_ip: str, user: str) -> None:
        """Forgets the failures of this login from this address."""
        self._times.pop((peer_ip, user), None)


def new_token() -> str:
    """Gives a fresh REST token; it is shown once."""
    return TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def new_password() -> str:
    """Gives a fresh password for an SMTP login; it is shown once."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def hash_password(password: str) -> str:
    """Gives the argon2id string of a password. Takes tens of milliseconds."""
    return _HASHER.hash(password)


def is_password(password_hash: str, password: str) -> bool:
    """True when the password fits the hash. Takes as long as `hash_password`."""
    try:
        return _HASHER.verify(password_hash, password)
    except (argon2.exceptions.VerifyMismatchError, argon2.exceptions.InvalidHashError):
        return False


@cache
def _decoy_hash() -> str:
    return _HASHER.hash(secrets.token_urlsafe(PASSWORD_BYTES))


def _check(password_hash: str | None, password: str) -> bool:
    """Checks a password; for an unknown user against a hash that no password fits, so that it takes as long."""
    return is_password(password_hash or _decoy_hash(), password)
