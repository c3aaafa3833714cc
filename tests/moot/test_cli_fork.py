"""`fork`, `replay` and `compare` on the command line."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.moot.conftest import Model, Moot

SPOKEN = ["hello from ann", "not yet", "hello from ann", "DONE: agreed"]


@pytest.fixture
def run(moot: Moot) -> str:
    """A run of four turns that reached its goal; its files are gone."""
    done = moot("run", "duet.yaml", "--json").json
    (moot.folder / "play.yaml").unlink()
    (moot.folder / "duet.yaml").unlink()
    return str(done["run"])


def said(moot: Moot, run: str) -> list[str]:
    return [turn["text"] for turn in moot("runs", "show", run, "--json").json["history"]]


def made(moot: Moot, *args: str) -> str:
    done = moot("fork", *args, "--no-run")
    assert done.code == 0, done.err
    return done.out.strip()


def test_a_fork_is_driven_on_to_its_end(moot: Moot, run: str) -> None:
    done = moot("fork", f"{run}@2")
    assert (done.code, done.out) == (0, "agreed\n")
    assert re.match(rf"forked {run[:11]}\w*@2 as \w+\n", done.err)
    assert "goes on with turn 3" in done.err
    assert "hello from ann" in done.err
    listed = moot("runs", "list", "--json").json
    new, old = listed
    assert (old["run"], new["turns"], new["outcome"]) == (run, 4, "goal")
    assert 0 < new["usage"]["input_tokens"] < old["usage"]["input_tokens"]
    told = moot("runs", "show", new["run"], "--json").json
    assert told["forked_from"] == {"run": run, "turn": 2, "edits": {}}
    assert told["usage"] == {**told["usage"], **new["usage"]}
    assert moot("runs", "show", run, "--json").json["forked_from"] is None
    assert said(moot, new["run"]) == said(moot, run) == SPOKEN
    assert moot("verify", "--all").code == 0


def test_without_a_turn_the_last_one_is_meant_and_that_it_ends_at_once_is_told(moot: Moot, run: str) -> None:
    done = moot("fork", run, "--json")
    assert done.code == 0
    assert (done.json["turns"], done.json["usage"]["input_tokens"]) == (4, 0)
    assert "done holds already at turn 4" in done.err


def test_a_fork_that_is_not_driven_is_printed_and_can_be_resumed(moot: Moot, run: str) -> None:
    new = made(moot, f"{run}@3")
    row = moot("runs", "list", "--json").json[0]
    assert (row["run"], row["status"], row["turns"], row["usage"]["input_tokens"]) == (new, "paused", 3, 0)
    assert moot("resume", new).code == 0
    told = moot("fork", run, "--no-run", "--json")
    assert {key: told.json[key] for key in ("parent", "turn", "edits")} == {"parent": run, "turn": 4, "edits": {}}
    assert len(told.json["warnings"]) == 1
    assert "warning: done holds already" in told.err


def test_words_come_from_the_command_line_or_from_stdin(moot: Moot, run: str) -> None:
    new = made(moot, f"{run}@2", "--edit", "I \x1b[31mdoubt it", "--task", "Argue.")
    assert said(moot, new) == [SPOKEN[0], "I \x1b[31mdoubt it"]
    shown = moot("runs", "show", new).out
    assert "I doubt it" in shown
    assert f"a fork of {run}@2" in shown
    assert "task  Argue." in shown
    assert "\x1b" not in shown
    assert "turn 2: I doubt it" in moot("export", new, "--format", "md").out
    command = moot.command("fork", f"{run}@1", "--edit", "-", "--no-run")
    done = subprocess.run(
        command, cwd=moot.folder, env=moot.env, input=b"two\nlines\n", capture_output=True, check=True
    )
    assert said(moot, done.stdout.decode().strip()) == ["two\nlines"]


def test_another_model_and_other_limits_hold_from_there_on(moot: Moot, run: str) -> None:
    moot.write("new.yaml", "version: 1\nname: new\nparts:\n  ann: [{say: anew}]\n  bob: [{say: never}]\n")
    done = moot("fork", f"{run}@2", "--model", "playbook:new.yaml", "--turns", "5", "--json")
    assert (done.code, done.json["outcome"], done.json["stopped_by"]["rule"]) == (3, "limit", "limits.turns")
    told = moot("runs", "show", done.json["run"], "--json").json
    assert [turn["text"] for turn in told["history"]] == [*SPOKEN[:2], "anew", "never", "anew"]
    assert told["models"] == {"ann": "playbook:new", "bob": "playbook:new"}
    assert told["forked_from"]["edits"] == {"model": "playbook:new.yaml", "limits.turns": "5"}
    assert moot("verify", "--all").code == 0


def test_what_cannot_be_forked_is_one_line_and_nothing_is_made(moot: Moot, run: str) -> None:
    for args, words, code in (
        ([f"{run}@5"], "has 4 turns: it cannot be forked at turn 5, but at 0 to 4", 2),
        ([f"{run}@-1"], "give the number of a turn, 0 for before the first", 2),
        ([f"{run}@two"], "after @ stands the number of a turn", 2),
        ([f"{run}@"], "after @ stands the number of a turn", 2),
        (["zzz@1"], f"no run begins with 'zzz'; the newest are {run}", 2),
        ([f"{run}@0", "--edit", "x"], "nobody has spoken at turn 0", 2),
        ([f"{run}@2", "--edit", " "], "the new message is empty", 2),
        ([f"{run}@2", "--set", "limits.truns=3"], "did you mean 'turns'?", 2),
        ([f"{run}@2", "--set", "limits"], "--set takes key=value", 2),
        ([f"{run}@2", "--model", "opena/gpt"], "unknown model 'opena/gpt'", 2),
        ([f"{run}@2", "--model", "openai/gpt-4o"], "set OPENAI_API_KEY", 7),
        ([f"{run}@2", "--model", "playbook:play.yaml#cay"], "cay", 2),
    ):
        done = moot("fork", *args)
        assert (done.code, done.out, done.err.count("\n")) == (code, "", 1), args
        assert words in done.err
    assert [row["run"] for row in moot("runs", "list", "--json").json] == [run]


def test_a_damaged_journal_is_not_forked(moot: Moot, run: str) -> None:
    with sqlite3.connect(moot.folder / "home" / "moot.db") as db:
        db.execute("UPDATE event SET data = replace(data, 'not yet', 'oh yes')")
    db.close()
    done = moot("fork", f"{run}@2")
    assert (done.code, done.out) == (1, "")
    assert "is damaged (it was changed after it was written)" in done.err


def test_a_run_under_way_is_forked_and_replayed_as_far_as_it_has_come(moot: Moot, model: Model) -> None:
    moot.write("duet.yaml", model.chat_file)
    with moot.started("run", "duet.yaml") as process:
        model.was_asked()
        model.answers.put("first words")
        process.until("first words")
        model.was_asked()
        run = moot("runs", "list", "--json").json[0]["run"]
        new = made(moot, run)
        seen = moot("replay", run)
        assert (seen.code, seen.out) == (0, "")
        assert "first words" in seen.err
        assert "is under way" in seen.err
        process.signal(signal.SIGTERM)
        process.ended()
    assert said(moot, new) == ["first words"]


def test_a_run_is_replayed_as_it_was_shown(moot: Moot) -> None:
    live = moot("run", "duet.yaml", "--display", "plain")
    run = moot("runs", "list", "--json").json[0]["run"]
    (moot.folder / "play.yaml").unlink()
    again = moot("replay", run, "--speed", "1000")
    assert (again.code, again.out) == (0, live.out)
    assert again.err == "".join(line for line in live.err.splitlines(True) if not line.startswith("  moot "))
    lines = [json.loads(line) for line in moot("replay", run, "--display", "jsonl").out.splitlines()]
    assert lines == [json.loads(line) for line in moot("export", run, "--format", "jsonl").out.splitlines()]
    for speed in ("0", "-1", "fast", "nan", "inf"):
        done = moot("replay", run, "--speed", speed)
        assert (done.code, done.out) == (2, "")
        assert "--speed takes a number above 0 or max" in done.err


def test_a_replay_on_a_terminal_gives_it_back_when_it_is_interrupted(moot: Moot, run: str) -> None:
    with sqlite3.connect(moot.folder / "home" / "moot.db") as db:
        db.execute("UPDATE event SET ts = ts + 3600 WHERE turn = 3")
    db.close()
    with moot.at_a_terminal("replay", run, "--speed", "1") as terminal:
        terminal.until("not yet")
        terminal.press(b"\x03")
        assert terminal.ended() == 130
    assert "\x1b[?25h" in terminal.text
    assert "DONE" not in terminal.text


def test_a_reader_that_goes_away_ends_a_replay_quietly(moot: Moot, run: str) -> None:
    with moot.started("replay", run, "--display", "jsonl") as process:
        process.go_away()
        assert process.popen.wait(60) == 0


def test_two_runs_are_compared_by_turn(moot: Moot, run: str) -> None:
    new = made(moot, f"{run}@2", "--edit", "not \x1b[31mnow")
    assert moot("resume", new).code == 0
    found = moot("compare", run, new)
    assert (found.code, found.err) == (1, "")
    for words in (
        "b was forked from a after turn 2",
        "= turn 1: the same",
        "≠ turn 2: bob (text)",
        "not [-yet-]{+now+}",
    ):
        assert words in found.out
    assert "first difference: turn 2" in found.out
    assert "\x1b" not in found.out
    told = moot("compare", run, new, "--json")
    assert (told.code, told.json["same"], told.json["first_difference"]) == (1, False, 2)
    assert [turn["differs"] for turn in told.json["turns"]] == [[], ["text"], [], []]
    assert (told.json["a"]["run"], told.json["b"]["parent"]) == (run, run)


def test_runs_that_are_the_same_end_with_0(moot: Moot, run: str) -> None:
    new = made(moot, f"{run}@1")
    assert moot("resume", new).code == 0
    found = moot("compare", run, new)
    assert (found.code, found.out.count("≠")) == (0, 0)
    assert "the same was said, with the same results and the same end" in found.out
    missing = moot("compare", run, "zzz")
    assert (missing.code, missing.out) == (2, "")


def test_a_long_difference_is_short(moot: Moot, run: str, tmp_path: Path) -> None:
    long = "\n".join(f"line {n} " + "word " * 60 for n in range(5000))
    new = subprocess.run(
        moot.command("fork", f"{run}@2", "--edit", "-", "--no-run"),
        cwd=moot.folder, env=moot.env, input=long.encode(), capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    found = moot("compare", run, new)
    assert found.code == 1
    assert len(found.out) < 5000
