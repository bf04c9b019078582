"""The TLS handshake of an SMTP client that said STARTTLS (RFC 3207), and what is to be known of the result."""

import asyncio
import ssl
from collections.abc import Callable

from smtpeter.model.outcome import TlsFacts


async def start_tls(
    plain: asyncio.Transport, protocol: asyncio.Protocol, tls: Callable[[], ssl.SSLContext], *, max_seconds: float
) -> asyncio.Transport | None:
    """Makes the handshake as server and gives the encrypted transport; None when it failed.

    `plain` must not be reading. What comes through TLS reaches `protocol` at once, perhaps before this returns.
    """
    loop = asyncio.get_running_loop()
    try:
        return await loop.start_tls(plain, protocol, tls(), server_side=True, ssl_handshake_timeout=max_seconds)
    except OSError:  # of the connection, of TLS, or out of time
        return None


def tls_facts(transport: asyncio.Transport) -> TlsFacts | None:
    """Gives the encryption of a transport, None when there is none. Clients show no certificate here."""
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return None
    cipher = tls.cipher()
    return TlsFacts(tls.version() or "", cipher[0] if cipher else "", is_verified=False)
