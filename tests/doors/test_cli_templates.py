"""`smtpeter template`, verb by verb, over a real store."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smtpeter.doors.cli import accounts, templates
from smtpeter.doors.cli.shared import Common

SOUP = {"name": "soup", "subject": "Soup for {$who}", "text": "Dear {$who}", "data": {"who": "all"}}


@pytest.fixture
def common(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Common:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SMTPETER_CONFIG", raising=False)
    common = Common(data_dir=tmp_path / "data", json=True)
    accounts.account_create("acme", common=common)
    capsys.readouterr()
    return common


def written(document: Any, name: str = "document.json") -> Path:
    path = Path(name)
    path.write_text(json.dumps(document))
    return path


def put(common: Common, capsys: pytest.CaptureFixture[str], document: Any, **options: Any) -> dict[str, Any]:
    templates.template_put(written(document), common=common, **options)
    made: dict[str, Any] = json.loads(capsys.readouterr().out)
    return made


def test_document_is_kept_listed_shown_and_deleted(common: Common, capsys: pytest.CaptureFixture[str]) -> None:
    assert put(common, capsys, SOUP) == {"id": 1, "version": 1}
    templates.template_list(common=common)
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["id"], entry["name"], entry["version"]) == (1, "soup", 1)
    templates.template_show("soup", common=common)
    assert json.loads(capsys.readouterr().out) == SOUP
    templates.template_delete("1", common=common)
    capsys.readouterr()
    templates.template_list(common=common)
    assert json.loads(capsys.readouterr().out) == []


def test_document_of_a_known_name_becomes_its_newest_version(
    common: Common, capsys: pytest.CaptureFixture[str]
) -> None:
    put(common, capsys, SOUP)
    assert put(common, capsys, {**SOUP, "subject": "two"}) == {"id": 1, "version": 2}
    assert put(common, capsys, SOUP, new=True) == {"id": 2, "version": 1}
    assert put(common, capsys, {"name": "stew"}, id=1) == {"id": 1, "version": 3}
    assert put(common, capsys, {"subject": "nameless"}) == {"id": 3, "version": 1}
    templates.template_show("1", version=2, common=common)
    assert json.loads(capsys.readouterr().out)["subject"] == "two"


@pytest.mark.parametrize(
    ("format", "told"),
    [("text", "Dear Ann"), ("mime", "Subject: Soup for Ann\r\n"), ("html", "<title>Soup for Ann</title>")],
)
def test_template_is_shown_filled_in(
    common: Common, capsys: pytest.CaptureFixture[str], format: str, told: str
) -> None:
    put(common, capsys, SOUP)
    templates.template_show("soup", format, data=written({"who": "Ann"}, "ann.json"), common=common)
    assert told in capsys.readouterr().out
    templates.template_show("soup", format, common=common)
    assert "{$who}" in capsys.readouterr().out


def test_problems_go_to_standard_error(common: Common, capsys: pytest.CaptureFixture[str]) -> None:
    templates.template_put(written({"background": "no colour", "subject": "{if}"}), common=common)
    told = capsys.readouterr()
    assert json.loads(told.out) == {"id": 1, "version": 1}
    assert "/background: " in told.err
    assert "/subject: Compile error at line 1" in told.err


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [('{"content": 5}', 1, "/content: "), ("[]", 1, "is no JSON object"), ("{", 1, "is no JSON object")],
)
def test_what_is_no_document_is_not_kept(
    common: Common, capsys: pytest.CaptureFixture[str], content: str, code: int, says: str
) -> None:
    Path("bad.json").write_text(content)
    with pytest.raises(SystemExit) as caught:
        templates.template_put(Path("bad.json"), common=common)
    assert caught.value.code == code
    assert says in capsys.readouterr().err


def test_mistakes_are_told_in_a_sentence(common: Common, capsys: pytest.CaptureFixture[str]) -> None:
    put(common, capsys, SOUP)
    attempts: tuple[tuple[Callable[[], None], str], ...] = (
        (lambda: templates.template_show("stew", common=common), "has no template 'stew'"),
        (lambda: templates.template_show("soup", version=9, common=common), "'soup' with a version 9"),
        (lambda: templates.template_show("soup", "pdf", common=common), "The formats are json, html"),
        (lambda: templates.template_delete("2", common=common), "has no template '2'"),
        (lambda: templates.template_put(written(SOUP), id=9, common=common), "has no template 9"),
        (lambda: templates.template_put(Path("none.json"), common=common), "none.json: No such file"),
        (lambda: templates.template_put(written(SOUP), id=1, new=True, common=common), "not both"),
    )
    for attempt, says in attempts:
        with pytest.raises(SystemExit):
            attempt()
        assert says in capsys.readouterr().err


def test_fault_of_a_tag_is_told_with_its_place(common: Common, capsys: pytest.CaptureFixture[str]) -> None:
    put(common, capsys, {"name": "x", "text": "{1 / $zero}"})
    with pytest.raises(SystemExit):
        templates.template_show("x", "text", data=written({"zero": 0}, "zero.json"), common=common)
    assert capsys.readouterr().err == "/text: Runtime error at line 1, column 1: Division by zero\n"
