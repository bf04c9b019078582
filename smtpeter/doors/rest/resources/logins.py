"""GET, POST and DELETE of SMTP logins: their six settings, and the networks and sender domains that they are limited to.

A password that we made is shown once, in the answer that makes it (K2); one that the client chose is not shown at all.
A login can send for real, so only a token that can do so may make or change one.
"""

from dataclasses import replace
from typing import Any

from msgspec import structs
from starlette.responses import Response

from smtpeter.doors.rest.call import Call, json_response
from smtpeter.doors.rest.declare import Answer, Operation, Property, Route, Schema, Table, wrong
from smtpeter.doors.rest.errors import Problem
from smtpeter.doors.rest.gateway import LoginWish
from smtpeter.doors.rest.kinds import BOOLEAN, list_of, object_of, one_of
from smtpeter.doors.rest.resources.values import (
    DOMAIN,
    NETWORK,
    NUMBER,
    NUMBER_IN_PATH,
    ignore_key,
    number_to_delete,
    visible,
)
from smtpeter.intake.identify import TOKEN_USERS
from smtpeter.model.account import Identity, Login

MAX_ITEMS = 100

_SWITCHES = ("inlinecss", "trackclicks", "trackopens", "trackbounces", "preventscam")


async def logins(call: Call) -> Response:
    """Answers the logins of the account, without their passwords."""
    call.read_query()
    return json_response([_shown(login) for login in await call.gateway.logins(call.identity.account.id)])


async def login(call: Call) -> Response:
    """Answers one login."""
    call.read_query()
    return json_response(_shown(await _find(call, call.arguments[0])))


async def put_login(call: Call) -> Response:
    """Makes a login and answers it with its password; with `id`, changes what the call names."""
    ignore_key(call)
    given = await call.read_body()
    _check_caller(call.identity)
    if "id" in given:
        return await _change(call, given)
    wish = _wished(call, given, LoginWish(_user(given.get("user", ""))))
    made = await call.gateway.create_login(call.identity.account, wish)
    if made is None:
        raise Problem("already_exists", field="user", what=f"a login {wish.user!r}")
    found, password = made
    return json_response({**_shown(found), **({} if wish.password else {"password": password})}, status=201)


async def delete_login(call: Call) -> Response:
    """Deletes a login, named in the path, the query or the body."""
    found = await _find(call, await number_to_delete(call, "login"))
    if not await call.gateway.delete_login(call.identity.account.id, found):
        raise _no_such_login()
    return json_response(_shown(found))


async def _change(call: Call, given: dict[str, Any]) -> Response:
    found = await _find(call, str(given["id"]))
    if given.get("user", found.user) != found.user:
        raise wrong("user", "The user name of a login cannot be changed; make another login and delete this one.")
    wish = LoginWish(found.user, "", found.features, found.networks, found.sender_domains)
    changed = await call.gateway.change_login(found, _wished(call, given, wish))
    if changed is None:
        raise _no_such_login()
    return json_response(_shown(changed))


async def _find(call: Call, id: str) -> Login:
    for login in await call.gateway.logins(call.identity.account.id):
        if str(login.id) == id:
            return login
    raise _no_such_login()


def _no_such_login() -> Problem:
    return Problem("not_found", hint="there is no such login in this account")


def _check_caller(identity: Identity) -> None:
    if identity.is_sandbox:
        raise Problem("not_yours_to_give", lacks="is a sandbox token", what="a login, which sends for real")
    if "send" not in identity.scopes:
        raise Problem("not_yours_to_give", lacks="lacks the scope send", what="a login, which can send")


def _user(user: str) -> str:
    if user in TOKEN_USERS:
        raise wrong("user", f"{user} is the user name under which REST tokens log in; take another.")
    return user


def _wished(call: Call, given: dict[str, Any], base: LoginWish) -> LoginWish:
    """Gives `base` with what the call says."""
    settings = given.get("settings", {})
    return replace(
        base,
        password=given.get("password", base.password),
        features=structs.replace(base.features, **settings),
        networks=_without_repeats(given.get("networks", base.networks)),
        sender_domains=_without_repeats(given.get("domains", base.sender_domains)),
    )


