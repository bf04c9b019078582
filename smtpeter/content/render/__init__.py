"""From what was stored to what leaves: `steps` is the column, the other files are its steps. See there."""

from smtpeter.content.render.load import file_urls, filled_url, letter_of, values_of
from smtpeter.content.render.steps import Composed, Rendered, compose, content_of, render, source_of, webversion_of
from smtpeter.content.render.tools import CannotRender, Resources, Tools
from smtpeter.wire.mime import CannotConvert

__all__ = [
    "CannotConvert",
    "CannotRender",
    "Composed",
    "Rendered",
    "Resources",
    "Tools",
    "compose",
    "content_of",
    "file_urls",
    "filled_url",
    "letter_of",
    "render",
    "source_of",
    "values_of",
    "webversion_of",
]
