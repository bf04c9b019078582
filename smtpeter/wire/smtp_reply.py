"""The replies of a remote SMTP server: bytes in whatever pieces they come, `Reply` values out.

What a stranger's server says is foreign text. The parser therefore bounds it while it arrives (a server that talks
for ever costs 64 KiB) and gives text that can be stored and shown: valid UTF-8, no controls, at most 1 KiB.

Sources: RFC 5321 4.2 and 4.5.3.1.5, RFC 2034 and RFC 3463 2 for the enhanced status. Raises only `InvalidReply`, after
which nothing further may be read from the connection.
"""

import re

from smtpeter.model.reply import Reply

MAX_OCTETS = 64 * 1024  # one reply with all its lines
MAX_LINES = 100
MAX_LINE_OCTETS = 4 * 1024  # more than the 512 of RFC 5321 4.5.3.1.5, which many servers overstep
MAX_TEXT_OCTETS = 1024  # what is kept of the text (T3)

# Reply-line of RFC 5321 4.2: the code, then nothing, or a hyphen when lines follow, or a space
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?\Z", re.DOTALL)
# RFC 3463 2: class "." subject "." detail, numbers without leading zeros
_STATUS = re.compile(r"([245]\.(?:0|[1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2}))(?: +|\Z)")
# C0, DEL, C1, line and paragraph separator, and what turns the reading direction of text around it
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

# the same two rules for the shape nearly every reply has: one line of plain ASCII; what is taken is not given back (++),
# so that a line of blanks costs no more than any other
_PLAIN = re.compile(
    rb"([2-5][0-9][0-9])(?: (?:([245]\.(?:0|[1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2}))(?: ++|(?=\r)))?([ -~]*+))?\r\n"
)


class InvalidReply(Exception):
    """The bytes are no SMTP reply, or too many; `str()` is a sentence that says why."""


class ReplyParser:
    """Cuts replies out of a byte stream. Time is linear in the bytes received, however they are split."""

    __slots__ = ("_buffer", "_lines", "_octets", "_scanned", "_start")

    def __init__(self) -> None:
        self._buffer = b""
        self._start = 0  # where the line that is being read begins
        self._scanned = 0  # no line end lies between _start and here
        self._lines: list[tuple[bytes, bytes]] = []  # code and text of the lines read so far of the next reply
        self._octets = 0  # of these lines

    @property
    def is_empty(self) -> bool:
        """True when nothing was received behind the last reply that was taken."""
        return self._start == len(self._buffer) and not self._lines

    def receive(self, data: bytes) -> None:
        """Takes bytes from the remote host. Call it when `next` gave None."""
        self._buffer = self._buffer[self._start :] + data if self._start < len(self._buffer) else data
        self._scanned = max(self._scanned - self._start, 0)
        self._start = 0

    def next(self, *, is_whole: bool = False) -> Reply | None:
        """Gives the next complete reply, or None when bytes are missing. Raises InvalidReply.

        `is_whole`: a positive reply is not cut to MAX_TEXT_OCTETS, for it is a list that we go by (EHLO).
        """
        if not self._lines and self._scanned == self._start:
            plain = _PLAIN.match(self._buffer, self._start)
            if plain is not None and plain.end() - self._start <= MAX_TEXT_OCTETS:
                self._start = self._scanned = plain.end()
                code, status, text = plain.groups()
                if status is not None and status[0] != code[0]:
                    status, text = None, plain.group()[4:-2]
                return Reply(int(code), status.decode() if status else "", (text.decode() if text else "",))
        while (line := self._next_line()) is not None:
            if self._take_line(line):
                return self._finish(MAX_OCTETS if is_whole and line[:1] == b"2" else MAX_TEXT_OCTETS)
        return None

    def _next_line(self) -> bytes | None:
        # RFC 5321 2.3.8 wants CRLF. A lone LF ends a line here as well, because some servers and the programs beside
        # them (policy daemons, proxies) answer so. Nothing can be smuggled by it: a reply holds no commands, and
        # a server that wants to mislead us about its own replies can do so with CRLF as well.
        end = self._buffer.find(b"\n", self._scanned)
        if (len(self._buffer) if end < 0 else end) - self._start > MAX_LINE_OCTETS:
            raise InvalidReply(f"A line of the reply is longer than {MAX_LINE_OCTETS} octets.")
        if end < 0:
            self._scanned = len(self._buffer)
            return None
        line = self._buffer[self._start : end]
        self._start = self._scanned = end + 1
        self._octets += len(line) + 1
        return line.removesuffix(b"\r")

    def _take_line(self, line: bytes) -> bool:
        """Keeps one line; True when it is the last of its reply."""
        match = _LINE.match(line)
        if match is None:
            raise InvalidReply("A line does not begin with a reply code.")
        code, separator, text = match.groups()
        # RFC 5321 4.2.1: every line of a reply has the same code
        if self._lines and code != self._lines[0][0]:
            raise InvalidReply("The lines of the reply have different codes.")
        self._lines.append((code, text or b""))
        if len(self._lines) > MAX_LINES or self._octets > MAX_OCTETS:
            raise InvalidReply(f"The reply has more than {MAX_LINES} lines or {MAX_OCTETS} octets.")
        return separator != b"-"

    def _finish(self, max_text_octets: int) -> Reply:
        code = int(self._lines[0][0])
        texts = [clean(text) for _, text in self._lines]
        self._lines.clear()
        self._octets = 0
        status = ""
        first = _STATUS.match(texts[0])
        # RFC 2034 4: the class of the status is the first digit of the code
        if first is not None and texts[0][0] == str(code)[0]:
            status = first[1]
            texts = [_without_status(text, status) for text in texts]
        return Reply(code, status, _cut(texts, max_text_octets))


def clean(text: bytes) -> str:
    """Gives foreign text as one line of valid UTF-8; controls and malformed octets become U+FFFD."""
    return _CONTROL.sub("\ufffd", text.decode("utf-8", "replace"))


def _without_status(text: str, status: str) -> str:
    match = _STATUS.match(text)
    return text[match.end() :] if match is not None and match[1] == status else text


def _cut(texts: list[str], max_octets: int) -> tuple[str, ...]:
    """Gives the lines that fit into so many octets of UTF-8, the last of them cut between characters."""
    kept = []
    room = max_octets
    for text in texts:
        octets = text.encode()
        if len(octets) > room:
            if room > 0:
                kept.append(octets[:room].decode("utf-8", "ignore"))
            break
        kept.append(text)
        room -= len(octets)
    return tuple(kept)
