"""The submission door: SMTP clients that hand mail over. Translates a session into an identity and a draft.

Limits of connections (L9, L10) are here, before any work; who may log in and what is accepted is decided by intake.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache, partial

from smtpeter.config import Network
from smtpeter.config import Smtp as Settings
from smtpeter.intake.accept import Intake
from smtpeter.intake.identify import Identify, TooManyFailures
from smtpeter.model.account import Identity
from smtpeter.model.message import Draft, Options, Received, Source, SourceKind
from smtpeter.model.refusal import Refused
from smtpeter.model.reply import Reply, reply
from smtpeter.store.operation import StoreUnavailable
from smtpeter.wire.smtp_facts import CredentialsGiven, RecipientGiven, SenderGiven, ServerPolicy, SmtpEnvelope
from smtpeter.world import metrics
from smtpeter.world.log import log
from smtpeter.world.networks import in_any, parse_networks
from smtpeter.world.seams import Clock
from smtpeter.world.smtp_listener import Admission, Peer

SENDER_OK = reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = reply(250, "2.1.5", "Recipient OK")
WRONG = reply(535, "5.7.8", "The user name or the password is wrong")
TOO_MANY_OF_LOGIN = reply(421, "4.7.0", "Too many connections of this login; use fewer, or keep them open")
NOT_FOR_SENDING = reply(535, "5.7.8", "This token may not send; use one with the scope send")
NO_SUCH_LOGIN = reply(550, "5.7.1", "This network is tied to an SMTP login that does not exist")
LOGIN_IS_GONE = reply(421, "4.7.0", "The login was removed or changed; log in again")
SLOWED = reply(454, "4.7.0", "Too many failed logins from this address; try again later")
_LOOPBACK = parse_networks(("127.0.0.0/8", "::1"))
REMEMBERED_PEERS = 1024  # addresses whose network is known without looking
TOO_MANY = reply(421, "4.7.0", "Too many connections; try again later")


@dataclass(slots=True)
class _Visits:
    """The connections of one address."""

    open: int = 0
    begun: deque[float] = field(default_factory=deque)  # times of the last minute


class Turnstile:
    """Counts connections, in all and by address."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self._clock = clock
        self._settings = settings
        self._open = 0
        self._visits: OrderedDict[str, _Visits] = OrderedDict()

    def enter(self, peer_ip: str, is_exempt: bool) -> bool:
        """Counts a connection; False when it is one too many (then it is not counted)."""
        if self._open >= self._settings.max_connections:
            return False
        if not is_exempt:
            self._forget_some()
            if not self._is_welcome(self._visits.setdefault(peer_ip, _Visits())):
                return False
        self._open += 1
        metrics.connected("smtp")
        if not is_exempt:
            self._visits[peer_ip].open += 1
        return True

    @property
    def is_crowded(self) -> bool:
        """True while at least nine of ten places are taken."""
        return self._open * 10 >= self._settings.max_connections * 9

    def leave(self, peer_ip: str) -> None:
        """Counts the end of a connection that had entered."""
        self._open -= 1
        metrics.disconnected("smtp")
        visits = self._visits.get(peer_ip)
        if visits is not None:
            visits.open = max(0, visits.open - 1)

    def _forget_some(self) -> None:
        """Looks at the two addresses that were looked at longest ago: more than come in by one, so that all go in time."""
        last_minute = self._clock.monotonic() - 60
        for _ in range(min(2, len(self._visits))):
            peer_ip, visits = self._visits.popitem(last=False)
            if visits.open or (visits.begun and visits.begun[-1] >= last_minute):
                self._visits[peer_ip] = visits

    def _is_welcome(self, visits: _Visits) -> bool:
        now = self._clock.monotonic()
        while visits.begun and visits.begun[0] < now - 60:
            visits.begun.popleft()
        if visits.open >= self._settings.max_connections_per_address:
            return False
        if len(visits.begun) >= self._settings.max_new_connections_per_minute:
            return False
        visits.begun.append(now)
        return True


