"""The figures and switches that the door works by, taken from the configuration once."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from smtpeter.config import Http, Network


@dataclass(frozen=True, slots=True)
class RestSettings:
    """`cursor_key` proves that a paging cursor is ours; all processes of an installation share it.

    Large bodies rest in `spool_folder` while they arrive.
    """

    cursor_key: bytes = field(repr=False)
    requires_https: bool = True
    allows_loopback_http: bool = False
    trusted_proxies: tuple[Network, ...] = ()
    max_body_bytes: int = 50 * 2**20
    max_recipients: int = 1000
    requests_per_second: int = 0  # per token; 0: no limit (L20)
    request_burst: int = 2000
    spool_folder: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))

    @classmethod
    def of(cls, http: Http, cursor_key: bytes, spool_folder: Path) -> "RestSettings":
        """Takes over what the configuration says."""
        return cls(
            cursor_key,
            http.require_https,
            http.allow_loopback_http,
            http.trusted_proxies,
            http.max_body_bytes,
            http.max_recipients,
            http.requests_per_second,
            http.request_burst,
            spool_folder,
        )
