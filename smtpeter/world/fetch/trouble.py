"""Why something could not be had over HTTP: a slug for programs and a sentence for the person who wrote the URL.

A sentence names the host that stands in the URL and nothing that was found out on the way: no address, no name of a
redirect's target, no part of an answer (H3). Else a URL would be a way to look around in our network.
"""

from enum import StrEnum


class Slug(StrEnum):
    """Every way in which a request can fail."""

    URL = "url-invalid"
    SCHEME = "url-scheme"
    CREDENTIALS = "url-credentials"
    PORT = "url-port"
    UNKNOWN_HOST = "host-unknown"
    DNS = "dns-trouble"
    FORBIDDEN = "address-forbidden"
    CONNECT = "connect-failed"
    TLS = "tls-failed"
    TIMEOUT = "timeout"
    LOST = "connection-lost"
    MALFORMED = "answer-malformed"
    HEAD = "answer-head-too-large"
    SIZE = "answer-too-large"
    RATIO = "answer-ratio"
    CODING = "answer-coding"
    REDIRECTS = "too-many-redirects"
    REDIRECT = "redirect-refused"
    STATUS = "http-status"


_SENTENCES = {
    Slug.URL: "The URL cannot be used: {reason}.",
    Slug.SCHEME: "Only URLs that begin with http:// or https:// can be fetched.",
    Slug.CREDENTIALS: "The URL has a user name or password in it; take it out.",
    Slug.PORT: "The URL has a port that is not open for requests; use 80, 443, 8080 or 8443.",
    Slug.UNKNOWN_HOST: "The host {host} does not exist in DNS or has no address.",
    Slug.DNS: "The host {host} could not be looked up in DNS at the moment.",
    Slug.FORBIDDEN: "The host {host} is not on the public Internet; the gateway does not connect to it.",
    Slug.CONNECT: "No connection to the host {host} could be made.",
    Slug.TLS: "The host {host} has no valid TLS certificate for its name, or its TLS is too old.",
    Slug.TIMEOUT: "The host {host} did not answer completely in time.",
    Slug.LOST: "The host {host} closed the connection before its answer was complete.",
    Slug.MALFORMED: "The host {host} did not answer in well-formed HTTP/1.1.",
    Slug.HEAD: "The host {host} answered with a header section that is too large.",
    Slug.SIZE: "What the host {host} answered is larger than {limit} bytes.",
    Slug.RATIO: "What the host {host} answered grows more than {limit}-fold when it is decompressed.",
    Slug.CODING: "The host {host} answered in a content coding that was not asked for, or that is damaged.",
    Slug.REDIRECTS: "The host {host} redirected more than {limit} times.",
    Slug.REDIRECT: "The host {host} redirected; write the final URL, redirects are not followed here.",
    Slug.STATUS: "The host {host} answered with status {status}.",
}

_ON_THE_WAY = " That was after a redirect."

# what the same request can hardly change
_FINAL = frozenset(
    {Slug.URL, Slug.SCHEME, Slug.CREDENTIALS, Slug.PORT, Slug.UNKNOWN_HOST, Slug.FORBIDDEN}
    | {Slug.HEAD, Slug.SIZE, Slug.RATIO, Slug.CODING, Slug.REDIRECTS, Slug.REDIRECT}
)
_PASSING = frozenset({408, 425, 429})  # of the 4xx: RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4


class FetchTrouble(Exception):
    """A request failed. `str()` is the sentence for people.

    `status` is that of the answer when the slug is STATUS, else 0; `limit` what was exceeded. What is raised below the
    client knows no host, so the client says it by `at`.
    """

    def __init__(self, slug: Slug, *, status: int = 0, limit: int = 0, reason: str = "", host: str = "") -> None:
        values = {"host": host or "of the URL", "status": status, "limit": limit, "reason": reason}
        super().__init__(_SENTENCES[slug].format(**values))
        self.slug = slug
        self.status = status
        self.is_redirected = False
        self._limit = limit
        self._reason = reason

    def __str__(self) -> str:
        tells_where = self.is_redirected and self.slug is not Slug.REDIRECTS
        return f"{self.args[0]}{_ON_THE_WAY if tells_where else ''}"

    @property
    def is_final(self) -> bool:
        """Whether to try again later is hardly of use."""
        if self.slug is Slug.STATUS:
            return self.status < 500 and self.status not in _PASSING
        return self.slug in _FINAL

    def at(self, host: str, *, is_redirected: bool) -> "FetchTrouble":
        """Gives this trouble with the host of the URL that was asked for, "" for one that is better not named."""
        named = FetchTrouble(self.slug, status=self.status, limit=self._limit, reason=self._reason, host=host)
        named.is_redirected = is_redirected
        return named
