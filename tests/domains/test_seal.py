"""Secrets at rest open for the record that they were made for, and nowhere else."""

import stat
from pathlib import Path

import pytest

from smtpeter.domains.seal import CannotOpen, MasterKey, master_key

KEY = MasterKey(0, bytes(range(32)))


def test_a_sealed_secret_opens_for_its_own_record() -> None:
    assert KEY.open(KEY.seal(b"secret", "dkim:a:s1"), "dkim:a:s1") == b"secret"


def test_a_sealed_secret_does_not_open_for_another_record() -> None:
    with pytest.raises(CannotOpen):
        KEY.open(KEY.seal(b"secret", "dkim:a:s1"), "dkim:b:s1")


@pytest.mark.parametrize("position", [0, 5, 13, -1])
def test_an_altered_secret_does_not_open(position: int) -> None:
    sealed = bytearray(KEY.seal(b"secret", "r"))
    sealed[position] ^= 1
    if position == 0:  # the key id is not part of the box: it only says which key to take
        assert KEY.open(bytes(sealed), "r") == b"secret"
        return
    with pytest.raises(CannotOpen):
        KEY.open(bytes(sealed), "r")


def test_the_master_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "master.key"
    first = master_key(path)
    assert master_key(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o400


def test_a_master_key_of_the_wrong_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(b"short")
    with pytest.raises(ValueError, match="32 octets"):
        master_key(path)


def test_the_key_does_not_show_in_its_repr() -> None:
    assert "key=" not in repr(KEY)
