"""smtpeter.client against a gateway that runs: every call that it has, by both clients."""

import email
import email.policy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smtpeter.client import (
    Attachment,
    Client,
    Conflict,
    Forbidden,
    InvalidInput,
    LoginWish,
    Mail,
    Mailbox,
    NotFound,
    Receipt,
    Refusal,
    Search,
    TokenWish,
    Unauthorized,
    Unreachable,
    Unsubscribe,
    Window,
)
from tests.client.asking import Ask, ask_async, ask_sync
from tests.live.gateway import Gateway, an_address

both = pytest.mark.parametrize("ask", [ask_sync, ask_async])
SCOPES = ("send", "read", "manage")


@pytest.fixture
def using(gateway: Gateway, ask: Ask) -> Ask:
    """Asks the gateway by one of the clients, over HTTPS."""

    def question(*questions: Any, **options: Any) -> Any:
        options = {"token": gateway.token, "ca_file": gateway.ready["ca"], **options}
        return ask(gateway.ready["https"], *questions, **options)

    return question


def a_mail(recipient: str, **properties: Any) -> Mail:
    return Mail(**{"recipients": recipient, "sender": "joe@example.com", "text": "Hello.", **properties})


@both
def test_mail_with_everything_arrives_and_is_told(gateway: Gateway, using: Ask) -> None:
    recipient = an_address()
    mail = a_mail(
        recipient,
        sender=Mailbox("joe@example.com", "Jöe"),
        cc="Ann <ann@example.net>",
        reply_to="desk@example.com",
        subject="Grüße",
        html='<p>Hello.</p><img src="cid:logo">',
        headers={"X-Order": "4711"},
        attachments=[Attachment(b"%PDF-1.7", "Übersicht.pdf"), Attachment(b"\x89PNG", "logo.png", "image/png", "logo")],
        unsubscribe=Unsubscribe(url="https://example.com/u/4711", is_one_click=True),
        tags=["one", "two"],
        metadata={"order": 4711},
        envelope="bounces@example.com",
    )
    receipt = using(lambda client: client.send(mail))
    assert receipt.unknown == ()
    assert [sent.recipient for sent in receipt.messages] == [recipient]
    gateway.event(receipt.id, "delivery")
    (content,) = gateway.captured(recipient)
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert (message["Subject"], message["X-Order"]) == ("Grüße", "4711")
    assert message["From"].addresses[0].display_name == "Jöe"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    told = using(lambda client: client.message(receipt.id))
    assert (told.state, told.envelope, told.tags) == ("delivered", "bounces@example.com", ("one", "two"))
    assert told.attempts[0].code == 250
    assert told.attempts[0].tls is None or told.attempts[0].tls.version.startswith("TLS")
    names = [event.name for event in using(lambda client: client.events(receipt.id))]
    assert names == ["attempt", "delivery"]
    only = Window(start=datetime.now(UTC).date() - timedelta(days=1), names=("delivery",), tags=("one",))
    assert [event.name for event in using(lambda client: client.events(receipt.id, only))] == ["delivery"]

    assert using(lambda client: client.recipient(receipt.id)) == recipient
    assert using(lambda client: client.envelope(receipt.id)) == "bounces@example.com"
    assert "Hello." in using(lambda client: client.text(receipt.id))
    assert "<p>Hello.</p>" in using(lambda client: client.html(receipt.id))
    assert "DKIM-Signature" in using(lambda client: client.headers(receipt.id, "sent"))
    assert using(lambda client: client.mime(receipt.id)) == content

    (attached,) = using(lambda client: client.attachments(receipt.id))
    assert (attached.name, attached.type, attached.size) == ("Übersicht.pdf", "application/pdf", 8)
    assert using(lambda client: client.attachment(receipt.id, "Übersicht.pdf")).content == b"%PDF-1.7"
    (embedded,) = using(lambda client: client.embeds(receipt.id))
    assert embedded.cid == "logo"
    assert using(lambda client: client.embed(receipt.id, embedded.number)).content == b"\x89PNG"


