"""Accepting from a socket that others accept from too: a burst is shared, nobody is lost, trouble passes."""

import asyncio
import socket
import tempfile
from collections.abc import Iterator

import pytest

from smtpeter.world import acceptor
from smtpeter.world.acceptor import Acceptor
from smtpeter.world.listening import bind
from smtpeter.world.share import PLACES, SIZE, Board, Share

BURST = 50


class Doorkeeper:
    """One that accepts, as a process of its own would: with its own copy of the socket."""

    def __init__(self, listening: socket.socket, share: Share | None = None) -> None:
        self.clients: list[socket.socket] = []
        if share is not None:
            share.add(lambda: len(self.clients))
        self.acceptor = Acceptor(listening.dup(), lambda client, _: self.clients.append(client), share)

    def close(self) -> None:
        self.acceptor.close()
        for client in self.clients:
            client.close()


def connect(listening: socket.socket, count: int) -> list[socket.socket]:
    return [socket.create_connection(listening.getsockname(), timeout=5) for _ in range(count)]


def close_all(*those: Doorkeeper | socket.socket) -> None:
    for one in those:
        one.close()


async def until_taken(count: int, *keepers: Doorkeeper) -> None:
    async with asyncio.timeout(5):
        while sum(len(keeper.clients) for keeper in keepers) < count:
            await asyncio.sleep(0)


async def test_burst_is_shared_among_those_who_accept() -> None:
    with bind("127.0.0.1", 0) as listening:
        keepers = [Doorkeeper(listening), Doorkeeper(listening)]
        clients = connect(listening, BURST)
        await until_taken(BURST, *keepers)
        assert [len(keeper.clients) for keeper in keepers] == [BURST // 2, BURST // 2]
        close_all(*keepers, *clients)


@pytest.fixture
def board() -> Iterator[Board]:
    with tempfile.TemporaryFile() as file:
        file.truncate(SIZE)
        yield Board(file.fileno())


async def test_who_has_fewer_clients_takes_the_next_ones(board: Board) -> None:
    with bind("127.0.0.1", 0) as listening:
        first = Doorkeeper(listening, Share(board, 1))
        clients = connect(listening, 10)
        await until_taken(10, first)
        second = Doorkeeper(listening, Share(board, 2))
        for count in range(11, 21):  # one after the other, so that each time the same could be the fastest
            clients += connect(listening, 1)
            await until_taken(count, first, second)
        assert (len(first.clients), len(second.clients)) == (10, 10)
        close_all(first, second, *clients)


async def test_who_hangs_with_few_clients_keeps_nobody_waiting(board: Board) -> None:
    board.put(7, 0)
    with bind("127.0.0.1", 0) as listening:
        keeper = Doorkeeper(listening, Share(board, 1))
        clients = connect(listening, BURST)
        await until_taken(BURST, keeper)
        close_all(keeper, *clients)


def test_place_that_was_given_back_counts_no_more(board: Board) -> None:
    mine = Share(board, 1)
    mine.add(lambda: 3)
    other = Share(board, PLACES)
    other.add(lambda: 2)
    assert (mine.is_next(), other.is_next()) == (False, True)
    other.end()
    assert mine.is_next()
    assert board.least(without=1) is None


async def test_who_closes_leaves_waiting_clients_to_the_others() -> None:
    with bind("127.0.0.1", 0) as listening:
        leaving, staying = Doorkeeper(listening), Doorkeeper(listening)
        clients = connect(listening, 5)
        leaving.close()
        leaving.close()
        await until_taken(5, staying)
        assert (len(leaving.clients), leaving.acceptor.is_open) == (0, False)
        close_all(staying, *clients)


class OutOfDescriptors:
    """A listening socket of a process that may open no more files until `is_well`."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.is_well = False
        self.refusals = 0

    def accept(self) -> tuple[socket.socket, object]:
        if self.is_well:
            return self._listening.accept()
        self.refusals += 1
        raise OSError(24, "Too many open files")

    def setblocking(self, is_blocking: bool) -> None:
        self._listening.setblocking(is_blocking)

    def fileno(self) -> int:
        return self._listening.fileno()

    def close(self) -> None:
        self._listening.close()


async def test_lack_of_descriptors_is_waited_out_without_spinning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "RETRY_SECONDS", 0.01)
    listening = OutOfDescriptors(bind("127.0.0.1", 0))
    taken: list[socket.socket] = []
    accepting = Acceptor(listening, lambda client, _: taken.append(client))  # type: ignore[arg-type]
    with socket.create_connection(listening._listening.getsockname(), timeout=5):
        async with asyncio.timeout(5):
            while listening.refusals < 2:
                await asyncio.sleep(0)
            listening.is_well = True
            while not taken:
                await asyncio.sleep(0)
    accepting.close()
    taken[0].close()
