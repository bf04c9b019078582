"""Any order of accepting, claiming, settling and crashing: one holder each, nothing lost, one final event."""

import asyncio
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.model.account import AccountId
from smtpeter.model.message import Message, MessageId, MessageState
from smtpeter.store import events
from smtpeter.store.accept import accept
from smtpeter.store.booking import Push, Release, push, release
from smtpeter.store.events import EventQuery
from smtpeter.store.executor import InlineExecutor
from smtpeter.store.rotation import Rotation
from smtpeter.store.settle import Settlement, settle
from smtpeter.store.store import Store, open_store
from tests.store.mail import after, claim, delivered, held, item, submission

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["accept", "claim", "deliver", "defer", "release", "push", "forget", "wait"]),
        st.integers(1, 4),
        st.integers(1, 40),
    ),
    max_size=30,
)


class Play:
    """What a test knows: who is accepted, who is final, and what this worker believes to hold until when."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = 0.0
        self.accepted: set[str] = set()
        self.final: set[str] = set()
        self.holding: dict[str, tuple[Message, float]] = {}
        self.rotation = Rotation()

    async def step(self, name: str, number: int, seconds: int) -> None:
        mine = list(self.holding.values())[:number]
        match name:
            case "accept":
                made = submission(*["a.example"] * number, account=number)
                self.accepted.update(await self.store.write(accept, item(made, f"lane{seconds % 3}")))
            case "claim":
                for message in await claim(self.store, number, at=self.clock, rotation=self.rotation):
                    was_held = self.holding.get(message.id)
                    assert was_held is None or was_held[1] <= self.clock, "claimed while it was held"
                    assert message.id not in self.final
                    self.holding[message.id] = (message, self.clock + 45)
            case "deliver":
                for message, _ in mine:
                    assert await self.store.write(settle, delivered(message))
                    self.final.add(message.id)
                    del self.holding[message.id]
            case "defer":
                for message, _ in mine:
                    later = after(self.clock + seconds)
                    result = Settlement(message.id, message.claim, MessageState.DEFERRED, later, 1, later)
                    assert await self.store.write(settle, result)
                    del self.holding[message.id]
            case "release":
                await self.store.write(release, Release(tuple(held(m) for m, _ in mine), after(self.clock)))
                for message, _ in mine:
                    del self.holding[message.id]
            case "push":
                until = self.clock + 45
                lost = await self.store.write(push, Push(tuple(held(m) for m, _ in mine), after(until)))
                assert lost == frozenset()
                self.holding.update((m.id, (m, until)) for m, _ in mine)
            case "forget":
                self.holding.clear()
            case "wait":
                self.clock += seconds

    async def ends_well(self) -> None:
        self.clock += 1000
        rest: set[str] = set()
        while found := await claim(self.store, 7, at=self.clock, rotation=self.rotation):
            rest.update(m.id for m in found)
        assert rest == self.accepted - self.final
        for id in self.final:
            for account in range(1, 5):
                log = await self.store.read(events.events_of, EventQuery(AccountId(account), MessageId(id)))
                assert [r.event.name for r in log] in ([], ["attempt", "delivery"])


@given(STEPS)
@settings(max_examples=25, deadline=None)
def test_any_order_of_events_loses_nothing_and_gives_each_message_one_holder(
    steps: list[tuple[str, int, int]],
) -> None:
    async def play() -> None:
        with tempfile.TemporaryDirectory() as folder:
            inline = InlineExecutor()
            store = await open_store(f"sqlite:{folder}/mail.sqlite", commits=inline, reads=inline)
            play = Play(store)
            for step in steps:
                await play.step(*step)
            await play.ends_well()
            await store.close()

    asyncio.run(play())
