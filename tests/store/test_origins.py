"""Numbers of origins, on both stores."""

from smtpeter.store.origins import Origin, Origins, number_origins, numbers_of, origin_of
from smtpeter.store.store import Store
from tests.store.mail import make_account


async def test_origin_keeps_its_number(store: Store) -> None:
    owner = (await make_account(store, "one")).id
    wanted = Origins(owner, ("https://a.example", "http://b.example"))
    assert await store.read(numbers_of, wanted) == {}
    numbers = await store.write(number_origins, wanted)
    assert numbers.keys() == set(wanted.origins)
    assert await store.write(number_origins, wanted) == numbers
    assert await store.read(numbers_of, wanted) == numbers
    assert await store.read(origin_of, numbers["http://b.example"]) == Origin(owner, "http://b.example")


async def test_accounts_share_no_numbers(store: Store) -> None:
    one, other = (await make_account(store, "one")).id, (await make_account(store, "other")).id
    first = await store.write(number_origins, Origins(one, ("https://a.example",)))
    second = await store.write(number_origins, Origins(other, ("https://a.example",)))
    assert first != second
    assert await store.read(origin_of, max(*first.values(), *second.values()) + 1) is None
