"""The modifiers of the language by name; names are case-sensitive, and one that is not here has no effect.

`raw` changes nothing either, but the compiler looks for it (personalization.md, section 12).
"""

from collections.abc import Mapping
from types import MappingProxyType

from smtpeter.content.personalize.modifiers.counts import COUNTS
from smtpeter.content.personalize.modifiers.effect import Build, Effect, Parameters
from smtpeter.content.personalize.modifiers.encodings import ENCODINGS
from smtpeter.content.personalize.modifiers.formats import FORMATS
from smtpeter.content.personalize.modifiers.texts import TEXTS
from smtpeter.content.personalize.patterns import Shelf
from smtpeter.content.personalize.tree import Modifier

MODIFIERS: Mapping[str, Build] = MappingProxyType({**COUNTS, **ENCODINGS, **FORMATS, **TEXTS})


def build_effect(modifier: Modifier, shelf: Shelf) -> Effect | None:
    """Gives what a modifier does, None if nothing. Raises Fault when its pattern goes beyond a limit."""
    build = MODIFIERS.get(modifier.name)
    return build(Parameters(modifier.parameters, shelf)) if build else None
