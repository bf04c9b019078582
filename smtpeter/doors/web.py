"""What answers where on the HTTP listeners: health and pages by their address, everything else is the REST API."""

from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from smtpeter.doors import health

PAGE_PREFIX = "/captured"


def mount(rest: ASGIApp, page_routes: list[Route], watched: ASGIApp) -> ASGIApp:
    """Gives the application of a listener. `watched` answers the addresses of `health`."""
    pages = Starlette(routes=[*page_routes, Route("/", _home)]) if page_routes else None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path in health.PATHS and scope["type"] == "http":
            await watched(scope, receive, send)
        elif pages is not None and (path == "/" or path.startswith(PAGE_PREFIX)):
            await pages(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return app


async def _home(request: object) -> RedirectResponse:
    return RedirectResponse(PAGE_PREFIX)
