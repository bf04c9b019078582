"""Where the HTTP client goes and where not: names, addresses, redirects, time. In memory, in virtual time."""

import asyncio
import gzip
import ssl

import pytest

from smtpeter.testing.network import MemoryStream, Network, Serve
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.testing.web import Reply, Web
from smtpeter.testing.zone import Zone
from smtpeter.world.fetch.client import CONNECT_SECONDS, MAX_REDIRECTS, HttpClient, Rules
from smtpeter.world.fetch.request import Fetched, Post, Request
from smtpeter.world.fetch.trouble import FetchTrouble, Slug
from smtpeter.world.networks import Destinations, parse_networks

PUBLIC = "93.184.215.14"
OTHER = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",  # where clouds keep secrets
    "100.64.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",  # Teredo of 10.0.0.1
    "fe80::1",
    "fc00::1",
    "fec0::1",
    "ff02::1",
]

# what old readers of addresses take for 127.0.0.1 or 169.254.169.254
NOTATIONS = [
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.01",
    "127.0.0.0x1",
    "127.0.0.1.",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "2852039166",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[fe80::1%25eth0]",
    "[::1%1]",
    "%31%32%37.0.0.1",
    "127.0.0.1%00.example.com",
]


def shown(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


async def answers(stream: MemoryStream) -> None:
    await stream.read()
    stream.write(PLAIN)
    await stream.drain()


def internet(zone: Zone) -> tuple[Network, HttpClient]:
    """Gives a network with a good host at each of the addresses, and a client with the rules of the real one."""
    network = Network()
    for ip in (PUBLIC, OTHER, *PRIVATE):
        for port in (80, 22, 8025):
            network.listen(ip, answers, port=port)
    return network, HttpClient(zone, network, CONTEXT)


async def trouble_of(client: HttpClient, url: str, **more: object) -> FetchTrouble:
    with pytest.raises(FetchTrouble) as caught:
        await client.fetch(Request(url, 1000, **more))  # type: ignore[arg-type]
    return caught.value


# ---- addresses (H2)


@in_virtual_time
async def test_h2_public_host_is_fetched_at_the_address_that_was_looked_up() -> None:
    network, client = internet(Zone({"a.example": {"a": [PUBLIC]}}))
    fetched = await client.fetch(Request("http://a.example/", 1000))
    assert fetched.content == b"hi"
    assert [(dial.ip, dial.port) for dial in network.dials] == [(PUBLIC, 80)]


@pytest.mark.parametrize("ip", PRIVATE)
@in_virtual_time
async def test_h2_private_address_is_refused_in_dns_url_and_redirect(ip: str) -> None:
    # the record of the other kind would do as well: what counts is the address
    zone = Zone({"a.example": {"a": [ip]}, "web.example": {"a": [PUBLIC]}})
    network, client = internet(zone)
    web = Web(network, zone)
    web.redirect("http://web.example/name", "http://a.example/")
    web.redirect("http://web.example/address", f"http://{shown(ip)}/")
    for url in ("http://a.example/", f"http://{shown(ip)}/", "http://web.example/name", "http://web.example/address"):
        trouble = await trouble_of(client, url)
        assert trouble.slug is Slug.FORBIDDEN
        assert trouble.is_final
        assert ip not in str(trouble)
        with pytest.raises(FetchTrouble):
            await client.post(Post(url.replace("web.example", "a.example"), b"x"))
    assert {dial.ip for dial in network.dials} == {PUBLIC}


@pytest.mark.parametrize("host", NOTATIONS)
@in_virtual_time
async def test_h2_odd_notation_of_an_address_leads_nowhere(host: str) -> None:
    zone = Zone({"web.example": {"a": [PUBLIC]}})
    network, client = internet(zone)
    web = Web(network, zone)
    web.redirect("http://web.example/", f"http://{host}/".encode().decode("latin-1"))
    for url in (f"http://{host}/", f"http://user@{host}/", f"http://{host}:80/x", "http://web.example/"):
        assert (await trouble_of(client, url)).slug in (Slug.URL, Slug.FORBIDDEN, Slug.CREDENTIALS)
    assert {dial.ip for dial in network.dials} == {PUBLIC}


@in_virtual_time
async def test_h2_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    network, client = internet(Zone({"a.example": {"a": [PUBLIC, "10.0.0.1"], "aaaa": [OTHER]}}))
    assert (await trouble_of(client, "http://a.example/")).slug is Slug.FORBIDDEN
    assert network.dials == []


@in_virtual_time
async def test_h2_name_is_looked_up_once_so_that_its_answer_cannot_change_in_between() -> None:
    class Turncoat(Zone):
        """Names that are public at the first look, and private ever after."""

        async def addresses(self, host: str) -> tuple[str, ...]:
            found = await super().addresses(host)
            self[host] = {"a": ["127.0.0.1"]}
            return found

    zone = Turncoat({"a.example": {"a": [PUBLIC]}})
    network, client = internet(zone)
    assert (await client.fetch(Request("http://a.example/", 1000))).content == b"hi"
    assert zone.asked == [("addresses", "a.example")]
    assert [dial.ip for dial in network.dials] == [PUBLIC]
    # and a redirect to the same name is a new request with a new look
    assert (await trouble_of(client, "http://a.example/")).slug is Slug.FORBIDDEN


@in_virtual_time
async def test_h2_own_and_forbidden_networks_are_excluded_and_allowed_ones_not() -> None:
    network, _ = internet(Zone())
    rule = Destinations(parse_networks([PUBLIC]), parse_networks(["9.9.9.0/24"]), parse_networks(["10.0.0.0/8"]))
    client = HttpClient(Zone(), network, CONTEXT, Rules(rule))
    assert (await trouble_of(client, f"http://{PUBLIC}/")).slug is Slug.FORBIDDEN
    assert (await trouble_of(client, "http://9.9.9.9/")).slug is Slug.FORBIDDEN
    assert (await client.fetch(Request("http://10.1.2.3/", 1000))).content == b"hi"


@in_virtual_time
async def test_localhost_is_refused_under_all_its_names() -> None:
    network, client = internet(Zone())
    for host in ("localhost", "LOCALHOST", "localhost."):
        assert (await trouble_of(client, f"http://{host}/")).slug is Slug.FORBIDDEN
    assert network.dials == []


@in_virtual_time
async def test_name_that_is_not_in_dns_is_final_and_trouble_of_dns_is_not() -> None:
    _, client = internet(Zone({"b.example": {"trouble": "SERVFAIL at 10.0.0.53"}}))
    missing, broken = [await trouble_of(client, f"http://{name}.example/") for name in "ab"]
    assert (missing.slug, missing.is_final) == (Slug.UNKNOWN_HOST, True)
    assert (broken.slug, broken.is_final) == (Slug.DNS, False)
    assert "10.0.0.53" not in str(broken)


@in_virtual_time
async def test_next_address_is_tried_when_one_is_silent_or_refuses() -> None:
    silent, refusing = "93.184.215.15", "93.184.215.16"
    network, client = internet(Zone({"a.example": {"a": [silent, refusing, PUBLIC]}}))
    network.silence(silent, port=80)
    began = asyncio.get_running_loop().time()
    assert (await client.fetch(Request("http://a.example/", 1000))).content == b"hi"
    assert asyncio.get_running_loop().time() - began == pytest.approx(CONNECT_SECONDS)
    assert [dial.ip for dial in network.dials] == [silent, refusing, PUBLIC]


# ---- URLs (H1)


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("ftp://a.example/", Slug.SCHEME),
        ("file:///etc/passwd", Slug.SCHEME),
        ("gopher://a.example:80/_x", Slug.SCHEME),
        ("data:text/plain,x", Slug.SCHEME),
        ("a.example/x", Slug.URL),
        ("//a.example/x", Slug.URL),
        ("http:/a.example/x", Slug.URL),
        ("http:a.example", Slug.URL),
        ("http://", Slug.URL),
        ("http:///x", Slug.URL),
        ("http://:80/", Slug.URL),
        ("", Slug.URL),
        ("http://user:pass@a.example/", Slug.CREDENTIALS),
        ("http://a.example@127.0.0.1/", Slug.CREDENTIALS),
        ("http://a.example:80@127.0.0.1/", Slug.CREDENTIALS),
        ("http://@a.example/", Slug.CREDENTIALS),
        ("http://127.0.0.1\\@a.example/", Slug.URL),
        ("http://a.example\\.b.example/", Slug.URL),
        ("http://a.example#@127.0.0.1/", None),
        ("http://a.example?@127.0.0.1/", None),
        ("http://a.example:22/", Slug.PORT),
        ("http://a.example:25/", Slug.PORT),
        ("http://a.example:8025/", Slug.PORT),
        ("http://a.example:0/", Slug.URL),
        ("http://a.example:65536/", Slug.URL),
        ("http://a.example:+80/", Slug.URL),
        ("http://a.example:٨٠/", Slug.URL),
        ("http://a.example:80:80/", Slug.URL),
        ("http://a.example:/", None),
        ("http://a.exa\tmple/", Slug.URL),
        ("http://a.example/\r\nHost: b", Slug.URL),
        ("http://a.example /", Slug.URL),
        ("http://a..example/", Slug.URL),
        ("http://a.example,b.example/", Slug.URL),
        ("http://[a.example]/", Slug.URL),
        ("http://[::1/", Slug.URL),
        ("http://a.example/\ud800", Slug.URL),
        ("http://a.example/" + "x" * 8000, Slug.URL),
        (" http://a.example/ ", None),
        ("HTTP://A.EXAMPLE./", None),
    ],
)
@in_virtual_time
async def test_h1_url_is_read_strictly(url: str, slug: Slug | None) -> None:
    network, client = internet(Zone({"a.example": {"a": [PUBLIC]}}))
    if slug is None:
        assert (await client.fetch(Request(url, 1000))).content == b"hi"
    else:
        trouble = await trouble_of(client, url)
        assert (trouble.slug, trouble.is_final) == (slug, True)
        assert network.dials == []


