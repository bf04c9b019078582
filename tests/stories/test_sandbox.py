"""Mail of sandbox tokens: accepted, told like any other, and never on the network, not even to ask for a name."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from smtpeter.intake.accept import Intake
from smtpeter.model.account import Features, Identity
from smtpeter.model.event import Accepted, Delivery, Failure
from smtpeter.model.message import Draft, Dsn, MessageId, Notify, Options, Received, Recipient, Source, SourceKind
from smtpeter.store.suppressions import NewSuppression
from smtpeter.testing.house import CONTENT, Gateway, Story
from smtpeter.testing.virtual_time import in_virtual_time

HOUR = timedelta(hours=1)


async def send(gateway: Gateway, address: str = "ann@example.com", **options: object) -> MessageId:
    """Hands a message in as a sandbox token does, and asks to be told of everything."""
    intake: Intake = gateway.house.intake
    identity = Identity(gateway.account, "token:1", Features(), is_sandbox=True)
    dsn = Dsn(frozenset({Notify.SUCCESS, Notify.FAILURE, Notify.DELAY}))
    draft = Draft(
        envelope="joe@example.net",
        recipients=(Recipient(address, address.rpartition("@")[2], address, dsn),),
        source=Source(SourceKind.MIME, CONTENT),
        options=replace(Options(), **options),  # type: ignore[arg-type]
        received=Received("HTTPS"),
    )
    with gateway.process.running():
        (id,) = await intake.accept(identity, draft)
    return id


@pytest.mark.parametrize("wait", [timedelta(0), HOUR])
@in_virtual_time
async def test_what_a_sandbox_sends_is_told_as_delivered_and_leaves_nothing_behind(
    tmp_path: Path, wait: timedelta
) -> None:
    async with Story(tmp_path) as story:
        host, sender = story.host("example.com"), story.host("example.net")
        gateway = await story.start()
        begin = story.clock.now()
        id = await send(gateway, send_at=begin + wait)
        await gateway.settled(id)
        await gateway.quiet()
        first, last = await gateway.events(id)
        assert isinstance(first.event, Accepted)
        assert isinstance(last.event, Delivery)
        assert (last.event.code, last.event.description, last.event.remote_ip) == (250, "sandbox", "")
        assert timedelta(0) <= last.at - begin - wait < timedelta(seconds=5)
        assert (host.sessions, sender.sessions) == ([], [])


@in_virtual_time
async def test_a_sandbox_asks_for_no_name_and_needs_none(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:  # where no domain exists
        gateway = await story.start()
        id = await send(gateway, "ann@nowhere.example")
        await gateway.settled(id)
        assert isinstance((await gateway.events(id))[-1].event, Delivery)


@in_virtual_time
async def test_a_sandbox_goes_by_the_suppression_list(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        gateway = await story.start()
        new = NewSuppression(gateway.account.id, "example.com", "by hand", story.clock.now())
        await gateway.house.intake.suppressions.put(new)
        id = await send(gateway)
        failure = (await gateway.events(id))[-1].event
        assert isinstance(failure, Failure)
        assert failure.state == "suppression"


@in_virtual_time
async def test_an_address_that_is_suppressed_between_two_attempts_is_not_tried_again(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        host.on("rcptto", "451 4.2.1 later")
        gateway = await story.start()
        (id,) = await gateway.send("ann@example.com")
        await gateway.has_event(id, 1)
        new = NewSuppression(gateway.account.id, "ann@example.com", "by hand", story.clock.now())
        await gateway.house.intake.suppressions.put(new)
        await gateway.settled(id)
        failure = (await gateway.events(id))[-1].event
        assert isinstance(failure, Failure)
        assert (failure.state, failure.attempt) == ("suppression", 1)
        assert len(host.sessions) == 1
