"""The queue for an operator, of all accounts: lanes and messages that wait, flushing and dropping them.

A token needs the scope `operator`. A `lane` in a call is a whole lane; or a domain, provider or mail host, whose lanes are
meant. What is done is logged with the token that did it.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from starlette.responses import Response

from smtpeter.doors.queue import in_ascii, shown_lane
from smtpeter.doors.rest.call import Call, json_response, show_time
from smtpeter.doors.rest.cursor import CURSOR, DEFAULT_LIMIT, LIMIT, LINK, next_page, read_cursor, write_cursor
from smtpeter.doors.rest.declare import Answer, Operation, Property, Route, Schema, Table, wrong
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.gateway import OPERATOR
from smtpeter.doors.rest.kinds import BOOLEAN, list_of, one_of, text
from smtpeter.doors.rest.operating import MOST_AT_ONCE
from smtpeter.doors.rest.resources.values import visible
from smtpeter.doors.steering import shown_limits
from smtpeter.model.message import MessageId
from smtpeter.store.waiting import Selection, WaitingState
from smtpeter.world.log import log

MAX_IDS = 1000
MAX_LANES = 100  # that one name stands for
DROPPED = "dropped by the operator"


async def lanes(call: Call) -> Response:
    """Answers the lanes where mail waits, the largest first."""
    given = call.read_query()
    found = await call.gateway.operating.lanes(await _selection(call, given), given.get("limit", DEFAULT_LIMIT))
    return json_response([in_text(shown_lane(view)) for view in found])


async def lane(call: Call) -> Response:
    """Answers lanes with their limits, and a page of what waits there."""
    given = call.read_query()
    operating = call.gateway.operating
    name = given.get("lane", "")
    if not name:
        raise wrong_parameter("lane", "`lane` is missing; give a lane, or a domain that has mail waiting")
    chosen = await operating.meant(name)
    if chosen is None:
        raise Problem("not_found", hint="no mail waits there")
    question = f"queue {name} {given.get('state', '')}"
    after = _place(read_cursor(given["cursor"], question, call.settings.cursor_key)) if "cursor" in given else None
    state = WaitingState(given["state"]) if "state" in given else None
    limit = given.get("limit", DEFAULT_LIMIT)
    page = await operating.messages(chosen, limit + 1, state, after)
    messages, headers = page[:limit], {}
    if len(page) > limit:
        last = f"{messages[-1].due.isoformat()} {messages[-1].id}"
        asked: dict[str, object] = {known: call.query[known] for known in ("lane", "state", "limit") if known in given}
        headers = next_page(call.path, asked, write_cursor(last, question, call.settings.cursor_key))
    views = await operating.lanes_around(chosen, MAX_LANES)
    limits = await operating.limits([view.queue.lane for view in views])
    names = await operating.account_names()
    value = {
        "lanes": [
            {**in_text(shown_lane(view)), "limits": shown_limits(known)}
            for view, known in zip(views, limits, strict=True)
        ],
        "messages": [in_text({**asdict(one), "account": names.get(one.account, "")}) for one in messages],
    }
    return json_response(value, headers)


async def flush(call: Call) -> Response:
    """Makes deferred mail due now."""
    given = await call.read_body()
    chosen = await _selection(call, _bounded(given))
    moved = await call.gateway.operating.flush(chosen)
    log("queue.flushed", who=call.identity.credential, **_asked(given), count=moved.count)
    return json_response({"flushed": moved.count, "complete": moved.is_all})


async def drop(call: Call) -> Response:
    """Cancels mail that waits."""
    given = await call.read_body()
    chosen = await _selection(call, _bounded(given))
    reason = given.get("reason", DROPPED)
    moved = await call.gateway.operating.drop(chosen, reason)
    log("queue.dropped", who=call.identity.credential, **_asked(given), reason=reason, count=moved.count)
    return json_response({"dropped": moved.count, "complete": moved.is_all})


def _bounded(given: dict[str, Any]) -> dict[str, Any]:
    """Gives the properties back when they say which mail is meant: by some condition, or all of it."""
    is_all = given.get("all", False)
    if is_all == any(name in given for name in ("lane", "domain", "account", "ids")):
        raise wrong("all", "Say which mail with `lane`, `domain`, `account` or `ids`; or `all`: true, alone.")
    return given


def _asked(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "reason"}


async def _selection(call: Call, given: dict[str, Any]) -> Selection:
    """Gives what properties of these names choose. Raises Refused, Problem."""
    operating = call.gateway.operating
    names: tuple[str, ...] = ()
    if "lane" in given:
        names = await operating.lanes_meant(given["lane"])
        if not names:
            raise Problem("not_found", hint="no mail waits in such a lane")
    account = None
    if "account" in given:
        account = await operating.account(given["account"])
        if account is None:
            raise wrong("account", f"There is no account {given['account'][:100]!r}.")
    ids = tuple(MessageId(id) for id in given.get("ids", ()))
    return Selection(names, in_ascii(given.get("domain", "")), account, ids)


def _place(text: str) -> tuple[datetime, MessageId]:
    moment, _, id = text.partition(" ")
    return datetime.fromisoformat(moment), MessageId(id)


def in_text(value: dict[str, Any]) -> dict[str, Any]:
    """Gives an object with its times as this API writes them."""
    return {name: show_time(member) if isinstance(member, datetime) else member for name, member in value.items()}


def wrong_parameter(name: str, reason: str) -> Problem:
    """Gives the refusal of a parameter of the query."""
    return Problem("invalid_parameter", field=name, reason=reason)


NAME = visible(1, 1000, has_blanks=False)
LANE = Property("lane", NAME, "A lane; or a domain, provider or mail host, whose lanes are meant.", "mx:google")
DOMAIN = Property("domain", visible(1, 255, has_blanks=False), "The domain of the recipients.", "example.org")
ACCOUNT = Property("account", visible(1, 200), "The name of the account that sends.", "acme")
_IDS = Property(
    "ids",
    list_of(text(pattern="[0-9A-Za-z]{20}(-[1-9][0-9]{0,3})?", says="the id of a message"), most=MAX_IDS, fewest=1),
    "Only these messages.",
    ["0VbhJDAc7ZoTmyipBFHq"],
    ("id",),
)
_ALL = Property("all", BOOLEAN, "All mail that waits.", True)
_REASON = Property("reason", visible(1, 200), f"What the events say; `{DROPPED}` when absent.", "sent by mistake")
_STATE = Property("state", one_of(*[state.value for state in WaitingState]), "Only messages that do this.", "deferred")
TIME: Schema = {"type": ["string", "null"], "description": "`YYYY-MM-DD hh:mm:ss` in UTC."}
_COUNT: Schema = {"type": "integer"}
_RATE: Schema = {"type": "number", "description": "Messages a minute."}
_WORDS: Schema = {"type": "string"}
_LANE: dict[str, Any] = {
    "lane": {"type": "string", "description": "Empty: not known yet."},
    **{state.value: _COUNT for state in WaitingState},
    "accounts": {"type": "integer", "description": "How many have mail there."},
    "oldest_accepted": TIME,
    "next_due": TIME,
    "state": {"type": "string", "enum": ["paused", "resting", "slowed", "ok"]},
    "connections": _COUNT,
    "max_connections": _COUNT,
    "rate_per_minute": {**_RATE, "type": ["number", "null"], "description": "In force; null: no limit."},
    "sent_per_minute": _RATE,
    "resting_until": TIME,
    "pause": {"type": ["integer", "null"], "description": "The number of the pause."},
    "reason": {"type": "string", "description": "Why it is slow or rests."},
    "last_reply": _WORDS,
}
LIMIT_SCHEMAS: dict[str, Any] = {
    **{
        name: {"type": ["integer", "null"]}
        for name in ("connections", "messages_per_connection", "per_second", "per_minute", "per_hour")
    },
    "recovery": {"type": ["string", "null"]},
}
_LIMITED = {**_LANE, "limits": {"type": "object", "properties": LIMIT_SCHEMAS, "required": list(LIMIT_SCHEMAS)}}
_MESSAGE: dict[str, Any] = {
    "id": _WORDS,
    "account": _WORDS,
    "recipient": _WORDS,
    "lane": _WORDS,
    "state": {"type": "string", "enum": [state.value for state in WaitingState]},
    "accepted": TIME,
    "due": TIME,
    "attempt": _COUNT,
    "expires": TIME,
    "pause": {"type": ["integer", "null"]},
    "last_reply": _WORDS,
}


def objects(members: dict[str, Any]) -> Schema:
    """Gives the schema of an array of objects that have all of these members."""
    return {"type": "array", "items": {"type": "object", "properties": members, "required": list(members)}}


def _moved(name: str) -> Schema:
    complete = {"type": "boolean", "description": f"False: more than {MOST_AT_ONCE} messages; call again."}
    return {"type": "object", "properties": {name: _COUNT, "complete": complete}, "required": [name, "complete"]}


_SHOWN: Schema = {
    "type": "object",
    "properties": {"lanes": objects(_LIMITED), "messages": objects(_MESSAGE)},
    "required": ["lanes", "messages"],
}
_LANES = Operation(
    lanes,
    "Lists the lanes where mail waits",
    OPERATOR,
    (Answer(200, "The lanes, the largest first.", objects(_LANE)),),
    "What waits by state, since when, and how the lane goes over all processes, as they said within the last minute.",
    query=Table(LANE, DOMAIN, ACCOUNT, LIMIT),
    refusals=("not_found",),
)
_ONE_LANE = Operation(
    lane,
    "Shows what waits in a lane or for a domain",
    OPERATOR,
    (Answer(200, "The lanes with their limits, and messages as they are due.", _SHOWN, headers=LINK),),
    query=Table(LANE, _STATE, LIMIT, CURSOR),
    refusals=("not_found",),
)
_FLUSH = Operation(
    flush,
    "Makes deferred mail due now",
    OPERATOR,
    (Answer(200, "How many messages.", _moved("flushed"), example={"flushed": 12, "complete": True}),),
    "What a worker has at this moment, or a pause holds back, stays as it is.",
    body=Table(LANE, DOMAIN, ACCOUNT, _IDS, _ALL, example={"lane": "mx:google"}),
    refusals=("not_found",),
)
_DROP = Operation(
    drop,
    "Cancels mail that waits",
    OPERATOR,
    (Answer(200, "How many messages.", _moved("dropped"), example={"dropped": 12, "complete": True}),),
    "It is never delivered, and its events say so. What a worker has at this moment stays.",
    body=Table(LANE, DOMAIN, ACCOUNT, _IDS, _ALL, _REASON, example={"domain": "example.org", "account": "acme"}),
    refusals=("not_found",),
)

ROUTES = (
    Route("queue", {"GET": _LANES}),
    Route("queue/lane", {"GET": _ONE_LANE}),
    Route("queue/flush", {"POST": _FLUSH}),
    Route("queue/drop", {"POST": _DROP}),
)
