"""What we say to a remote server in one transaction: the commands for an envelope, and the content on the wire.

Which parameters a command may carry depends on what the server offered, so the reading of its offers stands here too.
B1 is kept here: an address or parameter that would break out of its command raises ValueError, and nothing else is raised.

Sources: RFC 5321 4.1, 1870 (SIZE), 3461 and 6533 (DSN), 6152 (8BITMIME), 6531 (SMTPUTF8), 8689 (REQUIRETLS), 9422
(LIMITS).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec import Struct

from smtpeter.model.message import Dsn, Notify
from smtpeter.model.outcome import State
from smtpeter.model.reply import Reply

BLOCK_OCTETS = 64 * 1024  # of content between two waits for the remote host to keep up
JOINED_OCTETS = 1024 * 1024  # up to this size a content is copied once rather than walked piece by piece

Command = tuple[State, str]


@dataclass(frozen=True, slots=True)
class Extensions:
    """What the remote host offered after its last EHLO. `max_octets` None: SIZE not offered, or without a limit.

    `max_mails`: transactions that one connection may have (RFC 9422 4.1), None: not told.
    """

    has_pipelining: bool = False
    has_8bitmime: bool = False
    has_smtputf8: bool = False
    has_dsn: bool = False
    has_starttls: bool = False
    has_requiretls: bool = False
    has_size: bool = False
    max_octets: int | None = None
    max_mails: int | None = None
    mechanisms: frozenset[str] = frozenset()


class Envelope(Struct, frozen=True):
    """One transaction: a reverse path ("" is the null path), one recipient, and what is asked for them.

    `is_8bit` and `is_utf8` tell of the content: octets above 127, header fields in UTF-8 (RFC 6532). `tracks_bounces`:
    the reverse path is an address of ours, to which failures must come back whatever the submitter asked for.
    """

    sender: str
    recipient: str
    dsn: Dsn = Dsn()
    is_8bit: bool = False
    is_utf8: bool = False
    requires_tls: bool = False
    tracks_bounces: bool = False


def read_extensions(reply: Reply) -> Extensions:
    """Gives what an EHLO reply offers; its first line is the greeting. Lines that make no sense offer nothing."""
    offers: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, arguments = line.upper().partition(" ")
        if keyword.startswith("AUTH="):  # the way before RFC 4954, still said beside the new one
            keyword, arguments = "AUTH", f"{keyword[5:]} {arguments}"
        offers[keyword] = f"{offers[keyword]} {arguments}" if keyword in offers else arguments
    limits = {name: value for name, _, value in (item.partition("=") for item in offers.get("LIMITS", "").split())}
    return Extensions(
        has_pipelining="PIPELINING" in offers,
        has_8bitmime="8BITMIME" in offers,
        has_smtputf8="SMTPUTF8" in offers,
        has_dsn="DSN" in offers,
        has_starttls="STARTTLS" in offers,
        has_requiretls="REQUIRETLS" in offers,
        has_size="SIZE" in offers,
        max_octets=_number(offers.get("SIZE", "")) or None,  # RFC 1870 4: 0 is no limit
        # RFC 9422 4.1
        max_mails=_number(limits.get("MAILMAX", "")) or None,
        mechanisms=frozenset(offers.get("AUTH", "").split()),
    )


_NUMBER = re.compile(r"[0-9]{1,18}(?= |\Z)")


def _number(text: str) -> int | None:
    match = _NUMBER.match(text.strip())
    return int(match[0]) if match is not None else None


def needs_utf8(envelope: Envelope) -> bool:
    """True when the transaction needs SMTPUTF8 (RFC 6531 3.4)."""
    return envelope.is_utf8 or not (envelope.sender.isascii() and envelope.recipient.isascii())


def commands_for(peer: Extensions, envelope: Envelope, size: int, *, must_reset: bool) -> list[Command]:
    """Gives what is said up to the content. Raises ValueError when a value would break out of its command."""
    mail = f"MAIL FROM:<{_path(envelope.sender)}>" if envelope.sender else "MAIL FROM:<>"  # RFC 5321 4.5.5
    rcpt = f"RCPT TO:<{_path(envelope.recipient)}>"
    if peer.has_size:
        mail += f" SIZE={size}"
    if envelope.is_8bit:
        mail += " BODY=8BITMIME"
    if needs_utf8(envelope):
        mail += " SMTPUTF8"
    if envelope.requires_tls:
        mail += " REQUIRETLS"
    if peer.has_dsn and (envelope.dsn is not _NO_DSN or envelope.tracks_bounces):
        mail += _mail_dsn(envelope.dsn)
        rcpt += _rcpt_dsn(envelope.dsn, tracks_bounces=envelope.tracks_bounces)
    commands = [(State.MAILFROM, mail), (State.RCPTTO, rcpt), (State.DATA, "DATA")]
    return [(State.IDLE, "RSET"), *commands] if must_reset else commands


# Mailbox of RFC 5321 4.1.2 as far as it keeps a path whole: nothing that ends it outside of a quoted string
_MAILBOX = re.compile(r"""(?:[^\s<>"@]+|"(?:[^"\\]|\\.)*")@[^\s<>"@]+\Z""")
_NO_DSN = Envelope("", "").dsn


def _path(address: str) -> str:
    """Gives the address. Raises ValueError when it would end its own path."""
    if _MAILBOX.match(address) is None:
        raise ValueError("an address of the envelope is malformed")
    return address


def _mail_dsn(dsn: Dsn) -> str:
    if dsn.ret not in ("", "FULL", "HDRS"):
        raise ValueError("RET is FULL or HDRS")
    ret = f" RET={dsn.ret}" if dsn.ret else ""  # RFC 3461 4.3
    return f"{ret} ENVID={xtext(dsn.envid)}" if dsn.envid else ret  # RFC 3461 4.4


def _rcpt_dsn(dsn: Dsn, *, tracks_bounces: bool) -> str:
    asked = (dsn.notify - {Notify.NEVER}) | {Notify.FAILURE} if tracks_bounces else dsn.notify
    notify = f" NOTIFY={','.join(n for n in Notify if n in asked)}" if asked else ""  # RFC 3461 4.1
    if not dsn.orcpt:
        return notify
    kind, _, address = dsn.orcpt.partition(";")
    # RFC 6533 3: addresses of this type have an encoding of their own, which passes through xtext unharmed
    encoded = utf8_xtext(address) if kind.lower() == "utf-8" else xtext(address)
    return f"{notify} ORCPT={xtext(kind)};{encoded}"  # RFC 3461 4.2


_NOT_XCHAR = re.compile(r"[^!-*,-<>-~]")
# EmbeddedUnicodeChar of RFC 6533 3, or one character that is no QCHAR
_NOT_UTF8_XCHAR = re.compile(r"\\x\{[0-9A-F]{2,6}\}|[^!-*,-<>-\[\]-~]")


def xtext(text: str) -> str:
    """Gives the xtext form of RFC 3461 4: octets outside of `!` to `~`, and `+` and `=`, as + and two hex digits."""
    return _NOT_XCHAR.sub(lambda match: "".join(f"+{octet:02X}" for octet in match[0].encode()), text)


def utf8_xtext(text: str) -> str:
    """Gives the utf-8-addr-xtext form of RFC 6533 3, in ASCII: `\\x{E9}` for what xtext cannot hold.

    What has this form already stays as it is.
    """
    return _NOT_UTF8_XCHAR.sub(_embedded, text)


def _embedded(match: re.Match[str]) -> str:
    return match[0] if len(match[0]) > 1 else f"\\x{{{ord(match[0]):02X}}}"


def content_blocks(content: Sequence[bytes]) -> Iterator[bytes]:
    """Gives the content with its dots stuffed, in blocks of about BLOCK_OCTETS; the last one holds the end of data.

    Pieces may begin and end anywhere, within a line end too. Source: RFC 5321 4.5.2 and 4.1.1.4.
    """
    size = sum(map(len, content))
    if size > BLOCK_OCTETS:
        yield from _large_blocks(content if size > JOINED_OCTETS else [b"".join(content)])
        return
    whole = b"".join(content)
    if b"\r\n." in whole:
        whole = whole.replace(b"\r\n.", b"\r\n..")
    yield (b"." + whole if whole.startswith(b".") else whole) + _end_of_data(whole or b"\r\n")


def _large_blocks(content: Sequence[bytes]) -> Iterator[bytes]:
    before = b"\r\n"  # the two octets before the block; the content begins where a line begins
    held = b""
    for piece in content:
        for start in range(0, len(piece), BLOCK_OCTETS):
            block = piece[start : start + BLOCK_OCTETS]
            if held:
                yield held
            held = (before + block).replace(b"\r\n.", b"\r\n..")[2:]
            before = (before + block[-2:])[-2:]
    yield held + _end_of_data(before)


def _end_of_data(before: bytes) -> bytes:
    # the dot must stand on a line of its own, so a content without a last line end is given one
    return b".\r\n" if before.endswith(b"\r\n") else b"\r\n.\r\n"
