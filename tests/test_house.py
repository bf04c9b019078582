"""The house rules that no linter knows: which room may import which, and what the pure rooms may not touch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "smtpeter"
ROOMS = ["config", "model", "wire", "content", "world", "store", "prepare", "intake", "delivery", "domains", "feedback"]
ROOMS += ["reports", "doors", "app", "testing"]
CLIENT = "client"  # beside the rooms: for applications, where nothing of the gateway is installed
PURE_ROOMS = {"model", "wire", "content"}
IMPURE_MODULES = {
    "asyncio",
    "socket",
    "time",
    "random",
    "os",
    "threading",
    "pathlib",
    "subprocess",
    "secrets",
    "tempfile",
}
FILES = sorted(HOUSE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add(node.module or "")
    return names


def broken_rules(room: str, modules: set[str]) -> list[str]:
    """Gives a sentence for each import that `room` may not have."""
    found = []
    for module in sorted(modules):
        parts = module.split(".")
        if room == CLIENT:
            if parts[0] not in sys.stdlib_module_names and parts[:2] != ["smtpeter", CLIENT]:
                found.append(f"client imports {module}, but it needs nothing beyond the standard library")
            continue
        if parts[:2] == ["smtpeter", CLIENT]:
            found.append(f"{room} imports {module}, but the client is for applications only")
            continue
        if parts[0] == "smtpeter" and len(parts) > 1 and ROOMS.index(parts[1]) > ROOMS.index(room):
            found.append(f"{room} imports {module}, a room further down the list")
        if room in PURE_ROOMS and parts[0] in IMPURE_MODULES:
            found.append(f"{room} imports {module}, but it touches no clock, socket or file")
    return found


@pytest.mark.parametrize(
    "path", [f for f in FILES if room_of(f) in [*ROOMS, CLIENT]], ids=lambda p: str(p.relative_to(HOUSE))
)
def test_a_room_imports_only_from_rooms_before_it(path: Path) -> None:
    assert not broken_rules(room_of(path), imported_modules(path))


def test_every_file_is_in_a_room_of_the_list() -> None:
    strangers = {room_of(f) for f in FILES} - set(ROOMS) - {CLIENT, "__init__", "__main__"}
    assert not strangers


def test_the_rule_sees_a_wire_module_that_opens_a_socket() -> None:
    assert broken_rules("wire", {"socket", "smtpeter.model.reply"}) == [
        "wire imports socket, but it touches no clock, socket or file"
    ]


def test_the_rule_sees_intake_reaching_into_delivery() -> None:
    assert broken_rules("intake", {"smtpeter.delivery.lanes.lane"})


def test_the_rule_sees_a_client_that_needs_the_gateway_and_a_room_that_needs_the_client() -> None:
    assert len(broken_rules("client", {"json", "smtpeter.client.mail", "smtpeter.model.address", "msgspec"})) == 2
    assert len(broken_rules("doors", {"smtpeter.client", "smtpeter.model.reply"})) == 1


def test_the_client_is_imported_where_no_other_package_is_installed() -> None:
    script = f"import sys; sys.path.insert(0, {str(HOUSE.parent)!r}); import smtpeter.client"
    subprocess.run([sys.executable, "-I", "-S", "-c", script], check=True, timeout=60)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_no_group_is_repeated_possessively(path: Path) -> None:
    # CPython before 3.11.5 (Debian 12 has 3.11.2) matches such groups wrongly; single characters are fine
    for pattern in compiled_patterns(path):
        without_classes = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "C", pattern)
        assert not re.search(r"\)(?:\*\+|\+\+|\?\+)", without_classes), f"{path}: {pattern}"


def test_the_rule_sees_a_group_that_is_repeated_possessively(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text('import re\nX = re.compile(r"(?:[)*+]a)*+b")\n')
    with pytest.raises(AssertionError):
        test_no_group_is_repeated_possessively(path)


def compiled_patterns(path: Path) -> list[str]:
    """Gives the texts that stand in calls of re.compile."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [
        part.value if isinstance(part.value, str) else part.value.decode("latin-1")
        for call in calls
        if ast.unparse(call.func) == "re.compile"
        for part in ast.walk(call)
        if isinstance(part, ast.Constant) and isinstance(part.value, str | bytes)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"
