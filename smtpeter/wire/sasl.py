"""SASL exchanges of the server side, PLAIN and LOGIN: lines of base64 in, a challenge or credentials out.

PLAIN is RFC 4616; LOGIN was never more than a draft (draft-murchison-sasl-login) but many clients know nothing else.
How the lines travel is RFC 4954 4. Input is strict base64 of UTF-8 without controls; an authorization identity other
than the user is refused. The length of a line is bounded by the session.

Raises `SaslError` (and its kinds `Cancelled`, `ForeignIdentity`).
"""

import binascii
from dataclasses import dataclass, field


class SaslError(ValueError):
    """The exchange cannot go on; `str()` is a sentence that says why."""


class Cancelled(SaslError):
    """The client gave up with a single asterisk."""


class ForeignIdentity(SaslError):
    """The client asks to act as somebody else than the user that it proves to be."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the client must answer next: `text` is base64, ready to stand after `334 `."""

    text: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the client claims."""

    user: str
    password: str = field(repr=False)


Step = Challenge | Credentials

ASK_USER = Challenge("VXNlcm5hbWU6")  # "Username:"
ASK_PASSWORD = Challenge("UGFzc3dvcmQ6")  # "Password:"
ASK_ALL = Challenge("")


class Plain:
    """One exchange of PLAIN: everything in one response."""

    __slots__ = ()

    def begin(self, initial: str | None) -> Step:
        """Takes the initial response of the AUTH command, None when it has none."""
        return ASK_ALL if initial is None else self.step(initial)

    def step(self, line: str) -> Step:
        """Takes the client's next line."""
        parts = _decode(line).split("\0")
        if len(parts) != 3:  # RFC 4616 2: [authzid] NUL authcid NUL passwd
            raise SaslError("The response does not have the three parts of PLAIN.")
        identity, user, password = parts
        _require_text(identity, user, password)
        if identity not in ("", user):
            raise ForeignIdentity("A login can only act as itself; leave the authorization identity empty.")
        return _credentials(user, password)


class Login:
    """One exchange of LOGIN: the user name, then the password."""

    __slots__ = ("_user",)

    def __init__(self) -> None:
        self._user: str | None = None

    def begin(self, initial: str | None) -> Step:
        """Takes the initial response of the AUTH command, None when it has none."""
        return ASK_USER if initial is None else self.step(initial)

    def step(self, line: str) -> Step:
        """Takes the client's next line."""
        text = _decode(line)
        _require_text(text)
        if self._user is None:
            self._user = text
            return ASK_PASSWORD
        return _credentials(self._user, text)


Exchange = Plain | Login

MECHANISMS: dict[str, type[Exchange]] = {"PLAIN": Plain, "LOGIN": Login}


def _decode(line: str) -> str:
    if line == "*":  # RFC 4954 4
        raise Cancelled("Authentication cancelled.")
    if line == "=":  # RFC 4954 4: an initial response of no octets
        return ""
    try:
        octets = binascii.a2b_base64(line.encode("ascii"), strict_mode=True)
        # the strict mode takes too much padding; there is only one way to write something (RFC 4648 3.5)
        if binascii.b2a_base64(octets, newline=False).decode("ascii") == line:
            return octets.decode("utf-8")
    except ValueError:  # of base64 and of both codecs
        pass
    raise SaslError("The response is not base64 of UTF-8.")


def _require_text(*values: str) -> None:
    for value in values:
        if any(c < " " or "\x7f" <= c <= "\x9f" for c in value):
            raise SaslError("The response has control characters.")


def _credentials(user: str, password: str) -> Credentials:
    if not user or not password:
        raise SaslError("User and password must not be empty.")
    return Credentials(user, password)
