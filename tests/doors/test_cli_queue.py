"""`smtpeter queue`, verb by verb, over a real store."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smtpeter.config import Config
from smtpeter.doors.cli import accounts
from smtpeter.doors.cli.queue import limits, look, move, pauses, queue, routes, rules
from smtpeter.doors.cli.queue.chosen import Chosen
from smtpeter.doors.cli.shared import Common, with_store
from smtpeter.model.account import AccountId
from smtpeter.model.event import Cancel
from smtpeter.model.message import Message, MessageId
from smtpeter.model.outcome import State
from smtpeter.model.steering import LaneReport
from smtpeter.store.accept import accept
from smtpeter.store.booking import HoldBack, hold_back
from smtpeter.store.claim import ClaimRequest
from smtpeter.store.claim import claim as claim_messages
from smtpeter.store.events import EventQuery, events_of
from smtpeter.store.lane_reports import LaneReports, put_reports
from smtpeter.store.settle import settle
from smtpeter.store.store import Store
from smtpeter.store.waiting import Selection, WaitingQuery, waiting_messages
from tests.store.mail import claim, deferred, delivered, fill, held, item, submission

Capture = pytest.CaptureFixture[str]
A_CENTURY = 3e9  # seconds: the rows of these tests are of a fixed day, and the commands look at the clock
RULE = 'name = "ours"\ncode = "4.."\ntext = "slow down"\nverdict = "retry"\nscope = "lane"\neffect = "slow"\n'


@pytest.fixture
def common(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Common:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SMTPETER_CONFIG", raising=False)
    return Common(data_dir=tmp_path / "data", json=True)


@pytest.fixture
def plain(common: Common) -> Common:
    return Common(data_dir=common.data_dir)


def configure(text: str) -> None:
    Path("smtpeter.toml").write_text(text)


def store_with(common: Common, work: Callable[[Store], Awaitable[Any]]) -> Any:
    async def run(store: Store, _: Config) -> Any:
        return await work(store)

    return with_store(common, run)


def printed(capsys: Capture) -> Any:
    return json.loads(capsys.readouterr().out)


def refused(capsys: Capture, command: Callable[..., None], *words: Any, **options: Any) -> tuple[object, str]:
    """Gives exit code and sentence of a command that must fail."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        command(*words, **options)
    said = capsys.readouterr()
    assert said.out == ""
    return caught.value.code, said.err


def ids_in(common: Common, lane: str) -> list[str]:
    async def look_up(store: Store) -> list[str]:
        query = WaitingQuery(Selection((lane,)), datetime.now(UTC), 100)
        return [message.id for message in await store.read(waiting_messages, query)]

    found: list[str] = store_with(common, look_up)
    return found


async def one_deferred(store: Store, domain: str = "a.example", lane: str = "mx:mail.a.example") -> MessageId:
    await store.write(accept, item(submission(domain), lane))
    (message,) = await claim(store)
    await store.write(settle, deferred(message, A_CENTURY))
    return message.id


# --- list and show ---


def test_an_empty_queue_is_said_to_be_empty(plain: Common, capsys: Capture) -> None:
    look.queue_list(common=plain)
    assert capsys.readouterr().out == "Nothing is queued.\n"


def test_list_counts_all_states_when_it_is_asked_to(common: Common, capsys: Capture) -> None:
    async def make(store: Store) -> None:
        await store.write(accept, item(submission("a.example", "b.example"), "lane"))
        (message,) = await claim(store, 1)
        await store.write(settle, delivered(message))

    store_with(common, make)
    look.queue_list(all=True, common=common)
    waiting = {"lane": "lane", "state": "queued", "count": 1, "oldest_due": "2026-03-01T12:00:00Z"}
    assert printed(capsys) == [{"lane": "lane", "state": "delivered", "count": 1, "oldest_due": None}, waiting]


