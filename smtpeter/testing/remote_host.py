"""Remote mail hosts that behave as a test wants.

`RemoteHost` is a whole SMTP server made of our own server core; single replies are changed by stage:

    host = RemoteHost("mx.example.com")
    host.on("rcptto", "451 4.7.1 greylisted", times=1)
    host.drop("message", times=1)
    host.join(network, "203.0.113.1")
    ...
    assert [message.sender for message in host.messages] == ["news@example.org"]

The stages are those of `outcome.State` that a server answers: intro, ehlo, helo, starttls, auth, mailfrom, rcptto,
data and message (the reply to the end of data), and rset, noop, quit. For hosts that break the protocol in ways that
cannot be said like this, `ScriptHost` in script_host.py plays a script.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto

from smtpeter.model.reply import Reply
from smtpeter.testing.network import Line, Network, Tls
from smtpeter.wire.smtp_server import (
    BodyBegun,
    BodyPart,
    CredentialsGiven,
    Ended,
    MessageReceived,
    MessageRefused,
    RecipientGiven,
    SenderGiven,
    ServerPolicy,
    Session,
    SmtpEnvelope,
    State,
    TlsRequested,
)
from smtpeter.world.seams import Stream

# the first word of a command, and the stage that it begins
_STAGES = {
    b"EHLO": "ehlo",
    b"HELO": "helo",
    b"STARTTLS": "starttls",
    b"AUTH": "auth",
    b"MAIL": "mailfrom",
    b"RCPT": "rcptto",
    b"DATA": "data",
    b"RSET": "rset",
    b"NOOP": "noop",
    b"QUIT": "quit",
}
STAGES = frozenset(_STAGES.values()) | {"intro", "message"}

_FINE = Reply(250, "2.0.0", ("taken",))
_NO = Reply(554, "5.0.0", ("no",))
_NOTHING = timedelta(0)


class _Act(Enum):
    """What a host does in place of a reply."""

    DROP = auto()  # resets the connection
    HANG_UP = auto()  # closes it
    SILENCE = auto()  # reads on and says nothing any more


@dataclass(slots=True)
class _Rule:
    stage: str
    what: bytes | _Act
    times: int | None  # left; None: always
    match: str
    after: timedelta


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it reached a host: `content` without dot stuffing, CRLF line ends."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)
    envelope: SmtpEnvelope
    helo: str
    client_ip: str
    is_tls: bool
    user: str  # who logged in, "" for nobody


class _Over(Exception):
    """The connection is to be left as it is."""


class RemoteHost:
    """One mail host. `tls` None: STARTTLS is not offered; `hide`: EHLO keywords that are left out.

    `users` are names and passwords; with any, AUTH is offered, also in the clear. What happened is in `messages`
    (accepted), `unanswered` (complete, but dropped or kept silent about at their end, so the client is in doubt) and
    `sessions` (the command lines of each connection).
    """

    def __init__(
        self,
        name: str = "mx.example.com",
        *,
        tls: Tls | None = None,
        hide: frozenset[str] = frozenset(),
        users: dict[str, str] | None = None,
        max_message_bytes: int = 50 * 1024 * 1024,
    ) -> None:
        self.name = name
        self.messages: list[Message] = []
        self.unanswered: list[Message] = []
        self.sessions: list[list[str]] = []
        self.tls = tls
        self.hide = hide
        self.users = users or {}
        self.policy = ServerPolicy(
            hostname=name,
            max_message_bytes=max_message_bytes,
            requires_tls=False,
            requires_auth=False,
            allows_auth=bool(self.users),
            allows_plain_auth=True,
            has_tls=tls is not None,
            accepts_postmaster=True,
        )
        self._rules: list[_Rule] = []

    def on(
        self,
        stage: str,
        reply: str | bytes,
        *,
        times: int | None = None,
        match: str = "",
        after: timedelta = _NOTHING,
    ) -> None:
        """Answers a stage so, the first `times` times (None: always), when `match` stands in the command.

        A text gets its CRLF; several lines are given as in SMTP. Octets are sent as they are, whatever they are. After
        a 421 the host hangs up. `after` is the time that passes before the reply. Rules are tried in their order.
        """
        raw = reply if isinstance(reply, bytes) else "\r\n".join(reply.splitlines()).encode() + b"\r\n"
        self._add(stage, raw, times, match, after)

    def drop(self, stage: str, *, times: int | None = None, match: str = "") -> None:
        """Resets the connection at a stage, in place of the reply."""
        self._add(stage, _Act.DROP, times, match, _NOTHING)

    def hang_up(self, stage: str, *, times: int | None = None, match: str = "") -> None:
        """Closes the connection at a stage, in place of the reply."""
        self._add(stage, _Act.HANG_UP, times, match, _NOTHING)

    def silence(self, stage: str, *, times: int | None = None, match: str = "") -> None:
        """Says nothing any more from a stage on, on that connection."""
        self._add(stage, _Act.SILENCE, times, match, _NOTHING)

    def forget_rules(self) -> None:
        """Behaves well from now on."""
        self._rules.clear()

    def _add(self, stage: str, what: bytes | _Act, times: int | None, match: str, after: timedelta) -> None:
        if stage not in STAGES:
            raise ValueError(f"{stage!r} is not a stage; there are {', '.join(sorted(STAGES))}")
        self._rules.append(_Rule(stage, what, times, match.lower(), after))

    def take_rule(self, stage: str, command: str) -> _Rule | None:
        """Gives the rule for a command and uses it up once."""
        for rule in self._rules:
            if rule.stage == stage and rule.times != 0 and rule.match in command.lower():
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None

    def join(self, network: Network, ip: str, *, port: int = 25, latency: timedelta = _NOTHING) -> None:
        """Puts the host on a network."""
        network.listen(ip, self.serve, Line(latency=latency, tls=self.tls or Tls()), port=port)

    async def serve(self, stream: Stream) -> None:
        """Holds one conversation."""
        commands: list[str] = []
        self.sessions.append(commands)
        try:
            await _Conversation(self, stream, commands).hold()
        except _Over:
            pass
        finally:
            stream.close()


class _Conversation:
    """One connection: feeds the session line by line, so that every command can be answered otherwise."""

    def __init__(self, host: RemoteHost, stream: Stream, commands: list[str]) -> None:
        self._host = host
        self._stream = stream
        self._commands = commands
        self._session = Session(host.policy, is_tls=False, is_trusted=True)
        self._buffer = b""
        self._body: list[bytes] = []
        self._user = ""

    async def hold(self) -> None:
        self._session.greet()
        await self._answer("intro", "", self._session.take_output())
        while data := await self._stream.read():
            *lines, self._buffer = (self._buffer + data).split(b"\r\n")
            for line in lines:
                await self._take(line + b"\r\n")

    async def _take(self, line: bytes) -> None:
        if self._session.state in (State.BODY, State.LOGIN):
            await self._feed(line)
            return
        command = line.decode("utf-8", "replace").rstrip("\r\n")
        self._commands.append(command)
        stage = _STAGES.get(line.split(None, 1)[0].upper() if line.strip() else b"")
        rule = self._host.take_rule(stage, command) if stage is not None else None
        if rule is None:
            await self._feed(line)
            return
        if isinstance(rule.what, bytes) and rule.what[:1] in b"23":
            # a positive reply in other words: the session goes on, its own words are dropped
            self._session.receive(line)
            await self._facts()
            self._session.take_output()
        await self._act(rule)
        if self._session.state is State.OVER:
            raise _Over

    async def _feed(self, line: bytes) -> None:
        self._session.receive(line)
        await self._facts()
        output = self._session.take_output()
        if self._host.hide and line[:4].upper() == b"EHLO":
            output = self._without_hidden(output)
        await self._say(output)
        if self._session.state is State.OVER:
            raise _Over

    async def _facts(self) -> None:
        """Answers what the session asks."""
        while (fact := self._session.next_fact()) is not None:
            match fact:
                case BodyBegun():
                    self._body = []
                case BodyPart(data):
                    self._body.append(data)
                case MessageReceived(envelope):
                    await self._message(envelope)
                case CredentialsGiven(_, user, password):
                    self._login(user, password)
                case SenderGiven() | RecipientGiven():
                    self._session.answer(_FINE)
                case TlsRequested():
                    # the client says nothing before its handshake is done, and that needs nothing from us
                    self._session.tls_started()
                case MessageRefused() | Ended():
                    pass

    async def _message(self, envelope: SmtpEnvelope) -> None:
        recipients = tuple(recipient.address for recipient in envelope.recipients)
        message = Message(
            sender=envelope.sender,
            recipients=recipients,
            content=b"".join(self._body),
            envelope=envelope,
            helo=self._session.helo,
            client_ip=self._stream.remote_ip,
            is_tls=self._session.is_tls,
            user=self._user,
        )
        rule = self._host.take_rule("message", " ".join(recipients))
        if rule is None:
            self._host.messages.append(message)
            self._session.answer(_FINE)
            return
        if isinstance(rule.what, _Act):
            self._host.unanswered.append(message)
            await self._act(rule)
        elif rule.what[:1] == b"2":
            self._host.messages.append(message)
            self._session.answer(_FINE)
        else:
            self._session.answer(_NO)
        self._session.take_output()
        await self._act(rule)

    def _login(self, user: str, password: str) -> None:
        if self._host.users.get(user) == password:
            self._user = user
            self._session.answer(Reply(235, "2.7.0", ("welcome",)))
        else:
            self._session.answer(Reply(535, "5.7.8", ("wrong user or password",)))

    async def _answer(self, stage: str, command: str, output: bytes) -> None:
        rule = self._host.take_rule(stage, command)
        if rule is None:
            await self._say(output)
        else:
            await self._act(rule)

    async def _act(self, rule: _Rule) -> None:
        if rule.after:
            await asyncio.sleep(rule.after.total_seconds())
        match rule.what:
            case bytes(raw):
                await self._say(raw)
                if raw.startswith(b"421"):
                    raise _Over
            case _Act.DROP:
                self._stream.abort()
                raise _Over
            case _Act.HANG_UP:
                raise _Over
            case _Act.SILENCE:
                while await self._stream.read():
                    pass
                raise _Over

    async def _say(self, data: bytes) -> None:
        if data:
            self._stream.write(data)
            await self._stream.drain()

    def _without_hidden(self, output: bytes) -> bytes:
        lines = output.decode().split("\r\n")[:-1]
        kept = [lines[0][4:]] + [line[4:] for line in lines[1:] if line[4:].split(" ")[0] not in self._host.hide]
        return Reply(250, "", tuple(kept)).encode()
