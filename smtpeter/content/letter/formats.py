"""What a letter can become, as octets: a page for mail clients or browsers, text, a message (templates.md 9).

Pure; pictures of a message that is to carry them come in among the resources. Raises TagError, and TemplateError when an
attachment is not there.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from smtpeter.content.letter.letter import Letter
from smtpeter.content.letter.message import failed_attachments, write_message
from smtpeter.content.letter.values import Values
from smtpeter.content.template.problem import Problem, TemplateError, shown
from smtpeter.content.template.reading import Resource

Resources = Mapping[str, Resource | None]


class Format(StrEnum):
    """What a document can become."""

    HTML = "html"
    WEBVERSION = "webversion"
    MIME = "mime"
    EMBEDDED = "embedded"  # mime with its images in it
    TEXT = "text"

    @property
    def is_message(self) -> bool:
        """True for a whole message with its attachments."""
        return self in (Format.MIME, Format.EMBEDDED)


@dataclass(frozen=True, slots=True)
class Converted:
    """What a document became, and what is wrong with it."""

    content: bytes = field(repr=False)
    problems: tuple[Problem, ...]


def convert(
    letter: Letter, wanted: Format, values: Values | None, resources: Resources, *, date: datetime, domain: str
) -> Converted:
    """Gives a letter in a format; `date` and `domain` are for a message that has no Date or Message-ID of its own."""
    if wanted.is_message:
        return _message(letter, values, resources, date, domain, has_images=wanted is Format.EMBEDDED)
    write = {Format.HTML: letter.html, Format.WEBVERSION: letter.webversion, Format.TEXT: letter.text}[wanted]
    # a surrogate can come of arithmetic on texts; nothing else is lost
    return Converted(write(values).encode("utf-8", "replace"), letter.compiled.problems)


def _message(
    letter: Letter, values: Values | None, resources: Resources, date: datetime, domain: str, *, has_images: bool
) -> Converted:
    embeds, targets, problems = _images(letter, resources) if has_images else ({}, {}, ())
    mail = letter.mail(values, targets)
    if failed := failed_attachments(mail.files, resources):
        raise TemplateError(*failed)
    # nobody is sent this, so its name needs no chance: it is that of its content and moment
    name = hashlib.sha256(f"{date.isoformat()} {mail.html}".encode("utf-8", "replace")).hexdigest()[:24]
    signers, faults = letter.signing
    content = write_message(mail, embeds, date=date, message_id=f"{name}@{domain}", signers=signers)
    return Converted(content, (*letter.compiled.problems, *mail.problems, *problems, *faults))


def _images(letter: Letter, resources: Resources) -> tuple[dict[str, Resource], dict[str, str], tuple[Problem, ...]]:
    """Gives the images by Content-ID, what takes the place of their URLs, and a problem for each that is not there."""
    embeds: dict[str, Resource] = {}
    targets: dict[str, str] = {}
    problems = []
    for url in letter.compiled.images:
        image = resources.get(url)
        if image is not None and image.type.lower().startswith("image/"):
            cid = hashlib.sha256(image.content).hexdigest()[:24]
            embeds[cid] = image
            targets[url] = f"cid:{cid}"
        elif url in resources:
            sentence = f"There is no image at {shown(url)}; it is not embedded."
            problems.append(Problem("fetch-failed", "/content", sentence))
    return embeds, targets, tuple(problems)
