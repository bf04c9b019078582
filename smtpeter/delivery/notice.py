"""The notifications that we send about our own dialogue with a receiver (RFC 3464, delivery.md).

Only to the envelope that the submitter gave, never about a message that has none (so never in answer to a notification),
and only when NOTIFY asks for it; without NOTIFY failures are told. A recipient on the suppression list had no dialogue:
its event tells, no notification does.

A notification is written while the result of its message waits to be recorded. So trouble with it is logged and no
more: a result that is not recorded would have the message sent once again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.event import Deferral, Dialogue
from smtpeter.model.message import (
    DISCARD_LANE,
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
from smtpeter.model.outcome import Deferred, Delivered, Failed, Kind, Outcome, Result, State
from smtpeter.model.reply import Reply
from smtpeter.prepare.renderer import Original, Renderer
from smtpeter.store.accept import AcceptItem
from smtpeter.store.events import EventRecord
from smtpeter.wire import dsn
from smtpeter.wire.dsn import Action, Report
from smtpeter.world.log import log_trouble
from smtpeter.world.seams import World

NOTICE_LIFETIME = timedelta(days=2)
MAX_RETURNED_BYTES = 256 * 1024  # of a larger message only the header comes back, FULL or not

_ASKED_BY = {
    Action.FAILED: Notify.FAILURE,
    Action.DELAYED: Notify.DELAY,
    Action.DELIVERED: Notify.SUCCESS,
    Action.RELAYED: Notify.SUCCESS,
}
_TOLD_OF: dict[type[Outcome], tuple[Action, ...]] = {
    Delivered: (Action.DELIVERED, Action.RELAYED),
    Deferred: (Action.DELAYED,),
    Failed: (Action.FAILED,),
}
_NOT_GIVEN = frozenset({Notify.FAILURE})  # RFC 3461 4.1, which leaves it to us whether a delay is told

# RFC 3463 3.5, 3.6: the status of an attempt to which no reply came
_SILENCES = {Kind.TIMEOUT: "4.4.2", Kind.LOST: "4.4.2", Kind.INVALID: "4.5.0"}
_UNREACHED = "4.4.1"
# where a message ends, or waits, before anybody is spoken to
WITHOUT_ATTEMPT = frozenset(
    {State.PROCESS, State.SUPPRESSION, State.STORAGE, State.TEMPLATE, State.PERSONALIZE, State.REWRITE}
)


@dataclass(frozen=True, slots=True)
class Notices:
    """Writes notifications in the name of this host."""

    world: World
    hostname: str
    renderer: Renderer

    def is_wanted(self, message: Message, action: Action) -> bool:
        """True when there is somebody to tell, who asked for notifications of this action."""
        return bool(message.envelope) and _ASKED_BY[action] in (message.recipient.dsn.notify or _NOT_GIVEN)

    async def original(self, message: Message, outcome: Outcome) -> Original | None:
        """Gives the message as far as it is at hand, when its submitter may have to be told of this outcome."""
        if not any(self.is_wanted(message, action) for action in _TOLD_OF[type(outcome)]):
            return None
        if isinstance(outcome, Deferred) and (message.tell_at is None or message.tell_at > self.world.clock.now()):
            return None  # not late yet, or told already
        try:
            return await self.renderer.original(message)
        except Exception:
            log_trouble("notice.trouble", message=message.id)
            return None

    def about(
        self,
        message: Message,
        action: Action,
        result: Result,
        now: datetime,
        *,
        original: Original | None,
        earlier: EventRecord | None = None,
    ) -> AcceptItem | None:
        """Gives the notification that is to be stored with a result; None when none is due.

        `original` is the message, if it could be made. `earlier` is the last attempt before, when the result came about
        without one (`last_attempt`).
        """
        if not self.is_wanted(message, action):
            return None
        try:
            report = _with_result(self._report(message, action, now), result, now)
            if earlier is not None:
                report = _with_earlier(report, earlier)
            if original is not None:
                report = _with_original(report, message, original)
            return self._item(message, report)
        except Exception:
            log_trouble("notice.trouble", message=message.id)
            return None

    def of_quarantine(self, message: Message, result: Result, now: datetime) -> AcceptItem | None:
        """Gives the notification of a message that was set aside; its content, which may be why, is left alone."""
        if not self.is_wanted(message, Action.FAILED):
            return None
        return self._item(message, _with_result(self._report(message, Action.FAILED, now), result, now))

    def _report(self, message: Message, action: Action, now: datetime) -> Report:
        """Gives what is known of the message itself."""
        return Report(
            action=action,
            reporting_mta=self.hostname,
            notice_id=new_submission_id(int(now.timestamp() * 1000), self.world.randbits(71)),
            to=message.envelope or "",
            date=now,
            arrived=message.accepted,
            envid=message.options.envid,
            orcpt=message.recipient.dsn.orcpt,
            recipient=message.recipient.address,
            status="",
            original=None,
            retry_until=message.expires,
            is_utf8=message.options.is_utf8,
        )

    def _item(self, message: Message, report: Report) -> AcceptItem | None:
        try:
            to = parse_address(report.to)
        except AddressError:
            return None  # an envelope that was accepted under other rules cannot be written to
        submission = Submission(
            id=report.notice_id,
            account=message.account,
            accepted=report.date,
            envelope="",  # RFC 3461 6.1: the null reverse path, no parameters
            recipients=(Recipient(str(to), to.domain, report.to),),
            source=Source(SourceKind.MIME, dsn.write(report)),
            options=Options(
                max_deliver_time=report.date + NOTICE_LIFETIME,
                is_utf8=not report.to.isascii(),
                is_sandbox=message.options.is_sandbox,
            ),
            received=Received("LOCAL"),
            from_domain=self.hostname,
            subject=dsn.subject(report),
        )
        lane = DISCARD_LANE if message.options.is_sandbox else None
        return AcceptItem(submission, (lane,), "", None)


def _with_result(report: Report, result: Result, now: datetime) -> Report:
    """Gives the report with how it ended."""
    reply, reason = _words(result)
    return replace(
        report,
        status=status_of(result),
        reply=reply,
        reason=reason,
        remote_mta=result.mta if reply is not None else "",
        last_attempt=None if result.state in WITHOUT_ATTEMPT else now,
    )


def _with_earlier(report: Report, earlier: EventRecord) -> Report:
    """Gives the report of a message that was not tried now, with what the last attempt met."""
    event = earlier.event
    if not isinstance(event, Dialogue):
        return report
    reply, reason = _words(event)
    return replace(
        report,
        reply=reply,
        reason=f"{report.reason} {reason}".strip(),
        remote_mta=event.mta if reply is not None else "",
        last_attempt=earlier.at,
    )


def _with_original(report: Report, message: Message, original: Original) -> Report:
    """Gives the report with the message; only a failure may bring back all of it (RFC 3461 4.3)."""
    is_asked_for = report.action is Action.FAILED and message.options.ret == "FULL"
    is_full = is_asked_for and original.is_whole and len(original.content) <= MAX_RETURNED_BYTES
    return replace(report, original=original.content, is_full=is_full)


def _words(said: Result | Dialogue) -> tuple[Reply | None, str]:
    """Gives the reply of the host, or in its place our own words, with the name of the host that they are about."""
    if said.code and said.mta:
        return Reply(said.code, said.status, (said.description,)), ""
    is_named = not said.mta or said.mta in said.description
    return None, said.description if is_named else f"{said.mta}: {said.description}"


def status_of(said: Result | Dialogue) -> str:
    """Gives the enhanced status of an attempt, "" when none is known; without a reply it says what came in its place."""
    if said.status or said.code:
        return said.status
    kind = said.kind if isinstance(said, Result) else Kind(said.type)
    return _UNREACHED if said.state == State.CONNECT else _SILENCES.get(kind, "")


def last_attempt(records: Sequence[EventRecord]) -> EventRecord | None:
    """Gives what the last attempt met, of the events of a message; one that got a reply counts before later ones without."""
    tries = [record for record in records if isinstance(record.event, Deferral)]
    replied = [record for record in tries if isinstance(record.event, Deferral) and record.event.code]
    found = replied or tries
    return found[-1] if found else None