def test_list_shows_how_each_lane_goes_over_all_workers(common: Common, plain: Common, capsys: Capture) -> None:
    now = datetime.now(UTC)
    until = (now + timedelta(minutes=5)).replace(microsecond=0)
    slow = LaneReport("mx:google", 2, 5, 3, 30.0, 10.0, None, "push-back", "421 4.7.28 slower")
    resting = LaneReport("mx:mail.a.example", 0, 1, 0, None, 0.0, until, "does not answer")

    async def make(store: Store) -> None:
        await one_deferred(store)
        await fill(store, 3, lane="mx:google")
        await fill(store, 1, lane="mx:other.example")
        await store.write(put_reports, LaneReports(1, now, (slow, resting)))
        await store.write(put_reports, LaneReports(2, now, (LaneReport("mx:google", 1, 5, 0, 12.5, 2.5),)))

    store_with(common, make)
    look.queue_list(common=common)
    shown = {lane["lane"]: lane for lane in printed(capsys)}
    google = shown["mx:google"]
    assert (google["queued"], google["connections"], google["max_connections"]) == (3, 3, 10)
    assert (google["state"], google["rate_per_minute"], google["sent_per_minute"]) == ("slowed", 42.5, 12.5)
    assert google["last_reply"] == "421 4.7.28 slower"
    away = shown["mx:mail.a.example"]
    assert (away["state"], away["deferred"]) == ("resting", 1)
    assert datetime.fromisoformat(away["resting_until"]) == until
    assert shown["mx:other.example"]["state"] == "ok"
    look.queue_list(common=plain)
    text = capsys.readouterr().out
    assert "slowed to 42.5/min" in text
    assert f"resting until {until:%H:%M:%S}" in text
    look.queue_list(chosen=Chosen(lane="google"), common=common)
    assert [lane["lane"] for lane in printed(capsys)] == ["mx:google"]


def test_show_tells_of_lane_domain_and_message(common: Common, plain: Common, capsys: Capture) -> None:
    async def make(store: Store) -> MessageId:
        id = await one_deferred(store, "b.example")
        await fill(store, 1, lane="mx:mail.a.example")
        return id

    id = store_with(common, make)
    configure('[[delivery.limits]]\ntarget = "mail.a.example"\nper_minute = 7\n')
    look.show_one("mail.a.example", common=common)
    found = printed(capsys)
    assert [lane["lane"] for lane in found["lanes"]] == ["mx:mail.a.example"]
    assert (found["lanes"][0]["limits"]["per_minute"], len(found["messages"])) == (7, 2)
    look.show_one("b.example", common=common)
    assert [message["id"] for message in printed(capsys)["messages"]] == [id]
    look.show_one(id, common=plain)
    text = capsys.readouterr().out
    assert "deferred" in text
    assert "250 2.0.0 OK" in text
    assert refused(capsys, look.show_one, "c.example", common=common)[0] == 1
    assert "smtpeter message" in refused(capsys, look.show_one, "0" * 20, common=common)[1]


# --- flush and drop ---


def test_flush_makes_deferred_mail_of_a_domain_due(common: Common, capsys: Capture) -> None:
    async def make(store: Store) -> None:
        await one_deferred(store)
        await one_deferred(store, "b.example", "mx:b")

    store_with(common, make)
    move.flush(chosen=Chosen(lane="a.example"), common=common)
    said = capsys.readouterr()
    assert json.loads(said.out) == {"flushed": 1}
    logged = json.loads(said.err)
    assert (logged["event"], logged["lanes"], logged["count"]) == ("queue.flushed", ["mx:mail.a.example"], 1)
    assert logged["who"].startswith("shell:")
    move.flush(all=True, common=common)
    assert printed(capsys) == {"flushed": 1}
    now = (datetime.now(UTC) - datetime(2026, 3, 1, 12, tzinfo=UTC)).total_seconds()
    assert len(store_with(common, lambda store: claim(store, at=now + 1))) == 2


def test_flush_of_more_than_a_step_is_complete(common: Common, capsys: Capture) -> None:
    async def make(store: Store) -> None:
        await store.write(accept, item(submission(*["a.example"] * 2100), "lane"))
        for message in await claim(store, 2100):
            await store.write(settle, deferred(message, A_CENTURY))

    store_with(common, make)
    move.flush(all=True, common=common)
    assert printed(capsys) == {"flushed": 2100}


