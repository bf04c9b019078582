"""Where mail goes: mail hosts in their order, what DNS says or does not say, and how a connection is used."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import dkim
import pytest

from smtpeter.model.event import Deferral, Delivery, Failure
from smtpeter.model.message import Dsn, Notify
from smtpeter.testing.house import CONTENT, Story
from smtpeter.testing.network import MemoryStream
from smtpeter.testing.remote_host import RemoteHost
from smtpeter.testing.script_host import ScriptHost
from smtpeter.testing.virtual_time import in_virtual_time
from smtpeter.wire.dkim import generate, load_private_key, public_record

SOON = timedelta(seconds=5)
EIGHT_BIT = (
    b"From: news@example.org\r\nSubject: Hi\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
)


@in_virtual_time
async def test_the_best_host_gets_the_mail(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        second = story.host("example.com", "second.example.com", preference=20)
        best = story.host("example.com", "best.example.com", preference=10)
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com"))
        assert (len(best.messages), len(second.messages), len(second.sessions)) == (1, 0, 0)


@in_virtual_time
async def test_hosts_of_one_preference_share_the_load(tmp_path: Path) -> None:
    async with Story(tmp_path, messages_per_connection=1) as story:
        hosts = [story.host("example.com", f"mx{n}.example.com") for n in range(2)]
        gateway = await story.start()
        await gateway.settled(*await gateway.send(*(f"user{n}@example.com" for n in range(40))))
        assert all(len(host.messages) > 5 for host in hosts)


@pytest.mark.parametrize("trouble", ["554 5.7.1 go away", "421 4.3.2 busy", "drop", "refused", "mailfrom", "ehlo"])
@in_virtual_time
async def test_the_next_host_takes_what_the_best_does_not(tmp_path: Path, trouble: str) -> None:
    async with Story(tmp_path) as story:
        best = story.host("example.com", "best.example.com", preference=10, ip="20.0.0.9")
        second = story.host("example.com", "second.example.com", preference=20)
        match trouble:
            case "drop":
                best.drop("intro")
            case "refused":
                story.network.refuse("20.0.0.9")
            case "mailfrom" | "ehlo":
                best.on(trouble, "450 4.7.1 not from you")
            case reply:
                best.on("intro", reply)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        await gateway.settled(id, within=SOON)
        _, record = await gateway.events(id)
        delivered = record.event
        assert isinstance(delivered, Delivery)
        assert (delivered.mta, delivered.attempt) == ("second.example.com", 0)
        await story.idle()
        assert len(second.messages) == 1
        assert not any(story.network.open.values()), "no connection is forgotten"


@in_virtual_time
async def test_a_kept_connection_that_is_put_off_lets_the_next_host_try(tmp_path: Path) -> None:
    async with Story(tmp_path, concurrency_per_lane=1) as story:
        best = story.host("example.com", "best.example.com", preference=10)
        second = story.host("example.com", "second.example.com", preference=20)
        best.on("mailfrom", "250 ok", times=1)
        best.on("mailfrom", "550 5.7.1 enough of you")
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com", "bob@example.com"), within=SOON)
        assert (len(best.messages), len(second.messages)) == (1, 1)
        assert len(best.sessions) == 1, "the host is not asked again at once"


@in_virtual_time
async def test_what_was_said_about_the_recipient_is_not_asked_of_another_host(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com", "best.example.com", preference=10).on("rcptto", "550 5.1.1 no such user")
        second = story.host("example.com", "second.example.com", preference=20)
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com", envelope=None), within=SOON)
        assert not second.sessions


@in_virtual_time
async def test_d5_a_message_that_may_have_been_taken_is_not_given_to_another_host_at_once(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com", "best.example.com", preference=10).drop("message", times=1)
        second = story.host("example.com", "second.example.com", preference=20)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        event = (await gateway.has_event(id, 1)).event
        assert isinstance(event, Deferral)
        assert event.uncertain
        assert not second.sessions


@in_virtual_time
async def test_a_domain_without_mx_is_its_own_mail_host(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = RemoteHost("example.com")
        story.zone["example.com"] = {"a": [story.join(host)]}
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        await gateway.settled(id, within=SOON)
        assert len(host.messages) == 1


@in_virtual_time
async def test_a_null_mx_fails_at_once(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.zone["example.com"] = {"mx": [(0, "")]}
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", envelope=None)
        await gateway.settled(id, within=SOON)
        failed = (await gateway.events(id))[-1].event
        assert isinstance(failed, Failure)
        assert (failed.state, failed.type, failed.status, failed.attempt) == ("dns", "error", "5.1.10", 0)


@in_virtual_time
async def test_a_name_that_does_not_exist_is_looked_up_once_more_before_it_fails(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        gateway = await story.start()
        (id,) = await gateway.send("ann@nowhere.example", envelope=None)
        await gateway.settled(id, within=timedelta(minutes=20))
        _, first, second = await gateway.events(id)
        assert isinstance(first.event, Deferral)
        assert isinstance(second.event, Failure)
        assert first.event.status == second.event.status == "5.1.2"
        assert second.at - first.at >= timedelta(minutes=12)


@in_virtual_time
async def test_a_name_that_a_lame_server_denied_gets_its_mail_at_the_second_look(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        await gateway.has_event(id, 1)
        host = story.host("example.com")
        await gateway.settled(id, within=timedelta(minutes=20))
        assert len(host.messages) == 1
        assert (await gateway.record(id)).lane == "mx:mx.example.com"


@in_virtual_time
async def test_dns_trouble_puts_mail_off_until_it_is_over(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.zone["example.com"] = {"trouble": "SERVFAIL"}
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        event = (await gateway.has_event(id, 2)).event
        assert isinstance(event, Deferral)
        assert (event.state, event.status, event.attempt) == ("dns", "4.4.3", 1)
        story.zone["example.com"] = {}
        host = story.host("example.com")
        await gateway.settled(id, within=timedelta(minutes=5))
        assert len(host.messages) == 1


@in_virtual_time
async def test_a_mail_host_without_address_leaves_the_others(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.zone["example.com"] = {"mx": [(5, "gone.example.com")]}
        host = story.host("example.com")
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com"), within=SOON)
        assert len(host.messages) == 1


@in_virtual_time
async def test_ipv6_is_tried_before_ipv4(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = RemoteHost("mx.example.com")
        story.point("example.com", "mx.example.com", story.join(host), "2a00::25")
        story.network.refuse("2a00::25")
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com"), within=SOON)
        assert [dial.ip for dial in story.network.dials] == ["2a00::25", "20.0.0.1"]
        assert len(host.messages) == 1


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.1.1", "::1", "fd00::1", "::ffff:7f00:1"]
)
@in_virtual_time
async def test_a_private_address_is_refused(tmp_path: Path, ip: str) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com", ip=ip)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com", envelope=None)
        await gateway.settled(id, within=SOON)
        failed = (await gateway.events(id))[-1].event
        assert isinstance(failed, Failure)
        assert (failed.state, failed.status) == ("dns", "5.4.4")
        assert not story.network.dials


@pytest.mark.parametrize("preference", [5, 20])
@in_virtual_time
async def test_a_private_address_beside_a_host_that_is_down_does_not_fail_the_mail(
    tmp_path: Path, preference: int
) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", ip="20.0.0.9")
        story.network.refuse("20.0.0.9")
        story.point("example.com", "inside.example.com", "10.0.0.1", preference=preference)
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        assert isinstance((await gateway.has_event(id, 1)).event, Deferral)
        story.join(host, "20.0.0.9")
        await gateway.settled(id, within=timedelta(minutes=3))
        assert len(host.messages) == 1


@in_virtual_time
async def test_private_addresses_may_be_allowed(tmp_path: Path) -> None:
    async with Story(tmp_path, allow_private_destinations=True) as story:
        host = story.host("example.com", ip="10.0.0.1")
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com"), within=SOON)
        assert len(host.messages) == 1


@in_virtual_time
async def test_a_domain_that_moves_between_attempts_is_followed(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        story.host("example.com", "old.example.com").on("rcptto", "451 4.7.1 later")
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        await gateway.has_event(id, 1)
        story.zone["example.com"] = {}
        new = story.host("example.com", "new.example.net")
        await gateway.settled(id, within=timedelta(minutes=3))
        delivered = (await gateway.events(id))[-1].event
        assert isinstance(delivered, Delivery)
        assert (delivered.attempt, delivered.mta, delivered.uncertain) == (1, "new.example.net", False)
        assert (await gateway.record(id)).lane == "mx:new.example.net"
        assert len(new.messages) == 1


# --- the use of a connection ----------------------------------------------------------------------------------------


@in_virtual_time
async def test_domains_of_one_site_share_its_connections(tmp_path: Path) -> None:
    latency = timedelta(milliseconds=20)
    async with Story(tmp_path, concurrency_per_lane=3) as story:
        host = story.host("one.example", "mx.site.example", ip="20.0.0.9", latency=latency)
        story.point("two.example", "mx.site.example", "20.0.0.9")
        gateway = await story.start()
        ids = await gateway.send(*(f"u{n}@{domain}.example" for n in range(30) for domain in ("one", "two")))
        await gateway.settled(*ids)
        assert len(host.messages) == 60
        assert story.network.most == {"20.0.0.9": 3}
        assert len(story.network.dials) == 3


@in_virtual_time
async def test_a_connection_is_used_for_so_many_messages_and_no_more(tmp_path: Path) -> None:
    async with Story(tmp_path, concurrency_per_lane=1, messages_per_connection=10) as story:
        host = story.host("example.com")
        gateway = await story.start()
        await gateway.settled(*await gateway.send(*(f"u{n}@example.com" for n in range(35))))
        await story.idle()
        assert [sum(line.startswith("MAIL") for line in session) for session in host.sessions] == [10, 10, 10, 5]
        assert all(session[-1] == "QUIT" for session in host.sessions)


@in_virtual_time
async def test_a_connection_is_kept_for_a_while_and_then_left(tmp_path: Path) -> None:
    async with Story(tmp_path, idle_time=timedelta(seconds=5)) as story:
        host = story.host("example.com")
        gateway = await story.start()
        for wait in (4, 6, 0):
            await gateway.settled(*await gateway.send("ann@example.com"), look_every=timedelta(milliseconds=100))
            await story.idle(timedelta(seconds=wait))
        assert [sum(line.startswith("MAIL") for line in session) for session in host.sessions] == [2, 1]


@pytest.mark.parametrize("goodbye", ["close", "S: 421 4.4.2 idle too long\nclose"])
@in_virtual_time
async def test_a_host_that_leaves_between_two_messages_is_no_event(tmp_path: Path, goodbye: str) -> None:
    first = ScriptHost(
        f"""
        S: 220 mx.example.com
        C: EHLO
        S: 250 mx.example.com
        C: MAIL
        S: 250 ok
        C: RCPT
        S: 250 ok
        C: DATA
        S: 354 go on
        D:
        S: 250 2.0.0 taken
        wait 2
        {goodbye}
        """
    )
    async with Story(tmp_path) as story:
        host = story.host("example.com", ip="20.0.0.9")
        story.network.listen("20.0.0.9", first.serve)
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com"))
        story.join(host, "20.0.0.9")
        await story.idle(timedelta(seconds=2.5))
        (id,) = await gateway.send("bob@example.com")
        await gateway.settled(id, within=SOON)
        delivered = (await gateway.events(id))[-1].event
        assert isinstance(delivered, Delivery)
        assert delivered.attempt == 0
        assert (len(await gateway.events(id)), len(host.messages)) == (2, 1)


@pytest.mark.parametrize(
    ("replies", "pieces"),
    [
        (
            [b"220 here", b"250-mx\r\n250 PIPELINING", b"250 ok\r\n250 ok\r\n354 go on", b"250 2.0.0 taken"],
            [[b"EHLO"], [b"MAIL", b"RCPT", b"DATA"]],
        ),
        (
            [b"220 here", b"250 mx", b"250 ok", b"250 ok", b"354 go on", b"250 2.0.0 taken"],
            [[b"EHLO"], [b"MAIL"], [b"RCPT"], [b"DATA"]],
        ),
    ],
    ids=["offered", "not offered"],
)
@in_virtual_time
async def test_commands_go_in_one_write_only_when_that_is_offered(
    tmp_path: Path, replies: list[bytes], pieces: list[list[bytes]]
) -> None:
    said: list[bytes] = []

    async def serve(stream: MemoryStream) -> None:
        for reply in replies:
            stream.write(reply + b"\r\n")
            said.append(await stream.read())

    async with Story(tmp_path) as story:
        ip = story.new_address()
        story.point("example.com", "mx.example.com", ip)
        story.network.listen(ip, serve)
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com"), within=SOON)
        assert [[line.split(b" ")[0] for line in piece.splitlines()] for piece in said[: len(pieces)]] == pieces
        assert said[len(pieces)].startswith(b"Received: ")


@in_virtual_time
async def test_a_message_too_large_for_the_host_fails_without_being_sent(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com", max_message_bytes=20_000)
        gateway = await story.start()
        large = CONTENT + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 300
        (id,) = await gateway.send("ann@example.com", content=large, envelope=None)
        await gateway.settled(id, within=SOON)
        failed = (await gateway.events(id))[-1].event
        assert isinstance(failed, Failure)
        assert (failed.state, failed.status) == ("mailfrom", "5.3.4")
        assert not [line for line in host.sessions[0] if line.startswith("MAIL")]


@pytest.mark.parametrize("algorithm", ["rsa-sha256", "ed25519-sha256"])
@in_virtual_time
async def test_eight_bit_mail_to_a_seven_bit_host_is_made_anew_and_its_signature_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    key = generate(algorithm)
    record = public_record(load_private_key(key)).encode()
    async with Story(tmp_path) as story:
        old = story.host("old.example", hide=["8BITMIME"])
        new = story.host("new.example")
        gateway = await story.start()
        await gateway.sign_for("example.org", "s1", key)
        await gateway.settled(*await gateway.send("ann@old.example", "bob@new.example", content=EIGHT_BIT))
        for host, body_is_ascii in ((old, True), (new, False)):
            content = host.messages[0].content
            assert content.isascii() is body_is_ascii
            monkeypatch.setattr(dkim, "time", SimpleNamespace(time=lambda: story.clock.now().timestamp()))
            assert dkim.verify(content, dnsfunc=lambda name, timeout=5: record if b"s1._domainkey" in name else None)
        assert b"BODY=8BITMIME" in " ".join(new.sessions[0]).encode()
        assert b"BODY=" not in " ".join(old.sessions[0]).encode()


@in_virtual_time
async def test_signed_eight_bit_content_fails_at_a_seven_bit_host_instead_of_being_broken(tmp_path: Path) -> None:
    content = EIGHT_BIT.replace(b"text/plain; charset=utf-8", b'multipart/signed; boundary="b"').replace(
        b"Gr\xc3\xbc\xc3\x9fe\r\n",
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\r\n"
        b"--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n",
    )
    async with Story(tmp_path) as story:
        story.host("old.example", hide=["8BITMIME"])
        gateway = await story.start()
        (id,) = await gateway.send("ann@old.example", content=content, envelope=None)
        await gateway.settled(id, within=SOON)
        failed = (await gateway.events(id))[-1].event
        assert isinstance(failed, Failure)
        assert failed.status == "5.6.3"


@in_virtual_time
async def test_what_was_asked_of_notifications_is_passed_on_where_it_is_understood(tmp_path: Path) -> None:
    dsn = Dsn(frozenset({Notify.SUCCESS, Notify.FAILURE}), "HDRS", "id=1", "rfc822;Ann@example.com")
    async with Story(tmp_path) as story:
        knows = story.host("example.com")
        knows_not = story.host("old.example", hide=["DSN"])
        gateway = await story.start()
        await gateway.settled(*await gateway.send("ann@example.com", "ann@old.example", dsn=dsn))
        mail, rcpt = knows.sessions[0][1:3]
        assert mail.endswith(" RET=HDRS ENVID=id+3D1")
        assert rcpt == "RCPT TO:<ann@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Ann@example.com"
        assert knows_not.sessions[0][2] == "RCPT TO:<ann@old.example>"
