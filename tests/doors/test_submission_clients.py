"""The submission door on a real port, spoken to by the client of the standard library: whole sessions."""

import asyncio
import smtplib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from email.message import EmailMessage
from ipaddress import ip_network
from pathlib import Path

import pytest
from msgspec import structs

from smtpeter.config import Smtp
from smtpeter.doors.submission import SubmissionDoor
from smtpeter.intake.identify import hash_password, new_token
from smtpeter.intake.options import SHIPPED
from smtpeter.intake.space import Space
from smtpeter.model.account import Features, Role
from smtpeter.model.event import Failure
from smtpeter.model.message import Message, MessageId, MessageState
from smtpeter.store.accounts import NewAccount, put_account
from smtpeter.store.credentials import (
    Named,
    NewLogin,
    NewToken,
    drop_login,
    drop_token,
    logins_of,
    put_login,
    put_token,
    token_digest,
)
from smtpeter.store.events import EventQuery, events_of
from smtpeter.store.queue import queue_counts
from smtpeter.store.records import MessageQuery, message_record
from smtpeter.store.suppressions import NewSuppression
from smtpeter.store.users import NewMembership, NewUser, put_membership, put_user
from smtpeter.world.certificate import Certificates, ensure_certificates
from smtpeter.world.clock import SystemClock
from smtpeter.world.smtp_listener import Listener, Patience, start
from smtpeter.world.tls import ServerTls
from tests.intake.house import T0, House, open_intake

SETTINGS = replace(Smtp(), max_message_bytes=100_000, max_recipients=3)
HELLO = "From: Joe <joe@example.com>\r\nSubject: Hello\r\n\r\nHello Jane.\r\n"
NOW = SystemClock().now()


@dataclass
class Desk:
    """A house whose submission door is open."""

    house: House
    listener: Listener
    files: Certificates

    def client(self) -> smtplib.SMTP:
        """Connects and encrypts; blocks."""
        client = smtplib.SMTP("127.0.0.1", self.listener.port, local_hostname="client.example", timeout=20)
        client._host = "localhost"  # type: ignore[attr-defined] # the name that the certificate is checked for
        client.starttls(context=ssl.create_default_context(cafile=str(self.files.ca)))
        client.ehlo()
        return client

    def logged_in(self, user: str = "joe", password: str = "right") -> smtplib.SMTP:
        """Connects and logs in; blocks."""
        client = self.client()
        client.user, client.password = user, password
        try:
            client.auth("PLAIN", client.auth_plain)  # `login` would try again by another mechanism
        except smtplib.SMTPException:
            client.close()
            raise
        return client

    def reply_to(
        self, mail: str, recipient: str = "jane@example.org", user: str = "joe", password: str = "right"
    ) -> str:
        """Sends a mail and gives the reply to it; blocks."""
        with self.logged_in(user, password) as client:
            client.mail("joe@example.com")
            client.rcpt(recipient)
            code, text = client.data(mail)
            return f"{code} {text.decode()}"

    @property
    def taken(self) -> list[Message]:
        return self.house.onward.taken


@asynccontextmanager
async def open_desk(folder: Path, settings: Smtp = SETTINGS, host: str = "127.0.0.1") -> AsyncIterator[Desk]:
    house = await open_intake(folder)
    login = NewLogin(house.account.id, "joe", hash_password("right"), T0, Features(trackopens=True))
    await house.store.write(put_login, login)
    files = ensure_certificates(folder / "tls", NOW)
    tls = ServerTls(files.certificate, files.key, house.clock)
    door = SubmissionDoor(house.intake, house.identify, house.clock, settings, "mx.example.net", is_development=False)
    patience = Patience(login_delay_seconds=0)
    listener = await start(door, host, 0, lambda: tls.context, spool_folder=folder, patience=patience)
    try:
        yield Desk(house, listener, files)
    finally:
        await listener.close()
        house.identify.close()
        await house.store.close()