def test_drop_tells_first_and_acts_when_it_is_confirmed(common: Common, capsys: Capture) -> None:
    id = store_with(common, one_deferred)
    move.drop(chosen=Chosen(domain="A.example"), common=common)
    assert printed(capsys) == {"dropped": 0, "would_be_dropped": 1}
    assert ids_in(common, "mx:mail.a.example") == [id]
    move.drop([id], yes=True, reason="a mistake", common=common)
    assert printed(capsys) == {"dropped": 1}
    told = store_with(common, lambda store: store.read(events_of, EventQuery(AccountId(1), id)))
    assert told[-1].event == Cancel("a mistake")
    move.drop(all=True, yes=True, common=common)
    assert printed(capsys) == {"dropped": 0}


def test_what_is_held_back_is_dropped_and_what_is_under_way_is_not(common: Common, capsys: Capture) -> None:
    async def make(store: Store) -> Message:
        await fill(store, 2)
        now = datetime.now(UTC)
        request = ClaimRequest(worker=1, now=now, until=now + timedelta(hours=1), limit=10)
        one, two = await store.write(claim_messages, request)
        await store.write(hold_back, HoldBack((held(one),), 1))
        return two

    under_way = store_with(common, make)
    move.drop(all=True, yes=True, common=common)
    assert printed(capsys) == {"dropped": 1}
    assert ids_in(common, "lane") == [under_way.id]


@pytest.mark.parametrize("command", [move.flush, move.drop])
def test_which_mail_is_meant_must_be_said(common: Common, capsys: Capture, command: Callable[..., None]) -> None:
    assert refused(capsys, command, common=common)[0] == 2
    assert refused(capsys, command, all=True, chosen=Chosen(domain="a.example"), common=common)[0] == 2
    assert refused(capsys, command, ["no id"], common=common)[0] == 2
    assert refused(capsys, command, chosen=Chosen(lane="nowhere"), common=common)[0] == 1


# --- pauses ---


def test_pause_is_listed_shown_and_resumed(common: Common, plain: Common, capsys: Capture) -> None:
    store_with(common, lambda store: fill(store, 1, lane="mx:mail.a.example"))
    pauses.pause(lane="*.a.example", duration="2h", reason="they asked", common=common)
    (made,) = printed(capsys)
    assert (made["id"], made["lane"], made["reason"]) == (1, "*.a.example", "they asked")
    left = datetime.fromisoformat(made["until"]) - datetime.now(UTC)
    assert timedelta(minutes=119) < left <= timedelta(hours=2)
    look.queue_list(common=plain)
    assert "paused (1)" in capsys.readouterr().out
    pauses.pauses(common=common)
    assert printed(capsys) == [made]
    pauses.resume([1], common=common)
    assert printed(capsys) == [made]
    pauses.pauses(common=plain)
    assert capsys.readouterr().out == "Nothing is paused.\n"
    look.queue_list(common=common)
    assert printed(capsys)[0]["state"] == "ok"


def test_pause_of_a_part_of_a_lane_does_not_pause_the_lane(common: Common, capsys: Capture) -> None:
    accounts.account_create("acme", common=common)
    store_with(common, lambda store: fill(store, 1, lane="mx:google"))
    pauses.pause(lane="google", account="acme", stream="bulk", common=common)
    capsys.readouterr()
    look.queue_list(common=common)
    assert printed(capsys)[0]["state"] == "ok"
    pauses.pauses(common=common)
    (shown,) = printed(capsys)
    assert (shown["account"], shown["stream"], shown["until"]) == ("acme", "bulk", None)


def test_domain_as_the_lane_of_a_pause_means_the_lanes_of_its_mail(common: Common, capsys: Capture) -> None:
    store_with(common, lambda store: fill(store, 1, lane="mx:google"))  # at a.example
    pauses.pause(lane="a.example", common=common)
    assert [one["lane"] for one in printed(capsys)] == ["mx:google"]
    pauses.pause(domain="*.A.example", common=common)
    assert [(one["lane"], one["domain"]) for one in printed(capsys)] == [("", "*.a.example")]


