"""The signatures that a document asks for with keys of its own (templates.md 2.5).

They cover the fields that every signature of ours covers and live as long; what an entry says beyond that, more field
names and another expiry, is not carried out. An entry whose key cannot sign is told and left out.
"""

from collections.abc import Iterable

from smtpeter.content.template.document import Signature
from smtpeter.content.template.problem import Problem
from smtpeter.wire.dkim import Signer, load_private_key


def signers_of(signatures: Iterable[Signature]) -> tuple[tuple[Signer, ...], tuple[Problem, ...]]:
    """Gives signers in the order of their fields, topmost first, and a problem for each entry that cannot sign."""
    signers: list[Signer] = []
    problems = []
    for wish in signatures:
        try:
            # the key is a stranger's, so its numbers are proven
            signers.append(Signer(wish.domain, wish.selector, load_private_key(wish.key, is_trusted=False)))
        except ValueError as error:
            sentence = f"{wish.selector}._domainkey.{wish.domain} cannot sign: {error}"
            problems.append(Problem("dkim-invalid", "/dkim", sentence))
    return tuple(signers), tuple(problems)
