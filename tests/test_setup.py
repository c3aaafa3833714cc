"""scripts/setup, run as a user would: what it says, and when it says nothing."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.model_servers import ScriptedModels

ROOT = Path(__file__).parent.parent


def setup(*steps: str, cwd: Path, **environment: str) -> tuple[int, list[str]]:
    """Exit code and the lines it printed."""
    command: list[str | Path] = [ROOT / "scripts" / "setup", *steps]
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.stdout == ""  # stdout belongs to what comes after the setup
    return done.returncode, done.stderr.splitlines()


def test_where_all_is_there_nothing_is_said_or_done(tmp_path: Path) -> None:
    assert setup("engine", "image", cwd=tmp_path) == (0, [])


@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:9"])
def test_an_engine_of_the_users_choice_that_does_not_answer_is_named_with_one_command(
    tmp_path: Path, host: str
) -> None:
    code, (problem, command) = setup("engine", cwd=tmp_path, DOCKER_HOST=host)
    assert code == 6
    assert host in problem
    assert command.strip() == "start that engine, or: unset DOCKER_HOST"


def test_an_address_of_a_kind_that_setup_cannot_ask_is_said_so(tmp_path: Path) -> None:
    code, lines = setup("engine", cwd=tmp_path, DOCKER_HOST="ssh://somewhere")
    assert code == 6
    assert "ssh://somewhere" in lines[0]


def test_a_step_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    code, (line,) = setup("everything", cwd=tmp_path)
    assert code == 2
    assert "environment, engine, image" in line


def test_servers_that_are_installed_are_left_as_they_are(scripting_server: ScriptedModels, tmp_path: Path) -> None:
    assert scripting_server.url
    assert setup("servers", cwd=tmp_path) == (0, [])
