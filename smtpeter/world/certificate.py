"""An own authority and a server certificate, so that TLS works before anybody has bought or ordered one.

For development mode and first start: clients trust the file `ca.pem` once, and the server certificate below it may be
renewed as often as needed. Keys are P-256 in PKCS#8; the extensions are those that strict verifiers ask for
(RFC 5280 4.2, RFC 6125).

May raise `OSError` when the folder cannot be written.
"""

import contextlib
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3650
SERVER_DAYS = 397  # the longest that common clients accept
RENEW_DAYS = 30  # a certificate with fewer days left is made anew
_BACKDATED = timedelta(hours=1)  # for clients whose clock is a little slow


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where the files are: what clients trust, what the server shows, and its key. All PEM."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class _Signer:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def local_names() -> tuple[str, ...]:
    """Gives the names under which this machine is reached from itself."""
    return tuple(dict.fromkeys(("localhost", "127.0.0.1", "::1", socket.gethostname().lower())))


def ensure_certificates(folder: Path, now: datetime, names: tuple[str, ...] = ()) -> Certificates:
    """Makes what is missing, about to expire or made for other names, and leaves the rest alone.

    `names` are host names and addresses; empty: those of this machine. The authority lives 3650 days, the server
    certificate 397. Safe when several processes start at once.
    """
    names = names or local_names()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    with _only_one(folder / "lock"):
        ca_key = folder / "ca.key"
        authority = _read(found.ca, ca_key)
        if authority is None or _runs_out(authority.certificate, now):
            authority = _make_authority(now)
            _write(ca_key, _key_pem(authority.key))
            _write(found.ca, _certificate_pem(authority.certificate))
        server = _read(found.certificate, found.key)
        if server is None or not _is_good(server.certificate, authority.certificate, names, now):
            server = _make_server(authority, names, now)
            # ServerTls keeps the old pair while the two files do not fit together
            _write(found.key, _key_pem(server.key))
            _write(found.certificate, _certificate_pem(server.certificate))
    return found


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# ---- what is there


def _read(certificate: Path, key: Path) -> _Signer | None:
    """Gives a pair that belongs together, None when there is none."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or loaded.public_key() != private.public_key():
        return None
    return _Signer(loaded, private)


def _runs_out(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_after_utc - now < timedelta(days=RENEW_DAYS)


def _is_good(certificate: x509.Certificate, authority: x509.Certificate, names: tuple[str, ...], now: datetime) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
        present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return not _runs_out(certificate, now) and set(present) == set(_alternative_names(names))


# ---- what is made


def _alternative_names(names: tuple[str, ...]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _make_authority(now: datetime) -> _Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smtpeter local authority")])
    usage = _usage(is_authority=True)
    builder = (
        _builder(name, name, key, key, now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return _Signer(builder.sign(key, hashes.SHA256()), key)


def _make_server(authority: _Signer, names: tuple[str, ...], now: datetime) -> _Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    # RFC 5280 A.1: a common name has 64 characters at most; clients look at the alternative names only
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    builder = (
        _builder(subject, authority.certificate.subject, key, authority.key, now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
    )
    return _Signer(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    # RFC 5280 4.2.1.3
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes) -> None:
    """Puts a file in place whole. A key is never readable by others, not even for a moment."""
    mode = 0o600 if path.suffix == ".key" else 0o644
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
