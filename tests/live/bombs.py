"""Bodies of send calls that are made to cost much, and honest ones that cost about as much as those of their class.

`NONCE` stands in each where a number of six digits may stand, so that no two calls are alike and no cache helps. What is to
become of them: `REFUSED` with a 4xx, or taken, when the mail may arrive or fail.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

NONCE = b"@NONCE"
MIB = 2**20

_THOUSAND = list(range(1000))
_LOOPS = "{foreach $a as $x}{foreach $a as $y}{foreach $a as $z}.{/foreach}{/foreach}{/foreach}"
_PARAGRAPH = "<p>Dear {$firstname}, <a href='https://www.example.com/a?x=1'>we keep</a> a table for you tonight.</p>"
_LETTER = (
    "<html><head><style>{literal}p {color: red}{/literal}</style></head><body>" + _PARAGRAPH * 300 + "</body></html>"
)


@dataclass(frozen=True, slots=True)
class Bomb:
    """A call. `make` gives its body, which may be large; `is_refused`: it is never taken."""

    name: str
    make: Callable[[], bytes]
    is_refused: bool = False


def call(**properties: Any) -> bytes:
    """Gives the body of a send call."""
    base = {"recipient": "jane@example.org", "from": "joe@example.com", "subject": f"Hello {NONCE.decode()}"}
    return json.dumps(base | properties).encode()


def letter(*blocks: Any, **more: Any) -> bytes:
    """Gives the body of a send call with a document."""
    name = NONCE.decode()
    return call(template={"name": name, "content": {"blocks": [{"type": "text", "content": name}, *blocks]}}, **more)


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


def html(content: str) -> dict[str, Any]:
    return {"type": "html", "content": content}


def nested(levels: int) -> dict[str, Any]:
    """Gives a block in so many containers."""
    block = text("x")
    for _ in range(levels):
        block = {"type": "container", "blocks": [block]}
    return block


def many(size: int, value: str) -> dict[str, Any]:
    """Gives recipients with a value each."""
    return {f"r{n}{NONCE.decode()}@example.org": {"v": value} for n in range(size)}


HONEST = {
    "small": (
        Bomb("newsletter", lambda: call(html=_LETTER, data={"firstname": "Jane"}, inlinecss=True)),
        Bomb("document", lambda: letter(*[text(_PARAGRAPH)] * 60, data={"firstname": "Jane"})),
    ),
    "large": (Bomb("file", lambda: call(text="x", attachments=[_file(3 * MIB)])),),
    "huge": (Bomb("files", lambda: call(text="x", attachments=[_file(9 * MIB)] * 4)),),
}


def _file(size: int) -> dict[str, str]:
    return {"data": base64.b64encode(bytes(range(256)) * (size // 256)).decode(), "name": "a.bin"}


HOSTILE = {
    "small": (
        Bomb("loops", lambda: call(text=_LOOPS, data={"a": _THOUSAND})),
        Bomb("loops in the subject", lambda: call(subject=_LOOPS, text=NONCE.decode(), data={"a": _THOUSAND})),
        Bomb(
            "loops in a url",
            lambda: call(text="x", attachments=[{"url": f"https://{_LOOPS}.example/"}], data={"a": _THOUSAND}),
        ),
        Bomb("loops in a document", lambda: letter(text(_LOOPS), data={"a": _THOUSAND})),
        Bomb("patterns", lambda: call(text='{$v|regex_replace:"^(x+)+$":"a"}' * 300, data={"v": "x" * 40_000 + "!"})),
        Bomb("other patterns", lambda: call(text='{$v|regex_replace:"(x|xx)*y":"a"}' * 300, data={"v": "x" * 40_000})),
        Bomb(
            "modifiers",
            lambda: call(text='{$v|replace:"x":"yyyyyyyy"|spacify|indent:20}' * 50, data={"v": "x" * 50_000}),
        ),
        Bomb("wide indent", lambda: call(text="{$v|indent:8000000}", data={"v": "x\nx"})),
        Bomb("blocks", lambda: letter(*[{"type": "button", "label": "x{$y}", "link": "https://a.example/{$a}"}] * 998)),
        Bomb("too many blocks", lambda: letter(*[{"type": "spacer"}] * 3000), True),
        Bomb("nested blocks", lambda: letter(*[nested(19)] * 40)),
        Bomb("blocks nested too deep", lambda: letter(nested(25)), True),
        Bomb("doubling patch", lambda: letter(text("x" * 1000), patch=_doubling("/content/blocks")), True),
        Bomb("copying patch", lambda: letter(text("x" * 1000), patch=_doubling("/content/blocks/0"))),
        Bomb(
            "nested elements",
            lambda: call(html=_style("div div div") + "<div>" * 15_000 + NONCE.decode(), inlinecss=True),
        ),
        Bomb("JSON 64 deep", lambda: b'{"recipient":"jane@example.org","data":' + b"[" * 64 + b"]" * 64 + b"}", True),
        Bomb("JSON 100,000 deep", lambda: b'{"recipient":"jane@example.org","data":' + b'{"a":' * 100_000, True),
        Bomb("members", lambda: b'{"recipient":"jane@example.org","data":{"a":[' + b"{}," * 100_000 + b"1]}}", True),
    ),
    "large": (
        Bomb(
            "loops that print",
            lambda: call(html="{foreach $a as $x}" + "x" * 4000 + "{/foreach}", data={"a": _THOUSAND * 4}),
        ),
        Bomb("document of 5 MB", lambda: letter(text("x" * 4_900_000)), True),
        Bomb("markup of 2 MB", lambda: letter(html("<p>x<b>y</b></p>" * (2 * MIB // 17)))),
        Bomb("links with tags", lambda: letter(html("<a href='http://a.example/{$x}'>{$y}" * 20_000))),
        Bomb("links and rules", lambda: _ruled(), True),
        Bomb("a test of 4 MB", lambda: letter(text("x" * 4_000_000), patch=[_test()] * 500), True),
        Bomb("70,000 links", lambda: call(html=_style("a") + _links(70_000), inlinecss=True)),
        Bomb(
            "links in nested elements",
            lambda: call(html=_style("a") + "<div>" * 15_000 + _links(70_000), inlinecss=True),
        ),
        Bomb("hosts", lambda: call(html="".join(f"<a href='https://h{n}.example.com/'>x</a>" for n in range(30_000)))),
        Bomb(
            "style sheets",
            lambda: call(html=_sheet(5000) + "<p><a href='https://a.example/'>x</a></p>" * 5000, inlinecss=True),
        ),
        Bomb(
            "deep JSON of a megabyte",
            lambda: b'{"recipient":"jane@example.org","data":' + b'{"a":' * 200_000 + b"1" + b"}" * 200_001,
            True,
        ),
    ),
    "huge": (
        Bomb("text of 50 MB", lambda: call(text="x" * (50 * MIB - 1000))),
        Bomb("escapes", lambda: call(text="\x01" * (8 * MIB))),
        Bomb("quotation marks", lambda: b'{"recipient":"jane@example.org","text":[' + b'"",' * (16 * MIB), True),
        Bomb("backslashes", lambda: b'{"recipient":"jane@example.org","text":"' + b"\\" * (49 * MIB), True),
        Bomb("digits", lambda: b'{"recipient":"jane@example.org","text":' + b"1" * (49 * MIB), True),
        Bomb("data for each", lambda: call(text="{$v}", recipients=many(30, "x" * 1_000_000))),
        Bomb("a part too large", lambda: call(text="x" * (51 * MIB)), True),
    ),
}


def _doubling(path: str) -> list[dict[str, str]]:
    return [{"op": "copy", "from": path, "path": "/content/blocks/-"}] * 400


def _test() -> dict[str, str]:
    return {"op": "test", "path": "/content/blocks/1/content", "value": "x"}


def _rules(count: int) -> dict[str, Any]:
    return {"links": [{"params": {"a": 1}}] * count}


def _ruled() -> bytes:
    document = {"content": {"blocks": [html("<a href='http://a.example/'>" * 10_000)]}, "rewrite": _rules(50)}
    return call(template=document)


def _style(selector: str) -> str:
    return f"<style>{selector} {{color: red}}</style>"


def _links(count: int) -> str:
    return "<a href='https://a.example/'>x</a>" * count


def _sheet(count: int) -> str:
    return "<style>" + "".join(f"p:nth-child({n}) > a:not(.b{n}) {{color: red}}" for n in range(count)) + "</style>"
