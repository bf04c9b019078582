"""The personalization language: `{$variable}` in headers, texts and HTML (docs/personalization.md).

`compile_text` makes a Template of a source, `Template.render` a text of it with the values of one recipient. Both
raise PersonalizationError. Address fields have an entrance of their own, `compile_addresses`; messages without data are
no templates, for them there is `fill_automatic`. Pure: no clock, no chance, no I/O; templates see JSON values and nothing else.
"""

from smtpeter.content.personalize.addresses import AddressField, compile_addresses
from smtpeter.content.personalize.automatic import AUTOMATIC, automatic_pieces, fill_automatic
from smtpeter.content.personalize.cache import TemplateCache
from smtpeter.content.personalize.data import data_fault
from smtpeter.content.personalize.encode import Escape
from smtpeter.content.personalize.errors import Kind, PersonalizationError
from smtpeter.content.personalize.header import clean_header
from smtpeter.content.personalize.limits import DEFAULT_LIMITS, Limits
from smtpeter.content.personalize.template import Pieces, Template, compile_text

__all__ = [
    "AUTOMATIC",
    "DEFAULT_LIMITS",
    "AddressField",
    "Escape",
    "Kind",
    "Limits",
    "PersonalizationError",
    "Pieces",
    "Template",
    "TemplateCache",
    "automatic_pieces",
    "clean_header",
    "compile_addresses",
    "compile_text",
    "data_fault",
    "fill_automatic",
]
