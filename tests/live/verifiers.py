"""Two independent verifiers of DKIM signatures, which ask us and not the DNS for keys."""

import tempfile
from pathlib import Path

import dkim

from tests.live.gateway import Gateway
from tests.live.programs import run

SELECTOR = "development"


def development_records(gateway: Gateway, *domains: str) -> dict[str, str]:
    """Gives the TXT records of the key that signs for all domains in development mode, by name."""
    text = (gateway.data_dir / "development.txt").read_text().strip()
    return {f"{SELECTOR}._domainkey.{domain}": text for domain in domains}


def assert_verified(message: bytes, records: dict[str, str]) -> None:
    """Requires a signature that dkimpy and OpenDKIM both accept with these TXT records."""
    assert dkimpy_verifies(message, records), message
    report = opendkim_report(message, records)
    assert "dkim=pass" in report, report


def dkimpy_verifies(message: bytes, records: dict[str, str]) -> bool:
    """True when dkimpy accepts the first signature."""
    found = {f"{name}.".encode(): text.encode() for name, text in records.items()}
    try:
        return bool(dkim.DKIM(message).verify(dnsfunc=lambda name, timeout=5: found.get(name)))
    except dkim.DKIMException:
        return False


def opendkim_report(message: bytes, records: dict[str, str]) -> str:
    """Gives what OpenDKIM says of the message in its test mode."""
    with tempfile.TemporaryDirectory() as folder:
        keys, conf, mail = (Path(folder) / name for name in ("keys", "conf", "mail"))
        keys.write_text("".join(f"{name} {text}\n" for name, text in records.items()))
        conf.write_text(f"Mode v\nTestPublicKeys {keys}\nSyslog no\nAlwaysAddARHeader yes\n")
        mail.write_bytes(message)
        return run("opendkim", "-t", mail, "-x", conf, "-vv")
