"""The replies that the SMTP server session gives by itself, ready for the wire.

Codes are those of RFC 5321 4.2.3, 3207, 4954; enhanced codes RFC 3463, 2034 and 4954 6. Refusals that other doors
have too take code and sentence from `model.refusal`.
"""

from smtpeter.model.refusal import Refused
from smtpeter.model.reply import reply
from smtpeter.wire import smtp_grammar
from smtpeter.wire.smtp_body import MAX_LINE_OCTETS, BodyFault

TLS_READY = reply(220, "", "Ready to start TLS").encode()
GOODBYE = reply(221, "2.0.0", "Goodbye").encode()
FINE = reply(250, "2.0.0", "Ok").encode()
SENDER_OK = reply(250, "2.1.0", "Sender OK").encode()
RECIPIENT_OK = reply(250, "2.1.5", "Recipient OK").encode()
CANNOT_VERIFY = reply(252, "2.1.5", "Addresses are not verified here; send the message").encode()
HELP = reply(214, "2.0.0", "EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT (RFC 5321)").encode()
SEND_BODY = reply(354, "", "End data with <CR><LF>.<CR><LF>").encode()

TOO_MANY_ERRORS = reply(421, "4.7.0", "Too many errors, closing").encode()
TOO_MANY_IDLE = reply(421, "4.7.0", "Too many commands without a message, closing").encode()
TOO_MANY_LONG_LINES = reply(421, "4.7.0", "Too many over-long lines, closing").encode()
TOO_MANY_MAILS = reply(421, "4.7.0", "Too many messages in one session, closing; send the others in another").encode()
UNKNOWN_CHUNK = reply(421, "4.7.0", "Where the chunk ends is not known, closing").encode()
TOO_MANY_LOGINS = reply(421, "4.7.0", "Too many failed logins, closing").encode()
NOT_SMTP = reply(421, "4.7.0", "This is an SMTP server, closing").encode()

UNKNOWN = reply(500, "5.5.1", "Unknown command").encode()
NOT_PRINTABLE = reply(500, "5.5.2", "A command holds printable ASCII only and ends with CR LF").encode()
NEEDS_UTF8 = smtp_grammar.NEEDS_UTF8.encode()
LONG_LINE = reply(500, "5.5.2", "The line is too long").encode()
LONG_LOGIN_LINE = reply(500, "5.5.6", "The line is too long, authentication ended").encode()
NO_ARGUMENT = reply(501, "5.5.4", "This command takes no argument").encode()
NEEDS_ARGUMENT = reply(501, "5.5.4", "This command needs an argument").encode()
LOGIN_CANCELLED = reply(501, "5.0.0", "Authentication cancelled").encode()
LOGIN_CONTROLS = reply(501, "5.5.2", "The response is not base64, authentication ended").encode()
NOT_OFFERED = reply(502, "5.5.1", "This command is not offered here").encode()
HELLO_FIRST = reply(503, "5.5.1", "Send EHLO first").encode()
MAIL_FIRST = reply(503, "5.5.1", "Send MAIL first").encode()
RECIPIENT_FIRST = reply(503, "5.5.1", "There is no valid recipient; send RCPT first").encode()
IN_TRANSACTION = reply(503, "5.5.1", "Not within a transaction; send RSET first").encode()
TLS_ALREADY = reply(503, "5.5.1", "TLS is active already").encode()
LOGIN_ALREADY = reply(503, "5.5.1", "You are logged in already").encode()
CHUNKS_BEGUN = reply(503, "5.5.1", "Chunks have begun; send the next BDAT, or RSET").encode()
UNKNOWN_MECHANISM = reply(504, "5.5.4", "Use AUTH PLAIN or AUTH LOGIN").encode()
TLS_FIRST = reply(530, "5.7.0", "Must issue a STARTTLS command first").encode()
LOGIN_FIRST = reply(530, "5.7.0", "Authentication required").encode()
BAD_LOGIN = reply(535, "5.7.8", "User name or password is wrong").encode()
TLS_FOR_LOGIN = reply(538, "5.7.11", "Encryption is required for AUTH; send STARTTLS first").encode()


def challenge(text: str) -> bytes:
    """Gives the 334 of an authentication exchange, which has no enhanced code (RFC 4954 6)."""
    return b"334 %s\r\n" % text.encode("ascii")


def chunk_taken(octets: int) -> bytes:
    """Gives the answer to a chunk that is not the last one (RFC 3030 2)."""
    return reply(250, "2.0.0", f"Ok, {octets} octets").encode()


def too_large(limit: int) -> bytes:
    """Gives the refusal of a message over `limit` bytes."""
    return Refused("message_too_large", limit=limit).reply.encode()


def too_many_recipients(limit: int) -> bytes:
    """Gives the refusal of one recipient more than `limit`."""
    return Refused("too_many_recipients", limit=limit).reply.encode()


_BODY_FAULTS = {
    BodyFault.NUL: "The message has a NUL octet, which mail must not have; encode it as base64.",
    BodyFault.BARE_NEWLINE: "The message has a CR or LF that stands alone; end every line with CR LF.",
    BodyFault.LONG_LINE: f"The message has a line of more than {MAX_LINE_OCTETS} octets; encode it as base64.",
}


def broken_body(fault: BodyFault, max_message_bytes: int) -> bytes:
    """Gives the answer to the end of data of a body with this fault."""
    if fault is BodyFault.TOO_LARGE:
        return too_large(max_message_bytes)
    return Refused("invalid_message", reason=_BODY_FAULTS[fault]).reply.encode()
