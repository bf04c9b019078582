"""Addresses that a hostile DNS may not send us to (reliability-security A4, H2)."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.world.networks import Destinations, in_any, is_global, parse_networks

INSIDE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2001:20::1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "2a00:1450::1%eth0",
    "fec0::1",
    "ff02::1",
]
OUTSIDE = [
    "8.8.8.8",
    "100.63.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2a00:1450:4001:829::200e",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
]


@pytest.mark.parametrize("ip", INSIDE)
def test_special_addresses_are_not_global(ip: str) -> None:
    assert not is_global(ip)
    assert not Destinations().allows(ip)


@pytest.mark.parametrize("ip", OUTSIDE)
def test_ordinary_addresses_are_global(ip: str) -> None:
    assert is_global(ip)
    assert Destinations().allows(ip)


def test_teredo_is_as_good_as_the_addresses_in_it() -> None:
    def teredo(server: str, client: str) -> str:
        return str(
            IPv6Address(0x20010000 << 96 | int(IPv4Address(server)) << 64 | int(IPv4Address(client)) ^ 0xFFFFFFFF)
        )

    assert is_global(teredo("8.8.8.8", "9.9.9.9"))
    assert not is_global(teredo("8.8.8.8", "10.0.0.1"))
    assert not is_global(teredo("127.0.0.1", "9.9.9.9"))


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "010.8.8.8", "8.8.8.8/32", " 8.8.8.8"]
)
def test_what_is_no_address_goes_nowhere(text: str) -> None:
    assert not is_global(text)
    assert not Destinations(allowed=parse_networks(["0.0.0.0/0", "::/0"])).allows(text)
    assert not in_any(text, parse_networks(["0.0.0.0/0", "::/0"]))


def test_own_addresses_are_refused_even_when_their_network_is_allowed() -> None:
    rule = Destinations(own=parse_networks(["10.0.0.5", "9.9.9.9"]), allowed=parse_networks(["10.0.0.0/8"]))
    assert rule.allows("10.0.0.4")
    assert not rule.allows("10.0.0.5")
    assert not rule.allows("::ffff:10.0.0.5")
    assert not rule.allows("9.9.9.9")
    assert not rule.allows("64:ff9b::9.9.9.9")


def test_forbidden_networks_are_refused_in_every_dress() -> None:
    rule = Destinations(forbidden=parse_networks(["8.8.0.0/16", "2606:4700::/32"]))
    assert not rule.allows("8.8.8.8")
    assert not rule.allows("::ffff:8.8.8.8")
    assert not rule.allows("2002:808:808::1")
    assert not rule.allows("2606:4700::1")
    assert rule.allows("9.9.9.9")


def test_allowed_networks_open_the_inside_for_tests_and_intranets() -> None:
    rule = Destinations(allowed=parse_networks(["127.0.0.0/8", "::1"]))
    assert rule.allows("127.0.0.1")
    assert rule.allows("::1")
    assert rule.allows("::ffff:127.0.0.1")
    assert not rule.allows("10.0.0.1")


def test_in_any_takes_a_mapped_address_for_its_ipv4_address() -> None:
    networks = parse_networks(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"])
    assert in_any("10.1.2.3", networks)
    assert in_any("::ffff:10.1.2.3", networks)
    assert in_any("2001:db8::9", networks)
    assert in_any("192.0.2.7", networks)
    assert not in_any("192.0.2.8", networks)
    assert not in_any("::1", networks)
    assert not in_any("10.1.2.3", ())


def test_a_network_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/33"):
        parse_networks(["10.0.0.0/33"])


@given(st.ip_addresses(v=4))
@settings(max_examples=300)
def test_wrapping_an_address_never_makes_it_more_welcome(address: IPv4Address) -> None:
    value = int(address)
    wrapped = [
        IPv6Address(0xFFFF << 32 | value),
        IPv6Address(0x64FF9B << 96 | value),
        IPv6Address(0x2002 << 112 | value << 80 | 1),
    ]
    for dress in wrapped:
        assert is_global(str(dress)) == is_global(str(address))


@given(st.text(max_size=50))
@settings(max_examples=300)
def test_any_text_gets_an_answer(text: str) -> None:
    assert is_global(text) in (True, False)
    assert in_any(text, parse_networks(["10.0.0.0/8"])) in (True, False)
