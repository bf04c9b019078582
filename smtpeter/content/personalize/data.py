"""How large and how deep the values of one recipient may be (personalization.md, section 17).

For doors, which refuse the call; rendering itself copes with any depth.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

MAX_DATA_OCTETS = 1024 * 1024  # as JSON in its shortest form
MAX_DATA_DEPTH = 64


def data_fault(data: Mapping[str, Any]) -> str:
    """Gives what is wrong with the data in half a sentence, "" when nothing is."""
    level: list[Any] = [data]
    for _ in range(MAX_DATA_DEPTH):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            break
    else:
        return f"data is nested more than {MAX_DATA_DEPTH} deep"
    if len(msgspec.json.encode(data)) > MAX_DATA_OCTETS:
        return f"data has more than {MAX_DATA_OCTETS} bytes as JSON"
    return ""


def _children(value: Any) -> list[Any]:
    """Gives the arrays and objects directly within an array or object."""
    if isinstance(value, Mapping):
        return [child for child in value.values() if isinstance(child, list | dict)]
    return [child for child in value if isinstance(child, list | dict)]
