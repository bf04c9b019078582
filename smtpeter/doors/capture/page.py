"""The sink's page: a list of what was captured, and each message as a person, a developer and a machine see it.

Mail is foreign text: its HTML is shown only in a sandboxed frame that runs no scripts and loads nothing from outside
(W6). `/captured.json` and `/captured/N/source` serve scripts and tests.
"""

from pathlib import Path

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from smtpeter.doors.capture.mailbox import Mailbox
from smtpeter.wire.encoded_words import decode_unlabelled
from smtpeter.wire.headers import split
from smtpeter.wire.mime import first_text

SHOWN = 200  # messages in the list
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; "
    "frame-ancestors 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
FRAME_HEADERS = {
    **PAGE_HEADERS,
    # the mail's own styles and inlined images only: no scripts, no remote loads, an origin of its own
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
}

_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def routes(mailbox: Mailbox) -> list[Route]:
    """Gives the routes of the page, all below /captured."""

    async def list_page(request: Request) -> Response:
        return _page("list.html", messages=mailbox.newest(SHOWN))

    async def list_json(request: Request) -> Response:
        found = mailbox.newest(SHOWN)
        return JSONResponse([{field: getattr(m, field) for field in m.__struct_fields__} for m in found])

    async def message_page(request: Request) -> Response:
        number = request.path_params["number"]
        captured, content = mailbox.find(number), mailbox.content(number)
        if captured is None or content is None:
            return _missing()
        head, _ = split(content)
        return _page(
            "message.html",
            message=captured,
            has_html=first_text(content, "html") is not None,
            text=first_text(content, "plain"),
            headers=decode_unlabelled(head),
        )

    async def html_frame(request: Request) -> Response:
        content = mailbox.content(request.path_params["number"])
        html = first_text(content, "html") if content is not None else None
        if html is None:
            return _missing()
        return HTMLResponse(html, headers=FRAME_HEADERS)

    async def source(request: Request) -> Response:
        content = mailbox.content(request.path_params["number"])
        if content is None:
            return _missing()
        return Response(content, media_type="text/plain; charset=utf-8", headers=PAGE_HEADERS)

    async def style(request: Request) -> Response:
        css = (Path(__file__).parent / "pages" / "style.css").read_bytes()
        return Response(css, media_type="text/css", headers={"X-Content-Type-Options": "nosniff"})

    async def clear(request: Request) -> Response:
        # a page of another site must not empty the mailbox: browsers name the origin of a form
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            return Response("The form came from another site.", 403, media_type="text/plain")
        mailbox.clear()
        return RedirectResponse("/captured", status_code=303)

    return [
        Route("/captured", list_page),
        Route("/captured.json", list_json),
        Route("/captured/style.css", style),
        Route("/captured/clear", clear, methods=["POST"]),
        Route("/captured/{number:int}", message_page),
        Route("/captured/{number:int}/html", html_frame),
        Route("/captured/{number:int}/source", source),
    ]


def _page(name: str, **values: object) -> Response:
    return HTMLResponse(_PAGES.get_template(name).render(values), headers=PAGE_HEADERS)


def _missing() -> Response:
    return HTMLResponse(_PAGES.get_template("missing.html").render(), status_code=404, headers=PAGE_HEADERS)
