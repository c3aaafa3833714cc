"""The program that is injected into the container obeys its own rules."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from moot.sandbox import runner
from moot.sandbox.runner import processes

FOLDER = Path(runner.__file__).parent
MOST_BYTES_OF_AN_ARGUMENT = 128 << 10  # MAX_ARG_STRLEN of Linux


@pytest.mark.parametrize("module", runner.MODULES)
def test_a_module_is_python_3_9_and_imports_the_standard_library_alone(module: str) -> None:
    tree = ast.parse((FOLDER / f"{module}.py").read_text(), feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {name for name in imported if name.startswith("moot")}
    assert all(name.startswith(runner.__name__) for name in ours)
    assert {name.split(".")[0] for name in imported - ours} <= sys.stdlib_module_names


def test_every_module_of_the_folder_is_injected() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {"__init__", *runner.MODULES}


def test_the_program_fits_an_argument() -> None:
    assert len(runner.program().encode()) < MOST_BYTES_OF_AN_ARGUMENT


def test_a_python_that_is_too_old_is_told_so_in_words() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; sys.version_info = (3, 6, 9)\n" + runner.program()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "python 3.6 is too old: 3.9 or newer is needed\n")


def test_outside_of_a_container_nothing_is_ever_signalled() -> None:
    assert os.getpid() != 1
    for signalling in (processes.kill_everything, lambda: processes.kill_strays(os.getpid())):
        with pytest.raises(RuntimeError, match="only PID 1 of a container may signal everything"):
            signalling()
