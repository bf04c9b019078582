"""Mail made of a template or with data, from the call to what arrives at the receivers' host, in virtual time."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from smtpeter.intake.wish import CallDraft, LetterWish
from smtpeter.model.account import Features, Identity
from smtpeter.model.message import MessageId, Options, Received, Recipient, Source, SourceKind
from smtpeter.model.parts import Attachment, Mailbox, Parts, encode
from smtpeter.testing.house import Gateway, Story

DOCUMENT = {
    "from": "{$cook} <kitchen@example.org>",
    "subject": "Soup for {$firstname}",
    "content": {"blocks": [{"type": "text", "content": "Dear {$firstname}, it is served at {$time}."}]},
    "data": {"cook": "Ann", "firstname": "guest", "time": "noon"},
}
PEOPLE = (
    Recipient("ann@example.com", "example.com", "ann@example.com", data='{"firstname":"Ann"}'),
    Recipient("bob@example.com", "example.com", "bob@example.com", data='{"firstname":"<Bob>"}'),
    Recipient("cat@example.com", "example.com", "cat@example.com"),
)


def call(source: Source, letter: LetterWish | None = None) -> CallDraft:
    return CallDraft(None, PEOPLE, source, Options(), Received("HTTPS"), letter)


async def accepted(gateway: Gateway, draft: CallDraft) -> list[MessageId]:
    with gateway.process.running():
        return await gateway.house.intake.accept(Identity(gateway.account, "token:1", Features()), draft)


def read(content: bytes) -> EmailMessage:
    mail = message_from_bytes(content, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def text(mail: EmailMessage) -> str:
    part: Any = mail.get_body(("plain",))
    return str(part.get_content())


async def test_each_recipient_of_a_template_gets_what_its_own_data_make_of_it(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        gateway = await story.start()
        file = Attachment(b"1;2", "menu.csv", "text/csv")
        wish = LetterWish(DOCUMENT, properties={"headers": {"X-Kitchen": "{$cook}"}}, attachments=(file,))
        ids = await accepted(gateway, call(Source(SourceKind.LETTER, b"", '{"time":"one"}'), wish))
        for id in ids:
            await gateway.settled(id)
        mails = {mail["To"]: mail for mail in [read(message.content) for message in host.messages]}
        assert [str(mails[f"{who}@example.com"]["Subject"]) for who in ("ann", "bob", "cat")] == [
            "Soup for Ann",
            "Soup for <Bob>",
            "Soup for guest",
        ]
        bob = mails["bob@example.com"]
        assert (str(bob["From"]), bob["X-Kitchen"]) == ("Ann <kitchen@example.org>", "Ann")
        assert "Dear <Bob>, it is served at one." in text(bob)
        html: Any = bob.get_body(("html",))
        assert "Dear &lt;Bob&gt;, it" in html.get_content()
        assert [part.get_filename() for part in bob.iter_attachments()] == ["menu.csv"]


async def test_single_properties_are_filled_in_for_each_recipient(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        gateway = await story.start()
        parts = Parts(
            Mailbox("news@example.org", "{$firstname|default:'all'}"), subject="To {$recipient}", text="{$firstname}."
        )
        for id in await accepted(gateway, call(Source(SourceKind.PARTS, encode(parts), "{}"))):
            await gateway.settled(id)
        found = sorted(
            (str(m["Subject"]), str(m["From"]), text(m).strip()) for m in map(read, [x.content for x in host.messages])
        )
        assert found == [
            ("To ann@example.com", "Ann <news@example.org>", "Ann."),
            ("To bob@example.com", '"<Bob>" <news@example.org>', "<Bob>."),
            ("To cat@example.com", "all <news@example.org>", "."),
        ]


async def test_a_message_that_is_sent_again_says_the_same(tmp_path: Path) -> None:
    async with Story(tmp_path) as story:
        host = story.host("example.com")
        gateway = await story.start()
        draft = call(Source(SourceKind.LETTER, b""), LetterWish(DOCUMENT))
        ids = await accepted(gateway, draft)
        await gateway.settled(ids[1])
        identity = Identity(gateway.account, "token:1", Features())
        with gateway.process.running():
            again: Any = await gateway.house.intake.resend(identity, ids[1], Received("HTTPS"))
        await gateway.settled(again.id)
        first, second = [
            (mail["Subject"], mail["From"], mail["To"], text(mail))
            for mail in map(read, [message.content for message in host.messages])
            if mail["To"] == "bob@example.com"
        ]
        assert first == second
