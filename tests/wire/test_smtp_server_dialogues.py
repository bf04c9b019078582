"""Every dialogue file against the pure core."""

import pytest

from smtpeter.model.reply import Reply
from smtpeter.wire.smtp_server import (
    BodyBegun,
    BodyPart,
    CredentialsGiven,
    Ended,
    MessageReceived,
    MessageRefused,
    Question,
    RecipientGiven,
    SenderGiven,
    Session,
    State,
    TlsRequested,
)
from tests import dialogues
from tests.dialogues import (
    Dialogue,
    Expect,
    ExpectEnd,
    ExpectMessage,
    ExpectOffers,
    Send,
    SendEof,
    StartTls,
    all_dialogues,
)


class Pump:
    """Moves octets in and out of a session and answers its questions."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.heard = b""
        self.body = b""
        self.last_message: bytes | None = None
        self.is_ended = False

    def run(self) -> None:
        while (fact := self.session.next_fact()) is not None:
            match fact:
                case BodyBegun():
                    self.body = b""
                case BodyPart(data):
                    self.body += data
                case Ended():
                    self.is_ended = True
                case TlsRequested() | MessageRefused():
                    pass
                case _:
                    self.session.answer(self.judge(fact))
        self.heard += self.session.take_output()

    def hear(self) -> str:
        line, _, self.heard = self.heard.partition(b"\r\n")
        return line.decode()

    def judge(self, question: Question) -> Reply:
        match question:
            case CredentialsGiven(_, user, password):
                return dialogues.judge_login(user, password)
            case SenderGiven(sender):
                return dialogues.judge_sender(sender)
            case RecipientGiven(_, recipient):
                return dialogues.judge_recipient(recipient.address)
            case MessageReceived(envelope):
                answer = dialogues.judge_message(envelope.sender)
                if answer.is_positive:
                    self.last_message = self.body
                return answer


@pytest.mark.parametrize("dialogue", all_dialogues(), ids=lambda dialogue: dialogue.name)
def test_dialogue(dialogue: Dialogue) -> None:
    pump = Pump(Session(dialogue.policy, is_tls=dialogue.is_tls, is_trusted=dialogue.is_trusted))
    pump.session.greet()
    pending = b""
    for step in dialogue.steps:
        if not isinstance(step, Send) and pending:
            pump.session.receive(pending)
            pending = b""
        pump.run()
        match step:
            case Send(octets):
                pending += octets
            case SendEof():
                pump.session.receive_eof()
            case StartTls():
                assert pump.session.state is State.HANDSHAKE
                pump.session.tls_started()
            case Expect():
                line = pump.hear()
                assert step.matches(line), f"{step.pattern!r} expected, heard {line!r}"
            case ExpectOffers():
                while (line := pump.hear()).startswith("250-"):
                    pass
                assert line.startswith("250 "), f"the end of the offers expected, heard {line!r}"
            case ExpectEnd():
                assert pump.is_ended and pump.heard == b""
            case ExpectMessage(body):
                assert pump.last_message == body
    pump.session.receive(pending)
    pump.run()
    assert pump.heard == b""
