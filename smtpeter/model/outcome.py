"""What became of one attempt to deliver one message: a value, never an exception.

`Result` holds the facts as the API shows them (delivery.md, result fields); `Delivered | Deferred | Failed` holds the
judgement, with a `Scope` that says what else it concerns.
"""

from datetime import timedelta
from enum import StrEnum

from msgspec import Struct


class Scope(StrEnum):
    """What a judgement is about, from narrow to wide."""

    RECIPIENT = "recipient"  # this address
    MESSAGE = "message"  # this content for this host
    HOST = "host"  # this remote host; another may take it
    LANE = "lane"  # the whole destination site


class State(StrEnum):
    """Where an attempt ended."""

    PROCESS = "process"
    SUPPRESSION = "suppression"
    STORAGE = "storage"
    TEMPLATE = "template"
    PERSONALIZE = "personalize"
    REWRITE = "rewrite"
    DNS = "dns"
    BIND = "bind"
    CONNECT = "connect"
    INTRO = "intro"
    EHLO = "ehlo"
    HELO = "helo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAILFROM = "mailfrom"
    RCPTTO = "rcptto"
    DATA = "data"
    MESSAGE = "message"
    IDLE = "idle"
    BOUNCE = "bounce"


class Kind(StrEnum):
    """How it ended: `accepted`, out of time, connection lost, an unreadable reply, or an error reply."""

    ACCEPTED = "accepted"
    TIMEOUT = "timeout"
    LOST = "lost"
    INVALID = "invalid"
    ERROR = "error"


class TlsFacts(Struct, frozen=True):
    """The encryption of a connection: `version` as "TLSv1.3"; verified means that chain and name were right."""

    version: str
    cipher: str
    is_verified: bool


class Result(Struct, frozen=True):
    """The facts of an attempt. `code` 0 and `status` "" when the remote said nothing; durations in seconds by stage."""

    state: State
    kind: Kind
    code: int = 0
    status: str = ""
    description: str = ""
    local_ip: str = ""
    remote_ip: str = ""
    mta: str = ""
    tls: TlsFacts | None = None
    durations: dict[str, float] = {}  # a new one for each value
    transcript: tuple[str, ...] = ()
    is_uncertain: bool = False  # the remote may have taken it although we have no reply (D5)


class Delivered(Struct, frozen=True):
    """The remote host answered 2xx to the end of data."""

    result: Result


class Deferred(Struct, frozen=True):
    """Try again; `retry_after` overrides the schedule when a rule says so."""

    result: Result
    scope: Scope
    retry_after: timedelta | None = None


class Failed(Struct, frozen=True):
    """Final: no further attempt."""

    result: Result
    scope: Scope


Outcome = Delivered | Deferred | Failed
