"""The personalization language: `{$variable}` in headers, texts and HTML (docs/personalization.md).

`compile_text` makes a Template of a source, `Template.render` a text of it with the values of one recipient. Both
raise PersonalizationError. Pure: no clock, no chance, no I/O; templates see JSON values and nothing else.
"""

from smtpeter.content.personalize.encode import Escape
from smtpeter.content.personalize.errors import Kind, PersonalizationError
from smtpeter.content.personalize.limits import DEFAULT_LIMITS, Limits
from smtpeter.content.personalize.template import Template, compile_text

__all__ = ["DEFAULT_LIMITS", "Escape", "Kind", "Limits", "PersonalizationError", "Template", "compile_text"]
