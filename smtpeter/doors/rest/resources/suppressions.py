"""GET, POST and DELETE of suppressions: who gets no mail of the account, why, and since when.

An entry is an address or a domain, for one stream of the account or for all of them. What is sent to it is accepted and
fails at once, which its events tell.
"""

from typing import Any

from starlette.responses import Response

from smtpeter.doors.entries import MANUAL, read_entry
from smtpeter.doors.rest.call import Call, json_response, repeated, show_time
from smtpeter.doors.rest.cursor import CURSOR, DEFAULT_LIMIT, LIMIT, LINK, next_page, read_cursor, write_cursor
from smtpeter.doors.rest.declare import Answer, Operation, Property, Route, Schema, Table, wrong
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.gateway import SuppressionView, SuppressionWish
from smtpeter.doors.rest.kinds import list_of
from smtpeter.doors.rest.properties import STREAM
from smtpeter.doors.rest.resources.values import ADDRESS, ADDRESS_OR_DOMAIN, visible
from smtpeter.model.address import AddressError
from smtpeter.store import answers

MAX_ENTRIES = 1000


async def suppressions(call: Call) -> Response:
    """Answers a page of entries, or with `address` the one that concerns it."""
    given = call.read_query()
    account = call.identity.account.id
    if "address" in given:
        found = await call.gateway.suppression_of(account, given["address"], given.get("stream", ""))
        return json_response([_shown(found)] if found else [])
    question = f"suppressions {account}"
    after = ("", "")
    if "cursor" in given:
        entry, _, stream = read_cursor(given["cursor"], question, call.settings.cursor_key).rpartition(" ")
        after = (entry, stream)
    limit = given.get("limit", DEFAULT_LIMIT)
    found_here = await call.gateway.suppressions(account, limit + 1, after)
    page, headers = found_here[:limit], {}
    if len(found_here) > limit:
        cursor = write_cursor(f"{page[-1].entry} {page[-1].stream}", question, call.settings.cursor_key)
        headers = next_page(call.path, {"limit": limit}, cursor)
    return json_response([_shown(view) for view in page], headers)


async def add_suppressions(call: Call) -> Response:
    """Adds entries and answers them as they are; one that was there keeps its cause and time."""
    given = await call.read_body()
    wish = SuppressionWish(_entries(given), given.get("stream", ""), given.get("cause", MANUAL))
    told = await call.gateway.add_suppressions(call.identity.account.id, wish, call.idempotency(_answer))
    return repeated(told) if isinstance(told, answers.Answer) else _answer(told)


def _answer(views: list[SuppressionView]) -> Response:
    return json_response([_shown(view) for view in views])


async def remove_suppressions(call: Call) -> Response:
    """Removes the entries named in the query or the body, and answers which there were."""
    given = await call.read_both()
    if "entries" not in given:
        raise wrong("entries", "`entries` is missing; give the addresses or domains to remove.")
    return await _remove(call, _entries(given), given.get("stream", ""))


async def remove_suppression(call: Call) -> Response:
    """Removes the entry that the path names."""
    given = call.read_query()
    try:
        entry = read_entry(call.arguments[0])
    except AddressError:
        raise _no_such_entry() from None
    return await _remove(call, (entry,), given.get("stream", ""))


async def _remove(call: Call, entries: tuple[str, ...], stream: str) -> Response:
    removed = await call.gateway.remove_suppressions(call.identity.account.id, entries, stream)
    if not removed:
        raise _no_such_entry()
    return json_response(removed)


def _no_such_entry() -> Problem:
    return Problem("not_found", hint="there is no such suppression in this account and stream")


def _entries(given: dict[str, Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(given["entries"]))


def _shown(view: SuppressionView) -> dict[str, Any]:
    return {
        "entry": view.entry,
        "stream": view.stream,
        "cause": view.cause,
        "since": show_time(view.since),
        "message": view.message,
    }


_ENTRY = Property("entry", ADDRESS_OR_DOMAIN, "An address, or a domain without the names below it.", "jane@example.org")
_ENTRIES = list_of(ADDRESS_OR_DOMAIN, most=MAX_ENTRIES, fewest=1)
_ALIASES = ("entry", "address", "addresses", "domain", "domains")
_WANTED = Property(
    "entries",
    _ENTRIES,
    "One or more addresses and domains. A domain does not cover names below it.",
    ["jane@example.org", "example.net"],
    _ALIASES,
    is_required=True,
)
_UNWANTED = Property("entries", _ENTRIES, "One or more addresses and domains.", ["jane@example.org"], _ALIASES)
_STREAM = Property("stream", STREAM, "The message stream that it is about; all streams when absent.", "bulk")
_CAUSE = Property("cause", visible(1, 200), f"Why it is there; `{MANUAL}` when absent.", "asked us by phone")
_ADDRESS = Property("address", ADDRESS, "Only the entry that keeps mail from this address.", "jane@example.org")
_SUPPRESSION: Schema = {
    "type": "object",
    "properties": {
        "entry": {"type": "string"},
        "stream": {"type": "string", "description": "Empty: all streams."},
        "cause": {"type": "string"},
        "since": {"type": "string", "description": "`YYYY-MM-DD hh:mm:ss` in UTC."},
        "message": {"type": ["string", "null"], "description": "The id of the message that was the cause."},
    },
    "required": ["entry", "stream", "cause", "since", "message"],
}
_EXAMPLE = [
    {"entry": "jane@example.org", "stream": "", "cause": MANUAL, "since": "2026-11-22 10:42:59", "message": None}
]
_LIST: Schema = {"type": "array", "items": _SUPPRESSION}
_GONE = (
    Answer(
        200,
        "The entries that were there and are removed.",
        {"type": "array", "items": {"type": "string"}},
        example=["jane@example.org"],
    ),
)

ROUTES = (
    Route(
        "suppressions",
        {
            "GET": Operation(
                suppressions,
                "Lists who gets no mail",
                "read",
                (Answer(200, "Entries in their order.", _LIST, example=_EXAMPLE, headers=LINK),),
                query=Table(_ADDRESS, _STREAM, LIMIT, CURSOR),
            ),
            "POST": Operation(
                add_suppressions,
                "Keeps mail from addresses and domains",
                "manage",
                (Answer(200, "The entries as they are now.", _LIST, example=_EXAMPLE),),
                "An entry that is there already keeps its cause and time.",
                body=Table(_WANTED, _STREAM, _CAUSE),
                is_repeatable=True,
            ),
            "DELETE": Operation(
                remove_suppressions,
                "Lets mail go to addresses and domains again",
                "manage",
                _GONE,
                body=Table(_UNWANTED, _STREAM),
                refusals=("not_found",),
            ),
        },
    ),
    Route(
        "suppressions/{entry}",
        {
            "DELETE": Operation(
                remove_suppression,
                "Lets mail go to an address or domain again",
                "manage",
                _GONE,
                query=Table(_STREAM),
                refusals=("not_found",),
            )
        },
        (_ENTRY,),
    ),
)
