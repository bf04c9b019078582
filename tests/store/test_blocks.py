"""Blocks before sent messages: the same octets come back, in fewer of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpeter.store.blocks import pack, unpack

BLOCK = (
    b"Received: by mx.example.net with HTTPS id 0VbirVGMOZPkYlqE9br6-731;\r\n Sun, 22 Nov 2026 17:05:28 +0000\r\n"
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com;\r\n s=development;\r\n"
    b" t=1795367128; x=1796576728;\r\n h=from:from:to:to:cc:subject:subject:date:date:reply-to:message-id:\r\n"
    b" message-id:mime-version:mime-version:content-type:content-type:\r\n"
    b" list-unsubscribe:list-unsubscribe-post:feedback-id:feedback-id;\r\n"
    b" bh=5a++ISOgYZ31Eaq772zL3wJoRdwhPNWL8zfggFhsE88=;\r\n b=\r\n"
    b" Lz46D6qdWRsUXFrhgnT2ryTuqIRwDUvA/uJPUBXU4NwsBASehOgPM1S9Z0eXR8uKxjFGeSPAmR\r\n"
    b" 1HidhT9odQ/U5lnDyZTorx5h43Nm1A6HvkeRyC0Z26O43QFKsEZq4bJPxioCwlUBEqEM9ErKZr\r\n"
    b" al6fsUMZSnZ+IOrWmL6xDg/OG4NpcRAPqFajEk/mzDfKtPRdxIWIJIK/44gIlTx7yf4vIhnB3P\r\n"
    b" vl8glKHoJ57LbXA/DgsNui6lpSJBH4AYad/Hbg7h4udkqFtVveEOkX46hxLZ3Ii8QzqamU8IKY\r\n"
    b" jbVFpvgmHgz06+oiknNjf8ifyAxkfmeTWhcpzlESGO9iiA==\r\n"
    b"X-Smtpeter-Id: 0VbirVGMOZPkYlqE9br6-731\r\nFeedback-ID: 0VbirVGMOZPkYlqE9br6:bulk:17:smtpeter\r\n"
)


@given(st.binary(max_size=5000))
def test_any_block_comes_back(block: bytes) -> None:
    assert unpack(pack(block)) == block


def test_a_usual_block_takes_half_of_its_octets() -> None:
    assert unpack(pack(BLOCK)) == BLOCK
    assert len(pack(BLOCK)) < len(BLOCK) * 0.55


@pytest.mark.parametrize("kept", [b"", BLOCK])
def test_a_block_of_an_earlier_version_is_as_it_was_sent(kept: bytes) -> None:
    assert unpack(kept) == kept
