"""What we compose is in a form that a filter finds nothing to say against."""

import base64
import random
from pathlib import Path
from typing import Any

from tests.live.gateway import Gateway, an_address
from tests.live.rspamd import rspamd

SENDER = {"from": "Joe Doe <joe@example.com>"}
TEXT = "Dear Jane,\n\nthe invoice for October is ready; you find it in your account.\n\nYours,\nJoe\n"
HTML = (
    "<!DOCTYPE html><html><body><p>Dear Jane,</p><p>the invoice for October is ready; you find it in your "
    "account.</p><p>Yours,<br>Joe</p></body></html>"
)


def attached(name: str, content: bytes, **more: str) -> dict[str, str]:
    return {"name": name, "data": base64.b64encode(content).decode(), **more}


PDF = b"%PDF-1.7\n" + random.Random(1).randbytes(5000)
COMPOSED: dict[str, dict[str, Any]] = {
    "text": {"subject": "Your invoice", "text": TEXT},
    "html alone": {"subject": "Your invoice", "html": HTML},
    "both": {"subject": "Your invoice", "text": TEXT, "html": HTML},
    "names with accents": {"from": "Jörg Müller <joe@example.com>", "subject": "Ihre Rechnung für März", "text": TEXT},
    "another script": {
        "from": "山田太郎 <joe@example.com>",
        "subject": "十月の請求書をお送りします、ご確認ください",
        "text": "こんにちは。\n請求書をお送りします。\n",
    },
    "right to left": {"subject": "فاتورة أكتوبر", "text": "مرحبا، الفاتورة جاهزة.\n"},
    "a long subject": {
        "subject": "The invoice for October, and all that belongs to it, with the answers to the questions that you had last week, "
        "and a word on what comes next",
        "text": TEXT,
    },
    "a long line": {"subject": "Your invoice", "text": "the invoice is ready and " * 200},
    "an attachment": {"subject": "Your invoice", "text": TEXT, "attachments": [attached("invoice.pdf", PDF)]},
    "attachments in many scripts": {
        "subject": "Your invoice",
        "text": TEXT,
        "html": HTML,
        "attachments": [
            attached("Übersicht für März.pdf", PDF),
            attached("請求書.pdf", PDF),
            attached("a very long name that goes on and on and on until it has no end at all.pdf", PDF),
            attached("notes.txt", f"Grüße\n\n{TEXT}".encode()),
        ],
    },
    "an image in the text": {
        "subject": "Your invoice",
        "text": TEXT,
        "html": HTML.replace("<p>Yours", '<img src="cid:logo" alt="Our logo"><p>Yours'),
        "attachments": [attached("logo.png", b"\x89PNG\r\n\x1a\n" + PDF, type="image/png", cid="logo")],
    },
    "everything in the header": {
        "subject": "Your invoice",
        "text": TEXT,
        "to": ["Jane Roe <jane@example.org>", {"name": "Ann, the boss", "address": "ann@example.org"}],
        "cc": "Max <max@example.org>",
        "replyto": "The desk <desk@example.com>",
        "extra": {"X-Order": "4711"},
        "unsubscribe": {"url": "https://example.com/u/4711", "email": "leave@example.com", "oneclick": True},
    },
}

# what is said of the content, which is the caller's, or of a choice that its script leaves
NOT_OF_FORM = {
    "R_MIXED_CHARSET",  # words that have letters with accents beside plain ones, as in German
    "MIME_BASE64_TEXT",  # a text in another script: quoted-printable would be twice as long (0.1 points)
    "MIME_HTML_ONLY",  # the call gave nothing else
    "URI_COUNT_ODD",  # the picture that tells of opening has no likeness in the text
}


def test_composed_mail_has_no_form_that_rspamd_blames(gateway: Gateway, tmp_path: Path) -> None:
    with rspamd(tmp_path) as judge:
        # the judge is awake: this has no Message-ID, no Date and raw octets in its header
        bad = judge.blames(b"From: joe@example.com\nTo: jane@example.org\nSubject: Gr\xfc\xdfe\n\nHello.\n")
        assert {"MISSING_MID", "MISSING_DATE"} <= set(bad)
        blamed = {}
        for what, properties in COMPOSED.items():
            recipient = an_address()
            gateway.sent(**{"recipient": recipient, "to": f"Jane Roe <{recipient}>", **SENDER, **properties})
            (content,) = gateway.captured(recipient)
            if symbols := judge.blames(content).keys() - NOT_OF_FORM:
                blamed[what] = symbols
    assert blamed == {}, blamed
