"""What delivery put before a message when it was sent (trace, signatures, marks), in half the octets.

A submission may have a thousand messages and a block for each. They are alike but for ids, times and hashes, so they are
deflated (RFC 1951) over a text that holds what is common to all. The text is part of the format: a better one gets a
number of its own. Blocks that an earlier version kept begin with a letter and are as they were sent.
"""

import zlib

_COMMON = (
    b"Received: by localhost with ESMTPSA id 0Vbi;\r\n , 1 Jan 2026 00:00:00 +0000\r\nDKIM-Signature: v=1; "
    b"a=ed25519-sha256; a=rsa-sha256; c=relaxed/relaxed; d=example.com;\r\n s=;\r\n t=17; x=17;\r\n "
    b"h=from:from:to:to:cc:subject:subject:date:date:reply-to:message-id:\r\n message-id:mime-version:mime-version:"
    b"content-type:content-type:\r\n content-transfer-encoding:content-transfer-encoding:\r\n list-unsubscribe:"
    b"list-unsubscribe-post:feedback-id:feedback-id;\r\n bh=;\r\n b=\r\n ==\r\nX-Smtpeter-Id: 0Vbi\r\n"
    b"Feedback-ID: 0Vbi:transactional:1:smtpeter\r\n"
)
_DEFLATED = b"\x01"
_WINDOW_BITS, _MEMORY = -12, 5  # raw, and small: setting up a larger window takes longer than the work


def pack(block: bytes) -> bytes:
    """Gives a block as it is kept."""
    packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW_BITS, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _COMMON)
    return _DEFLATED + packer.compress(block) + packer.flush()


def unpack(kept: bytes) -> bytes:
    """Gives a block as it was sent. Raises zlib.error for what is not ours."""
    if not kept.startswith(_DEFLATED):
        return kept
    return zlib.decompressobj(_WINDOW_BITS, zdict=_COMMON).decompress(kept[1:])
