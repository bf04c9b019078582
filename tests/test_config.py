"""The configuration: what a file and the environment say, and how mistakes are told."""

import re
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.config import (
    Config,
    ConfigError,
    LimitLine,
    Listen,
    PoolAddress,
    RouteLine,
    SmartHost,
    TlsMode,
    development,
    load,
    matches,
    template,
)
from smtpeter.config.lines import key_lines
from smtpeter.config.values import (
    KINDS,
    DomainPattern,
    HelloName,
    Ip,
    Name,
    Pattern,
    Target,
    read_duration,
    read_listen,
    show_duration,
)


def write(folder: Path, text: str) -> Path:
    path = folder / "smtpeter.toml"
    path.write_text(text)
    return path


def mistakes(path: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    return [str(mistake) for mistake in caught.value.mistakes]


def test_without_a_file_the_shipped_defaults_hold() -> None:
    assert load(None, {}) == Config()


def test_generated_file_says_nothing_but_the_defaults(tmp_path: Path) -> None:
    assert load(write(tmp_path, template()), {}) == Config()


def test_generated_file_with_every_setting_switched_on_still_gives_the_defaults(tmp_path: Path) -> None:
    text = re.sub(r"^# ([a-z_]+ = )", r"\1", template(), flags=re.MULTILINE)
    assert load(write(tmp_path, text), {}) == Config()
    assert "max_recipients = 1000" in text.splitlines()


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [server]
        hostname = "mail.example.com"
        [smtp]
        listeners = ["127.0.0.1:25", "[::1]:25", "*:587"]
        command_time = "90s"
        session_time = 600
        [smtp.trusted_networks]
        "10.0.0.0/8" = "shop"
        [http]
        trusted_proxies = ["192.0.2.0/24", "2001:db8::/32"]
        require_https = false
        [tracking]
        base = "HTTPS://Clicks.Example.com:8443/"
        [fetch]
        networks = ["10.1.0.0/16"]
        [delivery]
        retry_delays = ["1m", "1h"]
        smart_host = { host = "relay.example.com", port = 587, tls = "verified", user = "u", password = "p" }
        [[delivery.routes]]
        recipient = "*.Example.org"
        via = ["discard"]
        [[delivery.routes]]
        sender = "*"
        pool = "west"
        [[delivery.pools.west]]
        address = "2001:DB8::1"
        hello = "west.example.com"
        [[delivery.pools.west]]
        address = "192.0.2.1"
        weight = 3
        [delivery.smart_hosts.relay]
        host = "relay.example.com"
        [[delivery.limits]]
        target = "*.Example.net"
        connections = 2
        per_minute = 0
        recovery = "5m"
        [delivery.providers]
        hoster = ["*.MX.example"]
        [[delivery.rules]]
        name = "mine"
        state = ["rcptto"]
        """,
    )
    config = load(path, {})
    assert config.server.hostname == "mail.example.com"
    assert config.smtp.listeners == (Listen("127.0.0.1", 25), Listen("::1", 25), Listen("", 587))
    assert config.smtp.command_time == timedelta(seconds=90)
    assert config.smtp.session_time == timedelta(minutes=10)
    assert config.smtp.trusted_networks == {ip_network("10.0.0.0/8"): "shop"}
    assert config.tracking.base == "https://clicks.example.com:8443"
    assert config.fetch.networks == (ip_network("10.1.0.0/16"),)
    assert config.http.trusted_proxies == (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    assert config.http.require_https is False
    assert config.delivery.retry_delays == (timedelta(minutes=1), timedelta(hours=1))
    assert config.delivery.smart_host.tls is TlsMode.VERIFIED
    assert config.delivery.routes == (
        RouteLine(recipient=Pattern("*.example.org"), via=("discard",)),
        RouteLine(sender=DomainPattern("*"), pool="west"),
    )
    assert config.delivery.pools == {
        "west": (
            PoolAddress(Ip("2001:db8::1"), HelloName("west.example.com")),
            PoolAddress(Ip("192.0.2.1"), weight=3),
        )
    }
    assert config.delivery.smart_hosts == {"relay": SmartHost("relay.example.com")}
    assert config.delivery.limits == (
        LimitLine(Target("*.example.net"), connections=2, per_minute=0, recovery=timedelta(minutes=5)),
    )
    assert config.delivery.providers == {"hoster": ("*.mx.example",)}
    assert config.delivery.rules == ({"name": "mine", "state": ["rcptto"]},)


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """[smtp]
max_recipient = 5
max_errors = "ten"
command_time = "5 minutes"
listeners = ["25", ":99999"]
max_connections = 0

[http]
require_https = "yes"

[delivry]
x = 1

[delivery]
retry_delays = ["1m", "0s"]

[[delivery.routes]]
recipient = "ex ample.com"
via = ["mx"]
[[delivery.routes]]
vja = ["discard"]

[[delivery.pools.west]]
adress = "192.0.2.1"
[[delivery.pools.west]]
address = "192.0.2.256"
weight = 0

[delivery.pools."west wing"]

[delivery.smart_hosts.relay]
port = "25"

[[delivery.limits]]
connections = 0

[[delivery.rules]]
[delivery.providers]
hoster = ["*.mx.example", "*"]
""",
    )
    found = mistakes(path)
    assert [re.match(r"smtpeter.toml line (\d+): ([\w.\[\]]+(?: wing)?)", text).groups() for text in found] == [  # type: ignore[union-attr]
        ("2", "smtp.max_recipient"),
        ("3", "smtp.max_errors"),
        ("4", "smtp.command_time"),
        ("5", "smtp.listeners"),
        ("5", "smtp.listeners"),
        ("6", "smtp.max_connections"),
        ("9", "http.require_https"),
        ("11", "delivry"),
        ("15", "delivery.retry_delays"),
        ("18", "delivery.routes[0].recipient"),
        ("21", "delivery.routes[1].vja"),
        ("23", "delivery.pools.west[0].address"),
        ("24", "delivery.pools.west[0].adress"),
        ("26", "delivery.pools.west[1].address"),
        ("27", "delivery.pools.west[1].weight"),
        ("29", "delivery.pools.west wing"),
        ("29", "delivery.pools.west wing"),
        ("32", "delivery.smart_hosts.relay.port"),
        ("34", "delivery.limits[0].target"),
        ("35", "delivery.limits[0].connections"),
        ("39", "delivery.providers"),
    ]
    assert "did you mean max_recipients?" in found[0]
    assert "did you mean delivery?" in found[7]
    assert "did you mean via?" in found[10]


def test_environment_goes_before_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[smtp]\nmax_recipients = 500\nmax_errors = 7\n")
    config = load(
        path,
        {
            "SMTPETER_SMTP__MAX_RECIPIENTS": "200",
            "SMTPETER_HTTP__REQUIRE_HTTPS": "off",
            "SMTPETER_SMTP__LISTENERS": "127.0.0.1:1, :2",
            "SMTPETER_SMTP__TRUSTED_NETWORKS": "10.0.0.0/8=shop,::1/128=local",
            "SMTPETER_DELIVERY__SMART_HOST__HOST": "relay",
            "SMTPETER_DELIVERY__EXPIRE_AFTER": "7200",
            "SMTPETER_DELIVERY__RETRY_DELAYS": "90s,5m",
            "SMTPETER_CONFIG": "is not a setting",
            "PATH": "/bin",
        },
    )
    assert (config.smtp.max_recipients, config.smtp.max_errors) == (200, 7)
    assert config.http.require_https is False
    assert config.smtp.listeners == (Listen("127.0.0.1", 1), Listen("", 2))
    assert config.smtp.trusted_networks == {ip_network("10.0.0.0/8"): "shop", ip_network("::1"): "local"}
    assert config.delivery.smart_host.host == "relay"
    assert config.delivery.expire_after == timedelta(hours=2)
    assert config.delivery.retry_delays == (timedelta(seconds=90), timedelta(minutes=5))


def test_mistakes_in_the_environment_name_the_variable() -> None:
    found = mistakes(None, {"SMTPETER_SMTP__MAX_ERORS": "1", "SMTPETER_HTTP__MAX_BODY_BYTES": "many"})
    assert any("SMTPETER_SMTP__MAX_ERORS" in text and "did you mean max_errors?" in text for text in found)
    assert any(text.startswith("SMTPETER_HTTP__MAX_BODY_BYTES: http.max_body_bytes must be a whole") for text in found)


def test_secret_comes_from_a_file_and_shows_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("open sesame\n")
    path = write(tmp_path, f'[server]\nmaster_key_file = "{tmp_path}/secret"\n[store]\nurl = "postgresql://u:pw@h/d"\n')
    config = load(path, {})
    assert config.server.master_key == "open sesame"
    assert "sesame" not in repr(config)
    assert ":pw@" not in repr(config)
    assert load(path, {"SMTPETER_SERVER__MASTER_KEY": "other"}).server.master_key == "other"
    assert mistakes(path, {"SMTPETER_SERVER__MASTER_KEY_FILE": "/does/not/exist"}) == [
        "SMTPETER_SERVER__MASTER_KEY_FILE: server.master_key_file: /does/not/exist cannot be read: "
        "No such file or directory"
    ]


def test_secret_given_twice_is_a_mistake(tmp_path: Path) -> None:
    path = write(tmp_path, '[server]\nmaster_key = "a"\nmaster_key_file = "b"\n')
    assert "given twice" in mistakes(path)[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[tls]\ncertificate = "a.pem"\n', "line 2: tls.certificate needs"),
        ('[store]\nurl = "mysql://x"\n', "line 2: store.url must begin"),
        (
            '[delivery.routes]\n"*" = "discard"\n',
            "line 1: delivery.routes must be a list of tables: [[delivery.routes]]",
        ),
        (
            '[[delivery.routes]]\nvia = ["mx"]\n[[delivery.routes]]\nvia=["relai"]\n[delivery.smart_hosts.relay]\nhost="h"\n',
            "line 4: delivery.routes[1].via names relai, which is not among mx, smart_host, discard, capture, relay; did you mean relay?",
        ),
        ('[[delivery.routes]]\nvia = ["mx", "discard"]\n', "line 2: delivery.routes[0].via names mx beside others"),
        ('[[delivery.routes]]\nvia = ["smart_host"]\n', "line 2: delivery.routes[0].via names smart_host, but"),
        ('[[delivery.routes]]\nsender = "example.com"\n', "line 1: delivery.routes[0] says neither via nor pool"),
        ('[[delivery.routes]]\npool = "west"\n', "line 2: delivery.routes[0].pool names west, but there is no"),
        (
            '[[delivery.limits]]\ntarget = "*"\npool = "west"\nper_hour = 1\n',
            "line 3: delivery.limits[0].pool names west",
        ),
        ('[[delivery.limits]]\ntarget = "google"\n', "line 1: delivery.limits[0] says no limit"),
        ("[delivery.pools]\nwest = []\n", "line 2: delivery.pools.west must have at least one address"),
        (
            '[delivery.pools]\nwest = [{address = "::1"}, {address = "0::1"}]\n',
            "line 2: delivery.pools.west[1].address ::1 stands",
        ),
        (
            '[delivery.pools.west]\naddress = "::1"\n',
            "line 1: delivery.pools.west must be a list of tables: [[delivery.pools.west]]",
        ),
        (
            '[delivery]\nsmart_hosts = ["relay"]\n',
            "line 2: delivery.smart_hosts must be tables by name: [delivery.smart_hosts.NAME]",
        ),
        ('[delivery.smart_hosts]\nrelay = "host"\n', "line 2: delivery.smart_hosts.relay must be a table"),
        ("[delivery.smart_hosts.relay]\n", "line 1: delivery.smart_hosts.relay.host must be given"),
        ('[delivery.smart_hosts.mx]\nhost = "h"\n', "line 1: delivery.smart_hosts.mx cannot be a name"),
        (
            '[delivery.rules]\nname = "x"\n',
            "line 1: delivery.rules must be a list; its tables stand in double brackets",
        ),
        ("[delivery]\nrules = [1]\n", "line 2: delivery.rules [0] must be a table"),
        ('[delivery]\nsmart_host = "relay"\n', "must be a table"),
        ("[smtp\n", "is not valid TOML"),
        ('[server]\ndata_dir = "~no-such-user/x"\n', "line 2: server.data_dir must be a path; there is no such user"),
        (
            '[server]\nmaster_key_file = "~no-such-user/x"\n',
            "line 2: server.master_key_file: ~no-such-user/x cannot be",
        ),
        ("smtp = 1\n", "must be a table"),
        ("[delivery]\nretry_delays = []\n", "at least one wait"),
    ],
)
def test_settings_that_do_not_fit_together_are_told(tmp_path: Path, text: str, told: str) -> None:
    assert any(told in found for found in mistakes(write(tmp_path, text)))


def test_file_that_is_not_there_is_told() -> None:
    assert mistakes(Path("/does/not/exist.toml")) == ["exist.toml: cannot be read: No such file or directory"]


def test_development_defaults_can_be_overridden(tmp_path: Path) -> None:
    base = development(port_base=100)
    assert base.smtp.listeners == (Listen("127.0.0.1", 2625), Listen("127.0.0.1", 2687))
    config = load(write(tmp_path, "[development]\napprove_all = false\n"), {}, base)
    assert config.development.approve_all is False
    assert config.delivery.routes == (RouteLine(recipient=Pattern("*"), via=("capture",)),)
    assert load(write(tmp_path, "[delivery]\nroutes = []\n"), {}, base).delivery.routes == ()


def test_environment_reaches_tables_by_name_and_no_lists_of_tables(tmp_path: Path) -> None:
    path = write(
        tmp_path, '[delivery.smart_hosts.relay]\nhost = "one"\nuser = "u"\n[[delivery.routes]]\nvia = ["mx"]\n'
    )
    config = load(
        path,
        {
            "SMTPETER_DELIVERY__SMART_HOSTS__RELAY__HOST": "two",
            "SMTPETER_DELIVERY__SMART_HOSTS__BACKUP__HOST": "three",
            "SMTPETER_DELIVERY__SMART_HOSTS__BACKUP__PORT": "587",
            "SMTPETER_DELIVERY__PROVIDERS": "hoster=*.mx.example *.mx.example.net,google=",
        },
    )
    assert config.delivery.providers == {"hoster": ("*.mx.example", "*.mx.example.net"), "google": ()}
    assert config.delivery.smart_hosts == {"relay": SmartHost("two", user="u"), "backup": SmartHost("three", 587)}
    assert mistakes(path, {"SMTPETER_DELIVERY__ROUTES__0__VIA": "discard", "SMTPETER_DELIVERY__LIMITS": "x"}) == [
        "SMTPETER_DELIVERY__LIMITS: delivery.limits must be a list of tables: [[delivery.limits]]",
        "SMTPETER_DELIVERY__ROUTES__0__VIA: delivery.routes can only be given by the file",
    ]


def test_examples_of_the_generated_file_are_right_when_they_are_switched_on(tmp_path: Path) -> None:
    text = re.sub(r"^#   ", "", template(), flags=re.MULTILINE)
    delivery = load(write(tmp_path, text), {}).delivery
    tables = ("smart_hosts", "routes", "pools", "limits", "providers", "rules")
    assert all(getattr(delivery, name) for name in tables)


def test_secret_of_a_named_table_comes_from_a_file_and_does_not_show(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("open sesame\n")
    path = write(
        tmp_path, f'[delivery.smart_hosts.relay]\nhost = "h"\nuser = "u"\npassword_file = "{tmp_path}/secret"\n'
    )
    config = load(path, {})
    assert config.delivery.smart_hosts[Name("relay")].password == "open sesame"
    assert "sesame" not in repr(config)


def test_tables_of_a_list_are_counted() -> None:
    text = '[[a.b]]\nc = 1\n[[a.b]]\nc = 2\n[[a.b.d]]\n[a.b.e]\nf = 1\n[[a."b x"]]\n'
    assert key_lines(text) == {
        ("a", "b"): 1,
        ("a", "b", "0"): 1,
        ("a", "b", "0", "c"): 2,
        ("a", "b", "1"): 3,
        ("a", "b", "1", "c"): 4,
        ("a", "b", "1", "d"): 5,
        ("a", "b", "1", "d", "0"): 5,
        ("a", "b", "1", "e"): 6,
        ("a", "b", "1", "e", "f"): 7,
        ("a", "b x"): 8,
        ("a", "b x", "0"): 8,
    }


def test_lines_are_found_beside_strings_and_arrays_of_many_lines() -> None:
    text = 'a = """\n[x]\nb = 1\n"""\n[t]\nl = [\n  "[y]", # ]\n  2,\n]\n"odd key".c = 1\nd = {\n e = 1 }\n'
    assert key_lines(text) == {("a",): 1, ("t",): 5, ("t", "l"): 6, ("t", "odd key", "c"): 10, ("t", "d"): 11}


@pytest.mark.parametrize(
    ("pattern", "local", "domain", "fits"),
    [
        ("*", "a", "example.com", True),
        ("example.com", "a", "example.com", True),
        ("example.com", "a", "sub.example.com", False),
        ("*.example.com", "a", "sub.example.com", True),
        ("*.example.com", "a", "example.com", False),
        ("boss@example.com", "boss", "example.com", True),
        ("boss@example.com", "bosses", "example.com", False),
        ("boss@*", "boss", "example.net", True),
    ],
)
def test_recipient_patterns(pattern: str, local: str, domain: str, fits: bool) -> None:
    assert matches(pattern, local, domain) is fits


@pytest.mark.parametrize(
    "base", ["clicks.example.com", "ftp://a.example", "https://", "https://a.example/x", "https://u@a.example"]
)
def test_tracking_base_is_scheme_and_host_and_no_more(base: str) -> None:
    (mistake,) = mistakes(None, {"SMTPETER_TRACKING__BASE": base})
    assert "scheme and host" in mistake


def test_development_tracks_at_its_own_door() -> None:
    assert development(40).tracking.base == "http://127.0.0.1:8065"


@given(st.integers(min_value=0, max_value=10**8))
@settings(max_examples=60)
def test_duration_is_read_back_as_it_was_shown(milliseconds: int) -> None:
    value = timedelta(milliseconds=milliseconds)
    assert read_duration(show_duration(value).strip('"')) == value


@given(st.one_of(st.text(max_size=20), st.integers(), st.booleans(), st.lists(st.integers(), max_size=2), st.floats()))
@settings(max_examples=150)
def test_readers_give_a_value_or_a_sentence(value: object) -> None:
    for kind in KINDS.values():
        try:
            kind.read(value)
        except ValueError as wrong:
            assert str(wrong).startswith("must")


@given(st.text(alphabet="0123456789.:[]*abc", max_size=12))
@settings(max_examples=100)
def test_listening_address_is_read_back_as_it_was_shown(text: str) -> None:
    try:
        listen = read_listen(text)
    except ValueError:
        return
    assert read_listen(str(listen)) == listen
