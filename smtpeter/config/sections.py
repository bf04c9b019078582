"""What can be set: one frozen dataclass per section of the file, every field with its default and its sentence.

The sentence stands once, here, and goes into the generated file. Figures are those of the limits table; every one
has bounds, so that a slip of the finger is found at start and not at night.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from smtpeter.config.delivery import Delivery, RouteLine
from smtpeter.config.setting import BIG, DAY, MOMENT, nothing, seconds, setting
from smtpeter.config.values import Listen, Network, Origin, Pattern, Via


@dataclass(frozen=True, slots=True)
class Server:
    """Who we are, and where our own files are."""

    hostname: str = setting("localhost", "The name that we give in greetings and trace headers: a public host name.")
    data_dir: Path = setting(Path("data"), "The folder for all that the program keeps itself.")
    master_key: str = setting(
        "", "The key that seals DKIM keys and relay passwords; without it nothing is signed or sent.", is_secret=True
    )
    workers: int = setting(1, "Processes that do the work, beside one that watches over them.", 1, 256)
    node: str = setting("", "The name of this machine among those on one data base; empty: its host name.")
    watchdog_time: timedelta = setting(
        seconds(20), "How long a worker may be silent before it is replaced.", MOMENT, DAY
    )


@dataclass(frozen=True, slots=True)
class Log:
    """What is written to the log."""

    mail: bool = setting(True, "Log one line for each message accepted and delivered, not only for trouble.")


@dataclass(frozen=True, slots=True)
class Store:
    """Where mail rests between being accepted and being delivered."""

    url: str = setting(
        "sqlite:smtpeter.db",
        "sqlite:FILE (relative to data_dir), or postgresql://user:password@host/database.",
        is_secret=True,
    )
    unsafe_fast_storage: bool = setting(
        False, "Accept storage that loses mail when the power fails; a warning is logged every hour."
    )


@dataclass(frozen=True, slots=True)
class Smtp:
    """The submission door."""

    listeners: tuple[Listen, ...] = setting(
        (Listen("", 25), Listen("", 587), Listen("", 2525)), "Plain listeners, which offer STARTTLS."
    )
    tls_listeners: tuple[Listen, ...] = setting((Listen("", 465),), "Listeners that speak TLS from the first byte.")
    allow_insecure_auth: bool = setting(False, "Take passwords without TLS from loopback addresses.")
    trusted_networks: Mapping[Network, str] = setting(
        nothing, "Source networks whose clients need neither TLS nor AUTH, each with the SMTP login it acts as."
    )
    received_show_client: bool = setting(False, "Show the client's address in the Received header.")
    max_message_bytes: int = setting(50 * 2**20, "Largest message, announced by SIZE.", 2**16, 2**31)
    max_recipients: int = setting(1000, "Most recipients of one transaction.", 100, 100_000)
    max_connections: int = setting(2000, "Most connections at once.", 1, 1_000_000)
    max_connections_per_address: int = setting(50, "Most connections at once from one address.", 1, 1_000_000)
    max_connections_per_login: int = setting(200, "Most connections at once of one login.", 1, 1_000_000)
    max_new_connections_per_minute: int = setting(300, "Most new connections from one address in a minute.", 1, 10**6)
    max_errors: int = setting(10, "Errors after which a session is closed.", 1, 10_000)
    max_idle_commands: int = setting(100, "Commands without work after which a session is closed.", 10, 100_000)
    max_failed_logins: int = setting(3, "Failed logins after which a connection is closed.", 1, 100)
    max_failed_logins_per_minute: int = setting(
        10, "Failed logins of one address and login in a minute before checking stops.", 1, 10_000
    )
    max_failed_logins_per_day: int = setting(
        100, "Failed logins of one address and login in a day before checking stops.", 1, 100_000
    )
    command_time: timedelta = setting(seconds(300), "Longest wait for a command or a block of data.", MOMENT, DAY)
    session_time: timedelta = setting(timedelta(hours=2), "Longest session without an accepted message.", MOMENT, DAY)
    min_body_bytes_per_second: int = setting(500, "Slowest body, on average over a minute.", 0, BIG)


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates. Without a certificate the program makes its own in data_dir, which nobody else trusts."""

    certificate: str = setting("", "File with our certificate and its chain (PEM).")
    key: str = setting("", "File with the private key of the certificate (PEM).")
    ca: str = setting("", "File with the authorities that remote servers are verified by; empty: the system's.")


