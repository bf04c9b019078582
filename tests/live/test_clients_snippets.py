"""Every snippet of docs/clients.md and the quick ones of the README, run as they stand by the programs they are for."""

import email
import email.message
import email.policy
import importlib.util
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.live.gateway import PROGRAM, Gateway, an_address
from tests.live.programs import program
from tests.live.receivers import Satellite, open_folder
from tests.live.snippets import PHPMAILER, Snippet, filled, run_snippet, snippets
from tests.live.verifiers import assert_verified, development_records

CLIENTS = snippets("docs/clients.md")
README = snippets("README.md")

HTML = "<p>Hello Jane.</p>"
PIXEL = re.compile(r'<img src="[^"]+/o\.gif\?p=[^"]+"[^>]*>')
NOT_RUN = {"Laravel"}  # it is not in Debian, and would bring a hundred packages from elsewhere
PYTHON_NEEDS = {"Python, requests": "requests", "Django": "django", "Flask": "flask"}


def arrived(gateway: Gateway, recipient: str) -> email.message.EmailMessage:
    """Waits for the one mail of a recipient, requires its signature to hold, and gives it as Python reads it."""
    (content,) = gateway.captured(recipient)
    assert_verified(content, development_records(gateway, "example.com"))
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    assert not message.defects
    return message


def assert_greets(message: email.message.EmailMessage, recipient: str) -> None:
    """Requires the mail that every snippet of docs/clients.md sends."""
    assert message["Subject"] == "Grüße"
    assert message["From"].addresses[0].addr_spec == "joe@example.com"
    assert message["From"].addresses[0].display_name == "Joe"
    assert message["To"] == recipient
    assert message["Date"].datetime is not None
    assert re.fullmatch(r"<[^<>@\s]+@[^<>@\s]+>", message["Message-ID"])
    plain = message.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().strip() == "Hello Jane."
    html = message.get_body(("html",))
    if html is not None:
        assert PIXEL.sub("", html.get_content()).strip() == HTML  # by REST the opening is told, as shipped


def require(title: str) -> None:
    """Skips the test, by name, when what its snippet is written for is not installed."""
    if title in PYTHON_NEEDS and importlib.util.find_spec(PYTHON_NEEDS[title]) is None:
        pytest.skip(f"{PYTHON_NEEDS[title]} is not installed")
    if title == "PHP, PHPMailer" and not PHPMAILER.exists():
        pytest.skip("libphp-phpmailer is not installed")
    if title.startswith("PHP, curl"):
        modules = subprocess.run([program("php"), "-m"], capture_output=True, text=True, timeout=60).stdout
        if "curl" not in modules.split():
            pytest.skip("php-curl is not installed")
    if title.startswith("Node"):
        found = subprocess.run([program("node"), "-e", "require('nodemailer')"], env=NODE, capture_output=True)
        if found.returncode:
            pytest.skip("node-nodemailer is not installed")
    if title == "swaks":
        support = subprocess.run([program("swaks"), "--support"], capture_output=True, text=True, timeout=60).stdout
        if "=== TLS supported" not in support:
            pytest.skip("libnet-ssleay-perl is not installed, without which swaks has no TLS")
    if title in ("msmtp", "curl, by REST", "curl, by SMTP"):
        program(title.partition(",")[0])


NODE = {"NODE_PATH": "/usr/share/nodejs"}
RUN_BY_ITSELF = [title for title in CLIENTS if title not in NOT_RUN and title != "Postfix as a satellite"]


@pytest.mark.parametrize("title", RUN_BY_ITSELF)
def test_snippet_sends_what_it_says(gateway: Gateway, tmp_path: Path, title: str) -> None:
    require(title)
    for snippet in CLIENTS[title]:
        recipient = an_address()
        ready = Snippet(snippet.language, filled(snippet.text, gateway, recipient, tmp_path), snippet.file)
        if ready.file:
            path = tmp_path / ready.file
            path.write_text(ready.text)
            path.chmod(0o600)  # msmtp shows no password to others
            continue
        if title == "Django":
            setup = "import django\ndjango.setup()\n"
            ready = Snippet("python", setup + ready.text, "")
        run_snippet(ready, tmp_path, gateway.ready["ca"], DJANGO_SETTINGS_MODULE="settings", PYTHONPATH=str(tmp_path))
        message = arrived(gateway, recipient)
        assert_greets(message, recipient)
        assert (message.get_body(("html",)) is not None) == (HTML in snippet.text)


def test_postfix_as_a_satellite_hands_everything_over_by_tls_and_auth(gateway: Gateway) -> None:
    files = {snippet.file: snippet.text for snippet in CLIENTS["Postfix as a satellite"] if snippet.file}
    (command,) = [snippet for snippet in CLIENTS["Postfix as a satellite"] if not snippet.file]
    recipient = an_address()
    with open_folder() as folder:
        conf = folder / "conf"
        # Postfix compares names of certificates, not addresses
        settings = {name: filled(text, gateway, recipient, conf, "localhost") for name, text in files.items()}
        with Satellite(folder, gateway.ready["ca"]).running(settings) as satellite:
            text = filled(command.text, gateway, recipient, conf)
            text = text.replace("sendmail -f", f"{program('sendmail')} -C {conf} -f")
            run_snippet(Snippet("sh", text, ""), folder, gateway.ready["ca"])
            assert_greets(arrived(gateway, recipient), recipient)
            assert "status=sent (250 2.0.0 Ok, queued as " in satellite.log()
            assert "Verified TLS connection established to localhost" in satellite.log()


def test_quick_snippets_of_the_readme_send_what_they_say(gateway: Gateway, tmp_path: Path) -> None:
    blocks = [block.text for block in README["Five minutes"] if "TOKEN" in block.text or "PASSWORD" in block.text]
    commands = [command for block in blocks for command in re.split(r"\n\n", block.strip())]
    assert len(commands) == 2
    for command in commands:
        require(command.split()[0])
        recipient = an_address()
        run_snippet(Snippet("sh", filled(command, gateway, recipient, tmp_path), ""), tmp_path, gateway.ready["ca"])
        assert arrived(gateway, recipient)["Subject"] == "Hello"


def test_commands_of_the_readme_for_production_work_in_their_order(tmp_path: Path) -> None:
    (block,) = [block.text for block in README["In production"]]
    commands = block.replace("/etc/smtpeter/", f"{tmp_path}/").replace("smtpeter serve\n", "")
    assert commands.count("\n") == block.count("\n") - 1
    printed = run_snippet(
        Snippet("sh", commands, ""),
        tmp_path,
        "",
        PATH=f"{PROGRAM.parent}:{os.environ['PATH']}",
        SMTPETER_CONFIG=str(tmp_path / "smtpeter.toml"),
        SMTPETER_SERVER__DATA_DIR=str(tmp_path / "data"),
    )
    assert "smtpeter_" in printed  # the token
    assert "._domainkey.example.com" in printed  # the record to publish


def test_page_has_a_snippet_for_each_client_that_is_promised() -> None:
    promised = ("curl", "swaks", "smtplib", "requests", "httpx", "Django", "Flask", "nodemailer", "PHPMailer", "msmtp")
    for name in (*promised, "Postfix", "Laravel", "PHP, curl", "smtpeter.client"):
        assert any(name in title for title in CLIENTS), name
    assert set(CLIENTS) >= NOT_RUN