def _without_repeats(items: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def _shown(login: Login) -> dict[str, Any]:
    """Gives a login as the API shows it. A setting that is null is left to the account."""
    return {
        "id": login.id,
        "user": login.user,
        "settings": {name: getattr(login.features, name) for name in (*_SWITCHES, "images")},
        "networks": login.networks,
        "domains": login.sender_domains,
    }


_ID = Property("id", NUMBER, "The number of the login, as the list shows it.", 3)
_CHANGED = Property("id", NUMBER, "The number of a login to change; without it a login is made.", 3)
_USER = Property(
    "user",
    visible(1, 254, has_blanks=False),
    "The user name, unique in the whole installation; when absent one is made.",
    "app@example.com",
)
_PASSWORD = Property("password", visible(12, 256), "A password of your own; when absent a good one is made.")
_SETTINGS = Property(
    "settings",
    object_of(
        Table(
            *(
                Property(name, BOOLEAN, f"The setting {name} of what is sent with the login.", False)
                for name in _SWITCHES
            ),
            Property("images", one_of("default", "hosted"), "How embedded images are sent.", "default"),
        )
    ),
    "What holds for mail that says nothing else; all are off for a new login, and a change leaves the others alone.",
)
_NETWORKS = Property(
    "networks",
    list_of(NETWORK, most=MAX_ITEMS),
    "Where the login may come from; from anywhere when empty.",
    ["192.0.2.0/24"],
)
_DOMAINS = Property(
    "domains",
    list_of(DOMAIN, most=MAX_ITEMS),
    "From which sender domains it may send, with the names below them; from all of the account when empty.",
    ["example.com"],
)
_LOGIN: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "user": {"type": "string"},
        "settings": {"type": "object", "description": "A setting that is null is left to the account."},
        "networks": {"type": "array", "items": {"type": "string"}},
        "domains": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["id", "user", "settings", "networks", "domains"],
}
_MADE: Schema = {**_LOGIN, "properties": {**_LOGIN["properties"], "password": {"type": "string"}}}
_EXAMPLE = {
    "id": 3,
    "user": "app@example.com",
    "settings": {**dict.fromkeys(_SWITCHES, False), "images": "default"},
    "networks": [],
    "domains": ["example.com"],
}
_LIST: Schema = {"type": "array", "items": _LOGIN}
_GONE = (Answer(200, "It is deleted; this is what it was.", _LOGIN, example=_EXAMPLE),)

ROUTES = (
    Route(
        "logins",
        {
            "GET": Operation(
                logins, "Lists the SMTP logins", "manage", (Answer(200, "By user.", _LIST, example=[_EXAMPLE]),)
            ),
            "POST": Operation(
                put_login,
                "Makes or changes an SMTP login",
                "manage",
                (
                    Answer(200, "It is changed.", _LOGIN, example=_EXAMPLE),
                    Answer(201, "It is made. `password`, when we made it, is not shown again.", _MADE),
                ),
                body=Table(_USER, _PASSWORD, _SETTINGS, _NETWORKS, _DOMAINS, _CHANGED),
                refusals=("not_found", "already_exists", "not_yours_to_give"),
            ),
            "DELETE": Operation(
                delete_login, "Deletes an SMTP login", "manage", _GONE, body=Table(_ID), refusals=("not_found",)
            ),
        },
    ),
    Route(
        "logins/{id}",
        {
            "GET": Operation(
                login,
                "Shows an SMTP login",
                "manage",
                (Answer(200, "The login.", _LOGIN, example=_EXAMPLE),),
                refusals=("not_found",),
            ),
            "DELETE": Operation(delete_login, "Deletes an SMTP login", "manage", _GONE, refusals=("not_found",)),
        },
        (NUMBER_IN_PATH,),
    ),
)
