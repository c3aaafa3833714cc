"""Files and journals that are not what was written: which verb says so, and how it ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.moot.conftest import Moot


def without_first_row(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        assert db.execute("DELETE FROM event WHERE seq = 1").rowcount == 1


def test_a_run_without_its_first_event_is_called_damaged_by_export_and_backup(moot: Moot) -> None:
    moot("run", "duet.yaml")
    run = moot("runs", "list", "--json").json[0]["run"]
    without_first_row(moot.folder / "home" / "moot.db")
    for form, said in (("md", "Its journal is damaged"), ("jsonl", '"run.finished"')):
        done = moot("export", run, "--format", form)
        assert done.code == 1
        assert f"the journal of run {run[:11]} is damaged" in done.err
        assert said in done.out  # what there is may still be of use
    done = moot("backup", "copy")
    assert done.code == 1
    assert f"damaged: run {run}, which was copied as it is" in done.err
    assert (moot.folder / "copy" / "moot.db").is_file()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def random(path: Path) -> None:
    path.write_bytes(b"no database at all " * 500)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE song(name)")


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (truncated, "damaged"),
        (random, "damaged, or no journal"),
        (folder, "it is a folder"),
        (foreign, "a database of something else"),
        (newer, "written by a newer Moot"),
    ],
)
def test_the_doctor_says_what_is_wrong_with_the_file_of_runs(
    moot: Moot, spoil: Callable[[Path], None], said: str
) -> None:
    moot("runs", "list")
    path = moot.folder / "home" / "moot.db"
    for beside in (path.with_name("moot.db-wal"), path.with_name("moot.db-shm")):
        beside.unlink(missing_ok=True)
    spoil(path)
    done = moot("doctor")
    assert done.code == 1
    (line,) = [line for line in done.out.splitlines() if "journals" in line]
    assert line.startswith("FAIL")
    assert said in line


def test_a_fork_shows_the_words_that_were_changed(moot: Moot) -> None:
    run = moot("run", "duet.yaml", "--json").json["run"]
    task = moot("fork", f"{run}@0", "--task", "Make coffee.")
    assert "task  Make coffee." in task.err
    edit = moot("fork", f"{run}@2", "--edit", "Quite other words")
    assert "Quite other words" in edit.err
    assert moot("runs", "list", "--json").json[0]["parent"] == run
    bare = moot("fork", f"{run}@1", "--edit")
    assert (bare.code, bare.err) == (2, "error: Option '--edit' requires an argument. (see moot fork --help)\n")


def test_an_empty_id_removes_nothing(moot: Moot) -> None:
    run = moot("run", "duet.yaml", "--json").json["run"]
    for command in (("runs", "rm", "", "-y"), ("fork", "@1"), ("runs", "show", "")):
        done = moot(*command)
        assert done.code == 2
        assert "an empty id names no run" in done.err
    assert [row["run"] for row in moot("runs", "list", "--json").json] == [run]
