"""Snippets out of Markdown: found by their heading, filled in with a gateway's places and credentials, and run."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.live.gateway import Gateway
from tests.live.programs import program

ROOT = Path(__file__).parent.parent.parent
PHPMAILER = Path("/usr/share/php/libphp-phpmailer/autoload.php")  # where Debian puts it
NODE_PATH = "/usr/share/nodejs"  # where Debian puts node's modules
SECONDS = 60

_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
# a fenced block (CommonMark 4.5)
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`(?P<name>[\w.]+)`[^`\n]*:\n\n\Z")


@dataclass(frozen=True, slots=True)
class Snippet:
    """One block. `file`: the text before it says that it is the content of this file; else it is to be run."""

    language: str
    text: str
    file: str


def snippets(document: str) -> dict[str, list[Snippet]]:
    """Gives the blocks of a document of the repository by the headings over them; headings without blocks are left out."""
    text = (ROOT / document).read_text("utf-8")
    # a comment of a shell looks like a heading: blocks are blanked before headings are looked for
    blanked = _BLOCK.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), text)
    headings = [(found.start(), found[1]) for found in _HEADING.finditer(blanked)]
    parts: dict[str, list[Snippet]] = {}
    for block in _BLOCK.finditer(text):
        title = [name for start, name in headings if start < block.start()][-1]
        named = _FILE.search(text, 0, block.start())
        parts.setdefault(title, []).append(Snippet(block["language"], block["text"], named["name"] if named else ""))
    return parts


def filled(text: str, gateway: Gateway, recipient: str, folder: Path, host: str = "127.0.0.1") -> str:
    """Gives the text with what a user would put in."""
    smtp, smtps = gateway.ready["smtp"], gateway.ready["smtps"]
    places = {
        r"https://mail\.example\.com/v1": gateway.ready["https"],
        r"http://127\.0\.0\.1:8025/v1": gateway.ready["rest"],
        r"\b127\.0\.0\.1:2525\b": f"{smtp['host']}:{smtp['port']}",
        r"mail\.example\.com": host,
        r"\b587\b": str(smtp["port"]),
        r"\b465\b": str(smtps["port"]),
        r"\bTOKEN\b": gateway.token,
        r"\bUSER\b|(?<=--auth-user )development\b": smtp["user"],
        r"\bPASSWORD\b": smtp["password"],
        r"jane@example\.org": recipient,
        r"/etc/ssl/certs/ca-certificates\.crt": gateway.ready["ca"],
        r"/etc/postfix/": f"{folder}/",
        r"vendor/autoload\.php": str(PHPMAILER),
    }
    for pattern, place in places.items():
        text = re.sub(pattern, lambda _, place=place: place, text)
    return text


def run_snippet(snippet: Snippet, folder: Path, authority: str, **environment: str) -> str:
    """Runs a block in a folder, with the gateway's authority as the one that the system trusts; gives what it prints."""
    interpreters = {
        "sh": [program("bash"), "-euo", "pipefail", "-c"],
        "python": [sys.executable, "-W", "error", "-c"],
    }
    match snippet.language:
        case "php":
            command = [program("php"), "-d", f"curl.cainfo={authority}", "-d", f"openssl.cafile={authority}"]
            command += ["-r", snippet.text.removeprefix("<?php\n")]
        case "js":
            command = [program("node"), "-e", snippet.text]
        case language:
            command = [*interpreters[language], snippet.text]
    trusting = {
        "SSL_CERT_FILE": authority,
        "CURL_CA_BUNDLE": authority,
        "REQUESTS_CA_BUNDLE": authority,
        "NODE_EXTRA_CA_CERTS": authority,
        "NODE_PATH": NODE_PATH,
    }
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean | trusting | environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{snippet.text}\nended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout
