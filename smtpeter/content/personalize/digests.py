"""Digests of values, for the function `hash` and the modifiers `md5` and `sha1`.

They are made for addresses of pictures and the like, never for secrets. Raises Fault for an unknown algorithm.
"""

import hashlib

from smtpeter.content.personalize.encode import octets_of
from smtpeter.content.personalize.errors import Fault
from smtpeter.content.personalize.run import Run
from smtpeter.content.personalize.tree import Value
from smtpeter.content.personalize.values import text_of

_ALGORITHMS = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512"})
_NODES_AN_ELEMENT = 2


def digest(run: Run, value: Value, algorithm: str) -> str:
    """Gives the digest in lower-case hexadecimal; of an array over the texts of all its values, depth first."""
    if algorithm not in _ALGORITHMS:
        raise Fault("Unknown hash algorithm")
    state = hashlib.new(algorithm, usedforsecurity=False)
    waiting: list[Value] = [value]
    while waiting:
        run.spend(_NODES_AN_ELEMENT)
        match waiting.pop():
            case list() as items:
                waiting.extend(reversed(items))
            case dict() as members:
                waiting.extend(reversed(members.values()))
            case scalar:
                text = text_of(scalar)
                run.read(len(text))
                state.update(octets_of(text))
    return state.hexdigest()
