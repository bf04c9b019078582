"""SETTLE: a verdict becomes a row, an event and perhaps a notification, in one commit.

`settlement` is the decision, pure; the store carries it out if the claim still stands (D6).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, assert_never

from smtpeter.delivery.attempt import Attempted, Handover
from smtpeter.delivery.notice import WITHOUT_ATTEMPT, Notices
from smtpeter.delivery.schedule import Schedule
from smtpeter.delivery.verdict import Verdict
from smtpeter.model.event import Deferral, Delivery, Dialogue, Failure, Quarantine
from smtpeter.model.message import Message, MessageState
from smtpeter.model.outcome import Deferred, Delivered, Failed, Kind, Result, State
from smtpeter.store.accept import AcceptItem
from smtpeter.store.settle import Settlement
from smtpeter.wire.dsn import Action

MAX_STRIKES = 3  # claims of a message alone that ended without a result, after which it is set aside (D11)


@dataclass(frozen=True, slots=True)
class Settling:
    """What settling needs besides the verdict, fixed at start."""

    schedule: Schedule
    notices: Notices


def settlement(
    settling: Settling, message: Message, attempted: Attempted, now: datetime, randomness: float
) -> Settlement:
    """Gives what is to be recorded of an attempt. `randomness` in [0, 1) is the jitter of the next one."""
    outcome = attempted.verdict.outcome
    match outcome:
        case Delivered(result):
            return Settlement(
                message.id,
                message.claim,
                MessageState.DELIVERED,
                now,
                message.attempt + 1,
                events=(_told(Delivery, message, attempted.verdict),),
                sent=attempted.sent,
                notice=_success(settling, message, attempted, result, now),
            )
        case Failed(result):
            return Settlement(
                message.id,
                message.claim,
                MessageState.FAILED,
                now,
                message.attempt + 1,
                events=(_told(Failure, message, attempted.verdict),),
                sent=attempted.sent,
                notice=settling.notices.about(
                    message, Action.FAILED, result, now, original=attempted.original, earlier=attempted.earlier
                ),
            )
        case Deferred():
            return _deferral(settling, message, attempted, outcome, now, randomness)
        case _:
            assert_never(outcome)


def _success(
    settling: Settling, message: Message, attempted: Attempted, result: Result, now: datetime
) -> AcceptItem | None:
    """Gives the notification of a success, None when nobody asked, or the host that took it tells it itself."""
    if attempted.handover is Handover.TELLING:  # RFC 3461 5.2.1
        return None
    action = Action.DELIVERED if attempted.handover is Handover.FINAL else Action.RELAYED  # RFC 3461 5.2.2 (b)
    return settling.notices.about(message, action, result, now, original=attempted.original)


def _deferral(
    settling: Settling, message: Message, attempted: Attempted, outcome: Deferred, now: datetime, randomness: float
) -> Settlement:
    """Gives the settlement of an attempt after which there is another, with word of the delay once it is long."""
    notice = None
    if message.tell_at is not None and now >= message.tell_at:
        notice = settling.notices.about(message, Action.DELAYED, outcome.result, now, original=attempted.original)
    return Settlement(
        message.id,
        message.claim,
        MessageState.DEFERRED,
        now,
        message.attempt + 1,
        due=settling.schedule.next_try(message.attempt, now, message.expires, randomness, outcome.retry_after),
        events=(_told(Deferral, message, attempted.verdict),),
        # also when nothing was tried now: a claim before that ended without a result may have been one that delivered
        is_doubtful=outcome.result.is_uncertain or message.is_doubtful or message.unsettled > 0,
        notice=notice,
    )


def quarantine(settling: Settling, message: Message, now: datetime) -> Settlement:
    """Gives the settlement that sets aside a message which several claims did not bring to a result."""
    reason = (
        f"{message.strikes} attempts of this message alone ended without a result; the worker died or hung each time."
    )
    return Settlement(
        message.id,
        message.claim,
        MessageState.QUARANTINED,
        now,
        message.attempt,
        events=(Quarantine(reason),),
        notice=settling.notices.of_quarantine(message, Result(State.PROCESS, Kind.ERROR, 0, "5.3.0", reason), now),
    )


Told = TypeVar("Told", bound=Dialogue)


def _told(kind: type[Told], message: Message, verdict: Verdict) -> Told:
    """Gives the event of a dialogue that was held (or not even begun)."""
    result = verdict.outcome.result
    tls = result.tls
    return kind(
        attempt=message.attempt,
        local_ip=result.local_ip,
        remote_ip=result.remote_ip,
        type=result.kind.value,
        code=result.code,
        status=result.status,
        description=result.description,
        state=result.state.value,
        mta=result.mta,
        tls_version=tls.version if tls else "",
        tls_cipher=tls.cipher if tls else "",
        tls_verified=tls.is_verified if tls else False,
        durations=" ".join([f"{stage}={seconds:.3f}" for stage, seconds in result.durations.items()]),
        transcript="\n".join(result.transcript),
        uncertain=_is_uncertain(message, result),
        rule=verdict.rule,
    )


def _is_uncertain(message: Message, result: Result) -> bool:
    """True when the message may have been delivered before, or now without our knowing (D5).

    A claim that ended without a result was that of a worker which may have sent it.
    """
    is_tried = result.state not in WITHOUT_ATTEMPT
    return result.is_uncertain or message.is_doubtful or (message.unsettled > 0 and is_tried)
