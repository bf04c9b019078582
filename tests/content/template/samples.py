"""Sample documents, and what tests ask of a result: the parsed tree, the codes of problems."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from smtpeter.content.template.compile import Compiled, compile_document

_FOLDER = Path(__file__).parent / "documents"
XHTML = "{http://www.w3.org/1999/xhtml}"


def sample(name: str) -> dict[str, Any]:
    return json.loads((_FOLDER / f"{name}.json").read_text())


def compiled(*blocks: Any, resources: Any = None, icons: str = "", **top: Any) -> Compiled:
    return compile_document({"content": {"blocks": list(blocks)}, **top}, resources=resources or {}, icons=icons)


def tree(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(html)


def all_of(html: str, name: str, class_: str = "") -> list[ElementTree.Element]:
    found = tree(html).iter(f"{XHTML}{name}")
    return [one for one in found if not class_ or class_ in one.get("class", "").split()]


def one_of(html: str, name: str, class_: str = "") -> ElementTree.Element:
    (found,) = all_of(html, name, class_)
    return found


def styles(element: ElementTree.Element) -> dict[str, str]:
    pairs = (part.partition(":") for part in element.get("style", "").split(";"))
    return {name: value for name, _, value in pairs}


def codes(result: Compiled) -> list[str]:
    return [problem.code for problem in result.problems]


def block_html(*blocks: Any, **top: Any) -> str:
    return compiled(*blocks, **top).unpersonalized.html
