"""GET /v1/messages: the messages of the account, newest first, by what is known of them."""

from typing import Any

from starlette.responses import Response

from smtpeter.doors.rest.call import Call, json_response
from smtpeter.doors.rest.cursor import CURSOR, DEFAULT_LIMIT, LIMIT, LINK, next_page, read_cursor, write_cursor
from smtpeter.doors.rest.declare import Answer, Operation, Property, Route, Schema, Table
from smtpeter.doors.rest.gateway import MessageFilter
from smtpeter.doors.rest.kinds import one_of
from smtpeter.doors.rest.messages import MESSAGE, summary
from smtpeter.doors.rest.resources.values import MOMENT, visible
from smtpeter.model.message import MessageId
from smtpeter.store.records import SHOWN_STATES

_FILTERS = ("recipient", "subject", "tag", "state", "from", "since", "until")


async def search(call: Call) -> Response:
    """Answers a page of messages; a Link header leads to the next one, as long as there may be more.

    Work is bounded for each page, so one may be short, or empty, and not be the last.
    """
    given = call.read_query()
    # the question is what was asked, not how it was understood: a time without an offset has only one meaning
    asked = {name: call.query[name] for name in _FILTERS if name in given}
    question = f"messages {call.identity.account.id} {sorted(asked.items())}"
    before = read_cursor(given["cursor"], question, call.settings.cursor_key) if "cursor" in given else None
    page = await call.gateway.search(call.identity.account.id, _filter(given, before))
    headers = {}
    if page.before is not None:
        cursor = write_cursor(page.before, question, call.settings.cursor_key)
        kept = {"limit": call.query["limit"]} if "limit" in given else {}
        headers = next_page(call.path, {**asked, **kept}, cursor)
    return json_response([summary(found) for found in page.messages], headers)


def _filter(given: dict[str, Any], before: str | None) -> MessageFilter:
    return MessageFilter(
        limit=given.get("limit", DEFAULT_LIMIT),
        recipient=given.get("recipient", ""),
        subject=given.get("subject", ""),
        tag=given.get("tag", ""),
        state=given.get("state", ""),
        sender=given.get("from", ""),
        since=given.get("since"),
        until=given.get("until"),
        before=None if before is None else MessageId(before),
    )


_TEXT = visible(1, 320)
_QUERY = Table(
    Property(
        "recipient", _TEXT, "A whole address, or a part of one; a whole address is found fastest.", "jane@example.org"
    ),
    Property("subject", _TEXT, "A part of the subject.", "invoice"),
    Property("tag", _TEXT, "A tag that the message has.", "october"),
    Property("state", one_of(*sorted(SHOWN_STATES)), "The state that it is in.", "deferred"),
    Property("from", _TEXT, "The domain in From, or the address of the envelope.", "example.com"),
    Property("since", MOMENT, "Accepted at this time or later.", "2026-11-22"),
    Property("until", MOMENT, "Accepted before this time.", "2026-11-23 12:00:00"),
    LIMIT,
    CURSOR,
)
_LIST: Schema = {"type": "array", "items": MESSAGE}
_SEARCH = Operation(
    search,
    "Searches messages",
    "read",
    (Answer(200, "The messages, newest first.", _LIST, headers=LINK),),
    "All conditions hold together. Texts are found in either case, and nothing in them is a wildcard. A page may be "
    "short: there are more messages as long as the answer has a Link header.",
    query=_QUERY,
)
ROUTES = (Route("messages", {"GET": _SEARCH}),)
