"""What answers where on the HTTP listeners: pages by their prefix, everything else is the REST API."""

from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

PAGE_PREFIX = "/captured"


def mount(rest: ASGIApp, page_routes: list[Route]) -> ASGIApp:
    """Gives the application of a listener. The API comes first: it is the hot path."""
    if not page_routes:
        return rest

    async def home(request: object) -> RedirectResponse:
        return RedirectResponse(PAGE_PREFIX)

    pages = Starlette(routes=[*page_routes, Route("/", home)])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path == "/" or path.startswith(PAGE_PREFIX):
            await pages(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return app
