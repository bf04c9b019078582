"""The guide for users says what is true: its first example, and the names that it lists."""

import json
import re
from pathlib import Path

from smtpeter.content.personalize import AUTOMATIC
from smtpeter.content.personalize.modifiers import MODIFIERS
from tests.content.personalize.rendering import render

GUIDE = (Path(__file__).parents[3] / "docs" / "personalization.md").read_text()


def test_first_example_gives_what_the_guide_says():
    source, data, result = re.findall(r"```(?:text|json)\n(.*?)```", GUIDE, re.DOTALL)[:3]
    assert render(source, json.loads(data)) == result


def test_guide_names_every_modifier_and_every_automatic_variable():
    named = set(re.findall(r"[a-z_0-9]+", GUIDE))
    assert not set(MODIFIERS) - named
    assert not AUTOMATIC - named
