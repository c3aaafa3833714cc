"""Running chats from the command line: streams, objects, exit codes, files."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.moot.conftest import Model, Moot


ESCAPES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
USAGE_KEYS = {"input_tokens", "output_tokens", "usd", "priced"}


def test_the_result_alone_goes_to_stdout_and_the_run_to_stderr(moot: Moot) -> None:
    done = moot("run", "duet.yaml")
    assert (done.code, done.out) == (0, "agreed\n")
    assert "run " in done.err
    assert "PLAYBOOK MODEL: scripted replies; real speakers, sandbox and budget" in done.err
    assert "playbook:duet (scripted)" in done.err
    assert re.search(r"1 ● ann +hello from ann", done.err)
    assert re.search(r"2 ▲ bob +not yet", done.err)
    assert "next: bob  because round 1, in order (round_robin)" in done.err
    assert re.search(r"✔ goal: .*\(rule done, turn 4\) · \d+ tok · \$0\.00 · \d", done.err)
    assert "moot export " in done.err
    assert not ESCAPES.search(done.err + done.out)


def test_no_display_but_the_result(moot: Moot) -> None:
    done = moot("run", "duet.yaml", "--display", "none")
    assert (done.code, done.out, done.err) == (0, "agreed\n", "")


def test_a_run_without_display_that_misses_its_goal_says_why(moot: Moot) -> None:
    done = moot("run", "duet.yaml", "--display", "none", "--turns", "1")
    assert (done.code, done.out, done.err) == (3, "", "limit: 1 turn taken (rule limits.turns, turn 1)\n")


def test_the_object_of_a_run_has_the_promised_keys_and_types(moot: Moot) -> None:
    done = moot("run", "duet.yaml", "--json")
    found = done.json
    promised = "run chat status outcome stopped_by result waiting turns usage model_kind artifacts exit_code"
    assert list(found) == promised.split()
    assert (found["chat"], found["status"], found["outcome"], found["result"]) == ("duet", "finished", "goal", "agreed")
    assert found["stopped_by"] == {"rule": "done", "reason": "bob said 'DONE: agreed'", "turn": 4}
    assert (found["turns"], found["model_kind"], found["artifacts"], found["exit_code"]) == (4, "scripted", [], 0)
    assert set(found["usage"]) == {*USAGE_KEYS, "by_participant", "doubtful"}
    by = found["usage"]["by_participant"]
    assert list(by) == ["ann", "bob"]
    assert all(set(usage) == USAGE_KEYS for usage in by.values())
    assert sum(u["input_tokens"] for u in by.values()) == found["usage"]["input_tokens"] > 0
    assert found["usage"]["priced"] is True
    assert found["usage"]["usd"] == 0


def test_the_display_jsonl_is_the_journal(moot: Moot) -> None:
    done = moot("run", "duet.yaml", "--display", "jsonl")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
    assert (events[0]["type"], events[-1]["type"]) == ("run.created", "run.finished")
    assert done.out == moot("export", events[0]["run"], "--format", "jsonl").out
    assert done.err == ""


def test_the_display_jsonl_leaves_stdout_to_the_object(moot: Moot) -> None:
    done = moot("run", "duet.yaml", "--display", "jsonl", "--json")
    assert done.json["outcome"] == "goal"
    assert json.loads(done.err.splitlines()[-1])["type"] == "run.finished"


@pytest.mark.parametrize(
    ("outcome", "code"), [("goal", 0), ("failed", 1), ("limit", 3), ("rejected", 5), ("stalled", 8), ("stopped", 9)]
)
def test_each_outcome_has_its_exit_code(moot: Moot, outcome: str, code: int) -> None:
    chat = (moot.folder / "duet.yaml").read_text()
    moot.write("ends.yaml", chat.replace("[{id: done,", f"[{{id: done, outcome: {outcome},"))
    done = moot("run", "ends.yaml", "--json")
    assert (done.code, done.json["outcome"], done.json["exit_code"]) == (code, outcome, code)
    assert done.json["stopped_by"]["rule"] == "done"


def test_limits_and_the_task_and_sets_come_from_the_command_line(moot: Moot) -> None:
    run = moot("run", "duet.yaml", "Why?", "--rounds", "1", "--set", "participants.ann.goal=Shine", "--json").json
    shown = moot("runs", "show", run["run"], "--json").json
    assert shown["task"] == "Why?"
    assert shown["limits"] == {"rounds": 1, "turns": 6}
    assert (run["outcome"], run["stopped_by"]["rule"], run["turns"]) == ("limit", "limits.rounds", 2)
    assert "Shine" in moot("export", run["run"], "--format", "jsonl").out


def test_another_model_may_be_given(moot: Moot) -> None:
    moot.write("other.yaml", (moot.folder / "play.yaml").read_text().replace("not yet", "DONE: at once"))
    done = moot("run", "duet.yaml", "--model", "playbook:other.yaml")
    assert done.out == "at once\n"


def test_an_unpriced_model_is_called_unpriced(moot: Moot, model: Model) -> None:
    moot.write("real.yaml", model.chat_file)
    for answer in ("hm", "DONE: so be it"):
        model.answers.put(answer)
    done = moot("run", "real.yaml")
    assert done.out == "so be it\n"
    assert "unpriced" in done.err
    assert "$0" not in done.err
    assert "PLAYBOOK" not in done.err
    (row,) = moot("runs", "list", "--json").json
    assert row["usage"] == {"input_tokens": 14, "output_tokens": 6, "usd": None, "priced": False}
    shown = moot("runs", "show", row["run"])
    assert "cost of ann: 10 tok, unpriced" in shown.out


def test_a_model_that_fails_ends_with_7(moot: Moot, model: Model) -> None:
    moot.write("real.yaml", model.chat_file)
    for _ in range(8):
        model.answers.put(None)
    done = moot("run", "real.yaml", "--json")
    assert (done.code, done.json["outcome"]) == (7, "failed"), done.err
    assert "attempt 1 of ann failed" in done.err
    assert "once that is put right: moot resume" in done.err


HOSTILE = "\x1b]0;title\x07\x1b[31mred\x1b[0m \u202ehidden \x9b5m[bold]kept[/bold] :smile: \r over \x1b[2J end"


def test_hostile_text_reaches_neither_stream(moot: Moot, model: Model) -> None:
    moot.write("real.yaml", model.chat_file)
    for answer in (HOSTILE, f"DONE: {HOSTILE}"):
        model.answers.put(answer)
    done = moot("run", "real.yaml")
    assert done.code == 0
    assert "[bold]kept[/bold] :smile:" in done.err
    assert not ESCAPES.search(done.err + done.out)
    (row,) = moot("runs", "list", "--json").json
    for args in (["runs", "show", row["run"]], ["export", row["run"]], ["export", row["run"], "--format", "jsonl"]):
        assert not ESCAPES.search(moot(*args).out)
    lines = moot("export", row["run"], "--format", "jsonl").out.splitlines()
    replies = [json.loads(line)["data"]["reply"]["content"] for line in lines if '"turn.finished"' in line]
    assert replies == [HOSTILE, f"DONE: {HOSTILE}"]  # nothing of it is lost


def test_five_megabytes_are_clipped_and_an_empty_reply_is_said_to_be_one(moot: Moot, model: Model) -> None:
    moot.write("real.yaml", model.chat_file)
    long = "begin " + "word " * 1_000_000 + "finis"
    for answer in (long, "", "so", "DONE: read it"):
        model.answers.put(answer)
    done = moot("run", "real.yaml")
    assert done.code == 0, done.err[-500:]
    (row,) = moot("runs", "list", "--json").json
    assert len(done.err) < 20_000
    assert "begin word" in done.err
    assert "(empty reply)" in done.err
    told = re.search(r"5\.0 MB in all, 1 line: (moot runs show \S+ --turn 1)", done.err)
    assert told
    assert moot(*told[1].split()[1:]).out == long + "\n"
    assert long in moot("export", row["run"]).out


def test_a_reader_that_goes_away_does_not_end_the_run(moot: Moot, model: Model) -> None:
    moot.write("real.yaml", model.chat_file)
    with moot.started("run", "real.yaml") as run:
        model.was_asked()
        run.go_away()
        for answer in ("hm", "DONE: unseen"):
            model.answers.put(answer)
        assert run.popen.wait(60) == 0
    (row,) = moot("runs", "list", "--json").json
    assert (row["outcome"], row["turns"]) == ("goal", 2)


def test_a_killed_run_is_paused_and_goes_on(moot: Moot, model: Model) -> None:
    moot.write("real.yaml", model.chat_file)
    model.answers.put("kept words")
    with moot.started("run", "real.yaml") as run:
        model.was_asked()
        model.was_asked()
        (row,) = moot("runs", "list", "--json").json
        assert (row["status"], row["outcome"]) == ("running", None)
        busy = moot("resume", row["run"])
        assert busy.code == 1
        assert "is driven by another process" in busy.err
        run.popen.kill()
        assert run.ended().code == -9
    (row,) = moot("runs", "list", "--json").json
    assert (row["status"], row["turns"]) == ("paused", 1)
    for answer in ("for the dead", "DONE: after all"):
        model.answers.put(answer)
    again = moot("resume", row["run"])
    assert again.out == "after all\n"
    assert "was under way when its process ended" in again.err
    assert moot("verify", row["run"]).code == 0


PLOTTER = """
version: 1
name: plotter
parts:
  coder:
    - say: |
        ```python
        import pathlib
        pathlib.Path("out").mkdir()
        pathlib.Path("out/table.csv").write_text("a,b")
        pathlib.Path("a\\x1b[31mb.txt").write_text("hostile name")
        print("\\x1b[2Jprinted [red]x[/red]")
        ```
