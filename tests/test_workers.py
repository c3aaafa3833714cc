"""How tests are shared among processes."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.workers import FEWEST, MOST, files, together, wanted

ROOT = Path(__file__).parent.parent
ALONE = """
import sys
from pathlib import Path
from tests.workers import together
place = Path(sys.argv[1])
print("waits", flush=True)
with together(place, alone=True), (place / "log").open("a") as log:
    log.write("alone\\n")
"""


CASES = {
    "one file": (["tests/test_workers.py"], False, 0, 0),
    "two tests of one file": (["tests/test_workers.py::test_a", "tests/test_workers.py::test_b"], False, 0, 0),
    "what is to be seen as it prints": (["tests"], True, 0, 0),
    "two files": (["tests/test_workers.py", "tests/test_setup.py"], False, 2, 2),
    "everything": (["tests"], False, FEWEST, MOST),
}


@pytest.mark.parametrize("case", CASES)
def test_processes_are_started_for_several_files(case: str) -> None:
    names, shown, fewest, most = CASES[case]
    assert fewest <= wanted([str(ROOT / name) for name in names], shown=shown) <= most


def test_the_files_of_a_folder_are_those_with_tests() -> None:
    assert Path("tests/test_workers.py") in {file.relative_to(ROOT) for file in files([str(ROOT / "tests")])}
    assert files(["tests/a/test_x.py::test_y[1]"]) == {Path("tests/a/test_x.py")}


def test_who_is_to_be_alone_waits_for_those_who_run(tmp_path: Path) -> None:
    with ExitStack() as turn:
        turn.enter_context(together(tmp_path, alone=False))
        other = subprocess.Popen([sys.executable, "-c", ALONE, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
        assert other.stdout is not None
        assert other.stdout.readline() == b"waits\n"
        (tmp_path / "log").write_text("together\n")
        assert other.poll() is None
    with other:
        assert other.wait(60) == 0
    assert (tmp_path / "log").read_text() == "together\nalone\n"
