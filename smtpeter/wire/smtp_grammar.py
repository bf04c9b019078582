"""The grammar of SMTP commands: arguments of EHLO, MAIL, RCPT and BDAT as text to values.

One strict parser (RFC 5321 4.1.1 and 4.1.2 with 1870, 3030, 6152, 3461, 4954, 6531, 6533): a parameter that is unknown is 555, one that
is repeated or malformed 501, and numbers are ASCII digits. Source routes are taken off (RFC 5321 4.1.1.3, appendix C).
The text handed in is printable, which the session has seen to; what xtext hides is checked here, since it ends up in
header fields of reports.

Raises only `CommandError`, which carries the reply.
"""

import re
from collections.abc import Callable, Mapping

from msgspec import Struct

from smtpeter.model.address import Address, AddressError, parse_address
from smtpeter.model.message import Dsn, Notify, Recipient
from smtpeter.model.reply import Reply, reply

MAX_SIZE_DIGITS = 20  # RFC 1870 3
MAX_ENVID_OCTETS = 100  # RFC 3461 4.4
MAX_ORCPT_OCTETS = 500  # RFC 3461 4.2

# Path of RFC 5321 4.1.2 with its optional source route; a blank after the colon is wrong but common.
# Possessive, so that a hostile line is read once.
_PATH = re.compile(
    r" *+<(?P<route>@[^<>\":\s]++:)?"
    r'(?P<mailbox>(?:[^"<>\s]++|"(?:[^"\\]++|\\.)*")*)>'
    r"(?: +(?P<parameters>.*))?\Z"
)
# RFC 5321 4.1.2 esmtp-param, widened by RFC 6531 3.3
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u00a1-\U0010ffff]+))?\Z")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*\Z")  # RFC 3461 4
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
# RFC 6533 3 utf-8-enc-addr; what a code point may be is seen to when it is decoded
_UTF8_ADDRESS = re.compile(r"(?:[!-*,-<>-\[\]-~\u00a1-\U0010ffff]|\\x\{[0-9A-F]{2,6}\})+\Z")
_CODE_POINT = re.compile(r"\\x\{([0-9A-F]+)\}")
_NOT_XCHAR = re.compile(r"[^!-*,-<>-~]")
_ADDR_TYPE = re.compile(r"[A-Za-z0-9!#$%&'*/?^_`{|}~.-]+\Z")  # RFC 3461 4.2, an atom without "+" and "="
_HELO = re.compile(r"[!-;=?-~]{1,255}\Z")  # looser than RFC 5321 4.1.1.1: many clients name themselves badly
_BDAT = re.compile(r"([0-9]{1,18})( LAST)?\Z", re.IGNORECASE)  # RFC 3030 2


NEEDS_UTF8 = reply(553, "5.6.7", "The address is not ASCII; say so with the parameter SMTPUTF8 of MAIL")  # RFC 6531 3.5


class CommandError(ValueError):
    """A command is refused; `reply` is the answer."""

    def __init__(self, refusal: Reply) -> None:
        super().__init__(str(refusal))
        self.reply = refusal


class MailCommand(Struct, frozen=True):
    """A reverse path with its parameters. `sender` "" is the null path; `declared_bytes` None: SIZE was not given."""

    sender: str
    declared_bytes: int | None = None
    is_8bit: bool = False
    ret: str = ""
    envid: str = ""
    is_utf8: bool = False


class Chunk(Struct, frozen=True):
    """What BDAT announces: so many octets of the message, perhaps its last ones."""

    octets: int
    is_last: bool


def parse_helo(argument: str) -> str:
    """Gives the name under which the client presents itself."""
    if not _HELO.match(argument):
        raise CommandError(reply(501, "5.5.4", "Give the name of your host, as EHLO client.example.com"))
    return argument


