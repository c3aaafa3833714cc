"""The suite as the command runs it: in a process of its own, since one with threads and a loop must not fork."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.suite import Result

ROOT = Path(__file__).parents[2]
SEEDS = int(os.environ.get("MOOT_CRASH_SEEDS", "200"))


def crash(*options: str) -> list[Result]:
    """What `scripts/crash` found, without what it first sets up."""
    command = [sys.executable, "-m", "tests.crash", "--json", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return [Result(**result) for result in json.loads(done.stdout)]


@pytest.fixture(scope="session")
def results() -> list[Result]:
    """Every point and every seed."""
    return crash("--seeds", str(SEEDS))


@pytest.fixture(scope="session")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what two runs left: one undisturbed, one killed in the middle of a payment (`0000`)."""
    home = tmp_path_factory.mktemp("left")
    (killed,) = crash("--seeds", "0", "--only", "pay sent, made again unseen", "--keep", str(home))
    assert killed.problems == []
    assert killed.marked > 0
    return home
