"""A chat whose speakers a model picks, on the command line: its reasons and its costs are there wherever one looks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.moot.conftest import Moot

PLAY = """
version: 1
name: trial
parts:
  proposer: [{say: "Adopt it."}]
  critic: [{say: "The pilot selected itself."}]
  judge: [{say: "VERDICT: wait"}]
  selector:
    - when: {text: '^last speaker: nobody$'}
      say: '{"next": "proposer", "reason": "somebody has to begin"}'
    - when: {text: ['^last speaker: critic$', '^last message: .*pilot']}
      say: '{"next": "judge", "reason": "the critic raised a dispute of fact"}'
    - when: {text: '^That will not do: your answer named .nobody'}
      say: critic
    - say: '{"next": "nobody", "reason": "whoever wants to"}'
  lost: [{say: "whoever wants to"}]
"""
CHAT = """
version: 1
name: trial
task: "Adopt it?"
model: playbook:play.yaml
participants:
  proposer: {role: assistant, goal: "Argue for it."}
  critic: {role: assistant, goal: "Argue against it."}
  judge: {role: assistant, goal: "Decide."}
speakers: selector
limits: {turns: 9}
stop: [{id: verdict, says: {participant: judge, starts: "VERDICT:"}}]
"""


@pytest.fixture
def trial(moot: Moot) -> Moot:
    (moot.folder / "play.yaml").write_text(PLAY)
    (moot.folder / "trial.yaml").write_text(CHAT)
    return moot


def test_why_somebody_speaks_is_on_screen_with_how_often_was_asked(trial: Moot) -> None:
    done = trial("run", "trial.yaml")
    assert (done.code, done.out.strip()) == (0, "VERDICT: wait")
    assert "next: proposer  because somebody has to begin (selector, 1 try)" in done.err
    assert "next: critic  because it was picked without a reason (selector, 2 tries)" in done.err
    assert "next: judge  because the critic raised a dispute of fact (selector, 1 try)" in done.err


def test_that_the_model_picked_nobody_is_on_screen(trial: Moot) -> None:
    done = trial("run", "trial.yaml", "--set", "speakers.selector.part=lost", "--set", "limits.turns=2")
    shown = " ".join(done.err.split())
    why = "it has waited longest: the model gave no JSON object with a next speaker"
    assert f"next: proposer because {why} (selector, 2 tries, fallback least recent)" in shown


def test_reasons_and_costs_are_in_what_is_shown_and_exported_later(trial: Moot) -> None:
    run = trial("run", "trial.yaml", "--json").json["run"]
    shown = trial("runs", "show", run).out
    assert "because the critic raised a dispute of fact (selector, 1 try)" in shown
    assert [line for line in shown.splitlines() if "select " in line and "tok" in line]
    assert "the critic raised a dispute of fact (selector, 1 try)" in trial("export", run, "--format", "md").out
    lines = [json.loads(line) for line in trial("export", run, "--format", "jsonl").out.splitlines()]
    (why,) = [
        line["data"] for line in lines if line["type"] == "speaker.selected" and line["data"]["chosen"] == ["judge"]
    ]
    assert (why["policy"], why["candidates"], why["attempts"]) == ("selector", ["proposer", "judge"], 1)


def test_a_plan_says_which_model_picks(trial: Moot) -> None:
    assert "picked by    selector   playbook:trial (scripted)" in trial("plan", "trial.yaml").out
    plan = trial("plan", "trial.yaml", "--json").json
    assert plan["selector"]["model"] == "playbook:trial"
    missing = trial("plan", "trial.yaml", "--model", "openai/gpt-4o").out
    assert "missing   selector: openai/gpt-4o needs a key" in missing


def test_a_recorded_trial_is_replayed_with_whoever_was_picked(trial: Moot) -> None:
    first = trial("run", "trial.yaml", "--record", "tape.jsonl")
    again = trial("run", "trial.yaml", "--model", "replay:tape.jsonl")
    assert (again.code, again.out) == (0, first.out)
    assert "because the critic raised a dispute of fact (selector, 1 try)" in again.err
