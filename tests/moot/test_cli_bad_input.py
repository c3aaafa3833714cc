"""What is wrong is said in one clear line, with the right exit code, and nothing is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.moot.conftest import Moot


USAGE = {
    "a verb that does not exist": (["rnu", "duet.yaml"], "Did you mean 'run'?"),
    "a verb of a group that does not exist": (["runs", "lst"], "Did you mean 'list'?"),
    "an option that does not exist": (["run", "duet.yaml", "--round", "3"], "--rounds"),
    "a missing argument": (["run"], "Missing argument"),
    "a limit of nothing": (["run", "duet.yaml", "--turns", "0"], "--turns"),
    "a limit in usd of nothing": (["run", "duet.yaml", "--usd", "0"], "must be above 0"),
    "a display that does not exist": (["run", "duet.yaml", "--display", "loud"], "'loud' is not one of"),
    "a chat that does not exist": (["run", "nowhere.yaml"], "no such file"),
    "a template that is nearly right": (["run", "reserch"], "did you mean 'research'?"),
    "an empty task": (["run", "duet.yaml", "  "], "the task is empty"),
    "a set without a value": (["run", "duet.yaml", "--set", "model"], "--set takes key=value"),
    "a set of an unknown key": (["run", "duet.yaml", "--set", "limits.turn=3"], "did you mean 'turns'?"),
    "an unknown kind of model": (["run", "duet.yaml", "--model", "opnai/x"], "did you mean 'openai/x'?"),
    "a playbook that does not exist": (["run", "duet.yaml", "--model", "playbook:none"], "no playbook 'none'"),
    "a run that does not exist": (["runs", "show", "zzz"], "no run begins with 'zzz'"),
    "a run to resume that does not exist": (["resume", "zzz"], "no run begins with 'zzz'"),
    "a run to export that does not exist": (["export", "zzz"], "no run begins with 'zzz'"),
    "nothing to verify": (["verify"], "name a run to verify, or give --all"),
    "a template to copy that does not exist": (["init", "reserch"], "did you mean 'research'?"),
    "a folder for artifacts that is a file": (
        ["run", "duet.yaml", "--artifacts", "duet.yaml"],
        "cannot write artifacts",
    ),
}


@pytest.mark.parametrize("args", [[], ["runs"], ["sandbox"]])
def test_a_command_without_a_verb_prints_the_help_and_no_error(moot: Moot, args: list[str]) -> None:
    done = moot(*args)
    assert (done.code, done.err) == (2, "")
    assert "Usage: moot" in done.out


def test_the_help_of_a_limit_does_not_promise_a_value_that_is_refused(moot: Moot) -> None:
    shown = moot("run", "--help", COLUMNS="200").out
    assert "x>=0]" not in shown
    assert shown.count("more than 0") == 2
    assert moot("run", "duet.yaml", "--seconds", "0").code == 2


def test_help_breaks_its_lines_where_the_terminal_ends_and_nowhere_else(moot: Moot) -> None:
    shown = moot("--help", COLUMNS="200").out
    assert "The run itself stays as it is, and what it has spent is not spent again." in shown
    words = moot("inbox", "edit", "--help", COLUMNS="200").out.splitlines()
    assert any("or the arguments of a tool as JSON. The others are told what was changed" in line for line in words)


def test_a_choice_that_does_not_exist_is_refused_in_plain_words(moot: Moot) -> None:
    refused = moot("run", "duet.yaml", "--display", "loud").err
    assert refused.startswith("error: Invalid value for '--display': 'loud' is not one of 'auto', 'live'")


@pytest.mark.parametrize(("args", "said"), USAGE.values(), ids=USAGE)
def test_a_command_that_is_wrong_ends_with_2_and_one_line(moot: Moot, args: list[str], said: str) -> None:
    done = moot(*args)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    if "home" in [path.name for path in moot.folder.iterdir()]:  # it had to look for the run
        assert moot("runs", "list", "--json").json == []


FILES = {
    "an unknown key": ("participants:\n  ann: {role: assistant, modle: x, instructions: y}", "did you mean 'model'?"),
    "a bad type": ("limits: {turns: many}", "expected a whole number"),
    "bad YAML": ("participants: {a: [", "bad.yaml:"),
    "no hard limit": ("limits: {code_runs: 3}", "hard limit"),
    "a file that is missing": ("inputs: {file: {type: file, default: gone.csv}}", "no such file: 'gone.csv'"),
    "an unknown participant": ("stop: [{id: d, says: {participant: bbo, starts: x}}]", "did you mean 'bob'?"),
    "an unpriced model with a usd limit": ("model: {base_url: 'http://h/v1', model: m}\nlimits: {usd: 1}", "price"),
}


@pytest.mark.parametrize(("part", "said"), FILES.values(), ids=FILES)
def test_a_file_that_is_wrong_ends_with_2_and_its_place(moot: Moot, part: str, said: str) -> None:
    keys = [line.split(":")[0] for line in part.splitlines() if not line.startswith(" ")]
    kept, skipping = [], False
    for line in (moot.folder / "duet.yaml").read_text().splitlines():
        if not line.startswith(" "):
            skipping = line.split(":")[0] in keys
        kept += [] if skipping else [line]
    moot.write("bad.yaml", "\n".join([*kept, part, ""]))
    done = moot("run", "bad.yaml")
    assert (done.code, done.out) == (2, ""), done.err
    assert done.err.startswith("bad.yaml:")
    assert said in done.err
    assert not (moot.folder / "home").exists()


def test_an_empty_file_and_a_folder_are_no_chat(moot: Moot) -> None:
    moot.write("empty.yaml", "")
    for name in ("empty.yaml", "."):
        done = moot("run", name)
        assert done.code == 2, done.err
        assert name in done.err


def test_validate_tells_every_problem_also_as_json(moot: Moot) -> None:
    moot.write("bad.yaml", "version: 1\nname: bad\nparticipants:\n  ann: {role: assistant, modle: x}\nlimit: {}\n")
    done = moot("validate", "bad.yaml", "--json")
    assert (done.code, moot("plan", "bad.yaml").code) == (2, 2)
    assert done.json["ok"] is False
    found = {(p["path"], p["line"]) for p in done.json["problems"]}
    assert {("participants.ann.modle", 4), ("limit", 5)} <= found
    assert done.err.count("^") == len([p for p in done.json["problems"] if p["column"]])


@pytest.mark.parametrize("home", ["/proc/no/moot", "duet.yaml", "/dev/null/x"])
def test_a_home_that_cannot_be_written_ends_with_1_and_says_what_to_do(moot: Moot, home: str) -> None:
    for args in (["run", "duet.yaml"], ["runs", "list"]):
        done = moot(*args, MOOT_HOME=home)
        assert (done.code, done.out) == (1, ""), done.err
        assert "MOOT_HOME" in done.err
        assert len(done.err.splitlines()) == 1


def test_a_journal_that_is_no_database_ends_with_1(moot: Moot) -> None:
    moot.write("home/moot.db", "this is no database" * 100)
    done = moot("run", "duet.yaml")
    assert done.code == 1
    assert "moot.db" in done.err
    assert "Traceback" not in done.err


def test_no_key_ends_with_7_before_anything_is_started(moot: Moot) -> None:
    done = moot("run", "duet.yaml", "--model", "openai/gpt-5-mini")
    assert (done.code, done.out) == (7, "")
    assert "OPENAI_API_KEY" in done.err
    assert moot("runs", "list", "--json").json == []


def test_no_engine_and_no_image_end_with_6_before_anything_is_started(moot: Moot) -> None:
    for args, env in (
        (["run", "research"], {"DOCKER_HOST": "unix:///nowhere/docker.sock"}),
        (["run", "research", "--set", "sandbox.image=moot/none:1"], {}),
    ):
        done = moot(*args, **env)
        assert (done.code, done.out) == (6, "")
        assert len(done.err.splitlines()) == 1
    assert moot("runs", "list", "--json").json == []


def test_a_fault_of_ours_is_one_line_and_a_traceback_only_when_asked_for(moot: Moot) -> None:
    """A fault planted in a module of ours."""
    program = (
        "import sys, moot.cli, moot.chats.exports.md as e\n"
        "e.markdown = lambda story: 1 / 0\n"
        "sys.argv[:] = ['moot', 'export', sys.argv[1]]\n"
        "moot.cli.main()\n"
    )
    run = moot("run", "duet.yaml", "--json").json["run"]
    moot.write("faulty.py", program)
    done = moot.python("faulty.py", run)
    assert done.code == 1
    assert done.err.startswith("error: unexpected ZeroDivisionError: division by zero")
    assert len(done.err.splitlines()) == 1
    assert "Traceback" in moot.python("faulty.py", run, MOOT_DEBUG="1").err
