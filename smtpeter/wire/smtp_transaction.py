"""The mail transaction of a server session: MAIL, RCPT, the body by DATA or BDAT, up to the decision about the message.

RFC 5321 3.3, with 1870 (SIZE), 3030 (CHUNKING), 4954 (AUTH before MAIL) and 9422 (LIMITS). That the commands come
in their order is seen to by the table of smtp_verbs. The `end_` functions take the answers to what was asked.
Raises nothing.
"""

from smtpeter.model.message import Recipient
from smtpeter.model.reply import Reply
from smtpeter.wire import smtp_grammar
from smtpeter.wire import smtp_replies as replies
from smtpeter.wire.smtp_body import BodyFault, BodyScanner, ChunkScanner
from smtpeter.wire.smtp_facts import (
    BodyBegun,
    BodyPart,
    MessageReceived,
    MessageRefused,
    RecipientGiven,
    SenderGiven,
    SmtpEnvelope,
)
from smtpeter.wire.smtp_grammar import Chunk
from smtpeter.wire.smtp_talk import State, Talk, Transaction


def begin_mail(talk: Talk, argument: str) -> None:
    """MAIL: begins a transaction, unless TLS or a login must come first."""
    policy = talk.policy
    if not talk.is_trusted:
        if policy.requires_tls and not talk.is_tls:
            talk.refuse(replies.TLS_FIRST)
            return
        if policy.requires_auth and not talk.is_authenticated:
            talk.refuse(replies.LOGIN_FIRST)
            return
    if talk.mails >= policy.max_mails:
        talk.finish(replies.TOO_MANY_MAILS)  # RFC 9422 4.1
        return
    try:
        mail = smtp_grammar.parse_mail(argument, allows_auth=policy.allows_auth)
    except smtp_grammar.CommandError as trouble:
        talk.refuse(trouble.reply.encode())
        return
    if mail.declared_bytes is not None and mail.declared_bytes > policy.max_message_bytes:
        talk.refuse(replies.too_large(policy.max_message_bytes))  # RFC 1870 6.1
        return
    talk.mails += 1
    talk.transaction = Transaction(mail, len(argument))
    if policy.asks_sender:
        talk.ask(SenderGiven(mail.sender, mail.declared_bytes))
    else:
        talk.state = State.SENDER
        talk.say(replies.SENDER_OK)


def end_mail(talk: Talk, answer: Reply) -> None:
    """Takes the decision about the sender."""
    if answer.is_positive:
        talk.state = State.SENDER
    talk.pass_on(answer)


def add_recipient(talk: Talk, argument: str) -> None:
    """RCPT: adds one recipient. A refused one leaves the others alone."""
    policy, transaction = talk.policy, talk.transaction
    assert transaction is not None
    transaction.octets += len(argument)
    if len(transaction.recipients) >= policy.max_recipients or transaction.octets > policy.max_envelope_octets:
        talk.say(replies.too_many_recipients(policy.max_recipients))  # RFC 5321 4.5.3.1.10
        return
    try:
        recipient = smtp_grammar.parse_rcpt(
            argument,
            transaction.mail,
            postmaster_at=policy.hostname if policy.accepts_postmaster else "",
            allows_route=policy.allows_source_routes,
        )
    except smtp_grammar.CommandError as trouble:
        talk.refuse(trouble.reply.encode())
        return
    if policy.asks_recipient:
        talk.ask(RecipientGiven(transaction.mail.sender, recipient))
    else:
        _add(talk, transaction, recipient)
        talk.say(replies.RECIPIENT_OK)


def end_recipient(talk: Talk, recipient: Recipient, answer: Reply) -> None:
    """Takes the decision about a recipient."""
    assert talk.transaction is not None
    if answer.is_positive:
        _add(talk, talk.transaction, recipient)
    talk.pass_on(answer)


def _add(talk: Talk, transaction: Transaction, recipient: Recipient) -> None:
    transaction.recipients.append(recipient)
    talk.state = State.RECIPIENT