@both
def test_whole_message_is_sent_as_it_is(gateway: Gateway, using: Ask) -> None:
    recipient = an_address()
    mime = f"From: joe@example.com\r\nTo: {recipient}\r\nSubject: Whole\r\n\r\nHello.\r\n".encode()
    using(lambda client: client.send(Mail(recipients=[recipient], mime=mime)))
    (content,) = gateway.captured(recipient)
    assert b"Subject: Whole\r\n" in content


@both
def test_same_key_sends_one_mail(gateway: Gateway, using: Ask) -> None:
    recipient = an_address()
    key = f"key-{recipient}"
    first, second = (using(lambda client: client.send(a_mail(recipient), idempotency_key=key)) for _ in range(2))
    assert first == second
    gateway.event(first.id, "delivery")
    assert len(gateway.captured(recipient)) == 1
    with pytest.raises(Conflict):
        using(lambda client: client.send(a_mail(recipient, text="Other."), idempotency_key=key))


def test_call_repeated_after_a_killed_gateway_is_up_again_is_the_same_mail(new_gateway: Callable[..., Gateway]) -> None:
    recipient = an_address()

    def send(gateway: Gateway) -> Receipt:
        with Client(gateway.ready["rest"], gateway.token) as client:
            return client.send(a_mail(recipient), idempotency_key="order-4711")

    gateway = new_gateway()
    first = send(gateway)
    gateway.discard()
    gateway.start()
    assert send(gateway) == first
    gateway.event(first.id, "delivery")
    with Client(gateway.ready["rest"], gateway.token) as client:
        assert [found.id for found in client.search(Search(recipient=recipient))] == [first.id]


@both
def test_batch_sends_what_it_can(gateway: Gateway, using: Ask) -> None:
    recipients = [an_address(), an_address()]
    mails = [a_mail(recipients[0]), a_mail("jane"), a_mail(recipients[1])]
    first, refused, last = using(lambda client: client.send_batch(mails))
    for receipt, recipient in ((first, recipients[0]), (last, recipients[1])):
        gateway.event(receipt.id, "delivery")
        assert len(gateway.captured(recipient)) == 1
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.field) == ("invalid_recipient", "recipients[0]")


@both
def test_refusals_come_as_classes_with_the_property(using: Ask) -> None:
    with pytest.raises(InvalidInput) as caught:
        using(lambda client: client.send(a_mail("jane")))
    assert (caught.value.code, caught.value.field) == ("invalid_recipient", "recipients[0]")
    assert len(caught.value.request_id) == 16
    with pytest.raises(NotFound):
        using(lambda client: client.message("01KAbcdefghij0123456"))
    with pytest.raises(Unauthorized):
        using(lambda client: client.message("01KAbcdefghij0123456"), token="smtpeter_" + "x" * 32)


@both
def test_authority_that_is_not_known_is_named_and_tried_once(using: Ask) -> None:
    with pytest.raises(Unreachable, match=r"is not trusted: .*`ca_file`"):
        using(lambda client: client.tokens(), ca_file=None)


@both
def test_mail_for_later_is_found_and_can_be_cancelled(using: Ask) -> None:
    recipient = an_address()
    later = a_mail(recipient, subject="Later", send_at=datetime.now(UTC) + timedelta(days=1), tags=["later"])
    id = using(lambda client: client.send(later)).id
    (found,) = using(lambda client: client.search(Search(recipient=recipient, tag="later", sender="example.com")))
    assert (found.id, found.subject, found.settled) == (id, "Later", None)
    using(lambda client: client.cancel(id))
    assert using(lambda client: client.message(id)).state == "cancelled"
    assert [found.state for found in using(lambda client: client.search(Search(recipient=recipient)))] == ["cancelled"]
    since = Search(recipient=recipient, since=datetime.now(UTC) + timedelta(hours=1))
    assert using(lambda client: client.search(since)) == []


