"""The client's side of SMTP: conversations as generators (smtp_steps.py), which know the protocol and no socket.

Three conversations: `introduce` opens a connection, `transact` hands over one message to one recipient, and `leave`
says goodbye. A transaction that was not brought to its end is reset by the next one (`must_reset`), in the same write
where the remote host allows that. Every reply that is owed is read, or the connection is given up (T2).

Sources: RFC 5321, 2920 (PIPELINING), 3207 (STARTTLS), 4954 (AUTH). The conversations raise ValueError when a value would
break out of its command (B1), and nothing else.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from smtpeter.model.outcome import Kind, State, TlsFacts
from smtpeter.model.reply import Reply
from smtpeter.wire.smtp_commands import (
    Command,
    Envelope,
    Extensions,
    commands_for,
    content_blocks,
    needs_utf8,
    read_extensions,
)
from smtpeter.wire.smtp_steps import (
    Block,
    Break,
    Confirm,
    Conversation,
    Ending,
    Record,
    StartTls,
    TlsPolicy,
    Write,
    encoded,
    is_refusal,
)

_CONFIRM = Confirm()


@dataclass(frozen=True, slots=True)
class RelayLogin:
    """The credentials for a smart host. `allow_plain`: the route permits sending them without TLS."""

    user: str
    password: str = field(repr=False)
    allow_plain: bool = False


@dataclass(frozen=True, slots=True)
class Introduction:
    """How we open a connection: our name, the encryption, the login.

    `is_tls_first`: TLS before the banner, as on port 465 (RFC 8314 3.3).
    """

    hello: str
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    login: RelayLogin | None = None
    is_tls_first: bool = False


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """A connection that is open and introduced: ready for `transact`."""

    extensions: Extensions
    tls: TlsFacts | None
    banner: str
    transcript: tuple[str, ...]


def introduce(introduction: Introduction) -> Conversation[Acquaintance | Ending]:
    """Reads the banner and says who we are; TLS and login as the introduction and the offers of the server have it."""
    record = Record(State.INTRO)
    try:
        return (yield from _introduce(record, introduction))
    except Break as end:
        return record.broken(end)


def _introduce(record: Record, introduction: Introduction) -> Conversation[Acquaintance | Ending]:
    tls: TlsFacts | None = None
    if introduction.is_tls_first:
        tls = yield from _handshake(record, introduction.tls)
    banner = yield from record.ask(State.INTRO)
    if banner.code != 220:  # RFC 5321 4.3.2; 554 when there is no service here (3.1)
        return record.refused(banner)
    extensions = yield from _hello(record, introduction.hello)
    if isinstance(extensions, Ending):
        return extensions
    if tls is None and introduction.tls is not TlsPolicy.NONE:
        secured = yield from _secure(record, introduction, extensions)
        if isinstance(secured, Ending):
            return secured
        extensions, tls = secured
    if introduction.login is not None:
        refusal = yield from _log_in(record, introduction.login, extensions, is_secure=tls is not None)
        if refusal is not None:
            return refusal
    return Acquaintance(extensions, tls, banner.text, tuple(record.lines))


def _hello(record: Record, name: str) -> Conversation[Extensions | Ending]:
    reply = yield from record.command(f"EHLO {name}", State.EHLO)
    if reply.code == 250:
        return read_extensions(reply)
    if not reply.is_permanent:
        return record.refused(reply)
    # RFC 5321 3.2: a server that does not know EHLO is greeted the old way, and offers nothing
    reply = yield from record.command(f"HELO {name}", State.HELO)
    return Extensions() if reply.code == 250 else record.refused(reply)


def _secure(
    record: Record, introduction: Introduction, offered: Extensions
) -> Conversation[tuple[Extensions, TlsFacts | None] | Ending]:
    """Turns TLS on when it can be had. Without it, goes on in plain text if the policy lets us."""
    needs_tls = introduction.tls.needs_tls
    if not offered.has_starttls:
        if needs_tls:
            return record.declined(State.STARTTLS, "4.7.4", "The route requires TLS, but the server does not offer it.")
        return offered, None
    reply = yield from record.command("STARTTLS", State.STARTTLS)
    if reply.code != 220:
        # RFC 3207 4: 454 and 5yz leave the session as it was, so that what needs no TLS can go on in it
        if needs_tls or not is_refusal(reply):
            return record.refused(reply)
        return offered, None
    tls = yield from _handshake(record, introduction.tls)
    # RFC 3207 4.2: what was learned before the handshake is forgotten
    extensions = yield from _hello(record, introduction.hello)
    return extensions if isinstance(extensions, Ending) else (extensions, tls)


def _handshake(record: Record, policy: TlsPolicy) -> Conversation[TlsFacts]:
    record.state = State.STARTTLS
    facts = yield StartTls(policy)
    if not isinstance(facts, TlsFacts):
        raise TypeError("a StartTls is answered with TlsFacts")
    return facts


def _log_in(record: Record, login: RelayLogin, offered: Extensions, *, is_secure: bool) -> Conversation[Ending | None]:
    """Authenticates by PLAIN, else LOGIN; gives None when we are in."""
    if not (is_secure or login.allow_plain):  # RFC 4954 4: no passwords in the open
        return record.declined(State.AUTH, "4.7.11", "The login of the route needs TLS, and the connection has none.")
    if "PLAIN" in offered.mechanisms:
        # RFC 4616 2: no authorization identity of its own
        secret = _base64(f"\0{_without_nul(login.user)}\0{_without_nul(login.password)}")
        reply = yield from record.command(f"AUTH PLAIN {secret}", State.AUTH, shown="AUTH PLAIN …")
    elif "LOGIN" in offered.mechanisms:
        reply = yield from record.command("AUTH LOGIN", State.AUTH)
        for secret in (login.user, login.password):
            if reply.code != 334:
                break
            reply = yield from record.command(_base64(secret), State.AUTH, shown="…")
    else:
        return record.declined(State.AUTH, "4.7.4", "The server offers neither AUTH PLAIN nor AUTH LOGIN.")
    return None if reply.code == 235 else record.refused(reply)  # RFC 4954 6


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _without_nul(text: str) -> str:
    """Gives the text. Raises ValueError when it holds what separates the fields of PLAIN (RFC 4616 2)."""
    if "\0" in text:
        raise ValueError("a user name or password of a route holds NUL")
    return text


def transact(
    peer: Extensions,
    envelope: Envelope,
    content: Sequence[bytes],
    *,
    is_used: bool = False,
    must_reset: bool = False,
) -> Conversation[Ending]:
    """Hands over one message. `content` is the final message in pieces: CRLF line ends only (S3), dots not stuffed.

    `is_used`: the connection had a transaction before. When it turns out that the server has left meanwhile, the
    ending has the state idle, and nothing is said about this message.
    """
    record = Record(State.MAILFROM)
    size = sum(map(len, content))
    objection = _objection(record, peer, envelope, size)
    if objection is not None:
        return replace(objection, must_reset=must_reset)
    commands = commands_for(peer, envelope, size, must_reset=must_reset)
    group = encoded(*[line for _, line in commands])  # all of it is checked before any of it is said
    try:
        if peer.has_pipelining:
            yield from _offer_at_once(record, commands, group)
        else:
            yield from _offer_in_turn(record, commands)
        ending = (yield from _hand_over(record, content)) if record.refusal is None else record.ending(record.refusal)
    except Break as end:
        ending = record.broken(end)
    return replace(ending, state=State.IDLE) if is_used and _has_left(ending) else ending


def _has_left(ending: Ending) -> bool:
    """True when the first thing that we learned is that the server is gone: no reply, or its notice of idleness."""
    if ending.state is not State.MAILFROM:
        return False
    return ending.kind is Kind.LOST or (
        # RFC 3463 3.5: X.4.2 is a bad or timed-out connection
        ending.reply is not None and ending.reply.code == 421 and ending.reply.status == "4.4.2"
    )


def _objection(record: Record, peer: Extensions, envelope: Envelope, size: int) -> Ending | None:
    """Gives the ending of a transaction that this host cannot take, before anything is said."""
    if peer.max_octets is not None and size > peer.max_octets:  # RFC 1870 6.1
        status, text = "5.3.4", f"The message has {size} octets; the server takes {peer.max_octets} at most."
    elif not peer.has_smtputf8 and needs_utf8(envelope):  # RFC 6531 3.5
        status, text = "5.6.7", "The message needs SMTPUTF8, which the server does not offer."
    elif envelope.is_8bit and not peer.has_8bitmime:  # RFC 6152 3
        status, text = "5.6.3", "The message has 8-bit content, and the server does not offer 8BITMIME."
    elif envelope.requires_tls and not peer.has_requiretls:  # RFC 8689 4.2.1
        status, text = "5.7.30", "The message requires TLS on its whole way, and the server does not offer REQUIRETLS."
    else:
        return None
    return replace(record.declined(State.MAILFROM, status, text), is_reusable=True)


def _is_wanted(state: State, reply: Reply) -> bool:
    # RFC 5321 4.2.1: a client judges by the first digit, 3yz after DATA and 2yz after all else
    return reply.code // 100 == (3 if state is State.DATA else 2)


def _offer_in_turn(record: Record, commands: list[Command]) -> Conversation[None]:
    """Says the commands one by one, as far as they are taken."""
    for state, line in commands:
        reply = yield from record.command(line, state)
        if not _is_wanted(state, reply):
            _refuse(record, state, reply)
            return


def _offer_at_once(record: Record, commands: list[Command], group: bytes) -> Conversation[None]:
    """Says all commands in one write, then reads every reply that is owed (RFC 2920 3.1)."""
    for _, line in commands:
        record.say(line)
    yield Write(group)
    for state, _ in commands:
        reply = yield from record.ask(state)
        if record.refusal is None:
            if not _is_wanted(state, reply):
                _refuse(record, state, reply)
        elif state is State.DATA and _is_wanted(state, reply):
            yield from _take_back(record)
        elif not is_refusal(reply):
            # a recipient taken although MAIL was refused: the server means something else than we do (T2)
            record.is_reusable = False
        if record.refusal is not None and not record.is_reusable:
            return  # the connection is given up, so nothing that it still owes us matters


def _refuse(record: Record, state: State, reply: Reply) -> None:
    # a server that refuses RSET still has a transaction that is not ours any more
    record.refuse(reply, is_reusable=state is not State.IDLE, must_reset=state in (State.RCPTTO, State.DATA))


def _take_back(record: Record) -> Conversation[None]:
    """Ends the empty content of a transaction without recipient, for which the server was ready all the same.

    RFC 2920 3.1: the lone dot must be refused; a server that takes it has lost count.
    """
    yield Write(b".\r\n")
    reply = yield from record.ask(State.MESSAGE)
    record.must_reset = False  # RFC 5321 4.1.1.4: the end of data ends the transaction, refused or not
    record.is_reusable = is_refusal(reply)


def _hand_over(record: Record, content: Sequence[bytes]) -> Conversation[Ending]:
    """Sends the content and reads the reply that decides whose the message is."""
    record.state = State.MESSAGE
    blocks = content_blocks(content)
    block = next(blocks)
    for following in blocks:
        yield Block(block)
        block = following
    yield _CONFIRM
    # from here on the server may have the message, whatever becomes of the connection (D5)
    record.is_dot_sent = True
    yield Write(block)
    reply = yield from record.ask(State.MESSAGE)
    if not _is_wanted(State.MESSAGE, reply):
        record.refuse(reply, is_reusable=True)
        return record.ending(reply)
    return Ending(
        state=State.MESSAGE,
        kind=Kind.ACCEPTED,
        reply=reply,
        status=reply.status,
        description=reply.text,
        transcript=tuple(record.lines),
        is_reusable=True,
    )


def leave() -> Conversation[Ending]:
    """Says QUIT and waits for the reply (RFC 5321 4.1.1.10), whatever it is."""
    record = Record(State.IDLE)
    try:
        reply = yield from record.command("QUIT", State.IDLE)
    except Break as end:
        return record.broken(end)
    return Ending(State.IDLE, Kind.ACCEPTED, reply, reply.status, reply.text, tuple(record.lines))
