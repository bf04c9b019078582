"""Which domains share a lane, and what the name of a lane says."""

import pytest

from smtpeter.delivery.site import (
    Providers,
    hosts_of,
    join_lane,
    provider_of,
    read_providers,
    shipped_providers,
    site_lane,
    split_lane,
    with_more,
)
from smtpeter.world.seams import MxHost

OURS = Providers({"big": ("*.big.example",), "mail": ("mx.big.example", "*.mail.example")})


def lane_of(*hosts: tuple[int, str], providers: Providers = OURS) -> str:
    return site_lane(tuple(MxHost(preference, name) for preference, name in hosts), providers)


def test_domains_with_the_same_best_hosts_share_a_lane() -> None:
    one = lane_of((10, "b.mx.example"), (10, "a.mx.example"), (20, "spare.example"))
    other = lane_of((5, "a.mx.example"), (5, "b.mx.example"))
    assert one == other == "mx:a.mx.example,b.mx.example"


def test_all_domains_at_a_provider_share_its_lane() -> None:
    assert lane_of((1, "a.big.example"), (5, "elsewhere.example")) == "mx:big"
    assert lane_of((1, "one-tenant.eu.big.example")) == "mx:big"


def test_one_best_host_elsewhere_makes_a_lane_of_its_own() -> None:
    assert lane_of((1, "a.big.example"), (1, "mx.other.example")) == "mx:a.big.example,mx.other.example"


def test_hosts_of_two_providers_are_no_site_of_either() -> None:
    assert lane_of((1, "a.big.example"), (1, "a.mail.example")) == "mx:a.big.example,a.mail.example"


def test_longer_pattern_counts() -> None:
    assert lane_of((1, "mx.big.example")) == "mx:mail"


@pytest.mark.parametrize("host", ["big.example", "notbig.example", "big.example.org", "example"])
def test_pattern_of_a_suffix_covers_only_what_is_below_it(host: str) -> None:
    assert OURS.name_of(host) is None


def test_host_without_a_dot_does_not_become_a_provider() -> None:
    lane = lane_of((1, "big"))
    assert lane == "mx:big."
    assert provider_of(lane) == ""
    assert hosts_of(lane) == ("big",)


def test_own_provider_goes_before_a_shipped_one() -> None:
    more = with_more(OURS, {"tenants": ("*.BIG.example",)})
    assert lane_of((1, "a.big.example"), providers=more) == "mx:tenants"
    assert lane_of((1, "mx.big.example"), providers=more) == "mx:mail"


def test_provider_is_replaced_by_name_and_taken_away_by_no_hosts() -> None:
    assert with_more(OURS, {"big": ("*.large.example",)}).name_of("a.big.example") is None
    assert with_more(OURS, {"big": ()}).patterns == {"mail": OURS.patterns["mail"]}


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("dotted.name", "*.example.com"),
        ("a@b", "*.example.com"),
        ("Big", "*.example.com"),
        ("big", "mx*.example.com"),
        ("big", "*"),
        ("big", "*."),
        ("big", "a..example"),
        ("big", ""),
    ],
)
def test_provider_that_cannot_be_read_is_named(name: str, pattern: str) -> None:
    with pytest.raises(ValueError, match=name):
        with_more(OURS, {name: (pattern,)})


def test_providers_are_read_from_toml() -> None:
    read = read_providers('[big]\nhosts = ["*.big.example"]\nconnections = 3\n')
    assert read.patterns == {"big": ("*.big.example",)}


@pytest.mark.parametrize("text", ["[big]", "big = 3", '[big]\nhosts = "*.big.example"', "[big]\nhosts = [3]"])
def test_table_without_a_list_of_hosts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="big"):
        read_providers(text)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("gmail-smtp-in.l.google.com", "google"),
        ("aspmx3.googlemail.com", "google"),
        ("outlook-com.olc.protection.outlook.com", "outlook"),
        ("example-com.mail.protection.outlook.com", "microsoft365"),
        ("mta5.am0.yahoodns.net", "yahoo"),
        ("mx01.mail.icloud.com", "apple"),
        ("mx00.emig.gmx.net", "gmx"),
        ("mx-ha02.web.de", "gmx"),
        ("mx00.kundenserver.de", "ionos"),
        ("mx1.mail.ovh.net", "ovh"),
        ("smtp-in.orange.fr", "orange"),
        ("mx.yandex.net", "yandex"),
        ("mxa-00000001.gslb.pphosted.com", "proofpoint"),
        ("eu-smtp-inbound-2.mimecast.com", "mimecast-eu"),
    ],
)
def test_large_providers_are_known(host: str, name: str) -> None:
    assert site_lane((MxHost(10, host),)) == f"mx:{name}"


@pytest.mark.parametrize(
    "host",
    [
        "c-192-0-2-1.hsd1.ma.comcast.net",
        "ns123456.ovh.net",
        "vps123.ovh.net",
        "ip-192-0-2-1.ip.secureserver.net",
        "static.1.2.0.192.clients.your-server.de",
        "192-0-2-1.cable.dynamic.v4.ziggo.nl",
        "1.2.0.192.bc.googleusercontent.com",
        "ec2-192-0-2-1.compute-1.amazonaws.com",
        "abc-1-23-4.w192-0.abo.wanadoo.fr",
        "host.example.fbx.proxad.net",
    ],
)
def test_machine_that_anybody_can_rent_is_no_part_of_a_provider(host: str) -> None:
    assert shipped_providers().name_of(host) is None


def test_no_host_is_claimed_by_two_shipped_providers() -> None:
    patterns = [pattern for held in shipped_providers().patterns.values() for pattern in held]
    assert len(patterns) == len(set(patterns))


@pytest.mark.parametrize(
    ("site", "hosts"),
    [
        ("mx:a.example,b.example", ("a.example", "b.example")),
        ("mx:google", ()),
        ("smarthost:relay.example:587", ("relay.example",)),
        ("smarthost:one.example:25,two.example:2525", ("one.example", "two.example")),
        ("smarthost:2001:db8::1:25", ("2001:db8::1",)),
        ("capture:127.0.0.1:2525", ("127.0.0.1",)),
        ("dns:example.com", ()),
        ("discard", ()),
    ],
)
def test_site_tells_its_hosts(site: str, hosts: tuple[str, ...]) -> None:
    assert hosts_of(site) == hosts


@pytest.mark.parametrize(("site", "pool"), [("mx:google", ""), ("mx:google", "bulk"), ("smarthost:a.example:25", "x")])
def test_lane_is_joined_and_split(site: str, pool: str) -> None:
    assert split_lane(join_lane(site, pool)) == (site, pool)


def test_lane_without_a_pool_is_its_site() -> None:
    assert join_lane("mx:google", "") == "mx:google"
