"""A forked command is what a started one is."""

import os
from pathlib import Path

import pytest

from tests.moot.conftest import Moot
from tests.moot.warm import Warm


@pytest.mark.parametrize("args", [("--version",), ("no-such-verb",), ("run",), ("--help",), ("runs", "list", "--json")])
def test_it_says_and_ends_as_one_that_was_started(moot: Moot, warm: Warm, args: tuple[str, ...]) -> None:
    started = Moot(moot.folder)(*args)
    forked = warm.run(args, moot.folder, moot.env, seconds=60)
    assert forked == (started.code, started.out, started.err)


def test_two_in_a_row_share_neither_folder_nor_environment_nor_number(warm: Warm, moot: Moot, tmp_path: Path) -> None:
    (other := tmp_path / "other").mkdir()
    moot("run", "duet.yaml", "--display", "none")
    assert [len(moot("runs", "list", "--json").json)] == [1]
    code, out, _ = warm.run(["runs", "list", "--json"], other, {**moot.env, "MOOT_HOME": str(other)}, seconds=60)
    assert (code, out.strip()) == (0, "[]")


def test_it_can_be_killed_for_not_ending(warm: Warm, moot: Moot) -> None:
    os.mkfifo(moot.folder / "task")
    with pytest.raises(TimeoutError):
        warm.run(["validate", "task"], moot.folder, moot.env, seconds=0.2)
    assert warm.run(["--version"], moot.folder, moot.env, seconds=60)[0] == 0


@pytest.mark.parametrize("variable", ["PYTHONIOENCODING", "LC_ALL", "LANG"])
def test_what_is_read_when_an_interpreter_starts_has_one_started(moot: Moot, variable: str) -> None:
    assert Warm.fits(moot.env)
    assert not Warm.fits({**moot.env, variable: "something else"})
