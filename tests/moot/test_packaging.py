"""The wheel as users get it: built from the sdist, installed into an empty environment beside openai-agents."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("agents", "chats", "sandbox", "termination")
UV = Path(sys.executable).with_name("uv")


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program to its end and return what it printed; a failure shows all of it."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(Path.home()), "UV_SYSTEM_CERTS": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    out = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source") / "moot"
    # A copy without what is merely lying about here: the build must not depend on it, nor pick it up.
    ignore = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "dist", "node_modules")
    shutil.copytree(ROOT, source, symlinks=True, ignore=ignore)
    build: list[str | Path] = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out]
    run(*build, source)  # without --wheel or --sdist the wheel is built from the sdist
    return out


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment in which only the wheel, with what it needs, and openai-agents are installed."""
    python = tmp_path_factory.mktemp("empty") / "bin" / "python"
    run(UV, "venv", "--quiet", "--no-project", "--python", sys.executable, python.parent.parent)
    (wheel,) = built.glob("*.whl")
    locked: list[str | Path] = ["--constraint", ROOT / "requirements.lock"]
    run(UV, "pip", "install", "--quiet", "--python", python, *locked, f"{wheel}[openai]")
    run(UV, "pip", "install", "--quiet", "--python", python, "openai-agents")
    return python


def names_in_wheel(built: Path) -> set[str]:
    (wheel,) = built.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_sdist_holds_the_rooms_behind_the_links(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"moot/{room}/__init__.py" for room in ROOMS} <= names
    assert {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "tests/test_import_directions.py"} <= names


def test_the_wheel_holds_moot_and_nothing_else_at_its_top(built: Path) -> None:
    tops = {name.split("/")[0] for name in names_in_wheel(built)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"moot"}


def test_the_wheel_holds_every_file_of_the_rooms(built: Path) -> None:
    rooms = [ROOT / room for room in ROOMS] + [ROOT / "moot" / "cli"]
    files = {
        f"moot/{room.name}/{file.relative_to(room)}"
        for room in rooms
        for file in room.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {"moot/sandbox/image/Dockerfile", "moot/sandbox/image/requirements.txt"} <= files
    assert any(name.endswith(".yaml") and "templates" in name for name in files)
    assert files - names_in_wheel(built) == set()
    assert "moot/py.typed" in names_in_wheel(built)


def test_moot_and_openai_agents_work_side_by_side(installed: Path, tmp_path: Path) -> None:
    program = (
        "import moot, moot.agents, moot.chats, moot.sandbox, moot.termination, agents\n"
        "from agents import Agent, Runner\n"
        "assert moot.agents is not agents and 'site-packages' in moot.agents.__file__\n"
        "print(Agent(name='x').name, agents.__file__)"
    )
    assert run(installed, "-c", program, cwd=tmp_path).startswith("x ")


def test_a_folder_of_the_user_called_agents_does_not_get_in_the_way(installed: Path, tmp_path: Path) -> None:
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("raise SystemExit('the wrong one')")
    run(installed, "-c", "import moot.agents, moot.chats, moot.sandbox, moot.termination", cwd=tmp_path)


def test_the_console_script_and_the_module_run(installed: Path, tmp_path: Path) -> None:
    version = run(installed, "-c", "import moot; print(moot.__version__)").strip()
    assert version in run(installed.with_name("moot"), "--version", cwd=tmp_path)
    assert "demo" in run(installed, "-m", "moot", "--help", cwd=tmp_path)


def test_the_core_needs_at_most_36_packages(tmp_path: Path) -> None:
    locked: list[str | Path] = ["--constraint", ROOT / "requirements.lock"]
    listed = run(UV, "pip", "compile", "--quiet", "--no-header", "--no-annotate", *locked, ROOT / "pyproject.toml")
    assert 8 < len(listed.split()) <= 36
