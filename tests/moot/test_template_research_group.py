"""The research-group template as a new user meets it, and with a model over HTTP."""

from __future__ import annotations

import csv
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING

import pytest

from moot.chats.templates import FOLDER
from tests.model_servers import Say, ScriptedModels
from tests.templates import asked_of, kept, over_http, waiting

if TYPE_CHECKING:
    from tests.moot.conftest import Moot

INSURANCE = FOLDER / "research-group" / "data" / "insurance.csv"
OPEN = "\x1b[?2004h"
"""What a line that is open for typing tells the terminal first."""
PROGRAM = "```python\nopen('plot.png', 'wb').write(b'x')\nprint('p = 0.01')\n```"


def of_group(column: str, group: str, name: str) -> Sequence[float]:
    """The numbers of one group, straight from the table."""
    with INSURANCE.open(newline="") as table:
        return [float(row[column]) for row in csv.DictReader(table) if row[group] == name]


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_the_admin_approves_the_plan_and_the_answer_is_what_the_sandbox_printed(moot: Moot) -> None:
    first = moot("run", "research-group")
    assert (first.code, first.out) == (4, "")
    asked = waiting(moot)
    assert (asked.who, asked.kind) == ("admin", "message")
    assert "Compare: the means of charges between the groups of smoker" in str(asked.payload)
    done = moot("inbox", "approve", asked.run, asked.id)
    assert done.code == 0, done.err
    yes, no = of_group("charges", "smoker", "yes"), of_group("charges", "smoker", "no")
    assert done.out.startswith("Yes, charges differs between the groups of smoker")
    assert f"'yes': {mean(yes):.2f} (n = {len(yes)})" in done.out
    assert f"'no': {mean(no):.2f} (n = {len(no)})" in done.out
    assert f"a spread of {mean(yes) - mean(no):.2f}; p = 0.0005 over {len(yes) + len(no)} rows (0 dropped)" in done.out
    assert "Plot: groups.png" in done.out
    assert "nobody was put into a group by chance" in one_line(done.err)
    plot = re.search(r"^ +file (\S+groups\.png)", done.err, re.MULTILINE)
    assert plot is not None
    assert Path(plot[1]).read_bytes().startswith(b"\x89PNG")


def test_the_admin_edits_the_plan_at_the_terminal(moot: Moot) -> None:
    editor = moot.write("editor", '#!/bin/sh\nsed -i "s/the means of charges/the medians of age/" "$1"\n')
    editor.chmod(0o755)
    with moot.at_a_terminal("run", "research-group", columns=120, rows=50, EDITOR=str(editor)) as terminal:
        terminal.then("[l]ater")
        terminal.then(OPEN)
        terminal.press(b"e\r")
        terminal.then("this instead?")
        terminal.press(b"y\r")
        assert terminal.ended() == 0
    said = one_line(" ".join(terminal.screen(50, 120)))
    yes, no = (median(of_group("age", "smoker", name)) for name in ("yes", "no"))
    assert f"of age between the groups of smoker is shown: the highest median is that of 'no': {no:.2f}" in said
    assert f"the lowest that of 'yes': {yes:.2f}" in said


def test_what_the_admin_says_when_rejecting_changes_the_program(moot: Moot) -> None:
    moot("run", "research-group")
    first = waiting(moot)
    again = moot("inbox", "reject", first.run, first.id, "a few people pay very much: compare medians")
    assert again.code == 4
    assert "a few people pay very much" in again.err
    second = waiting(moot)
    assert "Compare: the medians of charges" in str(second.payload)
    done = moot("inbox", "approve", second.run, second.id)
    assert done.code == 0, done.err
    assert f"the highest median is that of 'yes': {median(of_group('charges', 'smoker', 'yes')):.2f}" in done.out


def test_a_remark_from_outside_does_not_throw_the_group_off_its_plan(moot: Moot) -> None:
    moot("run", "research-group")
    first = waiting(moot)
    assert moot("say", first.run, "hurry up").code == 0
    again = moot("inbox", "reject", first.run, first.id, "compare medians")
    assert again.code == 4, again.err
    assert "hurry up" in again.err
    assert "Compare: the medians of charges" in str(waiting(moot).payload)


