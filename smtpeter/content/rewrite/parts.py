"""A whole message: which parts are to be rewritten, and the message put together again around them.

Parts are decoded, rewritten and encoded again in the transfer encoding and character set that they had; what lies outside of
them leaves octet for octet, boundaries included. What is signed or encrypted, an attachment, and a message within the
message is left alone, and so is a part that cannot be read with certainty. Images that we host are taken out.

Everything but the tokens is the same for all recipients, so it is compiled once, its transfer encoding too: in
quoted-printable a token stands on a line of its own. What differs in more than tokens is compiled with marks in the places
of the values (content/shape): a part with a mark is given whatever is to be changed in it.

RFC 2045 6.7 and 6.8, RFC 2046 5.1.1, RFC 2387, RFC 1847. Content has CRLF line ends. A tree beyond limit L8 is not
rewritten. Raises nothing.
"""

import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from smtpeter.content.rewrite.charset import read_text, write_text
from smtpeter.content.rewrite.html import RewrittenHtml, compile_html
from smtpeter.content.rewrite.images import cids_of
from smtpeter.content.rewrite.markup import scan
from smtpeter.content.rewrite.plaintext import compile_text
from smtpeter.content.rewrite.segments import Head, interleave, split_tokens
from smtpeter.content.rewrite.settings import MAX_TEXT, Rewriting
from smtpeter.model.account import AccountId
from smtpeter.wire.headers import find
from smtpeter.wire.mime import CannotConvert, Part, decode_body, walk, wrap_base64
from smtpeter.wire.newlines import has_bare
from smtpeter.wire.token import Sealer

_LINE_END = re.compile(rb"\r\n?|\n")
_SOFT_BREAK = b"=\r\n"
_RAW = frozenset({"", "7bit", "8bit", "binary"})
# what a browser shows from our host without running anything
_HOSTABLE = frozenset(f"image/{kind}" for kind in ("png", "jpeg", "jpg", "gif", "webp", "avif", "bmp"))


@dataclass(frozen=True, slots=True)
class HostedImage:
    """An image that was taken out of the message, to be stored under its SHA-256."""

    digest: bytes
    type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Run:
    """Octets with a token between each two; base64 can be made only when the tokens are there."""

    constants: tuple[bytes, ...]
    is_base64: bool = False
    is_ended: bool = True  # base64 ends with a line end of its own

    def join(self, tokens: Sequence[bytes]) -> bytes:
        data = b"".join(interleave(self.constants, tokens))
        if not self.is_base64:
            return data
        encoded = wrap_base64(data)
        return encoded if self.is_ended else encoded[:-2]


@dataclass(frozen=True, slots=True)
class NumberedMessage:
    """A message with its tokens left out."""

    _runs: tuple[_Run, ...] = field(repr=False)
    _heads: tuple[Head, ...] = field(repr=False)

    def fill(self, sealer: Sealer) -> bytes:
        """Gives the message for one recipient."""
        tokens = split_tokens(sealer.seal_all(self._heads).encode("ascii"))
        out, at = [], 0
        for run in self._runs:
            count = len(run.constants) - 1
            out.append(run.join(tokens[at : at + count]))
            at += count
        return b"".join(out)


@dataclass(frozen=True, slots=True)
class Edit:
    """What to put from `start` to `end`: a text in this codec and transfer encoding, or these octets."""

    start: int
    end: int
    text: RewrittenHtml | None = None
    codec: str = ""
    encoding: str = ""
    octets: bytes = b""


