"""Rules that add parameters to links, and change their scheme.

Each list of rules (of a block, of what surrounds it, of the document) looks at the URL as it was written. Within a list
later rules overwrite earlier ones; what a link, its own `params` or a list nearer to it says, stands. Patterns of users
run in RE2, in linear time, and the number of comparisons and of characters added is limited for a whole document.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import re2

from smtpeter.content.template.fields import Fields, bad_value
from smtpeter.content.template.problem import Problem, TemplateError
from smtpeter.content.template.tags import clean
from smtpeter.content.template.urls import Params, WebAddress, web_address, with_params, with_scheme

MAX_RULES = 200
MAX_PATTERN = 1000
MAX_COMPARISONS = 500_000
MAX_ADDED = 10_000_000
MAX_PARAMS = 100
COMPONENTS = ("domain", "path", "url")
KINDS = ("equals", "contains", "match", "regex")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}\Z")


@dataclass(slots=True)
class Effort:
    """How much rewriting a document may still cause."""

    comparisons: int = MAX_COMPARISONS
    characters: int = MAX_ADDED

    def spend(self, *, comparisons: int = 0, characters: int = 0) -> None:
        """Takes from what is left. Raises TemplateError when nothing is."""
        self.comparisons -= comparisons
        self.characters -= characters
        if self.comparisons < 0 or self.characters < 0:
            raise TemplateError(Problem("too-large", "/rewrite", "There are too many links and rules together."))


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition: `text` for equals and contains, `pattern` for the rest. `component` may be "place": host and path."""

    component: str
    kind: str
    text: str = ""
    pattern: Any = field(default=None, compare=False)

    def holds(self, address: WebAddress) -> bool:
        """True when the component of the URL is as asked for."""
        value = {
            "domain": address.host,
            "path": address.path,
            "url": address.url,
            "place": address.host + address.path,
        }[self.component]
        if self.kind == "equals":
            return value == self.text
        if self.kind == "contains":
            return self.text in value
        return self.pattern.search(value) is not None


@dataclass(frozen=True, slots=True)
class Rule:
    """All matchers have to hold; a rule without any always applies."""

    matchers: tuple[Matcher, ...] = ()
    params: tuple[tuple[str, tuple[str, ...]], ...] = ()
    protocol: str | None = None
    is_last: bool = False
    is_unique: bool = False


Rules = tuple[Rule, ...]


def rewrite(url: str, own: Params, lists: Sequence[Rules], effort: Effort) -> str:
    """Gives the URL with its own parameters and those of the rules; `lists` from the nearest to the document's."""
    if url.startswith("#"):
        return url
    result = with_params(url, own, replaces=True)
    address = web_address(url)
    if address is not None:
        protocol = None
        for rules in lists:
            found, wish = _collect(rules, address, effort)
            result = with_params(result, list(found.items()), replaces=False)
            protocol = protocol or wish
        if protocol:
            result = with_scheme(result, protocol)
    effort.spend(characters=max(0, len(result) - len(url)))
    return result


def _collect(rules: Rules, address: WebAddress, effort: Effort) -> tuple[dict[str, tuple[str, ...]], str | None]:
    """Runs one list: gives its parameters by name, and its scheme."""
    params: dict[str, tuple[str, ...]] = {}
    protocol: str | None = None
    has_matched = False
    effort.spend(comparisons=len(rules))
    for rule in rules:
        if (rule.is_unique and has_matched) or not all(matcher.holds(address) for matcher in rule.matchers):
            continue
        has_matched = True
        params.update(rule.params)
        protocol = rule.protocol or protocol
        if rule.is_last:
            break
    return params, protocol


def read_rules(given: Fields) -> Rules:
    """Reads the `rewrite` property of a block or document."""
    rewrite = given.child("rewrite")
    if rewrite is None:
        return ()
    links = rewrite.raw("links")
    if isinstance(links, Mapping):
        rules = _legacy(rewrite)
    else:
        entries = rewrite.children("links") or []
        if len(entries) > MAX_RULES:
            rewrite.warn("bad-value", "links", f"Only the first {MAX_RULES} rules are used.")
        read = [_rule(entry, path, rewrite) for entry, path in entries[:MAX_RULES]]
        rules = tuple(rule for rule in read if rule is not None)
    rewrite.close()
    return rules


