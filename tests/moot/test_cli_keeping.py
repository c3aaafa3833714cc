"""Searching, removing and backing up from the command line."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.moot.conftest import Moot


@pytest.fixture(scope="module")
def kept() -> list[Path]:
    """The home that the first test of this module has made."""
    return []


@pytest.fixture
def runs(moot: Moot, kept: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The ids of three finished runs, oldest first."""
    home = moot.folder / "home"
    if not kept:
        ends = [moot("run", "duet.yaml", "--display", "none", *more).code for more in ([], [], ["--turns", "1"])]
        assert ends == [0, 0, 3]
        kept.append(shutil.copytree(home, tmp_path_factory.mktemp("kept") / "home"))
    else:
        shutil.copytree(kept[0], home)
    with sqlite3.connect(home / "moot.db") as db:
        names = [name for (name,) in db.execute("SELECT name FROM run ORDER BY name")]
    db.close()
    return names


def test_what_was_said_is_found_newest_run_first(moot: Moot, runs: list[str]) -> None:
    found = moot("runs", "search", "AGREED", "--json").json
    assert [hit["run"] for hit in found] == [runs[1], runs[0]]
    assert found[0] == {
        "run": runs[1],
        "turn": 4,
        "participant": "bob",
        "kind": "reply",
        "snippet": "DONE: agreed",
        "found": ["agreed"],
    }
    plain = moot("runs", "search", "agreed")
    assert plain.err == ""
    assert [line.split("  ")[1:] for line in plain.out.splitlines()] == [["turn 4", "bob: DONE: agreed"]] * 2


def test_a_search_can_be_of_one_run_of_phrases_and_of_beginnings(moot: Moot, runs: list[str]) -> None:
    def turns(*words: str) -> list[int]:
        return [hit["turn"] for hit in moot("runs", "search", *words, "--run", runs[0], "--json").json]

    assert turns("hello", "ann") == [1, 3]
    assert turns('"hello from"') == [1, 3]
    assert turns('"from hello"') == []
    assert turns("hel*") == [1, 3]
    assert turns("hel") == []
    assert turns("hello", "--limit", "1") == [1]
    assert turns("Agree") == [0]


def test_a_search_without_a_word_is_refused_and_one_without_a_hit_is_not(moot: Moot, runs: list[str]) -> None:
    refused, nothing = moot("runs", "search", "--", "- -- ()"), moot("runs", "search", "--", "NEAR(a")
    assert (refused.code, refused.out) == (2, "")
    assert "there is no word to search for" in refused.err
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "nothing was found\n")


def test_what_is_found_does_not_drive_the_terminal(moot: Moot) -> None:
    moot.write(
        "play.yaml", (moot.folder / "play.yaml").read_text().replace("hello from ann", r"hello\e[2J\e]0;x\a ann")
    )
    moot("run", "duet.yaml")
    with moot.at_a_terminal("runs", "search", "hello") as terminal:
        assert terminal.ended() == 0
        shown = terminal.text
    assert "hello" in shown
    assert "\x1b[2J" not in shown
    assert "\x1b]0" not in shown
    assert "\x1b[1;33mhello" in shown  # the word that was found
    done = moot("runs", "search", "hello", "--json")
    assert "\x1b" not in done.out
    assert done.json[0]["snippet"].startswith("hello\x1b[2J")


def test_runs_are_removed_for_good(moot: Moot, runs: list[str]) -> None:
    assert moot("runs", "search", "agreed", "--json").json != []
    done = moot("runs", "rm", runs[0], runs[1], runs[0], "--yes")
    assert (done.code, done.out) == (0, f"{runs[0]}\n{runs[1]}\n")
    assert done.err.startswith("removed 2 runs, ")
    assert [row["run"] for row in moot("runs", "list", "--json").json] == [runs[2]]
    with sqlite3.connect(moot.folder / "home" / "search.db") as index:
        assert index.execute("SELECT DISTINCT run FROM entry").fetchall() == [(runs[2],)]
        assert index.execute("SELECT count(*) FROM words WHERE words MATCH 'agreed'").fetchone() == (0,)
    index.close()
    assert moot("runs", "search", "agreed", "--json").json == []
    assert moot("verify", "--all").code == 0


def test_the_runs_own_folder_of_files_goes_and_no_other(moot: Moot, runs: list[str]) -> None:
    files = moot.folder / "home" / "files"
    for run in runs:
        (files / run / "deep").mkdir(parents=True)
        (files / run / "deep" / "plot.png").write_bytes(b"x" * 1000)
    (files / runs[0] / "link").symlink_to(files / runs[1])
    done = moot("runs", "rm", runs[0], "--yes", "--json").json
    assert done["files_bytes"] == 1000
    assert sorted(path.name for path in files.iterdir()) == runs[1:]
    assert (files / runs[1] / "deep" / "plot.png").exists()


def test_a_removal_asks_on_a_terminal_and_takes_no_for_an_answer(moot: Moot, runs: list[str]) -> None:
    for answer, code, left in ((b"\n", 9, 3), (b"y\n", 0, 2)):
        with moot.at_a_terminal("runs", "rm", runs[0]) as terminal:
            shown = terminal.until("Remove 1 run for good?")
            assert "finished  duet  4 turns" in shown
            terminal.press(answer)
            assert terminal.ended() == code, terminal.text
        assert len(moot("runs", "list", "--json").json) == left


def test_a_removal_that_cannot_ask_wants_to_be_told(moot: Moot, runs: list[str]) -> None:
    done = moot("runs", "rm", "--finished")
    assert (done.code, done.out) == (2, "")
    assert "to remove 3 runs without being asked, give --yes" in done.err
    assert len(moot("runs", "list", "--json").json) == 3


