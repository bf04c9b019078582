"""What answers where on the HTTP listeners: tracked links, health and pages, everything else is the REST API.

A request with a token of ours is the tracking door's, whatever its path. At a host that is for tracking alone there
is nothing else but what programs ask that watch over the gateway.
"""

from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from smtpeter.doors import health
from smtpeter.doors.track.door import Track

PAGE_PREFIX = "/captured"


def mount(rest: ASGIApp, page_routes: list[Route], watched: ASGIApp, track: Track | None = None) -> ASGIApp:
    """Gives the application of a listener. `watched` answers the addresses of `health`."""
    pages = Starlette(routes=[*page_routes, Route("/", _home)]) if page_routes else None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_http = scope["type"] == "http"
        if track is not None and is_http and await track.answers(scope, receive, send):
            return
        if path in health.PATHS and is_http:
            await watched(scope, receive, send)
        elif track is not None and is_http and track.owns(scope):
            await track.misses(scope, send)
        elif pages is not None and (path == "/" or path.startswith(PAGE_PREFIX)):
            await pages(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return app


async def _home(request: object) -> RedirectResponse:
    return RedirectResponse(PAGE_PREFIX)
