import base64
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpeter.model.account import AccountId
from smtpeter.model.message import MessageId, message_id, new_submission_id
from smtpeter.wire.token import (
    HOSTED_CHARACTERS,
    LIFE,
    LOCAL_CHARACTERS,
    MAX_NUMBER,
    TOKEN_CHARACTERS,
    BadToken,
    Key,
    Keyring,
    Kind,
    head_of,
    read,
    read_hosted,
    read_local_part,
    target_digest,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MESSAGE = MessageId("0TfGv3kQ9zAbCdEfGhIj-77")
ACCOUNT = AccountId(5)
SHOP = "https://shop.example.com/a?b=1"
RING = Keyring([Key(3, b"k" * 32)])
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"  # RFC 4648 5
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

kinds = st.sampled_from([kind for kind in Kind if kind is not Kind.HOSTED])
ids = st.builds(
    lambda text, ordinal: message_id(text, ordinal),
    st.text(BASE62, min_size=20, max_size=20),
    st.integers(0, 9999),
)


def sealed(kind=Kind.CLICK, number=9, target=SHOP, ring=RING, account=ACCOUNT, message=MESSAGE):
    return ring.sealer(account, message).seal(kind, number, target)


def is_ours(token, account=ACCOUNT, target=SHOP, ring=RING, now=NOW):
    try:
        ring.check(read(token), account, now, target)
    except BadToken:
        return False
    return True


@given(kinds, ids, st.integers(0, MAX_NUMBER), st.integers(0, 2**63), st.text(max_size=300))
def test_what_was_sealed_is_read_back_and_holds(kind, message, number, account, target):
    token = RING.sealer(AccountId(account), message).seal(kind, number, target)
    assert len(token) == TOKEN_CHARACTERS
    reference = read(token)
    assert (reference.kind, reference.message, reference.number, reference.key) == (kind, message, number, 3)
    RING.check(reference, AccountId(account), NOW, target)


@given(st.integers(0, TOKEN_CHARACTERS - 1), st.sampled_from(BASE62 + "-_"))
def test_a_token_with_another_character_does_not_hold(place, character):
    token = sealed()
    altered = token[:place] + character + token[place + 1 :]
    assert is_ours(altered) == (altered == token)


@given(st.text(max_size=70) | st.text(BASE62 + "-_", min_size=40, max_size=40))
def test_any_text_is_read_or_refused_and_never_holds(text):
    # invariant: BadToken or a reference, nothing else
    assert not is_ours(text)
    for reader in (read_local_part, read_hosted):
        with pytest.raises(BadToken):
            reader(text)


def test_a_token_holds_only_for_its_account_and_target():
    assert is_ours(sealed())
    assert not is_ours(sealed(), account=AccountId(6))
    assert not is_ours(sealed(), target=SHOP + "2")
    assert not is_ours(sealed(), target="")


def test_kinds_never_cross():
    tokens = {kind: sealed(kind) for kind in Kind if kind is not Kind.HOSTED}
    for kind, token in tokens.items():
        assert read(token).kind is kind
        for other in tokens:
            # the kind of one in front of the hash of another
            forged = other_kind(token, other)
            assert is_ours(forged) == (kind is other)


def other_kind(token, kind):
    return BASE64[kind << 2 | BASE64.index(token[0]) & 3] + token[1:]


def test_return_path_is_no_link_and_a_link_is_no_return_path():
    local = RING.sealer(ACCOUNT, MESSAGE).seal_local_part()
    with pytest.raises(BadToken):
        read(local)
    octets = read(sealed())._octets
    with pytest.raises(BadToken):
        read_local_part(base64.b32encode(octets).decode().lower())


def test_return_path_survives_a_change_of_case():
    local = RING.sealer(ACCOUNT, MESSAGE).seal_local_part()
    assert len(local) == LOCAL_CHARACTERS <= 64
    assert local == local.lower()
    assert local.isalnum()
    for written in (local, local.upper(), local.title()):
        reference = read_local_part(written)
        assert reference.message == MESSAGE
        assert reference.number == ACCOUNT
        RING.check(reference, ACCOUNT, NOW)


@given(st.integers(0, LOCAL_CHARACTERS - 1), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_forged_return_path_does_not_hold(place, character):
    local = RING.sealer(ACCOUNT, MESSAGE).seal_local_part()
    altered = local[:place] + character + local[place + 1 :]
    if altered == local:
        return
    with pytest.raises(BadToken):
        RING.check(read_local_part(altered), ACCOUNT, NOW)


def test_a_retired_key_holds_for_400_days_and_45_for_return_paths():
    old = Key(1, b"o" * 32)
    token, local = (
        sealed(ring=Keyring([old])),
        Keyring([old]).sealer(ACCOUNT, MESSAGE).seal_local_part(),
    )
    rotated = Keyring([Key(2, b"n" * 32), Key(1, b"o" * 32, retired=NOW)])
    assert read(sealed(ring=rotated)).key == 2
    assert is_ours(token, ring=rotated, now=NOW + timedelta(days=400))
    assert not is_ours(token, ring=rotated, now=NOW + timedelta(days=400, seconds=1))
    rotated.check(read_local_part(local), ACCOUNT, NOW + timedelta(days=45))
    with pytest.raises(BadToken):
        rotated.check(read_local_part(local), ACCOUNT, NOW + timedelta(days=45, seconds=1))
    assert LIFE[Kind.BOUNCE] == timedelta(days=45)


def test_a_token_of_a_key_that_is_gone_or_of_another_installation_does_not_hold():
    assert not is_ours(sealed(), ring=Keyring([Key(4, b"k" * 32)]))
    assert not is_ours(sealed(), ring=Keyring([Key(3, b"x" * 32)]))


def test_many_tokens_are_those_that_are_made_one_by_one():
    wanted = [(head_of(Kind.CLICK, n), target_digest(f"{SHOP}{n}")) for n in range(7)]
    sealer = RING.sealer(ACCOUNT, MESSAGE)
    together = sealer.seal_all(wanted)
    assert [together[n * 40 : n * 40 + 40] for n in range(7)] == [
        sealer.seal(Kind.CLICK, n, f"{SHOP}{n}") for n in range(7)
    ]


def test_a_reference_knows_when_its_message_was_accepted():
    message = message_id(new_submission_id(int(NOW.timestamp() * 1000), 12345), 0)
    assert read(sealed(message=message)).accepted == NOW


@given(st.binary(min_size=32, max_size=32), st.integers(0, HOSTED_CHARACTERS - 1), st.sampled_from(BASE64))
def test_hosted_image_names_its_content_and_cannot_be_made_up(digest, place, character):
    token = RING.seal_hosted(ACCOUNT, digest)
    assert len(token) == HOSTED_CHARACTERS
    reference = read_hosted(token)
    assert (reference.account, reference.digest) == (ACCOUNT, digest)
    RING.check_hosted(reference, NOW)
    altered = token[:place] + character + token[place + 1 :]
    if altered != token:
        with pytest.raises(BadToken):
            RING.check_hosted(read_hosted(altered), NOW)


@pytest.mark.parametrize("keys", [[], [Key(1, b"a" * 32), Key(1, b"b" * 32)]])
def test_a_keyring_wants_keys_with_ids_of_their_own(keys):
    with pytest.raises(ValueError, match="id of its own"):
        Keyring(keys)


def test_a_short_secret_is_refused_and_no_secret_is_shown():
    with pytest.raises(ValueError, match="secret"):
        Key(1, b"short")
    assert "kkk" not in repr(Key(1, b"k" * 32))


def test_what_is_no_message_id_or_number_is_refused():
    with pytest.raises(ValueError, match="message id"):
        RING.sealer(ACCOUNT, MessageId("../../etc"))
    with pytest.raises(ValueError, match="number"):
        sealed(number=MAX_NUMBER + 1)


def test_seventy_tokens_cost_less_than_a_millisecond():
    wanted = [(head_of(Kind.CLICK, n), target_digest(f"{SHOP}{n}")) for n in range(70)]
    best = 1.0
    for _ in range(20):
        start = time.process_time()
        RING.sealer(ACCOUNT, MESSAGE).seal_all(wanted)
        best = min(best, time.process_time() - start)
    assert best < 0.001
