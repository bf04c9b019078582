"""The REST door as an ASGI application: what every call goes through before and after its resource.

The steps stand in `_answer`: way, address, method, token, scope, pace, resource. Addresses are a table looked up by
name, because a list of patterns tried one after another costs more than the rest of a small call. Whatever happens,
the answer has an X-Request-Id, and what is not a refusal is logged with it and told as 500 without its cause (W2).
"""

import math
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from urllib.parse import quote, unquote

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from smtpeter.doors.rest.call import Call
from smtpeter.doors.rest.client import find_client, take_token
from smtpeter.doors.rest.declare import Operation, Route
from smtpeter.doors.rest.decode import ClientGone
from smtpeter.doors.rest.docs import find_page
from smtpeter.doors.rest.errors import Problem, refusal_response
from smtpeter.doors.rest.form import FormError, decode_form
from smtpeter.doors.rest.gateway import Gateway
from smtpeter.doors.rest.large import Large
from smtpeter.doors.rest.pace import Pace
from smtpeter.doors.rest.routes import ROUTES
from smtpeter.doors.rest.settings import RestSettings
from smtpeter.model.refusal import Refused
from smtpeter.store.operation import StoreUnavailable
from smtpeter.world.log import log_trouble

_MAX_WARNING = 1024

# everything before the first argument, then the number of arguments
_BY_PATH = {(route.path.partition("/{")[0], len(route.arguments)): route for route in ROUTES}
_MOST_ARGUMENTS = max(count for _, count in _BY_PATH)


def build_app(gateway: Gateway, settings: RestSettings, monotonic: Callable[[], float] = time.monotonic) -> ASGIApp:
    """Gives the application. `monotonic` gives seconds, for the pace of tokens."""
    return _RestDoor(gateway, settings, Pace(settings.requests_per_second, settings.request_burst, monotonic))


class _RestDoor:
    def __init__(self, gateway: Gateway, settings: RestSettings, pace: Pace) -> None:
        self._gateway = gateway
        self._settings = settings
        self._pace = pace
        self._large = Large()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await _live(receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1003})
        request_id = secrets.token_hex(8)
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            response = await self._answer(scope, headers, receive)
        except (Problem, Refused) as refused:
            response = refusal_response(refused, headers.get(b"accept", b"").decode("latin-1"))
        except StoreUnavailable:
            response = refusal_response(Refused("store_unavailable"), headers.get(b"accept", b"").decode("latin-1"))
        except ClientGone:
            return None
        except Exception:
            log_trouble("rest.failed", request=request_id, method=scope["method"], path=scope["path"])
            response = refusal_response(Problem("internal_error"), headers.get(b"accept", b"").decode("latin-1"))
        response.raw_headers.append((b"x-request-id", request_id.encode("ascii")))
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        # RFC 9110 9.3.2: HEAD has the fields of GET and no content
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else response.body})
        return None

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Response:
        token = take_token(scope, headers)  # first, so that no log sees it
        client = find_client(scope, headers, self._settings)
        if page := find_page(scope["path"], scope["method"]):
            return page
        path, route, arguments = _find(scope)
        operation = _operation(route, scope["method"])
        if not token:
            raise Problem("token_missing", headers={"WWW-Authenticate": "Bearer"})
        identity = await self._gateway.identify(token)
        if identity is None:
            # RFC 6750 3.1
            raise Problem("token_invalid", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        if operation.scope not in identity.scopes:
            raise Problem("scope_missing", scope=operation.scope)
        if wait := self._pace.wait_for(identity.credential):
            seconds = math.ceil(wait)
            raise Problem("too_many_requests", headers={"Retry-After": str(seconds)}, seconds=seconds)
        try:
            query = decode_form(scope["query_string"]) if scope["query_string"] else {}
        except FormError as wrong:
            raise Problem("invalid_query", reason=wrong) from None
        async with AsyncExitStack() as held:
            call = Call(
                self._gateway,
                self._settings,
                operation,
                identity,
                client,
                headers,
                path,
                arguments,
                query,
                receive,
                self._large,
                held,
            )
            try:
                response = await operation.resource(call)
            except (Problem, Refused) as refused:
                response = refusal_response(refused, headers.get(b"accept", b"").decode("latin-1"))
        if call.unknown:
            response.raw_headers.append((b"warning-unknown", _warning(call.unknown)))
        return response


def _find(scope: Scope) -> tuple[str, Route, tuple[str, ...]]:
    """Gives the path as the client may call it again, the route and its arguments. Raises Problem (404)."""
    root: str = scope.get("root_path", "")
    inner: str = scope["path"].removeprefix(root).removesuffix("/")
    if inner == "/send":  # an example of the documentation leaves the version out
        inner = "/v1/send"
    if inner.startswith("/v1/"):
        if route := _BY_PATH.get((inner[4:], 0)):
            return root + inner, route, ()
        names = _segments(scope.get("raw_path") or b"", root, inner)
        for count in range(1, _MOST_ARGUMENTS + 1):
            if route := _BY_PATH.get(("/".join(names[2:-count]), count)):
                return root + "/".join([quote(name, safe="@") for name in names]), route, tuple(names[-count:])
    raise Problem("not_found", hint="the calls of this version begin with /v1/, as /v1/send")


def _segments(raw: bytes, root: str, path: str) -> list[str]:
    """Gives the segments of the path. An argument may hold a slash, which only the escaped form tells from a border."""
    if b"%2" not in raw:
        return path.split("/")
    return [unquote(part) for part in raw.decode("latin-1").removeprefix(root).removesuffix("/").split("/")]


def _operation(route: Route, method: str) -> Operation:
    operation = route.methods.get("GET" if method == "HEAD" else method)
    if operation is None:
        names = [*route.methods, *(["HEAD"] if "GET" in route.methods else [])]
        allow = ", ".join(names)
        raise Problem("method_not_allowed", headers={"Allow": allow}, method=method, allow=allow)
    return operation


def _warning(unknown: list[str]) -> bytes:
    """Gives the names with commas between them, percent-encoded where a header could not carry them."""
    names = dict.fromkeys(quote(name[:100], safe=" !#$&'()*+-./:;<=>?@[]^_`{|}~") for name in unknown[:100])
    return ", ".join(names)[:_MAX_WARNING].encode("ascii")


async def _live(receive: Receive, send: Send) -> None:
    """Answers the life cycle messages of the server; the door itself has nothing to start or stop."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
