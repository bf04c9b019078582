"""PLAIN and LOGIN."""

from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.wire.sasl import MECHANISMS, Cancelled, Challenge, Credentials, ForeignIdentity, Login, Plain, SaslError


def b64(text: str) -> str:
    return b64encode(text.encode()).decode()


def test_plain_takes_everything_at_once() -> None:
    assert Plain().begin(b64("\0user\0secret")) == Credentials("user", "secret")
    assert Plain().begin(b64("user\0user\0secret")) == Credentials("user", "secret")


def test_plain_without_initial_response_asks() -> None:
    assert Plain().begin(None) == Challenge("")
    assert Plain().step(b64("\0jürgen\0pässword")) == Credentials("jürgen", "pässword")


def test_login_asks_for_user_and_password_in_turn() -> None:
    exchange = Login()
    assert exchange.begin(None) == Challenge("VXNlcm5hbWU6")
    assert exchange.step(b64("user")) == Challenge("UGFzc3dvcmQ6")
    assert exchange.step(b64("secret")) == Credentials("user", "secret")


def test_login_takes_the_user_as_initial_response() -> None:
    exchange = Login()
    assert exchange.begin(b64("user")) == Challenge("UGFzc3dvcmQ6")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_asterisk_cancels(mechanism: str) -> None:
    exchange = MECHANISMS[mechanism]()
    exchange.begin(None)
    with pytest.raises(Cancelled):
        exchange.step("*")


def test_nobody_logs_in_as_somebody_else() -> None:
    with pytest.raises(ForeignIdentity):
        Plain().begin(b64("root\0user\0secret"))


@pytest.mark.parametrize(
    "line",
    [
        "=",
        "",
        "AHVzZXIAc2VjcmV0=",  # too much padding
        "AHVzZXIAc2Vjcm",  # too little
        "AHVz ZXIAc2VjcmV0",
        "AHVzZXIAc2VjcmV0*",
        b64("user\0secret"),
        b64("\0user\0secret\0"),
        b64("\0user\0"),
        b64("\0\0secret"),
        b64("\0us\ner\0secret"),
        b64("\0user\0sec\x85ret"),
        b64encode(b"\0us\xffer\0secret").decode(),
    ],
)
def test_malformed_response_of_plain_is_refused(line: str) -> None:
    with pytest.raises(SaslError):
        Plain().begin(line)


def test_password_is_not_shown() -> None:
    assert "secret" not in repr(Credentials("user", "secret"))


@given(
    st.lists(st.text(max_size=40) | st.binary(max_size=40).map(lambda octets: b64encode(octets).decode()), max_size=3)
)
@settings(max_examples=300)
def test_any_lines_give_a_step_or_a_sasl_error(lines: list[str]) -> None:
    for mechanism in MECHANISMS.values():
        exchange = mechanism()
        try:
            steps = [exchange.step(line) for line in lines]
        except SaslError:
            continue
        for step in steps:
            if isinstance(step, Credentials):
                assert step.user and step.password and "\0" not in step.user + step.password
