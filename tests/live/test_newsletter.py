"""One call, a thousand recipients: each gets the mail that is meant for him, and little is kept for each of them."""

import email
import email.policy
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import turbohtml

from bench.newsletter import CARDS, document
from tests.live.gateway import Gateway, running
from tests.live.receivers import Dump, open_folder, smtp_sink
from tests.live.verifiers import development_records, dkimpy_verifies
from tests.live.waiting import until

RECIPIENTS = 1000
MAX_KEPT_OCTETS = 1024  # for each recipient, beyond what is kept once
TRACKING = "https://clicks.example.com"
POINTS = (499, 500, 501)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, dict[str, Dump]]]:
    """The gateway, and what arrived, by recipients."""
    people = {
        f"reader{n}@example.org": {
            "first": f"Zoë {n}",
            "last": "<Müller>",
            "number": 100_000 + n,
            "points": POINTS[n % 3],
        }
        for n in range(RECIPIENTS)
    }
    folder = tmp_path_factory.mktemp("newsletter")
    with (
        open_folder() as dumps,
        smtp_sink(dumps) as sink,
        running(Gateway(folder, "--smart-host", sink.place, TRACKING__BASE=TRACKING)) as gateway,
    ):
        template = document() | {"from": "news@example.com"}
        switches = {"inlinecss": True, "trackclicks": True, "trackopens": True}
        answer = gateway.send(template=template, recipients=people, **switches)
        assert answer.status == 200, answer.text
        assert sorted(answer.json.values()) == sorted(people)
        mails = until(lambda: len(found := sink.mails()) >= RECIPIENTS and found, "all have their mail", 60)
        assert len(mails) == RECIPIENTS
        until(lambda: gateway.queue_counts() == {"delivered": RECIPIENTS}, "all results are recorded", 30)
        yield gateway, {mail.recipients[0]: mail for mail in mails}


def test_each_of_a_thousand_mails_is_right(sent: tuple[Gateway, dict[str, Dump]]) -> None:
    gateway, mails = sent
    assert len(mails) == RECIPIENTS
    for n in range(RECIPIENTS):
        message = email.message_from_bytes(mails[f"reader{n}@example.org"].content, policy=email.policy.default)
        assert message["Subject"] == f"News for Zoë {n} <Müller>"
        html, text = message.get_body(("html",)), message.get_body(("plain",))
        assert html is not None and text is not None
        assert text.get_content().startswith(f"Dear Zoë {n} <Müller>,")
        page = turbohtml.parse(html.get_content())
        shown = page.text
        assert shown.count(f"for Zoë {n}") == CARDS + 1  # with the title
        assert f"Dear Zoë {n} <Müller>," in shown
        assert (f"collecting {POINTS[n % 3]} points" in shown) is (POINTS[n % 3] > 500)
        links = [str(link.attrs["href"]) for link in page.select("a[href]")]
        assert len(links) == 1 + 2 * CARDS
        account = f"https://www.example.com/account?id={100_000 + n}"
        wanted = [account, *(offer for card in range(CARDS) for offer in offers(card))]
        for link, end in list(zip(links, wanted, strict=True))[: None if n == 0 else 1]:
            assert link.startswith(f"{TRACKING}/")
            answer = gateway.http("GET", link.removeprefix(TRACKING))
            assert (answer.status, answer.headers["location"]) == (302, end)


def offers(card: int) -> tuple[str, str]:
    """Gives where the links of a card lead."""
    buy = f"https://shop{card % 4}.example.com/offers/{card}?utm_source=mail&c=news"
    return buy, f"https://www.example.com/more/{card}?x=1"


def test_every_signature_holds(sent: tuple[Gateway, dict[str, Dump]]) -> None:
    gateway, mails = sent
    records = development_records(gateway, "example.com")
    assert [who for who, mail in mails.items() if not dkimpy_verifies(mail.content, records)] == []


def test_what_is_kept_of_a_mail_beyond_its_source_is_small(sent: tuple[Gateway, dict[str, Dump]]) -> None:
    """The row of the message with its data, and what stood before the content when it left."""
    gateway, _ = sent
    path: Path = gateway.data_dir / "smtpeter.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        columns = [row[1] for row in store.execute("pragma table_info(messages)")]
        row = " + ".join(f"coalesce(length(cast({name} as blob)), 0)" for name in columns)
        query = f"select {row} + length(b.message) + length(b.block) from messages join sent_blocks b on b.message = id"
        sizes = [size for (size,) in store.execute(query)]
    assert len(sizes) == RECIPIENTS
    assert max(sizes) <= MAX_KEPT_OCTETS
