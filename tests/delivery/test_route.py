"""The routing table and the lanes that follow from it."""

import pytest
from msgspec.structs import replace

from smtpeter.delivery.route import (
    Capture,
    Discard,
    Facts,
    Mx,
    Route,
    Rule,
    SmartHost,
    SmartHosts,
    Way,
    choose,
    fixed_lane,
    lane_of,
    rules_of,
)
from smtpeter.delivery.site import shipped_providers
from smtpeter.model.account import AccountId
from smtpeter.model.steering import RouteEntry
from smtpeter.world.seams import MxHost

HOST, OTHER = SmartHost("relay.example.net", 587), SmartHost("backup.example.net", 25)
RELAY = SmartHosts((HOST,))
FACTS = Facts("a@example.com", "example.com", "example.org", AccountId(7), "transactional")
NAMED: dict[str, Route] = {"mx": Mx(), "discard": Discard(), "relay": RELAY, "backup": SmartHosts((OTHER,))}


def to(address: str) -> Facts:
    return replace(FACTS, recipient=address, domain=address.rpartition("@")[2])


def test_what_no_rule_names_goes_by_mx_from_whichever_address() -> None:
    assert choose((), FACTS) == Way(Mx(), "")


def test_the_first_rule_that_fits_decides() -> None:
    rules = (Rule("example.com", route=Discard()), Rule("*", route=RELAY))
    assert choose(rules, to("a@example.com")).route == Discard()
    assert choose(rules, to("a@example.org")).route == RELAY


def test_route_and_pool_are_decided_apart() -> None:
    rules = (
        Rule(stream="bulk", pool="slow"),
        Rule("example.com", route=RELAY),
        Rule(route=Mx(), pool="west"),
        Rule(route=Discard(), pool="east"),
    )
    assert choose(rules, replace(FACTS, stream="bulk")) == Way(RELAY, "slow")
    assert choose(rules, FACTS) == Way(RELAY, "west")
    assert choose(rules, to("a@example.net")) == Way(Mx(), "west")
    assert choose(rules[:1], replace(FACTS, stream="bulk")) == Way(Mx(), "slow")


@pytest.mark.parametrize(
    ("pattern", "address", "fits"),
    [
        ("*", "a@example.com", True),
        ("", "a@example.com", True),
        ("*.example.com", "a@mail.example.com", True),
        ("*.example.com", "a@example.com", False),
        ("*.example.com", "a@badexample.com", False),
        ("joe@example.com", "joe@example.com", True),
        ("joe@example.com", "jane@example.com", False),
        ("joe@*", "joe@example.net", True),
    ],
)
def test_recipient_pattern(pattern: str, address: str, fits: bool) -> None:
    assert (choose((Rule(pattern, route=Discard()),), to(address)).route == Discard()) is fits


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Rule(sender="example.org"), True),
        (Rule(sender="*.example.org"), False),
        (Rule(sender="example.com"), False),
        (Rule(sender="*"), True),
        (Rule(stream="transactional"), True),
        (Rule(stream="bulk"), False),
        (Rule(account=AccountId(7)), True),
        (Rule(account=AccountId(8)), False),
        (Rule("example.com", "example.org", "transactional", AccountId(7)), True),
        (Rule("example.com", "example.org", "bulk", AccountId(7)), False),
    ],
)
def test_all_that_a_rule_says_has_to_fit(rule: Rule, fits: bool) -> None:
    assert (choose((replace(rule, route=Discard()),), FACTS).route == Discard()) is fits


def test_only_mx_needs_dns_to_know_its_lane() -> None:
    assert fixed_lane(Way(Mx())) is None
    assert fixed_lane(Way(RELAY)) == "smarthost:relay.example.net:587"
    assert fixed_lane(Way(SmartHosts((HOST, OTHER)))) == "smarthost:relay.example.net:587,backup.example.net:25"
    assert fixed_lane(Way(Capture("127.0.0.1", 2527))) == "capture:127.0.0.1:2527"
    assert fixed_lane(Way(Discard())) == "discard"


def test_a_pool_makes_a_lane_of_its_own_where_something_is_dialled_outside() -> None:
    hosts = (MxHost(10, "mx.example.com"),)
    assert fixed_lane(Way(RELAY, "west")) == "smarthost:relay.example.net:587@west"
    assert fixed_lane(Way(Capture("127.0.0.1", 2527), "west")) == "capture:127.0.0.1:2527"
    assert fixed_lane(Way(Discard(), "west")) == "discard"
    assert lane_of(Way(Mx(), "west"), hosts, shipped_providers()) == "mx:mx.example.com@west"
    assert lane_of(Way(Mx()), hosts, shipped_providers()) == "mx:mx.example.com"


def test_rules_are_made_of_entries_in_their_order() -> None:
    entries = [
        RouteEntry(recipient="example.com", via=("relay", "backup")),
        RouteEntry(sender="example.org", stream="bulk", account="shop", pool="west"),
        RouteEntry(via=("mx",)),
    ]
    rules, complaints = rules_of(entries, NAMED, {"shop": AccountId(3)})
    assert rules == (
        Rule("example.com", route=SmartHosts((HOST, OTHER))),
        Rule(sender="example.org", stream="bulk", account=AccountId(3), pool="west"),
        Rule(route=Mx()),
    )
    assert not complaints


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (RouteEntry(recipient="example.com", via=("relai",)), "the route for recipient example.com names relai"),
        (RouteEntry(via=("relay", "mx")), "the route for everything names mx beside others"),
        (RouteEntry(account="shop", via=("mx",)), "names the account shop, which there is not"),
        (RouteEntry(pool="east"), "names the pool east, which there is not"),
    ],
)
def test_an_entry_that_names_something_unknown_is_left_out_and_told(entry: RouteEntry, told: str) -> None:
    rules, complaints = rules_of([entry, RouteEntry(via=("discard",), pool="west")], NAMED, {}, pools={"west"})
    assert rules == (Rule(route=Discard(), pool="west"),)
    assert len(complaints) == 1
    assert told in complaints[0]


def test_the_password_of_a_smart_host_does_not_show() -> None:
    assert "s3cret" not in repr(SmartHosts((SmartHost("relay.example.net", 587, "required", "user", "s3cret"),)))
