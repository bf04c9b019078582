"""The variables that every message has without being given data, and the little that works without the language.

A message without data and without a template is no template: its braces are text, but tags of exactly the form
`{$recipient}` are replaced (personalization.md, section 1). That cannot fail.
"""

import re
from collections.abc import Mapping

from smtpeter.content.personalize.template import Pieces

AUTOMATIC = frozenset({"recipient", "envelope", "webversion", "unsubscribe", "messageid"})
_TAG = re.compile(r"\{\$(" + "|".join(sorted(AUTOMATIC)) + r")\}")


def fill_automatic(text: str, values: Mapping[str, str]) -> str:
    """Replaces the tags of those automatic variables that have a value here; all else stays, also inside values."""
    return automatic_pieces(text, values).text


def automatic_pieces(text: str, values: Mapping[str, str]) -> Pieces:
    """Gives what `fill_automatic` gives, and which of it are values."""
    if "{$" not in text:
        return Pieces((text,))
    texts = _TAG.split(text)  # every second one is a name
    given = [name in values for name in texts[1::2]]
    texts[1::2] = [values.get(name, f"{{${name}}}") for name in texts[1::2]]
    return Pieces(tuple(texts), tuple([2 * number + 1 for number, is_given in enumerate(given) if is_given]))
