"""GET, POST and DELETE of REST tokens. A secret is shown once, in the answer that makes it (K1).

No token gives what it has not: neither a scope beyond its own, nor, when it is a sandbox token, a way to send for real.
"""

from typing import Any

from starlette.responses import Response

from smtpeter.doors.rest.call import Call, json_response
from smtpeter.doors.rest.declare import Answer, Operation, Property, Route, Schema, Table, wrong
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.gateway import OPERATOR, SCOPES, TokenWish
from smtpeter.doors.rest.kinds import BOOLEAN, list_of, one_of
from smtpeter.doors.rest.resources.values import NUMBER, NUMBER_IN_PATH, ignore_key, number_to_delete, visible
from smtpeter.model.account import Identity, Token


async def tokens(call: Call) -> Response:
    """Answers the tokens of the account, without their secrets."""
    call.read_query()
    return json_response([_shown(token) for token in await call.gateway.tokens(call.identity.account.id)])


async def token(call: Call) -> Response:
    """Answers one token."""
    call.read_query()
    return json_response(_shown(await _find(call, call.arguments[0])))


async def create_token(call: Call) -> Response:
    """Makes a token and answers it with its secret."""
    ignore_key(call)
    given = await call.read_body()
    if "id" in given:
        raise wrong("id", "A token cannot be changed; make another one and delete this one.")
    wish = TokenWish(
        given["name"],
        _given_scopes(given.get("scopes"), call.identity),
        _given_sandbox(given.get("sandbox"), call.identity),
    )
    made = await call.gateway.create_token(call.identity.account.id, wish)
    if made is None:
        raise Problem("already_exists", field="name", what=f"a token {wish.name!r}")
    found, secret = made
    return json_response({**_shown(found), "token": secret}, status=201)


async def delete_token(call: Call) -> Response:
    """Deletes a token, named in the path, the query or the body; calls with it are refused from then on."""
    found = await _find(call, await number_to_delete(call, "token"))
    if not await call.gateway.delete_token(call.identity.account.id, found):
        raise _no_such_token()
    return json_response(_shown(found))


async def _find(call: Call, id: str) -> Token:
    for token in await call.gateway.tokens(call.identity.account.id):
        if str(token.id) == id:
            return token
    raise _no_such_token()


def _no_such_token() -> Problem:
    return Problem("not_found", hint="there is no such token in this account")


def _shown(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "prefix": token.prefix,
        "scopes": [scope for scope in SCOPES if scope in token.scopes],
        "sandbox": token.is_sandbox,
    }


def _given_scopes(wanted: tuple[str, ...] | None, identity: Identity) -> frozenset[str]:
    """Gives the scopes of the new token: when nothing is said all that the calling one has, but the operator's."""
    if wanted is None:
        return identity.scopes - {OPERATOR}
    if missing := frozenset(wanted) - identity.scopes:
        names = ", ".join(sorted(missing))
        raise Problem("not_yours_to_give", field="scopes", lacks="does not have it itself", what=f"the scope {names}")
    return frozenset(wanted)


def _given_sandbox(wanted: bool | None, identity: Identity) -> bool:
    is_sandbox = identity.is_sandbox if wanted is None else wanted
    if identity.is_sandbox and not is_sandbox:
        what = "the right to send for real"
        raise Problem("not_yours_to_give", field="sandbox", lacks="is a sandbox token", what=what)
    return is_sandbox


_ID = Property("id", NUMBER, "The number of the token, as the list shows it.", 7)
_NAME = Property("name", visible(1, 100), "What the token is for; unique in the account.", "shop", is_required=True)
_SCOPES = Property(
    "scopes",
    list_of(one_of(*SCOPES), most=len(SCOPES), fewest=1),
    "What it may do; when absent all that the calling token may, but `operator`; and never more.",
    ["send"],
)
_SANDBOX = Property(
    "sandbox",
    BOOLEAN,
    "A sandbox token accepts everything and tells all events, but nothing is delivered; when absent, as the calling one.",
    False,
)
_TOKEN: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "prefix": {"type": "string", "description": "Its first characters, for recognition."},
        "scopes": {"type": "array", "items": {"enum": list(SCOPES)}},
        "sandbox": {"type": "boolean"},
    },
    "required": ["id", "name", "prefix", "scopes", "sandbox"],
}
_MADE: Schema = {**_TOKEN, "properties": {**_TOKEN["properties"], "token": {"type": "string"}}}
_EXAMPLE = {"id": 7, "name": "shop", "prefix": "smtpeter_Ab1", "scopes": ["send"], "sandbox": False}
_LIST: Schema = {"type": "array", "items": _TOKEN}
_GONE = (Answer(200, "It is deleted; this is what it was.", _TOKEN, example=_EXAMPLE),)

ROUTES = (
    Route(
        "tokens",
        {
            "GET": Operation(
                tokens, "Lists the tokens", "manage", (Answer(200, "By name.", _LIST, example=[_EXAMPLE]),)
            ),
            "POST": Operation(
                create_token,
                "Makes a token",
                "manage",
                (Answer(201, "It is made. `token` is not shown again.", _MADE),),
                body=Table(_NAME, _SCOPES, _SANDBOX, _ID),
                refusals=("already_exists", "not_yours_to_give"),
            ),
            "DELETE": Operation(
                delete_token, "Deletes a token", "manage", _GONE, body=Table(_ID), refusals=("not_found",)
            ),
        },
    ),
    Route(
        "tokens/{id}",
        {
            "GET": Operation(
                token,
                "Shows a token",
                "manage",
                (Answer(200, "The token.", _TOKEN, example=_EXAMPLE),),
                refusals=("not_found",),
            ),
            "DELETE": Operation(delete_token, "Deletes a token", "manage", _GONE, refusals=("not_found",)),
        },
        (NUMBER_IN_PATH,),
    ),
)
