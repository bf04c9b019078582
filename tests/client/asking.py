"""Both clients behind one face, so that a test says once what holds for both."""

import asyncio
import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from smtpeter.client import AsyncClient, Client, Retry

TOKEN = "smtpeter_token"
HASTY = Retry(first_pause=timedelta(milliseconds=1), longest_pause=timedelta(seconds=1))

Ask = Callable[..., Any]


def ask_sync(url: str, *questions: Callable[[Any], Any], **options: Any) -> Any:
    """Gives what the waiting client answers to the last question."""
    with Client(url, **{"token": TOKEN, "retry": HASTY, **options}) as client:
        return [_all(question(client)) for question in questions][-1]


def ask_async(url: str, *questions: Callable[[Any], Any], **options: Any) -> Any:
    """Gives what the client for asyncio answers to the last question."""

    async def ask() -> Any:
        async with AsyncClient(url, **{"token": TOKEN, "retry": HASTY, **options}) as client:
            return [await _all_async(question(client)) for question in questions][-1]

    return asyncio.run(ask())


def _all(came: Any) -> Any:
    return list(came) if inspect.isgenerator(came) else came


async def _all_async(came: Any) -> Any:
    return [item async for item in came] if inspect.isasyncgen(came) else await came


BOTH = [ask_sync, ask_async]
