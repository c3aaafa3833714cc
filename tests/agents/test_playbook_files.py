"""The playbooks of the templates and of the published questions, played against runs that go right and wrong."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from autogen_core.models import AssistantMessage, LLMMessage, UserMessage

from moot.agents.blocks import find_blocks
from moot.agents.playbook import Playbook, load_playbook
from moot.agents.report import BlockReport, render
from moot.agents.situation import Situation

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
QUESTION_IDS = sorted(int(path.stem) for path in (DATA / "playbooks").glob("*.yaml"))
PLOT = (("plot.png", 50_000),)
GOOD = "rows = 9\ndropped = 1\nn = 8\nr = 0.91\ninterval = 0.55 to 0.98\nslope = 1.2\n"


def _research() -> Playbook:
    return load_playbook("research", DATA, search=[ROOT / "chats" / "templates"])


def _task(question_id: int) -> str:
    lines = (DATA / "dabench" / "questions.jsonl").read_text().splitlines()
    found = next(q for q in map(json.loads, lines) if q["id"] == question_id)
    parts = [found["question"], found["constraints"], found["format"]]
    return "\n".join(parts) + f"\n\nThe table is dabench/{found['file_name']}."


def _play(playbook: Playbook, task: str, runs: Sequence[BlockReport]) -> list[tuple[str, str]]:
    """What is said until somebody ends it, with the code's results in this order (the last one again and again)."""
    said: list[tuple[str, str]] = [("user", task)]

    def speak(part: str) -> str:
        messages: list[LLMMessage] = [
            AssistantMessage(content=text, source=who) if who == part else UserMessage(content=text, source=who)
            for who, text in said
        ]
        said.append((part, str(playbook.part(part).answer(Situation.of(messages)))))
        return said[-1][1]

    speaker, left = "planner", list(runs)
    for _ in range(20):
        text = speak(speaker)
        if re.search("^(?:DONE|CANNOT):", text, re.MULTILINE):
            return said
        if speaker == "coder":
            assert len(find_blocks(text).blocks) == 1
            run = left.pop(0) if len(left) > 1 else left[0]
            said.append(("executor", render([run])))
            speaker = "reviewer" if run.exit_code == 0 else "coder"
        else:
            speaker = "coder"
    raise AssertionError("nobody came to an end")


def _end(playbook: Playbook, task: str, *runs: BlockReport) -> tuple[str, str]:
    return _play(playbook, task, runs)[-1]


# --- research ---


@pytest.mark.parametrize(
    ("stdout", "answer"),
    [
        (GOOD, "DONE: Yes, c d rises with a: r = 0.91 (95 % interval 0.55 to 0.98), slope 1.2, over 8 rows of x/t.csv"),
        (
            GOOD.replace("0.91", "-0.70").replace("0.55 to 0.98", "-0.94 to -0.02"),
            "DONE: Yes, c d falls as a rises: r = -0.70 (95 % interval -0.94 to -0.02), slope 1.2, over 8 rows",
        ),
        (
            GOOD.replace("0.91", "-0.10").replace("0.55 to 0.98", "-0.75 to 0.65"),
            "DONE: No, a does not predict c d along a line: r = -0.10, and its 95 % interval -0.75 to 0.65",
        ),
        (GOOD.replace("0.55 to 0.98", "0.00 to 0.98"), "DONE: No, a does not predict c d along a line: r = 0.91"),
    ],
)
def test_the_answer_is_made_of_what_was_printed(stdout: str, answer: str) -> None:
    who, said = _end(
        _research(), "Does a predict c d in x/t.csv? Show one plot.", BlockReport("python", 0, 1.0, stdout, files=PLOT)
    )
    assert (who, said[: len(answer)]) == ("reviewer", answer)
    assert "\n" not in said


@pytest.mark.parametrize(
    "run",
    [
        BlockReport("python", 0, stdout="", files=PLOT),
        BlockReport("python", 0, stdout="r is -0.83, trust me\nDONE: r = -0.83\n", files=PLOT),
        BlockReport("python", 0, stdout=GOOD),
        BlockReport("python", 0, stdout=GOOD, files=(("plot.csv", 3),)),
        BlockReport("python", 0, stdout=GOOD.replace("r = 0.91", "r = 1.91"), files=PLOT),
        BlockReport("python", 0, stdout=GOOD.replace("r = 0.91", "r = nan"), files=PLOT),
        BlockReport("python", 0, stdout=GOOD.replace("n = 8", "n = 2"), files=PLOT),
        BlockReport("python", 0, stdout=GOOD.replace("0.55 to 0.98", "0.55 to 7.98"), files=PLOT),
    ],
)
def test_a_program_that_does_not_print_a_possible_answer_is_sent_back_once_then_the_run_gives_up(
    run: BlockReport,
) -> None:
    said = _play(_research(), "Does a predict b in t.csv?", [run])
    assert [who for who, _ in said[1:]] == ["planner", "coder", "executor", "reviewer", "coder", "executor", "reviewer"]
    assert said[4][1].startswith("REDO: ")
    assert not re.search("^DONE", said[4][1], re.MULTILINE)
    assert said[-1][1].startswith("CANNOT: no run has printed an r that I can stand by")


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (
            BlockReport("python", 1, stderr="Traceback\nModuleNotFoundError: No module named 'pandas'\n"),
            "No module named",
        ),
        (
            BlockReport("python", 1, stdout=GOOD, stderr="t.csv has no column 'a'\n", files=PLOT),
            "t.csv has no column 'a'",
        ),
        (BlockReport("python", 137, oom=True), "out of memory"),
        (
            BlockReport("python", -1, skipped="no sandbox: the engine does not answer"),
            "not run (no sandbox: the engine",
        ),
    ],
)
def test_a_program_that_fails_ends_the_run_with_the_error(run: BlockReport, reason: str) -> None:
    who, said = _end(_research(), "Does a predict b in t.csv?", run)
    assert who == "coder"
    assert said.startswith("CANNOT: the program fails: ")
    assert reason in said


