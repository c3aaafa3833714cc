"""Who may import whom: moot -> chats -> agents -> {sandbox, termination}, and chats -> {sandbox, termination}."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "termination": {"termination"},
    "sandbox": {"sandbox"},
    "agents": {"agents", "sandbox", "termination"},
    "chats": {"chats", "agents", "sandbox", "termination"},
}


def imported(source: str) -> Iterator[str]:
    """Every dotted name a file imports, however deep in a function, `from a import b` as `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in line {node.lineno}"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def rooms_of(source: str) -> set[str]:
    """The parts of moot a file imports; the front door itself is `moot`."""
    names = [name.split(".") for name in imported(source) if name.split(".")[0] == "moot"]
    return {parts[1] if len(parts) > 1 and (ROOT / "moot" / parts[1]).is_dir() else "moot" for parts in names}


def files(folder: str) -> list[Path]:
    """The Python files of a folder, none of them twice through a link."""
    return [file for file in sorted((ROOT / folder).rglob("*.py")) if "__pycache__" not in file.parts]


def is_a_users(file: Path) -> bool:
    """Whether it is copied to users by `moot init`, and nothing of Moot imports it."""
    return file.parent.parent == ROOT / "chats" / "templates"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    assert files(room), f"{room} is empty"
    own = [file for file in files(room) if not is_a_users(file)]
    wrong = {str(file.relative_to(ROOT)): rooms_of(file.read_text()) - MAY_IMPORT[room] for file in own}
    assert {file: names for file, names in wrong.items() if names} == {}


def test_what_comes_with_a_template_imports_what_users_may() -> None:
    theirs = [file for file in files("chats") if is_a_users(file)]
    assert theirs
    assert {name for file in theirs for name in rooms_of(file.read_text())} == {"moot"}


def test_an_import_hidden_in_a_function_is_seen() -> None:
    assert rooms_of("def late():\n    from moot.chats.chat import Chat\n    import moot.agents\n") == {
        "chats",
        "agents",
    }
    assert rooms_of("from moot import chats, Chat") == {"chats", "moot"}


@pytest.mark.parametrize("folder", [*MAY_IMPORT, "moot", "tests", "benchmarks"])
def test_nobody_imports_a_room_by_its_folder_at_the_root(folder: str) -> None:
    tops = {str(file): {name.split(".")[0] for name in imported(file.read_text())} for file in files(folder)}
    assert {file: names & set(MAY_IMPORT) for file, names in tops.items() if names & set(MAY_IMPORT)} == {}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_the_front_door_holds_a_link_to_each_room(room: str) -> None:
    link = ROOT / "moot" / room
    assert link.is_symlink()
    assert link.readlink() == Path("..", room)


@pytest.mark.parametrize(
    "statement",
    [
        "import moot",
        "import moot.cli",
        "import sys; sys.argv[:] = ['moot', '--help']; import moot.cli; moot.cli.main()",
        "from moot.sandbox import Docker; Docker()",
        "import moot.sandbox.images",
    ],
)
def test_neither_autogen_nor_docker_nor_a_web_framework_is_loaded_before_it_is_needed(statement: str) -> None:
    program = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print(json.dumps(sorted({n.split('.')[0] for n in sys.modules})), file=sys.stderr))\n"
        f"{statement}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    heavy = {"autogen_core", "autogen_agentchat", "autogen_ext", "docker", "openai", "aiohttp", "starlette", "fastapi"}
    assert "moot" in loaded
    assert loaded & heavy == set()
