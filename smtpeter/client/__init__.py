"""A client for the REST API, in Python's standard library alone: `Client` waits, `AsyncClient` is for asyncio.

It stands beside the rooms of the gateway and imports none of them, so that an application can use it where nothing
of the gateway is installed. Both clients share everything but the socket: `calls` makes requests and reads answers,
`conversation` decides when to try again.

    with Client("https://mail.example.com", token) as client:
        receipt = client.send(Mail(recipients=["jane@example.org"], sender="joe@example.com", text="Hello."))
        print(client.message(receipt.id).state)

Whatever goes wrong is a `ClientError`; what the gateway refuses is a `Refusal` with its code, sentence and property.
"""

from smtpeter.client.access import Login, LoginWish, NewLogin, NewToken, Suppression, Token, TokenWish
from smtpeter.client.aio import AsyncClient
from smtpeter.client.calls import Search, Window
from smtpeter.client.conversation import Retry
from smtpeter.client.errors import (
    BadAnswer,
    ClientError,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    Refusal,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from smtpeter.client.mail import Attachment, Dsn, Mail, Mailbox, Unsubscribe
from smtpeter.client.results import (
    Attempt,
    Download,
    Event,
    Message,
    Part,
    Receipt,
    Sent,
    Summary,
    Tls,
)
from smtpeter.client.sync import Client

__all__ = [
    "AsyncClient",
    "Attachment",
    "Attempt",
    "BadAnswer",
    "Client",
    "ClientError",
    "Conflict",
    "Download",
    "Dsn",
    "Event",
    "Forbidden",
    "InvalidInput",
    "Login",
    "LoginWish",
    "Mail",
    "Mailbox",
    "Message",
    "NewLogin",
    "NewToken",
    "NotFound",
    "Part",
    "Receipt",
    "Refusal",
    "Retry",
    "Search",
    "Sent",
    "Summary",
    "Suppression",
    "Tls",
    "Token",
    "TokenWish",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "Unsubscribe",
    "Window",
]
