"""Receiving mail servers that are not ours: Postfix's smtp-sink, and Postfix itself with a folder of its own."""

import datetime
import os
import pwd
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.live.programs import program, run
from tests.live.waiting import free_port, listens, until

STARTS_TRIED = 5
STOP_SECONDS = 20.0


@contextmanager
def open_folder() -> Iterator[Path]:
    """Gives a folder into which every user can come, and removes it at the end.

    Started by root these servers work as another user, and pytest closes its own folders to all others.
    """
    with tempfile.TemporaryDirectory(prefix="smtpeter-live-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


class SmtpSink:
    """smtp-sink, which keeps each transaction in a file. `options` make it refuse, drop or wait (smtp-sink(1)).

    Its folder, and that of Postfix, is to be one within an `open_folder`.
    """

    def __init__(self, folder: Path, *options: str, port: int = 0) -> None:
        self.port = port
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> "SmtpSink":
        """Starts it on its port, or on a free one when it has none yet."""
        for _ in range(STARTS_TRIED):
            port = self.port or free_port()
            if self._has_started(port):
                self.port = port
                return self
        raise AssertionError("smtp-sink does not start")

    def _has_started(self, port: int) -> bool:
        self._folder.mkdir(exist_ok=True)
        user: list[str] = []
        if os.geteuid() == 0:
            # it refuses to run as root
            os.chown(self._folder, pwd.getpwnam("postfix").pw_uid, -1)
            user = ["-u", "postfix"]
        self._process = process = subprocess.Popen(
            [program("smtp-sink"), *user, "-d", f"{self._folder}/mail.", *self._options, f"127.0.0.1:{port}", "256"],
            stderr=subprocess.DEVNULL,
        )
        until(lambda: listens(port) or process.poll() is not None, "smtp-sink listens")
        return process.poll() is None

    def stop(self) -> None:
        """Ends it; its port stays its own for a further start."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
            self._process = None

    def mails(self) -> list["Dump"]:
        """Gives the whole mails that it has taken so far."""
        dumps = [read_dump(path.read_bytes()) for path in self._folder.glob("mail.*")]
        return [dump for dump in dumps if dump is not None]


@dataclass(frozen=True, slots=True)
class Dump:
    """One mail in smtp-sink's dump: its envelope, and the content with the CRLF line ends that it arrived with."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


def read_dump(dump: bytes) -> Dump | None:
    """Reads a dump file (smtp-sink(1), message dump format); None when the mail in it has only begun."""
    head, received, content = dump.partition(b"Received: ")
    if not received or not dump.endswith(b"\n\n"):
        return None
    # the sink's own Received field goes over three lines
    content = re.split(rb"\n(?![ \t])", content, maxsplit=1)[1]
    sender = re.search(rb"^X-Mail-Args: <(.*?)>", head, re.MULTILINE)
    recipients = re.findall(rb"^X-Rcpt-Args: <(.*?)>", head, re.MULTILINE)
    assert sender, head
    content = content[:-1].replace(b"\n", b"\r\n")  # the dump has an empty line behind the mail
    return Dump(sender[1].decode(), tuple(address.decode() for address in recipients), content)


@contextmanager
def smtp_sink(folder: Path, *options: str) -> Iterator[SmtpSink]:
    """Gives a running smtp-sink."""
    sink = SmtpSink(folder, *options)
    try:
        yield sink.start()
    finally:
        sink.stop()


class Postfix:
    """A Postfix of its own: it takes mail for one domain into mailboxes in its folder, and nothing else."""

    DOMAIN = "postfix.example"
    MAILBOXES = ("jane", "joe")

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("Postfix can be started by root only")
        program("postfix")
        self.port = 0
        self._folder = folder
        self._conf = folder / "conf"

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> "Postfix":
        """Writes its configuration and starts it."""
        for folder in (self._conf, self._folder / "queue", self._folder / "data", self._folder / "mail"):
            folder.mkdir(parents=True)
        for owned in ("data", "mail"):
            os.chown(self._folder / owned, pwd.getpwnam("postfix").pw_uid, -1)
        _write_certificate(self._conf)
        for _ in range(STARTS_TRIED):
            self.port = free_port()
            self._configure()
            done = subprocess.run(
                [program("postfix"), "-c", self._conf, "start"], capture_output=True, text=True, timeout=60
            )
            if done.returncode == 0 and self._is_up():
                return self
        raise AssertionError(f"Postfix does not start: {done.stderr}{self.log()}")

    def _is_up(self) -> bool:
        pid = self._folder / "queue/pid/master.pid"
        return bool(until(lambda: listens(self.port) or not pid.exists(), "Postfix listens")) and pid.exists()

    def stop(self) -> None:
        """Ends it and waits until its master is gone; no effect when it does not run."""
        stop_postfix(self._folder, self._conf)

    def mails(self, user: str) -> list[bytes]:
        """Gives what is in a mailbox, each mail with the CRLF line ends that it arrived with, newest last."""
        found = sorted((self._folder / "mail" / user / "new").glob("*"), key=lambda path: path.stat().st_mtime_ns)
        return [path.read_bytes().replace(b"\n", b"\r\n") for path in found]

    def log(self) -> str:
        """Gives what it has logged so far."""
        path = self._folder / "data/maillog"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _configure(self) -> None:
        uid, gid = pwd.getpwnam("postfix")[2:4]
        boxes = ", ".join(f"{{{user}@{self.DOMAIN} = {user}/}}" for user in self.MAILBOXES)
        settings = {
            "compatibility_level": "2",
            "queue_directory": self._folder / "queue",
            "data_directory": self._folder / "data",
            "maillog_file": self._folder / "data/maillog",
            "maillog_file_prefixes": self._folder,
            "myhostname": f"mx.{self.DOMAIN}",
            "mydestination": "",
            "mynetworks": "",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "virtual_mailbox_domains": self.DOMAIN,
            "virtual_mailbox_base": self._folder / "mail",
            "virtual_mailbox_maps": f"inline:{{ {boxes} }}",
            "virtual_minimum_uid": 1,
            "virtual_uid_maps": f"static:{uid}",
            "virtual_gid_maps": f"static:{gid}",
            "alias_maps": "",
            "smtpd_recipient_restrictions": "reject_unauth_destination",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": self._conf / "certificate.pem",
            "smtpd_tls_key_file": self._conf / "key.pem",
            "default_transport": "error:this server sends nothing",
            "relay_transport": "error:this server sends nothing",
        }
        (self._conf / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        (self._conf / "master.cf").write_text(_SERVICES.format(port=self.port))


# service type private unprivileged chroot wakeup processes command (master(5))
_SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@contextmanager
def postfix() -> Iterator[Postfix]:
    """Gives a running Postfix."""
    with open_folder() as folder:
        server = Postfix(folder)
        try:
            yield server.start()
        finally:
            server.stop()


class Satellite:
    """A Postfix that takes mail from this machine's programs and hands it to a relay host, as its main.cf says."""

    def __init__(self, folder: Path, authority: str) -> None:
        if os.geteuid() != 0:
            pytest.skip("Postfix can be started by root only")
        program("postfix")
        if not any(Path("/usr/lib").glob("**/sasl2/libplain.so")):
            pytest.skip("libsasl2-modules is not installed, without which Postfix has no AUTH")
        self._folder = folder
        self._conf = folder / "conf"
        self._authority = authority

    @contextmanager
    def running(self, files: dict[str, str]) -> Iterator["Satellite"]:
        """Starts it with these files in its configuration folder; what main.cf leaves open is kept to this machine."""
        for folder in (self._conf, self._folder / "queue", self._folder / "data"):
            folder.mkdir(parents=True)
        os.chown(self._folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        for name, text in files.items():
            (self._conf / name).write_text(text)
        with (self._conf / "main.cf").open("a") as main:
            main.writelines(f"{name} = {value}\n" for name, value in self._settings().items())
        (self._conf / "master.cf").write_text(_SERVICES_OF_SATELLITE)
        run("postfix", "-c", self._conf, "start")
        try:
            yield self
        finally:
            stop_postfix(self._folder, self._conf)

    def log(self) -> str:
        """Gives what it has logged so far."""
        path = self._folder / "data/maillog"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _settings(self) -> dict[str, object]:
        # its programs run as another user, who must come to the authority's file
        authority = self._folder / "authority.pem"
        authority.write_bytes(Path(self._authority).read_bytes())
        return {
            "compatibility_level": "2",
            "queue_directory": self._folder / "queue",
            "data_directory": self._folder / "data",
            "maillog_file": self._folder / "data/maillog",
            "maillog_file_prefixes": self._folder,
            "myhostname": "satellite.example.com",
            "mydestination": "",
            "inet_protocols": "ipv4",
            "smtp_host_lookup": "native",
            "smtp_tls_CAfile": authority,
            "smtp_tls_loglevel": 1,
            "alias_maps": "",
        }


def stop_postfix(folder: Path, conf: Path) -> None:
    """Ends a Postfix and waits until its master is gone; no effect when it does not run."""
    pid_file = folder / "queue/pid/master.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    run("postfix", "-c", conf, "stop")
    until(lambda: not Path(f"/proc/{pid}").exists(), "Postfix has ended")


_SERVICES_OF_SATELLITE = """\
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def _write_certificate(folder: Path) -> None:
    """Writes a certificate that nobody has signed but itself, as many receivers have."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx.postfix.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "key.pem").chmod(0o600)
