"""Waiting for a word or a time, whichever is first."""

import asyncio

POLL_SECONDS = 1.0  # how late something that another process stored may be noticed


async def set_or_after(event: asyncio.Event, seconds: float) -> None:
    """Returns when the event is set, or sets it after a while."""
    timer = asyncio.get_running_loop().call_later(seconds, event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
