"""The newsletters of this folder, and what tests ask of a rewritten text."""

from pathlib import Path

from turbohtml import TokenType, tokenize

from smtpeter.content.rewrite.html import compile_html
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageId
from smtpeter.wire.token import Key, Keyring

BASE = "https://clicks.example.com"
ACCOUNT = AccountId(5)
MESSAGE = MessageId("0TfGv3kQ9zAbCdEfGhIj-77")
RING = Keyring([Key(3, b"k" * 32)])
SEALER = RING.sealer(ACCOUNT, MESSAGE)
LETTERS = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "newsletters").glob("*.html"))}

# how many addresses become tracked clicks
CLICKS = {
    "broken_nesting": 8,
    "dark_mode": 1,
    "data_track": 2,
    "digest_many_links": 60,
    "embedded_images": 1,
    "fragment": 1,
    "gmail_reply": 2,
    "image_map": 2,
    "japanese": 2,
    "long_tracking_queries": 3,
    "mjml_shop": 4,
    "nineties": 3,
    "odd_addresses": 12,
    "outlook_vml_button": 4,
    "preheader": 1,
    "preventscam": 8,
    "rtl_hebrew": 2,
    "scripts_and_raw_text": 3,
    "two_bodies": 2,
    "unclosed_style": 1,
    "word_export": 2,
    "xhtml_receipt": 2,
}


def rewrite(html, *, numbers=None, hosted=None, **features):
    rewritten = compile_html(html, Rewriting(BASE, **features), hosted)
    known = numbers if numbers is not None else {origin: n for n, origin in enumerate(rewritten.origins, 1)}
    return rewritten.numbered(ACCOUNT, known).fill(SEALER)


def origins_of(html, **features):
    found = compile_html(html, Rewriting(BASE, **features)).origins
    return dict(enumerate(found, 1))


def hrefs(html):
    return [
        value
        for token in tokenize(html)
        if token.type is TokenType.START_TAG
        for name, value in token.attrs or ()
        if name == "href"
    ]
