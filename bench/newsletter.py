"""A newsletter to many: one call of REST, each recipient with data of its own, tracked, styled, signed and delivered.

Some 40 KB of HTML with 70 links, all tracked; values stand in text, in a title and in a link, and one block is for some
recipients only. Counted from the beginning of the call until the receiver has the last message. How much the store has
grown for each recipient, beyond the one copy of what was sent, is measured when the gateway has been stopped.
"""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.gateway import TOKEN, Gateway
from bench.load import SENDER, LoadFailed, Spent
from bench.processes import receiving
from bench.rounds import EVERYTHING, Bench, Line, one_round, spread

RECIPIENTS = 1000
WARM_UP_RECIPIENTS = 100
CARDS = 35  # each with two links
_ANSWER_SECONDS = 60.0
_TRACKING = "https://clicks.bench.test"
_STYLE = """
body { margin: 0; background: #f4f4f4 } table { width: 600px; border-spacing: 0 } td { vertical-align: top }
.card { padding: 12px; border: 1px solid #dddddd; background: #ffffff }
.card h2 { font: bold 18px/24px Arial, sans-serif; color: #222222 }
.card p { font: 14px/20px Arial, sans-serif; color: #444444 }
a { color: #0645ad; text-decoration: none } .button { background: #2ba6cb; color: #ffffff; padding: 8px 16px }
@media (max-width: 600px) { .card { width: 100% !important } }
"""
_WORDS = "We have chosen these offers by what you and readers like you have bought from us before, at prices of today. "


def document() -> dict[str, object]:
    """Gives the newsletter as a template."""
    cards = "".join(
        f'<tr><td class="card"><h2>Offer {number} for {{$first|escape}}</h2><p>{_WORDS * 8}</p>\n'
        f'<p><a class="button" href="https://shop{number % 4}.example.com/offers/{number}?utm_source=mail&amp;c=news">Buy</a>'
        f' <a href="https://www.example.com/more/{number}?x=1">More</a></p></td></tr>\n'
        for number in range(CARDS)
    )
    html = (
        "<!DOCTYPE html><html><head><title>News for {$first|escape}</title>"
        f"<style>{{literal}}{_STYLE}{{/literal}}</style></head><body>\n"
        "<p>Dear {$first|escape} {$last|escape}, {if $points > 500}thank you for collecting {$points} points.{/if}\n"
        '<a href="https://www.example.com/account?id={$number}">Your account</a></p>\n'
        f"<table>{cards}</table></body></html>"
    )
    text = f"Dear {{$first}} {{$last}},\n\n{_WORDS}\n" + "A line of the text that some read instead.\n" * 40
    return {"from": SENDER, "subject": "News for {$first} {$last}", "content": html, "text": text}


@dataclass(slots=True)
class NewsletterCall:
    """Hands in the newsletter by one call for so many recipients, however long that takes."""

    port: int
    recipients: int
    _sent: int = field(default=0, init=False)

    def send(self, seconds: float) -> Spent:
        """Sends one call. Raises LoadFailed."""
        first, self._sent = self._sent, self._sent + self.recipients
        recipients = {
            f"reader{number}@dest.test": {
                "first": f"Zoë {number}",
                "last": "Müller",
                "number": 100_000 + number,
                "points": number % 1000,
            }
            for number in range(first, self._sent)
        }
        call = {"template": document(), "recipients": recipients, "inlinecss": True, "trackclicks": True}
        body = json.dumps({**call, "trackopens": True}).encode()
        fields = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_SECONDS)
        begin = time.monotonic()
        try:
            connection.request("POST", "/v1/send", body, fields)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise LoadFailed(str(error)) from error
        finally:
            connection.close()
        if answer.status != 200:
            raise LoadFailed(said[:300].decode("utf-8", "replace"))
        return Spent(begin, time.monotonic(), self.recipients)


@dataclass(frozen=True, slots=True)
class Newsletter:
    """The measure."""

    name: str = "newsletter, 40 KB, 70 tracked links, 1000 recipients a call"

    def run(self, bench: Bench) -> Iterator[Line]:
        """Measures with each number of workers. Raises LoadFailed, GatewayFailed."""
        for workers in bench.workers:
            yield self._line(bench, workers)

    def _line(self, bench: Bench, workers: int) -> Line:
        with ExitStack() as stack:
            sink = stack.enter_context(receiving(bench.smtp_sink))
            gateway = stack.enter_context(bench.prepared(sink.port, EVERYTHING))
            gateway.workers = workers
            gateway.settings = {"TRACKING__BASE": _TRACKING}
            gateway.start()
            for _ in range(2):
                one_round(gateway, NewsletterCall(gateway.ports.rest, WARM_UP_RECIPIENTS), sink, bench.seconds)
            gateway.stop()
            before = stored_bytes(gateway)
            gateway.start()
            call = NewsletterCall(gateway.ports.rest, RECIPIENTS)
            rounds = [one_round(gateway, call, sink, bench.seconds) for _ in range(bench.rounds)]
            usage = gateway.usage()
            gateway.stop()
            grown = stored_bytes(gateway) - before
        rates = spread([one.messages_per_second for one in rounds])
        source = len(json.dumps(document())) * len(rounds)
        growth = f", store {(grown - source) / sum([one.messages for one in rounds]):,.0f} B each" if before else ""
        return Line(self.name, workers, 1, f"{rates} a second{growth}", rounds, usage)


def stored_bytes(gateway: Gateway) -> int:
    """Gives the size of a stopped gateway's store on SQLite, 0 on another."""
    data = gateway.home / "data"
    return sum([file.stat().st_size for file in data.glob("smtpeter.db*")]) if not gateway.store_url else 0
