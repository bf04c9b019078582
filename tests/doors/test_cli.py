"""The command line, verb by verb, over a real store; and the program itself where its words matter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from smtpeter.config import Config
from smtpeter.doors.cli import accounts, mail, people, setup, suppressions, users
from smtpeter.doors.cli.shared import Common, table, with_store
from smtpeter.model.account import Features
from smtpeter.store.credentials import find_login
from smtpeter.store.store import Store
from smtpeter.wire import dkim


@pytest.fixture
def common(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Common:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SMTPETER_CONFIG", raising=False)
    return Common(data_dir=tmp_path / "data", json=True)


def printed(capsys: pytest.CaptureFixture[str]) -> object:
    return json.loads(capsys.readouterr().out)


def failure(capsys: pytest.CaptureFixture[str], caught: pytest.ExceptionInfo[SystemExit]) -> tuple[object, str]:
    return caught.value.code, capsys.readouterr().err


def program(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "smtpeter", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def test_account_token_login_and_domain_are_made_and_listed(common: Common, capsys: pytest.CaptureFixture[str]) -> None:
    accounts.account_create("acme", common=common)
    assert printed(capsys) == {"id": 1, "name": "acme"}
    people.token_create("ci", scopes="send", common=common)
    token = printed(capsys)
    assert isinstance(token, dict)
    assert token["scopes"] == ["send"]
    people.login_create(user="app@acme.example", common=common)
    assert len(printed(capsys)["password"]) >= 24  # type: ignore[index]
    people.domain_add("Example.COM", approved=True, common=common)
    added = printed(capsys)
    assert added["name"] == "example.com"  # type: ignore[index]
    assert added["record"]["name"] == "smtpeter._domainkey.example.com"  # type: ignore[index]
    assert added["record"]["value"].startswith("v=DKIM1;k=rsa;p=")  # type: ignore[index]
    people.token_list(common=common)
    listed = {"id": 1, "prefix": token["token"][:12], "name": "ci", "scopes": ["send"], "sandbox": False}
    assert printed(capsys) == [listed]
    people.login_list(common=common)
    assert [one["user"] for one in printed(capsys)] == ["app@acme.example"]  # type: ignore[attr-defined]
    people.domain_list(common=common)
    assert printed(capsys) == [{"name": "example.com", "approved": True, "selectors": ["smtpeter"]}]
    accounts.account_list(common=common)
    assert printed(capsys) == [{"id": 1, "name": "acme", "suspended": ""}]


def test_tokens_and_logins_are_deleted_by_their_names(common: Common, capsys: pytest.CaptureFixture[str]) -> None:
    accounts.account_create("acme", common=common)
    people.token_create("ci", sandbox=True, common=common)
    people.login_create(user="app", common=common)
    capsys.readouterr()
    people.token_list(common=common)
    assert printed(capsys)[0]["sandbox"] is True  # type: ignore[index]
    people.token_delete("ci", common=common)
    people.login_delete("app", common=common)
    capsys.readouterr()
    for verb in (people.token_list, people.login_list):
        verb(common=common)
        assert printed(capsys) == []


def test_a_new_login_has_all_settings_off(common: Common) -> None:
    accounts.account_create("acme", common=common)
    people.login_create(user="app", common=common)

    async def look(store: Store, _config: Config) -> None:
        found = await store.read(find_login, "app")
        assert found is not None
        assert found[1].features == Features(False, False, False, False, False, "default")

    with_store(common, look)


def test_users_are_made_granted_listed_and_deleted(common: Common, capsys: pytest.CaptureFixture[str]) -> None:
    accounts.account_create("acme", common=common)
    accounts.account_create("other", common=common)
    capsys.readouterr()
    users.user_create("Jane@Example.com", account="acme", common=common)
    made = printed(capsys)
    assert (made["email"], made["role"]) == ("jane@example.com", "owner")  # type: ignore[index]
    assert len(made["password"]) >= 24  # type: ignore[index]
    users.user_grant("jane@example.com", account="other", role="viewer", common=common)
    capsys.readouterr()
    users.user_list(common=common)
    roles = {"acme": "owner", "other": "viewer"}
    assert printed(capsys) == [{"id": 1, "email": "jane@example.com", "roles": roles}]
    users.user_grant("jane@example.com", account="other", role="none", common=common)
    capsys.readouterr()
    users.user_list(common=common)
    assert printed(capsys)[0]["roles"] == {"acme": "owner"}  # type: ignore[index]
    users.user_delete("jane@example.com", common=common)
    capsys.readouterr()
    users.user_list(common=common)
    assert printed(capsys) == []


def test_the_password_of_a_user_may_come_from_a_file_and_is_then_not_repeated(
    common: Common, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    accounts.account_create("acme", common=common)
    file = tmp_path / "password"
    file.write_text("correct horse battery\n")
    users.user_create("jane@example.com", password_file=file, common=Common(data_dir=common.data_dir))
    assert "correct horse" not in capsys.readouterr().out


def test_suppressions_are_added_listed_and_removed(common: Common, capsys: pytest.CaptureFixture[str]) -> None:
    accounts.account_create("acme", common=common)
    capsys.readouterr()
    suppressions.suppression_add(["Jane@Example.org", "@example.net"], cause="by phone", common=common)
    assert [one["entry"] for one in printed(capsys)] == ["jane@example.org", "example.net"]  # type: ignore[attr-defined]
    suppressions.suppression_list(common=common)
    listed = printed(capsys)
    assert [(one["entry"], one["stream"], one["cause"]) for one in listed] == [  # type: ignore[attr-defined]
        ("example.net", "", "by phone"),
        ("jane@example.org", "", "by phone"),
    ]
    suppressions.suppression_remove(["jane@example.org", "nobody@example.org"], common=common)
    assert printed(capsys) == ["jane@example.org"]
    suppressions.suppression_remove(["example.net"], common=common)
    capsys.readouterr()
    suppressions.suppression_list(common=Common(data_dir=common.data_dir))
    assert capsys.readouterr().out == "Nothing is suppressed.\n"


def test_secrets_are_not_kept_in_readable_form(common: Common, capsys: pytest.CaptureFixture[str]) -> None:
    accounts.account_create("acme", common=common)
    people.token_create(common=Common(data_dir=common.data_dir))
    people.login_create(user="u", common=common)
    out = capsys.readouterr().out
    secrets = [word for word in out.replace('"', " ").split() if len(word) >= 24]
    assert len(secrets) == 2
    stored = b"".join(path.read_bytes() for path in (common.data_dir or Path()).iterdir() if path.is_file())
    for secret in secrets:
        assert secret.encode() not in stored


def test_a_brought_key_signs_under_its_selector(
    common: Common, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = dkim.load_private_key(dkim.generate("rsa-sha256"))
    pem = tmp_path / "own.pem"
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    accounts.account_create("acme", common=common)
    people.domain_add("example.com", dkim_key=pem, selector="mine", common=common)
    out = capsys.readouterr().out
    assert dkim.public_record(key) in out
    assert "mine._domainkey.example.com" in out


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (lambda c: accounts.account_create("acme", common=c), 1, "already"),
        (lambda c: people.token_create(scopes="fly", common=c), 2, "send, read, manage"),
        (lambda c: people.token_create(account="nobody", common=c), 1, "no account 'nobody'"),
        (lambda c: people.domain_add("not a domain", common=c), 2, "not a domain"),
        (lambda c: people.domain_add("example.com", dkim_key=Path("missing.pem"), common=c), 2, "missing.pem"),
        (lambda c: people.token_delete("none", common=c), 1, "no token 'none'"),
        (lambda c: people.login_delete("none", common=c), 1, "no login 'none'"),
        (lambda c: users.user_create("jane", common=c), 2, "name@example.com"),
        (lambda c: users.user_create("jane@example.com", role="king", common=c), 2, "owner, admin, developer, viewer"),
        (lambda c: users.user_grant("jane@example.com", common=c), 1, "no user jane@example.com"),
        (lambda c: users.user_delete("jane@example.com", common=c), 1, "no user jane@example.com"),
        (lambda c: suppressions.suppression_add(["jane"], common=c), 2, "neither an address nor a domain"),
        (lambda c: suppressions.suppression_add([], common=c), 2, "which addresses"),
        (lambda c: suppressions.suppression_add(["a@b.example"], stream="No!", common=c), 2, "stream"),
        (lambda c: suppressions.suppression_remove(["a@b.example"], common=c), 1, "no such entry"),
        (lambda c: mail.why("short", common=c), 2, "message id"),
        (lambda c: mail.why("0" * 20, common=c), 1, "no message"),
        (lambda c: mail.send("a@b.example", sender="c@d.example", common=c), 2, "development mode"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    common: Common, capsys: pytest.CaptureFixture[str], call: object, code: int, words: str
) -> None:
    accounts.account_create("acme", common=common)
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        call(common)  # type: ignore[operator]
    got, said = failure(capsys, caught)
    assert got == code
    assert words in said


def test_with_two_accounts_one_must_be_named(common: Common, capsys: pytest.CaptureFixture[str]) -> None:
    accounts.account_create("a", common=common)
    accounts.account_create("b", common=common)
    with pytest.raises(SystemExit) as caught:
        people.token_create(common=common)
    assert failure(capsys, caught) == (2, "Say which account with --account: a, b.\n")
    people.token_create(account="b", common=common)


def test_init_writes_a_file_that_check_config_takes(
    common: Common, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "smtpeter.toml"
    setup.init(file, common=common)
    setup.check_config(common=Common(config=file))
    with pytest.raises(SystemExit) as caught:
        setup.init(file, common=common)
    assert "left as it is" in failure(capsys, caught)[1]


def test_check_config_tells_all_mistakes_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "smtpeter.toml"
    file.write_text('[smtp]\nmax_recipient = 5\n\n[delivery]\nretry_delays = ["soon"]\n')
    done = program("check-config", "--config", str(file), cwd=tmp_path)
    assert done.returncode == 2
    assert "2" in done.stderr
    assert "max_recipients" in done.stderr
    assert "5" in done.stderr
    assert "retry_delays" in done.stderr


def test_migrate_says_which_steps_the_schema_has(common: Common, capsys: pytest.CaptureFixture[str]) -> None:
    setup.migrate(common=common)
    assert printed(capsys) == {"steps": ["1 start", "2 doors", "3 pace", "4 content"]}


@pytest.mark.parametrize(
    "verb", ["serve", "init", "check-config", "migrate", "account", "token", "login", "domain", "user", "suppression"]
)
def test_each_verb_has_a_help(verb: str, tmp_path: Path) -> None:
    done = program(verb, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"smtpeter {verb}" in done.stdout


def test_a_wrong_verb_ends_with_two(tmp_path: Path) -> None:
    assert program("sreve", cwd=tmp_path).returncode == 2


def test_version_is_printed(tmp_path: Path) -> None:
    assert program("version", cwd=tmp_path).stdout.startswith("0.")


def test_tables_stand_in_columns() -> None:
    assert table(("a", "long"), [("value", 1), ("x", 22)]) == "a      long\nvalue  1\nx      22"


def test_what_holds_for_the_mail_of_an_account_is_changed_and_shown(
    common: Common, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts.account_create("acme", common=common)
    capsys.readouterr()
    accounts.account_set(
        trackopens="off", images="hosted", autotext="off", manageunsubscribe="bulk, news", common=common
    )
    accounts.account_set(inlinecss="on", common=common)
    capsys.readouterr()
    accounts.account_show(common=common)
    shown = printed(capsys)
    assert shown["features"] == {  # type: ignore[index]
        "inlinecss": True,
        "trackclicks": None,
        "trackopens": False,
        "trackbounces": None,
        "preventscam": None,
        "images": "hosted",
    }
    assert shown["settings"] == {  # type: ignore[index]
        "autotext": False,
        "trackplaintext": False,
        "trackimages": True,
        "manageunsubscribe": ["bulk", "news"],
    }
    accounts.account_set(trackopens="default", images="default", manageunsubscribe="", common=common)
    changed = printed(capsys)
    assert (changed["features"]["trackopens"], changed["features"]["images"]) == (None, None)  # type: ignore[index]
    assert changed["settings"]["manageunsubscribe"] == []  # type: ignore[index]


def test_shown_settings_say_what_is_as_shipped(common: Common, capsys: pytest.CaptureFixture[str]) -> None:
    accounts.account_create("acme", common=common)
    accounts.account_set(trackclicks="off", common=common)
    capsys.readouterr()
    accounts.account_show(common=Common(data_dir=common.data_dir))
    lines = capsys.readouterr().out.splitlines()
    assert "trackclicks        off" in lines
    assert "trackopens         on (default)" in lines
    assert "manageunsubscribe  none" in lines


@pytest.mark.parametrize(
    "given",
    [{"trackopens": "maybe"}, {"autotext": "default"}, {"images": "elsewhere"}, {"manageunsubscribe": "Bulk"}],
)
def test_settings_that_cannot_be_are_refused_by_name(
    given: dict[str, str], common: Common, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts.account_create("acme", common=common)
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        accounts.account_set(common=common, **given)  # type: ignore[arg-type]
    code, text = failure(capsys, caught)
    assert (code, f"--{next(iter(given))}" in text) == (2, True)


def test_the_account_is_set_by_the_program_as_its_help_says(tmp_path: Path) -> None:
    common = ["--data-dir", str(tmp_path / "data")]
    assert program("account", "create", "acme", *common, cwd=tmp_path).returncode == 0
    done = program("account", "set", "--trackopens", "off", "--manageunsubscribe", "bulk,news", *common, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "bulk,news" in done.stdout
