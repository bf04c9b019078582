"""Messages without a lane, on both stores."""

from smtpeter.model.account import AccountId
from smtpeter.store.accept import accept
from smtpeter.store.store import Store
from smtpeter.store.unrouted import Assignment, UnroutedDomain, UnroutedRequest, assign_lanes, unrouted
from tests.store.mail import T0, after, claim, item, submission


async def test_unrouted_domains_are_given_once_and_lane_makes_them_claimable(store: Store) -> None:
    made = submission("b.example", "a.example", "a.example")
    await store.write(accept, item(made, lane=None))
    assert await claim(store) == []
    domains = await store.write(unrouted, UnroutedRequest(T0, 10))
    assert domains == [UnroutedDomain(AccountId(1), "a.example"), UnroutedDomain(AccountId(1), "b.example")]
    assert await store.write(assign_lanes, Assignment(AccountId(1), "a.example", "site", after(1))) == 2
    found = await claim(store, at=1)
    assert [(m.lane, m.claim, m.attempt, m.unsettled) for m in found] == [("site", 1, 0, 0)] * 2
    rest = await store.write(unrouted, UnroutedRequest(T0, 10))
    assert rest == domains[1:]


async def test_domain_that_is_being_looked_up_is_skipped(store: Store) -> None:
    await store.write(accept, item(submission("a.example", "b.example"), lane=None))
    found = await store.write(unrouted, UnroutedRequest(T0, 10, frozenset({"a.example"})))
    assert [d.domain for d in found] == ["b.example"]
