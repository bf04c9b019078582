"""All metrics of the gateway, and the functions by which the rooms count: one call where a fact is known.

Labels have few values whatever comes in: a slug of our own tables, a door, a class of reply. Each series costs memory
here and in every system that stores it.
"""

from dataclasses import dataclass
from datetime import timedelta

from smtpeter.model.event import Delivery, Dialogue, Event
from smtpeter.world.metrics.families import Cell, counter, distribution, gauge

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds
_SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0)
_ATTEMPT = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)
_ITEMS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)

# ---- in

ACCEPTED = counter("smtpeter_accepted_messages_total", "Messages taken over, one for each recipient.", "door")
ACCEPTED_OCTETS = counter("smtpeter_accepted_octets_total", "Content taken over, once for each submission.", "door")
REFUSED = counter("smtpeter_refused_total", "Submissions and calls that were refused, by reason.", "door", "reason")
FAILED_LOGINS = counter("smtpeter_failed_logins_total", "Credentials that were wrong.", "door")
OPEN_CONNECTIONS = gauge("smtpeter_open_connections", "Clients that are connected.", "door")
CONNECTIONS = counter("smtpeter_connections_total", "Clients that have connected and were let in.", "door")

# ---- out

ATTEMPTS = counter(
    "smtpeter_attempts_total",
    "Attempts that were settled, by result, class of the reply code, and class and subject of the enhanced status.",
    "result",
    "code",
    "status",
)
DELIVERY_SECONDS = distribution(
    "smtpeter_delivery_seconds", "From accepting a message, or the time it was to wait for, to its delivery.", _SLOW
)
ATTEMPT_SECONDS = distribution(
    "smtpeter_attempt_seconds", "How long attempts took, their connection included.", _ATTEMPT
)
NOTIFICATIONS = counter("smtpeter_notifications_total", "Delivery status notifications that were written.", "action")
OUTGOING_CONNECTIONS = gauge("smtpeter_outgoing_connections", "Connections to remote hosts that are open.")

# ---- store

COMMIT_SECONDS = distribution("smtpeter_store_commit_seconds", "How long commits took, flush included.", _QUICK)
COMMIT_ITEMS = distribution("smtpeter_store_commit_items", "Writes that shared a commit.", _ITEMS)
STORE_HEALTHY = gauge(
    "smtpeter_store_healthy", "1 while writes of a worker reach stable storage, else 0.", is_per_worker=True
)

# ---- processes

LOOP_LAG_SECONDS = distribution(
    "smtpeter_event_loop_lag_seconds", "By how much the event loop was late, looked at four times a second.", _QUICK
)
LOG_LOST = counter("smtpeter_log_lines_lost_total", "Lines that the log's reader was too slow for.")
CPU_SECONDS = counter("smtpeter_worker_cpu_seconds_total", "CPU time that a worker has used.", is_per_worker=True)
MEMORY_BYTES = gauge("smtpeter_worker_memory_bytes", "Resident memory of a worker.", is_per_worker=True)
OPEN_FILES = gauge("smtpeter_worker_open_files", "File descriptors that a worker has open.", is_per_worker=True)
STARTED = gauge("smtpeter_worker_start_time_seconds", "When a worker began, in seconds since 1970.", is_per_worker=True)
CERTIFICATE_EXPIRES = gauge(
    "smtpeter_certificate_expiry_timestamp_seconds",
    "When the certificate in service expires, in seconds since 1970.",
    is_per_worker=True,
)
BUILD_INFO = gauge("smtpeter_build_info", "Always 1; the labels say what runs.", "version", "python")

# ---- looked up in the store when somebody asks

