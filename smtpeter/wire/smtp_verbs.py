"""Every command of a server session: the table of verbs, and what those do that are neither login nor transaction.

The table says for each verb what to run, whether it is idle (does no work by itself; too many of these end the
session), whether it may hold more than ASCII (RFC 6531 3.3), and in which states it is out of order (RFC 5321 4.1.4),
with the reply. Nothing is offered that does not work: BINARYMIME is not. Raises nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from smtpeter.model.reply import reply
from smtpeter.wire import smtp_grammar
from smtpeter.wire import smtp_replies as replies
from smtpeter.wire.smtp_facts import TlsRequested
from smtpeter.wire.smtp_lines import FOREIGN_VERBS
from smtpeter.wire.smtp_login import begin_login
from smtpeter.wire.smtp_talk import State, Talk
from smtpeter.wire.smtp_transaction import add_recipient, begin_body, begin_chunk, begin_mail, skip_chunk


def execute(talk: Talk, text: str) -> None:
    """Runs one command line, if it is a command and in order."""
    # RFC 5321 4.1.1: blanks before the CRLF are tolerated
    name, _, argument = text.rstrip(" ").partition(" ")
    name = name.upper()
    verb = _VERBS.get(name)
    if verb is None:
        if name in FOREIGN_VERBS:
            talk.finish(replies.NOT_SMTP)
        else:
            talk.refuse(replies.UNKNOWN)
        return
    refusal = verb.refused_in.get(talk.state)
    if (refusal or verb.is_idle) and not talk.count_idle():
        return
    if refusal:
        verb.refuse(talk, argument, refusal)
    else:
        verb.run(talk, argument)


def execute_utf8(talk: Talk, text: str) -> None:
    """Runs one command line that is not all ASCII, if that is in order."""
    name = text.partition(" ")[0]
    verb = _VERBS.get(name.upper()) if name.isascii() else None
    if verb is not None and verb.takes_utf8:
        execute(talk, text)
    else:
        talk.refuse(replies.NOT_PRINTABLE)


def _ehlo(talk: Talk, argument: str) -> None:
    if _hello(talk, argument):
        talk.is_esmtp = True
        talk.say(reply(250, "", talk.policy.hostname, *_extensions(talk)).encode())


def _helo(talk: Talk, argument: str) -> None:
    if _hello(talk, argument):
        talk.is_esmtp = False
        talk.say(reply(250, "", talk.policy.hostname).encode())


def _hello(talk: Talk, argument: str) -> bool:
    try:
        talk.helo = smtp_grammar.parse_helo(argument)
    except smtp_grammar.CommandError as trouble:
        talk.refuse(trouble.reply.encode())
        return False
    talk.give_up()  # RFC 5321 4.1.4
    return True


def _extensions(talk: Talk) -> list[str]:
    policy = talk.policy
    offered = ["PIPELINING", "8BITMIME", f"SIZE {policy.max_message_bytes}", "DSN", "ENHANCEDSTATUSCODES"]
    offered += ["SMTPUTF8", "CHUNKING", f"LIMITS MAILMAX={policy.max_mails} RCPTMAX={policy.max_recipients}"]
    if policy.has_tls and not talk.is_tls:
        offered.append("STARTTLS")
    if policy.allows_auth and (talk.is_tls or policy.allows_plain_auth):
        offered.append("AUTH PLAIN LOGIN")
    return offered


def _starttls(talk: Talk, argument: str) -> None:
    if talk.is_tls:
        talk.refuse(replies.TLS_ALREADY)
    elif not talk.policy.has_tls:
        talk.refuse(replies.NOT_OFFERED)
    elif argument:
        talk.refuse(replies.NO_ARGUMENT)  # RFC 3207 4
    else:
        talk.lines.take_all()  # whoever put it there was not protected by TLS
        talk.say(replies.TLS_READY)
        talk.state = State.HANDSHAKE
        talk.facts.append(TlsRequested())


def _rset(talk: Talk, argument: str) -> None:
    if argument:
        talk.refuse(replies.NO_ARGUMENT)
        return
    if talk.state is not State.NEW:
        talk.give_up()
    talk.say(replies.FINE)


def _noop(talk: Talk, argument: str) -> None:
    talk.say(replies.FINE)  # RFC 5321 4.1.1.9: whatever the argument says


def _help(talk: Talk, argument: str) -> None:
    talk.say(replies.HELP)


def _vrfy(talk: Talk, argument: str) -> None:
    if not argument:
        talk.refuse(replies.NEEDS_ARGUMENT)
    elif not argument.isascii() and not argument.upper().endswith(" SMTPUTF8"):
        talk.refuse(replies.NEEDS_UTF8)  # RFC 6531 3.7.4.2
    else:
        talk.say(replies.CANNOT_VERIFY)  # RFC 5321 3.5.3


def _expn(talk: Talk, argument: str) -> None:
    talk.refuse(replies.NOT_OFFERED)


def _quit(talk: Talk, argument: str) -> None:
    if argument:
        talk.refuse(replies.NO_ARGUMENT)
    else:
        talk.say(replies.GOODBYE)
        talk.close(is_wished=True)


def _say_no(talk: Talk, argument: str, refusal: bytes) -> None:
    talk.say(refusal)


@dataclass(frozen=True, slots=True)
class _Verb:
    """One row of the table. `run` takes the talk and the argument ("" when there is none), `refuse` the reply too."""

    run: Callable[[Talk, str], None]
    refused_in: dict[State, bytes]
    is_idle: bool = False
    takes_utf8: bool = False
    refuse: Callable[[Talk, str, bytes], None] = _say_no


_ANY_TIME: dict[State, bytes] = {}
_AFTER_HELLO = {State.NEW: replies.HELLO_FIRST}
_BETWEEN_MESSAGES = _AFTER_HELLO | dict.fromkeys((State.SENDER, State.RECIPIENT, State.CHUNKS), replies.IN_TRANSACTION)
_AFTER_MAIL = _AFTER_HELLO | {State.READY: replies.MAIL_FIRST}
_AFTER_RECIPIENT = _AFTER_MAIL | {State.SENDER: replies.RECIPIENT_FIRST}
_BEFORE_CHUNKS = {State.CHUNKS: replies.CHUNKS_BEGUN}  # RFC 3030 2: DATA and BDAT do not mix

_VERBS: dict[str, _Verb] = {
    "EHLO": _Verb(_ehlo, _ANY_TIME, is_idle=True),
    "HELO": _Verb(_helo, _ANY_TIME, is_idle=True),
    "STARTTLS": _Verb(_starttls, _BETWEEN_MESSAGES),
    "AUTH": _Verb(begin_login, _BETWEEN_MESSAGES),
    "MAIL": _Verb(begin_mail, _BETWEEN_MESSAGES, takes_utf8=True),
    "RCPT": _Verb(add_recipient, _AFTER_MAIL | _BEFORE_CHUNKS, takes_utf8=True),
    "DATA": _Verb(begin_body, _AFTER_RECIPIENT | _BEFORE_CHUNKS),
    "BDAT": _Verb(begin_chunk, _AFTER_RECIPIENT, refuse=skip_chunk),
    "RSET": _Verb(_rset, _ANY_TIME, is_idle=True),
    "NOOP": _Verb(_noop, _ANY_TIME, is_idle=True),
    "HELP": _Verb(_help, _ANY_TIME, is_idle=True),
    "VRFY": _Verb(_vrfy, _ANY_TIME, is_idle=True, takes_utf8=True),
    "EXPN": _Verb(_expn, _ANY_TIME, is_idle=True),
    "QUIT": _Verb(_quit, _ANY_TIME),
}
