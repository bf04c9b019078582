"""The routing table and the lanes that follow from it."""

from smtpeter.delivery.route import Capture, Discard, Mx, Rule, SmartHost, choose, fixed_lane, site_lane
from smtpeter.world.seams import MxHost

RELAY = SmartHost("relay.example.net", 587)


def test_what_no_rule_names_goes_by_mx() -> None:
    assert choose((), "a@example.com") == Mx()


def test_the_first_rule_that_fits_decides() -> None:
    rules = (Rule("example.com", Discard()), Rule("*", RELAY))
    assert choose(rules, "a@example.com") == Discard()
    assert choose(rules, "a@example.org") == RELAY


def test_a_pattern_with_a_star_covers_names_below_it_and_not_the_name_itself() -> None:
    rules = (Rule("*.example.com", RELAY),)
    assert choose(rules, "a@mail.example.com") == RELAY
    assert choose(rules, "a@example.com") == Mx()
    assert choose(rules, "a@badexample.com") == Mx()


def test_one_address_can_have_a_route_of_its_own() -> None:
    rules = (Rule("joe@example.com", Discard()),)
    assert choose(rules, "joe@example.com") == Discard()
    assert choose(rules, "jane@example.com") == Mx()


def test_only_mx_needs_dns_to_know_its_lane() -> None:
    assert fixed_lane(Mx()) is None
    assert fixed_lane(RELAY) == "smarthost:relay.example.net:587"
    assert fixed_lane(Capture("127.0.0.1", 2527)) == "capture:127.0.0.1:2527"
    assert fixed_lane(Discard()) == "discard"


def test_domains_with_the_same_best_hosts_share_a_lane() -> None:
    first = (MxHost(10, "b.mx.example"), MxHost(10, "a.mx.example"), MxHost(20, "backup.one.example"))
    second = (MxHost(1, "a.mx.example"), MxHost(1, "b.mx.example"))
    assert site_lane(first) == site_lane(second) == "mx:a.mx.example,b.mx.example"


def test_the_password_of_a_smart_host_does_not_show() -> None:
    assert "s3cret" not in repr(SmartHost("relay.example.net", 587, "required", "user", "s3cret"))