@dataclass(frozen=True, slots=True)
class Http:
    """The REST door."""

    listeners: tuple[Listen, ...] = setting((Listen("127.0.0.1", 8025),), "Plain listeners, for a proxy in front.")
    tls_listeners: tuple[Listen, ...] = setting((Listen("", 443),), "Listeners that speak TLS.")
    require_https: bool = setting(True, "Refuse calls that come neither by TLS nor through a trusted proxy.")
    allow_loopback_http: bool = setting(False, "Take plain calls from loopback addresses.")
    trusted_proxies: tuple[Network, ...] = setting((), "Networks of proxies whose X-Forwarded headers are believed.")
    metrics_networks: tuple[Network, ...] = setting(
        (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")), "Networks whose clients may read /metrics."
    )
    max_body_bytes: int = setting(50 * 2**20, "Largest request body.", 2**10, 2**31)
    max_request_line_bytes: int = setting(16 * 2**10, "Longest request line.", 256, 2**20)
    max_header_bytes: int = setting(32 * 2**10, "Largest header section of a request.", 1024, 2**20)
    header_time: timedelta = setting(seconds(15), "Longest wait for the header section.", MOMENT, DAY)
    min_body_bytes_per_second: int = setting(500, "Slowest request body.", 0, BIG)
    max_recipients: int = setting(1000, "Most recipients of one send call.", 1, 100_000)
    requests_per_second: int = setting(1000, "Calls per second and token; 0: no limit.", 0, 10**9)
    request_burst: int = setting(2000, "Calls of one token that may come at once.", 1, 10**9)


@dataclass(frozen=True, slots=True)
class Tracking:
    """Links, images and pages of mail that lead back to us. Its host is served by the REST door's listeners."""

    base: Origin = setting(
        Origin(""), "Scheme and host of tracked links, as https://clicks.example.com; empty: nothing is tracked."
    )


@dataclass(frozen=True, slots=True)
class Fetch:
    """What customers let us fetch from the web: attachments, images, feeds. Only public addresses are asked."""

    networks: tuple[Network, ...] = setting((), "Networks that may be asked although they are not public.")
    forbidden: tuple[Network, ...] = setting((), "Networks that are not asked although they are public.")
    allow_high_ports: bool = setting(False, "Ask on every port from 1024 on, not only on 80, 443, 8080 and 8443.")


@dataclass(frozen=True, slots=True)
class Development:
    """What only development mode uses."""

    capture: Listen = setting(Listen("127.0.0.1", 2527), "Where the capture sink listens.")
    max_captured: int = setting(1000, "Messages that the capture sink keeps.", 1, 1_000_000)
    approve_all: bool = setting(True, "Every From domain counts as approved.")


@dataclass(frozen=True, slots=True)
class Config:
    """All sections."""

    server: Server = Server()
    log: Log = Log()
    store: Store = Store()
    smtp: Smtp = field(default_factory=Smtp)
    tls: Tls = Tls()
    http: Http = Http()
    tracking: Tracking = Tracking()
    fetch: Fetch = Fetch()
    delivery: Delivery = field(default_factory=Delivery)
    development: Development = Development()


def development(port_base: int = 0) -> Config:
    """Gives the defaults of development mode: loopback, unprivileged ports (each plus `port_base`), mail captured."""

    def listen(port: int) -> Listen:
        return Listen("127.0.0.1", port + port_base)

    return Config(
        smtp=replace(
            Smtp(),
            listeners=(listen(2525), listen(2587)),
            tls_listeners=(listen(2465),),
            allow_insecure_auth=True,
        ),
        http=replace(
            Http(),
            listeners=(listen(8025),),
            tls_listeners=(listen(8443),),
            allow_loopback_http=True,
            requests_per_second=0,
        ),
        tracking=Tracking(Origin(f"http://{listen(8025)}")),
        delivery=replace(
            Delivery(),
            retry_divisor=60,
            routes=(RouteLine(recipient=Pattern("*"), via=(Via.CAPTURE,)),),
        ),
        development=replace(Development(), capture=listen(2527)),
    )
