"""`smtpeter send | message | why`: mail, seen and sent from the command line."""

import email.message
import email.utils
import smtplib
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from smtpeter.config import Config
from smtpeter.doors.cli.shared import COMMON, Common, fail, read_config, read_secret, show, with_store
from smtpeter.model.event import (
    Accepted,
    Cancel,
    Click,
    Deferral,
    Delivery,
    Event,
    Failure,
    Open,
    Quarantine,
    Suppression,
    Unsubscribe,
)
from smtpeter.model.message import MessageId, MessageState, is_message_id
from smtpeter.store.events import EventQuery, EventRecord, events_of
from smtpeter.store.records import MessageQuery, MessageRecord, message_record, owner_of
from smtpeter.store.store import Store

_TIME = "%Y-%m-%d %H:%M:%S"


def send(
    recipient: str,
    /,
    *,
    sender: Annotated[str, Parameter(name="--from")],
    subject: str = "",
    text: str = "A test mail.",
    server: str = "",
    user: str = "",
    password_file: Path | None = None,
    insecure: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> None:
    """Sends a mail by SMTP with STARTTLS and a login, as an application would.

    Example: smtpeter send jane@example.org --from joe@example.com --subject Hello

    Parameters
    ----------
    server
        HOST:PORT of the gateway. Without it the development gateway that runs on this machine is used, with its login.
    password_file
        The file that holds the password ("-": standard input).
    insecure
        Do not check the certificate.
    """
    place = _ready_gateway(common) if not server else {"host": server, "user": user, "ca": None}
    if server:
        host, _, port = server.rpartition(":")
        place |= {"host": host or server, "port": int(port) if host and port.isdigit() else 587}
        place["password"] = read_secret(password_file) if password_file is not None else ""
    mail = email.message.EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, recipient, subject
    mail["Date"] = email.utils.localtime()
    mail.set_content(text)
    try:
        answer = _submit(place, sender, recipient, mail, insecure=insecure)
    except (OSError, smtplib.SMTPException) as error:
        fail(f"It was not accepted: {error}")
    show(common, {"reply": answer}, answer)


def _ready_gateway(common: Common) -> dict[str, Any]:
    path = read_config(common).server.data_dir / "ready.json"
    try:
        ready = msgspec.json.decode(path.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        fail(f"No gateway is running in development mode here ({path} is missing); name one with --server.", 2)
    return {**ready["smtp"], "ca": ready["ca"]}


def _submit(
    place: dict[str, Any], sender: str, recipient: str, mail: email.message.EmailMessage, *, insecure: bool
) -> str:
    context = ssl.create_default_context(cafile=place["ca"])
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP(place["host"], place["port"], timeout=30) as client:
        client.starttls(context=context)
        if place["user"]:
            client.login(place["user"], place["password"])
        client.mail(sender)
        code, text = client.rcpt(recipient)
        if code >= 400:
            raise smtplib.SMTPResponseException(code, text)
        code, text = client.data(mail.as_bytes())
        if code >= 400:
            raise smtplib.SMTPResponseException(code, text)
    return f"{code} {text.decode('utf-8', 'replace')}"


def message(id: str, /, *, common: Common = COMMON) -> None:
    """Shows a message with all its events.

    Example: smtpeter message 01KAbcdefghij0123456
    """

    async def work(store: Store, config: Config) -> None:
        record, events = await _look_up(store, id)
        value = {"message": record, "events": [{"name": e.event.name, "time": e.at, "data": e.event} for e in events]}
        lines = [
            f"id         {record.id}",
            f"state      {_state(record)}",
            f"recipient  {record.recipient}",
            f"envelope   {record.envelope if record.envelope is not None else '(none given)'}",
            f"subject    {record.subject}",
            f"accepted   {record.accepted:{_TIME}}",
            f"expires    {record.expires:{_TIME}}",
            f"lane       {record.lane or '(not known yet)'}",
            f"size       {record.size_bytes} octets",
            "",
            *[f"{e.at:{_TIME}}  {_sentence(e.event)}" for e in events],
        ]
        show(common, value, "\n".join(lines))

    with_store(common, work)


def why(id: str, /, *, common: Common = COMMON) -> None:
    """Tells in plain words what became of a message, with the dialogue of the last attempt.

    Example: smtpeter why 01KAbcdefghij0123456
    """

    async def work(store: Store, config: Config) -> None:
        record, events = await _look_up(store, id)
        tried = [e.event for e in events if isinstance(e.event, Delivery | Deferral | Failure)]
        lines = [_story(record), *[f"{e.at:{_TIME}}  {_sentence(e.event)}" for e in events]]
        if tried and tried[-1].transcript:
            lines += ["", "The dialogue:", *[f"  {line}" for line in tried[-1].transcript.splitlines()]]
        value = {"id": record.id, "state": record.state, "story": lines[0], "next_attempt": record.due}
        show(common, value, "\n".join(lines))

    with_store(common, work)


async def _look_up(store: Store, id: str) -> tuple[MessageRecord, list[EventRecord]]:
    if not is_message_id(id):
        fail(f"{id!r} is not a message id; it has 20 letters and digits, perhaps with -1, -2 … behind.", 2)
    account = await store.read(owner_of, MessageId(id))
    record = await store.read(message_record, MessageQuery(account, MessageId(id))) if account is not None else None
    if account is None or record is None:
        fail(f"There is no message {id} in this installation.")
    return record, await store.read(events_of, EventQuery(account, record.id))


def _state(record: MessageRecord) -> str:
    if record.is_held and record.settled is None:
        return "delivering"
    return record.state.value


def _story(record: MessageRecord) -> str:
    match record.state:
        case MessageState.DELIVERED:
            return f"Delivered: the server of {record.recipient} took it."
        case MessageState.FAILED:
            return f"Failed: it will not be delivered to {record.recipient}."
        case MessageState.CANCELLED:
            return "Cancelled before it was delivered."
        case MessageState.QUARANTINED:
            return "Set aside: attempts to deliver it ended without a result."
        case MessageState.QUEUED | MessageState.DEFERRED:
            if record.is_held:
                return f"On its way to {record.recipient} now."
            wait = max(0, round((record.due - datetime.now(UTC)).total_seconds())) if record.due else 0
            when = f"in {wait} s" if wait else "as soon as there is room"
            again = "the next attempt is" if record.attempt else "the first attempt is"
            return f"Waiting: {again} {when}; it is given up at {record.expires:{_TIME}}."


def _sentence(event: Event) -> str:
    match event:
        case Accepted(properties):
            return "accepted" + (f" with {properties}" if properties else "")
        case Delivery():
            return f"delivered to {event.mta or event.remote_ip or 'nobody'}: {_reply(event)}"
        case Deferral():
            return f"put off at {event.state} ({event.rule or event.type}): {_reply(event)}"
        case Failure():
            return f"failed at {event.state} ({event.rule or event.type}): {_reply(event)}"
        case Cancel(reason):
            return f"cancelled: {reason}"
        case Quarantine(reason):
            return f"quarantined: {reason}"
        case Suppression(reason):
            return f"the recipient is suppressed: {reason}"
        case Open():
            return f"opened {_by(event)}"
        case Click():
            return f"followed {event.destination} {_by(event)}"
        case Unsubscribe():
            return f"left the list ({event.way}) from {event.ip}"


def _by(event: Open | Click) -> str:
    return f"by a machine at {event.ip}" if event.machine else f"from {event.ip}"


def _reply(event: Delivery | Deferral | Failure) -> str:
    code = str(event.code) if event.code else ""
    return " ".join(part for part in (code, event.status, event.description) if part)