def test_resume_ends_all_pauses_or_none_when_one_is_unknown(common: Common, capsys: Capture) -> None:
    pauses.pause(all_mail=True, common=common)
    pauses.pause(tag="x", common=common)
    code, sentence = refused(capsys, pauses.resume, [1, 9], common=common)
    assert (code, "no pause 9" in sentence) == (1, True)
    pauses.pauses(common=common)
    assert len(printed(capsys)) == 2
    pauses.resume(all=True, common=common)
    assert len(printed(capsys)) == 2
    pauses.pauses(common=common)
    assert printed(capsys) == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"all_mail": True, "tag": "x"},
        {"tag": "x", "duration": "soon"},
        {"tag": "x", "duration": "999999999d"},
        {"tag": "a\nb"},
        {"domain": "not a domain"},
        {"address": "192.0.2"},
        {"pool": "nowhere"},
        {"reason": "why", "all_mail": True, "duration": "-1h"},
        {"stream": "\udcff"},
    ],
)
def test_pause_that_makes_no_sense_is_refused(common: Common, capsys: Capture, options: dict[str, Any]) -> None:
    assert refused(capsys, pauses.pause, **options, common=common)[0] == 2
    pauses.pauses(common=common)
    assert printed(capsys) == []


# --- limits ---


def test_limits_are_listed_in_the_order_in_which_they_count(common: Common, capsys: Capture) -> None:
    configure('[[delivery.limits]]\ntarget = "*.a.example"\nconnections = 3\nper_second = 2\n')
    store_with(common, lambda store: fill(store, 1, lane="mx:mail.a.example"))
    limits.limits_set("mail.a.example", connections=1, recovery="5m", common=common)
    assert printed(capsys)["recovery"] == "5m"
    limits.limits_list(common=common)
    lines = printed(capsys)
    assert [(line["from"], line["target"]) for line in lines[:2]] == [
        ("stored", "mail.a.example"),
        ("configured", "*.a.example"),
    ]
    assert (lines[-1]["from"], lines[-1]["target"], lines[-1]["connections"]) == ("general", "*", 20)
    limits.limits_list("a.example", common=common)
    (line,) = printed(capsys)
    assert (line["lane"], line["connections"], line["per_second"], line["messages_per_connection"]) == (
        "mx:mail.a.example",
        1,
        2,
        100,
    )


def test_limits_are_replaced_and_unset(common: Common, capsys: Capture) -> None:
    limits.limits_set("google", connections=1, per_minute=5, common=common)
    limits.limits_set("google", connections=2, common=common)
    capsys.readouterr()
    limits.limits_unset("Google", common=common)
    gone = printed(capsys)
    assert (gone["connections"], gone["per_minute"]) == (2, None)
    assert refused(capsys, limits.limits_unset, "google", common=common)[0] == 1


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("google", {}),
        ("google", {"connections": 0}),
        ("google", {"per_second": -1}),
        ("google", {"recovery": "long"}),
        ("google", {"recovery": "30d"}),
        ("google", {"connections": 1, "pool": "nowhere"}),
        ("", {"connections": 1}),
        ("with a blank", {"connections": 1}),
    ],
)
def test_limit_that_makes_no_sense_is_refused(
    common: Common, capsys: Capture, target: str, options: dict[str, Any]
) -> None:
    assert refused(capsys, limits.limits_set, target, **options, common=common)[0] == 2


# --- routes ---


def test_routes_are_listed_in_their_order_and_removed(common: Common, capsys: Capture) -> None:
    configure(
        '[delivery.smart_hosts.backup]\nhost = "relay.example"\n'
        '[[delivery.routes]]\nrecipient = "b.example"\nvia = ["mx"]\n'
    )
    accounts.account_create("acme", common=common)
    routes.routes_add(recipient="*.A.example", via="backup", account="acme", common=common)
    routes.routes_add(stream="bulk", via="discard", position=0, common=common)
    capsys.readouterr()
    routes.routes_list(common=common)
    found = printed(capsys)
    assert [(one["from"], one["id"]) for one in found] == [("stored", 2), ("stored", 1), ("configured", None)]
    assert (found[1]["recipient"], found[1]["via"], found[1]["account"]) == ("*.a.example", ["backup"], "acme")
    routes.routes_remove(2, common=common)
    assert printed(capsys)["stream"] == "bulk"
    assert refused(capsys, routes.routes_remove, 2, common=common)[0] == 1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"recipient": "a.example"},
        {"via": "nowhere"},
        {"via": "mx,discard"},
        {"pool": "nowhere"},
        {"via": "mx", "recipient": "a b"},
        {"via": "mx", "sender": "joe@example.com"},
        {"via": "mx", "account": "nobody"},
    ],
)
def test_route_that_leads_nowhere_is_refused(common: Common, capsys: Capture, options: dict[str, Any]) -> None:
    assert refused(capsys, routes.routes_add, **options, common=common)[0] == 2


