"""A zone of dicts answers as the real resolver does."""

import pytest

from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.testing.zone import Zone
from smtpeter.world.seams import DnsTrouble, MxHost, Resolver


def zone() -> Zone:
    return Zone(
        {
            "example.com": {"mx": [(20, "b.example.com"), (10, "A.example.com.")], "txt": ["v=spf1 -all"]},
            "a.example.com": {"a": ["203.0.113.1"], "aaaa": ["2001:db8::1"]},
            "implicit.example": {"a": ["203.0.113.2"]},
            "null.example": {"mx": [(0, "")]},
            "empty.example": {},
            "numbers.example": {"mx": [(10, "192.0.2.1")]},
            "alias.example": {"cname": "example.com"},
            "circle.example": {"cname": "circle.example"},
            "broken.example": {"trouble": "SERVFAIL"},
        }
    )


def test_it_is_a_resolver() -> None:
    resolver: Resolver = zone()
    assert resolver


@in_virtual_time
async def test_hosts_and_addresses_in_their_order() -> None:
    names = zone()
    hosts = (MxHost(10, "a.example.com"), MxHost(20, "b.example.com"))
    assert await names.mail_hosts("example.com") == hosts
    assert await names.mail_hosts("alias.example") == hosts
    assert await names.mail_hosts("implicit.example") == (MxHost(0, "implicit.example"),)
    assert await names.addresses("a.example.com") == ("2001:db8::1", "203.0.113.1")
    assert await names.addresses("192.0.2.7") == ("192.0.2.7",)
    assert (await names.records("example.com", "TXT")).texts == ("v=spf1 -all",)
    assert (await names.records("gone.example", "TXT")).texts == ()
    assert names.asked[0] == ("hosts", "example.com")


@pytest.mark.parametrize(
    ("domain", "is_final", "status"),
    [
        ("gone.example", True, "5.1.2"),
        ("empty.example", True, "5.1.2"),
        ("null.example", True, "5.1.10"),
        ("numbers.example", True, "5.4.4"),
        ("broken.example", False, "4.4.3"),
        ("circle.example", False, "4.4.3"),
    ],
)
@in_virtual_time
async def test_trouble_is_that_of_the_real_resolver(domain: str, is_final: bool, status: str) -> None:
    with pytest.raises(DnsTrouble) as caught:
        await zone().mail_hosts(domain)
    assert (caught.value.is_final, caught.value.status) == (is_final, status)


@in_virtual_time
async def test_a_change_is_seen_at_once() -> None:
    names = zone()
    names["broken.example"] = {"a": ["203.0.113.9"]}
    assert await names.addresses("broken.example") == ("203.0.113.9",)
