"""Internationalized mail on its way out: SMTPUTF8 where it is needed, and only there."""

from pathlib import Path

import pytest

from smtpeter.model.account import Features, Identity
from smtpeter.model.address import parse_address
from smtpeter.model.event import Delivery, Event, Failure
from smtpeter.model.message import Draft, MessageId, Options, Received, Recipient, Source, SourceKind
from smtpeter.testing.house import SENDER, Gateway, Story
from smtpeter.testing.virtual_time import in_virtual_time

ASCII = "From: news@example.org\r\nSubject: Hello\r\n\r\nGood morning.\r\n"
GREETING = "From: news@example.org\r\nSubject: Grüße\r\n\r\nGood morning.\r\n"


async def send(gateway: Gateway, address: str, content: str, *, is_utf8: bool, envelope: str = SENDER) -> MessageId:
    """Hands a message in as a client does that said SMTPUTF8, or did not."""
    parsed = parse_address(address)
    draft = Draft(
        envelope=envelope,
        recipients=(Recipient(str(parsed), parsed.domain, address),),
        source=Source(SourceKind.MIME, content.encode()),
        options=Options(is_utf8=is_utf8),
        received=Received("UTF8SMTPSA" if is_utf8 else "ESMTPSA", "client.example.org", "192.0.2.1"),
    )
    (id,) = await gateway.house.intake.accept(Identity(gateway.account, "login:1", Features()), draft)
    return id


async def end(gateway: Gateway, id: MessageId) -> Event:
    await gateway.settled(id)
    return (await gateway.events(id))[-1].event


@pytest.mark.parametrize(
    ("address", "envelope", "content", "is_utf8", "is_needed"),
    [
        ("jürgen@example.com", SENDER, ASCII, True, True),
        ("ann@example.com", "jürgen@example.org", ASCII, True, True),
        ("ann@example.com", SENDER, GREETING, True, True),
        # nobody said so, and most hosts take it; as ever
        ("ann@example.com", SENDER, GREETING, False, False),
        ("ann@example.com", SENDER, ASCII, True, False),
        # a name in another script has an ASCII form
        ("ann@bücher.example", SENDER, ASCII, True, False),
    ],
)
@in_virtual_time
async def test_smtputf8_is_asked_for_where_it_is_needed(
    tmp_path: Path, address: str, envelope: str, content: str, is_utf8: bool, is_needed: bool
) -> None:
    async with Story(tmp_path) as story:
        domain = parse_address(address).domain
        new = story.host(domain)
        gateway = await story.start()
        id = await send(gateway, address, content, is_utf8=is_utf8, envelope=envelope)
        assert isinstance(await end(gateway, id), Delivery)
        assert new.messages[0].envelope.is_utf8 is is_needed
        assert new.messages[0].recipients == (str(parse_address(address)),)
        assert f"with {'UTF8SMTPSA' if is_utf8 else 'ESMTPSA'} id".encode() in new.messages[0].content


@pytest.mark.parametrize(
    ("address", "content", "is_utf8", "is_needed"),
    [
        ("jürgen@old.example", ASCII, True, True),
        ("ann@old.example", GREETING, True, True),
        ("ann@old.example", GREETING, False, False),
        ("ann@old.example", ASCII, True, False),
    ],
)
@in_virtual_time
async def test_host_without_smtputf8_gets_what_does_not_need_it(
    tmp_path: Path, address: str, content: str, is_utf8: bool, is_needed: bool
) -> None:
    async with Story(tmp_path) as story:
        old = story.host("old.example", hide=["SMTPUTF8"])
        gateway = await story.start()
        last = await end(gateway, await send(gateway, address, content, is_utf8=is_utf8))
        if is_needed:
            assert isinstance(last, Failure)
            assert last.status == "5.6.7"
        else:
            assert isinstance(last, Delivery)
        assert len(old.messages) == (not is_needed)