@both
def test_delivered_mail_cannot_be_cancelled_but_sent_again(gateway: Gateway, using: Ask) -> None:
    recipient = an_address()
    id = using(lambda client: client.send(a_mail(recipient))).id
    gateway.event(id, "delivery")
    with pytest.raises(Conflict):
        using(lambda client: client.cancel(id))
    again = using(lambda client: client.resend(id))
    assert again.recipient == recipient
    assert again.id != id
    gateway.event(again.id, "delivery")
    assert len(gateway.captured(recipient, 2)) == 2


@both
def test_token_is_made_used_and_deleted(gateway: Gateway, using: Ask) -> None:
    name = an_address()
    made = using(lambda client: client.create_token(TokenWish(name=name, scopes=["send"], is_sandbox=True)))
    assert (made.name, made.scopes, made.is_sandbox) == (name, ("send",), True)
    assert made.secret.startswith(made.prefix)
    assert made.secret not in repr(made)
    assert made.id in [token.id for token in using(lambda client: client.tokens())]
    with pytest.raises(Forbidden):
        using(lambda client: client.tokens(), token=made.secret)
    recipient = an_address()
    id = using(lambda client: client.send(a_mail(recipient)), token=made.secret).id
    gateway.event(id, "delivery")
    assert recipient not in gateway.http("GET", "/captured.json").text
    assert using(lambda client: client.delete_token(made.id)).name == name
    with pytest.raises(NotFound):
        using(lambda client: client.delete_token(made.id))


@both
def test_login_is_made_changed_and_deleted(using: Ask) -> None:
    user = an_address()
    wish = LoginWish(user=user, networks=["192.0.2.0/24"], settings={"trackopens": False})
    made = using(lambda client: client.create_login(wish))
    assert (made.user, made.networks) == (user, ("192.0.2.0/24",))
    assert len(made.password) >= 12
    assert made.password not in repr(made)
    changed = using(lambda client: client.change_login(made.id, LoginWish(networks=[], sender_domains=["example.com"])))
    assert (changed.networks, changed.sender_domains) == ((), ("example.com",))
    assert changed in using(lambda client: client.logins())
    assert using(lambda client: client.delete_login(made.id)) == changed
    with pytest.raises(Conflict):
        chosen = LoginWish(user=f"b{user}", password="a password of mine")
        assert using(lambda client: client.create_login(chosen)).password == ""
        using(lambda client: client.create_login(chosen))


@both
def test_suppressed_address_gets_no_mail_until_it_is_let_go(gateway: Gateway, using: Ask) -> None:
    recipient, domain = an_address(), f"{an_address().partition('@')[0]}.example"
    added = using(lambda client: client.suppress([recipient, domain], cause="asked by phone"))
    assert {entry.entry for entry in added} == {recipient, domain}
    found = using(lambda client: client.suppression_of(recipient))
    assert found is not None
    assert (found.cause, found.stream, found.message) == ("asked by phone", "", "")
    assert found in using(lambda client: client.suppressions())
    assert using(lambda client: client.suppression_of(an_address())) is None
    removed = using(lambda client: client.unsuppress([recipient, domain]))
    assert set(removed) == {recipient, domain}
    with pytest.raises(NotFound):
        using(lambda client: client.unsuppress([recipient]))


def test_pages_of_found_messages_are_followed(gateway: Gateway) -> None:
    tag = an_address().partition("@")[0]
    with Client(gateway.ready["rest"], gateway.token) as client:
        recipients = [f"{n}.{an_address()}" for n in range(120)]
        sent = client.send(a_mail("", recipients=recipients, tags=[tag])).messages
        found = list(client.search(Search(tag=tag)))
    assert len(found) == len(sent)
    assert {one.id for one in found} == {one.id for one in sent}
