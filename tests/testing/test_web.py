"""Web servers in memory answer as told, and keep what they were asked."""

import pytest

from smtpeter.testing.network import Network
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.testing.web import Call, Reply, Web
from smtpeter.testing.zone import Zone
from smtpeter.world.fetch.request import Post, Request
from smtpeter.world.fetch.trouble import FetchTrouble, Slug


@in_virtual_time
async def test_page_is_served_with_its_fields_and_can_be_changed() -> None:
    async with Network() as network:
        web = Web(network, Zone())
        web.page("https://a.example/x.png", b"old")
        web.page("https://a.example/x.png", b"new", type="image/png", cache_control="max-age=60")
        fetched = await web.client.fetch(Request("https://a.example/x.png?v=1", 100))
        assert (fetched.content, fetched.type, fetched.cache_seconds) == (b"new", "image/png", 60)
        assert [call.url for call in web.calls] == ["https://a.example/x.png?v=1"]


@in_virtual_time
async def test_what_nobody_put_there_is_not_found() -> None:
    async with Network() as network:
        web = Web(network, Zone())
        web.page("http://a.example:8080/", b"here")
        for url, slug in (
            ("http://a.example:8080/x", Slug.STATUS),
            ("http://a.example/", Slug.CONNECT),
            ("http://b.example/", Slug.UNKNOWN_HOST),
        ):
            with pytest.raises(FetchTrouble) as caught:
                await web.client.fetch(Request(url, 100))
            assert caught.value.slug is slug


@in_virtual_time
async def test_host_keeps_the_addresses_that_the_zone_has_for_it() -> None:
    async with Network() as network:
        web = Web(network, Zone({"a.example": {"a": ["198.51.100.7"], "aaaa": []}}))
        web.page("http://a.example/", b"x")
        web.page("http://b.example/", b"y")
        await web.client.fetch(Request("http://a.example/", 100))
        await web.client.fetch(Request("http://b.example/", 100))
        first, second = [dial.ip for dial in network.dials]
        assert first == "198.51.100.7"
        assert second != first


async def _mistaken(web: Web) -> None:
    with pytest.raises(FetchTrouble):
        await web.client.post(Post("http://a.example/", b"x"))


@in_virtual_time
async def test_mistake_in_a_handler_is_raised_at_the_end() -> None:
    def handler(call: Call) -> Reply:
        raise KeyError(call.method)

    network = Network()
    web = Web(network, Zone())
    web.handle("http://a.example/", handler)
    await _mistaken(web)
    with pytest.raises(KeyError, match="POST"):
        await network.close()
