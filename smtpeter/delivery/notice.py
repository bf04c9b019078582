"""The notifications that we send about our own dialogue with a receiver (RFC 3464, delivery.md).

Only to the envelope that the submitter gave, never about a message that has none (so never in answer to a notification),
and only when NOTIFY asks for it; without NOTIFY failures are told.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from smtpeter.content.render import source_of
from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.message import (
    Message,
    Notify,
    Options,
    Received,
    Recipient,
    Source,
    SourceKind,
    Submission,
    new_submission_id,
)
from smtpeter.model.outcome import Result
from smtpeter.store.accept import AcceptItem
from smtpeter.wire import dsn
from smtpeter.world.seams import World

NOTICE_LIFETIME = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Notices:
    """Writes notifications in the name of this host."""

    world: World
    hostname: str

    def failure(self, message: Message, result: Result, now: datetime) -> AcceptItem | None:
        """Gives the failure notification for a message, to be stored with its failure; None when none is due."""
        asked = message.recipient.dsn.notify or frozenset({Notify.FAILURE})  # RFC 3461 4.1
        if not message.envelope or Notify.FAILURE not in asked:
            return None
        try:
            sender = parse_address(message.envelope)
        except AddressError:
            return None  # an envelope that was accepted under other rules cannot be written to
        notice_id = new_submission_id(int(now.timestamp() * 1000), self.world.randbits(71))
        report = self._report(message, result, now, notice_id)
        submission = Submission(
            id=notice_id,
            account=message.account,
            accepted=now,
            envelope="",  # RFC 3464 2: the null reverse path
            recipients=(Recipient(str(sender), sender.domain, message.envelope),),
            source=Source(SourceKind.MIME, dsn.write(report)),
            options=Options(max_deliver_time=now + NOTICE_LIFETIME),
            received=Received("LOCAL"),
            from_domain=self.hostname,
            subject=dsn.subject(report),
        )
        return AcceptItem(submission, (None,), "", None)

    def _report(self, message: Message, result: Result, now: datetime, notice_id: str) -> dsn.Report:
        return dsn.Report(
            action=dsn.Action.FAILED,
            reporting_mta=self.hostname,
            notice_id=notice_id,
            to=message.envelope or "",
            date=now,
            arrived=message.accepted,
            envid=message.options.envid,
            orcpt=message.recipient.dsn.orcpt,
            recipient=message.recipient.address,
            status=result.status,
            code=result.code,
            diagnostic=result.description,
            remote_mta=result.mta,
            last_attempt=now,
            original=source_of(message),
            is_full=message.options.ret == "FULL",
        )