"""
CODING = """
version: 1
name: coding
task: "Write files."
model: playbook:plotter.yaml
participants:
  coder: {role: assistant, instructions: "Code."}
  executor: {role: executor, runs_code_from: [coder]}
limits: {turns: 4}
stop: [{id: ran, code_succeeded: true}]
"""


def test_code_is_shown_with_its_output_and_its_files_can_be_opened(moot: Moot) -> None:
    moot.write("plotter.yaml", PLOTTER)
    moot.write("coding.yaml", CODING)
    done = moot("run", "coding.yaml", "--json", "--artifacts", "made")
    assert done.code == 0, done.err
    files = {file["name"]: file for file in done.json["artifacts"]}
    assert set(files) == {"out/table.csv", "a\x1b[31mb.txt"}
    for file in files.values():
        data = Path(file["path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
        assert Path(file["path"]).is_relative_to(moot.folder / "made")
    assert (moot.folder / "made" / "out" / "table.csv").read_text() == "a,b"
    assert not ESCAPES.search(done.err + done.out)
    block = done.err[done.err.index("┌ python") : done.err.index("└")]
    assert "│ import pathlib" in block
    assert block.index("│ import pathlib") < block.index("├ exit code 0") < block.index("│ printed [red]x[/red]")
    assert "[python, 5 lines: shown where it runs]" in done.err


def test_without_a_sandbox_code_is_skipped_and_never_runs_on_the_host(moot: Moot) -> None:
    moot.write("plotter.yaml", PLOTTER)
    moot.write("coding.yaml", CODING)
    done = moot("run", "coding.yaml", "--sandbox", "none", "--json")
    assert (done.code, done.json["outcome"], done.json["stopped_by"]["rule"]) == (6, "failed", "sandbox")
    assert "SKIPPED (no sandbox)" in done.err
    assert not (moot.folder / "out").exists()


def test_the_demo_without_an_engine_says_what_was_skipped(moot: Moot) -> None:
    done = moot("demo", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert (done.code, done.out) == (6, "")
    assert "SKIPPED (no sandbox)" in done.err
    assert "PLAYBOOK MODEL: scripted replies; real speakers, sandbox and budget" in done.err


def test_the_demo_answers_and_shows_where_its_plot_is(moot: Moot) -> None:
    done = moot("demo")
    assert done.code == 0, done.err
    plot = re.search(r"file (\S+plot\.png) ", done.err)
    assert plot
    assert Path(plot[1]).read_bytes().startswith(b"\x89PNG")
    printed = re.search(r"│ r = (-?\d\.\d\d)", done.err)
    assert printed
    assert printed[1] in done.out
    assert "moot init research" in done.err


@pytest.mark.alone  # other tests kill processes that leave containers to be pruned
def test_an_interrupted_block_leaves_no_container(moot: Moot) -> None:
    moot.write("plotter.yaml", PLOTTER.replace("import pathlib\n", "import time; print('begun'); time.sleep(600)\n", 1))
    moot.write("coding.yaml", CODING)
    with moot.started("run", "coding.yaml", "--display", "jsonl", "--json") as run:
        run.until('"effect.intended", "participant": "executor"')
        run.signal(15)
        done = run.ended()
    assert (done.code, done.json["status"]) == (130, "paused")
    assert moot("sandbox", "prune", "--json").json == {"removed": []}