def test_what_the_admin_makes_of_the_plan_is_what_is_done(moot: Moot) -> None:
    moot("run", "research-group")
    asked = waiting(moot)
    edited = moot.write("plan.txt", "Compare: the means of bmi between the groups of region\nOver: when it is checked.")
    done = moot("inbox", "edit", asked.run, asked.id, "--file", str(edited))
    assert done.code == 0, done.err
    highest = f"'southeast': {mean(of_group('bmi', 'region', 'southeast')):.2f}"
    assert done.out.startswith(f"Yes, bmi differs between the groups of region: the highest mean is that of {highest}")


def test_a_plan_that_was_changed_to_something_else_is_not_pretended_to_be_followed(moot: Moot) -> None:
    moot("run", "research-group")
    asked = waiting(moot)
    edited = moot.write("plan.txt", "Fit a line.")
    done = moot("inbox", "edit", asked.run, asked.id, "--file", str(edited))
    assert (done.code, done.out) == (1, "")
    assert "(rule engineer-gave-up, turn 3)" in one_line(done.err)
    assert "this playbook has no other program" in one_line(done.err)


def test_a_plan_that_is_rejected_three_times_ends_the_run_as_rejected(moot: Moot) -> None:
    moot("run", "research-group")
    for reason in ("use a forest", "no, a forest"):
        asked = waiting(moot)
        done = moot("inbox", "reject", asked.run, asked.id, reason)
        assert done.code == 4
        assert f"Not changed: the admin said: REJECTED: {reason}" in done.err
    asked = waiting(moot)
    done = moot("inbox", "reject", asked.run, asked.id, "forget it")
    assert done.code == 5
    assert "(rule plan-rejected, turn 6)" in one_line(done.err)


def test_no_difference_is_said_to_be_none(moot: Moot) -> None:
    moot("run", "research-group", "--set", "inputs.value=age", "--set", "inputs.group=smoker")
    asked = waiting(moot)
    done = moot("inbox", "approve", asked.run, asked.id)
    assert done.code == 0, done.err
    assert done.out.startswith("No difference of age between the groups of smoker is shown")


def test_another_table_gives_another_answer(moot: Moot) -> None:
    table = moot.write("t.csv", "it's;g\n" + "".join(f"{10 + n % 3};a\n{20 + n % 3};b\n" for n in range(8)) + "x;a\n")
    sets = [f"inputs.file={table}", "inputs.value=it's", "inputs.group=g"]
    moot("run", "research-group", *(word for each in sets for word in ("--set", each)))
    asked = waiting(moot)
    done = moot("inbox", "approve", asked.run, asked.id)
    assert done.code == 0, done.err
    assert done.out.startswith("Yes, it's differs between the groups of g: the highest mean is that of 'b': 20.88")
    assert "a spread of 10.00; p = 0.0010 over 17 rows (1 dropped)" in done.out


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("v,g\n1,a\n2,b\n", "t.csv has no column 'charges'; its columns are ['v', 'g']"),
        ("charges,smoker\n1,a\n2,a\n3,a\n", "3 rows have a number in 'charges' and a group in 'smoker'; they make 1"),
        ('charges,smoker\n"1,5",a\n2,b\n', "'1,5' of 'charges' has a comma"),
        ("charges,smoker\n1,2,3\n", "cannot be read as a table"),
    ],
)
def test_a_table_that_cannot_answer_ends_the_run_with_what_is_wrong(moot: Moot, table: str, said: str) -> None:
    path = moot.write("t.csv", table)
    moot("run", "research-group", "--set", f"inputs.file={path}")
    asked = waiting(moot)
    done = moot("inbox", "approve", asked.run, asked.id)
    assert (done.code, done.out) == (1, ""), done.err
    assert said in one_line(done.err)


def test_another_question_is_refused_before_anybody_is_asked(moot: Moot) -> None:
    done = moot("run", "research-group", "Will it rain?")
    assert (done.code, done.out) == (1, "")
    assert 'CANNOT: this playbook only plays questions like "Does X differ' in one_line(done.err)
    assert moot("inbox", "list", "--json").json == []


