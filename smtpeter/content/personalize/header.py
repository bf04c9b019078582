"""What a rendered header value becomes before it is encoded (personalization.md, section 13; requirement B1)."""

import re

# C0, DEL and C1 (with U+0085), and the separators that some readers take for line ends
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def clean_header(rendered: str) -> str:
    """Makes one space of every run of control characters, and trims the ends: a value can never end its field."""
    return _CONTROLS.sub(" ", rendered).strip(" ")
