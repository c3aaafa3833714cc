"""Where runs are kept."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from moot.chats.home import open_store
from moot.chats.memory_store import MemoryStore


def home_with(**environment: str) -> str:
    code = "from moot.chats.home import home; print(home())"
    clean = {k: v for k, v in os.environ.items() if k not in ("MOOT_HOME", "XDG_DATA_HOME")}
    env: Mapping[str, str] = {**clean, **environment}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    ("environment", "where"),
    [
        ({"MOOT_HOME": "/data/runs", "XDG_DATA_HOME": "/xdg"}, "/data/runs"),
        ({"XDG_DATA_HOME": "/xdg"}, "/xdg/moot"),
        ({"HOME": "/home/anna"}, "/home/anna/.local/share/moot"),
        ({"HOME": "/home/anna", "MOOT_HOME": "", "XDG_DATA_HOME": ""}, "/home/anna/.local/share/moot"),
    ],
)
def test_runs_are_kept_where_the_environment_says(environment: dict[str, str], where: str) -> None:
    assert home_with(**environment) == where


async def test_a_store_that_was_given_is_not_ours_to_close() -> None:
    mine = MemoryStore()
    assert open_store(mine) == (mine, False)


async def test_a_file_or_a_folder_is_opened_here(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "deep" / "own.db", str(tmp_path / "text.db")):
        store, opened = open_store(place)
        assert opened
        await store.close()
    assert {p.name for p in tmp_path.rglob("*.db")} == {"moot.db", "own.db", "text.db"}
