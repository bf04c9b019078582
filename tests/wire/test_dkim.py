import base64
import re
import shutil
import subprocess
from datetime import UTC, datetime

import dkim as other
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smtpeter.wire import dkim

NOW = datetime.now(UTC).replace(microsecond=0)
RSA = dkim.load_private_key(dkim.generate("rsa-sha256"))
ED = dkim.load_private_key(dkim.generate("ed25519-sha256"))
SIGNERS = [dkim.Signer("example.com", "zero", RSA), dkim.Signer("Exämple.org", "ed.one", ED)]
# made with openssl, used nowhere else
SHORT_KEY = (
    "MIIBygIBAAJhALl6RoIz43fFCMaTWEqoYsdR0ESqqtiWxQMFLI+X4+vftLGkLTqoecUSgG8duCKJQnxuvukDZQy0byopbp7JQEys"
    "S66c0DbGSIQBKQbZ2uvPUJlpaK7+jkiogs/tlYTkXwIDAQABAmB4ne7aX1oOmkDBujJRor1R939kGESwQyPteeDnpJQg4ULFvwl2"
    "uvctVIHXQNFtDCrmEs5H6qa1N4u9H7lAT5dvHkMRqlB9eGFwsTs06zjE+D1lAxe1/miUCykzYHRfoakCMQD1NkFeOIDrp2glA6F7"
    "u5lPD2J3r/xqV0Yo0nQ7U4UoRz/PkoVHj9Fp80072d684+0CMQDBo0BlQEItTZTxURVa+5XtZxPmD3qnfj4lg7OoqkyPdAl6DKHK"
    "zo80R/CTfAKPt/sCMEfVqBqxFNt0RGcrhCAaWhQ2HpOPg7Onc4877/79PbIKBWCKvO607BVMyGBzN/RAFQIwefYXEy7b/6jDzRKi"
    "/sFDd1nbIKZTPLe48Ov49pz8x8XwSh02soRTkjxVfK849ciNAjEAnqNGEvZQmSYeSXAzK2FjFprg0Z3GHI0C87m9GUgRZDYIqcZK"
    "+Uf0104z6nceiBxy"
)
HEAD = b"From: a@example.com\r\nTo: b@example.org\r\nSubject: hello\r\nMessage-ID: <1@example.com>\r\n"

# Debian keeps it where only administrators look
OPENDKIM_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


def records(name, timeout=5):
    keys = {b"zero._domainkey.example.com.": RSA, b"ed.one._domainkey.xn--exmple-cua.org.": ED}
    return dkim.public_record(keys[name]).encode()


def verifies(message, index):
    """As a receiver does, who has CRLF behind the last line whether it was written or not."""
    received = message if message.endswith(b"\r\n") else message + b"\r\n"
    try:
        return other.DKIM(received).verify(idx=index, dnsfunc=records)
    except other.ValidationError:
        return False


def signed(head, body):
    return dkim.sign(SIGNERS, head, body, NOW) + head + b"\r\n" + body


blanks = st.sampled_from([b" ", b"  ", b"\t", b"\r\n ", b"\r\n\t ", b" \r\n  "])
words = st.lists(st.sampled_from([b"a", b"B;c", b"<x@y>", b"=?utf-8?q?x?=", b"\xc3\xa9"]), min_size=1, max_size=4)
values = st.builds(
    lambda parts, gaps: b"".join(g + p for p, g in zip(parts, gaps, strict=False)), words, st.lists(blanks, min_size=4)
)
names = st.sampled_from(
    [b"From", b"to", b"SUBJECT", b"Date", b"Reply-To", b"X-Other", b"Received", b"List-Unsubscribe", b"Feedback-ID"]
)
fields = st.builds(lambda n, v, end: n + b":" + v + end + b"\r\n", names, values, st.sampled_from([b"", b" ", b"\t"]))
lines = st.sampled_from([b"", b".", b"..", b" ", b"\t \t", b"a  b", b" a\t", b"From me", b"\xff\xfe", b"x" * 998])
bodies = st.builds(
    lambda ls, end: b"\r\n".join(ls) + end,
    st.lists(lines, max_size=8),
    st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b" \r\n"]),
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(fields, max_size=8), bodies)
@example([], b"")
@example([], b"\r\n\r\n")
@example([], b" ")
def test_another_program_verifies_what_we_sign(extra, body):
    message = signed(b"From: a@example.com\r\n" + b"".join(extra), body)
    assert verifies(message, 0)
    assert verifies(message, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject: hello", b"Subject: hullo"),
        (b"\r\n\r\ntext", b"\r\n\r\ntext."),
        (b"From: a@example.com\r\n", b"From: a@example.com\r\nFrom: b@example.net\r\n"),
        (b"Subject: hello\r\n", b"Subject: x\r\nSubject: hello\r\n"),
        (b"To: b", b"Reply-To: evil@example.net\r\nTo: b"),
        (b"To: b", b"List-Unsubscribe-Post: x\r\nTo: b"),
        (b"To: b", b"Content-Type: text/html\r\nTo: b"),
        (b"To: b", b"Cc: c@example.net\r\nTo: b"),
    ],
)
def test_any_change_or_addition_breaks_the_signature(old, new):
    message = signed(HEAD, b"text\r\n")
    changed = message.replace(old, new)
    assert verifies(message, 0) and changed != message
    assert not verifies(changed, 0)
    assert not verifies(changed, 1)


