"""Leaving a list: a GET asks, a POST acts at once, from our page or by the button of a mail program.

Scanners and previews follow every link of a mail, so a GET never changes anything. A POST has to say what it wants: the
field of our form, or `List-Unsubscribe=One-Click` (RFC 8058 3.1), as a form of either kind (RFC 8058 3.2).

Raises StoreUnavailable.
"""

import asyncio
from dataclasses import dataclass

from starlette.types import Receive

from smtpeter.doors.rest.form import FormError, decode_form
from smtpeter.doors.rest.multipart import decode_multipart
from smtpeter.doors.track.answers import Answer
from smtpeter.doors.track.leaving import Leaving, leave
from smtpeter.doors.track.pages import GONE, TOO_LARGE, confirm_page, left_page
from smtpeter.doors.track.visitor import Visitor
from smtpeter.model.account import AccountId
from smtpeter.model.event import Unsubscribe
from smtpeter.model.message import MessageId
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.records import MessageQuery, message_record
from smtpeter.store.store import Store
from smtpeter.world.log import log
from smtpeter.world.seams import Clock

MAX_BODY_BYTES = 16 * 1024
LEAVE_SECONDS = 20.0  # D10
# name and value of a field, and the way that an event tells
_WAYS = {("List-Unsubscribe", "One-Click"): "oneclick", ("unsubscribe", "yes"): "page"}


@dataclass(frozen=True, slots=True)
class Unsubscribing:
    """The pages behind unsubscribe links."""

    store: Store
    clock: Clock

    async def ask(self, account: AccountId, id: MessageId) -> Answer:
        """Gives the page that asks."""
        record = await self.store.read(message_record, MessageQuery(account, id))
        return confirm_page(record.recipient) if record is not None else GONE

    async def act(
        self, account: AccountId, id: MessageId, visitor: Visitor, content_type: bytes, receive: Receive
    ) -> Answer:
        """Takes the recipient off the list if that is what the request says; else asks."""
        body = await _body(receive)
        if body is None:
            return TOO_LARGE
        way = _way(body, content_type.decode("latin-1"))
        if way is None:
            return await self.ask(account, id)
        record = await self.store.read(message_record, MessageQuery(account, id))
        if record is None:
            return GONE
        event = Unsubscribe(visitor.ip, visitor.useragent, way)
        item = Leaving(account, id, record.recipient, record.options.stream, self.clock.now(), event)
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                is_new = await self.store.write(leave, item)
        except TimeoutError:  # it may have been done; to do it again does no harm
            raise StoreUnavailable("The store takes too long.") from None
        if is_new:
            log("track.unsubscribed", message=id, way=way)
        return left_page(record.recipient)


async def _body(receive: Receive) -> bytes | None:
    """Gives the body of a request, None when it is too large to be one of ours."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY_BYTES:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return body


def _way(body: bytes, content_type: str) -> str | None:
    """Gives how the reader says that he leaves, None when he does not."""
    is_multipart = content_type.lower().startswith("multipart/form-data")
    try:
        fields = decode_multipart(body, content_type) if is_multipart else decode_form(body)
    except FormError:
        return None
    return next((way for (name, value), way in _WAYS.items() if fields.get(name) == value), None)
