"""What must be known of a message before it is accepted: who it says it is from, its subject, its option fields.

The header is read once, with the one parser of addresses that display and signing use too (S12): a message whose
sender cannot be read with certainty is refused, and so is one that could not leave within the rules of SMTP, because
after acceptance it could only fail.

RFC 5322 3.6, RFC 5321 4.5.3.1.6, RFC 6409 6. Raises Refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from smtpeter.content.options import NOTHING, OptionHeaders, read_options
from smtpeter.model.address import AddressError
from smtpeter.model.parts import Mailbox
from smtpeter.model.refusal import Refused
from smtpeter.wire.encoded_words import decode_value
from smtpeter.wire.headers import Field, check_hops, check_limits, find, has_long_line, read_fields, split
from smtpeter.wire.mailboxes import parse_field
from smtpeter.wire.mend import mend
from smtpeter.wire.mime import CannotConvert, is_protected

MAX_HOPS = 50  # limit L7, submission
MAX_SUBJECT = 998
MAX_LINE = 64 * 1024  # limit L5


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a message says of itself.

    `senders` are the mailboxes of From, at least one; `from_domains` their domains as A-labels, each once, the first
    one first. `has_long_lines`: it is to be mended when rendered.
    """

    senders: tuple[Mailbox, ...]
    from_domains: tuple[str, ...]
    subject: str
    options: OptionHeaders
    is_8bit: bool
    has_long_lines: bool
    is_protected: bool

    @property
    def from_domain(self) -> str:
        """The domain that decides which sender domain and keys apply."""
        return self.from_domains[0]


def inspect(mime: bytes) -> Inspected:
    """Gives what a submitted message says of itself; its line ends are CRLF already. Raises Refused."""
    head, body = split(mime)
    fields = read_fields(head)
    check_limits(head, fields)
    check_hops(fields, MAX_HOPS)
    _check_octets(mime)
    senders = _senders(fields)
    protected = is_protected(fields)
    has_long_lines = has_long_line(mime)
    if has_long_lines:
        _check_mendable(mime)
    return Inspected(
        senders,
        tuple(dict.fromkeys([box.address.rpartition("@")[2] for box in senders])),
        decode_value(find(fields, b"subject") or b"")[:MAX_SUBJECT],
        _options(fields) if b"x-smtpeter-" in head.lower() else NOTHING,
        not body.isascii(),
        has_long_lines,
        protected,
    )


def _senders(fields: Sequence[Field]) -> tuple[Mailbox, ...]:
    # RFC 5322 3.6: exactly one From field
    found = [field for field in fields if field.name == b"from"]
    if not found:
        raise Refused("invalid_sender", reason="The message has no From field; add one with your address.")
    if len(found) > 1:
        raise Refused("invalid_sender", reason=f"The message has {len(found)} From fields; leave one.")
    try:
        return parse_field(found[0].value)
    except AddressError as error:
        raise Refused("invalid_sender", reason=f"The From field cannot be read: {error}") from None


def _options(fields: Sequence[Field]) -> OptionHeaders:
    named = [field for field in fields if field.name.startswith(b"x-smtpeter-")]
    return read_options([(field.name.decode("ascii"), decode_value(field.value)) for field in named])


def _check_octets(mime: bytes) -> None:
    """Refuses what may never be sent (S3). Bare CR and LF are not looked for again: doors turn them into CRLF."""
    if b"\0" in mime:
        raise Refused("invalid_message", reason="The message holds a NUL character; encode the part that has it.")


def _check_mendable(mime: bytes) -> None:
    if max(map(len, mime.split(b"\r\n"))) > MAX_LINE:
        raise Refused(
            "invalid_message", reason=f"A line is longer than {MAX_LINE} octets; encode the part that has it."
        )
    try:
        mend(mime)
    except CannotConvert as error:
        raise Refused("invalid_message", reason=f"Lines are over 998 octets and cannot be mended: {error}") from None
