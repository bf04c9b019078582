"""The table of verbs: what is in order when."""

import pytest

from smtpeter.wire.smtp_facts import ServerPolicy
from smtpeter.wire.smtp_server import Session, State

POLICY = ServerPolicy(
    "mail.example.com", requires_tls=False, requires_auth=False, allows_plain_auth=True, has_tls=True, max_errors=100
)
_SENDER = b"EHLO c\r\nMAIL FROM:<a@example.com>\r\n"
# how a session gets to the states in which commands are read
WAYS = {
    State.NEW: b"",
    State.READY: b"EHLO c\r\n",
    State.SENDER: _SENDER,
    State.RECIPIENT: _SENDER + b"RCPT TO:<b@example.net>\r\n",
    State.CHUNKS: _SENDER + b"RCPT TO:<b@example.net>\r\nBDAT 3\r\nx\r\n",
}
# RFC 5321 4.1.4, 3030 2, 3207 4, 4954 4: the code of each command in the states above
CODES = {
    b"EHLO c": (250, 250, 250, 250, 250),
    b"HELO c": (250, 250, 250, 250, 250),
    b"STARTTLS": (503, 220, 503, 503, 503),
    b"AUTH LOGIN": (503, 334, 503, 503, 503),
    b"MAIL FROM:<a@example.com>": (503, 250, 503, 503, 503),
    b"RCPT TO:<b@example.net>": (503, 503, 250, 250, 503),
    b"DATA": (503, 503, 503, 354, 503),
    b"BDAT 0": (503, 503, 503, 250, 250),
    b"RSET": (250, 250, 250, 250, 250),
    b"NOOP": (250, 250, 250, 250, 250),
    b"HELP": (214, 214, 214, 214, 214),
    b"VRFY x": (252, 252, 252, 252, 252),
    b"EXPN x": (502, 502, 502, 502, 502),
    b"QUIT": (221, 221, 221, 221, 221),
    b"WHAT": (500, 500, 500, 500, 500),
}
IDLE = {b"EHLO c", b"HELO c", b"RSET", b"NOOP", b"HELP", b"VRFY x", b"EXPN x"}


def last_code(policy: ServerPolicy, octets: bytes) -> int:
    """Gives the code of the last reply to these octets."""
    session = Session(policy, is_tls=False, is_trusted=True)
    session.receive(octets)
    while session.next_fact() is not None:
        pass
    return int(session.take_output().rstrip(b"\r\n").rpartition(b"\r\n")[2][:3])


@pytest.mark.parametrize("command", CODES, ids=bytes.decode)
def test_command_is_taken_in_its_states_only(command: bytes) -> None:
    codes = tuple(last_code(POLICY, way + command + b"\r\n") for way in WAYS.values())
    assert codes == CODES[command]


@pytest.mark.parametrize("command", CODES, ids=bytes.decode)
def test_command_that_does_no_work_cannot_be_repeated_for_ever(command: bytes) -> None:
    impatient = ServerPolicy("mail.example.com", max_idle_commands=1, has_tls=True, requires_tls=False)
    code = last_code(impatient, b"EHLO c\r\n" + command + b"\r\n")
    # what is out of order does no work either
    is_idle = command in IDLE or command in (b"RCPT TO:<b@example.net>", b"DATA", b"BDAT 0")
    assert (code == 421) == is_idle


def test_verbs_are_read_in_any_case() -> None:
    assert last_code(POLICY, b"eHlO c\r\nmail from:<a@example.com>\r\n") == 250


def test_help_names_what_can_be_done() -> None:
    session = Session(POLICY, is_tls=False, is_trusted=True)
    session.receive(b"HELP\r\n")
    assert session.next_fact() is None
    named = set(session.take_output().split()[2:-2])
    offered = {command.split()[0] for command in CODES} - {b"EXPN", b"WHAT"}
    assert named == offered
