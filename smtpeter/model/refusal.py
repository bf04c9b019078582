"""Every way in which we say no on the way in: one table for the SMTP reply and the HTTP error.

`Refused` is the only exception that a door translates; below it, what went wrong on the way *out* is a value
(outcome.py). Each entry: slug, SMTP code and status, HTTP status, and the sentence, which may hold one or more
`{fields}`. A sentence tells the sender what to do.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from smtpeter.model.reply import MAX_REPLY_OCTETS, Reply

MAX_TEXT = MAX_REPLY_OCTETS - 32  # of one line, beside code and status


@dataclass(frozen=True, slots=True)
class Refusal:
    """One line of the table."""

    slug: str
    smtp_code: int
    smtp_status: str
    http_status: int
    sentence: str


_TABLE = [
    # slug, SMTP, enhanced, HTTP, sentence
    ("invalid_request", 554, "5.6.0", 400, "{reason}"),
    ("invalid_recipient", 553, "5.1.3", 400, "{reason}"),
    (
        "no_recipient",
        554,
        "5.5.1",
        400,
        "There is no recipient; give at least one in `recipient` or `recipients`.",
    ),
    (
        "too_many_recipients",
        452,
        "4.5.3",
        400,
        "At most {limit} recipients are accepted at once; send the others in a further call.",
    ),
    ("invalid_sender", 550, "5.7.1", 400, "{reason}"),
    (
        "sender_domain_not_approved",
        550,
        "5.7.1",
        403,
        "{domain} is not an approved sender domain of this account; add it with `smtpeter domain add {domain}` or use an approved one in From.",
    ),
    (
        "sender_not_allowed",
        550,
        "5.7.1",
        403,
        "This login may not send from {domain}; use one of its own sender domains.",
    ),
    ("message_too_large", 552, "5.3.4", 413, "The message is larger than {limit} bytes; make it smaller."),
    ("headers_too_large", 554, "5.6.0", 400, "{reason}"),
    ("invalid_message", 554, "5.6.0", 400, "{reason}"),
    ("invalid_header", 550, "5.6.0", 400, "The header {header} has a value that we cannot use: {reason}"),
    ("mail_loop", 554, "5.4.6", 400, "The message has passed {count} servers already, so it is in a loop."),
    (
        "unknown_template",
        550,
        "5.6.0",
        400,
        "There is no template {which} in this account; `GET /v1/templates` lists those there are.",
    ),
    ("invalid_template", 550, "5.6.0", 400, "{reason}"),
    ("invalid_personalization", 550, "5.6.0", 400, "{reason}."),
    ("account_busy", 451, "4.3.2", 429, "Too much work of this account waits already; try again in a moment."),
    ("idempotency_mismatch", 554, "5.5.4", 409, "This Idempotency-Key was used with other content; take a new key."),
    ("account_suspended", 550, "5.7.1", 403, "The account is suspended: {reason}"),
    ("quota_exceeded", 452, "4.3.1", 429, "The quota of the account is used up: {reason}"),
    (
        "insufficient_storage",
        452,
        "4.3.1",
        503,
        "There is too little disk space left to accept mail; try again later.",
    ),
    (
        "store_unavailable",
        451,
        "4.3.0",
        503,
        "The message could not be stored, nothing was queued; try again later.",
    ),
    ("shutting_down", 421, "4.3.2", 503, "The server is shutting down; try again in a moment."),
]

REFUSALS = {row[0]: Refusal(*row) for row in _TABLE}


class Refused(Exception):
    """A submission is not accepted. `str()` is the sentence; `field` names the property at fault, as `recipients[2]`.

    `more` is what programs may want to know beside it, as `line` and `column`.
    """

    def __init__(
        self, slug: str, *, field: str = "", more: Mapping[str, object] | None = None, **fields: object
    ) -> None:
        self.refusal = REFUSALS[slug]
        self.field = field
        self.more = dict(more or {})
        super().__init__(self.refusal.sentence.format(**fields))

    @property
    def reply(self) -> Reply:
        """The SMTP reply that says the same."""
        # RFC 5321 4.2.1: the text of a reply is ASCII, also when it repeats what came in UTF-8
        text = "".join(c if " " <= c <= "~" else "?" if c < "\xa0" else c for c in str(self))
        text = text.encode("ascii", "backslashreplace").decode()
        lines = textwrap.wrap(text, MAX_TEXT, break_on_hyphens=False) if len(text) > MAX_TEXT else [text]
        return Reply(self.refusal.smtp_code, self.refusal.smtp_status, tuple(lines))