QUEUE = gauge("smtpeter_queue_messages", "Messages that are not final, by state, over all machines.", "state")
OLDEST_DUE = gauge("smtpeter_queue_oldest_due_age_seconds", "For how long the oldest message has been due; 0: none is.")
LANE_MESSAGES = gauge("smtpeter_lane_messages", "Messages that wait, for the 50 largest lanes.", "lane")
LANE_OLDEST_DUE = gauge(
    "smtpeter_lane_oldest_due_age_seconds", "For how long the oldest message of a lane has been due.", "lane"
)
PAUSES = gauge("smtpeter_pauses", "Pauses in force.")
LANES = gauge(
    "smtpeter_lanes", "Lanes in use that go slower than they may (slowed) or are left alone (resting).", "state"
)
WORKERS = gauge("smtpeter_workers_alive", "Workers that live, over all machines.", "role")
QUEUE_READ_SECONDS = gauge("smtpeter_queue_read_seconds", "How long the last look at the queue took.")
QUEUE_READ_AT = gauge(
    "smtpeter_queue_read_timestamp_seconds", "When the queue was last looked at, in seconds since 1970."
)


# ---- what rooms call


@dataclass(frozen=True, slots=True)
class _Door:
    accepted: Cell
    octets: Cell
    connections: Cell
    open_connections: Cell
    failed_logins: Cell


_DOORS = {
    name: _Door(
        ACCEPTED.of(name),
        ACCEPTED_OCTETS.of(name),
        CONNECTIONS.of(name),
        OPEN_CONNECTIONS.of(name),
        FAILED_LOGINS.of(name),
    )
    for name in ("smtp", "rest")
}
SMTP, REST = _DOORS["smtp"], _DOORS["rest"]
_delivery_seconds, _attempt_seconds = DELIVERY_SECONDS.of(), ATTEMPT_SECONDS.of()
_commit_seconds, _commit_items, _healthy = COMMIT_SECONDS.of(), COMMIT_ITEMS.of(), STORE_HEALTHY.of()
outgoing_connections = OUTGOING_CONNECTIONS.of()
_SUBJECTS = frozenset("01234567")  # RFC 3463 3


def door_of(protocol: str) -> str:
    """Gives the door by the protocol of the trace header."""
    return "rest" if protocol.startswith("HTTP") else "smtp"


def accepted(protocol: str, messages: int, octets: int) -> None:
    """A submission is stored."""
    door = _DOORS[door_of(protocol)]
    door.accepted.add(messages)
    door.octets.add(octets)


def refused(door: str, reason: str) -> None:
    """A submission or call is refused. `reason` is a slug of a table."""
    REFUSED.of(door, reason).add()


def login_failed(door: str) -> None:
    """Credentials were wrong."""
    _DOORS[door].failed_logins.add()


def connected(door: str) -> None:
    """A client is let in."""
    _DOORS[door].connections.add()
    _DOORS[door].open_connections.add()


def disconnected(door: str) -> None:
    """A client that was let in is gone."""
    _DOORS[door].open_connections.add(-1.0)


def settled(event: Event, took: timedelta, *, seconds: float) -> None:
    """The result of an attempt is recorded.

    `event` is the delivery, deferral, failure or quarantine; `took` the time from accepting the message until now, `seconds`
    what the attempt itself lasted.
    """
    if isinstance(event, Dialogue):
        ATTEMPTS.of(_RESULTS[event.name], _code_class(event.code), _status_class(event.status)).add()
        _attempt_seconds.observe(seconds)
        if isinstance(event, Delivery):
            _delivery_seconds.observe(took.total_seconds())
    else:
        ATTEMPTS.of(event.name, "none", "none").add()


def notified(action: str) -> None:
    """A delivery status notification with this action (RFC 3464 2.3.3) is stored."""
    NOTIFICATIONS.of(action).add()


_RESULTS = {"delivery": "delivered", "deferral": "deferred", "failure": "failed"}


def committed(seconds: float, items: int) -> None:
    """A commit is on stable storage."""
    _commit_seconds.observe(seconds)
    _commit_items.observe(items)


def store_is(*, healthy: bool) -> None:
    """The store has become healthy or unhealthy."""
    _healthy.set(1.0 if healthy else 0.0)


def _code_class(code: int) -> str:
    return f"{code // 100}xx" if 200 <= code < 600 else "none"


def _status_class(status: str) -> str:
    """Gives class and subject, as "4.7"; what a remote host makes up beyond RFC 3463 is all one."""
    if not status:
        return "none"
    kind, _, rest = status.partition(".")
    subject = rest.partition(".")[0]
    return f"{kind}.{subject}" if kind in ("2", "4", "5") and subject in _SUBJECTS else "other"