@dataclass(frozen=True, slots=True)
class RewrittenMessage:
    """A message with slots; `images` are those that it refers to at our host. `warnings` are sentences."""

    content: bytes = field(repr=False)
    edits: tuple[Edit, ...] = field(default=(), repr=False)
    images: tuple[HostedImage, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_changed(self) -> bool:
        """False when nothing is to be rewritten: the message leaves as it is."""
        return bool(self.edits)

    @property
    def origins(self) -> tuple[str, ...]:
        """Schemes and hosts that need a number before tokens can be made."""
        return tuple(dict.fromkeys([origin for edit in self.edits if edit.text for origin in edit.text.origins]))

    def numbered(self, account: AccountId, numbers: Mapping[str, int]) -> NumberedMessage:
        """Gives what `fill` makes each recipient's message from; links to a host without a number are not tracked."""
        runs: list[_Run] = []
        heads: list[Head] = []
        open_run: list[bytes] = [b""]  # the stretch that needs no more than joining
        at = 0
        for edit in self.edits:
            open_run[-1] += self.content[at : edit.start] + edit.octets
            at = edit.end
            if edit.text is None:
                continue
            numbered = edit.text.numbered(account, numbers)
            heads += numbered.heads
            constants = [write_text(text, edit.codec) for text in numbered.constants]
            if edit.encoding == "base64":
                is_ended = self.content.endswith(b"\r\n", edit.start, edit.end)
                runs += (_Run(tuple(open_run)), _Run(tuple(constants), is_base64=True, is_ended=is_ended))
                open_run = [b""]
                continue
            if edit.encoding == "quoted-printable":
                constants = quote_constants(constants)
            open_run[-1] += constants[0]
            open_run += constants[1:]
        open_run[-1] += self.content[at:]
        return NumberedMessage((*runs, _Run(tuple(open_run))), tuple(heads))


def compile_message(content: bytes, settings: Rewriting, mark: str = "") -> RewrittenMessage:
    """Gives the message as it is to be rewritten; nothing of it changes when the settings are off or nothing fits.

    Parts that hold the `mark` are among the edits in any case, in an encoding that can hold every letter, or they are not
    among them at all: a part of ours in 7bit becomes quoted-printable, one of a sender that takes only some is left out.
    """
    if not settings.changes_html and not settings.plain_text and not mark:
        return RewrittenMessage(content)
    try:
        parts = walk(content, enters_messages=False)
    except CannotConvert as error:
        return RewrittenMessage(content, warnings=(f"The message is not rewritten: {error}",))
    texts = [(part, found) for part in parts if (found := _read(content, part, settings, mark)) is not None]
    hosted = _hosted(content, parts, [text for part, (text, _) in texts if part.type.name == "text/html"], settings)
    addresses = {cid: address for cid, (_, address, _) in hosted.items()}
    edits: list[Edit] = []
    warnings: list[str] = []
    for part, (text, codec) in texts:
        is_html = part.type.name == "text/html"
        rewritten = compile_html(text, settings, addresses) if is_html else compile_text(text, settings)
        warnings += rewritten.warnings
        if mark and mark in text:
            edits += _opened(content, part, rewritten, codec)
        elif rewritten.is_changed:
            edits.append(Edit(part.body, part.end, rewritten, codec, part.encoding))
    edits += _removals(parts, {part.start for part, _, _ in hosted.values()})
    images = {image.digest: image for _, _, image in hosted.values()}
    ordered = tuple(sorted(edits, key=lambda edit: (edit.start, edit.end)))
    return RewrittenMessage(content, ordered, tuple(images.values()), tuple(warnings))


def _opened(content: bytes, part: Part, text: RewrittenHtml, codec: str) -> list[Edit]:
    """Gives the edits of a part into which values will be put, none when not every value can be."""
    charset = part.type.parameters.get("charset", "").lower()
    if codec != "utf-8" or charset not in ("utf-8", "utf8"):
        return []
    if part.encoding in ("quoted-printable", "base64"):
        return [Edit(part.body, part.end, text, codec, part.encoding)]
    field = next((field.raw for field in part.fields if field.name == b"content-transfer-encoding"), None)
    at = -1 if field is None or part.encoding != "7bit" else content.find(field, part.start, part.body)
    if field is None or at < 0:
        return []
    named = Edit(at, at + len(field), octets=b"Content-Transfer-Encoding: quoted-printable\r\n")
    return [named, Edit(part.body, part.end, text, codec, "quoted-printable")]


def _read(content: bytes, part: Part, settings: Rewriting, mark: str) -> tuple[str, str] | None:
    """Gives text and codec of a part that is to be looked at, None for any other."""
    is_html = part.type.name == "text/html" and (settings.changes_html or bool(mark))
    is_text = part.type.name == "text/plain" and (bool(mark) or (settings.plain_text and settings.clicks))
    if not (is_html or is_text) or part.is_protected or part.is_attachment:
        return None
    if part.encoding not in _RAW and part.encoding not in ("quoted-printable", "base64"):
        return None
    data = decode_body(content, part)
    if len(data) > MAX_TEXT:
        return None
    if part.encoding == "quoted-printable" and has_bare(data):
        # line ends that were encoded: to HTML they are all the same, and a text that we quote has one kind
        data = _LINE_END.sub(b"\r\n", data)
    return read_text(data, part.type.parameters.get("charset", ""))


def quote_constants(constants: Sequence[bytes]) -> list[bytes]:
    """Gives the constants in quoted-printable so that something else can stand on a line between each two."""
    quoted = [quote(text) for text in constants]
    last = len(quoted) - 1
    return [
        (_SOFT_BREAK if number else b"") + text + (_SOFT_BREAK if number < last else b"")
        for number, text in enumerate(quoted)
    ]


def quote(data: bytes) -> bytes:
    """Gives the octets in quoted-printable, without a line end behind them."""
    # the CRLF makes the encoder write CRLF at its soft breaks too, and protects blanks at the end
    return binascii.b2a_qp(data + b"\r\n", istext=True).removesuffix(b"\r\n")


def _hosted(
    content: bytes, parts: Sequence[Part], texts: Sequence[str], settings: Rewriting
) -> dict[str, tuple[Part, str, HostedImage]]:
    """Gives the images that some text refers to, by Content-ID, with the addresses at which we serve them."""
    if settings.image_address is None:
        return {}
    wanted = {cid for text in texts for cid in cids_of(text, scan(text))}
    found: dict[str, tuple[Part, str, HostedImage]] = {}
    for part in parts:
        cid = (find(part.fields, b"content-id") or b"").decode("utf-8", "replace").strip("<> \t")
        if cid not in wanted or cid in found or part.type.name not in _HOSTABLE or part.is_protected:
            continue
        if part.encoding not in _RAW and part.encoding not in ("quoted-printable", "base64"):
            continue
        data = decode_body(content, part)
        digest = sha256(data).digest()
        found[cid] = part, settings.image_address(digest, part.type.name), HostedImage(digest, part.type.name, data)
    return found


def _removals(parts: Sequence[Part], starts: set[int]) -> list[Edit]:
    """Gives the edits that take the parts with these starts out of their multiparts, each with one delimiter line."""
    edits = []
    for parent in parts:
        last_end = -1  # of the child before, when something of the multipart stays before this one
        gone_from = -1
        for start, end in parent.children:
            if start in starts and last_end >= 0:
                edits.append(Edit(last_end, end))
            elif start in starts:
                gone_from = start if gone_from < 0 else gone_from
            elif gone_from >= 0:
                edits.append(Edit(gone_from, start))
                gone_from = -1
            last_end = end if start not in starts or last_end >= 0 else -1
        if gone_from >= 0:
            edits.append(Edit(gone_from, parent.children[-1][1]))  # nothing stays: one empty part
    return edits