@in_virtual_time
async def test_h1_high_ports_are_open_by_setting_only() -> None:
    network, closed = internet(Zone({"a.example": {"a": [PUBLIC]}}))
    opened = HttpClient(Zone({"a.example": {"a": [PUBLIC]}}), network, CONTEXT, Rules(allow_high_ports=True))
    assert (await trouble_of(closed, "http://a.example:8025/")).slug is Slug.PORT
    assert (await opened.fetch(Request("http://a.example:8025/", 1000))).content == b"hi"
    assert (await trouble_of(opened, "http://a.example:22/")).slug is Slug.PORT


@in_virtual_time
async def test_international_name_is_looked_up_and_sent_in_a_labels() -> None:
    async with Network() as network:
        web = Web(network, Zone())
        web.page("http://xn--bcher-kva.example/preis", "1 €".encode(), type="text/plain")
        fetched = await web.client.fetch(Request("http://Bücher.example/preis?q=ä", 1000))
        assert fetched.content.decode() == "1 €"
        assert web.calls[0].fields["host"] == "xn--bcher-kva.example"
        assert web.calls[0].url == "http://xn--bcher-kva.example/preis?q=%C3%A4"


# ---- redirects (H3)


@in_virtual_time
async def test_h3_redirects_are_followed_from_host_to_host() -> None:
    async with Network() as network:
        web = Web(network, Zone())
        web.redirect("http://a.example/old/x", "../new#part", 301)
        web.redirect("http://a.example/new", "//b.example/?q=1", 303)
        web.redirect("http://b.example/", "https://c.example/final.png", 308)
        web.page("https://c.example/final.png", b"png", type="image/png")
        request = Request("http://a.example/old/x", 1000, headers={"Accept": "image/png", "X-Key": "k"})
        fetched = await web.client.fetch(request)
        assert (fetched.content, fetched.url, fetched.name) == (b"png", "https://c.example/final.png", "final.png")
        assert [call.fields.get("x-key") for call in web.calls] == ["k", "k", None, None]
        assert [dial.port for dial in network.dials] == [80, 80, 80, 443]


