"""Secrets at rest: AES-256-GCM under a master key, bound to the record that they belong to (K3).

A sealed value is one octet of key id, 12 of nonce, and the ciphertext with its tag. The record's name is associated
data, so that a value copied into another row does not open there.
"""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from smtpeter.config import Server

KEY_BYTES = 32
NONCE_BYTES = 12


class CannotOpen(Exception):
    """A sealed value was made under another master key, or for another record, or was altered."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The key under which secrets are sealed. `id` 0..255 tells which, for rotation."""

    id: int
    key: bytes = field(repr=False)

    def seal(self, secret: bytes, record: str) -> bytes:
        """Gives the sealed form of a secret of the record, as `dkim:example.com:s1`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return bytes([self.id]) + nonce + AESGCM(self.key).encrypt(nonce, secret, record.encode())

    def derive(self, purpose: str) -> bytes:
        """Gives a key of 32 octets for another purpose, the same in every process of the installation (RFC 5869)."""
        return HKDF(SHA256(), KEY_BYTES, None, purpose.encode()).derive(self.key)

    def open(self, sealed: bytes, record: str) -> bytes:
        """Gives the secret back. Raises CannotOpen."""
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return AESGCM(self.key).decrypt(nonce, ciphertext, record.encode())
        except (InvalidTag, ValueError):
            raise CannotOpen(f"the secret of {record} does not open under this master key") from None


def installation_key(server: Server) -> MasterKey:
    """Gives the master key of an installation: the configured one (64 hexadecimal digits), else that of its file.

    Raises OSError, and ValueError with a sentence.
    """
    if not server.master_key:
        return master_key(server.data_dir / "master.key")
    try:
        key = bytes.fromhex(server.master_key)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"server.master_key must be {2 * KEY_BYTES} hexadecimal digits")
    return MasterKey(0, key)


def master_key(path: Path) -> MasterKey:
    """Reads the master key from its file, which is made with mode 0400 when it is not there. Raises OSError, ValueError."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return _make(path)
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path} must hold {KEY_BYTES} octets; restore it from the backup of this installation")
    return MasterKey(0, key)


def _make(path: Path) -> MasterKey:
    path.parent.mkdir(parents=True, exist_ok=True)
    key = secrets.token_bytes(KEY_BYTES)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    try:
        os.write(fd, key)
        os.fsync(fd)
    finally:
        os.close(fd)
    try:
        os.link(temporary, path)  # fails when another process was first: its key is the one that counts
    except FileExistsError:
        return MasterKey(0, path.read_bytes())
    finally:
        temporary.unlink()
    return MasterKey(0, key)
