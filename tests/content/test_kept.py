from smtpeter.content.kept import Kept


def test_what_was_used_last_is_kept():
    kept = Kept(max_bytes=100, max_entries=2)
    kept.keep("a", 1, 10)
    kept.keep("b", 2, 10)
    assert kept.get("a") == 1
    kept.keep("c", 3, 10)
    assert [kept.get(key) for key in "abc"] == [1, None, 3]


def test_the_bound_of_octets_makes_room_and_what_exceeds_it_alone_is_not_kept():
    kept = Kept(max_bytes=100, max_entries=9)
    for key in "abcd":
        kept.keep(key, key, 30)
    assert [kept.get(key) for key in "abcd"] == [None, "b", "c", "d"]
    kept.keep("big", 1, 101)
    assert kept.get("big") is None and kept.get("d") == "d"
    kept.keep("all", 1, 100)
    assert kept.get("all") == 1 and kept.get("d") is None


def test_keeping_again_replaces_and_counts_once():
    kept = Kept(max_bytes=100, max_entries=9)
    kept.keep("a", 1, 60)
    kept.keep("a", 2, 60)
    kept.keep("b", 3, 40)
    assert (kept.get("a"), kept.get("b")) == (2, 3)
