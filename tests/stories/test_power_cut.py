"""The power goes before and after every commit of a run: nothing acknowledged is lost, and each message ends once.

The run: a client hands in three messages, one after the other, for five recipients. One recipient is put off at first,
one is refused, so that a notification goes to the sender; all hosts are some way off, so that commits happen while
replies are in flight. At the cut the gateway stops in the middle of what it does. Some time later it is started again
on the same files, and runs until everything is settled.
"""

import asyncio
import re
from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args

import pytest

from smtpeter.model.event import Accepted, Deferral, Delivery, Failure
from smtpeter.model.message import MessageId
from smtpeter.testing.house import Arrivals, Gateway, Story
from smtpeter.testing.power import CuttingExecutor
from smtpeter.testing.remote_host import Message
from smtpeter.testing.virtual_time import run

When = Literal["before", "after"]
LATENCY = timedelta(milliseconds=20)
FLIGHT = LATENCY.total_seconds() + 1e-6  # of a reply
SMALL = b"From: News <news@example.org>\r\nSubject: Hello\r\n\r\nGood morning.\r\n"  # our id becomes its Message-ID
LARGE = SMALL + (b"x" * 70 + b"\r\n") * 4000  # more than a row holds: it is kept in a file of its own (D2)
LETTERS = [
    (("ann@one.example", "put-off@two.example"), SMALL),
    (("refused@one.example",), SMALL),
    (("bob@one.example", "cem@two.example"), LARGE),
]
PARTS = 4  # of the list of cuts, for runs in parallel
_ID = re.compile(rb"\bid ([0-9A-Za-z-]+);")  # in our trace field
_ABOUT = re.compile(rb"\bMessage-ID: <([0-9A-Za-z-]+)@example\.org>")  # in a notification, of the message returned


class Course:
    """One run on a folder, cut at certain calls: what the client and the hosts come to know.

    `cuts` are (call, when) for each start of the gateway, counted anew for each; the last start is never cut.
    """

    def __init__(self, folder: Path, *cuts: tuple[int, When]) -> None:
        self.story = Story(folder, retry_divisor=60)
        self.hosts = [self.story.host(name, latency=LATENCY) for name in ("one.example", "two.example", "example.org")]
        self.hosts[0].on("rcptto", "550 5.1.1 no such user", match="refused@")
        self.hosts[1].on("rcptto", "451 4.7.1 come back", match="put-off@", times=1)
        self.acknowledged: dict[MessageId, str] = {}  # and the recipient
        self.moments: list[float] = []  # of the cuts, in seconds of the clock
        self.calls = 0  # of the last start
        self._cuts = cuts

    async def run(self) -> None:
        """Runs to the end and checks how it ended."""
        async with self.story:
            for call, when in self._cuts:
                await self._run_until_cut(call, when)
                await asyncio.sleep(0.5)
            power = CuttingExecutor(0)
            gateway = await self.story.start(power)
            await self._hand_in(gateway)
            await gateway.quiet()
            self.calls = power.calls
            await self._check(gateway)

    async def _run_until_cut(self, call: int, when: When) -> None:
        cut = asyncio.Event()
        power = CuttingExecutor(call, when, lambda: self._stop(cut))
        life = asyncio.create_task(self._live(power))
        await cut.wait()
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        power.restore()
        await self.story.processes[-1].clear_away()

    def _stop(self, cut: asyncio.Event) -> None:
        self.moments.append(self.story.clock.monotonic())
        self.story.processes[-1].power_off()
        cut.set()

    async def _live(self, power: CuttingExecutor) -> None:
        gateway = await self.story.start(power)
        await self._hand_in(gateway)

    async def _hand_in(self, gateway: Gateway) -> None:
        """Is the client: hands in one letter after the other, as far as they were not acknowledged before."""
        for recipients, content in LETTERS:
            if not set(recipients) <= set(self.acknowledged.values()):
                ids = await gateway.send(*recipients, content=content)
                self.acknowledged.update(zip(ids, recipients, strict=True))
                await asyncio.sleep(0.03)

    async def _check(self, gateway: Gateway) -> None:
        copies = self._copies()
        notified = self._notified()
        assert sorted(self.acknowledged.values()) == sorted(name for names, _ in LETTERS for name in names)
        for id in {*self.acknowledged, *copies, *notified}:
            events = [record.event for record in await gateway.events(id)]
            terminal = [event for event in events if not isinstance(event, Accepted | Deferral)]
            assert len(terminal) == 1, f"{id}: {events}"
            match terminal[0]:
                case Delivery(uncertain=uncertain):
                    self._check_copies(copies[id], uncertain=uncertain)
                case Failure(status="5.1.1"):
                    assert (copies[id], notified[id]) == ([], 1), "refused, and its sender told of it once"
                case other:
                    raise AssertionError(f"{id} ended in {other}")

    def _check_copies(self, moments: list[float], *, uncertain: bool) -> None:
        assert moments, "delivered, and not there"
        *doubtful, _ = moments
        assert not doubtful or uncertain, "D5: a second copy is marked"
        assert all(any(abs(cut - moment) <= FLIGHT for cut in self.moments) for moment in doubtful), (
            "D5: a second copy only when the reply to the first was under way"
        )

    def _copies(self) -> dict[MessageId, list[float]]:
        """Gives the moments at which each message was complete at a host."""
        found = defaultdict(list)
        for host in self.hosts:
            assert isinstance(host.messages, Arrivals)
            for message, moment in zip(host.messages, host.messages.moments, strict=True):
                found[_id(message)].append(moment)
        return found

    def _notified(self) -> Counter[MessageId]:
        """Gives for each message how many notifications about it there are; copies of one are one."""
        notices = {_id(message): message.content for message in self.hosts[-1].messages}
        return Counter(MessageId(_ABOUT.findall(content)[-1].decode()) for content in notices.values())


def _id(message: Message) -> MessageId:
    found = _ID.search(message.content)
    assert found is not None
    return MessageId(found[1].decode())


def test_without_a_cut_each_message_arrives_once(tmp_path: Path) -> None:
    async def story() -> None:
        course = Course(tmp_path)
        await course.run()
        assert [len(host.messages) for host in course.hosts] == [2, 2, 1]

    run(story())


def calls_of_a_run(folder: Path) -> int:
    """Gives how many calls an uncut run makes."""
    folder.mkdir()

    async def story() -> int:
        course = Course(folder)
        await course.run()
        return course.calls

    return run(story())


def play(folder: Path, *cuts: tuple[int, When]) -> None:
    """Plays a run that is cut so."""
    folder.mkdir()

    async def story() -> None:
        await Course(folder, *cuts).run()

    try:
        run(story())
    except BaseException as error:
        error.add_note(f"cut {cuts}")
        raise


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("when", get_args(When))
def test_d14_a_power_cut_at_any_commit_loses_nothing(tmp_path: Path, when: When, part: int) -> None:
    for call in range(1 + part, 1 + calls_of_a_run(tmp_path / "whole"), PARTS):
        play(tmp_path / str(call), (call, when))


@pytest.mark.parametrize("first", [9, 13, 18])
def test_d8_a_power_cut_while_it_starts_again_loses_nothing_either(tmp_path: Path, first: int) -> None:
    for call in range(1, 7):
        for when in get_args(When):
            play(tmp_path / f"{call}{when}", (first, "after"), (call, when))