def parse_mail(argument: str, *, allows_auth: bool = True) -> MailCommand:
    """Reads what follows `MAIL `. `allows_auth`: the parameter AUTH is known (RFC 4954 5)."""
    _, mailbox, text = _split_path(argument, "FROM:", "MAIL FROM:<name@example.com>")
    sender = str(_mailbox(mailbox, "5.1.7")) if mailbox else ""
    known = _MAIL_PARAMETERS if allows_auth else _MAIL_PARAMETERS_WITHOUT_AUTH
    given = _parameters(text, known) if text else {}
    if not argument.isascii() and "SMTPUTF8" not in given:
        raise CommandError(NEEDS_UTF8)
    if not given:
        return MailCommand(sender)
    return MailCommand(
        sender,
        declared_bytes=int(given["SIZE"]) if "SIZE" in given else None,
        is_8bit=given.get("BODY") == "8BITMIME",
        ret=given.get("RET", ""),
        envid=given.get("ENVID", ""),
        is_utf8="SMTPUTF8" in given,
    )


def parse_rcpt(argument: str, mail: MailCommand, *, postmaster_at: str = "", allows_route: bool = True) -> Recipient:
    """Reads what follows `RCPT `; RET and ENVID of the transaction are added to the recipient's Dsn.

    `postmaster_at` is the domain that a bare `<postmaster>` belongs to (RFC 5321 4.5.1), "" when it is not taken.
    """
    if not (mail.is_utf8 or argument.isascii()):
        raise CommandError(NEEDS_UTF8)
    route, mailbox, text = _split_path(argument, "TO:", "RCPT TO:<name@example.com>")
    if route and not allows_route:
        raise CommandError(reply(550, "5.7.1", "Source routes are not accepted; give the plain address"))
    full = f"{mailbox}@{postmaster_at}" if postmaster_at and mailbox.lower() == "postmaster" else mailbox
    address = _mailbox(full, "5.1.3")
    dsn = _recipient_dsn(_parameters(text, _RCPT_PARAMETERS) if text else {}, mail)
    return Recipient(str(address), address.domain, mailbox, dsn)


def parse_bdat(argument: str) -> Chunk:
    """Reads what follows `BDAT `."""
    found = _BDAT.match(argument)
    if not found:
        raise CommandError(reply(501, "5.5.4", "Write it as BDAT 1024, or BDAT 1024 LAST"))
    return Chunk(int(found[1]), found[2] is not None)


def decode_xtext(text: str) -> str:
    """Gives the text behind RFC 3461 4 xtext. Raises ValueError when it is not xtext of printable ASCII."""
    if not _XTEXT.match(text):
        raise ValueError(f"{text!r} is not xtext")
    plain = _HEXCHAR.sub(lambda found: chr(int(found[1], 16)), text) if "+" in text else text
    if not (plain.isascii() and plain.isprintable()):
        raise ValueError(f"{text!r} hides characters that are not printable ASCII")
    return plain


def encode_xtext(text: str) -> str:
    """Gives printable ASCII text as xtext (RFC 3461 4)."""
    return _NOT_XCHAR.sub(lambda found: f"+{ord(found[0]):02X}", text)


def _decode_utf8_address(text: str) -> str:
    """Gives the address behind the encoding of RFC 6533 3. Raises ValueError when it is none, or hides controls."""
    if not _UTF8_ADDRESS.match(text):
        raise ValueError(f"{text!r} is not an encoded address")
    plain = _CODE_POINT.sub(lambda found: chr(int(found[1], 16)), text) if "\\" in text else text
    if not plain.isprintable():
        raise ValueError(f"{text!r} hides characters that are not printable")
    return plain


def _split_path(argument: str, keyword: str, example: str) -> tuple[str, str, str]:
    size = len(keyword)
    found = _PATH.match(argument, size) if argument[:size].upper() == keyword else None
    if not found:
        raise CommandError(reply(501, "5.5.4", f"Write it as {example}"))
    return found["route"] or "", found["mailbox"], found["parameters"] or ""


