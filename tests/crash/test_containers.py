"""Killed with its code in a real container, a run goes on, whatever has become of the container meanwhile."""

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import docker
import pytest

from moot.sandbox.owner import LABEL_RUN
from tests.conftest import stays
from tests.crash.checker import judge, read
from tests.crash.containers import HEARD

ROOT = Path(__file__).parents[2]


def drive(folder: Path, *death: str) -> int:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.crash.containers", str(folder), *death]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


def containers(folder: Path) -> list[str]:
    """The ids of those that the run has."""
    label = f"{LABEL_RUN}={read(folder).run}"
    with closing(docker.from_env()) as client:
        return [str(each.id) for each in client.containers.list(all=True, sparse=True, filters={"label": label})]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert drive(folder) == 0
    return folder


CASES = {
    "never made": (("committed", "run.started"), 0, 1),
    "there, its block about to begin": (("code sent", "runner"), 1, 2),
    "running": ((HEARD,), 1, 2),
    "finished, its result unrecorded": (("code done",), 1, 2),
}
"""Where it dies, how many containers it leaves, and how often the block is run in the end."""


@pytest.mark.parametrize("gone", [False, True], ids=["at once", "when it is gone"])
@pytest.mark.parametrize("case", CASES)
def test_the_container_is(case: str, gone: bool, undisturbed: Path, tmp_path: Path) -> None:
    death, made, blocks = CASES[case]
    folder = tmp_path / "left"
    assert drive(folder, *death) == -signal.SIGKILL
    (fate,) = [json.loads(line) for line in (folder / "fate.jsonl").read_text().splitlines()]
    assert fate["at"] == death[0]
    left = containers(folder)
    assert len(left) <= made
    assert not (gone and any(stays(container) for container in left)), "it ends with the process that it belongs to"
    assert drive(folder) == 0
    verdict = judge(folder, read(undisturbed))
    assert verdict.findings == []
    assert verdict.marked == blocks - 1
    world = [json.loads(line) for line in (folder / "world.jsonl").read_text().splitlines()]
    assert sum(line["kind"] == "code" for line in world) == blocks
    assert containers(folder) == []
