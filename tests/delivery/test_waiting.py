"""The order in which a lane gives out what waits: urgent mail first, accounts in turn, nobody starved."""

from msgspec.structs import replace

from smtpeter.delivery.lanes.waiting import Waiting
from smtpeter.model.account import AccountId
from smtpeter.model.message import Message, MessageId
from smtpeter.store.accept import claimed_at_birth
from tests.store.mail import item, submission


def message(account: int, stream: str = "transactional") -> Message:
    return claimed_at_birth(item(submission(account=account, stream=stream), worker=1))[0]


def filled(*messages: Message) -> Waiting:
    waiting = Waiting()
    for one in messages:
        waiting.put(one)
    return waiting


def test_accounts_take_turns() -> None:
    waiting = filled(*(message(1) for _ in range(5)), message(2), message(3))
    assert [waiting.pop().account for _ in range(len(waiting))] == [1, 2, 3, 1, 1, 1, 1]


def test_messages_of_an_account_keep_their_order() -> None:
    messages = [message(1) for _ in range(20)]
    waiting = filled(*messages)
    assert [waiting.pop().id for _ in messages] == [one.id for one in messages]


def test_urgent_mail_goes_first_and_leaves_every_eighth_turn_to_the_rest() -> None:
    waiting = filled(*(message(1, "bulk") for _ in range(20)), *(message(2) for _ in range(20)))
    streams = [waiting.pop().options.stream for _ in range(16)]
    assert streams == (["transactional"] * 7 + ["bulk"]) * 2


def test_taken_out_messages_are_gone_and_the_others_stay_in_order() -> None:
    messages = [message(1 + n % 2) for n in range(10)]
    waiting = filled(*messages)
    out = waiting.take_out(lambda one: one.account == 1)
    assert [one.id for one in out] == [one.id for one in messages[::2]]
    assert len(waiting) == 5
    assert waiting.flows == {(0, 2)}
    assert [waiting.pop().id for _ in range(5)] == [one.id for one in messages[1::2]]


def test_flows_are_named_by_priority_and_account() -> None:
    first = message(1)
    waiting = filled(first, replace(first, id=MessageId("x"), account=AccountId(7)), message(1, "bulk"))
    assert waiting.flows == {(0, 1), (0, 7), (1, 1)}
