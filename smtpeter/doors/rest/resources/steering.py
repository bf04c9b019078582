"""Pauses, limits, routes and rules that an operator stores while the gateway runs: GET, POST and DELETE of each kind.

They hold for all accounts within a second. A token needs the scope `operator`. What is done is logged with the token that
did it.
"""

from typing import Any

from starlette.responses import Response

from smtpeter.doors.rest.call import Call, json_response
from smtpeter.doors.rest.declare import Answer, Operation, Property, Reading, Resource, Route, Table, wrong
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.gateway import OPERATOR
from smtpeter.doors.rest.kinds import BOOLEAN
from smtpeter.doors.rest.resources.kept import KEPT, Kept, show_entry
from smtpeter.doors.rest.resources.queue import objects
from smtpeter.doors.rest.resources.values import NUMBER, NUMBER_IN_PATH
from smtpeter.doors.steering import Unusable, log_removed, log_stored
from smtpeter.model.steering import Pause, Steer


def _lists(kept: Kept) -> Resource:
    async def entries(call: Call) -> Response:
        call.read_query()
        return json_response(await kept.listing(call, await call.gateway.operating.account_names()))

    return entries


def _adds(kept: Kept) -> Resource:
    async def add(call: Call) -> Response:
        given = await call.read_body()
        operating = call.gateway.operating
        entry = await kept.read(call, given)
        try:
            made = await operating.keep(entry, given.get("position"))
        except Unusable as fault:
            raise wrong(fault.field, str(fault)) from None
        names = await operating.account_names()
        for stored in made:
            log_stored(stored, names, call.identity.credential)
        return json_response([show_entry(stored, names) for stored in made])

    return add


def _removes(kept: Kept) -> Resource:
    async def remove(call: Call) -> Response:
        if call.arguments:
            call.read_query()
            given: dict[str, Any] = {"id": NUMBER.read(call.arguments[0], "id", Reading(is_form=True))}
        else:
            given = await call.read_both()
        if "id" in given and "all" not in given:
            return await _remove(call, kept, [given["id"]])
        if kept.kind is Steer.PAUSE and given.get("all") and "id" not in given:
            return await _remove(call, kept, [stored.id for stored, _ in await call.gateway.operating.stored(Pause)])
        raise wrong("id", "Give `id`, the number that the list shows.")

    return remove


async def _remove(call: Call, kept: Kept, ids: list[int]) -> Response:
    operating = call.gateway.operating
    removed = [stored for stored in [await operating.remove(kept.kind, id) for id in ids] if stored is not None]
    if ids and not removed:
        raise Problem("not_found", hint=f"there is no stored {kept.kind} of this number")
    names = await operating.account_names()
    for stored in removed:
        log_removed(stored, names, call.identity.credential)
    return json_response([show_entry(stored, names) for stored in removed])


_ID = Property("id", NUMBER, "The number that the list shows.", 7)
_EVERY = Property("all", BOOLEAN, "All pauses.", True)


def _routes(kept: Kept) -> tuple[Route, ...]:
    answers = (Answer(200, "Entries in the order in which they count.", objects(kept.members), example=[kept.example]),)
    gone = (Answer(200, "What is removed.", objects(kept.members), example=[kept.example]),)
    unwanted = Table(_ID, _EVERY) if kept.kind is Steer.PAUSE else Table(_ID)
    remove = _removes(kept)
    calls = {
        "GET": Operation(_lists(kept), f"Lists {kept.says}", OPERATOR, answers),
        "POST": Operation(
            _adds(kept),
            f"Adds to {kept.says}",
            OPERATOR,
            (Answer(200, "What is stored now.", objects(kept.members), example=[kept.example]),),
            _REPLACES.get(kept.kind, ""),
            body=kept.wish,
        ),
        "DELETE": Operation(
            remove, f"Removes from {kept.says}", OPERATOR, gone, body=unwanted, refusals=("not_found",)
        ),
    }
    one = {
        "DELETE": Operation(remove, f"Removes one from {kept.says}", OPERATOR, gone, refusals=("not_found",)),
    }
    return Route(kept.path, calls), Route(f"{kept.path}/{{id}}", one, (NUMBER_IN_PATH,))


_REPLACES = {
    Steer.PAUSE: "A second pause of the same mail lengthens the first one. What is on its way goes on.",
    Steer.LIMIT: "It replaces what is stored for the same target and pool.",
}
ROUTES = tuple(route for kept in KEPT for route in _routes(kept))