def test_runs_are_chosen_by_age_and_by_how_they_ended(moot: Moot, runs: list[str]) -> None:
    (moot.folder / "home").joinpath("x").touch()
    with sqlite3.connect(moot.folder / "home" / "moot.db") as db:
        sql = "UPDATE event SET ts = ts - 86400 * ? WHERE run = (SELECT id FROM run WHERE name = ?)"
        for days, run in ((40, runs[0]), (20, runs[2])):
            db.execute(sql, (days, run))
        db.execute("UPDATE run SET status = 'paused' WHERE name = ?", (runs[2],))
    db.close()
    assert moot("runs", "rm", "--older-than", "50d", "--yes", "--json").json == {
        "removed": [],
        "files_bytes": 0,
        "bytes": 0,
    }
    assert moot("runs", "rm", "--older-than", "15d", "--finished", "--yes").out == f"{runs[0]}\n"
    gone = moot("runs", "rm", "--older-than", "2w", "--yes", "--json").json
    assert [one["run"] for one in gone["removed"]] == [runs[2]]
    assert gone["bytes"] == sum(one["bytes"] for one in gone["removed"]) > 0
    assert moot("runs", "rm", "--finished", "--yes").out == f"{runs[1]}\n"
    assert "there is nothing to remove" in moot("runs", "rm", "--finished", "--yes").err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["zzz", "--finished"], "name runs to remove, or choose them"),
        (["zzz", "--yes"], "no run begins with 'zzz'"),
        (["--older-than", "-3d"], "an age such as 90m, 12h, 30d or 8w, not '-3d'"),
    ],
)
def test_a_removal_of_nothing_in_particular_is_refused(moot: Moot, args: list[str], said: str) -> None:
    done = moot("runs", "rm", *args)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_run_that_is_under_way_is_refused_by_name_and_passed_over_else(moot: Moot, runs: list[str]) -> None:
    from moot.chats.owner import new_owner

    with sqlite3.connect(moot.folder / "home" / "moot.db") as db:  # this very process drives it
        db.execute("UPDATE run SET owner = ?, until = 9e9 WHERE name = ?", (new_owner(), runs[1]))
    db.close()
    named = moot("runs", "rm", runs[0], runs[1], "--yes")
    assert (named.code, named.out) == (2, "")
    assert f"{runs[1]} is under way" in named.err
    assert len(moot("runs", "list", "--json").json) == 3
    done = moot("runs", "rm", "--finished", "--yes")
    assert sorted(done.out.split()) == sorted([runs[0], runs[2]])
    assert f"{runs[1]} is under way: it stays" in done.err


def test_a_backup_is_a_home_of_its_own(moot: Moot, runs: list[str]) -> None:
    done = moot("backup", "deep/copy")
    assert (done.code, done.out) == (0, "deep/copy\n")
    assert done.err.startswith("copied 3 runs, ")
    home = str(moot.folder / "deep" / "copy")
    assert moot("runs", "list", "--json", MOOT_HOME=home).json == moot("runs", "list", "--json").json
    assert moot("verify", "--all", MOOT_HOME=home).code == 0
    again = moot("backup", "deep/copy", "--json")
    assert (again.code, again.out) == (2, "")
    assert "is there already" in again.err
    assert [path.name for path in (moot.folder / "deep").iterdir()] == ["copy"]


def test_a_backup_that_cannot_be_written_leaves_nothing(moot: Moot, runs: list[str]) -> None:
    done = moot("backup", "/proc/copy")
    assert (done.code, done.out) == (1, "")
    assert "cannot write the copy /proc/copy" in done.err


@pytest.mark.parametrize("verb", ["runs search", "runs rm", "backup"])
def test_every_verb_has_help_with_an_example(moot: Moot, verb: str) -> None:
    done = moot(*verb.split(), "--help", COLUMNS="120")
    assert (done.code, done.err) == (0, "")
    assert f"Example: moot {verb}" in done.out


def test_a_run_that_is_nearly_right_is_suggested(moot: Moot, runs: list[str]) -> None:
    wrong = runs[0][:10] + ("0" if runs[0][10] != "0" else "1") + runs[0][11:]
    done = moot("resume", wrong)
    assert done.code == 2
    assert f"did you mean {runs[0]}?" in done.err


def damaged(home: Path, how: str) -> str:
    """What the error must say."""
    db = home / "moot.db"
    if how == "newer":
        with sqlite3.connect(db) as connection:
            connection.execute("PRAGMA user_version=99")
        connection.close()
        return "was written by a newer Moot (schema 99"
    if how == "row":
        with sqlite3.connect(db) as connection:
            connection.execute("UPDATE event SET data = '{' WHERE seq = 3")
        connection.close()
        return "event 3 of run"
    if how == "short":
        db.write_bytes(db.read_bytes()[:5000])
        return "damaged"
    if how == "folder":
        db.unlink()
        db.mkdir()
        return "it is a folder"
    raise AssertionError(how)


@pytest.mark.parametrize("how", ["newer", "row", "short", "folder"])
def test_a_journal_that_is_damaged_is_told_in_one_line_by_every_verb(moot: Moot, runs: list[str], how: str) -> None:
    said = damaged(moot.folder / "home", how)
    for args in (["runs", "list"], ["resume", runs[0]], ["runs", "search", "agreed"]):
        done = moot(*args)
        if how == "row" and args[0] == "runs":  # the other runs, and the other rows, are there
            assert done.code == 0
            continue
        assert done.code == 1, (args, done.err)
        assert said in done.err, (args, done.err)
        assert "Traceback" not in done.err
