"""Files that a send call names by URL: what is to be fetched, and the attachment that becomes of what was found.

What the call says of name and type counts before what the server says, and that before what the URL looks like. Raises
nothing.
"""

from collections.abc import Iterable
from urllib.parse import unquote

from msgspec.structs import replace

from smtpeter.content.attachments import MAX_NAME, complete, file_name
from smtpeter.content.template.reading import Purpose, Resource, Wanted
from smtpeter.content.template.tags import clean
from smtpeter.model.parts import Attachment
from smtpeter.model.refusal import Refused


def wanted_files(attachments: Iterable[Attachment]) -> tuple[Wanted, ...]:
    """Gives what is to be fetched, each once; a URL is given as it was written, tags included."""
    urls = dict.fromkeys([attachment.url for attachment in attachments if attachment.url])
    return tuple([Wanted(url, Purpose.ATTACHMENT) for url in urls])


def found_file(attachment: Attachment, resource: Resource, number: int) -> Attachment:
    """Gives the attachment with its content, in the form that `attachments.complete` gives; `number` counts from 0."""
    last = attachment.url.partition("?")[0].partition("#")[0].rpartition("/")[2]
    names = (attachment.name, resource.name, unquote(last, errors="replace"))
    name = next((found for one in names if (found := _plain(one))), "")
    given = replace(attachment, data=resource.content, url="", name=name)
    types = (attachment.type, resource.type, resource.type.partition(";")[0])
    # a server may say anything of a type; without one that can be read, the name tells
    for kind in (*filter(None, types), ""):
        try:
            return complete(replace(given, type=kind), number)
        except Refused:
            continue
    return complete(Attachment(resource.content, cid=attachment.cid), number)


def _plain(name: str) -> str:
    return file_name(" ".join(clean(name).split()))[-MAX_NAME:]
