"""Workers: registration, heartbeat, and taking over what dead ones held."""

from datetime import timedelta
from pathlib import Path

from smtpeter.store import workers
from smtpeter.store.accept import accept, claimed_at_birth
from smtpeter.store.columns import to_ms
from smtpeter.store.settle import settle
from smtpeter.store.store import Store
from smtpeter.store.workers import FREE, Beat, Newcomer, TakeOver
from tests.store.mail import T0, after, claim, deferred, delivered, item, sqlite_steps, submission


async def test_worker_lives_as_long_as_its_heart_beats(store: Store) -> None:
    first = await store.write(workers.register, Newcomer("node-a", 10, T0))
    second = await store.write(workers.register, Newcomer("node-b", 10, T0))
    assert first != second
    assert await store.write(workers.beat, Beat(first, after(15)))
    assert [w.id for w in await store.read(workers.live_workers, after(45))] == [first, second]
    assert [w.id for w in await store.read(workers.live_workers, after(46))] == [first]
    await store.write(workers.leave, first)
    assert await store.read(workers.live_workers, after(46)) == []
    assert not await store.write(workers.beat, Beat(first, after(47)))


async def test_live_workers_say_what_they_do(store: Store) -> None:
    await store.write(workers.register, Newcomer("node-a", 10, T0, frozenset({"smtp", "mta"})))
    await store.write(workers.register, Newcomer("node-b", 10, T0))
    found = await store.read(workers.live_workers, after(1))
    assert [worker.roles for worker in found] == [{"smtp", "mta"}, set()]
    assert [worker.roles for worker in await store.read(workers.workers_of_node, "node-a")] == [{"smtp", "mta"}]


async def test_restarted_node_takes_its_leftovers_at_once_and_those_of_no_other(store: Store) -> None:
    dead = await store.write(workers.register, Newcomer("node-a", 10, T0))
    living = await store.write(workers.register, Newcomer("node-a", 11, T0))
    elsewhere = await store.write(workers.register, Newcomer("node-b", 12, T0))
    ids = {}
    for worker in (dead, living, elsewhere):
        (ids[worker],) = await store.write(accept, item(submission(), worker=worker))
    assert [w.pid for w in await store.read(workers.workers_of_node, "node-a")] == [10, 11]
    assert await store.write(workers.take_over, TakeOver("node-a", frozenset({living}), after(2))) == 1
    (again,) = await claim(store, at=2)
    assert (again.id, again.claim, again.unsettled) == (ids[dead], 2, 1)
    assert [w.id for w in await store.read(workers.workers_of_node, "node-a")] == [living]


async def test_settled_messages_are_not_taken_over(store: Store) -> None:
    worker = await store.write(workers.register, Newcomer("node-a", 10, T0))
    accepted = item(submission(), worker=worker)
    await store.write(accept, accepted)
    assert await store.write(settle, delivered(claimed_at_birth(accepted)[0]))
    assert await store.write(workers.take_over, TakeOver("node-a", frozenset(), after(2))) == 0


async def test_taking_over_does_not_look_at_what_was_deferred(sqlite_store: Store, tmp_path: Path) -> None:
    values = (to_ms(T0), to_ms(T0 + timedelta(minutes=5)), 7)
    before = sqlite_steps(tmp_path / "mail.sqlite", FREE, values)
    accepted = item(submission(*["a.example"] * 200), worker=1)
    await sqlite_store.write(accept, accepted)
    for message in claimed_at_birth(accepted):
        assert await sqlite_store.write(settle, deferred(message, seconds=6 * 3600))
    assert sqlite_steps(tmp_path / "mail.sqlite", FREE, values) < before + 20
