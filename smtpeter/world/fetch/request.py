"""What is asked of a web server, and what it answered: values only.

Raises ValueError for a header field that is not the caller's to set, or would break the request.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_SECONDS = 30.0  # H3, whatever is asked
POST_SECONDS = 15.0  # H4
POST_ANSWER_BYTES = 4096  # H4

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110 5.6.2
_VALUE = re.compile(r"[\t -~]*\Z")
# what frames the request, or what the client says itself; cookies are never sent (H1)
_OURS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect"}
    | {"accept-encoding", "user-agent", "cookie", "proxy-authorization", "proxy-connection", "keep-alive", "range"}
)


def check_fields(headers: Mapping[str, str]) -> None:
    """Raises ValueError for a field that must not be sent."""
    for name, value in headers.items():
        if not _NAME.match(name) or not _VALUE.match(value):
            raise ValueError(f"{name!r} is no header field that can be sent")
        if name.lower() in _OURS:
            raise ValueError(f"the client sets the field {name} itself")


@dataclass(frozen=True, slots=True)
class Request:
    """Asks for what is at a URL. `max_bytes` counts the content, decompressed; `seconds` all of it, redirects included.

    `headers` go to the host of the URL, not to one that it redirects to.
    """

    url: str
    max_bytes: int
    seconds: float = MAX_SECONDS
    follow_redirects: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_fields(self.headers)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was at a URL, its content decompressed.

    `url` is the last one when there were redirects. `type` as "image/png" and `charset` "" when the server did not
    say; `name` that of a file, "" when there is none in the answer or the URL. `cache_seconds`: how long a shared
    cache may keep it (RFC 9111), None when the server did not say.
    """

    status: int
    url: str
    type: str
    charset: str
    name: str
    content: bytes = field(repr=False)
    cache_seconds: int | None


@dataclass(frozen=True, slots=True)
class Post:
    """Hands `content` to a URL. Redirects are never followed (H3); `max_bytes` of the answer are read (H4)."""

    url: str
    content: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    seconds: float = POST_SECONDS
    max_bytes: int = POST_ANSWER_BYTES

    def __post_init__(self) -> None:
        check_fields(self.headers)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to a POST, whatever its status. `fields` by their lower-case names, the first of each.

    `content` is the beginning of the body as it came; `is_whole`: it is all of it.
    """

    status: int
    fields: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    is_whole: bool