@pytest.mark.parametrize(
    "change", [lambda m: m.replace(b"Subject: hello", b"subject:  hello "), lambda m: m + b"\r\n\r\n"]
)
def test_what_relays_do_to_blanks_does_no_harm(change):
    assert verifies(change(signed(HEAD, b"a b\r\n")), 0)


def test_every_listed_name_is_signed_once_more_than_it_is_present():
    field = dkim.sign(SIGNERS[:1], HEAD + b"Subject: again\r\n", b"", NOW)
    listed = re.search(rb"h=([^;]*);", field)[1].replace(b"\r\n ", b"").split(b":")
    assert {name: listed.count(name) for name in dkim.SIGNED} == {
        **dict.fromkeys(dkim.SIGNED, 1),
        b"from": 2,
        b"to": 2,
        b"message-id": 2,
        b"subject": 3,
    }


def test_the_field_says_when_it_was_made_and_when_it_ends_and_signs_the_whole_body():
    field = dkim.sign(SIGNERS[:1], HEAD, b"x", NOW)
    made = int(NOW.timestamp())
    assert b"t=%d; x=%d;" % (made, made + 14 * 86400) in field
    assert b"a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=zero;" in field
    assert b"l=" not in re.sub(rb"bh?=[^;]*", b"", field)
    assert all(len(line) <= 78 for line in field.split(b"\r\n"))


def test_the_same_input_gives_the_same_octets():
    assert signed(HEAD, b"x") == signed(HEAD, b"x")
    assert dkim.sign([], HEAD, b"x", NOW) == b""


@given(st.binary(max_size=300) | st.text(" \t\r\na", max_size=60).map(str.encode))
def test_the_relaxed_body_is_canonical(body):
    body = body.replace(b"\r", b"").replace(b"\n", b"\r\n")
    once = dkim.relaxed_body(body)
    assert once == b"" or once.endswith(b"\r\n")
    assert dkim.relaxed_body(once) == once
    expected = re.sub(rb"[\t ]+", b" ", re.sub(rb"[\t ]+(?=\r\n|\Z)", b"", body))
    assert once.rstrip(b"\r\n") == expected.rstrip(b"\r\n")


def test_short_keys_and_other_kinds_are_refused():
    short = rsa.generate_private_key(65537, 1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert dkim.load_private_key(short, is_trusted=False).key_size == 1024
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for data in (curve, b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(dkim.KeyRefused):
            dkim.load_private_key(data)


def test_a_key_of_768_bits_is_refused():
    with pytest.raises(dkim.KeyRefused, match="768 bits"):
        dkim.load_private_key(base64.b64decode(SHORT_KEY))


def test_names_that_could_break_the_field_are_refused():
    for selector in ("", "a b", "a;b", "a\r\nb", "-a", "x" * 70):
        with pytest.raises(ValueError):
            dkim.Signer("example.com", selector, RSA)
    with pytest.raises(ValueError):
        dkim.Signer("example.com; l=0", "zero", RSA)


def test_no_key_is_shown():
    assert repr(SIGNERS[0]) == "Signer(domain='example.com', selector='zero')"


def test_made_keys_have_the_promised_size_and_unknown_algorithms_are_refused():
    assert RSA.key_size == 2048
    assert dkim.public_record(ED).startswith("v=DKIM1;k=ed25519;p=")
    with pytest.raises(dkim.KeyRefused):
        dkim.generate("rsa-sha1")


@pytest.mark.skipif(shutil.which("opendkim", path=OPENDKIM_PATH) is None, reason="opendkim is not installed")
@pytest.mark.parametrize("number", [0, 1])
def test_opendkim_verifies_what_we_sign(tmp_path, number):
    signer, key = SIGNERS[number], (RSA, ED)[number]
    (tmp_path / "keys").write_text(f"{signer.selector}._domainkey.{signer.domain} {dkim.public_record(key)}\n")
    (tmp_path / "conf").write_text(f"Mode v\nTestPublicKeys {tmp_path}/keys\nSyslog no\nAlwaysAddARHeader yes\n")
    head = HEAD + b"Cc:  c@example.org,\r\n\td@example.org \r\nSubject: again \r\n"
    for body, result in ((b"a  b\t\r\n.\r\n\r\n", "dkim=pass"), (b"changed\r\n", "dkim=fail")):
        field = dkim.sign([signer], head, b"a  b\t\r\n.\r\n\r\n", NOW)
        (tmp_path / "mail").write_bytes(field + head + b"\r\n" + body)
        command = [
            shutil.which("opendkim", path=OPENDKIM_PATH),
            "-t",
            tmp_path / "mail",
            "-x",
            tmp_path / "conf",
            "-vv",
        ]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert result in ran.stdout + ran.stderr