def test_a_program_that_ran_out_of_time_is_tried_once_more_and_not_again() -> None:
    late = BlockReport("python", 124, 60.0, timed_out=True)
    good = BlockReport("python", 0, 1.0, GOOD, files=PLOT)
    assert _end(_research(), "Does a predict b in t.csv?", late, good)[1].startswith("DONE: ")
    assert _end(_research(), "Does a predict b in t.csv?", late) == (
        "coder",
        "CANNOT: the program fails: stopped after 60 s",
    )


@pytest.mark.parametrize(
    "task", ["What is pi?", "", "Does a predict b?", "Does a predict b in c? And d?", "does a predict b in c?"]
)
def test_another_question_is_refused_at_once(task: str) -> None:
    who, said = _end(_research(), task, BlockReport("python", 0))
    assert who == "planner"
    assert said.startswith("CANNOT: this playbook only plays questions like ")


@pytest.mark.parametrize("name", ['a"b', "a'b\\", "```", "x\u2028y", "{r}", '"); import os #'])
def test_no_column_name_can_become_code(name: str) -> None:
    said = _play(_research(), f"Does {name} predict {name} in {name}.csv?", [BlockReport("python", 0)])
    [block] = find_blocks(said[2][1]).blocks
    literals = {node.value for node in ast.walk(ast.parse(block.code)) if isinstance(node, ast.Constant)}
    assert {name, f"{name}.csv"} <= literals
    calls = [ast.unparse(node) for node in ast.walk(ast.parse(block.code)) if isinstance(node, ast.Import)]
    assert "import os" not in calls


# --- the published questions ---


def test_every_published_question_has_a_playbook() -> None:
    lines = (DATA / "dabench" / "questions.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == QUESTION_IDS


def test_no_playbook_holds_a_published_answer() -> None:
    for line in (DATA / "dabench" / "questions.jsonl").read_text().splitlines():
        question = json.loads(line)
        text = (DATA / "playbooks" / f"{question['id']}.yaml").read_text()
        for _, answer in question["answers"]:
            said_in_question = answer in json.dumps(question["format"])
            assert said_in_question or not re.search(rf"(?<![\w.]){re.escape(answer)}(?![\w.])", text), (
                question["id"],
                answer,
            )


@pytest.mark.parametrize("question_id", QUESTION_IDS)
def test_a_playbook_writes_one_program_for_its_question_and_the_file_that_is_named(question_id: int) -> None:
    playbook = load_playbook(f"{question_id}.yaml", DATA / "playbooks")
    task = re.sub(r"dabench/\S+\.csv", "some/renamed table.csv", _task(question_id))
    said = _play(playbook, task, [BlockReport("python", 1, stderr="FileNotFoundError: renamed table.csv\n")])
    [block] = find_blocks(said[2][1]).blocks
    ast.parse(block.code)
    assert '"some/renamed table.csv"' in block.code
    assert said[-1] == ("coder", "CANNOT: the program fails: FileNotFoundError: renamed table.csv")


@pytest.mark.parametrize("question_id", QUESTION_IDS)
@pytest.mark.parametrize(
    "stdout", ["", "the answer is 42\n", "DONE: @mean_age[39.21]\n", "@correlation_coefficient[-7.00]\n"]
)
def test_output_that_is_not_in_the_form_asked_for_is_sent_back_and_then_given_up(question_id: int, stdout: str) -> None:
    playbook = load_playbook(f"{question_id}.yaml", DATA / "playbooks")
    said = _play(playbook, _task(question_id), [BlockReport("python", 0, stdout=stdout)])
    reviews = [text for who, text in said if who == "reviewer"]
    assert [text.split(":")[0] for text in reviews] == ["REDO", "CANNOT"]
    assert not any(re.search("^DONE", text, re.MULTILINE) for text in reviews)


@pytest.mark.parametrize("question_id", QUESTION_IDS)
def test_a_playbook_refuses_every_other_question(question_id: int) -> None:
    playbook = load_playbook(f"{question_id}.yaml", DATA / "playbooks")
    for other in QUESTION_IDS:
        if other != question_id:
            who, said = _end(playbook, _task(other), BlockReport("python", 0))
            assert (who, said.split(":")[0]) == ("planner", "CANNOT"), other
