"""Mail that its sender signed or encrypted (S/MIME) comes out of the gateway as it went in, with all features on: OpenSSL judges."""

from pathlib import Path

import pytest

from tests.live.gateway import Gateway, an_address
from tests.live.programs import run
from tests.live.template_mails import ON

LETTER = (
    b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b'<style>p { color: red }</style><p>Gr\xc3\xbc\xc3\x9fe, <a href="https://www.example.com/a">read on</a></p>\r\n'
)


@pytest.fixture
def owner(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate that signed itself, and its key."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    usage = ("-addext", "extendedKeyUsage=emailProtection", "-addext", "basicConstraints=critical,CA:FALSE")
    made = ("-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Joe/emailAddress=joe@example.com", *usage)
    run("openssl", "req", *made, "-keyout", key, "-out", certificate)
    return certificate, key


def through(gateway: Gateway, mime: Path, folder: Path) -> Path:
    """Sends a message and gives it as it arrived."""
    recipient = an_address()
    gateway.sent(recipient=recipient, mime=mime.read_bytes().decode(), **ON)
    (content,) = gateway.captured(recipient)
    arrived = folder / "arrived"
    arrived.write_bytes(content)
    return arrived


HEAD = ("-from", "joe@example.com", "-to", "jane@example.org", "-subject", "Protected")


@pytest.mark.parametrize("form", [(), ("-nodetach",)], ids=["beside the content", "around it"])
def test_signature_holds(gateway: Gateway, owner: tuple[Path, Path], tmp_path: Path, form: tuple[str, ...]) -> None:
    certificate, key = owner
    letter, signed, read = tmp_path / "letter", tmp_path / "signed", tmp_path / "read"
    letter.write_bytes(LETTER)
    run(
        "openssl",
        "cms",
        "-sign",
        "-crlfeol",
        *form,
        *HEAD,
        "-signer",
        certificate,
        "-inkey",
        key,
        "-in",
        letter,
        "-out",
        signed,
    )
    arrived = through(gateway, signed, tmp_path)
    trusted = ("-CAfile", certificate, "-partial_chain", "-purpose", "any")
    run("openssl", "cms", "-verify", *trusted, "-in", arrived, "-out", read)
    assert read.read_bytes() == LETTER
    altered = tmp_path / "altered"
    altered.write_bytes(arrived.read_bytes().replace(b"read on", b"read in"))
    if not form:  # OpenSSL is awake
        run("openssl", "cms", "-verify", *trusted, "-in", altered, "-out", read, exit_code=4)


def test_encrypted_mail_can_be_decrypted(gateway: Gateway, owner: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = owner
    letter, hidden, read = tmp_path / "letter", tmp_path / "hidden", tmp_path / "read"
    letter.write_bytes(LETTER)
    run(
        "openssl",
        "cms",
        "-encrypt",
        "-binary",
        "-crlfeol",
        *HEAD,
        "-aes256",
        "-in",
        letter,
        "-out",
        hidden,
        certificate,
    )
    arrived = through(gateway, hidden, tmp_path)
    run("openssl", "cms", "-decrypt", "-binary", "-recip", certificate, "-inkey", key, "-in", arrived, "-out", read)
    assert read.read_bytes() == LETTER