def _mailbox(text: str, status: str) -> Address:
    try:
        return parse_address(text)
    except AddressError as trouble:
        raise CommandError(reply(501, status, _printable(str(trouble)))) from None


def _parameters(text: str, known: Mapping[str, Callable[[str], str]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for item in text.split():
        found = _PARAMETER.match(item)
        if not found:
            raise CommandError(reply(501, "5.5.4", f"The parameter {item[:40]} is malformed"))
        keyword = found[1].upper()
        read = known.get(keyword)
        if read is None:
            raise CommandError(reply(555, "5.5.4", f"The parameter {keyword[:40]} is not supported"))
        if keyword in given:
            raise CommandError(reply(501, "5.5.4", f"The parameter {keyword} is given twice"))
        value = found[2] or ""
        try:
            if not (value.isascii() or keyword == "ORCPT"):
                raise ValueError(value)
            given[keyword] = read(value)
        except ValueError:
            raise CommandError(reply(501, "5.5.4", f"The value of {keyword} is malformed")) from None
    return given


def _recipient_dsn(given: Mapping[str, str], mail: MailCommand) -> Dsn:
    if not given and not mail.ret and not mail.envid:
        return _NO_DSN
    words = given.get("NOTIFY", "")
    return Dsn(
        notify=frozenset(map(Notify, words.split(","))) if words else frozenset(),
        ret=mail.ret,
        envid=mail.envid,
        orcpt=given.get("ORCPT", ""),
    )


def _size(value: str) -> str:
    if not (value.isascii() and value.isdigit() and len(value) <= MAX_SIZE_DIGITS):
        raise ValueError(value)
    return value


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        word = value.upper()
        if word not in choices:
            raise ValueError(value)
        return word

    return read


def _envid(value: str) -> str:
    if not 1 <= len(value) <= MAX_ENVID_OCTETS:
        raise ValueError(value)
    return decode_xtext(value)


def _auth(value: str) -> str:
    # RFC 4954 5: an xtext mailbox or "<>"; who vouches for whom has no use here, so it is only checked
    if value != "<>" and not decode_xtext(value):
        raise ValueError(value)
    return value


def _notify(value: str) -> str:
    words = value.upper().split(",")
    if len(set(words)) != len(words) or not Notify.__members__.keys() >= set(words):
        raise ValueError(value)
    if "NEVER" in words and len(words) > 1:  # RFC 3461 4.1
        raise ValueError(value)
    return ",".join(words)


def _orcpt(value: str) -> str:
    kind, _, address = value.partition(";")
    if len(value.encode()) > MAX_ORCPT_OCTETS or not _ADDR_TYPE.match(kind) or not address:
        raise ValueError(value)
    decode = _decode_utf8_address if kind.lower() == "utf-8" else decode_xtext
    return f"{kind};{decode(address)}"


def _printable(text: str) -> str:
    # refusals quote the address: replies are ASCII, and a very long one would make a longer line than may be
    text = text.encode("ascii", "backslashreplace").decode()
    return text if len(text) <= 200 else f"{text[:200]}..."


def _nothing(value: str) -> str:
    if value:
        raise ValueError(value)
    return value


_NO_DSN = Dsn()
_RCPT_PARAMETERS: dict[str, Callable[[str], str]] = {"NOTIFY": _notify, "ORCPT": _orcpt}
_MAIL_PARAMETERS_WITHOUT_AUTH: dict[str, Callable[[str], str]] = {
    "SIZE": _size,  # RFC 1870 3
    "BODY": _one_of("7BIT", "8BITMIME"),  # RFC 6152 2
    "RET": _one_of("FULL", "HDRS"),  # RFC 3461 4.3
    "ENVID": _envid,  # RFC 3461 4.4
    "SMTPUTF8": _nothing,  # RFC 6531 3.4
}
_MAIL_PARAMETERS = _MAIL_PARAMETERS_WITHOUT_AUTH | {"AUTH": _auth}
