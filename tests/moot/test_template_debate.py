"""The debate template as a new user meets it, and with a model over HTTP."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.model_servers import Say, ScriptedModels
from tests.templates import asked_of, kept, over_http

if TYPE_CHECKING:
    from tests.moot.conftest import Model, Moot

SELECTOR = "You pick who speaks next"
VERDICT = {
    "decision": "reject",
    "reasons": ["The critic's count was not answered."],
    "confidence": 0.8,
    "minority_report": "A trial would have been fair.",
}


def _pick(name: str) -> str:
    return json.dumps({"next": name, "reason": f"{name} is due"})


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_two_sides_speak_and_a_judge_ends_it_with_a_verdict(moot: Moot) -> None:
    done = moot("run", "debate")
    assert done.code == 0, done.err
    verdict = done.out.splitlines()
    assert verdict[0] == "VERDICT: adopt (confidence 0.6)"
    assert verdict[1].startswith("- I concede that firms which tried it kept it")
    assert verdict[-1].startswith("Minority report: But the motion says every company")
    assert "next: judge  because each side has spoken in 2 of 2 rounds (selector, 1 try)" in done.err
    assert 'Rebuttal: You say "The pilot chose its own members".' in one_line(done.err)
    assert "(rule verdict, turn 5)" in one_line(done.err)


@pytest.mark.parametrize(
    ("rounds", "turn", "why", "verdict"),
    [
        ("1", 3, "each side has spoken in 1 of 1 rounds", "undecided (confidence 0.2)"),
        ("5", 7, "the critic raised a dispute of fact", "undecided (confidence 0.5)"),
    ],
)
def test_more_rounds_bring_another_verdict(moot: Moot, rounds: str, turn: int, why: str, verdict: str) -> None:
    done = moot("run", "debate", "--set", f"inputs.rounds={rounds}")
    assert done.code == 0, done.err
    assert f"next: judge  because {why} (selector, 1 try)" in done.err
    assert f"(rule verdict, turn {turn})" in one_line(done.err)
    assert done.out.startswith(f"VERDICT: {verdict}\n")


def test_a_verdict_may_be_kept_as_json(moot: Moot) -> None:
    chat = kept(moot, "debate", moot.folder / "mine")
    text = chat.read_text()
    start, end = text.index("      says: |"), text.index('    description: "Decides the motion')
    chat.write_text(text[:start] + text[end:])
    done = moot("run", "mine")
    assert done.code == 0, done.err
    assert done.json["decision"] == "adopt"
    assert list(done.json) == ["decision", "reasons", "confidence", "minority_report"]


def blind(moot: Moot) -> Path:
    """A copy with the other way to speak that its file tells of."""
    chat = kept(moot, "debate", moot.folder / "blind")
    text = chat.read_text()
    start, end = text.index("speakers:\n  selector:"), text.index("# speakers:")
    rest = text[end:].splitlines(keepends=True)
    chat.write_text(text[:start] + "".join(line.removeprefix("# ") for line in rest[:4]) + "".join(rest[4:]))
    return chat


def test_both_may_open_without_seeing_each_other_and_no_model_picks(moot: Moot) -> None:
    blind(moot)
    planned = moot("plan", "blind")
    assert 'proposer, critic -> proposer, critic when says "Opening:"' in planned.out, planned.err
    done = moot("run", "blind")
    assert done.code == 0, done.err
    assert done.out.startswith("VERDICT: adopt (confidence 0.6)\n")
    assert "next: proposer, critic  because proposer opens" in done.err
    assert "(rule verdict, turn 5)" in one_line(done.err)
    assert "select" not in moot("run", "blind", "--json").json["usage"]["by_participant"]


@pytest.mark.parametrize(
    ("motion", "verdict"),
    [
        ("The backend should be rewritten in Rust", "reject (confidence 0.7)"),
        ("Two people should review every change", "undecided (confidence 0.4)"),
    ],
)
def test_other_motions_have_other_arguments_and_another_verdict(moot: Moot, motion: str, verdict: str) -> None:
    done = moot("run", "debate", "--set", f"inputs.motion={motion}")
    assert done.code == 0, done.err
    assert done.out.startswith(f"VERDICT: {verdict}\n")


def test_a_task_in_words_of_ones_own_is_debated_until_a_fact_is_disputed(moot: Moot) -> None:
    done = moot("run", "debate", "Adopt a 4-day week?", "--rounds", "3")
    assert done.code == 0, done.err
    assert "next: judge  because the critic raised a dispute of fact" in done.err


def test_a_motion_without_arguments_is_refused_and_none_are_made_up(moot: Moot) -> None:
    done = moot("run", "debate", "--set", "inputs.motion=Cats are better than dogs")
    assert (done.code, done.out) == (1, "")
    assert "CANNOT: this playbook has arguments for three motions only" in one_line(done.err)
    assert "A real model debates any motion (--model openai/NAME)." in one_line(done.err)
    assert "(rule proposer-gave-up, turn 1)" in one_line(done.err)


def test_the_limit_ends_a_debate_before_the_judge_has_spoken_and_gives_no_verdict(moot: Moot) -> None:
    done = moot("run", "debate", "--rounds", "1")
    assert (done.code, done.out) == (3, "")
    assert "(rule limits.rounds, turn 3)" in one_line(done.err)


def test_the_judge_decides_by_what_was_really_said(moot: Moot) -> None:
    chat = kept(moot, "debate", moot.folder / "mine")
    book = yaml.safe_load((chat.parent / "playbook.yaml").read_text())
    book["parts"]["critic"] = [{"say": "Dispute of fact: Whether the moon is made of cheese. Go and look."}]
    (chat.parent / "playbook.yaml").write_text(yaml.safe_dump(book))
    done = moot("run", "mine")
    assert done.code == 0, done.err
    assert done.out.startswith("VERDICT: undecided (confidence 0.5)\n- Whether the moon is made of cheese.\n")


def test_a_debate_that_was_killed_goes_on_and_asks_nobody_twice(moot: Moot, model: Model) -> None:
    over_http(kept(moot, "debate", moot.folder / "mine"), f"http://127.0.0.1:{model.server_port}/v1")
    with moot.started("run", "mine") as running:
        for answer in (_pick("proposer"), "Opening: for.", _pick("critic")):
            model.was_asked()
            model.answers.put(answer)
        assert "You are critic," in str(model.was_asked())
        said = running.until("next: critic")
        running.signal(signal.SIGKILL)
        assert running.ended().code == -signal.SIGKILL
    model.answers.put(None)
    run = said[said.index("run ") :].split()[1]
    with moot.started("resume", run) as resumed:
        assert "You are critic," in str(model.was_asked())
        model.answers.put("Opening: against.")
        assert SELECTOR in str(model.was_asked())
        model.answers.put(_pick("judge"))
        assert "You are judge," in str(model.was_asked())
        model.answers.put(json.dumps(VERDICT))
        done = resumed.ended()
    assert done.code == 0, done.err
    assert done.out.startswith("VERDICT: reject (confidence 0.8)\n")


def _over_http(moot: Moot, models: ScriptedModels) -> None:
    over_http(kept(moot, "debate", moot.folder / "mine"), models.openai_url)


def _picks(*names: str) -> list[Say]:
    return [Say(_pick(name), to=SELECTOR) for name in names]


def test_a_model_over_http_picks_argues_and_judges(moot: Moot, scripted_models: ScriptedModels) -> None:
    _over_http(moot, scripted_models)
    scripted_models.script(
        *_picks("proposer", "critic", "judge"),
        Say("Opening: for.", to="You are proposer,"),
        Say("Opening: against.", to="You are critic,"),
        Say(json.dumps(VERDICT), to="You are judge,"),
    )
    done = moot("run", "mine", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert found["result"].splitlines() == [
        "VERDICT: reject (confidence 0.8)",
        "- The critic's count was not answered.",
        "Minority report: A trial would have been fair.",
    ]
    assert found["usage"]["by_participant"]["select"]["input_tokens"] > 0
    judged = asked_of([dict(body) for body in scripted_models.asked], "judge")
    assert [text in str(judged[0]) for text in ("Opening: for.", "Opening: against.")] == [True, True]
    (asked,) = (body for body in scripted_models.asked if "You are judge," in str(body["messages"][0]))
    assert '"minority_report"' in json.dumps(asked).replace("\\", ""), "the model is told the form of a verdict"


def test_openings_over_http_are_blind(moot: Moot, scripted_models: ScriptedModels) -> None:
    over_http(blind(moot), scripted_models.openai_url)
    scripted_models.script(
        Say("Opening: for.", to="You are proposer,"),
        Say("Rebuttal: for, still.", to="You are proposer,"),
        Say("Opening: against.", to="You are critic,"),
        Say("Rebuttal: against, still.", to="You are critic,"),
        Say(json.dumps(VERDICT), to="You are judge,"),
    )
    done = moot("run", "blind")
    assert done.code == 0, done.err
    requests = [dict(body) for body in scripted_models.asked]
    opened, rebutted = asked_of(requests, "critic")
    assert ("Opening: for." in str(opened), "Opening: for." in str(rebutted)) == (False, True)
    assert "for, still" not in str(rebutted)


def test_a_verdict_that_does_not_parse_is_asked_for_once_more(moot: Moot, scripted_models: ScriptedModels) -> None:
    _over_http(moot, scripted_models)
    scripted_models.script(
        *_picks("proposer", "critic", "judge"),
        Say("Opening: for.", to="You are proposer,"),
        Say("Opening: against.", to="You are critic,"),
        Say(json.dumps({**VERDICT, "decision": "maybe"}), to="You are judge,"),
        Say(json.dumps(VERDICT), to="You are judge,"),
    )
    done = moot("run", "mine")
    assert done.code == 0, done.err
    assert done.out.startswith("VERDICT: reject (confidence 0.8)")
    judged = asked_of([dict(body) for body in scripted_models.asked], "judge")
    assert len(judged) == 2
    assert "decision: Input should be 'adopt', 'reject' or 'undecided'" in str(judged[1])


def test_a_judge_who_never_gives_a_verdict_ends_the_run_and_says_what_was_wrong(
    moot: Moot, scripted_models: ScriptedModels
) -> None:
    _over_http(moot, scripted_models)
    scripted_models.script(
        *_picks("proposer", "critic", "judge"),
        Say("Opening: for.", to="You are proposer,"),
        Say("Opening: against.", to="You are critic,"),
        Say("I find for the proposer, on balance.", to="You are judge,"),
    )
    done = moot("run", "mine")
    assert (done.code, done.out) != (0, ""), done.err
    assert done.code in (1, 7)
    assert "the reply of judge is not in its form" in one_line(done.err)


def test_a_selector_that_answers_nonsense_holds_nothing_up(moot: Moot, scripted_models: ScriptedModels) -> None:
    _over_http(moot, scripted_models)
    scripted_models.script(
        Say("Whoever likes to.", to=SELECTOR),
        Say("Opening: for.", to="You are proposer,"),
        Say("Opening: against.", to="You are critic,"),
        Say(json.dumps(VERDICT), to="You are judge,"),
    )
    done = moot("run", "mine")
    assert done.code == 0, done.err
    assert done.out.startswith("VERDICT: reject")
    assert "least recent" in done.err
