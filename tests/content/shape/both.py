"""A message made in both ways: as a whole, and by its shape."""

import email
import email.policy
import zlib
from datetime import UTC, datetime

from smtpeter.content.compose import Files, write_body
from smtpeter.content.personalize import compile_text
from smtpeter.content.rewrite.parts import compile_message
from smtpeter.content.rewrite.settings import Rewriting
from smtpeter.content.shape import Shapes
from tests.content.rewrite.letters import ACCOUNT, BASE, SEALER

NOW = datetime(2026, 11, 22, 13, 4, 5, tzinfo=UTC)
ALL = Rewriting(BASE, clicks=True, opens=True, inlines_css=True)


def make_body(html, text):
    return write_body(text, html, Files())


def pieces(html, text, data):
    return [compile_text(source).pieces(data, now=NOW) for source in (html, text)]


def filled(message):
    numbers = {origin: zlib.crc32(origin.encode()) >> 4 for origin in message.origins}
    return message.numbered(ACCOUNT, numbers).fill(SEALER)


def as_whole(html, text, data, settings=ALL, make=make_body):
    return filled(compile_message(make(*[one.text for one in pieces(html, text, data)]), settings))


def by_shape(html, text, data, settings=ALL, shapes=None, make=make_body):
    """Gives None where the message has to be made as a whole."""
    shapes = shapes or Shapes(settings)
    message = shapes.fill(*pieces(html, text, data), make, excluded=settings.excluded)
    return None if message is None else filled(message)


def parts(content):
    """Gives what a reader sees: types and decoded contents of the parts."""
    read = email.message_from_bytes(content, policy=email.policy.compat32)
    return [
        (one.get_content_type(), one.get_content_charset(), one.get_payload(decode=True))
        for one in read.walk()
        if not one.is_multipart()
    ]
