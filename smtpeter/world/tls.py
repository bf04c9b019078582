"""TLS contexts, each built once.

Building a context costs far more than a handshake, so one is kept per policy. Old protocol versions are off
everywhere (RFC 8996; reliability-security K5, S5). A certificate that is renewed on disk is taken up by new
connections without a restart (K5).

Raises `OSError` and `ssl.SSLError` when files cannot be used at the first load; never later.
"""

import ssl
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509

from smtpeter.world.metrics import gateway
from smtpeter.world.seams import Clock


class ClientContexts:
    """The contexts for connections that we open. `ca_file` None: the authorities that the system trusts."""

    def __init__(self, ca_file: Path | None = None) -> None:
        self._ca_file = ca_file

    @cached_property
    def opportunistic(self) -> ssl.SSLContext:
        """Encrypts to whoever answers, whatever certificate it shows (RFC 7435 3)."""
        context = _client_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        # a short key is still better than the clear text that would be sent instead
        context.set_ciphers("DEFAULT:!aNULL:!eNULL:!MD5:!3DES:!RC4@SECLEVEL=1")
        return context

    @cached_property
    def verified(self) -> ssl.SSLContext:
        """Demands a certificate that a trusted authority gave for the name asked for (RFC 6125 6)."""
        context = _client_context()
        if self._ca_file is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(cafile=self._ca_file)
        return context


def _client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996 4, 5
    return context


class ServerTls:
    """The context of our own listeners, with the certificate that is on disk now.

    `context` stays the same object, so a listener may keep it: at each handshake, before a certificate is chosen, it
    hands over to the one made from the newest files. These are looked at every `check_every` at most. Files that
    cannot be used (half written, key of another certificate) leave the old certificate in service; `trouble` says why.
    """

    def __init__(
        self, certificate: Path, key: Path, clock: Clock, check_every: timedelta = timedelta(seconds=10)
    ) -> None:
        self._files = (certificate, key)
        self._clock = clock
        self._check_seconds = check_every.total_seconds()
        self._checked = clock.monotonic()
        self._loaded = self._marks()
        self._current, self.expires = self._load()
        self.trouble = ""  # a sentence when the files on disk cannot be used
        self.context = _server_context(*self._files)
        self.context.sni_callback = self._choose

    def refresh(self) -> None:
        """Takes up the files on disk when they are others than those in service."""
        self._checked = self._clock.monotonic()
        try:
            marks = self._marks()
            if marks == self._loaded:
                self.trouble = ""
                return
            self._current, self.expires = self._load()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self.trouble = f"The TLS certificate {self._files[0]} cannot be used: {error}"
        else:
            self._loaded = marks
            self.trouble = ""

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Hands a connection that begins over to the newest certificate. Called with and without SNI."""
        if self._clock.monotonic() - self._checked >= self._check_seconds:
            self.refresh()
        connection.context = self._current

    def _marks(self) -> tuple[tuple[int, int, int], ...]:
        """Gives what changes when a file does: its number, size and time."""
        return tuple((s.st_ino, s.st_size, s.st_mtime_ns) for s in (file.stat() for file in self._files))

    def _load(self) -> tuple[ssl.SSLContext, datetime]:
        context = _server_context(*self._files)
        leaf = x509.load_pem_x509_certificate(self._files[0].read_bytes())
        gateway.CERTIFICATE_EXPIRES.of().set(leaf.not_valid_after_utc.timestamp())
        return context, leaf.not_valid_after_utc.astimezone(UTC)


def _server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996 4, 5
    # an empty pass phrase: a key that needs one is an error, not a question on the terminal
    context.load_cert_chain(certificate, key, password="")
    return context