def begin_body(talk: Talk, argument: str) -> None:
    """DATA: what comes next is the body."""
    if argument:
        talk.refuse(replies.NO_ARGUMENT)
        return
    policy, transaction = talk.policy, talk.transaction
    assert transaction is not None
    transaction.scanner = BodyScanner(policy.max_message_bytes, normalizes=not policy.rejects_bare_newlines)
    talk.state = State.BODY
    talk.facts.append(BodyBegun())
    talk.say(replies.SEND_BODY)


def begin_chunk(talk: Talk, argument: str) -> None:
    """BDAT: what comes next is a chunk of the body."""
    chunk = _read_chunk(talk, argument)
    if chunk is None or not (chunk.octets or chunk.is_last or talk.count_idle()):
        return
    policy, transaction = talk.policy, talk.transaction
    assert transaction is not None
    if transaction.chunks is None:
        transaction.chunks = ChunkScanner(policy.max_message_bytes, normalizes=not policy.rejects_bare_newlines)
        talk.facts.append(BodyBegun())
    transaction.chunks.announce(chunk.octets)
    transaction.chunk, transaction.octets_to_come = chunk, chunk.octets
    talk.state = State.CHUNK
    if not chunk.octets:
        take_chunk(talk, b"")


def skip_chunk(talk: Talk, argument: str, refusal: bytes) -> None:
    """BDAT out of order: its octets follow at once, wanted or not, and must not be taken for commands."""
    chunk = _read_chunk(talk, argument)
    if chunk is not None:
        talk.skip(chunk.octets, refusal)  # RFC 3030 2


def _read_chunk(talk: Talk, argument: str) -> Chunk | None:
    try:
        return smtp_grammar.parse_bdat(argument)
    except smtp_grammar.CommandError as trouble:
        # whoever takes the size for a number sends octets now that would be read as commands
        talk.say(trouble.reply.encode())
        talk.finish(replies.UNKNOWN_CHUNK)
        return None


def take_chunk(talk: Talk, data: bytes) -> None:
    """Takes the next octets of a chunk, of which there are no more than are to come."""
    transaction = talk.transaction
    assert transaction is not None and transaction.chunks is not None and transaction.chunk is not None
    scanner, chunk = transaction.chunks, transaction.chunk
    transaction.octets_to_come -= len(data)
    is_whole = transaction.octets_to_come == 0
    part = scanner.feed(data)
    if is_whole and chunk.is_last:
        part += scanner.end()
    if part:
        talk.facts.append(BodyPart(part))
    if is_whole and (chunk.is_last or scanner.fault is not None):
        _end_body(talk, transaction, scanner.fault)
    elif is_whole:
        talk.state = State.CHUNKS
        talk.say(replies.chunk_taken(chunk.octets))


def take_body(talk: Talk, data: bytes) -> None:
    """Takes the next octets after DATA; what follows the end of the body goes back to be read as commands."""
    transaction = talk.transaction
    assert transaction is not None and transaction.scanner is not None
    scanner = transaction.scanner
    part, rest = scanner.feed(data)
    if part:
        talk.facts.append(BodyPart(part))
    if rest is not None:
        talk.lines.feed(rest)
        _end_body(talk, transaction, scanner.fault)


def _end_body(talk: Talk, transaction: Transaction, fault: BodyFault | None) -> None:
    talk.reset(State.READY)
    if fault is not None:
        talk.facts.append(MessageRefused())
        talk.refuse(replies.broken_body(fault, talk.policy.max_message_bytes))
        return
    mail, recipients = transaction.mail, tuple(transaction.recipients)
    talk.ask(
        MessageReceived(
            SmtpEnvelope(mail.sender, recipients, mail.declared_bytes, mail.is_8bit, mail.ret, mail.envid, mail.is_utf8)
        )
    )


def end_message(talk: Talk, answer: Reply) -> None:
    """Takes the decision about the message. Its refusal is no mistake of the client's program."""
    if answer.is_positive:
        talk.errors = talk.idle_commands = 0  # who sends mail may err now and then in a long session
    talk.say(answer.encode())