def read_params(given: Fields, name: str = "params") -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Reads a `params` object: numbers and booleans as text, an array repeats its name, null is skipped."""
    params = given.child(name)
    if params is None:
        return ()
    found = []
    for key in params.names()[:MAX_PARAMS]:
        value = params.raw(key)
        values = list(value)[:MAX_PARAMS] if isinstance(value, list | tuple) else [value]
        texts = tuple(_text(one) for one in values if isinstance(one, str | int | float))
        if texts:
            found.append((clean(key), texts))
        elif value is not None and value != []:
            params.warn("wrong-type", key, "A parameter is a string, a number, true, false, or an array of them.")
    if len(params.names()) > MAX_PARAMS:
        given.warn("bad-value", name, f"Only the first {MAX_PARAMS} parameters are used.")
    return tuple(found)


def _text(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return clean(value) if isinstance(value, str) else str(value)[:40] if abs(value) < 1e30 else "0"


def _rule(entry: Any, path: str, outer: Fields) -> Rule | None:
    if not isinstance(entry, Mapping):
        outer.reading.note("wrong-type", path, "A rule is an object; this one is skipped.")
        return None
    given = Fields(entry, path, outer.reading)
    matchers: list[Matcher | None] = []
    for component in COMPONENTS:
        inner = given.child(component)
        if inner is not None:
            matchers += [_matcher(inner, component, kind) for kind in KINDS if inner.has(kind)]
            inner.close()
    old = [kind for kind in KINDS if given.has(kind)]
    if old:
        given.warn(
            "legacy-rewrite", old[0], 'Matchers stand inside "domain", "path" or "url"; here they test the whole URL.'
        )
        matchers += [_matcher(given, "url", kind) for kind in old]
    rule = _consequence(given, tuple(matcher for matcher in matchers if matcher is not None))
    given.close()
    return None if None in matchers else rule


def _consequence(given: Fields, matchers: tuple[Matcher, ...]) -> Rule:
    protocol = given.text("protocol")
    if protocol is not None:
        protocol = protocol.removesuffix("://").removesuffix(":").lower()
        if not _SCHEME.match(protocol) or protocol in {"javascript", "vbscript", "data"}:
            bad_value(given, "protocol", "a scheme such as https")
            protocol = None
    return Rule(matchers, read_params(given), protocol, given.boolean("last"), given.boolean("unique"))


def _matcher(given: Fields, component: str, kind: str) -> Matcher | None:
    """Reads one condition. A rule with a condition that cannot be read is skipped, never applied to everything."""
    text = given.text(kind)
    if text is None:
        return None
    if component == "domain" and kind != "regex":
        text = text.lower()
    if kind in {"equals", "contains"}:
        return Matcher(component, kind, text)
    return _compiled(given, kind, component, _wildcard(text) if kind == "match" else text)


def _compiled(given: Fields, name: str, component: str, pattern: str) -> Matcher | None:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    options.case_sensitive = component != "domain"
    try:
        if len(pattern) > 2 * MAX_PATTERN:
            raise re2.error("too long")
        return Matcher(component, "pattern", pattern, re2.compile(pattern, options))
    except re2.error:
        bad_value(given, name, "a regular expression that RE2 takes; its rule is skipped", code="bad-regex")
        return None


def _wildcard(pattern: str) -> str:
    return rf"(?s)\A{_any(pattern)}\z"


def _any(pattern: str) -> str:
    parts = re.split(r"([*?])", re.sub(r"\*+", "*", pattern))
    return "".join({"*": ".*", "?": "."}.get(part) or re2.escape(part) for part in parts)


def _legacy(rewrite: Fields) -> Rules:
    """Reads rules whose keys are patterns of hosts."""
    rewrite.warn("legacy-rewrite", "links", "An object of host patterns is the old notation; write an array of rules.")
    links = rewrite.child("links")
    rules = []
    for key in links.names()[:MAX_RULES] if links else []:
        given = links.child(key) if links else None
        if given is None:
            continue
        text = clean(key)
        if text.startswith("^") or text == ".*":
            matcher = _compiled(given, "", "place", text)
        else:
            start = r"(?:.*\.)?" if text.startswith("*.") else ""
            host = text.lower().removeprefix("*.")
            matcher = _compiled(given, "", "domain", rf"\A{start}{_any(host)}(?:\..*)?\z")
        if matcher is not None:
            rules.append(_consequence(given, (matcher,)))
            given.close()
    return tuple(rules)