@pytest.mark.parametrize("count", [MAX_REDIRECTS, MAX_REDIRECTS + 1])
@in_virtual_time
async def test_h3_five_redirects_are_followed_and_no_more(count: int) -> None:
    async with Network() as network:
        web = Web(network, Zone())
        for number in range(count):
            web.redirect(f"http://a.example/{number}", f"/{number + 1}")
        web.page(f"http://a.example/{count}", b"there")
        if count <= MAX_REDIRECTS:
            assert (await web.client.fetch(Request("http://a.example/0", 1000))).content == b"there"
        else:
            assert (await trouble_of(web.client, "http://a.example/0")).slug is Slug.REDIRECTS
        assert len(web.calls) == MAX_REDIRECTS + 1


@in_virtual_time
async def test_h3_redirect_loop_ends() -> None:
    async with Network() as network:
        web = Web(network, Zone())
        web.redirect("http://a.example/", "http://b.example/")
        web.redirect("http://b.example/", "http://a.example/")
        assert (await trouble_of(web.client, "http://a.example/")).slug is Slug.REDIRECTS


@in_virtual_time
async def test_h3_redirect_is_refused_when_it_is_not_to_be_followed() -> None:
    async with Network() as network:
        web = Web(network, Zone())
        web.redirect("http://a.example/", "http://b.example/")
        assert (await trouble_of(web.client, "http://a.example/", follow_redirects=False)).slug is Slug.REDIRECT
        assert len(web.calls) == 1


