"""Event records as the API shows them: one dict for each event, its fields in the order of the log files (events.md)."""

from typing import Any, assert_never

from smtpeter.doors.rest.call import show_time
from smtpeter.doors.rest.gateway import EventView, MessageView
from smtpeter.model.event import (
    Accepted,
    Cancel,
    Click,
    Deferral,
    Delivery,
    Failure,
    Open,
    Quarantine,
    Suppression,
    Unsubscribe,
)


def record(message: MessageView, view: EventView) -> dict[str, Any]:
    """Gives `{"event": name, "data": {field: value}}`."""
    return {"event": view.event.name, "data": _data(message, view)}


def _data(message: MessageView, view: EventView) -> dict[str, Any]:
    head = {
        "id": message.id,
        "time": show_time(view.time),
        "envelope": message.envelope,
        "recipient": message.recipient,
    }
    tail = {"tags": message.tags, "templateid": message.template}
    match view.event:
        case Accepted() as event:
            return {**head, "properties": event.properties, **tail}
        case Delivery() as event:
            return {**head, "from": event.local_ip, "to": event.remote_ip, "attempt": event.attempt, **tail}
        case Failure() | Deferral() as event:
            return {**head, **_result(event), **tail}
        case Cancel() | Quarantine() | Suppression() as event:
            return {**head, "reason": event.reason, **tail}
        case Unsubscribe() as event:
            return {**head, "ip": event.ip, "useragent": event.useragent, "way": event.way, **tail}
        case Open() | Click() as event:
            return _hit(message, view, event)
        case never:
            assert_never(never)


def _hit(message: MessageView, view: EventView, event: Open | Click) -> dict[str, Any]:
    """Gives what a reader did; `machine` and what the log files do not have come last."""
    target = {"url": event.url, "destination": event.destination} if isinstance(event, Click) else {}
    return {
        "id": message.id,
        "time": show_time(view.time),
        "headers": event.headers,
        "ip": event.ip,
        "protocol": event.protocol,
        **target,
        "tags": message.tags,
        "recipient": message.recipient,
        "city": event.city,
        "countryname": event.countryname,
        "countrycode": event.countrycode,
        "regioncode": event.regioncode,
        "templateid": message.template,
        "useragent": event.useragent,
        "referer": event.referer,
        "machine": event.machine,
    }


def _result(event: Failure | Deferral) -> dict[str, Any]:
    return {
        "attempt": event.attempt,
        "from": event.local_ip,
        "to": event.remote_ip,
        "type": event.type,
        "code": event.code,
        "status": event.status,
        "description": event.description,
        "state": event.state,
    }


def attempt_record(view: EventView, event: Delivery | Deferral | Failure) -> dict[str, Any]:
    """Gives one attempt to deliver with all that is known of it; `durations` in seconds by stage."""
    stages = (stage.partition("=") for stage in event.durations.split())
    return {
        "attempt": event.attempt,
        "time": show_time(view.time),
        "outcome": event.name,
        "from": event.local_ip,
        "to": event.remote_ip,
        "mta": event.mta,
        "state": event.state,
        "type": event.type,
        "code": event.code,
        "status": event.status,
        "description": event.description,
        "uncertain": event.uncertain,
        "tls": _tls(event),
        "durations": {name: _seconds(text) for name, _, text in stages},
        "transcript": event.transcript.splitlines(),
    }


def _tls(event: Delivery | Deferral | Failure) -> dict[str, Any] | None:
    if not event.tls_version:
        return None
    return {"version": event.tls_version, "cipher": event.tls_cipher, "verified": event.tls_verified}


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
