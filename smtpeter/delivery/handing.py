"""One message over one open connection, from its render to the verdict on the reply."""

from msgspec.structs import replace

from smtpeter.content.render import Rendered
from smtpeter.delivery.errand import Attempted, Errand, Handover
from smtpeter.delivery.verdict import Verdict, judge
from smtpeter.model.message import Transfer
from smtpeter.model.outcome import Failed, Kind, Result, Scope, State
from smtpeter.store.settle import Sent
from smtpeter.wire.headers import split
from smtpeter.wire.mime import CannotConvert
from smtpeter.wire.smtp_commands import Envelope
from smtpeter.world.connection import Connection


async def hand_over(errand: Errand, connection: Connection) -> Attempted | None:
    """Hands the message over; None when the connection turned out to be closed before. Leaves what is used up."""
    ways, message = errand.ways, errand.message
    transfer = Transfer.EIGHT_BIT if connection.extensions.has_8bitmime else Transfer.SEVEN_BIT
    try:
        rendered = await errand.render(transfer)
    except CannotConvert as refusal:
        result = Result(State.MAILFROM, Kind.ERROR, 0, "5.6.3", str(refusal), mta=connection.remote.mta)
        return Attempted(Verdict(Failed(result, Scope.MESSAGE), "content cannot be converted"))
    envelope = Envelope(
        sender=message.envelope or "",
        recipient=message.recipient.address,
        dsn=message.recipient.dsn,
        is_8bit=rendered.is_8bit,
        is_utf8=message.options.is_utf8 and _has_utf8_header(rendered),
        tracks_bounces=ways.receives_bounces and message.options.features.trackbounces is True,
    )
    exchange = await connection.transact(envelope, (rendered.block, rendered.content), errand.may_finish)
    if not exchange.is_reusable or _is_used_up(errand, connection):
        await errand.courier.leave()
    result = exchange.result
    if result.state is State.IDLE:
        return None
    if connection.messages_sent == 1:
        result = _with_introduction(result, connection)
    handover = Handover.TELLING if connection.extensions.has_dsn else Handover.SILENT
    return Attempted(judge(ways.steered.verdicts, result), Sent(transfer, rendered.block), handover)


def _is_used_up(errand: Errand, connection: Connection) -> bool:
    most = errand.ways.steered.limits(errand.message.lane).messages_per_connection
    return most is not None and connection.messages_sent >= most


def _has_utf8_header(rendered: Rendered) -> bool:
    """True when what was handed in with SMTPUTF8 needs it to be handed on; a mail that is all ASCII does not."""
    # RFC 6531 3.4; in the body 8BITMIME is enough
    return not split(rendered.content)[0].isascii()


def _with_introduction(result: Result, connection: Connection) -> Result:
    """Gives the result of the first transaction of a connection with how the connection came about before it."""
    return replace(
        result,
        durations={**connection.durations, **result.durations},
        transcript=(*connection.transcript, *result.transcript),
    )
