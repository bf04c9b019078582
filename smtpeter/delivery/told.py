"""What the log and the numbers say of a result, once it is recorded."""

from smtpeter.model.event import Delivery, Dialogue
from smtpeter.model.message import Message, MessageState
from smtpeter.store.settle import Settlement
from smtpeter.world import metrics
from smtpeter.world.log import log, log_mail


def tell(message: Message, result: Settlement) -> None:
    """Counts the result and writes its line: that of a delivery when lines about all mail are wanted, others always.

    `delay` is in seconds, from accepting the message, or the time that it was to wait for.
    """
    event = result.events[-1]
    delay = result.at - (message.options.send_at or message.accepted)
    metrics.settled(event, delay, seconds=_lasted(event) if isinstance(event, Dialogue) else 0.0)
    if result.notice is not None:
        metrics.notified(_ACTIONS[result.state])
    if not isinstance(event, Dialogue):
        log(f"delivery.{event.name}", message=message.id, lane=message.lane)
        return
    write = log_mail if isinstance(event, Delivery) else log
    write(
        f"delivery.{event.name}",
        message=message.id,
        account=message.account,
        lane=message.lane,
        mta=event.mta,
        reply=_reply(event),
        attempt=event.attempt,
        delay=round(delay.total_seconds(), 3),
    )


# RFC 3464 2.3.3
_ACTIONS = {
    MessageState.DELIVERED: "delivered",
    MessageState.DEFERRED: "delayed",
    MessageState.FAILED: "failed",
    MessageState.QUARANTINED: "failed",
}


def _reply(event: Dialogue) -> str:
    return " ".join([part for part in (str(event.code or ""), event.status, event.description) if part])


def _lasted(event: Dialogue) -> float:
    """Gives the sum of the stages, in seconds."""
    return sum([float(stage.partition("=")[2]) for stage in event.durations.split()])
