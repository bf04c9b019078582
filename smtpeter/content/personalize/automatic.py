"""The variables that every message has without being given data, and the little that works without the language.

A message without data and without a template is no template: its braces are text, but tags of exactly the form
`{$recipient}` are replaced (personalization.md, section 1). That cannot fail.
"""

import re
from collections.abc import Mapping

AUTOMATIC = frozenset({"recipient", "envelope", "webversion", "unsubscribe", "messageid"})
_TAG = re.compile(r"\{\$(" + "|".join(sorted(AUTOMATIC)) + r")\}")


def fill_automatic(text: str, values: Mapping[str, str]) -> str:
    """Replaces the tags of those automatic variables that have a value here; all else stays, also inside values."""
    if "{$" not in text:
        return text
    return _TAG.sub(lambda found: values.get(found[1], found[0]), text)
