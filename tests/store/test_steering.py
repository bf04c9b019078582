"""The stored steering, on both stores."""

from datetime import timedelta

import pytest

from smtpeter.model.account import AccountId
from smtpeter.model.steering import Entry, LimitEntry, Limits, Pause, RouteEntry, RuleEntry, Steer, Steering, Stored
from smtpeter.store.operation import single
from smtpeter.store.statement import TEXT, Plan, Statement
from smtpeter.store.steering import EntryKey, NewEntry, forget_past, put_entry, remove_entry, steering, steering_version
from smtpeter.store.store import Store
from tests.store.mail import T0, after

FULL_PAUSE = Pause("a.example", "*.b.example", "pool", "192.0.2.1", AccountId(3), "bulk", "tag", "why", after(60))
FULL_LIMIT = LimitEntry("*.mx.example", Limits(5, 100, 1, 30, 600, timedelta(seconds=90.5)), "pool")
FULL_ROUTE = RouteEntry("*.a.example", "b.example", "bulk", "acme", ("one", "two"), "pool")
RULE = RuleEntry('name = "x"\ncodes = [421]\n')


async def put(store: Store, entry: Entry, at: float = 0, position: int | None = None) -> Stored:
    return await store.write(put_entry, NewEntry(entry, after(at), position))


async def entries(store: Store, at: float = 0) -> list[Entry]:
    return [stored.entry for stored in (await store.read(steering, after(at))).entries]


async def test_steering_is_empty_at_first(store: Store) -> None:
    assert await store.read(steering, T0) == Steering(0)
    assert await store.read(steering_version, None) == 0


@pytest.mark.parametrize("entry", [FULL_PAUSE, FULL_LIMIT, FULL_ROUTE, RULE, Pause(), LimitEntry("*", Limits())])
async def test_entry_is_read_as_it_was_written(store: Store, entry: Entry) -> None:
    stored = await put(store, entry)
    assert (stored.entry, stored.created) == (entry, T0)
    assert (await store.read(steering, T0)).entries == (stored,)


async def test_every_change_raises_the_version_and_nothing_else_does(store: Store) -> None:
    stored = await put(store, Pause(domain="a.example", until=after(60)))
    assert await store.read(steering_version, None) == 1
    assert await store.write(remove_entry, EntryKey(Steer.LIMIT, stored.id)) is None
    assert await store.write(forget_past, after(59)) == 0
    assert await store.read(steering_version, None) == 1
    assert await store.write(forget_past, after(60)) == 1
    await put(store, RULE)
    assert (await store.read(steering, T0)).version == 3


async def test_entries_of_a_kind_go_by_position_then_by_age(store: Store) -> None:
    first = await put(store, RouteEntry("a.example"))
    second = await put(store, RouteEntry("b.example"))
    between = await put(store, RouteEntry("c.example"), position=first.position)
    ahead = await put(store, RouteEntry("d.example"), position=first.position - 1)
    other = await put(store, RULE)
    assert (first.position, second.position, other.position) == (1, 2, 1)
    assert (await store.read(steering, T0)).entries == (ahead, first, between, second, other)


async def test_limit_of_the_same_target_and_pool_replaces_its_predecessor(store: Store) -> None:
    first = await put(store, LimitEntry("mx.example", Limits(connections=2, per_second=1)))
    await put(store, LimitEntry("mx.example", Limits(connections=9), "pool"))
    again = await put(store, LimitEntry("mx.example", Limits(connections=3)), at=5)
    assert (again.id, again.position) == (first.id, first.position)
    assert await entries(store) == [
        LimitEntry("mx.example", Limits(connections=3)),
        LimitEntry("mx.example", Limits(connections=9), "pool"),
    ]


@pytest.mark.parametrize(("former", "later", "kept"), [(60, 30, 60), (30, 60, 60), (None, 60, None), (60, None, None)])
async def test_of_two_pauses_of_the_same_mail_the_longer_stands(
    store: Store, former: float | None, later: float | None, kept: float | None
) -> None:
    def until(seconds: float | None) -> Pause:
        return Pause(domain="a.example", until=None if seconds is None else after(seconds))

    first = await put(store, until(former))
    await put(store, Pause(domain="b.example"))
    again = await put(store, until(later))
    assert (again.id, again.entry) == (first.id, until(kept))
    assert len(await entries(store)) == 2


async def test_pause_that_is_renewed_without_a_reason_keeps_its_reason(store: Store) -> None:
    await put(store, Pause(domain="a.example", reason="they asked"))
    assert (await put(store, Pause(domain="a.example"))).entry == Pause(domain="a.example", reason="they asked")
    assert (await put(store, Pause(domain="a.example", reason="new"))).entry == Pause(domain="a.example", reason="new")


async def test_pause_that_is_over_is_left_out_and_not_renewed(store: Store) -> None:
    over = await put(store, Pause(domain="a.example", reason="old", until=after(60)))
    assert await entries(store, 59.9) == [over.entry]
    assert await entries(store, 60) == []
    again = await put(store, Pause(domain="a.example", until=after(90)), at=60)
    assert again.id != over.id
    assert again.entry == Pause(domain="a.example", until=after(90))


async def test_entry_that_is_removed_is_given_once(store: Store) -> None:
    kept = await put(store, RULE)
    stored = await put(store, FULL_ROUTE)
    assert await store.write(remove_entry, EntryKey(Steer.ROUTE, stored.id)) == stored
    assert await store.write(remove_entry, EntryKey(Steer.ROUTE, stored.id)) is None
    assert (await store.read(steering, T0)).entries == (kept,)


async def test_what_a_newer_release_wrote_is_passed_over(store: Store) -> None:
    insert = Statement(
        "insert into steering (kind, position, body, created) select :kind, 1, :body, 0 {rows}", kind=TEXT, body=TEXT
    )

    @single
    def write_ahead(rows: list[tuple[str, str]]) -> Plan[None]:
        yield insert.many(rows)

    await store.write(write_ahead, [("spell", "{}"), ("limit", '{"target":"*","limits":{"colour":1},"mood":"x"}')])
    assert await entries(store) == [LimitEntry("*", Limits())]