class SubmissionDoor:
    """Lets clients in, asks intake who they are, and gives it what they bring."""

    def __init__(
        self,
        intake: Intake,
        identify: Identify,
        clock: Clock,
        settings: Settings,
        hostname: str,
        *,
        is_development: bool,
    ) -> None:
        self._intake = intake
        self._identify = identify
        self._settings = settings
        self._tied = lru_cache(REMEMBERED_PEERS)(partial(_tied, tuple(settings.trusted_networks.items())))
        self._turnstile = Turnstile(clock, settings)
        self._is_development = is_development
        self._policy = _policy(settings, hostname, allows_plain_auth=False)
        self._loopback_policy = _policy(settings, hostname, allows_plain_auth=settings.allow_insecure_auth)
        self._logins: dict[str, int] = {}  # connections by credential (L9)

    def admit(self, peer_ip: str, local_port: int) -> Admission | Reply:
        """Decides before any work; the policy says what this peer may do."""
        is_trusted = self._tied(peer_ip) is not None
        is_local = in_any(peer_ip, _LOOPBACK)
        if not self._turnstile.enter(peer_ip, is_trusted or (is_local and self._is_development)):
            metrics.refused("smtp", "too_many_connections")
            return TOO_MANY
        return Admission(self._loopback_policy if is_local else self._policy, is_trusted)

    def is_crowded(self) -> bool:
        """True while nearly all connections of L9 are taken."""
        return self._turnstile.is_crowded

    def released(self, peer_ip: str) -> None:
        """An admitted connection has ended."""
        self._turnstile.leave(peer_ip)

    async def authenticate(self, peer: Peer, given: CredentialsGiven) -> Identity | Reply:
        """Gives the identity behind credentials, or the reply that says no."""
        found = await self._identify.by_password(given.user, given.password, peer.ip)
        match found:
            case TooManyFailures():
                return SLOWED
            case None:
                metrics.login_failed("smtp")
                log("submission.login_failed", peer=peer.ip, user=given.user)
                return WRONG
            case _:
                return self._logged_in(found)

    def logged_out(self, identity: Identity) -> None:
        """A connection that had logged in has ended."""
        left = self._logins.get(identity.credential, 0) - 1
        if left > 0:
            self._logins[identity.credential] = left
        else:
            self._logins.pop(identity.credential, None)

    def _logged_in(self, identity: Identity) -> Identity | Reply:
        """Counts the connections of a login (L9); lets in only who may send."""
        if "send" not in identity.scopes:
            return NOT_FOR_SENDING
        count = self._logins.get(identity.credential, 0)
        if count >= self._settings.max_connections_per_login:
            return TOO_MANY_OF_LOGIN
        self._logins[identity.credential] = count + 1
        return identity

    async def sender(self, peer: Peer, given: SenderGiven) -> Reply:
        """Judges nothing at MAIL: the From field decides, after the data."""
        return SENDER_OK

    async def recipient(self, peer: Peer, given: RecipientGiven) -> Reply:
        """Judges nothing at RCPT, so that the dialogue does not tell who is suppressed."""
        return RECIPIENT_OK

    async def message(self, peer: Peer, envelope: SmtpEnvelope, body: bytes) -> Reply:
        """Hands a message to intake and says what became of it."""
        try:
            identity = await self._identity(peer)
        except StoreUnavailable:
            return Refused("store_unavailable").reply
        if identity is None:
            return LOGIN_IS_GONE if peer.identity else NO_SUCH_LOGIN
        draft = Draft(
            envelope=envelope.sender,
            recipients=envelope.recipients,
            source=Source(SourceKind.MIME, body),
            options=Options(ret=envelope.ret, envid=envelope.envid, is_utf8=envelope.is_utf8, is_8bit=envelope.is_8bit),
            received=Received(_protocol(peer, is_utf8=envelope.is_utf8), peer.helo, peer.ip),
        )
        try:
            ids = await self._intake.accept(identity, draft)
        except Refused as refused:
            metrics.refused("smtp", refused.refusal.slug)
            log("submission.refused", peer=peer.ip, account=identity.account.id, reason=refused.refusal.slug)
            return refused.reply
        return reply(250, "2.0.0", f"Ok, queued as {ids[0]}")

    async def _identity(self, peer: Peer) -> Identity | None:
        if peer.identity is not None:
            return await self._identify.renewed(peer.identity)
        tied = self._tied(peer.ip)
        return None if tied is None else await self._identify.by_network(*tied)


def _tied(trusted: Iterable[tuple[Network, str]], peer_ip: str) -> tuple[str, str] | None:
    """Gives the trusted network that an address belongs to, and the login that this is tied to."""
    return next(((str(network), user) for network, user in trusted if in_any(peer_ip, (network,))), None)


def _policy(settings: Settings, hostname: str, *, allows_plain_auth: bool) -> ServerPolicy:
    return ServerPolicy(
        hostname=hostname,
        max_message_bytes=settings.max_message_bytes,
        max_recipients=settings.max_recipients,
        requires_tls=not allows_plain_auth,
        requires_auth=True,
        allows_auth=True,
        allows_plain_auth=allows_plain_auth,
        has_tls=True,
        max_errors=settings.max_errors,
        max_idle_commands=settings.max_idle_commands,
        max_failed_logins=settings.max_failed_logins,
    )


def _protocol(peer: Peer, *, is_utf8: bool) -> str:
    """Gives the transmission type of the trace header (RFC 3848; RFC 6531 4.3)."""
    if not peer.is_esmtp:
        return "SMTP"
    return ("UTF8SMTP" if is_utf8 else "ESMTP") + ("S" if peer.is_tls else "") + ("A" if peer.identity else "")