# --- rules ---


def test_stored_rule_goes_before_the_configured_and_the_shipped_ones(common: Common, capsys: Capture) -> None:
    rule = RULE.replace('"ours"', '"theirs"').replace("slow down", "down")
    configure(f"[[delivery.rules]]\n{rule}")
    rules.rules_test("451 4.7.1 slow down", common=common)
    assert printed(capsys)["rule"] == "theirs"
    Path("rule.toml").write_text(RULE)
    rules.rules_add(Path("rule.toml"), common=common)
    made = printed(capsys)
    assert made["text"] == "[[rule]]\n" + RULE
    rules.rules_test("451 4.7.1 slow down", state=State.DATA, common=common)
    verdict = printed(capsys)
    assert (verdict["rule"], verdict["verdict"], verdict["scope"], verdict["effect"]) == (
        "ours",
        "retry",
        "lane",
        "slow",
    )
    rules.rules_list(common=common)
    listed = printed(capsys)
    assert [(one["from"], one["name"]) for one in listed[:2]] == [("stored", "ours"), ("configured", "theirs")]
    assert listed[2]["from"] == "shipped"
    rules.rules_remove(made["id"], common=common)
    capsys.readouterr()
    rules.rules_test("550 5.1.1 no such user", common=common)
    assert printed(capsys)["verdict"] == "fail"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "name"),
        ("[[rule]]\n" + RULE + "[[rule]]\n" + RULE, "2"),
        (RULE.replace("retry", "perhaps"), "fail or retry"),
        (RULE + 'colour = "red"\n', "colour"),
        (RULE.replace("slow down", "(("), "ours"),
        ("name =", "cannot be read"),
    ],
)
def test_rule_that_cannot_be_read_is_refused_with_its_reason(
    common: Common, capsys: Capture, text: str, reason: str
) -> None:
    Path("rule.toml").write_text(text)
    code, sentence = refused(capsys, rules.rules_add, Path("rule.toml"), common=common)
    assert (code, reason in sentence) == (2, True), sentence
    rules.rules_list(common=common)
    assert {one["from"] for one in printed(capsys)} == {"shipped"}


def test_rules_are_tested_with_a_reply_only(common: Common, capsys: Capture) -> None:
    for words in ("hello", "250 fine", "4711 no"):
        assert refused(capsys, rules.rules_test, words, common=common)[0] == 2
    assert refused(capsys, rules.rules_add, Path("missing.toml"), common=common)[0] == 2


# --- the words themselves ---


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("list --all --json", []),
        ("pauses --json", []),
        ("routes list --json", []),
        ("pause --tag x --for 1h --json", "x"),
        ("limits set google --per-minute 5 --json", 5),
        ("limits --json", "general"),
        ("flush --all --json", 0),
        ("drop --domain a.example --json", 0),
    ],
)
def test_words_of_the_command_line_lead_to_the_commands(
    common: Common, capsys: Capture, words: str, expected: object
) -> None:
    queue([*words.split(), "--data-dir", str(common.data_dir)], result_action="return_value")
    found = printed(capsys)
    seen = found[-1] if isinstance(found, list) and found else found
    assert found == expected or expected in seen.values()


def test_each_command_has_an_example_of_itself(capsys: Capture) -> None:
    for name in (
        "list",
        "show",
        "pause",
        "pauses",
        "resume",
        "flush",
        "drop",
        "limits set",
        "rules test",
        "routes add",
    ):
        queue([*name.split(), "--help"], result_action="return_value")
        assert f"smtpeter queue {name}" in " ".join(capsys.readouterr().out.split())
