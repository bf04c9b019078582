"""Notifications of a next host that writes its own: Postfix is told what was asked for, and we say nothing."""

import email
import email.policy

from tests.live.clients import logged_in, mail, queued_id
from tests.live.gateway import an_address
from tests.live.receivers import Postfix
from tests.live.waiting import until

JANE = f"jane@{Postfix.DOMAIN}"
JOE = f"joe@{Postfix.DOMAIN}"


def notices(server: Postfix, mark: str) -> list[email.message.EmailMessage]:
    """Gives the notifications to Joe that name `mark`."""
    found = [raw for raw in server.mails("joe") if mark.encode() in raw]
    return [email.message_from_bytes(raw, policy=email.policy.default) for raw in found]


def test_postfix_is_told_what_was_asked_for_and_answers_itself(relay, receiver):
    mark = an_address().partition("@")[0]
    with logged_in(relay) as client:
        client.say(f"MAIL FROM:<{JOE}> RET=HDRS ENVID=job+2B{mark}")
        client.say(f"RCPT TO:<{JANE}> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Jane+2Bx@old.example")
        client.say("DATA")
        client.write(mail(JOE, JANE, mark, "Hello\r\n"))
        id = queued_id(client.say("."))
    relay.event(id, "delivery")
    (notice,) = until(lambda: notices(receiver, mark), "a notification to Joe", tell=receiver.log)
    assert notice["From"].addresses[0].addr_spec == "MAILER-DAEMON@mx.postfix.example"
    _, status, *_ = notice.get_payload()
    about, recipient = status.get_payload()
    assert about["Original-Envelope-Id"] == f"job+{mark}"
    assert about["Reporting-MTA"] == "dns; mx.postfix.example"
    assert recipient["Original-Recipient"].replace(" ", "") == "rfc822;Jane+x@old.example"
    assert recipient["Action"] == "delivered"


def test_postfix_is_told_that_nobody_wants_to_know(relay, receiver):
    silent, last = an_address(), an_address()
    for mark, notify in ((silent, "NEVER"), (last, "SUCCESS")):
        dsn = {"notify": notify}
        relay.sent(recipient=JANE, envelope=JOE, **{"from": JOE}, subject=mark, text="x", dsn=dsn)
    until(lambda: notices(receiver, last), "a notification to Joe", tell=receiver.log)
    assert not notices(receiver, silent)
