"""Templates that were compiled before, by the text of their source.

The one who renders owns a cache and passes it on; there is none in this module. It may be shared by threads: each
operation on its dictionary is atomic (the keys are plain strings), at worst two threads compile the same source, and
the size is off by the entry that they raced for until the cache runs empty.
"""

from collections import OrderedDict

from smtpeter.content.personalize.encode import Escape
from smtpeter.content.personalize.limits import DEFAULT_LIMITS, Limits
from smtpeter.content.personalize.template import Template, compile_text

_OVERHEAD = 1_000  # characters that an entry counts beside its source


class TemplateCache:
    """Keeps the templates used last, as long as their sources have no more than `max_size` characters together."""

    __slots__ = ("_limits", "_max_size", "_size", "_templates")

    def __init__(self, max_size: int = 16 * 1024 * 1024, limits: Limits = DEFAULT_LIMITS) -> None:
        self._max_size = max_size
        self._limits = limits
        self._size = 0
        self._templates: OrderedDict[tuple[str, str], Template] = OrderedDict()

    def __len__(self) -> int:
        return len(self._templates)

    def get(self, source: str, *, escape: Escape | None = None) -> Template:
        """Gives the template of this source. Raises PersonalizationError as `compile_text`; faults are not kept."""
        key = (source, escape.value if escape else "")
        template = self._templates.get(key)
        if template is None:
            template = compile_text(source, escape=escape, limits=self._limits)
            self._keep(key, template)
        else:
            try:
                self._templates.move_to_end(key)
            except KeyError:  # another thread has just dropped it
                pass
        return template

    def _keep(self, key: tuple[str, str], template: Template) -> None:
        if len(key[0]) + _OVERHEAD > self._max_size:
            return
        if self._templates.setdefault(key, template) is template:
            self._size += len(key[0]) + _OVERHEAD
        while self._size > self._max_size:
            try:
                (source, _), _ = self._templates.popitem(last=False)
            except KeyError:  # it is empty
                self._size = 0
                return
            self._size -= len(source) + _OVERHEAD
