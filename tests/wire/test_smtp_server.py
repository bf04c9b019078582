"""The session: its facts, and that they do not depend on how octets arrive."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.model.message import Notify
from smtpeter.model.reply import reply
from smtpeter.wire.smtp_server import (
    BodyBegun,
    BodyPart,
    CredentialsGiven,
    Ended,
    Fact,
    MessageReceived,
    MessageRefused,
    RecipientGiven,
    SenderGiven,
    ServerPolicy,
    Session,
    SmtpEnvelope,
    State,
    TlsRequested,
)

OPEN = ServerPolicy(
    "mail.example.com", max_message_bytes=3000, requires_tls=False, requires_auth=False, allows_plain_auth=True
)
MX = ServerPolicy(
    "mx.example.com",
    max_message_bytes=3000,
    requires_tls=False,
    requires_auth=False,
    allows_auth=False,
    rejects_bare_newlines=True,
    asks_sender=True,
    asks_recipient=True,
)
TRANSACTION = b"EHLO c\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"
CHUNKS = TRANSACTION.replace(b"DATA", b"BDAT 5") + b"one\r\n"
QUEUED = reply(250, "2.0.0", "Ok, queued as 1")


class Run:
    """Drives a session to its end, answering at once or later, and keeps what came out."""

    def __init__(self, policy: ServerPolicy = OPEN, *, is_trusted: bool = True) -> None:
        self.session = Session(policy, is_tls=False, is_trusted=is_trusted)
        self.facts: list[Fact] = []
        self.output = b""

    def feed(self, *pieces: bytes, answers: bool = True) -> "Run":
        for piece in pieces:
            self.session.receive(piece)
            self.pump(answers)
        return self

    def pump(self, answers: bool = True) -> None:
        while True:
            while (fact := self.session.next_fact()) is not None:
                self.facts.append(fact)
            if not (answers and self.session.is_owed):
                break
            self.session.answer(QUEUED)
        self.output += self.session.take_output()

    @property
    def codes(self) -> list[int]:
        return [int(line[:3]) for line in self.output.split(b"\r\n") if line[3:4] == b" "]

    @property
    def settled(self) -> list[Fact | bytes]:
        """The facts with body parts joined, and those of refused bodies left out."""
        settled: list[Fact | bytes] = []
        body = b""
        for fact in self.facts:
            match fact:
                case BodyPart(data):
                    body += data
                case MessageReceived():
                    settled += [body, fact]
                    body = b""
                case BodyBegun() | MessageRefused():
                    body = b""
                    settled.append(fact)
                case _:
                    settled.append(fact)
        return settled


def test_envelope_holds_the_whole_transaction() -> None:
    run = Run().feed(
        b"EHLO c\r\nMAIL FROM:<a@example.com> SIZE=3 BODY=8BITMIME RET=FULL ENVID=e\r\n"
        b"RCPT TO:<b@example.net> NOTIFY=NEVER\r\nRCPT TO:<c@example.net>\r\nDATA\r\nx\r\n.\r\n"
    )
    *_, body, fact = run.settled
    assert body == b"x\r\n"
    assert isinstance(fact, MessageReceived)
    envelope = fact.envelope
    assert (envelope.sender, envelope.declared_bytes, envelope.is_8bit) == ("a@example.com", 3, True)
    assert (envelope.ret, envelope.envid) == ("FULL", "e")
    assert [r.address for r in envelope.recipients] == ["b@example.net", "c@example.net"]
    assert [r.dsn.notify for r in envelope.recipients] == [{Notify.NEVER}, frozenset()]


def test_next_transaction_knows_nothing_of_the_one_before() -> None:
    run = Run().feed(TRANSACTION + b"x\r\n.\r\n" + b"RCPT TO:<c@example.net>\r\n")
    run.feed(b"MAIL FROM:<>\r\nRCPT TO:<d@example.net>\r\nDATA\r\n.\r\n")
    assert run.codes == [250, 250, 250, 354, 250, 503, 250, 250, 354, 250]
    last = run.facts[-1]
    assert isinstance(last, MessageReceived)
    assert last.envelope == SmtpEnvelope("", last.envelope.recipients)
    assert [r.address for r in last.envelope.recipients] == ["d@example.net"]


def test_nothing_is_executed_while_an_answer_is_owed() -> None:
    run = Run().feed(TRANSACTION + b"x\r\n.\r\nNOOP\r\nQUIT\r\n", answers=False)
    assert isinstance(run.facts[-1], MessageReceived)
    assert run.codes == [250, 250, 250, 354]
    assert run.session.waiting_octets == 12
    run.pump()
    assert run.codes[4:] == [250, 250, 221]
    assert run.facts[-1] == Ended(is_wished=True)


def test_refused_recipient_leaves_the_others_alone() -> None:
    session = Session(MX, is_tls=False, is_trusted=False)
    session.receive(TRANSACTION.replace(b"DATA", b"RCPT TO:<c@example.net>\r\nDATA") + b"x\r\n.\r\n")
    asked: list[str] = []
    received: list[str] = []
    while (fact := session.next_fact()) is not None:
        match fact:
            case SenderGiven(sender):
                assert sender == "a@example.com"
                session.answer(reply(250, "2.1.0", "Sender OK"))
            case RecipientGiven(_, recipient):
                asked.append(recipient.address)
                session.answer(reply(550, "5.1.1", "No") if len(asked) == 1 else reply(250, "2.1.5", "Yes"))
            case MessageReceived(envelope):
                received += [r.address for r in envelope.recipients]
            case _:
                pass
    assert (asked, received) == (["b@example.net", "c@example.net"], ["c@example.net"])


def test_broken_body_is_answered_once_at_its_true_end() -> None:
    run = Run().feed(TRANSACTION, b"a\0b\r\n", b"x" * 5000 + b"\r\n")
    assert run.codes == [250, 250, 250, 354]
    run.feed(b"QUIT\r\n.\r\n")
    assert run.codes == [250, 250, 250, 354, 552]
    assert run.settled[-1] == MessageRefused()
    assert run.session.state is State.READY


def test_oversize_body_is_not_kept() -> None:
    run = Run().feed(TRANSACTION, *[b"x" * 1000] * 2000)
    assert sum(len(f.data) for f in run.facts if isinstance(f, BodyPart)) <= 3000
    assert run.session.waiting_octets == 0


def test_body_is_handed_on_as_it_arrives() -> None:
    run = Run().feed(TRANSACTION, b"one\r\n")
    assert run.facts[-1] == BodyPart(b"one")  # the line end may be the beginning of the end
    run.feed(b"two")
    assert run.facts[-1] == BodyPart(b"\r\ntwo")


def test_password_is_not_shown() -> None:
    run = Run().feed(b"EHLO c\r\nAUTH PLAIN AHVzZXIAc2VjcmV0\r\n")
    assert run.facts == [CredentialsGiven("PLAIN", "user", "secret")]
    assert "secret" not in repr(run.facts)
    assert run.session.is_authenticated


def test_handshake_forgets_everything() -> None:
    policy = ServerPolicy("m.example", requires_tls=False, requires_auth=False, allows_plain_auth=True, has_tls=True)
    run = Run(policy, is_trusted=False).feed(b"EHLO c\r\nAUTH PLAIN AHVzZXIAc2VjcmV0\r\nSTARTTLS\r\nNOOP\r\n")
    assert run.facts[-1] == TlsRequested()
    session = run.session
    assert session.waiting_octets == 0
    session.tls_started()
    assert (session.helo, session.is_authenticated, session.is_tls, session.state) == ("", False, True, State.NEW)


def test_drain_waits_for_the_message_on_its_way() -> None:
    last_word = reply(421, "4.3.2", "Closing")
    run = Run().feed(TRANSACTION + b"x\r\n")
    run.session.drain(last_word)
    run.pump()
    assert run.codes[-1] == 354
    run.feed(b".\r\nNOOP\r\n")
    assert run.codes[-2:] == [250, 421]
    assert run.facts[-1] == Ended()


def test_drain_ends_a_waiting_session_at_once() -> None:
    run = Run()
    run.session.drain(reply(421, "4.3.2", "Closing"))
    run.pump()
    assert run.codes == [421]
    assert run.facts == [Ended()]


def test_shut_ends_in_the_middle_and_a_late_answer_is_lost() -> None:
    run = Run().feed(TRANSACTION + b"x\r\n.\r\n", answers=False)
    run.session.shut(reply(421, "4.4.2", "Closing"))
    run.session.answer(QUEUED)
    run.pump()
    assert run.codes[-1] == 421
    assert run.facts[-1] == Ended()
    run.feed(b"NOOP\r\n")
    assert run.codes[-1] == 421


def test_end_of_input_within_a_body_leaves_nothing() -> None:
    run = Run().feed(TRANSACTION + b"x\r\n.")
    run.session.receive_eof()
    run.pump()
    assert run.facts[-1] == Ended(is_wished=True)
    assert not any(isinstance(fact, MessageReceived) for fact in run.facts)


def test_answer_that_nobody_asked_for_is_a_mistake() -> None:
    with pytest.raises(RuntimeError):
        Run().session.answer(QUEUED)


@pytest.mark.parametrize("count", [1000, 20_000])
def test_as_many_recipients_as_were_promised_fit_in_however_long_they_are(count: int) -> None:
    policy = ServerPolicy("m.example", requires_tls=False, requires_auth=False, max_recipients=count)
    long = ".".join(["d" * 63] * 3)[:185] + ".net"
    run = Run(policy).feed(b"EHLO c\r\nMAIL FROM:<%b@%b> RET=HDRS\r\n" % (b"a" * 64, long.encode()))
    run.feed(*[f"RCPT TO:<{n:064}@{long}>\r\n".encode() for n in range(count + 1)])
    assert run.codes == [250, 250, *[250] * count, 452]


def test_envelope_of_hostile_size_is_bounded() -> None:
    run = Run().feed(b"EHLO c\r\nMAIL FROM:<a@example.com>\r\n")
    long = b"RCPT TO:<b@example.net> ORCPT=rfc822;" + b"x" * 480 + b"\r\n"
    run.feed(*[long] * 1000)
    assert run.codes.count(452) > 400
    assert run.codes.count(250) < 600


_FRAGMENTS = [
    b"EHLO c\r\n",
    b"HELO c\r\n",
    b"MAIL FROM:<a@example.com>\r\n",
    b"MAIL FROM:<> SIZE=5000\r\n",
    b"RCPT TO:<b@example.net>\r\n",
    b"RCPT TO:<bad\r\n",
    b"DATA\r\n",
    TRANSACTION,
    b"AUTH LOGIN\r\n",
    b"AUTH PLAIN AHVzZXIAc2VjcmV0\r\n",
    b"dXNlcg==\r\n",
    b"*\r\n",
    b"BDAT 5\r\n",
    b"BDAT 0 LAST\r\n",
    b"BDAT 7 LAST\r\n",
    CHUNKS,
    b"RSET\r\n",
    b"QUIT\r\n",
    b".\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\r.\r",
    b"\r\n.\n",
    b"..",
    b".",
    b"\r",
    b"\n",
    b"\0",
    b"\xff",
    b"text",
    b"x" * 2046,
    b"\x16\x03\x01",
    b"GET / HTTP/1.1\r\n",
]
_text = st.lists(st.sampled_from(_FRAGMENTS) | st.binary(max_size=6), max_size=14).map(b"".join)
# most of the streams get into a body for certain
stream = (
    _text
    | st.builds(lambda text, rest: TRANSACTION + text + b"\r\n.\r\n" + rest, _text, _text)
    | st.builds(lambda text, rest: CHUNKS + b"BDAT %d LAST\r\n" % len(text) + text + rest, _text, _text)
)
policy = st.sampled_from([OPEN, MX])


@given(policy, stream, st.data())
@settings(max_examples=250, deadline=None)
def test_any_split_of_the_same_octets_gives_the_same(policy: ServerPolicy, octets: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=8)))
    pieces = [octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    whole = Run(policy).feed(octets)
    parts = Run(policy).feed(*pieces)
    assert parts.output == whole.output
    assert parts.settled == whole.settled


@pytest.mark.parametrize("policy", [OPEN, MX], ids=["submission", "mx"])
def test_every_place_of_a_cut_gives_the_same(policy: ServerPolicy) -> None:
    octets = TRANSACTION + b".\r\n..\r\n.a\r\n\r\n..b\r\n.\r\nMAIL FROM:<>\r\n" + b"y" * 2060 + b"\r\nQUIT\r\n"
    octets = octets.replace(b"DATA\r\n.\r\n", b"DATA\r\n..\r\n", 1)
    whole = Run(policy).feed(octets)
    assert b".\r\n.\r\na\r\n\r\n.b\r\n" in whole.settled
    for cut in range(len(octets)):
        parts = Run(policy).feed(octets[:cut], octets[cut:])
        assert (parts.output, parts.settled) == (whole.output, whole.settled), cut


@pytest.mark.parametrize(("octets", "code"), [(65536, 250), (65537, 554)])
def test_text_line_is_measured_over_all_its_pieces(octets: int, code: int) -> None:
    large = ServerPolicy("m.example", requires_tls=False, requires_auth=False)
    line = b"x" * octets + b"\r\n"
    run = Run(large).feed(TRANSACTION, b"short\r\n", *(line[i : i + 1000] for i in range(0, len(line), 1000)), b".\r\n")
    assert run.codes[-1] == code


@pytest.mark.parametrize(("octets", "code"), [(2048, 250), (2049, 500)])
def test_command_line_is_measured_wherever_it_is_cut(octets: int, code: int) -> None:
    line = b"NOOP " + b"x" * (octets - 7) + b"\r\n"
    for cut in range(2040, octets):
        assert Run().feed(line[:cut], line[cut:], b"QUIT\r\n").codes == [code, 221]


@given(policy, stream)
@settings(max_examples=60, deadline=None)
def test_octet_by_octet_gives_the_same(policy: ServerPolicy, octets: bytes) -> None:
    whole = Run(policy).feed(octets)
    parts = Run(policy).feed(*(octets[i : i + 1] for i in range(len(octets))))
    assert parts.output == whole.output
    assert parts.settled == whole.settled


@given(policy, stream, stream)
@settings(max_examples=150, deadline=None)
def test_a_late_answer_gives_the_same_as_a_prompt_one(policy: ServerPolicy, first: bytes, second: bytes) -> None:
    prompt = Run(policy).feed(first, second)
    late = Run(policy).feed(first, second, answers=False)
    late.pump()
    assert late.output == prompt.output
    assert late.settled == prompt.settled


@given(policy, stream)
@settings(max_examples=250, deadline=None)
def test_any_octets_end_well_and_no_message_comes_without_its_transaction(policy: ServerPolicy, octets: bytes) -> None:
    """Whatever comes in: no exception, replies in form, and per message one MAIL, one RCPT, one DATA and its end."""
    run = Run(policy).feed(octets)
    for line in run.output.split(b"\r\n")[:-1]:
        assert line[:3].isdigit() and line[3:4] in b" -" and len(line) <= 510
    begun = 0
    for fact in run.facts:
        if isinstance(fact, BodyBegun):
            begun += 1
        elif isinstance(fact, MessageReceived):
            begun -= 1
            assert fact.envelope.recipients
            assert fact.envelope.sender in ("", "a@example.com")
        elif isinstance(fact, MessageRefused):
            begun -= 1
        assert begun in (0, 1)
    messages = sum(isinstance(fact, MessageReceived) for fact in run.facts)
    ends = octets.count(b"\r\n.\r\n") + octets.count(b" LAST\r\n")
    assert messages <= min(octets.count(b"MAIL FROM"), octets.count(b"RCPT TO"), ends)


@given(stream)
@settings(max_examples=150, deadline=None)
def test_body_survives_stuffing_and_unstuffing(text: bytes) -> None:
    content = text.replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n"
    stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    large = ServerPolicy("m.example", requires_tls=False, requires_auth=False)
    run = Run(large).feed(TRANSACTION, stuffed + b".\r\n")
    assert run.settled[-2] == content


@given(stream, st.data())
@settings(max_examples=150, deadline=None)
def test_content_is_the_same_wherever_chunks_are_cut(octets: bytes, data: st.DataObject) -> None:
    text = octets.replace(b"\0", b"")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    chunks = b"".join(b"BDAT %d\r\n%b" % (len(piece), piece) for piece in pieces) + b"BDAT 0 LAST\r\n"
    large = ServerPolicy("m.example", requires_tls=False, requires_auth=False)
    run = Run(large).feed(TRANSACTION.replace(b"DATA\r\n", chunks))
    mended = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    assert run.settled[-2] == (mended if not mended or mended.endswith(b"\r\n") else mended + b"\r\n")


def test_chunk_is_handed_on_as_it_arrives_and_nothing_of_it_waits() -> None:
    run = Run().feed(TRANSACTION.replace(b"DATA", b"BDAT 2000 LAST"))
    assert run.session.is_in_body
    for _ in range(20):
        run.feed(b"x" * 99 + b"\n")
        assert run.session.waiting_octets == 0
    assert run.settled[-2] == (b"x" * 99 + b"\r\n") * 20
    assert not run.session.is_in_body


def test_oversize_chunk_is_neither_kept_nor_executed() -> None:
    run = Run().feed(TRANSACTION.replace(b"DATA", b"BDAT 2000000 LAST"), *[b"QUIT\r\nQUIT" * 100] * 1999)
    assert run.codes == [250, 250, 250]
    assert run.session.is_in_body
    run.feed(b"QUIT\r\nQUIT" * 100, b"NOOP\r\n")
    assert run.codes == [250, 250, 250, 552, 250]
    assert not any(isinstance(fact, BodyPart) for fact in run.facts)
    assert run.facts[-1] == MessageRefused()


def test_refused_chunk_counts_as_body_until_it_is_gone() -> None:
    run = Run().feed(b"EHLO c\r\nBDAT 100\r\n" + b"x" * 99)
    assert run.session.is_in_body
    assert run.codes == [250]
    before = run.session.progress
    run.feed(b"y")
    assert run.codes == [250, 503]
    assert not run.session.is_in_body
    assert run.session.progress > before


def test_end_of_input_within_chunks_leaves_nothing() -> None:
    for end in (b"", b"BDAT 5 LAST\r\nsix\r"):
        run = Run().feed(CHUNKS + end)
        run.session.receive_eof()
        run.pump()
        assert run.facts[-1] == Ended(is_wished=True)
        assert not any(isinstance(fact, MessageReceived) for fact in run.facts)


def test_drain_waits_for_the_last_chunk() -> None:
    run = Run().feed(CHUNKS)
    run.session.drain(reply(421, "4.3.2", "Closing"))
    run.pump()
    assert run.codes[-1] == 250
    run.feed(b"BDAT 5 LAST\r\ntwo\r\nNOOP\r\n")
    assert run.codes[-2:] == [250, 421]
    assert run.facts[-1] == Ended()


def test_chunks_of_nothing_do_not_go_on_for_ever() -> None:
    run = Run().feed(CHUNKS, b"BDAT 0\r\n" * 200)
    assert run.codes[-1] == 421
    assert run.facts[-1] == Ended()


def test_a_pipeline_behind_a_refused_chunk_is_answered_one_by_one() -> None:
    run = Run().feed(TRANSACTION.replace(b"DATA", b"BDAT 1") + b"\0" + b"BDAT 6\r\nQUIT\r\n" * 50 + b"RSET\r\n")
    assert run.codes == [250, 250, 250, 554, *[503] * 50, 250]


def test_message_in_utf8_is_told_so() -> None:
    run = Run().feed(TRANSACTION.replace(b"com>", b"com> SMTPUTF8") + b"x\r\n.\r\n")
    assert isinstance(run.facts[-1], MessageReceived)
    assert run.facts[-1].envelope.is_utf8


@pytest.mark.parametrize(("is_hurried", "replies"), [(True, [250, 500, 421]), (False, [250, *[500] * 10, 421])])
def test_mistakes_are_not_borne_with_in_a_hurry(is_hurried: bool, replies: list[int]) -> None:
    run = Run()
    run.session.hurry(is_hurried=is_hurried)
    run.feed(b"EHLO c\r\n" + b"WHAT\r\n" * 20)
    assert run.codes == replies


@pytest.mark.parametrize(
    "make",
    [
        lambda n: TRANSACTION + b"\r\n." * n,
        lambda n: TRANSACTION + b"\r\n.\r" * n,
        lambda n: TRANSACTION + b"\n" * n,
        lambda n: b"RSET " * n,
        lambda n: b"\r" * n,
        lambda n: TRANSACTION.replace(b"DATA", b"BDAT 1000000") + b"\r" * n,
        lambda n: TRANSACTION.replace(b"DATA\r\n", b"BDAT 1\r\n\r" * (n // 9)),
        lambda n: b"BDAT 1000000\r\n" + b"\n" * n,
    ],
)
def test_octets_that_come_one_by_one_cost_linear_time(make: Callable[[int], bytes]) -> None:
    def cost(n: int) -> float:
        octets = make(n)
        run = Run()
        started = time.process_time()
        for i in range(len(octets)):
            run.session.receive(octets[i : i + 1])
            while run.session.next_fact() is not None:
                pass
        return (time.process_time() - started) / len(octets)

    small = min(cost(2000) for _ in range(3))
    assert min(cost(20_000) for _ in range(2)) < 4 * small
