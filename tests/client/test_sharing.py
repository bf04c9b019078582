"""One client for many: threads and tasks at once, calls that are given up, and what is left open at the end."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from smtpeter.client import AsyncClient, Client, Mail
from smtpeter.client.results import Receipt
from tests.client.asking import HASTY, TOKEN
from tests.client.script_server import answer, script_server

MAIL = Mail(recipients="jane@example.org", sender="joe@example.com", text="Hello.")
ACCEPTED = answer(value={"0VbhJDAc7ZoTmyipBFHq": "jane@example.org"})
CALLS = 100
AT_ONCE = 8


def test_threads_share_a_client_and_few_connections() -> None:
    with (
        script_server(ACCEPTED) as server,
        Client(server.url, TOKEN) as client,
        ThreadPoolExecutor(AT_ONCE) as threads,
    ):
        receipts = list(threads.map(client.send, [MAIL] * CALLS))
    assert len(receipts) == CALLS
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == CALLS
    assert len({asked.connection for asked in server.asked}) <= AT_ONCE


async def test_tasks_share_a_client_and_few_connections() -> None:
    with script_server(ACCEPTED) as server:
        async with AsyncClient(server.url, TOKEN) as client:
            limit = asyncio.Semaphore(AT_ONCE)

            async def send() -> Receipt:
                async with limit:
                    return await client.send(MAIL)

            receipts = await asyncio.gather(*(send() for _ in range(CALLS)))
    assert len(receipts) == CALLS
    assert len({asked.connection for asked in server.asked}) <= AT_ONCE


async def test_answer_to_a_call_that_was_given_up_meets_no_other_call() -> None:
    late = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"
    with script_server(late, ACCEPTED) as server:
        async with AsyncClient(server.url, TOKEN, retry=HASTY) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.send(MAIL), 0.1)
            assert (await client.send(MAIL)).id == "0VbhJDAc7ZoTmyipBFHq"
    assert [asked.connection for asked in server.asked] == [0, 1]


def test_client_that_was_closed_opens_again_when_it_is_asked() -> None:
    with script_server(ACCEPTED) as server:
        client = Client(server.url, TOKEN, timeout=timedelta(seconds=5))
        client.send(MAIL)
        client.close()
        client.send(MAIL)
        client.close()
    assert [asked.connection for asked in server.asked] == [0, 1]
