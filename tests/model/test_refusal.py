"""The SMTP replies that refusals become."""

import pytest

from smtpeter.model.refusal import Refused
from smtpeter.model.reply import MAX_REPLY_OCTETS


@pytest.mark.parametrize(
    ("domain", "shown"),
    [
        ("x.example", "x.example"),
        ("b\u00fccher.example", r"b\xfccher.example"),
        ("a\r\n250 Ok", "a??250 Ok"),
        ("a\x85b\x7f", "a?b?"),
        ("\U0001f600", r"\U0001f600"),
    ],
)
def test_a_reply_is_printable_ascii_whatever_it_repeats(domain: str, shown: str) -> None:
    encoded = Refused("sender_not_allowed", domain=domain).reply.encode()
    assert encoded.startswith(f"550 5.7.1 This login may not send from {shown};".encode())
    assert encoded.count(b"\r\n") == 1


def test_a_long_reply_has_lines_that_are_short_enough() -> None:
    domain = ".".join(["d" * 60] * 4)
    encoded = Refused("sender_domain_not_approved", domain=domain).reply.encode()
    lines = encoded.split(b"\r\n")[:-1]
    assert len(lines) == 2
    assert all(len(line) + 2 <= MAX_REPLY_OCTETS for line in lines)
    assert (lines[0][:10], lines[1][:10]) == (b"550-5.7.1 ", b"550 5.7.1 ")
    assert encoded.count(domain.encode()) == 2
