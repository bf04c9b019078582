"""Every address of the API with what answers there: the table that the door looks up and the document is made from."""

from smtpeter.doors.rest import batch, events, messages, send
from smtpeter.doors.rest.declare import Route
from smtpeter.doors.rest.resources import (
    convert,
    files,
    logins,
    queue,
    resend,
    search,
    steering,
    suppressions,
    templates,
    tokens,
)

ROUTES: tuple[Route, ...] = (
    *send.ROUTES,
    *batch.ROUTES,
    *messages.ROUTES,
    *events.ROUTES,
    *resend.ROUTES,
    *search.ROUTES,
    *files.ROUTES,
    *suppressions.ROUTES,
    *templates.ROUTES,
    *convert.ROUTES,
    *tokens.ROUTES,
    *logins.ROUTES,
    *queue.ROUTES,
    *steering.ROUTES,
)
