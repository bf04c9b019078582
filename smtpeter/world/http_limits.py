"""What a client of the HTTP server may do, and how it is told that it did more (reliability-security L14, W3)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from smtpeter.config.sections import Http


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """How much a client may send and how long it may take (L14). A rate of 0 is no limit."""

    max_request_line_bytes: int = 16 * 2**10
    max_header_bytes: int = 32 * 2**10
    header_time: timedelta = timedelta(seconds=15)
    max_body_bytes: int = 50 * 2**20
    min_body_bytes_per_second: int = 500
    body_window: timedelta = timedelta(seconds=20)  # over which the rate of a body is taken
    idle_time: timedelta = timedelta(seconds=75)  # between two requests of a connection

    @classmethod
    def of(cls, http: Http) -> Self:
        """Gives the limits that the configuration names."""
        return cls(
            max_request_line_bytes=http.max_request_line_bytes,
            max_header_bytes=http.max_header_bytes,
            header_time=http.header_time,
            max_body_bytes=http.max_body_bytes,
            min_body_bytes_per_second=http.min_body_bytes_per_second,
        )


_REFUSALS = {
    "bad_request": (400, "The request is not well-formed HTTP/1.1: {reason}."),
    "request_timeout": (408, "The request came too slowly: {reason}; send it again."),
    "body_too_large": (413, "The request body is larger than {limit} bytes; send less in one call."),
    "request_line_too_long": (414, "The request line is longer than {limit} bytes; put the properties into the body."),
    "expectation_failed": (417, "Only the expectation 100-continue can be met; leave the Expect header out."),
    "headers_too_large": (431, "The header section is larger than {limit} bytes; send fewer or shorter fields."),
}


class HttpRefusal(Exception):
    """The connection ends with this answer. `str()` is the sentence."""

    def __init__(self, code: str, **values: object) -> None:
        self.code = code
        self.status, sentence = _REFUSALS[code]
        super().__init__(sentence.format(**values))