@pytest.mark.parametrize(
    ("location", "slug"),
    [
        ("ftp://b.example/", Slug.SCHEME),
        ("file:///etc/passwd", Slug.SCHEME),
        ("http://u:p@b.example/", Slug.CREDENTIALS),
        ("http://inside.example:22/", Slug.PORT),
        ("http://inside.example/", Slug.FORBIDDEN),
        ("//inside.example/", Slug.FORBIDDEN),
        ("http://[", Slug.URL),
        ("http://a\tb/", Slug.URL),
        ("http://nowhere.example/", Slug.UNKNOWN_HOST),
    ],
)
@in_virtual_time
async def test_h3_target_of_a_redirect_is_checked_anew_and_not_named(location: str, slug: Slug) -> None:
    async with Network() as network:
        zone = Zone({"inside.example": {"a": ["10.0.0.1"]}})
        web = Web(network, zone)
        web.redirect("http://a.example/", location)
        trouble = await trouble_of(web.client, "http://a.example/")
        assert trouble.slug is slug
        assert str(trouble).endswith("after a redirect.")
        assert not any(word in str(trouble) for word in ("inside", "10.0.0.1", "passwd", "nowhere"))
        assert len(network.dials) == 1


# ---- time and number


def dripping(before: bytes, part: bytes) -> Serve:
    """Makes a host that says a little every second, for ever."""

    async def serve(stream: MemoryStream) -> None:
        await stream.read()
        stream.write(before)
        while True:
            await asyncio.sleep(1)
            stream.write(part)
            await stream.drain()

    return serve


@pytest.mark.parametrize(
    ("before", "part"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"z"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nz\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"x")[:10], b""),
    ],
    ids=["head", "fields", "body", "chunks", "silence"],
)
@in_virtual_time
async def test_h3_slow_server_has_thirty_seconds_whatever_is_asked(before: bytes, part: bytes) -> None:
    async with Network() as network:
        network.listen(PUBLIC, dripping(before, part), port=80)
        client = HttpClient(Zone(), network, CONTEXT)
        for asked, most in ((10.0, 10.0), (999.0, 30.0)):
            began = asyncio.get_running_loop().time()
            trouble = await trouble_of(client, f"http://{PUBLIC}/", seconds=asked)
            assert trouble.slug is Slug.TIMEOUT
            assert asyncio.get_running_loop().time() - began == pytest.approx(most)
        assert network.open[PUBLIC] == 0