def test_without_a_sandbox_nothing_runs_and_the_run_says_so(moot: Moot) -> None:
    moot("run", "research-group", "--sandbox", "none")
    asked = waiting(moot)
    done = moot("inbox", "approve", asked.run, asked.id)
    assert (done.code, done.out) == (6, "")
    assert "SKIPPED (no sandbox)" in done.err


def test_a_group_that_was_killed_goes_on_and_asks_nothing_twice(moot: Moot) -> None:
    moot("run", "research-group")
    asked = waiting(moot)
    with moot.started("inbox", "approve", asked.run, asked.id) as deciding:
        deciding.until("engineer -> executor")
        deciding.signal(signal.SIGKILL)
        assert deciding.ended().code == -signal.SIGKILL
    done = moot("resume", asked.run)
    assert done.code == 0, done.err
    assert done.out.startswith("Yes, charges differs")
    assert moot("inbox", "list", "--json").json == []


def test_a_claim_that_was_not_printed_is_sent_back_to_the_scientist(moot: Moot) -> None:
    chat = kept(moot, "research-group", moot.folder / "mine")
    book = chat.parent / "playbook.yaml"
    text = book.read_text()
    assert text.count("lowest that of {lowest}; spread = {spread}, p = {p}.\n") == 1
    book.write_text(text.replace("; spread = {spread}, p = {p}.\n", "; spread = {spread}, p = 0.0001.\n"))
    moot("run", "mine")
    asked = waiting(moot)
    done = moot("inbox", "approve", asked.run, asked.id)
    assert (done.code, done.out) == (1, "")
    assert "REWORD: the answer, the spread and p must be what was printed" in one_line(done.err)
    assert "(rule critic-gave-up" in one_line(done.err)


def test_a_model_over_http_plans_again_codes_again_and_answers(moot: Moot, scripted_models: ScriptedModels) -> None:
    over_http(kept(moot, "research-group", moot.folder / "mine"), scripted_models.openai_url)
    scripted_models.script(
        Say("Plan A.", to="You are planner,"),
        Say("Changed: B instead of A.\nPlan B.", to="You are planner,"),
        Say("```python\nraise SystemExit('no column x')\n```", to="You are engineer,"),
        Say(PROGRAM.replace("0.01", "7"), to="You are engineer,"),
        Say(PROGRAM, to="You are engineer,"),
        Say("FINDING: p = 0.01\nLIMITS: no cause.", to="You are scientist,"),
        Say("REDO: p = 7 is impossible.", to="You are critic,"),
        Say("DONE: They differ, p = 0.01.", to="You are critic,"),
    )
    assert moot("run", "mine").code == 4
    first = waiting(moot)
    assert moot("inbox", "reject", first.run, first.id, "not A").code == 4
    second = waiting(moot)
    assert "Plan B." in str(second.payload)
    done = moot("inbox", "approve", second.run, second.id)
    assert (done.code, done.out) == (0, "They differ, p = 0.01.\n"), done.err
    requests = [dict(body) for body in scripted_models.asked]
    assert "not A" in str(asked_of(requests, "planner")[1])
    coded = asked_of(requests, "engineer")
    assert [word in str(coded[at]) for at, word in ((1, "no column x"), (2, "is impossible"))] == [True, True]


def test_a_critic_whose_form_is_wrong_is_asked_once_more(moot: Moot, scripted_models: ScriptedModels) -> None:
    over_http(kept(moot, "research-group", moot.folder / "mine"), scripted_models.openai_url)
    scripted_models.script(
        Say("Plan A.", to="You are planner,"),
        Say(PROGRAM, to="You are engineer,"),
        Say("FINDING: p = 0.01", to="You are scientist,"),
        Say("It is all fine.", to="You are critic,"),
        Say("DONE: They differ, p = 0.01.", to="You are critic,"),
    )
    moot("run", "mine")
    asked = waiting(moot)
    done = moot("inbox", "approve", asked.run, asked.id)
    assert (done.code, done.out) == (0, "They differ, p = 0.01.\n"), done.err
    assert "Your last reply leads nowhere" in done.err or "critic once more" in done.err