def refusal_of(act: Callable[[], object]) -> str:
    with pytest.raises(smtplib.SMTPResponseException) as caught:
        act()
    assert isinstance(caught.value.smtp_error, bytes)
    return f"{caught.value.smtp_code} {caught.value.smtp_error.decode()}"


# --- who may send


async def test_a_login_sends_with_its_settings(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        assert (await asyncio.to_thread(desk.reply_to, HELLO)).startswith("250 2.0.0 Ok, queued as ")
        (message,) = desk.taken
        assert message.options.features.trackopens
        assert message.received.protocol == "ESMTPSA"


async def test_a_login_of_other_networks_is_refused_like_a_wrong_password(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        given = {"far": ("192.0.2.0/24",), "near": ("192.0.2.0/24", "127.0.0.0/8")}
        for user, networks in given.items():
            login = NewLogin(desk.house.account.id, user, hash_password("right"), T0, networks=networks)
            await desk.house.store.write(put_login, login)
        wrong = await asyncio.to_thread(refusal_of, lambda: desk.logged_in("joe", "wrong"))
        assert await asyncio.to_thread(refusal_of, lambda: desk.logged_in("far")) == wrong
        assert wrong.startswith("535 5.7.8 ")
        assert (await asyncio.to_thread(desk.reply_to, HELLO, user="near")).startswith("250 ")


async def test_a_login_of_some_domains_sends_from_these_only(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        login = NewLogin(desk.house.account.id, "shop", hash_password("right"), T0, sender_domains=("shop.example",))
        await desk.house.store.write(put_login, login)
        said = await asyncio.to_thread(desk.reply_to, HELLO, user="shop")
        assert said == "550 5.7.1 This login may not send from example.com; use one of its own sender domains."
        assert desk.taken == []


async def test_a_user_sends_with_all_settings_off_unless_headers_say_otherwise(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        store = desk.house.store
        user = await store.write(put_user, NewUser("Ann@example.com", hash_password("hers"), T0))
        await store.write(put_membership, NewMembership(user.id, desk.house.account.id, Role.DEVELOPER))
        who = {"user": "ann@example.com", "password": "hers"}
        assert (await asyncio.to_thread(desk.reply_to, HELLO, **who)).startswith("250 ")
        more = "X-SMTPeter-TrackClicks: on\r\n"
        assert (await asyncio.to_thread(desk.reply_to, more + HELLO, **who)).startswith("250 ")
        features = [message.options.features for message in desk.taken]
        off = Features(False, False, False, False, False, "default")
        assert features == [off, structs.replace(off, trackclicks=True)]


async def test_a_viewer_does_not_send(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        user = await desk.house.store.write(put_user, NewUser("v@example.com", hash_password("hers"), T0))
        await desk.house.store.write(put_membership, NewMembership(user.id, desk.house.account.id, Role.VIEWER))
        said = await asyncio.to_thread(refusal_of, lambda: desk.logged_in("v@example.com", "hers"))
        assert said.startswith("535 5.7.8 ")


@pytest.mark.parametrize("user", ["token", "apikey"])
async def test_a_token_is_a_password(tmp_path: Path, user: str) -> None:
    async with open_desk(tmp_path) as desk:
        token = await a_token(desk, "send")
        assert (await asyncio.to_thread(desk.reply_to, HELLO, user=user, password=token)).startswith("250 ")
        assert not desk.taken[0].options.is_sandbox


async def test_a_sandbox_token_marks_what_it_sends(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        token = await a_token(desk, "send", is_sandbox=True)
        said = await asyncio.to_thread(desk.reply_to, HELLO, user="token", password=token)
        record = await desk.house.store.read(
            message_record, MessageQuery(desk.house.account.id, MessageId(said.split()[5]))
        )
        assert record is not None
        assert record.options.is_sandbox


async def test_a_token_that_may_only_read_does_not_send(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        token = await a_token(desk, "messages")
        said = await asyncio.to_thread(refusal_of, lambda: desk.logged_in("token", token))
        assert said == "535 5.7.8 This token may not send; use one with the scope send"


async def a_token(desk: Desk, scope: str, *, is_sandbox: bool = False) -> str:
    token = new_token()
    made = NewToken(
        desk.house.account.id, scope, token[:13], token_digest(token), frozenset({scope}), T0, is_sandbox=is_sandbox
    )
    await desk.house.store.write(put_token, made)
    return token


async def test_a_trusted_network_sends_as_its_login_without_tls(tmp_path: Path) -> None:
    settings = replace(SETTINGS, trusted_networks={ip_network("127.0.0.0/8"): "joe"})
    async with open_desk(tmp_path, settings) as desk:

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", desk.listener.port, timeout=20) as client:
                client.sendmail("joe@example.com", ["jane@example.org"], HELLO)

        await asyncio.to_thread(send)
        assert desk.taken[0].options.features.trackopens
        assert desk.taken[0].received.protocol == "ESMTP"


# --- what a message says of itself

OPTIONS = {
    "inlinecss": "yes",
    "trackclicks": "1",
    "openstracking": "off",
    "BounceTracking": "true",
    "preventscam": "no",
    "images": "default",
    "tags": "one, two",
    "stream": "bulk",
    "maxdelivertime": "2026-11-25 00:00:00",
    "metadata": '{"order": 1234}',
}


async def test_headers_outweigh_the_login_and_never_leave(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        more = "".join(f"X-SMTPeter-{name}: {value}\r\n" for name, value in OPTIONS.items())
        assert (await asyncio.to_thread(desk.reply_to, more + HELLO)).startswith("250 ")
        options = desk.taken[0].options
        assert options.features == Features(True, True, False, True, False, "default")
        assert (options.tags, options.stream, options.metadata) == (("one", "two"), "bulk", '{"order":1234}')
        assert options.max_deliver_time == T0 + timedelta(days=2, hours=12)


async def test_a_message_for_later_waits(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        more = "X-SMTPeter-SendAt: 2026-11-22T14:00:00+01:00\r\n"
        said = await asyncio.to_thread(desk.reply_to, more + HELLO)
        query = MessageQuery(desk.house.account.id, MessageId(said.split()[5]))
        record = await desk.house.store.read(message_record, query)
        assert record is not None
        assert record.due == T0 + timedelta(hours=1)
        assert desk.taken == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("inlinecss", "perhaps"),
        ("clicktracking", "2"),
        ("images", "none"),
        ("tags", "a b"),
        ("stream", "A"),
        ("maxdelivertime", "soon"),
        ("sendat", "2026-11-31 00:00:00"),
        ("metadata", "[1]"),
        ("template", ""),
        ("data", "{"),
    ],
)
async def test_a_header_that_cannot_be_used_refuses_the_message_by_name(tmp_path: Path, name: str, value: str) -> None:
    async with open_desk(tmp_path) as desk:
        more = f"X-SMTPeter-{name}: {value}\r\n"
        said = await asyncio.to_thread(desk.reply_to, more + HELLO)
        assert said.startswith("550 5.6.0 ")
        assert f"header x-smtpeter-{name} " in said
        assert await desk.house.store.read(queue_counts, None) == []


async def test_addresses_in_utf8_are_taken_from_a_client_that_says_so(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        desk.house.onward.lane_of["xn--bcher-kva.example"] = "smarthost:h:25"
        mail = EmailMessage()
        mail["From"] = "Jürgen <jürgen@example.com>"
        mail["To"] = "用户@bücher.example"
        mail["Subject"] = "Grüße"
        mail.set_content("Hallo.\n")

        def send() -> None:
            with desk.logged_in() as client:
                client.send_message(mail)

        await asyncio.to_thread(send)
        (message,) = desk.taken
        assert message.options.is_utf8
        assert message.received.protocol == "UTF8SMTPSA"
        assert message.envelope == "jürgen@example.com"
        assert (message.recipient.address, message.recipient.given) == (
            "用户@xn--bcher-kva.example",
            "用户@bücher.example",
        )
        assert "jürgen@example.com".encode() in message.source.content


async def test_a_message_in_chunks_is_stored_like_any_other(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        content = HELLO.encode()

        def send() -> bytes:
            with desk.logged_in() as client:
                client.mail("joe@example.com")
                client.rcpt("jane@example.org")
                for at in range(0, len(content), 10):
                    piece = content[at : at + 10]
                    client.send(b"BDAT %d\r\n%b" % (len(piece), piece))
                    assert client.getreply()[0] == 250
                return client.docmd("BDAT 0 LAST")[1]

        assert (await asyncio.to_thread(send)).startswith(b"2.0.0 Ok, queued as ")
        assert desk.taken[0].source.content == content


# --- the replies that users meet


async def test_limits_are_told_with_their_replies_and_the_session_goes_on(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:

        def talk() -> list[tuple[int, bytes]]:
            with desk.logged_in() as client:
                said = [client.mail("joe@example.com", ["SIZE=100001"]), client.mail("joe@example.com")]
                said += [client.rcpt(f"j{n}@example.org") for n in range(4)]
                said += [client.data("x" * 100 + "\r\n" + ("y" * 100 + "\r\n") * 1000)]
                said += [client.mail("joe@example.com"), client.rcpt("not an address"), client.rcpt("jane@example.org")]
                said += [client.data(HELLO)]
                return said

        replies = [f"{code} {text.decode().split()[0]}" for code, text in await asyncio.to_thread(talk)]
        assert replies == [
            "552 5.3.4",
            "250 2.1.0",
            *["250 2.1.5"] * 3,
            "452 4.5.3",
            "552 5.3.4",
            "250 2.1.0",
            "501 5.1.3",
            "250 2.1.5",
            "250 2.0.0",
        ]


LONG = "x" * 1200 + "\r\n"
NESTED = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(101))


@pytest.mark.parametrize(
    ("mail", "says"),
    [
        (
            "X-A: " + "a" * 900 + "\r\n " + ("b" * 900 + "\r\n ") * 80 + "c\r\n" + HELLO,
            "554 5.6.0 A header field is larger",
        ),
        ("X-A: b\r\n" * 1000 + HELLO, "554 5.6.0 The header has more than 1000 fields"),
        ("Received: by x\r\n" * 51 + HELLO, "554 5.4.6 The message has passed 51 servers"),
        ("MIME-Version: 1.0\r\nFrom: joe@example.com\r\n" + NESTED + LONG, "554 5.6.0 "),
        ("From: joe@example.com\r\n\r\n" + "x" * 65_537 + "\r\n", "554 5.6.0 The message has a line of more than"),
        ("Subject: x\r\n\r\nx\r\n", "550 5.7.1 The message has no From field"),
        ("From: joe@example.com\r\n" + HELLO, "550 5.7.1 The message has 2 From fields"),
        ("From: joe@other.example\r\n\r\nx\r\n", "550 5.7.1 other.example is not an approved sender domain"),
        ("From: joe@example.com\r\nno field\r\n\r\nx\r\n", "554 5.6.0 Field 2 of the header"),
    ],
    ids=["L6 field", "L6 fields", "L7", "L8", "L5", "no From", "two From", "domain", "no field"],
)
async def test_mail_that_could_not_leave_is_refused_with_the_reason(tmp_path: Path, mail: str, says: str) -> None:
    async with open_desk(tmp_path) as desk:
        assert (await asyncio.to_thread(desk.reply_to, mail)).startswith(says)
        assert await desk.house.store.read(queue_counts, None) == []


async def test_l12_a_login_is_not_checked_any_more_after_ten_failures_in_a_minute(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        wrong = [await asyncio.to_thread(refusal_of, lambda: desk.logged_in("joe", "wrong")) for _ in range(10)]
        assert {said[:10] for said in wrong} == {"535 5.7.8 "}
        assert (await asyncio.to_thread(refusal_of, desk.logged_in)).startswith("454 4.7.0 ")
        desk.house.clock.passed += 61
        await asyncio.to_thread((await asyncio.to_thread(desk.logged_in)).quit)


async def test_l9_one_connection_too_many_is_told_so_before_any_work(tmp_path: Path) -> None:
    async with open_desk(tmp_path, replace(SETTINGS, max_connections=2, max_connections_per_login=1)) as desk:
        first = await asyncio.to_thread(desk.logged_in)
        assert (await asyncio.to_thread(refusal_of, desk.logged_in)).startswith(
            "421 4.7.0 Too many connections of this login"
        )
        second = await asyncio.to_thread(desk.client)
        assert (await asyncio.to_thread(refusal_of, desk.client)).startswith("421 4.7.0 Too many connections;")
        for client in (first, second):
            await asyncio.to_thread(client.quit)


async def test_store_that_takes_nothing_means_try_again(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        client = await asyncio.to_thread(desk.logged_in)
        await desk.house.store.close()
        said = await asyncio.to_thread(refusal_of, lambda: send_hello(client))
        assert said.startswith("451 4.3.0 ")
        await asyncio.to_thread(client.close)


async def test_disk_that_is_nearly_full_means_try_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_desk(tmp_path) as desk:
        monkeypatch.setattr(Space, "is_low", True)
        assert (await asyncio.to_thread(desk.reply_to, HELLO)).startswith("452 4.3.1 ")


async def test_a_suppressed_recipient_is_not_told_in_the_dialogue(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        account = desk.house.account.id
        await desk.house.intake.suppressions.put(NewSuppression(account, "jane@example.org", "by hand", T0))
        said = await asyncio.to_thread(desk.reply_to, HELLO)
        assert said.startswith("250 2.0.0 Ok, queued as ")
        id = MessageId(said.split()[5])
        record = await desk.house.store.read(message_record, MessageQuery(account, id))
        assert record is not None
        assert record.state is MessageState.FAILED
        events = await desk.house.store.read(events_of, EventQuery(account, id))
        assert isinstance(events[-1].event, Failure)
        assert desk.taken == []


async def test_a_suspended_account_hears_why(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await desk.house.store.write(put_account, NewAccount("acme", T0, suspended="the bill is open"))
        said = await asyncio.to_thread(desk.reply_to, HELLO)
        assert said == "550 5.7.1 The account is suspended: the bill is open"


# --- while things change


async def test_a_suspension_holds_for_the_session_that_goes_on(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        token = await a_token(desk, "send")
        given = [("joe", "right"), ("token", token)]
        clients = [await asyncio.to_thread(desk.logged_in, *who) for who in given]
        await desk.house.store.write(put_account, NewAccount("acme", T0, suspended="too many complaints"))
        desk.house.clock.passed += 2
        for client in clients:
            said = await asyncio.to_thread(refusal_of, lambda client=client: send_hello(client))
            assert said == "550 5.7.1 The account is suspended: too many complaints"
            await asyncio.to_thread(client.quit)


async def test_settings_of_a_login_are_changed_for_the_session_that_goes_on(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        client = await asyncio.to_thread(desk.logged_in)
        await asyncio.to_thread(send_hello, client)
        (login,) = await desk.house.store.read(logins_of, desk.house.account.id)
        changed = NewLogin(login.account, login.user, login.password_hash, T0, Features(trackclicks=True))
        await desk.house.store.write(put_login, changed)
        desk.house.clock.passed += 2
        await asyncio.to_thread(send_hello, client)
        await asyncio.to_thread(client.quit)
        assert [m.options.features for m in desk.taken] == [
            Features(trackopens=True).over(SHIPPED),
            Features(trackclicks=True).over(SHIPPED),
        ]


@pytest.mark.parametrize("kind", ["login", "password", "token"])
async def test_a_credential_that_is_gone_ends_its_session(tmp_path: Path, kind: str) -> None:
    async with open_desk(tmp_path) as desk:
        house = desk.house
        token = await a_token(desk, "send")
        client = await asyncio.to_thread(desk.logged_in, *(("token", token) if kind == "token" else ("joe", "right")))
        await asyncio.to_thread(send_hello, client)
        match kind:
            case "login":
                await house.store.write(drop_login, Named(house.account.id, "joe"))
            case "password":
                await house.store.write(put_login, NewLogin(house.account.id, "joe", hash_password("new"), T0))
            case _:
                await house.store.write(drop_token, Named(house.account.id, "send"))
        house.clock.passed += 2
        said = await asyncio.to_thread(refusal_of, lambda: send_hello(client))
        assert said == "421 4.7.0 The login was removed or changed; log in again"
        assert len(desk.taken) == 1


def send_hello(client: smtplib.SMTP) -> None:
    client.sendmail("joe@example.com", ["jane@example.org"], HELLO)


async def test_k5_a_certificate_is_replaced_while_connections_go_on(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:

        def serial(client: smtplib.SMTP) -> str:
            assert isinstance(client.sock, ssl.SSLSocket)
            certificate = client.sock.getpeercert()
            assert certificate
            return str(certificate["serialNumber"])

        old = await asyncio.to_thread(desk.logged_in)
        await asyncio.to_thread(send_hello, old)
        desk.files.certificate.unlink()
        ensure_certificates(desk.files.ca.parent, NOW)
        desk.house.clock.passed += 11
        new = await asyncio.to_thread(desk.logged_in)
        assert serial(new) != serial(old)
        for client in (old, new):
            await asyncio.to_thread(send_hello, client)
            await asyncio.to_thread(client.quit)
        assert len(desk.taken) == 3


async def test_d12_the_message_on_its_way_is_taken_and_everybody_else_told_to_come_back(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        busy, chunky, idle = [await asyncio.to_thread(desk.logged_in) for _ in range(3)]

        def begin(client: smtplib.SMTP, command: str, octets: bytes) -> None:
            client.mail("joe@example.com")
            client.rcpt("jane@example.org")
            client.putcmd(command)
            if command == "DATA":
                assert client.getreply()[0] == 354
            client.send(octets)

        content = HELLO.encode()
        await asyncio.to_thread(begin, busy, "DATA", content[:40])
        await asyncio.to_thread(begin, chunky, "BDAT 40", content[:40])
        assert (await asyncio.to_thread(chunky.getreply))[0] == 250
        draining = asyncio.create_task(desk.listener.drain(20))
        assert await asyncio.to_thread(idle.getreply) == (
            421,
            b"4.3.2 The server is shutting down; try again in a moment.",
        )
        refused = await asyncio.to_thread(refusal_of, desk.client)
        assert refused.startswith("421 4.3.2 ")
        busy.send(content[40:] + b".\r\n")
        chunky.send(b"BDAT %d LAST\r\n%b" % (len(content) - 40, content[40:]))
        for client in (busy, chunky):
            assert (await asyncio.to_thread(client.getreply))[0] == 250
            assert (await asyncio.to_thread(client.getreply))[0] == 421
        for client in (busy, chunky, idle):
            await asyncio.to_thread(client.close)
        await draining
        assert [message.source.content for message in desk.taken] == [content] * 2


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_every_address_is_that_of_both_families(tmp_path: Path) -> None:
    settings = replace(SETTINGS, trusted_networks={ip_network("127.0.0.0/8"): "joe", ip_network("::1"): "joe"})
    async with open_desk(tmp_path, settings, host="") as desk:

        def send(host: str) -> None:
            with smtplib.SMTP(host, desk.listener.port, timeout=20) as client:
                client.sendmail("joe@example.com", ["jane@example.org"], HELLO)

        for host in ("127.0.0.1", "::1"):
            await asyncio.to_thread(send, host)
        assert [message.received.client_ip for message in desk.taken] == ["127.0.0.1", "::1"]