@in_virtual_time
async def test_h3_time_counts_over_all_redirects() -> None:
    async def leads_on(stream: MemoryStream) -> None:
        await stream.read()
        await asyncio.sleep(4)
        stream.write(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n")

    async with Network() as network:
        network.listen(PUBLIC, leads_on, port=80)
        trouble = await trouble_of(HttpClient(Zone(), network, CONTEXT), f"http://{PUBLIC}/", seconds=10)
        assert trouble.slug is Slug.TIMEOUT
        assert len(network.dials) == 3


@in_virtual_time
async def test_silent_tls_handshake_ends_in_time() -> None:
    async with Network() as network:
        network.listen(PUBLIC, dripping(b"", b""), port=443)
        network.silence(OTHER, port=443)
        client = HttpClient(Zone({"a.example": {"aaaa": [OTHER]}}), network, CONTEXT)
        assert (await trouble_of(client, "https://a.example/")).slug is Slug.TIMEOUT


@in_virtual_time
async def test_host_has_its_own_slots_and_those_who_wait_go_in_turn() -> None:
    async with Network() as network:

        async def slow(stream: MemoryStream) -> None:
            await stream.read()
            await asyncio.sleep(10)
            stream.write(PLAIN)

        network.listen(PUBLIC, slow, port=80)
        network.listen(OTHER, answers, port=80)
        client = HttpClient(Zone(), network, CONTEXT, Rules(max_per_host=2, max_at_once=3))
        began = asyncio.get_running_loop().time()
        tasks = [asyncio.create_task(client.fetch(Request(f"http://{PUBLIC}/", 1000))) for _ in range(7)]
        await asyncio.sleep(1)
        assert (await client.fetch(Request(f"http://[{OTHER}]/", 1000))).content == b"hi"
        assert asyncio.get_running_loop().time() - began == pytest.approx(1)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert network.most == {PUBLIC: 2, OTHER: 1}
        slugs = [result.slug if isinstance(result, FetchTrouble) else None for result in results]
        assert slugs.count(None) == 4  # two at a time, ten seconds each: the third pair ends too late
        assert slugs[-1] is Slug.TIMEOUT
        # nothing is kept of a host that nobody asks
        assert isinstance(await client.fetch(Request(f"http://{PUBLIC}/", 1000)), Fetched)


@in_virtual_time
async def test_request_that_is_given_up_leaves_no_connection() -> None:
    async with Network() as network:
        network.listen(PUBLIC, dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), port=80)
        client = HttpClient(Zone(), network, CONTEXT)
        task = asyncio.create_task(client.fetch(Request(f"http://{PUBLIC}/", 1000)))
        await asyncio.sleep(3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert network.open[PUBLIC] == 0


@in_virtual_time
async def test_h4_answer_to_a_post_counts_when_its_body_is_too_slow() -> None:
    async with Network() as network:
        network.listen(PUBLIC, dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b"z"), port=80)
        client = HttpClient(Zone(), network, CONTEXT)
        said = await client.post(Post(f"http://{PUBLIC}/", b"x"))
        assert (said.status, said.is_whole) == (200, False)


@in_virtual_time
async def test_handler_of_a_host_sees_what_was_posted() -> None:
    async with Network() as network:
        web = Web(network, Zone())
        web.handle("https://hooks.example/in", lambda call: Reply(202, call.content[::-1]))
        said = await web.client.post(Post("https://hooks.example/in?id=1", b"abc", {"X-Id": "7"}))
        assert (said.status, said.content) == (202, b"cba")
        (call,) = web.calls
        assert (call.method, call.url, call.fields["x-id"]) == ("POST", "https://hooks.example/in?id=1", "7")
